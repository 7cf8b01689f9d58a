//! Receipts of what was deleted, and the files that are still to go (RULES P16).
//!
//! Invariants: a receipt is written in the transaction that removes the rows; receipts are only added, and the register holds the
//! hash of each transaction's; a still's file goes after that commit, in a transaction that first looks whether the still is shown
//! again, so that a crash between the two leaves a file that goes next time and never a row without its file.

use std::io;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use xueliang_events::values::Digest;

use super::{
    Stored, Tx,
    columns::key,
    sql::{Row, params},
};
use crate::workflow::vocabulary;

vocabulary! {
    /// What was deleted.
    Deleted {
        /// A still that an incident showed, or that none did.
        Still => "still",
        /// A picture that somebody attached.
        Attachment => "attachment",
        /// What a crash left of copying a still.
        TornStill => "torn_still",
        /// Events.
        Events => "events",
        /// Notes of messages that were refused.
        Refusals => "refusals",
        /// Notifications that were delivered or given up.
        Notifications => "notifications",
        /// Ended sessions and remembered keys.
        Sessions => "sessions",
        /// Grants and holds of long ago.
        Grants => "grants",
        /// Rows of the audit that are in an archive.
        Audit => "audit",
        /// An archive of the audit.
        AuditArchive => "audit_archive",
    }
}

vocabulary! {
    /// Why it was deleted.
    Rule {
        /// No incident shows it (72 h).
        Unlinked => "unlinked",
        /// Its incident was closed long enough ago, and no hold is on it.
        Closed => "closed",
        /// Nothing needs it any more.
        Over => "over",
        /// It is in an archive.
        Archived => "archived",
    }
}

/// A receipt.
#[derive(Debug, Clone, Copy)]
pub struct Receipt<'a> {
    /// What was deleted.
    pub kind: Deleted,
    /// Which: an incident's id, a digest, a file's name; empty for many.
    pub object: &'a str,
    /// How many.
    pub n: u64,
    /// Why.
    pub rule: Rule,
    /// Under which settings.
    pub settings: &'a str,
}

/// Writes a receipt; of nothing, none.
pub fn receipt(tx: &Tx<'_>, at: Timestamp, receipt: Receipt<'_>) -> Stored<()> {
    let Receipt { kind, object, n, rule, settings } = receipt;
    if n > 0 {
        tx.execute(
            "INSERT INTO deletion (at, kind, object, n, rule, settings) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![at, kind.as_str(), object, n, rule.as_str(), settings],
        )?;
    }
    Ok(())
}

/// The newest receipt's number; 0 before the first.
pub fn newest(tx: &Tx<'_>) -> Stored<u64> {
    tx.value("SELECT coalesce(max(seq), 0) FROM deletion", &[])
}

/// The hash of the receipts after the first number up to the last, for the register.
pub fn hash(tx: &Tx<'_>, (after, last): (u64, u64)) -> Stored<String> {
    let rows = tx.rows(
        "SELECT seq, at, kind, object, n, rule, settings FROM deletion WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
        params![after, last],
    )?;
    let mut hasher = Sha256::new();
    for row in rows {
        hasher.update(format!("{:?}\n", row.into_values()));
    }
    Ok(hex::encode(hasher.finalize()))
}

/// Notes that the file of a still or an attachment is to go, unless an incident shows it.
pub fn doom(tx: &Tx<'_>, still: &str, now: Timestamp) -> Stored<bool> {
    if is_shown(tx, still)? {
        return Ok(false);
    }
    let sql = "INSERT INTO doomed_still (sha256, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![still, now])? > 0)
}

/// Removes the files of doomed stills after this one; the last one looked at, while there may be more.
pub fn remove_files(tx: &Tx<'_>, after: &str, remove: impl Fn(&Digest) -> io::Result<()>) -> Stored<Option<String>> {
    const STEP: usize = 200;
    let rows =
        tx.rows("SELECT sha256 FROM doomed_still WHERE sha256 > ?1 ORDER BY sha256 LIMIT ?2", params![after, STEP])?;
    for row in &rows {
        let still = key(row, "sha256", |text| Digest::try_from(text.to_owned()).ok())?;
        if !is_shown(tx, still.as_str())?
            && let Err(error) = remove(&still)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(sha256 = still.as_str(), %error, "a deleted still's file can't be removed, tried again later");
            continue;
        }
        tx.execute("DELETE FROM doomed_still WHERE sha256 = ?1", params![still.as_str()])?;
    }
    let last = rows.last().filter(|_| rows.len() == STEP);
    last.map(Row::first).transpose()
}

fn is_shown(tx: &Tx<'_>, still: &str) -> Stored<bool> {
    tx.value(
        "SELECT EXISTS (SELECT 1 FROM incident_snapshot WHERE sha256 = ?1)
             OR EXISTS (SELECT 1 FROM attachment WHERE sha256 = ?1)",
        params![still],
    )
}
