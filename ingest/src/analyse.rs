//! One camera's analysis: detections of a frame → tracks → zone observations → events with a redacted snapshot.
//!
//! State of one camera session only: tracks and their ids start anew with each (RULES P10).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    BBox, Class, Confidence, LineId, Payload, TrackId, ZoneId,
    payload::{Direction, LineCrossed, ZoneDwelled, ZoneEntered, ZoneExited, ZoneOccupancy},
    values::{Counts, SnapshotRef},
};
use xueliang_inference::{
    self as inference, Detections, Frame, Observation, Scene, SceneError, SceneSettings, Subject, Track, Tracker,
    TrackerSettings,
    redact::{self, RedactSettings},
};

use crate::{settings::CameraSettings, snapshots::SnapshotStore};

/// Shortest time between a snapshot and one that only shows a new count. What one object did is always worth a picture: its
/// frames come at the analysis rate at most.
const COUNT_SNAPSHOT_INTERVAL: SignedDuration = SignedDuration::from_secs(1);
/// How often the occupancy of an unchanged zone is repeated.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One fact and when it was.
pub struct Fact {
    /// Capture time.
    pub at: Timestamp,
    /// What was seen.
    pub payload: Payload,
}

/// One camera's tracker and scene.
pub struct Analysis {
    tracker: Tracker,
    scene: Scene,
    redact: RedactSettings,
    snapshot_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
}

impl Analysis {
    /// A fresh analysis for one session of `camera`, whose frames have this width divided by height.
    pub fn new(camera: &CameraSettings, frame_aspect: f32) -> Result<Self, SceneError> {
        let scene = Scene::new(SceneSettings {
            zones: camera.zones.clone(),
            lines: camera.lines.clone(),
            heartbeat: HEARTBEAT,
        })?;
        let tracker = Tracker::new(TrackerSettings { frame_aspect, ..TrackerSettings::default() });
        Ok(Self { tracker, scene, redact: camera.redact, snapshot_at: None, last_at: None })
    }

    /// Takes one frame's detections; what is to be said because of them.
    pub fn observe(&mut self, frame: &Frame, detections: &Detections, snapshots: &SnapshotStore) -> Vec<Fact> {
        let at = frame.captured_at();
        if self.last_at.is_some_and(|last_at| at <= last_at) {
            return Vec::new();
        }
        self.last_at = Some(at);
        let tracks = self.tracker.update(at, detections.candidates());
        let observations = self.scene.observe(at, &tracks);
        let worth = observations.iter().map(worth).max().unwrap_or(Worth::Nothing);
        let is_recent = self.snapshot_at.is_some_and(|last| at.duration_since(last) < COUNT_SNAPSHOT_INTERVAL);
        let snapshot = match worth {
            Worth::Nothing => None,
            Worth::Count if is_recent => None,
            Worth::Count | Worth::Object => self.snapshot(frame, detections, &tracks, snapshots),
        };
        observations.into_iter().filter_map(|observation| fact(observation, snapshot.as_ref())).collect()
    }

    /// The camera went away: what was inside its zones is said to have left.
    pub fn close(&mut self) -> Vec<Fact> {
        let Some(last_at) = self.last_at else { return Vec::new() };
        self.scene.close(last_at).into_iter().filter_map(|observation| fact(observation, None)).collect()
    }

    /// A redacted snapshot; any failure means none (RULES P12).
    fn snapshot(
        &mut self,
        frame: &Frame,
        detections: &Detections,
        tracks: &[Track],
        snapshots: &SnapshotStore,
    ) -> Option<SnapshotRef> {
        let made = redact::snapshot(frame, detections, tracks, &self.redact)
            .map_err(|error| error.to_string())
            .and_then(|snapshot| snapshots.keep(snapshot).map_err(|error| error.to_string()));
        match made {
            Ok(reference) => {
                self.snapshot_at = Some(frame.captured_at());
                Some(reference)
            }
            Err(cause) => {
                snapshots.count_failure();
                tracing::warn!(cause, "no snapshot");
                None
            }
        }
    }
}

/// What an observation is worth a picture for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Nothing,
    Count,
    Object,
}

fn worth(observation: &Observation) -> Worth {
    match observation {
        Observation::Entered(_) | Observation::Dwelled(_) | Observation::Crossed(_) => Worth::Object,
        Observation::Occupancy(occupancy) if !occupancy.heartbeat && occupancy.counts.total() > 0 => Worth::Count,
        Observation::Occupancy(_) | Observation::Exited(_) => Worth::Nothing,
    }
}

