//! Chains for tests.

use jiff::Timestamp;

use super::{AuditRow, Checkpoint, Decision, Entry, Hash, Head, Keys, Signer, append};

/// When the tests' chains begin: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// Somebody looked at an incident's still.
pub fn entry(utc: Timestamp) -> Entry {
    Entry {
        utc,
        actor: "operator-7".to_owned(),
        unit: Some("centre".to_owned()),
        assignment: Some("operator@3402".to_owned()),
        purpose: Some("incident_handling".to_owned()),
        reason: None,
        action: "view_still".to_owned(),
        resource: "incident/42".to_owned(),
        decision: Decision::Permit,
        rule_ids: vec!["operator-views-stills".to_owned()],
        policy_hash: Hash([0xab; 32]),
    }
}

/// Rows of the same entry.
pub fn chain(n_rows: usize) -> Vec<AuditRow> {
    chain_of(vec![entry(START); n_rows])
}

/// Rows of these entries.
pub fn chain_of(entries: Vec<Entry>) -> Vec<AuditRow> {
    let mut head = Head::GENESIS;
    let follow = |entry| {
        let row = append(head, entry).unwrap();
        head = row.head();
        row
    };
    entries.into_iter().map(follow).collect()
}

/// Each n-th row signed at its own time, and the key.
pub fn signed_each(n: usize, rows: &[AuditRow]) -> (Vec<Checkpoint>, Keys) {
    let signer = Signer::generate().unwrap();
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    for row in rows.iter().skip(n - 1).step_by(n) {
        let checkpoint = Checkpoint::sign(&signer, row.head(), checkpoints.last(), row.entry.utc);
        checkpoints.push(checkpoint);
    }
    (checkpoints, Keys(vec![signer.public_key()]))
}
