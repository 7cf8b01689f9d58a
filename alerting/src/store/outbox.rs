//! What still has to go to Kafka: written with its effect, leased by one publisher, deleted when it has arrived.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Transaction, params_from_iter};
use xueliang_events::Event;

use super::{StoreError, Stored, columns::micros};

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
pub fn push(transaction: &Transaction<'_>, topic: &str, event: &Event) -> Stored<()> {
    let corrupt = |value: String| StoreError::Corrupt { what: "an event of ours", value };
    let bytes = event.to_json().map_err(|error| corrupt(error.to_string()))?;
    let json = String::from_utf8(bytes).map_err(|error| corrupt(error.to_string()))?;
    transaction.prepare_cached("INSERT INTO outbox (topic, key, json) VALUES (?1, ?2, ?3)")?.execute((
        topic,
        event.source.key(),
        json,
    ))?;
    Ok(())
}

/// Takes the oldest messages that nobody else is sending.
pub fn lease(transaction: &Transaction<'_>, now: Timestamp) -> Stored<Vec<Message>> {
    let until = micros(now.checked_add(LEASE).unwrap_or(Timestamp::MAX));
    let mut statement = transaction.prepare_cached(
        "UPDATE outbox SET leased_until = ?1 WHERE seq IN
         (SELECT seq FROM outbox WHERE leased_until <= ?2 ORDER BY seq LIMIT 100) RETURNING seq, topic, key, json",
    )?;
    let rows = statement.query_map((until, micros(now)), |row| {
        Ok(Message { seq: row.get(0)?, topic: row.get(1)?, key: row.get(2)?, json: row.get(3)? })
    })?;
    let mut messages: Vec<Message> = rows.collect::<Result<_, _>>()?;
    messages.sort_by_key(|message| message.seq);
    Ok(messages)
}

/// Deletes what has arrived and gives the rest back.
pub fn settle(transaction: &Transaction<'_>, arrived: &[i64], failed: &[i64]) -> Stored<()> {
    let list = |seqs: &[i64]| vec!["?"; seqs.len()].join(", ");
    transaction.execute(&format!("DELETE FROM outbox WHERE seq IN ({})", list(arrived)), params_from_iter(arrived))?;
    let again = format!("UPDATE outbox SET leased_until = 0 WHERE seq IN ({})", list(failed));
    transaction.execute(&again, params_from_iter(failed))?;
    Ok(())
}
