//! Detections → tracks, ByteTrack's way: sure detections continue tracks first, doubtful ones then continue what is
//! left, and only sure ones start a track. A track that is not seen stays, predicted, for a while.
//!
//! RULES P10: the published [`TrackId`] is random, of this tracker only, and replaced at least every ten minutes with
//! no relation to the one before. Zone logic follows a [`TrackHandle`], which has no value that could be published.

mod assign;
mod kalman;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::detection::{Class, Detection};
use crate::elapsed::elapsed;
use crate::geometry::BBox;
use kalman::BoxFilter;

/// A published id never lives longer.
const MAX_ID_LIFETIME: Duration = Duration::from_secs(600);
/// Overlap, of grown boxes, that a sure detection needs to continue a track.
const MIN_OVERLAP: f32 = 0.2;
/// Overlap, of grown boxes, that a doubtful detection needs.
const MIN_OVERLAP_DOUBTFUL: f32 = 0.5;
/// Boxes grow on each side by this share per second not seen: what moves fast overlaps little at low frame rates.
const GROWTH_PER_SECOND: f32 = 0.75;
/// Least and largest growth.
const GROWTH: (f32, f32) = (0.1, 0.75);
/// More detections than this are not tracked.
const MAX_DETECTIONS: usize = 300;
/// After a longer gap nobody knows how something moved; that it is looked for at all says that it stood.
const STOPS_AFTER: Duration = Duration::from_secs(3);
/// Longer gaps are predicted as if they were this long; what was there is lost by then.
const MAX_PREDICTION: Duration = Duration::from_secs(10);

/// Follows the objects of one camera, for one session.
#[derive(Clone)]
pub struct Tracker {
    settings: TrackerSettings,
    tracks: Vec<Tracked>,
    n_started: u64,
    last_at: Option<Timestamp>,
}

/// How a tracker decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerSettings {
    /// Score from which a detection is sure.
    pub high: f32,
    /// Score from which a doubtful detection may continue a track.
    pub low: f32,
    /// Score from which a detection may start a track.
    pub birth: f32,
    /// Frames in a row before a new track counts.
    pub confirm_hits: u32,
    /// How long a track that is not seen is kept.
    pub lost_after: Duration,
    /// How long a published id lives; more than ten minutes is cut to ten.
    pub id_lifetime: Duration,
    /// Width to height of the frames.
    pub frame_aspect: f32,
}

/// One followed object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// Id that may be published.
    pub id: TrackId,
    /// Identity inside this process.
    pub handle: TrackHandle,
    /// What it has mostly been.
    pub class: Class,
    /// Score of the last detection.
    pub confidence: f32,
    /// Where it is, or is predicted to be.
    pub bbox: BBox,
    /// Whether it was seen in this frame.
    pub visible: bool,
}

/// Random, local to a camera's session, short-lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrackId(u64);

/// Names a track inside this process, as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackHandle(u64);

#[derive(Clone)]
struct Tracked {
    handle: TrackHandle,
    id: TrackId,
    id_issued_at: Timestamp,
    class_weights: [f32; Class::ALL.len()],
    class: Class,
    confidence: f32,
    filter: BoxFilter,
    n_hits: u32,
    confirmed: bool,
    visible: bool,
    seen_at: Timestamp,
}

impl Tracker {
    /// A tracker for one camera session.
    pub fn new(settings: TrackerSettings) -> Self {
        Self { settings, tracks: Vec::new(), n_started: 0, last_at: None }
    }

