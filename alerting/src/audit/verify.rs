//! Whether the audit holds: rows against each other, against signed checkpoints, and reasons against their rows.
//!
//! In: rows, reasons and checkpoints as streams in ascending order, and public keys. Out: what was verified, or the first bad row.
//! Memory is constant. What can't be seen: a change or loss after the last checkpoint that leaves the chain whole, and a loss of
//! the last checkpoints together with their rows; `docs/audit.md` says what helps against that.

mod beside;
mod signed;

use jiff::Timestamp;

use self::{beside::Beside, signed::Signed};
use super::{
    canonical::Hash,
    checkpoint::Checkpoint,
    key::{KeyId, Keys},
    lines::Unreadable,
    reason::Reason,
    row::{AuditRow, Head},
};

/// What rows are verified against.
#[derive(Debug)]
pub struct Witness<'k, C> {
    /// All checkpoints, from the first.
    pub checkpoints: C,
    /// The public keys that are trusted.
    pub keys: &'k Keys,
}

/// Where rows must begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What a store holds: from the first row, or from a checkpoint that was signed before `hot_from`, to the last checkpoint or beyond.
    Live {
        /// Rows since then must be there.
        hot_from: Timestamp,
    },
    /// What was archived: from the first row or any checkpoint to another.
    Archive,
}

/// What holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows.
    pub n_rows: u64,
    /// The first row's number; 0 without rows.
    pub first: u64,
    /// The last row's number; 0 without rows.
    pub last: u64,
    /// Checkpoints whose rows were seen, and the one before the first row.
    pub n_checkpoints: u64,
    /// The last row that is vouched for by a checkpoint; 0 without. Rows after it vouch only for each other.
    pub last_signed: u64,
    /// Reasons that fit their rows.
    pub n_reasons: u64,
}

/// The first row that is not, or may not be, the one that was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {seq}: {what}")]
pub struct FirstBad {
    /// Its number.
    pub seq: u64,
    /// What is wrong.
    pub what: Fault,
}

/// What is wrong with a row or its witnesses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Can't be read.
    #[error("can't be read: {0}")]
    Unreadable(Unreadable),
    /// Its hash is not that of its contents.
    #[error("was changed: its contents don't have its hash")]
    Changed,
    /// It, and maybe more after it, is not there.
    #[error("is missing")]
    Missing,
    /// It comes again, or too late.
    #[error("stands where another should")]
    Misplaced,
    /// The row after it was chained to another.
    #[error("was replaced: the next row was chained to another")]
    Replaced,
    /// The row before it is vouched for and is not the one that it was chained to.
    #[error("was chained to another row than the one before it")]
    Unlinked,
    /// The chain is whole and is not the one that was signed.
    #[error("is not the one that was signed: a row after {after} was replaced and all that follow with it")]
    NotAsSigned {
        /// The last row before it that is vouched for; 0 for none.
        after: u64,
    },
    /// Old rows went before their time.
    #[error("is missing: rows up to {cut_at} were cut off before their time")]
    CutTooEarly {
        /// The last that is gone.
        cut_at: u64,
    },
    /// An archive ends where nothing vouches for its last row.
    #[error("ends the archive without a checkpoint")]
    NotAnchored,
    /// A checkpoint can't be read.
    #[error("a checkpoint from here on can't be read: {0}")]
    UnreadableCheckpoint(Unreadable),
    /// A checkpoint's key is not among the trusted.
    #[error("its checkpoint is signed by key {0}, which is not among those given")]
    UnknownKey(KeyId),
    /// A checkpoint's signature is wrong.
    #[error("its checkpoint is forged or was changed: the signature doesn't fit")]
    Forged,
    /// A checkpoint doesn't follow the one before it.
    #[error("its checkpoint doesn't follow that of row {after}: one was removed, repeated or moved")]
    CheckpointMisplaced {
        /// The row of the checkpoint before; 0 for none.
        after: u64,
    },
    /// A reason can't be read.
    #[error("a reason from here on can't be read: {0}")]
    UnreadableReason(Unreadable),
    /// A reason is not the one that was given.
    #[error("the reason beside it is not the one that was given")]
    ReasonSwapped,
    /// A reason belongs to no row, or comes out of order.
    #[error("a reason stands beside it and it has no place here")]
    ReasonMisplaced,
}

/// Verifies a stream of rows; reasons that were deleted are not missed.
pub fn verify<R, T, C>(rows: R, reasons: T, witness: Witness<'_, C>, extent: Extent) -> Result<Verified, FirstBad>
where
    R: IntoIterator<Item = Result<AuditRow, Unreadable>>,
    T: IntoIterator<Item = Result<(u64, Reason), Unreadable>>,
    C: Iterator<Item = Result<Checkpoint, Unreadable>>,
{
    let mut verifier = Verifier::new(reasons.into_iter(), witness, extent);
    for row in rows {
        match row {
            Ok(row) => verifier.row(&row)?,
            Err(cause) => return Err(verifier.unreadable(cause)),
        }
    }
    verifier.finish()
}

/// Verifies rows as they are given to it.
pub struct Verifier<'k, T: Iterator, C> {
    signed: Signed<'k, C>,
    reasons: Beside<T>,
    extent: Extent,
    /// The last row that holds; `None` before any.
    head: Option<Head>,
    seen: Verified,
}

