//! The identity measure's assignment: over the whole recording each trajectory is given one track and each track one
//! trajectory, so that as many boxes as possible are identified. That is the assignment of least cost in missed and
//! false boxes, since both fall by one with each identified box.

use std::collections::HashMap;

use super::{Moment, pairing};

/// Boxes that the best assignment identifies.
pub(super) fn n_identified(moments: &[Moment<'_>]) -> u64 {
    let (mut truth_rows, mut track_columns) = (Places::default(), Places::default());
    let mut n_shared: HashMap<(usize, usize), i64> = HashMap::new();
    for moment in moments {
        for (truth, true_sighting) in moment.truth.iter().enumerate() {
            for (track, tracked) in moment.tracks.iter().enumerate() {
                if moment.overlap(truth, track).is_some() {
                    let pair = (truth_rows.of(true_sighting.id), track_columns.of(tracked.id));
                    *n_shared.entry(pair).or_default() += 1;
                }
            }
        }
    }
    let weight = |row, column| n_shared.get(&(row, column)).copied().unwrap_or(0);
    let pairs = pairing::best(truth_rows.0.len(), track_columns.0.len(), weight);
    pairs.into_iter().map(|(row, column)| weight(row, column).unsigned_abs()).sum()
}

/// Ids → 0, 1, 2, … in the order met.
#[derive(Default)]
struct Places(HashMap<u64, usize>);

impl Places {
    fn of(&mut self, id: u64) -> usize {
        let next = self.0.len();
        *self.0.entry(id).or_insert(next)
    }
}
