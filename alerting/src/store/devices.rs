//! Devices as their events show them.
//!
//! What counts as newer goes by who says it, not by when its picture was taken: a camera's clock may run ahead of its worker's,
//! and what the worker says of the camera must not wait for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use xueliang_events::{DeviceId, Event, Payload, Source, payload::DeviceState};

use super::{
    Stored, Tx,
    columns::key,
    each::{Column, Holds::*},
    sql::{Row, params},
    uptime::{self, Day, LocalDays},
};

/// A last word from further ahead than this is of a clock that was wrong.
const AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// What each word of a device changes.
const SEEN: [Column; 7] = [
    ("id", Text),
    ("last_seen", Int),
    ("session", Text),
    ("counted_day", Text),
    ("observed_us", Int),
    ("live_us", Int),
    ("good_us", Int),
];
const WHOLE: [Column; 19] = [
    ("id", Text),
    ("kind", Text),
    ("name_zh", Text),
    ("name_en", Text),
    ("state", Text),
    ("cause", Text),
    ("since", Int),
    ("last_seen", Int),
    ("grid", Text),
    ("region", Text),
    ("revision", Int),
    ("session", Text),
    ("longitude", Real),
    ("latitude", Real),
    ("counted_day", Text),
    ("observed_us", Int),
    ("live_us", Int),
    ("good_us", Int),
    ("suspended", Text),
];

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
    /// Why a camera is stopped whose authorization does not hold, by its key on the wire.
    pub suspended: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When it last said anything, by the clock of the process that heard it.
    pub last_seen: Timestamp,
    /// Its grid.
    pub grid: Option<String>,
    /// The region that decides who may see it.
    pub region: String,
    /// Longitude and latitude, WGS-84 degrees, when the registry gave them.
    pub position: Option<[f64; 2]>,
    /// Grows with each change of any device.
    pub revision: i64,
    /// The run of its pipeline that spoke last; empty before the first.
    session: String,
    /// How long it was well on the day that runs.
    pub today: Day,
}

/// All devices with a revision after this one, by revision; 0 gives all.
pub fn since(tx: &Tx<'_>, revision: i64) -> Stored<Vec<Device>> {
    let rows = tx.rows("SELECT * FROM device WHERE revision > ?1 ORDER BY revision", params![revision])?;
    rows.iter().map(read).collect()
}

/// The newest revision.
pub fn newest(tx: &Tx<'_>) -> Stored<i64> {
    tx.value("SELECT coalesce(max(revision), 0) FROM device", &[])
}

/// The devices of one batch, as they were and as they are.
#[derive(Debug, Default)]
pub struct Devices {
    before: HashMap<DeviceId, Device>,
    now: BTreeMap<DeviceId, Device>,
    /// Days that ended meanwhile.
    ended: Vec<(String, Day)>,
    days: LocalDays,
}

/// Where and when a deployment is.
#[derive(Debug, Clone, Copy)]
pub struct Here<'h> {
    /// The region of devices without a grid.
    pub root: &'h str,
    /// The time zone, in which days begin.
    pub zone: &'h TimeZone,
    /// The time.
    pub now: Timestamp,
}

impl Devices {
    /// What is known of those that these events are about.
    pub fn load<'e>(tx: &Tx<'_>, events: impl Iterator<Item = &'e Event>) -> Stored<Self> {
        let ids: BTreeSet<DeviceId> = events.filter_map(subject).map(|(id, _)| id).collect();
        let keys: Vec<_> = ids.iter().map(|id| params![id.as_str()].to_vec()).collect();
        let sql = "SELECT device.* FROM each JOIN device ON device.id = each.id";
        let rows = tx.each(&[("id", Text)], &keys, sql)?;
        let before = rows.iter().map(|row| read(row).map(|device| (device.id.clone(), device)));
        Ok(Self { before: before.collect::<Stored<_>>()?, ..Self::default() })
    }

    /// Takes note of what an event says of its device.
    pub fn note(&mut self, event: &Event, here: Here<'_>) {
        let Some((id, kind)) = subject(event) else { return };
        let known = self.now.remove(&id).or_else(|| self.before.get(&id).cloned());
        let before = known.unwrap_or_else(|| unheard(id.clone(), kind, event, here.root));
        let (state, heard) = (before.state.clone(), before.last_seen);
        let mut device = noted(before, event, here.now);
        let ended = device.today.count(&state, (heard, device.last_seen), (&mut self.days, here.zone));
        self.ended.extend(ended.into_iter().map(|day| (id.to_string(), day)));
        self.now.insert(id, device);
    }

    /// Writes them down; those that look otherwise than before get a new revision.
    pub fn store(self, tx: &Tx<'_>) -> Stored<()> {
        let looks = |device: &Device| Device {
            last_seen: Timestamp::UNIX_EPOCH,
            session: String::new(),
            today: Day::default(),
            ..device.clone()
        };
        uptime::store(tx, &self.ended)?;
        let (seen, mut changed): (Vec<Device>, Vec<Device>) = self
            .now
            .into_values()
            .partition(|device| self.before.get(&device.id).is_some_and(|before| looks(before) == looks(device)));
        let seen = seen.iter().map(|device| {
            let Day { date, observed_us, live_us, good_us } = &device.today;
            let (id, session) = (device.id.as_str(), &device.session);
            params![id, device.last_seen, session, date, *observed_us, *live_us, *good_us].to_vec()
        });
        let sql = "UPDATE device SET last_seen = each.last_seen, session = each.session,
             counted_day = each.counted_day, observed_us = each.observed_us, live_us = each.live_us,
             good_us = each.good_us FROM each WHERE device.id = each.id";
        tx.each(&SEEN, &seen.collect::<Vec<_>>(), sql)?;
        if !changed.is_empty() {
            let newest = newest(tx)?;
            for (device, revision) in changed.iter_mut().zip(newest + 1..) {
                device.revision = revision;
            }
            write(tx, &changed)?;
        }
        Ok(())
    }
}

