//! Deletes what has lived long enough, with a receipt each: what a closed incident showed, unlinked events, and what nobody needs any
//! more (RULES P16).
//!
//! Invariants: an incident's stills and events go once it has been closed, discarded or voided for as long as the settings say, and
//! never while it is held (P17); one step touches a bounded number of rows, so that nobody waits long for the store.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Stored, Tx,
    deletions::{Deleted, Receipt, Rule, doom, receipt},
    failures, people,
    sql::params,
};
use crate::{
    audit::retention::{ARCHIVE_MONTHS, months_before},
    retention::Retention,
};

/// How long a command's key is remembered.
const KEYS_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long it can be seen what became of a notification.
const TOLD_FOR: Duration = Duration::from_secs(30 * 86_400);

/// At most so many events at once.
const STEP: u64 = 5_000;
/// At most so many incidents at once.
const INCIDENTS: u64 = 20;

/// Deletes one step; true when there may be more.
pub fn sweep(tx: &Tx<'_>, retention: &Retention, now: Timestamp) -> Stored<bool> {
    let sweep = Sweep { tx, settings: &retention.told(), now };
    let n_events = sweep.unlinked_events(retention.unlinked)?;
    sweep.what_is_over(retention.unlinked)?;
    let n_emptied = sweep.closed_incidents(retention.closed)?;
    Ok(n_events == STEP || n_emptied == INCIDENTS)
}

struct Sweep<'s> {
    tx: &'s Tx<'s>,
    settings: &'s str,
    now: Timestamp,
}

impl Sweep<'_> {
    fn before(&self, age: Duration) -> Timestamp {
        self.now.checked_sub(age).unwrap_or(Timestamp::MIN)
    }

    fn receipt(&self, (kind, object): (Deleted, &str), n: u64, rule: Rule) -> Stored<()> {
        receipt(self.tx, self.now, Receipt { kind, object, n, rule, settings: self.settings })
    }

    fn unlinked_events(&self, keep: Duration) -> Stored<u64> {
        let n = self.tx.execute(
            "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE linked = 0 AND time < ?1 LIMIT ?2)",
            params![self.before(keep), STEP],
        )?;
        self.receipt((Deleted::Events, ""), n, Rule::Unlinked)?;
        Ok(n)
    }

    fn what_is_over(&self, keep: Duration) -> Stored<()> {
        let delete = |sql: &str, before: Timestamp| self.tx.execute(sql, params![before]);
        let over = |kind, n| self.receipt((kind, ""), n, Rule::Over);
        over(Deleted::Refusals, delete("DELETE FROM refused WHERE at < ?1", self.before(keep))?)?;
        let told = "DELETE FROM notification WHERE outcome <> 'waiting' AND made_at < ?1";
        over(Deleted::Notifications, delete(told, self.before(TOLD_FOR))?)?;
        let n_keys = delete("DELETE FROM idempotency WHERE at < ?1", self.before(KEYS_FOR))?;
        let n_sessions = people::sweep(self.tx, self.now)?;
        failures::sweep(self.tx, self.now)?;
        over(Deleted::Sessions, n_keys + n_sessions)?;
        // Records of provision are kept for three years (P27), like the archives of the audit.
        let years_ago = months_before(self.now, ARCHIVE_MONTHS);
        let n_holds = delete("DELETE FROM hold WHERE ends_at < ?1", years_ago)?;
        let n_grants = delete("DELETE FROM grant_request WHERE requested_at < ?1", years_ago)?;
        over(Deleted::Grants, n_holds + n_grants)
    }

    /// How many incidents lost what they showed.
    fn closed_incidents(&self, keep: Duration) -> Stored<u64> {
        // What was discarded or voided has no `closed_at`: it ended with its last move. A comment moves nothing.
        let rows = self.tx.rows(
            "SELECT id FROM incident WHERE is_open = 0 AND emptied_at IS NULL
             AND coalesce(closed_at, (SELECT max(change.at) FROM change WHERE change.incident = incident.id
                 AND change.from_state <> change.to_state), updated_at) < ?1
             AND NOT EXISTS (SELECT 1 FROM hold WHERE hold.incident = incident.id AND hold.ends_at > ?2)
             ORDER BY id LIMIT ?3",
            params![self.before(keep), self.now, INCIDENTS],
        )?;
        for row in &rows {
            self.empty(&row.first::<String>()?)?;
        }
        Ok(rows.len() as u64)
    }

    fn pictures(&self, incident: &str, (kind, table): (Deleted, &str)) -> Stored<()> {
        let rows = self.tx.rows(&format!("SELECT sha256 FROM {table} WHERE incident = ?1"), params![incident])?;
        self.tx.execute(&format!("DELETE FROM {table} WHERE incident = ?1"), params![incident])?;
        for row in &rows {
            let picture: String = row.first()?;
            self.receipt((kind, &format!("incident/{incident}/{}/{picture}", kind.as_str())), 1, Rule::Closed)?;
            doom(self.tx, &picture, self.now)?;
        }
        Ok(())
    }

    fn empty(&self, incident: &str) -> Stored<()> {
        self.pictures(incident, (Deleted::Still, "incident_snapshot"))?;
        self.pictures(incident, (Deleted::Attachment, "attachment"))?;
        // Another incident may show the same event.
        let n_events = self.tx.execute(
            "DELETE FROM event WHERE id IN (SELECT event FROM incident_event WHERE incident = ?1)
             AND NOT EXISTS (SELECT 1 FROM incident_event AS other WHERE other.event = event.id AND other.incident <> ?1)",
            params![incident],
        )?;
        self.tx.execute("DELETE FROM incident_event WHERE incident = ?1", params![incident])?;
        self.receipt((Deleted::Events, &format!("incident/{incident}")), n_events, Rule::Closed)?;
        let sql = "UPDATE incident SET snapshot = NULL, emptied_at = ?2 WHERE id = ?1";
        self.tx.execute(sql, params![incident, self.now]).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
