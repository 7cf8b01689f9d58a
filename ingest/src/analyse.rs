//! One camera's analysis: detections of a frame → tracks → zone observations → events with a redacted snapshot.
//!
//! State of one camera session only: tracks and their ids start anew with each (RULES P10).

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    BBox, Class, Confidence, LineId, Payload, TrackId, ZoneId,
    payload::{Direction, LineCrossed, ZoneDwelled, ZoneEntered, ZoneExited, ZoneOccupancy},
    values::{Counts, Rate, SnapshotRef},
};
use xueliang_inference::{
    self as inference, Detections, Frame, Observation, Scene, SceneError, SceneSettings, Subject, Track, Tracker,
    TrackerSettings,
    redact::{self, RedactSettings},
};

use crate::{
    attention::{Attention, Checked},
    gate::{Finding, Purpose},
    settings::CameraSettings,
    snapshots::SnapshotStore,
};

/// Shortest time between a snapshot and one that only shows a new count. What one object did is always worth a picture: its
/// frames come at the analysis rate at most.
const COUNT_SNAPSHOT_INTERVAL: SignedDuration = SignedDuration::from_secs(1);
/// How often the occupancy of an unchanged zone is repeated.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A picture of whoever stands there is as good for so long.
const PICTURE_LASTS: SignedDuration = SignedDuration::from_millis(9_500);

/// Capture times that go back by more begin a new timeline; by less, the picture was analysed already.
const NEW_TIMELINE: SignedDuration = SignedDuration::from_secs(10);
/// The rate of analysis is told over so many pictures.
const RATE_OVER: usize = 10;

/// One fact and when it was.
pub struct Fact {
    /// Capture time.
    pub at: Timestamp,
    /// What was seen.
    pub payload: Payload,
}

/// What an analysed picture came to.
#[derive(Default)]
pub struct Seen {
    /// What is to be said because of it.
    pub facts: Vec<Fact>,
    /// What the gate is to know; `None` when the picture had been analysed before.
    pub finding: Option<Finding>,
    /// Whether nothing in the zones waits for time to pass.
    pub is_settled: bool,
}