impl<'k, T, C> Verifier<'k, T, C>
where
    T: Iterator<Item = Result<(u64, Reason), Unreadable>>,
    C: Iterator<Item = Result<Checkpoint, Unreadable>>,
{
    /// Has seen no row.
    pub fn new(reasons: T, witness: Witness<'k, C>, extent: Extent) -> Self {
        let (signed, reasons) = (Signed::new(witness), Beside::new(reasons));
        Self { signed, reasons, extent, head: None, seen: Verified::default() }
    }

    /// Takes the next row.
    pub fn row(&mut self, row: &AuditRow) -> Result<(), FirstBad> {
        let head = match self.head {
            Some(head) => head,
            None => self.begin(row)?,
        };
        self.follow(head, row)?;
        self.meet_checkpoints(row.head())?;
        self.seen.n_reasons += u64::from(self.reasons.meet(row)?);
        self.seen.n_rows += 1;
        self.seen.last = row.seq;
        if self.seen.n_rows == 1 {
            self.seen.first = row.seq;
        }
        self.head = Some(row.head());
        Ok(())
    }

    /// Names the row that should have come.
    pub fn unreadable(&self, cause: Unreadable) -> FirstBad {
        FirstBad { seq: self.head.map_or(1, |head| head.seq.saturating_add(1)), what: Fault::Unreadable(cause) }
    }

    /// There are no more rows.
    pub fn finish(mut self) -> Result<Verified, FirstBad> {
        let last = self.seen.last;
        self.reasons.finish(last)?;
        match self.extent {
            Extent::Archive if self.seen.last_signed != last => Err(FirstBad { seq: last, what: Fault::NotAnchored }),
            Extent::Archive => Ok(self.seen),
            Extent::Live { .. } => match self.signed.next() {
                None => Ok(self.seen),
                Some(Err(bad)) => Err(bad),
                Some(Ok(_)) => Err(FirstBad { seq: last.saturating_add(1), what: Fault::Missing }),
            },
        }
    }

    /// What the first row must follow: nothing, or a checkpoint at which rows may have been cut.
    fn begin(&mut self, row: &AuditRow) -> Result<Head, FirstBad> {
        if row.prev_hash == Hash::ZERO {
            return Ok(Head::GENESIS);
        }
        // The last row that may be gone.
        let mut gone = 0;
        while let Some(next) = self.signed.next() {
            let checkpoint = match next {
                Err(bad) if bad.seq < row.seq => return Err(bad),
                Err(_) => break,
                Ok(checkpoint) => checkpoint,
            };
            let may_cut = self.may_cut_at(&checkpoint);
            if checkpoint.head.hash == row.prev_hash {
                if !may_cut {
                    let what = Fault::CutTooEarly { cut_at: checkpoint.head.seq };
                    return Err(FirstBad { seq: gone + 1, what });
                }
                self.seen.n_checkpoints += 1;
                self.seen.last_signed = checkpoint.head.seq;
                return Ok(checkpoint.head);
            }
            if may_cut && checkpoint.head.seq < row.seq {
                gone = checkpoint.head.seq;
            }
        }
        let what = if gone + 1 < row.seq {
            Fault::Missing
        } else if row.computed_hash() != row.hash {
            Fault::Changed
        } else {
            Fault::Unlinked
        };
        Err(FirstBad { seq: gone + 1, what })
    }

    fn may_cut_at(&self, checkpoint: &Checkpoint) -> bool {
        match self.extent {
            Extent::Live { hot_from } => checkpoint.utc < hot_from,
            Extent::Archive => true,
        }
    }

    /// The row's own hash first: where it doesn't fit, its number can't be believed either.
    fn follow(&self, head: Head, row: &AuditRow) -> Result<(), FirstBad> {
        let expected = head.seq.saturating_add(1);
        if row.computed_hash() != row.hash {
            return Err(FirstBad { seq: expected, what: Fault::Changed });
        }
        if row.seq > expected {
            return Err(FirstBad { seq: expected, what: Fault::Missing });
        }
        if row.seq < expected {
            return Err(FirstBad { seq: row.seq, what: Fault::Misplaced });
        }
        if row.prev_hash != head.hash {
            let is_vouched_for = head.seq == self.seen.last_signed;
            let (seq, what) = if is_vouched_for { (row.seq, Fault::Unlinked) } else { (head.seq, Fault::Replaced) };
            return Err(FirstBad { seq, what });
        }
        Ok(())
    }

    fn meet_checkpoints(&mut self, head: Head) -> Result<(), FirstBad> {
        while let Some(checkpoint) = self.signed.next_up_to(head.seq) {
            let signed = checkpoint?.head;
            if signed.seq == head.seq && signed.hash != head.hash {
                return Err(FirstBad { seq: head.seq, what: Fault::NotAsSigned { after: self.seen.last_signed } });
            }
            self.seen.n_checkpoints += 1;
            self.seen.last_signed = signed.seq;
        }
        Ok(())
    }
}
