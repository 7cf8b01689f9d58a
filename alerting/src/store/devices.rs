//! Devices as their events show them.
//!
//! What counts as newer goes by who says it, not by when its picture was taken: a camera's clock may run ahead of its worker's,
//! and what the worker says of the camera must not wait for it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction};
use xueliang_events::{DeviceId, Event, Payload, Source, payload::DeviceState};

use super::{
    Stored,
    columns::{key, micros, timestamp},
};

/// A last word from further ahead than this is of a clock that was wrong.
const AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// One device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// `camera` or `sensor`.
    pub kind: String,
    /// Its name in Chinese and English, when the registry gave one.
    pub names: (Option<String>, Option<String>),
    /// Its state's key on the wire.
    pub state: String,
    /// Why it is so.
    pub cause: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When it last said anything, by the clock of the process that heard it.
    pub last_seen: Timestamp,
    /// Its grid.
    pub grid: Option<String>,
    /// The region that decides who may see it.
    pub region: String,
    /// Grows with each change of any device.
    pub revision: i64,
    /// The run of its pipeline that spoke last; empty before the first.
    session: String,
}

/// All devices with a revision after this one, by revision; 0 gives all.
pub fn since(transaction: &Transaction<'_>, revision: i64) -> Stored<Vec<Device>> {
    let mut statement = transaction.prepare_cached("SELECT * FROM device WHERE revision > ?1 ORDER BY revision")?;
    let mut rows = statement.query([revision])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        devices.push(read(row)?);
    }
    Ok(devices)
}

/// The newest revision.
pub fn newest(transaction: &Transaction<'_>) -> Stored<i64> {
    Ok(transaction.query_row("SELECT coalesce(max(revision), 0) FROM device", [], |row| row.get(0))?)
}