    /// Takes in one frame's candidates; gives all confirmed tracks, also those not seen now.
    pub fn update(&mut self, at: Timestamp, candidates: &[Detection]) -> Vec<Track> {
        self.predict(at);
        let usable =
            candidates.iter().filter(|found| found.bbox.w > 0.0 && found.bbox.h > 0.0 && found.bbox.is_finite());
        let usable = usable.take(MAX_DETECTIONS).copied();
        let (mut sure, doubtful): (Vec<_>, Vec<_>) = usable.partition(|found| found.confidence >= self.settings.high);
        let mut doubtful: Vec<_> = doubtful.into_iter().filter(|found| found.confidence >= self.settings.low).collect();

        let was_visible: Vec<bool> = self.tracks.iter().map(|track| track.visible).collect();
        self.tracks.iter_mut().for_each(|track| track.visible = false);
        self.associate(at, &mut sure, MIN_OVERLAP, |track, _| track.confirmed);
        self.associate(at, &mut doubtful, MIN_OVERLAP_DOUBTFUL, |track, i| track.confirmed && was_visible[i]);
        self.associate(at, &mut sure, MIN_OVERLAP, |track, _| !track.confirmed);
        self.retire(at);
        let birth = self.settings.birth;
        for found in sure.iter().filter(|found| found.confidence >= birth) {
            self.start(at, found);
        }
        self.published(at)
    }

    /// Carries all tracks on to this time without a look; gives the confirmed ones, as visible as they were.
    pub fn coast(&mut self, at: Timestamp) -> Vec<Track> {
        self.predict(at);
        self.published(at)
    }

    /// The confirmed tracks as they are now.
    pub fn tracks(&self) -> Vec<Track> {
        self.tracks.iter().filter(|track| track.confirmed).map(Tracked::public).collect()
    }

    /// Whether somebody was seen who needs one more look to be believed.
    pub fn has_newcomers(&self) -> bool {
        self.tracks.iter().any(|track| !track.confirmed)
    }

    fn predict(&mut self, at: Timestamp) {
        let gap = self.last_at.map_or(Duration::ZERO, |last_at| elapsed(last_at, at)).min(MAX_PREDICTION);
        self.last_at = Some(at);
        for track in &mut self.tracks {
            if gap >= STOPS_AFTER {
                track.filter.stop();
            } else if !track.visible {
                track.filter.freeze_size();
            }
            track.filter.predict(gap.as_secs_f32());
        }
    }

    /// Continues eligible tracks that have no detection yet, and takes the used detections off the list.
    fn associate(
        &mut self,
        at: Timestamp,
        found: &mut Vec<Detection>,
        min_overlap: f32,
        eligible: impl Fn(&Tracked, usize) -> bool,
    ) {
        let places = self.tracks.iter().enumerate();
        let places = places.filter(|(i, track)| !track.visible && eligible(track, *i));
        let places: Vec<usize> = places.map(|(i, _)| i).collect();
        let predicted: Vec<BBox> = places.iter().map(|&i| self.tracks[i].grown(at)).collect();
        let pairs = assign::assign(places.len(), found.len(), |row, column| {
            let track = &self.tracks[places[row]];
            let overlap = predicted[row].iou(&found[column].bbox.dilated(track.growth(at)));
            let possible = overlap >= min_overlap && same_kind(track.class, found[column].class);
            possible.then_some(overlap)
        });
        let mut used = vec![false; found.len()];
        for (row, column) in pairs {
            self.tracks[places[row]].see(at, &found[column]);
            used[column] = true;
        }
        let mut used = used.into_iter();
        found.retain(|_| !used.next().unwrap_or(false));
    }

    /// Drops what was lost too long, and new tracks that did not last.
    fn retire(&mut self, at: Timestamp) {
        let lost_after = self.settings.lost_after;
        let keeps = |track: &Tracked| track.visible || (track.confirmed && elapsed(track.seen_at, at) <= lost_after);
        self.tracks.retain(keeps);
        for track in &mut self.tracks {
            track.confirmed |= track.n_hits >= self.settings.confirm_hits;
        }
    }

    fn start(&mut self, at: Timestamp, found: &Detection) {
        let handle = TrackHandle(self.n_started);
        self.n_started += 1;
        let mut class_weights = [0.0; Class::ALL.len()];
        class_weights[found.class.index()] = found.confidence;
        self.tracks.push(Tracked {
            handle,
            id: TrackId::random(),
            id_issued_at: at,
            class_weights,
            class: found.class,
            confidence: found.confidence,
            filter: BoxFilter::new(&found.bbox, self.settings.frame_aspect),
            n_hits: 1,
            confirmed: self.settings.confirm_hits <= 1,
            visible: true,
            seen_at: at,
        });
    }

