//! Devices as their events show them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction};
use xueliang_events::{DeviceId, Event, Payload, Source, payload::DeviceState};

use super::{
    Stored,
    columns::{key, micros, timestamp},
};

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
    /// When it last said anything.
    pub last_seen: Timestamp,
    /// Its grid.
    pub grid: Option<String>,
    /// The region that decides who may see it.
    pub region: String,
    /// Grows with each change of any device.
    pub revision: i64,
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
pub fn note(transaction: &Transaction<'_>, event: &Event, root: &str) -> Stored<()> {
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
        last_seen: event.time,
        grid: None,
        region: root.to_owned(),
        revision: 0,
    });
    let is_newest = event.time >= device.last_seen;
    device.last_seen = device.last_seen.max(event.time);
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
    let shown = |device: &Device| Device { last_seen: Timestamp::UNIX_EPOCH, ..device.clone() };
    if before.as_ref().is_none_or(|before| shown(before) != shown(&device)) {
        device.revision = newest(transaction)? + 1;
        write(transaction, &device)
    } else {
        let mut statement = transaction.prepare_cached("UPDATE device SET last_seen = ?2 WHERE id = ?1")?;
        statement.execute((device.id.as_str(), micros(device.last_seen)))?;
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
        .prepare_cached("INSERT OR REPLACE INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?
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
    })
}
