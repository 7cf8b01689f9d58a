//! Deletes what has lived long enough: unlinked events, refusals, idempotency keys, ended sessions, failed sign-ins.

use std::time::Duration;

use jiff::Timestamp;

use super::{Stored, Tx, failures, people, sql::params};

/// How long a command's key is remembered.
const KEYS_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long it can be seen what became of a notification.
const TOLD_FOR: Duration = Duration::from_secs(30 * 86_400);

/// At most so many events at once, so that nobody waits long for the store.
const STEP: u64 = 5_000;

/// Deletes one step; true when there may be more.
pub fn sweep(tx: &Tx<'_>, retention: Duration, now: Timestamp) -> Stored<bool> {
    let before = |age: Duration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let n_deleted = tx.execute(
        "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE linked = 0 AND time < ?1 LIMIT ?2)",
        params![before(retention), STEP],
    )?;
    tx.execute("DELETE FROM refused WHERE at < ?1", params![before(retention)])?;
    tx.execute("DELETE FROM idempotency WHERE at < ?1", params![before(KEYS_FOR)])?;
    tx.execute("DELETE FROM notification WHERE outcome <> 'waiting' AND made_at < ?1", params![before(TOLD_FOR)])?;
    people::sweep(tx, now)?;
    failures::sweep(tx, now)?;
    Ok(n_deleted == STEP)
}
