//! CLEAR MOT's correspondences, frame by frame: a pair of the frame before stays while it overlaps enough, even if
//! another would overlap more; of the rest as many pairs as possible are made, and among those the closest.

use std::collections::HashMap;

use super::{Moment, pairing};

/// Weight of any pair: more than overlaps can sum up to.
const PAIR: i64 = 1_000_000_000;
/// Overlaps are compared as integers of this many parts.
const PARTS: f32 = 1e6;

#[derive(Default)]
pub(super) struct Clear {
    pub(super) n_matched: u64,
    pub(super) n_switches: u64,
}

/// Goes through the frames, which are in order.
pub(super) fn count(moments: &[Moment<'_>]) -> Clear {
    let mut clear = Clear::default();
    let mut before: HashMap<u64, u64> = HashMap::new();
    let mut last_known: HashMap<u64, u64> = HashMap::new();
    for moment in moments {
        before = correspondences(moment, &before);
        clear.n_matched += before.len() as u64;
        for (&truth, &track) in &before {
            let known = last_known.insert(truth, track);
            clear.n_switches += u64::from(known.is_some_and(|known| known != track));
        }
    }
    clear
}

/// True id → track id of this frame.
fn correspondences(moment: &Moment<'_>, before: &HashMap<u64, u64>) -> HashMap<u64, u64> {
    let mut pairs = kept(moment, before);
    let is_free = |taken: &dyn Fn(&(usize, usize)) -> usize, at: usize| !pairs.iter().any(|pair| taken(pair) == at);
    let truth: Vec<usize> = (0..moment.truth.len()).filter(|&at| is_free(&|pair| pair.0, at)).collect();
    let tracks: Vec<usize> = (0..moment.tracks.len()).filter(|&at| is_free(&|pair| pair.1, at)).collect();
    let fresh = pairing::best(truth.len(), tracks.len(), |row, column| {
        moment.overlap(truth[row], tracks[column]).map_or(0, |overlap| PAIR + (overlap * PARTS) as i64)
    });
    pairs.extend(fresh.into_iter().map(|(row, column)| (truth[row], tracks[column])));
    pairs.into_iter().map(|(truth, track)| (moment.truth[truth].id, moment.tracks[track].id)).collect()
}

/// Pairs (place in truth, place in tracks) that last.
fn kept(moment: &Moment<'_>, before: &HashMap<u64, u64>) -> Vec<(usize, usize)> {
    let lasts = |truth: usize| {
        let track_id = before.get(&moment.truth[truth].id)?;
        let track = moment.tracks.iter().position(|track| track.id == *track_id)?;
        moment.overlap(truth, track).map(|_| (truth, track))
    };
    (0..moment.truth.len()).filter_map(lasts).collect()
}
