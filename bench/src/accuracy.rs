//! How well detector and tracker see the street: precision, recall, MOTA and IDF1 against boxes that were set by eye.
//!
//! [`evaluate`] is pure: sightings in, counts out. The definitions are the standard ones: CLEAR MOT (Bernardin and
//! Stiefelhagen 2008) and identity measures (Ristani et al. 2016), both with boxes that overlap by at least half. An id
//! says which boxes belong together within one recording and nothing else.

mod as_run;
mod clear;
mod follow;
mod identity;
mod labels;
mod pairing;
mod zones;

use std::collections::BTreeMap;

use xueliang_inference::BBox;

pub use as_run::{AsRun, as_run};
pub use follow::{Followed, Found, RateAccuracy, accuracy_run, follow};
pub use labels::{FPS, FRAMES, Label, LabelError, SIZE, labels, read};
pub use zones::{Event, ZoneAccuracy};

/// Boxes that overlap by at least this (intersection over union) show the same.
pub const MIN_OVERLAP: f32 = 0.5;

/// One object in one frame. An id stands at most once in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Frame of the recording, from 0.
    pub frame: u32,
    /// Which trajectory.
    pub id: u64,
    /// Where, normalised.
    pub bbox: BBox,
}

/// What was counted over a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// True boxes.
    pub n_true: u64,
    /// Tracked boxes.
    pub n_tracked: u64,
    /// Tracked boxes that are paired with a true one, frame by frame.
    pub n_matched: u64,
    /// Times that a true trajectory is paired with another track than the last time.
    pub n_switches: u64,
    /// Matched boxes when each trajectory may have one track only, and each track one trajectory.
    pub n_identified: u64,
}

/// What should and what does stand in one frame.
struct Moment<'a> {
    truth: Vec<&'a Sighting>,
    tracks: Vec<&'a Sighting>,
}

/// Measures tracks against the truth.
pub fn evaluate(truth: &[Sighting], tracks: &[Sighting]) -> Accuracy {
    let moments = moments(truth, tracks);
    let clear = clear::count(&moments);
    Accuracy {
        n_true: truth.len() as u64,
        n_tracked: tracks.len() as u64,
        n_matched: clear.n_matched,
        n_switches: clear.n_switches,
        n_identified: identity::n_identified(&moments),
    }
}

impl Accuracy {
    /// Share of the tracked boxes that are right; none without any.
    pub fn precision(&self) -> Option<f64> {
        share(self.n_matched, self.n_tracked)
    }

    /// Share of the true boxes that are found; none without any.
    pub fn recall(&self) -> Option<f64> {
        share(self.n_matched, self.n_true)
    }

    /// 1 − (misses + false alarms + switches) / true boxes; below 0 when there are more mistakes than objects.
    pub fn mota(&self) -> Option<f64> {
        let n_wrong = self.n_misses() + self.n_false_alarms() + self.n_switches;
        share(n_wrong, self.n_true).map(|wrong| 1.0 - wrong)
    }

    /// Harmonic mean of the identified share of the true and of the tracked boxes.
    pub fn idf1(&self) -> Option<f64> {
        share(2 * self.n_identified, self.n_true + self.n_tracked)
    }

    /// True boxes that nothing is paired with.
    pub fn n_misses(&self) -> u64 {
        self.n_true - self.n_matched
    }

    /// Tracked boxes that nothing is paired with.
    pub fn n_false_alarms(&self) -> u64 {
        self.n_tracked - self.n_matched
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The frames in order.
fn moments<'a>(truth: &'a [Sighting], tracks: &'a [Sighting]) -> Vec<Moment<'a>> {
    let mut by_frame: BTreeMap<u32, Moment<'a>> = BTreeMap::new();
    let empty = || Moment { truth: Vec::new(), tracks: Vec::new() };
    for sighting in truth {
        by_frame.entry(sighting.frame).or_insert_with(empty).truth.push(sighting);
    }
    for sighting in tracks {
        by_frame.entry(sighting.frame).or_insert_with(empty).tracks.push(sighting);
    }
    by_frame.into_values().collect()
}

impl Moment<'_> {
    /// How much two boxes overlap, when that is enough to show the same.
    fn overlap(&self, truth: usize, track: usize) -> Option<f32> {
        let overlap = self.truth[truth].bbox.iou(&self.tracks[track].bbox);
        (overlap >= MIN_OVERLAP).then_some(overlap)
    }
}

#[cfg(test)]
mod tests;
