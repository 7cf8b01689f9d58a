//! Reasons beside the rows: each must be the one that its row was committed to. One that is gone is not missed.

use std::iter::Peekable;

use super::{Fault, FirstBad};
use crate::audit::{lines::Unreadable, reason::Reason, row::AuditRow};

pub(super) struct Beside<T: Iterator>(Peekable<T>);

impl<T: Iterator<Item = Result<(u64, Reason), Unreadable>>> Beside<T> {
    pub fn new(reasons: T) -> Self {
        Self(reasons.peekable())
    }

    /// True when the row's reason is there and is the right one.
    pub fn meet(&mut self, row: &AuditRow) -> Result<bool, FirstBad> {
        let is_due = |next: &T::Item| next.as_ref().map_or(true, |(seq, _)| *seq <= row.seq);
        let (seq, reason) = match self.0.next_if(is_due) {
            None => return Ok(false),
            Some(Err(cause)) => return Err(FirstBad { seq: row.seq, what: Fault::UnreadableReason(cause) }),
            Some(Ok(next)) => next,
        };
        if seq < row.seq {
            return Err(FirstBad { seq, what: Fault::ReasonMisplaced });
        }
        match row.entry.reason {
            Some(commitment) if reason.fits(commitment) => Ok(true),
            _ => Err(FirstBad { seq, what: Fault::ReasonSwapped }),
        }
    }

    /// After the last row no reason may be left.
    pub fn finish(&mut self, last: u64) -> Result<(), FirstBad> {
        match self.0.next() {
            None => Ok(()),
            Some(Err(cause)) => Err(FirstBad { seq: last, what: Fault::UnreadableReason(cause) }),
            Some(Ok((seq, _))) => Err(FirstBad { seq, what: Fault::ReasonMisplaced }),
        }
    }
}
