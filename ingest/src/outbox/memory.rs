//! What must be known after a restart so that no reading counts twice and no sensor is forgotten: written in the same transaction
//! as the readings.
//!
//! Three kinds: the sensors that open groups found, by the filter of their group; readings by their own time and value (the last few of each sensor), and for readings without a time of their own the
//! last delivery of each packet id of an MQTT session.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};
use xueliang_events::SensorId;

use crate::sensor::checks::{REMEMBERED, Seen};

/// What is to be remembered with a message's readings.
#[derive(Debug, Clone, Default)]
pub struct Remember {
    /// Sensors of open groups, with the filter of the group.
    pub found: Vec<(SensorId, String)>,
    /// Readings with a time of their own.
    pub seen: Vec<(SensorId, Seen)>,
    /// The delivery, when a reading has no time of its own.
    pub delivery: Option<Delivery>,
}

/// One QoS 1 delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The session it belongs to.
    pub session: String,
    /// Its packet id.
    pub packet: u16,
    /// SHA-256 of topic and payload.
    pub digest: [u8; 32],
}

/// All that was remembered, at start.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Sensors that open groups found and that spoke lately, with the filter of the group.
    pub found: HashMap<SensorId, String>,
    /// Each sensor's readings, oldest first.
    pub seen: HashMap<SensorId, Vec<Seen>>,
    /// Each session's deliveries by packet id.
    pub deliveries: HashMap<String, HashMap<u16, [u8; 32]>>,
}

/// A sensor that an open group found and that is silent for so long has been taken away.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS found (
        sensor TEXT PRIMARY KEY,
        filter TEXT NOT NULL,
        spoke_s INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS seen (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        sensor TEXT NOT NULL,
        claimed_us INTEGER NOT NULL,
        value REAL NOT NULL
    );
    CREATE INDEX IF NOT EXISTS seen_sensor ON seen (sensor, number);
    CREATE TABLE IF NOT EXISTS delivery (
        session TEXT NOT NULL,
        packet INTEGER NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (session, packet)
    ) WITHOUT ROWID;";

pub(super) fn write(connection: &Connection, remember: &Remember) -> Result<(), rusqlite::Error> {
    let mut insert = connection.prepare_cached("INSERT INTO seen (sensor, claimed_us, value) VALUES (?1, ?2, ?3)")?;
    let mut forget = connection.prepare_cached(
        "DELETE FROM seen WHERE sensor = ?1 AND number <=
             (SELECT number FROM seen WHERE sensor = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?;
    let mut keep =
        connection.prepare_cached("INSERT OR REPLACE INTO found (sensor, filter, spoke_s) VALUES (?1, ?2, ?3)")?;
    for (sensor, filter) in &remember.found {
        keep.execute(params![sensor.as_str(), filter, Timestamp::now().as_second()])?;
    }
    for (sensor, seen) in &remember.seen {
        insert.execute(params![sensor.as_str(), seen.claimed.as_microsecond(), seen.value])?;
        forget.execute(params![sensor.as_str(), i64::try_from(REMEMBERED).unwrap_or(i64::MAX)])?;
    }
    if let Some(Delivery { session, packet, digest }) = &remember.delivery {
        connection
            .prepare_cached("INSERT OR REPLACE INTO delivery (session, packet, digest) VALUES (?1, ?2, ?3)")?
            .execute(params![session, packet, digest.as_slice()])?;
    }
    Ok(())
}

pub(super) fn read(connection: &Connection) -> Result<Remembered, rusqlite::Error> {
    let mut remembered = Remembered::default();
    let mut select = connection.prepare("SELECT sensor, claimed_us, value FROM seen ORDER BY number")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (sensor, claimed_us, value) = row?;
        // Written here, so both are well formed; a file that was changed by hand loses the row only.
        if let (Ok(sensor), Ok(claimed)) = (sensor.parse(), Timestamp::from_microsecond(claimed_us)) {
            remembered.seen.entry(sensor).or_default().push(Seen { claimed, value });
        }
    }
    let since = Timestamp::now().as_second() - FORGOTTEN_AFTER.as_secs();
    connection.execute("DELETE FROM found WHERE spoke_s < ?1", params![since])?;
    let mut select = connection.prepare("SELECT sensor, filter FROM found")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    for row in rows {
        let (sensor, filter) = row?;
        if let Ok(sensor) = sensor.parse() {
            remembered.found.insert(sensor, filter);
        }
    }
    let mut select = connection.prepare("SELECT session, packet, digest FROM delivery")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (session, packet, digest) = row?;
        remembered.deliveries.entry(session).or_default().insert(packet, digest);
    }
    Ok(remembered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_readings_of_each_sensor_and_the_last_delivery_of_each_packet_are_kept() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        let sensor: SensorId = "w-1".parse().unwrap();
        let n_written = 3 * REMEMBERED as i64;
        for number in 0..n_written {
            let seen = Seen { claimed: Timestamp::from_second(number).unwrap(), value: 0.1 };
            let digest = [number as u8; 32];
            let delivery = Some(Delivery { session: "a".to_owned(), packet: 7, digest });
            let found = vec![(sensor.clone(), "water/+".to_owned())];
            write(&connection, &Remember { found, seen: vec![(sensor.clone(), seen)], delivery }).unwrap();
        }
        let remembered = read(&connection).unwrap();
        assert_eq!(remembered.found[&sensor], "water/+");
        let seen = &remembered.seen[&sensor];
        assert_eq!(seen.len(), REMEMBERED);
        assert_eq!(seen.last().unwrap().claimed.as_second(), n_written - 1);
        connection.execute("UPDATE found SET spoke_s = spoke_s - 31 * 86400", []).unwrap();
        assert!(read(&connection).unwrap().found.is_empty(), "it was taken away");
        assert_eq!(remembered.deliveries["a"][&7], [(n_written - 1) as u8; 32]);
    }
}