    fn published(&mut self, at: Timestamp) -> Vec<Track> {
        let lifetime = self.settings.id_lifetime.min(MAX_ID_LIFETIME);
        for track in &mut self.tracks {
            // An id from the future would live too long: the clock was set back.
            if elapsed(track.id_issued_at, at) >= lifetime || at < track.id_issued_at {
                track.id = TrackId::random();
                track.id_issued_at = at;
            }
        }
        self.tracks()
    }
}

impl Tracked {
    fn see(&mut self, at: Timestamp, found: &Detection) {
        self.filter.correct(&found.bbox);
        self.class_weights[found.class.index()] += found.confidence;
        if self.class_weights[found.class.index()] > self.class_weights[self.class.index()] {
            self.class = found.class;
        }
        self.confidence = found.confidence;
        self.n_hits = self.n_hits.saturating_add(1);
        self.visible = true;
        self.seen_at = at;
    }

    fn growth(&self, at: Timestamp) -> f32 {
        (GROWTH_PER_SECOND * elapsed(self.seen_at, at).as_secs_f32()).clamp(GROWTH.0, GROWTH.1)
    }

    fn grown(&self, at: Timestamp) -> BBox {
        self.filter.bbox().dilated(self.growth(at))
    }

    fn public(&self) -> Track {
        Track {
            id: self.id,
            handle: self.handle,
            class: self.class,
            confidence: self.confidence,
            bbox: self.filter.bbox().clipped(),
            visible: self.visible,
        }
    }
}

impl TrackId {
    /// The published number.
    pub fn value(self) -> u64 {
        self.0
    }

    fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self {
            high: 0.5,
            low: 0.1,
            birth: 0.5,
            confirm_hits: 2,
            lost_after: Duration::from_secs(3),
            id_lifetime: MAX_ID_LIFETIME,
            frame_aspect: 16.0 / 9.0,
        }
    }
}

