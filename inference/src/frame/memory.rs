//! Memory of pictures that are gone, kept for the next ones: a picture's pages are new to the system each time otherwise, and
//! touching them first costs as much as copying it. Bounded; beyond it, memory goes back to the system.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Most bytes that wait to be used again: five pictures of 1080p.
const MAX_SPARE: usize = 16 << 20;

static SPARE: Mutex<Spare> = Mutex::new(Spare { buffers: VecDeque::new(), n_bytes: 0 });

struct Spare {
    buffers: VecDeque<Vec<u8>>,
    n_bytes: usize,
}

/// The bytes of one picture.
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    /// So many bytes, of any value.
    pub(super) fn any(len: usize) -> Self {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        Self(spare.take(len).unwrap_or_else(|| vec![0; len]))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        SPARE.lock().unwrap_or_else(PoisonError::into_inner).give(std::mem::take(&mut self.0));
    }
}

impl Spare {
    fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        let nth = self.buffers.iter().rposition(|buffer| buffer.len() == len)?;
        self.n_bytes -= len;
        self.buffers.remove(nth)
    }

    /// The oldest goes when there is no room.
    fn give(&mut self, buffer: Vec<u8>) {
        self.n_bytes += buffer.len();
        self.buffers.push_back(buffer);
        while self.n_bytes > MAX_SPARE {
            let Some(oldest) = self.buffers.pop_front() else { return };
            self.n_bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_used_again_and_bounded() {
        let mut spare = Spare { buffers: VecDeque::new(), n_bytes: 0 };
        spare.give(vec![7; 100]);
        assert!(spare.take(99).is_none());
        assert_eq!(spare.take(100), Some(vec![7; 100]));
        assert_eq!(spare.n_bytes, 0);
        (0..100).for_each(|_| spare.give(vec![0; 1 << 20]));
        assert_eq!((spare.buffers.len(), spare.n_bytes), (16, MAX_SPARE));
        spare.give(vec![0; MAX_SPARE + 1]);
        assert_eq!((spare.buffers.len(), spare.n_bytes), (0, 0));
    }
}
