//! Reads alerting's SQLite file beside the running process, to compare what is stored with what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// Ids of all stored events.
pub fn event_ids(data_dir: &Path) -> BTreeSet<String> {
    let connection = open(data_dir);
    let mut select = connection.prepare("SELECT id FROM event").unwrap();
    let ids = select.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}

/// The devices that have events beside these.
pub fn devices_beyond(data_dir: &Path, known: &BTreeSet<String>) -> BTreeSet<String> {
    let connection = open(data_dir);
    let mut select = connection.prepare("SELECT id, device FROM event").unwrap();
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    rows.map(Result::unwrap).filter(|(id, _)| !known.contains(id)).map(|(_, device)| device).collect()
}

/// Number of stored events; more than there are ids means one twice.
pub fn n_events(data_dir: &Path) -> usize {
    open(data_dir).query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap()
}

/// All stored events of a device.
pub fn events(data_dir: &Path, device: &str) -> Vec<Value> {
    let connection = open(data_dir);
    let mut select = connection.prepare("SELECT json FROM event WHERE device = ?1").unwrap();
    let rows = select.query_map([device], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|json| serde_json::from_str(&json.unwrap()).unwrap()).collect()
}

/// The values of all stored readings of a sensor.
pub fn readings(data_dir: &Path, sensor: &str) -> Vec<f64> {
    let events = events(data_dir, sensor).into_iter();
    let readings = events.filter(|event| event["type"] == "xueliang.sensor.reading.v1");
    readings.map(|event| event["data"]["value"].as_f64().unwrap()).collect()
}

/// Panics unless each session's events are stored from 0 on without a gap; the number of camera sessions.
pub fn check_sequences(data_dir: &Path) -> usize {
    let connection = open(data_dir);
    let mut select = connection.prepare("SELECT json FROM event").unwrap();
    let mut sessions: BTreeMap<(String, String), BTreeSet<u64>> = BTreeMap::new();
    for json in select.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        let event: Value = serde_json::from_str(&json.unwrap()).unwrap();
        let text = |field: &str| event[field].as_str().unwrap().to_owned();
        let is_new =
            sessions.entry((text("source"), text("session"))).or_default().insert(event["sequence"].as_u64().unwrap());
        assert!(is_new, "{event} is stored twice");
    }
    for (session, sequences) in &sessions {
        let expected: BTreeSet<u64> = (0..sequences.len() as u64).collect();
        let missing: Vec<&u64> = expected.difference(sequences).collect();
        assert!(missing.is_empty(), "{session:?} misses {missing:?} of {}", sequences.len());
    }
    sessions.keys().filter(|(source, _)| source.starts_with("/cameras/")).count()
}

fn open(data_dir: &Path) -> Connection {
    let file = data_dir.join("alerting.sqlite");
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}
