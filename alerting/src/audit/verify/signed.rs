//! Checkpoints, each checked before it is believed: its key, its signature, and that it follows the one before.
//!
//! A bad one is not told before the rows have come to it, so that a bad row before it is named first.

use super::{Fault, FirstBad, Witness};
use crate::audit::{canonical::Hash, checkpoint::Checkpoint, key::Keys, lines::Unreadable};

pub(super) struct Signed<'k, C> {
    from: C,
    keys: &'k Keys,
    /// The last good one that was read.
    last: Option<Checkpoint>,
    /// Read, and not yet asked for.
    kept: Option<Result<Checkpoint, FirstBad>>,
}

impl<'k, C: Iterator<Item = Result<Checkpoint, Unreadable>>> Signed<'k, C> {
    pub fn new(witness: Witness<'k, C>) -> Self {
        Self { from: witness.checkpoints, keys: witness.keys, last: None, kept: None }
    }

    /// The next one.
    pub fn next(&mut self) -> Option<Result<Checkpoint, FirstBad>> {
        if let Some(kept) = self.kept.take() {
            return Some(kept);
        }
        let checked = self.from.next()?.map_err(|cause| FirstBad {
            seq: self.last_seq().saturating_add(1),
            what: Fault::UnreadableCheckpoint(cause),
        });
        let checked = checked.and_then(|checkpoint| self.check(checkpoint));
        if let Ok(checkpoint) = &checked {
            self.last = Some(checkpoint.clone());
        }
        Some(checked)
    }

    /// The next one, if it is about this row or one before.
    pub fn next_up_to(&mut self, seq: u64) -> Option<Result<Checkpoint, FirstBad>> {
        let next = self.next()?;
        let about = match &next {
            Ok(checkpoint) => checkpoint.head.seq,
            Err(bad) => bad.seq,
        };
        if about <= seq {
            return Some(next);
        }
        self.kept = Some(next);
        None
    }

    fn check(&self, checkpoint: Checkpoint) -> Result<Checkpoint, FirstBad> {
        let after = self.last_seq();
        // What a forged one says of its row is not believed against what good ones have vouched for.
        let bad = |what| Err(FirstBad { seq: checkpoint.head.seq.max(after.saturating_add(1)), what });
        let Some(key) = self.keys.get(checkpoint.key_id) else { return bad(Fault::UnknownKey(checkpoint.key_id)) };
        if !checkpoint.is_signed_by(key) {
            return bad(Fault::Forged);
        }
        let expected = self.last.as_ref().map_or(Hash::ZERO, Checkpoint::fingerprint);
        if checkpoint.previous != expected || checkpoint.head.seq <= after {
            return bad(Fault::CheckpointMisplaced { after });
        }
        Ok(checkpoint)
    }

    fn last_seq(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.head.seq)
    }
}
