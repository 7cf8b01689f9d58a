//! Who asked for which still, why, and what the answer was (RULES P19); written before anything is served.

use jiff::Timestamp;
use xueliang_events::{IncidentId, values::Digest};

use super::{Stored, Tx, sql::params};

/// One request for a still.
#[derive(Debug, Clone)]
pub struct View {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub account: String,
    /// Of which incident.
    pub incident: IncidentId,
    /// Which still.
    pub sha256: Digest,
    /// For what purpose.
    pub purpose: &'static str,
    /// Why, in words.
    pub reason: String,
    /// Whether it was permitted.
    pub permitted: bool,
}

/// Writes a view down.
pub fn register(tx: &Tx<'_>, view: &View) -> Stored<()> {
    let decision = if view.permitted { "permit" } else { "deny" };
    tx.execute(
        "INSERT INTO view (at, account, incident, sha256, purpose, reason, decision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            view.at,
            &view.account,
            view.incident.to_string(),
            view.sha256.as_str(),
            view.purpose,
            &view.reason,
            decision,
        ],
    )?;
    Ok(())
}