/// Detectors take a van for a car now and for a truck then, but never for a person.
fn same_kind(one: Class, other: Class) -> bool {
    let kind = |class| match class {
        Class::Person => 0,
        Class::Bicycle | Class::Motorcycle => 1,
        Class::Car | Class::Bus | Class::Truck => 2,
    };
    kind(one) == kind(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap()
    }

    fn found(class: Class, confidence: f32, x: f32) -> Detection {
        Detection { class, confidence, bbox: BBox { x, y: 0.3, w: 0.05, h: 0.2 } }
    }

    fn person(confidence: f32, x: f32) -> Detection {
        found(Class::Person, confidence, x)
    }

    #[test]
    fn walker_is_one_track_at_any_frame_rate() {
        for fps in [25.0, 5.0, 2.5, 1.0] {
            let mut tracker = Tracker::new(TrackerSettings::default());
            let mut handles = HashSet::new();
            for frame in 0..(8.0 * fps) as usize {
                let seconds = frame as f64 / fps;
                let tracks = tracker.update(at(seconds), &[person(0.8, 0.1 + 0.07 * seconds as f32)]);
                handles.extend(tracks.iter().map(|track| track.handle));
            }
            assert_eq!(handles.len(), 1, "{fps} fps");
        }
    }

    #[test]
    fn two_who_pass_each_other_keep_their_tracks() {
        let mut tracker = Tracker::new(TrackerSettings::default());
        let mut first_on_left = None;
        for frame in 0..30 {
            let seconds = frame as f32 * 0.2;
            let both = [person(0.8, 0.2 + 0.08 * seconds), person(0.8, 0.7 - 0.08 * seconds)];
            let mut tracks = tracker.update(at(f64::from(seconds)), &both);
            tracks.sort_by(|a, b| a.bbox.x.total_cmp(&b.bbox.x));
            if frame == 5 {
                first_on_left = Some(tracks[0].handle);
            }
            if frame == 29 {
                assert_eq!(tracks.len(), 2);
                assert!(tracks[0].bbox.x < 0.3 || Some(tracks[1].handle) == first_on_left);
            }
        }
    }

    #[test]
    fn doubtful_detections_continue_a_track_but_start_none() {
        let mut tracker = Tracker::new(TrackerSettings::default());
        for frame in 0..5 {
            assert!(tracker.update(at(f64::from(frame) * 0.2), &[person(0.3, 0.5)]).is_empty());
        }
        tracker.update(at(1.0), &[person(0.8, 0.5)]);
        let started = tracker.update(at(1.2), &[person(0.8, 0.5)])[0].handle;
        let continued = tracker.update(at(1.4), &[person(0.15, 0.5)]);
        assert!(continued[0].visible && continued[0].handle == started);
    }

    #[test]
    fn single_sighting_is_no_track() {
        let mut tracker = Tracker::new(TrackerSettings::default());
        assert!(tracker.update(at(0.0), &[person(0.9, 0.5)]).is_empty());
        assert!(tracker.update(at(0.2), &[]).is_empty());
        assert!(tracker.update(at(0.4), &[person(0.9, 0.5)]).is_empty());
    }

    #[test]
    fn unseen_track_is_kept_by_time_then_dropped() {
        let mut tracker = Tracker::new(TrackerSettings::default());
        tracker.update(at(0.0), &[person(0.9, 0.5)]);
        let handle = tracker.update(at(0.2), &[person(0.9, 0.5)])[0].handle;
        let hidden = tracker.update(at(2.0), &[]);
        assert!(hidden[0].handle == handle && !hidden[0].visible);
        let back = tracker.update(at(3.0), &[person(0.9, 0.51)]);
        assert!(back[0].handle == handle && back[0].visible);
        assert!(tracker.update(at(6.1), &[]).is_empty());
    }

    #[test]
    fn van_that_flickers_between_car_and_truck_is_one_track() {
        let mut tracker = Tracker::new(TrackerSettings::default());
        for frame in 0..10 {
            let class = if frame % 3 == 0 { Class::Truck } else { Class::Car };
            let tracks = tracker.update(at(f64::from(frame) * 0.2), &[found(class, 0.8, 0.4)]);
            if frame > 3 {
                assert_eq!((tracks.len(), tracks[0].class), (1, Class::Car));
            }
        }
        let beside_it = tracker.update(at(2.0), &[person(0.9, 0.4)]);
        assert!(!beside_it[0].visible, "a person never continues a car");
    }

    #[test]
    fn published_ids_change_every_ten_minutes_and_with_each_tracker() {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let settings = TrackerSettings { id_lifetime: Duration::from_secs(86_400), ..TrackerSettings::default() };
            let mut tracker = Tracker::new(settings);
            let mut handles = HashSet::new();
            for second in 0..1500 {
                for track in tracker.update(at(f64::from(second)), &[person(0.9, 0.5)]) {
                    ids.push((second, track.id.value()));
                    handles.insert(track.handle);
                }
            }
            assert_eq!(handles.len(), 1, "the parked object is one track all the time");
        }
        let distinct: HashSet<u64> = ids.iter().map(|(_, id)| *id).collect();
        assert_eq!(distinct.len(), 6, "three ids in 25 minutes, twice, none shared");
        for id in &distinct {
            let seconds: Vec<i32> = ids.iter().filter(|(_, other)| other == id).map(|(second, _)| *second).collect();
            let (first, last) = (seconds.iter().min().unwrap(), seconds.iter().max().unwrap());
            assert!(last - first < 600 || distinct.len() == 1);
        }
    }

    #[test]
    fn clock_set_back_replaces_ids_and_breaks_nothing() {
        let mut tracker = Tracker::new(TrackerSettings::default());
        tracker.update(at(5000.0), &[person(0.9, 0.5)]);
        let before = tracker.update(at(5000.2), &[person(0.9, 0.5)])[0];
        let after = tracker.update(at(100.0), &[person(0.9, 0.5)])[0];
        assert!(after.handle == before.handle && after.id != before.id && after.bbox.is_finite());
    }

    #[test]
    fn broken_boxes_are_not_tracked() {
        let mut tracker = Tracker::new(TrackerSettings::default());
        let broken = Detection { bbox: BBox { x: f32::NAN, y: 0.0, w: 0.1, h: 0.1 }, ..person(0.9, 0.5) };
        for frame in 0..4 {
            assert!(tracker.update(at(f64::from(frame)), &[broken]).is_empty());
        }
    }
}
