//! The audit: who asked for what, when, why, and what was decided; kept so that nobody can change it unseen (RULES P19, P27).
//!
//! An [`Entry`] is appended to a [`Head`] and becomes an [`AuditRow`], whose hash covers the row before it. Now and then a
//! [`Checkpoint`] signs the head in a second place. [`verify`] reads rows and checkpoints as a stream and names the first bad row.
//! Personal text stands beside the chain as a [`Reason`]: it may be deleted, the chain goes on to hold. Bytes and files are
//! described in `docs/audit.md`. Not here: where rows are stored, and who may read them.

mod canonical;
mod checkpoint;
mod key;
pub mod lines;
mod log;
mod reason;
pub mod retention;
mod row;
mod settings;
mod verify;

pub use canonical::{Hash, NotHex};
pub use checkpoint::Checkpoint;
pub use key::{KeyError, KeyId, Keys, PublicKey, Signer};
pub use log::{CheckpointError, CheckpointLog};
pub use reason::Reason;
pub use row::{AuditRow, Decision, Entry, EntryError, Head, append};
pub use settings::{AuditSettings, Pace};
pub use verify::{Extent, Fault, FirstBad, Verified, Verifier, Witness, verify};

/// A time as the audit keeps it: whole microseconds, cut off.
fn whole_micros(at: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
