//! Rows, reasons and checkpoints as JSON lines, out and in.
//!
//! Invariant: a line is read only when it is, byte for byte, what would be written for it, so a changed byte is never overlooked
//! and every JSON reader sees the same. Lines are bounded; what can't be read is an error with its line, and ends nothing.

use std::{
    borrow::Cow,
    io::{self, BufRead, Write},
};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    canonical::{Hash, from_hex},
    checkpoint::Checkpoint,
    key::KeyId,
    reason::Reason,
    row::{AuditRow, Decision, Entry, Head},
};

/// Longest line, bytes; longer than any row can be.
const MAX_LINE: u64 = 256 * 1024;

/// A row, reason or checkpoint that can't be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Writes one row.
pub fn write_row(out: &mut impl Write, row: &AuditRow) -> io::Result<()> {
    write(out, &RowLine::from(row))
}

/// Writes the reason of row `seq`.
pub fn write_reason(out: &mut impl Write, seq: u64, reason: &Reason) -> io::Result<()> {
    write(out, &ReasonLine { v: Version, seq, salt: Hex(reason.salt), text: Cow::Borrowed(&reason.text) })
}

/// Writes one checkpoint.
pub fn write_checkpoint(out: &mut impl Write, checkpoint: &Checkpoint) -> io::Result<()> {
    let Checkpoint { head, utc, key_id, previous, signature } = checkpoint;
    write(
        out,
        &CheckpointLine {
            v: Version,
            seq: head.seq,
            hash: Hex(head.hash.0),
            utc: *utc,
            key_id: Hex(key_id.0),
            previous: Hex(previous.0),
            signature: Hex(*signature),
        },
    )
}

/// Reads rows.
pub fn rows<R: BufRead>(from: R) -> Lines<R, AuditRow> {
    Lines::new(from, |line| exact::<RowLine<'_>>(line)?.try_into())
}

/// Reads reasons, each with the number of its row.
pub fn reasons<R: BufRead>(from: R) -> Lines<R, (u64, Reason)> {
    Lines::new(from, |line| {
        let ReasonLine { v: _, seq, salt, text } = exact(line)?;
        Ok((seq, Reason { salt: salt.0, text: text.into_owned() }))
    })
}

/// Reads checkpoints. A last line without an end is one that was not finished when the power went, and is passed over.
pub fn checkpoints<R: BufRead>(from: R) -> Lines<R, Checkpoint> {
    Lines { passes_over_torn_end: true, ..Lines::new(from, checkpoint) }
}

pub(super) fn checkpoint(line: &[u8]) -> Result<Checkpoint, String> {
    let CheckpointLine { v: _, seq, hash, utc, key_id, previous, signature } = exact(line)?;
    Ok(Checkpoint {
        head: Head { seq, hash: Hash(hash.0) },
        utc: in_micros(utc)?,
        key_id: KeyId(key_id.0),
        previous: Hash(previous.0),
        signature: signature.0,
    })
}

/// What stands in a file of JSON lines, one after the other.
pub struct Lines<R, T> {
    from: R,
    line: Vec<u8>,
    n_lines: u64,
    has_ended: bool,
    passes_over_torn_end: bool,
    parse: fn(&[u8]) -> Result<T, String>,
}

impl<R: BufRead, T> Lines<R, T> {
    fn new(from: R, parse: fn(&[u8]) -> Result<T, String>) -> Self {
        Self { from, line: Vec::new(), n_lines: 0, has_ended: false, passes_over_torn_end: false, parse }
    }

    fn next_line(&mut self) -> Result<Option<T>, String> {
        self.line.clear();
        let read = io::Read::take(&mut self.from, MAX_LINE).read_until(b'\n', &mut self.line);
        self.n_lines += 1;
        let n_bytes = read.map_err(|error| error.to_string())?;
        if n_bytes == 0 {
            return Ok(None);
        }
        match self.line.strip_suffix(b"\n") {
            Some(line) => (self.parse)(line).map(Some),
            None if n_bytes as u64 == MAX_LINE => Err("is longer than any that is written".to_owned()),
            None if self.passes_over_torn_end => Ok(None),
            None => Err("is cut off".to_owned()),
        }
    }
}

impl<R: BufRead, T> Iterator for Lines<R, T> {
    type Item = Result<T, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let read = self.next_line();
        // Nothing after a line that is cut off, too long or unread can be told apart from its rest.
        self.has_ended = !self.line.ends_with(b"\n");
        read.map_err(|cause| Unreadable(format!("line {}: {cause}", self.n_lines))).transpose()
    }
}