/// The wire's form of an observation; `None` when a value has none, which the scene's own checks exclude.
fn fact(observation: Observation, snapshot: Option<&SnapshotRef>) -> Option<Fact> {
    let snapshot = snapshot.cloned();
    let (at, payload) = match observation {
        Observation::Entered(entered) => {
            let zone = zone_id(&entered.zone)?;
            let Seen { class, track, bbox, confidence } = seen(&entered.subject)?;
            (entered.at, ZoneEntered { zone, class, track, bbox, confidence, snapshot }.into())
        }
        Observation::Exited(exited) => {
            let zone = zone_id(&exited.zone)?;
            let Seen { class, track, .. } = seen(&exited.subject)?;
            (exited.at, ZoneExited { zone, class, track, dwell_ms: millis(exited.dwell) }.into())
        }
        Observation::Occupancy(occupancy) => {
            let zone = zone_id(&occupancy.zone)?;
            let counts = Class::ALL.into_iter().fold(Counts::default(), |counts, class| {
                counts.with(class, occupancy.counts.get(detected_class(class)))
            });
            let snapshot = snapshot.filter(|_| !occupancy.heartbeat);
            (occupancy.at, ZoneOccupancy { zone, counts, heartbeat: occupancy.heartbeat, snapshot }.into())
        }
        Observation::Dwelled(dwelled) => {
            let zone = zone_id(&dwelled.zone)?;
            let Seen { class, track, bbox, confidence } = seen(&dwelled.subject)?;
            let (dwell_ms, still_ms) = (millis(dwelled.dwell), millis(dwelled.still_for));
            (dwelled.at, ZoneDwelled { zone, class, track, dwell_ms, still_ms, bbox, confidence, snapshot }.into())
        }
        Observation::Crossed(crossed) => {
            let line = crossed.line.parse::<LineId>().ok()?;
            let Seen { class, track, bbox, confidence } = seen(&crossed.subject)?;
            let direction = match crossed.direction {
                inference::Direction::Forward => Direction::Forward,
                inference::Direction::Backward => Direction::Backward,
            };
            (crossed.at, LineCrossed { line, direction, class, track, bbox, confidence, snapshot }.into())
        }
    };
    Some(Fact { at, payload })
}

struct Seen {
    class: Class,
    track: TrackId,
    bbox: BBox,
    confidence: Confidence,
}

fn seen(subject: &Subject) -> Option<Seen> {
    Some(Seen {
        class: wire_class(subject.class),
        track: TrackId(subject.track.value()),
        bbox: wire_bbox(&subject.bbox)?,
        confidence: subject.confidence.clamp(0.0, 1.0).try_into().ok()?,
    })
}

fn zone_id(id: &str) -> Option<ZoneId> {
    id.parse().ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Cuts the box to the frame: a predicted track may reach beyond it.
fn wire_bbox(bbox: &inference::BBox) -> Option<BBox> {
    let (left, top) = (bbox.x.clamp(0.0, 1.0), bbox.y.clamp(0.0, 1.0));
    let (right, bottom) = ((bbox.x + bbox.w).clamp(left, 1.0), (bbox.y + bbox.h).clamp(top, 1.0));
    BBox::new(left, top, right - left, bottom - top).ok()
}

fn wire_class(class: inference::Class) -> Class {
    match class {
        inference::Class::Person => Class::Person,
        inference::Class::Bicycle => Class::Bicycle,
        inference::Class::Motorcycle => Class::Motorcycle,
        inference::Class::Car => Class::Car,
        inference::Class::Bus => Class::Bus,
        inference::Class::Truck => Class::Truck,
    }
}

fn detected_class(class: Class) -> inference::Class {
    match class {
        Class::Person => inference::Class::Person,
        Class::Bicycle => inference::Class::Bicycle,
        Class::Motorcycle => inference::Class::Motorcycle,
        Class::Car => inference::Class::Car,
        Class::Bus => inference::Class::Bus,
        Class::Truck => inference::Class::Truck,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_finite_box_is_cut_to_the_frame(x in -2.0f32..2.0, y in -2.0f32..2.0, w in 0.0f32..3.0, h in 0.0f32..3.0) {
            let cut = wire_bbox(&inference::BBox { x, y, w, h });
            proptest::prop_assert!(cut.is_some());
        }
    }

    #[test]
    fn classes_map_one_to_one() {
        for class in Class::ALL {
            assert_eq!(wire_class(detected_class(class)), class);
        }
    }
}
