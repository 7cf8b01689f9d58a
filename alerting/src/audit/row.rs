//! One row of the audit, and how it follows the one before.
//!
//! In: the head of the chain and an entry. Out: the row, whose hash covers the head's. Invariant: a row is never longer than
//! its bounds allow. Pure: the caller stores the row, in the same transaction in which it read the head.

use jiff::Timestamp;

use super::{
    canonical::{Canonical, Hash},
    whole_micros,
};

const DOMAIN: &str = "xueliang/audit/row/v1";

/// Longest name of somebody or something, bytes.
const MAX_NAME: usize = 256;
/// Longest resource, bytes.
const MAX_RESOURCE: usize = 1024;
const MAX_RULE_IDS: usize = 64;

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, by the clock of whoever wrote it; rows are ordered by their number.
    pub utc: Timestamp,
    /// The account or service that asked. An account's id, not a person's name.
    pub actor: String,
    /// Its unit.
    pub unit: Option<String>,
    /// role@region, when one was used.
    pub assignment: Option<String>,
    /// What for, when it was said.
    pub purpose: Option<String>,
    /// The commitment to the [`Reason`](super::Reason) that stands beside the chain.
    pub reason: Option<Hash>,
    /// What was asked for.
    pub action: String,
    /// Of what.
    pub resource: String,
    /// The answer.
    pub decision: Decision,
    /// The policies that gave it.
    pub rule_ids: Vec<String>,
    /// The hash of all policies that were in force.
    pub policy_hash: Hash,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Permit,
    /// It may not.
    Deny,
}

/// An entry in its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; the first is 1 and none is left out.
    pub seq: u64,
    /// What is written down.
    pub entry: Entry,
    /// The hash of the row before; zeros at the first.
    pub prev_hash: Hash,
    /// Its own.
    pub hash: Hash,
}

/// The last row of a chain, by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Head {
    /// Of a chain without rows.
    pub const GENESIS: Self = Self { seq: 0, hash: Hash::ZERO };
}

/// Why an entry can't be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Nothing in it.
    #[error("{0} is empty; name it")]
    Empty(&'static str),
    /// Too much in it.
    #[error("{field} has {len} bytes; keep it to {most}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// What it has.
        len: usize,
        /// What it may have.
        most: usize,
    },
    /// Too many policies.
    #[error("{0} rule ids; name the {MAX_RULE_IDS} that decided")]
    TooManyRules(usize),
    /// The chain has reached the last number.
    #[error("the chain is at its last number; begin another")]
    Full,
}

/// Puts an entry behind the head. Its time is cut to microseconds.
pub fn append(head: Head, mut entry: Entry) -> Result<AuditRow, EntryError> {
    check(&entry)?;
    entry.utc = whole_micros(entry.utc);
    let seq = head.seq.checked_add(1).ok_or(EntryError::Full)?;
    let mut row = AuditRow { seq, entry, prev_hash: head.hash, hash: Hash::ZERO };
    row.hash = row.computed_hash();
    Ok(row)
}

impl AuditRow {
    /// The hash that its contents have.
    pub fn computed_hash(&self) -> Hash {
        self.canonical().hash()
    }

    /// The head of a chain that ends with it.
    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }

    pub(super) fn canonical(&self) -> Canonical {
        let entry = &self.entry;
        let optional = |bytes: Canonical, text: &Option<String>| bytes.optional(text.as_deref(), Canonical::text);
        let bytes = Canonical::new(DOMAIN).bytes(&self.prev_hash.0).number(self.seq).time(entry.utc).text(&entry.actor);
        let bytes = optional(bytes, &entry.unit);
        let bytes = optional(bytes, &entry.assignment);
        let bytes = optional(bytes, &entry.purpose);
        let bytes = bytes.optional(entry.reason, |bytes, reason| bytes.bytes(&reason.0));
        let bytes = bytes.text(&entry.action).text(&entry.resource);
        let bytes = bytes.bytes(&[match entry.decision {
            Decision::Deny => 0,
            Decision::Permit => 1,
        }]);
        let bytes = bytes.number(entry.rule_ids.len() as u64);
        let bytes = entry.rule_ids.iter().fold(bytes, |bytes, id| bytes.text(id));
        bytes.bytes(&entry.policy_hash.0)
    }
}

fn check(entry: &Entry) -> Result<(), EntryError> {
    let bounded = |field, text: &str, most| match text.len() {
        0 => Err(EntryError::Empty(field)),
        len if len > most => Err(EntryError::TooLong { field, len, most }),
        _ => Ok(()),
    };
    bounded("actor", &entry.actor, MAX_NAME)?;
    bounded("action", &entry.action, MAX_NAME)?;
    bounded("resource", &entry.resource, MAX_RESOURCE)?;
    let optional = [("unit", &entry.unit), ("assignment", &entry.assignment), ("purpose", &entry.purpose)];
    for (field, text) in optional {
        text.as_deref().map_or(Ok(()), |text| bounded(field, text, MAX_NAME))?;
    }
    if entry.rule_ids.len() > MAX_RULE_IDS {
        return Err(EntryError::TooManyRules(entry.rule_ids.len()));
    }
    entry.rule_ids.iter().try_for_each(|id| bounded("rule_ids", id, MAX_NAME))
}