fn unheard(id: DeviceId, kind: &str, event: &Event, root: &str) -> Device {
    Device {
        id,
        kind: kind.to_owned(),
        names: (None, None),
        state: wire_key(DeviceState::Connecting),
        cause: None,
        suspended: None,
        since: event.time,
        last_seen: event.received_at,
        grid: None,
        region: root.to_owned(),
        position: None,
        revision: 0,
        session: String::new(),
        today: Day::default(),
    }
}

/// The device after this event.
fn noted(mut device: Device, event: &Event, now: Timestamp) -> Device {
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
            device.suspended = status.suspended.map(|reason| reason.as_str().to_owned());
            device.since = status.since;
        }
        Payload::SensorReading(_)
            if is_newest && ![DeviceState::Live, DeviceState::Degraded].map(wire_key).contains(&device.state) =>
        {
            device.state = wire_key(DeviceState::Live);
            device.cause = None;
            device.since = event.time;
        }
        Payload::CameraRegistered(camera) => {
            device.names = names(&camera.names);
            device.position = camera.position;
        }
        Payload::SensorRegistered(sensor) => {
            device.names = names(&sensor.names);
            device.position = sensor.position;
        }
        _ => {}
    }
    device
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

pub(super) fn wire_key(state: DeviceState) -> String {
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

fn write(tx: &Tx<'_>, devices: &[Device]) -> Stored<()> {
    let rows = devices.iter().map(|device| {
        params![
            device.id.as_str(),
            &device.kind,
            &device.names.0,
            &device.names.1,
            &device.state,
            &device.cause,
            device.since,
            device.last_seen,
            &device.grid,
            &device.region,
            device.revision,
            &device.session,
            device.position.map(|position| position[0]),
            device.position.map(|position| position[1]),
            &device.today.date,
            device.today.observed_us,
            device.today.live_us,
            device.today.good_us,
            &device.suspended,
        ]
        .to_vec()
    });
    let sql = "INSERT INTO device (id, kind, name_zh, name_en, state, cause, since, last_seen, grid, region, revision,
         session, longitude, latitude, counted_day, observed_us, live_us, good_us, suspended)
         SELECT * FROM each WHERE true
         ON CONFLICT (id) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en, state = excluded.state,
         cause = excluded.cause, since = excluded.since, last_seen = excluded.last_seen, grid = excluded.grid,
         region = excluded.region, revision = excluded.revision, session = excluded.session,
         longitude = excluded.longitude, latitude = excluded.latitude, counted_day = excluded.counted_day,
         observed_us = excluded.observed_us, live_us = excluded.live_us, good_us = excluded.good_us,
         suspended = excluded.suspended";
    tx.each(&WHOLE, &rows.collect::<Vec<_>>(), sql).map(|_| ())
}

fn read(row: &Row) -> Stored<Device> {
    Ok(Device {
        id: key(row, "id", |text| text.parse().ok())?,
        kind: row.get("kind")?,
        names: (row.get("name_zh")?, row.get("name_en")?),
        state: row.get("state")?,
        cause: row.get("cause")?,
        suspended: row.get("suspended")?,
        since: row.get("since")?,
        last_seen: row.get("last_seen")?,
        grid: row.get("grid")?,
        region: row.get("region")?,
        position: match (row.get("longitude")?, row.get("latitude")?) {
            (Some(longitude), Some(latitude)) => Some([longitude, latitude]),
            _ => None,
        },
        revision: row.get("revision")?,
        session: row.get("session")?,
        today: Day {
            date: row.get("counted_day")?,
            observed_us: row.get("observed_us")?,
            live_us: row.get("live_us")?,
            good_us: row.get("good_us")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use xueliang_events::{
        SessionId,
        payload::{DeviceStatus, Suspension, ZoneOccupancy},
        values::Counts,
    };

    use super::*;
    use crate::store::testing;

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
        let (_folder, store) = testing::sqlite();
        let events = events.to_vec();
        store
            .write_blocking(move |tx| {
                for (second, event) in &events {
                    let mut devices = Devices::load(tx, std::iter::once(event))?;
                    let now = Timestamp::from_second(NOON + second).unwrap();
                    devices.note(event, Here { root: "3402", zone: &TimeZone::UTC, now });
                    devices.store(tx)?;
                }
                Ok(since(tx, 0)?.remove(0))
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
    fn a_suspended_camera_has_its_reason_until_it_runs_again() {
        let Payload::DeviceStatus(stopped) = status(DeviceState::Stopped) else { unreachable!("it is a status") };
        let stopped = DeviceStatus { suspended: Some(Suspension::SignageLapsed), ..stopped };
        let events = [(0, event(1, 0, 0, stopped.into())), (1, event(2, 1, 1, status(DeviceState::Live)))];
        assert_eq!(noted(&events[..1]).suspended.as_deref(), Some("signage_lapsed"));
        assert_eq!(noted(&events).suspended, None);
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
