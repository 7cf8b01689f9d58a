//! What detector and tracker make of the labelled frames, as a camera's worker runs them: the tracker gets all
//! candidates, and what counts are the tracks seen in the frame, since zones look at those only.

use std::{collections::HashMap, time::Duration};

use anyhow::Result;
use jiff::Timestamp;
use xueliang_inference::{
    Class, Detection, Detector, Frame, Scene, SceneSettings, TrackHandle, Tracker, TrackerSettings,
};

use super::{Accuracy, Event, FPS, FRAMES, SIZE, Sighting, ZoneAccuracy, evaluate, labels, zones};

/// Analysed frames a second that are measured.
const RATES: [u32; 2] = [10, 5];

/// How well it goes at one rate of analysed frames. Only these frames count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateAccuracy {
    /// Analysed frames a second.
    pub fps: u32,
    /// Confident detections, each a track of its own: only precision and recall say something.
    pub detections: Accuracy,
    /// Detector and tracker together.
    pub tracks: Accuracy,
    /// The tracker alone, given the true boxes as detections.
    pub tracker_alone: Accuracy,
    /// Events of the tracks at zones and lines, beside those of the labelled persons.
    pub zones: ZoneAccuracy,
}

/// What was seen in a recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed {
    /// Confident detections, each with an id of its own.
    pub detections: Vec<Sighting>,
    /// Tracks in the frames in which they are seen.
    pub tracks: Vec<Sighting>,
    /// What zones and lines tell of persons.
    pub events: Vec<Event>,
}

/// Measures the detector on the labelled recording; `frame` gives its frames by number.
pub fn accuracy_run(
    detector: &mut Detector,
    watched: &SceneSettings,
    mut frame: impl FnMut(u32) -> Result<Frame>,
) -> Result<Vec<RateAccuracy>> {
    let settings = detector.settings();
    let mut found = Vec::new();
    for number in 0..FRAMES {
        let detections = detector.detect(&frame(number)?, &settings)?;
        found.push(Found { candidates: detections.candidates().to_vec(), n_confident: detections.confident().len() });
    }
    let truth: Vec<Sighting> = labels()?.iter().map(|label| label.sighting).collect();
    RATES.iter().map(|&fps| at_rate(fps, &found, &truth, watched)).collect()
}

/// What one frame's detector found, best first.
pub struct Found {
    /// What the tracker takes.
    pub candidates: Vec<Detection>,
    /// How many of them are confident.
    pub n_confident: usize,
}

/// Follows persons through every `step`th of the recording's frames.
pub fn follow(found: &[Found], step: usize, watched: &SceneSettings) -> Result<Followed> {
    let frame_aspect = SIZE.0 as f32 / SIZE.1 as f32;
    let mut tracker = Tracker::new(TrackerSettings { frame_aspect, ..TrackerSettings::default() });
    let mut scene = Scene::new(watched.clone())?;
    let mut ids: HashMap<TrackHandle, u64> = HashMap::new();
    let mut followed = Followed::default();
    for (found, frame) in found.iter().zip(0..).step_by(step) {
        let is_person = |class: Class| class == Class::Person;
        for confident in found.candidates.iter().take(found.n_confident).filter(|found| is_person(found.class)) {
            let id = followed.detections.len() as u64;
            followed.detections.push(Sighting { frame, id, bbox: confident.bbox });
        }
        let at = Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs(1) * frame / FPS)?;
        let tracks = tracker.update(at, &found.candidates);
        followed.events.extend(scene.observe(at, &tracks).iter().filter_map(zones::event));
        for track in tracks {
            let next = ids.len() as u64;
            let id = *ids.entry(track.handle).or_insert(next);
            if track.visible && is_person(track.class) {
                followed.tracks.push(Sighting { frame, id, bbox: track.bbox });
            }
        }
    }
    Ok(followed)
}

fn at_rate(fps: u32, found: &[Found], truth: &[Sighting], watched: &SceneSettings) -> Result<RateAccuracy> {
    let step = (FPS / fps) as usize;
    let truth: Vec<Sighting> =
        truth.iter().filter(|label| (label.frame as usize).is_multiple_of(step)).copied().collect();
    let followed = follow(found, step, watched)?;
    let ideal = follow(&as_found(&truth), step, watched)?;
    Ok(RateAccuracy {
        fps,
        detections: evaluate(&truth, &followed.detections),
        tracks: evaluate(&truth, &followed.tracks),
        tracker_alone: evaluate(&truth, &ideal.tracks),
        zones: zones::compare(&ideal.events, &followed.events),
    })
}

/// The truth as a detector would tell it that misses nothing.
pub(super) fn as_found(truth: &[Sighting]) -> Vec<Found> {
    let mut found: Vec<Found> = (0..FRAMES).map(|_| Found { candidates: Vec::new(), n_confident: 0 }).collect();
    for label in truth {
        let candidates = &mut found[label.frame as usize];
        candidates.candidates.push(Detection { class: Class::Person, confidence: 1.0, bbox: label.bbox });
        candidates.n_confident += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use xueliang_inference::{ClassSet, Line, Point};

    use super::*;

    /// A line across the way that most persons take.
    fn watched() -> SceneSettings {
        let (from, to) = (Point { x: 0.5, y: 0.25 }, Point { x: 0.5, y: 0.7 });
        let line = Line::new("gate".to_owned(), from, to, ClassSet::of(&[Class::Person])).unwrap();
        SceneSettings { zones: Vec::new(), lines: vec![line], heartbeat: Duration::from_secs(10) }
    }

    #[test]
    fn a_detector_that_misses_nothing_is_measured_as_perfect() {
        let truth: Vec<Sighting> = labels().unwrap().iter().map(|label| label.sighting).collect();
        let found = as_found(&truth);
        for fps in RATES {
            let RateAccuracy { detections, tracks, tracker_alone, zones, .. } =
                at_rate(fps, &found, &truth, &watched()).unwrap();
            assert_eq!((detections.precision(), detections.recall()), (Some(1.0), Some(1.0)));
            assert_eq!(tracks, tracker_alone);
            assert!(zones.n_true >= 5 && zones.recall() == Some(1.0) && zones.precision() == Some(1.0), "{zones:?}");
            assert!(tracks.precision() > Some(0.99) && tracks.mota() > Some(0.9), "{fps} fps: {tracks:?}");
        }
    }
}