/// Takes note of what an event says of its device; `root` is the region of devices without a grid.
pub fn note(transaction: &Transaction<'_>, event: &Event, root: &str, now: Timestamp) -> Stored<()> {
    let Some((id, kind)) = subject(event) else { return Ok(()) };
    let before = transaction
        .prepare_cached("SELECT * FROM device WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok(read(row)))
        .optional()?
        .transpose()?;
    let mut device = before.clone().unwrap_or_else(|| Device {
        id,
        kind: kind.to_owned(),
        names: (None, None),
        state: wire_key(DeviceState::Connecting),
        cause: None,
        since: event.time,
        last_seen: event.received_at,
        grid: None,
        region: root.to_owned(),
        revision: 0,
        session: String::new(),
    });
    let session = event.session.to_string();
    // Events of one session come in their order; between sessions it goes by when the event was had.
    let is_credible = device.last_seen.duration_since(now) <= AHEAD;
    let is_newest = device.session == session || !is_credible || event.received_at >= device.last_seen;
    if is_newest && event.source.device().is_some() {
        device.last_seen = event.received_at;
        device.session = session;
    }
    if let Some(grid) = &event.grid {
        device.grid = Some(grid.to_string());
        device.region = grid.to_string();
    }
    match &event.payload {
        Payload::DeviceStatus(status) if is_newest => {
            device.state = wire_key(status.state);
            device.cause.clone_from(&status.cause);
            device.since = status.since;
        }
        Payload::SensorReading(_)
            if is_newest && ![DeviceState::Live, DeviceState::Degraded].map(wire_key).contains(&device.state) =>
        {
            device.state = wire_key(DeviceState::Live);
            device.cause = None;
            device.since = event.time;
        }
        Payload::CameraRegistered(camera) => device.names = names(&camera.names),
        Payload::SensorRegistered(sensor) => device.names = names(&sensor.names),
        _ => {}
    }
    let shown = |device: &Device| Device { last_seen: Timestamp::UNIX_EPOCH, session: String::new(), ..device.clone() };
    if before.as_ref().is_none_or(|before| shown(before) != shown(&device)) {
        device.revision = newest(transaction)? + 1;
        write(transaction, &device)
    } else {
        let mut statement =
            transaction.prepare_cached("UPDATE device SET last_seen = ?2, session = ?3 WHERE id = ?1")?;
        statement.execute((device.id.as_str(), micros(device.last_seen), &device.session))?;
        Ok(())
    }
}

fn subject(event: &Event) -> Option<(DeviceId, &'static str)> {
    match (&event.source, &event.payload) {
        (Source::Camera(id), _) => Some((id.clone().into(), "camera")),
        (Source::Sensor(id), _) => Some((id.clone().into(), "sensor")),
        (Source::Registry(id), Payload::CameraRegistered(_)) => Some((id.clone(), "camera")),
        (Source::Registry(id), Payload::SensorRegistered(_)) => Some((id.clone(), "sensor")),
        _ => None,
    }
}

fn wire_key(state: DeviceState) -> String {
    match state {
        DeviceState::Connecting => "connecting",
        DeviceState::Live => "live",
        DeviceState::Degraded => "degraded",
        DeviceState::Stalled => "stalled",
        DeviceState::AuthFailed => "auth_failed",
        DeviceState::Unreachable => "unreachable",
        DeviceState::Refused => "refused",
        DeviceState::Stopped => "stopped",
    }
    .to_owned()
}

fn names(by_tag: &BTreeMap<String, String>) -> (Option<String>, Option<String>) {
    let first = |prefix: &str| by_tag.iter().find(|(tag, _)| tag.starts_with(prefix)).map(|(_, name)| name.clone());
    (first("zh"), first("en"))
}

fn write(transaction: &Transaction<'_>, device: &Device) -> Stored<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?
        .execute(rusqlite::params![
            device.id.as_str(),
            device.kind,
            device.names.0,
            device.names.1,
            device.state,
            device.cause,
            micros(device.since),
            micros(device.last_seen),
            device.grid,
            device.region,
            device.revision,
            device.session,
        ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Stored<Device> {
    Ok(Device {
        id: key(row, "id", |text| text.parse().ok())?,
        kind: row.get("kind")?,
        names: (row.get("name_zh")?, row.get("name_en")?),
        state: row.get("state")?,
        cause: row.get("cause")?,
        since: timestamp(row.get("since")?)?,
        last_seen: timestamp(row.get("last_seen")?)?,
        grid: row.get("grid")?,
        region: row.get("region")?,
        revision: row.get("revision")?,
        session: row.get("session")?,
    })
}

#[cfg(test)]
mod tests {
    use xueliang_events::{
        SessionId,
        payload::{DeviceStatus, ZoneOccupancy},
        values::Counts,
    };

    use super::*;
    use crate::store::{Store, testing};

    const NOON: i64 = 1_790_000_000;

    fn event(session: u128, captured: i64, received: i64, payload: Payload) -> Event {
        let at = |second: i64| Timestamp::from_second(NOON + second).unwrap();
        let session = SessionId(uuid::Uuid::from_u128(session));
        Event { session, received_at: at(received), ..testing::event("c", 0, at(captured), payload) }
    }

    fn status(state: DeviceState) -> Payload {
        let since = Timestamp::from_second(NOON).unwrap();
        DeviceStatus::new(state, since).into()
    }

    fn street() -> Payload {
        let (zone, counts) = ("z".parse().unwrap(), Counts::default());
        ZoneOccupancy { zone, counts, heartbeat: false, snapshot: None, analysed_fps: None }.into()
    }

    /// Notes each event at its second; what the device is afterwards.
    fn noted(events: &[(i64, Event)]) -> Device {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.sqlite")).unwrap();
        let events = events.to_vec();
        store
            .write_blocking(move |transaction| {
                for (second, event) in &events {
                    note(transaction, event, "3402", Timestamp::from_second(NOON + second).unwrap())?;
                }
                Ok(since(transaction, 0)?.remove(0))
            })
            .unwrap()
    }

    fn of(device: &Device) -> (&str, i64) {
        (&device.state, device.last_seen.as_second() - NOON)
    }

    #[test]
    fn a_camera_whose_clock_runs_ahead_of_its_workers_is_told_as_it_is() {
        use DeviceState::{Connecting, Degraded, Stalled};
        let people = |captured| event(1, captured, captured - 5, street());
        let events = [
            (0, event(1, 0, 0, status(Connecting))),
            (1, people(6)),
            (2, event(1, 2, 2, status(Degraded))),
            (3, people(8)),
            (4, event(1, 4, 4, status(Stalled))),
        ];
        assert_eq!(of(&noted(&events[..4])), ("degraded", 3));
        assert_eq!(of(&noted(&events)), ("stalled", 4));
    }

    #[test]
    fn within_a_session_the_order_counts_and_between_sessions_the_time() {
        use DeviceState::{Live, Stopped};
        let set_back = [(9, event(1, 9, 9, status(Live))), (4, event(1, 4, 4, status(Stopped)))];
        assert_eq!(of(&noted(&set_back)), ("stopped", 4), "the worker's clock was set back");
        let overtaken = [(9, event(2, 9, 9, status(Live))), (10, event(1, 4, 4, status(Stopped)))];
        assert_eq!(of(&noted(&overtaken)), ("live", 9), "an earlier session's word that came late");
        let wrong = [(1, event(1, 90_000, 90_000, status(Live))), (2, event(2, 2, 2, status(Stopped)))];
        assert_eq!(of(&noted(&wrong)), ("stopped", 2), "the earlier session's clock was a day ahead");
    }
}