/// One camera's tracker, scene and attention.
pub struct Analysis {
    tracker: Tracker,
    scene: Scene,
    attention: Attention,
    redact: RedactSettings,
    /// The last picture that was kept, and when it was taken.
    pictured: Option<(Timestamp, SnapshotRef)>,
    /// When the latest pictures were taken, the last one last.
    analysed_at: VecDeque<Timestamp>,
    /// Up to when tracks and zones have come.
    reached: Option<Timestamp>,
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
        let (attention, redact) = (Attention::new(camera), camera.redact);
        Ok(Self { tracker, scene, attention, redact, pictured: None, analysed_at: VecDeque::new(), reached: None })
    }

    /// Looks at a picture that was decoded to see whether anything is new; `None`: it must be detected, because something changed
    /// or because what is to be told is worth a snapshot.
    pub fn glance(&mut self, frame: &Frame) -> Option<Seen> {
        let at = frame.captured_at();
        if self.scene.is_dwell_due(at) || self.wants_picture(at) {
            return None;
        }
        let still_there = self.attention.unchanged(frame)?;
        Some(self.confirm(frame, &still_there, None))
    }

    /// Takes one frame's detections.
    pub fn observe(
        &mut self,
        frame: &Frame,
        purpose: Purpose,
        detections: &Detections,
        snapshots: &SnapshotStore,
    ) -> Seen {
        if purpose == Purpose::Check {
            return match self.attention.check(frame, detections) {
                Checked::New => Seen { facts: Vec::new(), finding: Some(Finding::Moving), is_settled: false },
                Checked::AsBefore(found) => self.confirm(frame, &found, Some((detections, snapshots))),
            };
        }
        let at = frame.captured_at();
        let mut facts = match self.begin(at) {
            Some(facts) => facts,
            None => return Seen::default(),
        };
        let tracks = self.tracker.update(at, detections.candidates());
        let observations = self.scene.observe(at, &tracks);
        let snapshot = self.snapshot_of(&observations, frame, &tracks, (detections, snapshots));
        let finding = self.attention.follow(frame, &tracks, detections.candidates());
        facts.extend(self.facts(observations, snapshot.as_ref()));
        Seen { facts, finding: Some(finding), is_settled: self.scene.is_settled() }
    }

    /// Nothing moved up to this time: what waited for time to pass comes about, dwells go on, and the last picture still shows
    /// who stands there.
    pub fn carry(&mut self, at: Timestamp) -> Vec<Fact> {
        let observations = if self.scene.is_settled() {
            self.scene.carry(at)
        } else if self.reached.is_some_and(|reached| at > reached) {
            self.reached = Some(at);
            let tracks = self.tracker.update(at, &self.attention.standing());
            self.scene.observe(at, &tracks)
        } else {
            Vec::new()
        };
        let snapshot = self.pictured.as_ref().map(|(_, snapshot)| snapshot.clone());
        self.facts(observations, snapshot.as_ref())
    }

    /// The camera went away: what was inside its zones is said to have left.
    pub fn close(&mut self) -> Vec<Fact> {
        let Some(last_at) = self.reached else { return Vec::new() };
        let observations = self.scene.close(last_at);
        self.facts(observations, None)
    }

    /// All as before in this picture: tracks and zones live on.
    fn confirm(
        &mut self,
        frame: &Frame,
        found: &[inference::Detection],
        pictured: Option<(&Detections, &SnapshotStore)>,
    ) -> Seen {
        let at = frame.captured_at();
        let Some(mut facts) = self.begin(at) else { return Seen::default() };
        let tracks = self.tracker.update(at, found);
        let finding = self.attention.confirm(&tracks);
        let observations = self.scene.observe(at, &tracks);
        let snapshot = pictured.and_then(|pictured| self.snapshot_of(&observations, frame, &tracks, pictured));
        facts.extend(self.facts(observations, snapshot.as_ref()));
        Seen { facts, finding: Some(finding), is_settled: self.scene.is_settled() }
    }

    /// Goes on to this time; `None` when it was there before. A clock that was set back ends what was going on.
    fn begin(&mut self, at: Timestamp) -> Option<Vec<Fact>> {
        let mut facts = Vec::new();
        if let Some(last_at) = self.reached
            && at <= last_at
        {
            if last_at.duration_since(at) < NEW_TIMELINE {
                return None;
            }
            facts = self.close();
            self.analysed_at.clear();
        }
        if self.analysed_at.len() == RATE_OVER {
            self.analysed_at.pop_front();
        }
        self.analysed_at.push_back(at);
        self.reached = Some(at);
        Some(facts)
    }

    /// Pictures analysed per second of late, in steps of a tenth.
    fn analysed_fps(&self) -> Option<Rate> {
        let (first, last) = (self.analysed_at.front()?, self.analysed_at.back()?);
        let seconds = last.duration_since(*first).as_secs_f64();
        let rate = (self.analysed_at.len() - 1) as f64 / seconds;
        Rate::try_from((rate * 10.0).round() as f32 / 10.0).ok()
    }

    fn facts(&self, observations: Vec<Observation>, snapshot: Option<&SnapshotRef>) -> Vec<Fact> {
        let rate = self.analysed_fps();
        observations.into_iter().filter_map(|observation| fact(observation, snapshot, rate)).collect()
    }

    /// A snapshot where what is to be told is worth one.
    fn snapshot_of(
        &mut self,
        observations: &[Observation],
        frame: &Frame,
        tracks: &[Track],
        (detections, snapshots): (&Detections, &SnapshotStore),
    ) -> Option<SnapshotRef> {
        let worth = observations.iter().map(worth).max().unwrap_or(Worth::Nothing);
        let is_recent = self.pictured_within(frame.captured_at(), COUNT_SNAPSHOT_INTERVAL);
        match worth {
            Worth::Nothing if self.wants_picture(frame.captured_at()) => {
                self.snapshot(frame, detections, tracks, snapshots)
            }
            Worth::Nothing => None,
            Worth::Count if is_recent => None,
            Worth::Count | Worth::Object => self.snapshot(frame, detections, tracks, snapshots),
        }
    }

    fn pictured_within(&self, at: Timestamp, period: SignedDuration) -> bool {
        self.pictured.as_ref().is_some_and(|(last, _)| at.duration_since(*last).abs() < period)
    }

    /// Whether somebody stands there of whom is soon to be told, perhaps without a look at that moment.
    fn wants_picture(&self, at: Timestamp) -> bool {
        let soon = at.checked_add(PICTURE_LASTS).unwrap_or(at);
        self.scene.is_settled() && self.scene.is_dwell_due(soon) && !self.pictured_within(at, PICTURE_LASTS)
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
                self.pictured = Some((frame.captured_at(), reference.clone()));
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
fn fact(observation: Observation, snapshot: Option<&SnapshotRef>, analysed_fps: Option<Rate>) -> Option<Fact> {
    let snapshot = snapshot.cloned();
    let (at, payload) = match observation {
        Observation::Entered(entered) => {
            let zone = zone_id(&entered.zone)?;
            let Who { class, track, bbox, confidence } = seen(&entered.subject)?;
            (entered.at, ZoneEntered { zone, class, track, bbox, confidence, snapshot, analysed_fps }.into())
        }
        Observation::Exited(exited) => {
            let zone = zone_id(&exited.zone)?;
            let Who { class, track, .. } = seen(&exited.subject)?;
            (exited.at, ZoneExited { zone, class, track, dwell_ms: millis(exited.dwell), analysed_fps }.into())
        }
        Observation::Occupancy(occupancy) => {
            let zone = zone_id(&occupancy.zone)?;
            let counts = Class::ALL.into_iter().fold(Counts::default(), |counts, class| {
                counts.with(class, occupancy.counts.get(detected_class(class)))
            });
            let snapshot = snapshot.filter(|_| !occupancy.heartbeat);
            (
                occupancy.at,
                ZoneOccupancy { zone, counts, heartbeat: occupancy.heartbeat, snapshot, analysed_fps }.into(),
            )
        }
        Observation::Dwelled(dwelled) => {
            let zone = zone_id(&dwelled.zone)?;
            let Who { class, track, bbox, confidence } = seen(&dwelled.subject)?;
            let (dwell_ms, still_ms) = (millis(dwelled.dwell), millis(dwelled.still_for));
            (
                dwelled.at,
                ZoneDwelled { zone, class, track, dwell_ms, still_ms, bbox, confidence, snapshot, analysed_fps }.into(),
            )
        }
        Observation::Crossed(crossed) => {
            let line = crossed.line.parse::<LineId>().ok()?;
            let Who { class, track, bbox, confidence } = seen(&crossed.subject)?;
            let direction = match crossed.direction {
                inference::Direction::Forward => Direction::Forward,
                inference::Direction::Backward => Direction::Backward,
            };
            (crossed.at, LineCrossed { line, direction, class, track, bbox, confidence, snapshot, analysed_fps }.into())
        }
    };
    Some(Fact { at, payload })
}

struct Who {
    class: Class,
    track: TrackId,
    bbox: BBox,
    confidence: Confidence,
}

fn seen(subject: &Subject) -> Option<Who> {
    Some(Who {
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
