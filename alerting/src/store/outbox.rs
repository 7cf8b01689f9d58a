//! What still has to go to Kafka: written with its effect, leased by one publisher, deleted when it has arrived.

use std::time::Duration;

use jiff::Timestamp;
use xueliang_events::Event;

use super::{StoreError, Stored, Tx, sql::params};

/// How long a publisher may take before another one tries.
const LEASE: Duration = Duration::from_secs(30);

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place.
    pub seq: i64,
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: String,
    /// The event.
    pub json: String,
}

/// Adds an event.
pub fn push(tx: &Tx<'_>, topic: &str, event: &Event) -> Stored<()> {
    let corrupt = |value: String| StoreError::Corrupt { what: "an event of ours", value };
    let bytes = event.to_json().map_err(|error| corrupt(error.to_string()))?;
    let json = String::from_utf8(bytes).map_err(|error| corrupt(error.to_string()))?;
    tx.execute("INSERT INTO outbox (topic, key, json) VALUES (?1, ?2, ?3)", params![topic, event.source.key(), json])?;
    Ok(())
}

/// Takes the oldest messages that nobody else is sending.
pub fn lease(tx: &Tx<'_>, now: Timestamp) -> Stored<Vec<Message>> {
    let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
    let rows = tx.rows(
        "UPDATE outbox SET leased_until = ?1 WHERE seq IN
         (SELECT seq FROM outbox WHERE leased_until <= ?2 ORDER BY seq LIMIT 100) RETURNING seq, topic, key, json",
        params![until, now],
    )?;
    let read = |row: &super::sql::Row| -> Stored<Message> {
        Ok(Message { seq: row.get("seq")?, topic: row.get("topic")?, key: row.get("key")?, json: row.get("json")? })
    };
    let mut messages = rows.iter().map(read).collect::<Stored<Vec<Message>>>()?;
    messages.sort_by_key(|message| message.seq);
    Ok(messages)
}

/// Deletes what has arrived and gives the rest back.
pub fn settle(tx: &Tx<'_>, arrived: &[i64], failed: &[i64]) -> Stored<()> {
    let each = |seqs: &[i64]| -> Vec<Vec<super::sql::Value>> { seqs.iter().map(|seq| vec![(*seq).into()]).collect() };
    tx.execute_each("DELETE FROM outbox WHERE seq = ?1", &each(arrived))?;
    tx.execute_each("UPDATE outbox SET leased_until = 0 WHERE seq = ?1", &each(failed))?;
    Ok(())
}
