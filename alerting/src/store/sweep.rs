//! Deletes what has lived long enough: unlinked events, refusals, idempotency keys, ended sessions.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Transaction;

use super::{Stored, columns::micros};

/// How long a command's key is remembered.
const KEYS_FOR: Duration = Duration::from_secs(24 * 3600);

/// At most so many events at once, so that nobody waits long for the store.
const STEP: usize = 5_000;

/// Deletes one step; true when there may be more.
pub fn sweep(transaction: &Transaction<'_>, retention: Duration, now: Timestamp) -> Stored<bool> {
    let before = |age: Duration| micros(now.checked_sub(age).unwrap_or(Timestamp::MIN));
    let n_deleted = transaction.execute(
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE linked = 0 AND time < ?1 LIMIT ?2)",
        (before(retention), STEP.cast_signed() as i64),
    )?;
    transaction.execute("DELETE FROM refused WHERE at < ?1", [before(retention)])?;
    transaction.execute("DELETE FROM idempotency WHERE at < ?1", [before(KEYS_FOR)])?;
    transaction.execute("DELETE FROM session WHERE expires_at < ?1", [micros(now)])?;
    Ok(n_deleted == STEP)
}