fn write(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Reads a line that has exactly the bytes that it would be written with.
fn exact<'l, L: Deserialize<'l> + Serialize>(line: &'l [u8]) -> Result<L, String> {
    let read: L = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let written = serde_json::to_vec(&read).map_err(|error| error.to_string())?;
    if written == line { Ok(read) } else { Err("is not written as the audit writes it".to_owned()) }
}

fn in_micros(at: Timestamp) -> Result<Timestamp, String> {
    let is_whole = at.subsec_nanosecond() % 1000 == 0;
    if is_whole { Ok(at) } else { Err(format!("{at} has more digits than microseconds")) }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowLine<'l> {
    v: Version,
    seq: u64,
    utc: Timestamp,
    #[serde(borrow)]
    actor: Cow<'l, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Cow<'l, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assignment: Option<Cow<'l, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<Cow<'l, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Hex<32>>,
    #[serde(borrow)]
    action: Cow<'l, str>,
    #[serde(borrow)]
    resource: Cow<'l, str>,
    decision: DecisionKey,
    rule_ids: Cow<'l, [String]>,
    policy_hash: Hex<32>,
    prev_hash: Hex<32>,
    hash: Hex<32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonLine<'l> {
    v: Version,
    seq: u64,
    salt: Hex<32>,
    #[serde(borrow)]
    text: Cow<'l, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    v: Version,
    seq: u64,
    hash: Hex<32>,
    utc: Timestamp,
    key_id: Hex<8>,
    previous: Hex<32>,
    signature: Hex<64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecisionKey {
    Permit,
    Deny,
}

impl<'l> From<&'l AuditRow> for RowLine<'l> {
    fn from(row: &'l AuditRow) -> Self {
        let AuditRow { seq, entry, prev_hash, hash } = row;
        let optional = |text: &'l Option<String>| text.as_deref().map(Cow::Borrowed);
        Self {
            v: Version,
            seq: *seq,
            utc: entry.utc,
            actor: Cow::Borrowed(&entry.actor),
            unit: optional(&entry.unit),
            assignment: optional(&entry.assignment),
            purpose: optional(&entry.purpose),
            reason: entry.reason.map(|reason| Hex(reason.0)),
            action: Cow::Borrowed(&entry.action),
            resource: Cow::Borrowed(&entry.resource),
            decision: match entry.decision {
                Decision::Permit => DecisionKey::Permit,
                Decision::Deny => DecisionKey::Deny,
            },
            rule_ids: Cow::Borrowed(&entry.rule_ids),
            policy_hash: Hex(entry.policy_hash.0),
            prev_hash: Hex(prev_hash.0),
            hash: Hex(hash.0),
        }
    }
}

impl TryFrom<RowLine<'_>> for AuditRow {
    type Error = String;

    fn try_from(line: RowLine<'_>) -> Result<Self, String> {
        let entry = Entry {
            utc: in_micros(line.utc)?,
            actor: line.actor.into_owned(),
            unit: line.unit.map(Cow::into_owned),
            assignment: line.assignment.map(Cow::into_owned),
            purpose: line.purpose.map(Cow::into_owned),
            reason: line.reason.map(|reason| Hash(reason.0)),
            action: line.action.into_owned(),
            resource: line.resource.into_owned(),
            decision: match line.decision {
                DecisionKey::Permit => Decision::Permit,
                DecisionKey::Deny => Decision::Deny,
            },
            rule_ids: line.rule_ids.into_owned(),
            policy_hash: Hash(line.policy_hash.0),
        };
        Ok(Self { seq: line.seq, entry, prev_hash: Hash(line.prev_hash.0), hash: Hash(line.hash.0) })
    }
}

/// The version of the line and of the bytes behind it.
struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(D::Error::custom(format!("v is {other}; this version of Xueliang reads 1"))),
        }
    }
}

/// Bytes as hexadecimal digits.
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        from_hex(&text).map(Self).map_err(D::Error::custom)
    }
}
