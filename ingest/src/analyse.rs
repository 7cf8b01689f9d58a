//! One camera's analysis: a picture → detections where they are needed → tracks → zone observations → events with a redacted snapshot.
//!
//! A picture in which nothing changed needs no detector, and where only a part of it changed, that part is looked at. Where many
//! move, tracks are carried on by how they move between two looks, unless that alone would tell of somebody. State of one camera session only: tracks and their ids start anew with each (RULES P10).

mod told;

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    Payload,
    values::{Rate, SnapshotRef},
};
use xueliang_inference::{
    Detection, Detections, Frame, Observation, Scene, SceneError, SceneSettings, Track, Tracker, TrackerSettings,
    redact::{self, RedactSettings},
};

use crate::{
    attention::{Attention, Checked, Sight},
    decode::Rest,
    gate::{Finding, Purpose},
    look::Look,
    settings::{CameraSettings, GatePolicy},
    snapshots::SnapshotStore,
};
use told::fact;

/// Shortest time between a snapshot and one that only shows a new count. What one object did is always worth a picture: its
/// frames come at the analysis rate at most.
const COUNT_SNAPSHOT_INTERVAL: SignedDuration = SignedDuration::from_secs(3);
/// How often the occupancy of an unchanged zone is repeated.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A picture of whoever stands there is as good for so long.
const PICTURE_LASTS: SignedDuration = SignedDuration::from_millis(19_500);
/// Tracks are carried on for so long without a look where pictures come anyway.
const CARRIED_FOR: SignedDuration = SignedDuration::from_millis(300);
/// So long no picture is decoded for a look, and where that spares decoding, so long.
const RESTS_FOR: SignedDuration = SignedDuration::from_millis(600);
const RESTS_AT_MOST: SignedDuration = SignedDuration::from_secs(1);
/// Where nothing changed, somebody looks again so soon.
const GLANCE_AFTER: SignedDuration = SignedDuration::from_millis(400);
/// What waits for time to pass has waited long enough by then: lost tracks are dropped, counts are told.
const SETTLES_WITHIN: SignedDuration = SignedDuration::from_secs(6);
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
pub struct Seen {
    /// What is to be said because of it.
    pub facts: Vec<Fact>,
    /// What the gate is to know; `None` when nobody looked.
    pub finding: Option<Finding>,
    /// Whether nothing in the zones waits for time to pass.
    pub is_settled: bool,
    /// How it was analysed.
    pub how: How,
    /// Until when nobody has to look.
    pub rest: Option<Rest>,
}

/// How a picture was analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// All of it was detected.
    Whole,
    /// The part that changed was detected.
    Part,
    /// Nothing had changed.
    Unchanged,
    /// Tracks were carried on.
    Carried,
    /// Not at all: it had been before, or the detector failed.
    Not,
}

impl How {
    /// All ways to analyse one.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Part, Self::Unchanged, Self::Carried];

    /// The name for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Part => "part",
            Self::Unchanged => "unchanged",
            Self::Carried => "carried",
            Self::Not => "not",
        }
    }

    /// Which look this came of.
    pub fn of(detections: &Detections) -> Self {
        if detections.part().is_some() { Self::Part } else { Self::Whole }
    }
}

impl Seen {
    const NOTHING: Self = Self { facts: Vec::new(), finding: None, is_settled: false, how: How::Not, rest: None };
}

/// One camera's tracker, scene and attention.
pub struct Analysis {
    tracker: Tracker,
    scene: Scene,
    attention: Attention,
    redact: RedactSettings,
    /// Whether pictures may be analysed without a look at all of each.
    is_thrifty: bool,
    looked_at: Option<Timestamp>,
    /// The last picture that was kept, and when it was taken.
    pictured: Option<(Timestamp, SnapshotRef)>,
    /// When the latest pictures were taken, the last one last.
    analysed_at: VecDeque<Timestamp>,
    /// Up to when tracks and zones have come.
    reached: Option<Timestamp>,
    /// Time between two pictures that are analysed.
    interval: SignedDuration,
    /// How it was before time passed without a look: what was kept meanwhile may show more.
    before_carry: Option<Box<(Tracker, Scene, Option<Timestamp>)>>,
}

impl Analysis {
    /// A fresh analysis for one session of `camera`, whose frames have this width divided by height.
    pub fn new(camera: &CameraSettings, frame_aspect: f32) -> Result<Self, SceneError> {
        let scene = Scene::new(SceneSettings {
            zones: camera.zones.clone(),
            lines: camera.lines.clone(),
            heartbeat: HEARTBEAT,
        })?;
        Ok(Self {
            tracker: Tracker::new(TrackerSettings { frame_aspect, ..TrackerSettings::default() }),
            scene,
            attention: Attention::new(camera),
            redact: camera.redact,
            is_thrifty: camera.gate == GatePolicy::Adaptive,
            looked_at: None,
            pictured: None,
            analysed_at: VecDeque::new(),
            reached: None,
            interval: SignedDuration::from_secs_f64(1.0 / f64::from(camera.analysis_fps.max(0.1))),
            before_carry: None,
        })
    }

    /// Glances at a picture that was decoded to see whether anything is new; `None`: somebody must look, because something changed
    /// or because what is to be told is worth a snapshot.
    pub fn glance(&mut self, frame: &Frame) -> Option<Seen> {
        let sight = self.attention.see(frame);
        let still_there = self.unchanged(frame.captured_at(), &sight, Purpose::Check)?;
        let Some(facts) = self.begin(frame.captured_at(), Purpose::Check) else { return Some(Seen::NOTHING) };
        let pictured = self.pictured_of_late(frame.captured_at(), PICTURE_LASTS);
        Some(self.confirm(frame.captured_at(), &still_there, facts, pictured.as_ref()))
    }

    /// Takes one picture, with as many looks at it as that takes.
    pub fn observe(&mut self, look: &mut Look, purpose: Purpose, snapshots: &SnapshotStore) -> Seen {
        let (at, sight) = (look.frame().captured_at(), self.attention.see(look.frame()));
        if purpose == Purpose::Check {
            return self.check(look, &sight, snapshots);
        }
        let Some(facts) = self.begin(at, purpose) else { return Seen::NOTHING };
        if self.is_thrifty {
            if let Some(still_there) = self.unchanged(at, &sight, purpose) {
                return self.confirm(at, &still_there, facts, None);
            }
            let region = self.attention.region(&sight).filter(|region| look.is_cheaper(region));
            if let Some(region) = region {
                let found = look.part(&region);
                return self.follow((look, found), &sight, facts, snapshots);
            }
            if let Some(carried) = self.carry_on(at) {
                let facts = facts.into_iter().chain(self.facts(carried, None)).collect();
                return Seen { facts, how: How::Carried, ..Seen::NOTHING };
            }
        }
        let found = look.whole();
        self.follow((look, found), &sight, facts, snapshots)
    }

    /// Nothing moved up to this time: what waited for time to pass comes about, dwells go on, and the last picture still shows
    /// who stands there.
    pub fn carry(&mut self, at: Timestamp) -> Vec<Fact> {
        let observations = if self.scene.is_settled() {
            self.scene.carry(at)
        } else if self.settles(at) {
            let before = || Box::new((self.tracker.clone(), self.scene.clone(), self.reached));
            self.before_carry.get_or_insert_with(before);
            self.reached = Some(at);
            let tracks = self.tracker.update(at, &self.attention.standing());
            self.scene.observe(at, &tracks)
        } else {
            Vec::new()
        };
        let snapshot = self.pictured_of_late(at, PICTURE_LASTS);
        self.facts(observations, snapshot.as_ref())
    }

    /// Tracks move on to this time without a look, as [`Seen::rest`] allowed.
    pub fn coast(&mut self, at: Timestamp) -> Vec<Fact> {
        if self.reached.is_none_or(|reached| at <= reached) {
            return Vec::new();
        }
        let Some(observations) = self.coasted(at) else { return Vec::new() };
        self.advance(at);
        self.facts(observations, None)
    }

    /// Who is followed, as of the latest picture: for measurements.
    pub fn tracks(&self) -> Vec<Track> {
        self.tracker.tracks()
    }

    /// The camera went away: what was inside its zones is said to have left.
    pub fn close(&mut self) -> Vec<Fact> {
        let Some(last_at) = self.reached else { return Vec::new() };
        let observations = self.scene.close(last_at);
        self.facts(observations, None)
    }

    /// Whether this time is later than all before, and not long after somebody looked.
    fn settles(&self, at: Timestamp) -> bool {
        let is_soon = self.looked_at.is_some_and(|last| at.duration_since(last) < SETTLES_WITHIN);
        is_soon && self.reached.is_some_and(|reached| at > reached)
    }

    /// Who is still there when nothing changed, and nothing is to be told that is worth a snapshot.
    fn unchanged(&mut self, at: Timestamp, sight: &Sight, purpose: Purpose) -> Option<Vec<Detection>> {
        // A picture of late shows who has not moved since.
        let is_pictured = purpose == Purpose::Check && self.pictured_within(at, PICTURE_LASTS);
        if (self.scene.is_dwell_due(at) && !is_pictured) || self.wants_picture(at) || self.tracker.has_newcomers() {
            return None;
        }
        self.attention.unchanged(sight, purpose)
    }

    /// Somebody must look whether anything is new.
    fn check(&mut self, look: &mut Look, sight: &Sight, snapshots: &SnapshotStore) -> Seen {
        let Some(detections) = look.whole() else { return Seen::NOTHING };
        match self.attention.check(sight, (&detections).into()) {
            Checked::New => Seen { finding: Some(Finding::Moving), how: How::Whole, ..Seen::NOTHING },
            Checked::AsBefore(found) => {
                let at = look.frame().captured_at();
                let Some(mut facts) = self.begin(at, Purpose::Check) else { return Seen::NOTHING };
                let tracks = self.tracker.update(at, &found);
                self.looked_at = Some(at);
                let finding = self.attention.confirm(&tracks);
                let observations = self.scene.observe(at, &tracks);
                let snapshot = self.snapshot_of(&observations, &tracks, (look, &detections), snapshots);
                facts.extend(self.facts(observations, snapshot.as_ref()));
                let is_settled = self.scene.is_settled();
                Seen { facts, finding: Some(finding), is_settled, how: How::Whole, rest: None }
            }
        }
    }

    /// All as before: tracks and zones live on.
    fn confirm(
        &mut self,
        at: Timestamp,
        still_there: &[Detection],
        mut facts: Vec<Fact>,
        pictured: Option<&SnapshotRef>,
    ) -> Seen {
        let tracks = self.tracker.update(at, still_there);
        let finding = self.attention.confirm(&tracks);
        let observations = self.scene.observe(at, &tracks);
        facts.extend(self.facts(observations, pictured));
        let (is_settled, rest) = (self.scene.is_settled(), self.rest(at, (GLANCE_AFTER, GLANCE_AFTER)));
        Seen { facts, finding: Some(finding), is_settled, how: How::Unchanged, rest }
    }

    /// Until when tracks may be carried on: not beyond what they are then likely to do that is worth a picture.
    fn rest(&self, at: Timestamp, (until, by): (SignedDuration, SignedDuration)) -> Option<Rest> {
        if !self.is_thrifty || self.tracker.has_newcomers() || !self.attention.is_experienced(at) {
            return None;
        }
        let after = |period: SignedDuration| at.checked_add(period).unwrap_or(at);
        let (mut tracker, mut scene) = (self.tracker.clone(), self.scene.clone());
        let mut next = after(self.interval);
        while next < after(by) {
            let observations = scene.observe(next, &tracker.coast(next));
            if self.must_be_seen(&observations, next) {
                return (next > at).then_some(Rest { until: next.min(after(until)), by: next });
            }
            next = next.checked_add(self.interval).unwrap_or(after(by));
        }
        Some(Rest { until: after(until), by: after(by) })
    }

    /// Carries tracks and zones on as they move; `None`: it is time to look, or what would be told must have been seen.
    fn carry_on(&mut self, at: Timestamp) -> Option<Vec<Observation>> {
        let is_time = self.looked_at.is_none_or(|last| at.duration_since(last).abs() >= CARRIED_FOR);
        if is_time || self.tracker.has_newcomers() { None } else { self.coasted(at) }
    }

    /// `None`: what would be told must have been seen.
    fn coasted(&mut self, at: Timestamp) -> Option<Vec<Observation>> {
        let tracks = self.tracker.coast(at);
        let mut scene = self.scene.clone();
        let observations = scene.observe(at, &tracks);
        if self.must_be_seen(&observations, at) {
            return None;
        }
        self.scene = scene;
        Some(observations)
    }

    /// Follows who is there.
    fn follow(
        &mut self,
        (look, found): (&mut Look, Option<Detections>),
        sight: &Sight,
        mut facts: Vec<Fact>,
        snapshots: &SnapshotStore,
    ) -> Seen {
        let at = look.frame().captured_at();
        let Some(detections) = found else { return Seen { facts, ..Seen::NOTHING } };
        let tracks = self.tracker.update(at, &self.attention.complete(sight, (&detections).into()));
        self.looked_at = Some(at);
        let observations = self.scene.observe(at, &tracks);
        let snapshot = self.snapshot_of(&observations, &tracks, (look, &detections), snapshots);
        let finding = self.attention.follow(sight, &tracks, (&detections).into());
        facts.extend(self.facts(observations, snapshot.as_ref()));
        let (is_settled, rest) = (self.scene.is_settled(), self.rest(at, (RESTS_FOR, RESTS_AT_MOST)));
        Seen { facts, finding: Some(finding), is_settled, how: How::of(&detections), rest }
    }

    /// Goes on to this time; `None` when it was there before. A clock that was set back ends what was going on.
    fn begin(&mut self, at: Timestamp, purpose: Purpose) -> Option<Vec<Fact>> {
        let mut facts = Vec::new();
        if let Some(before) = self.before_carry.take()
            && purpose == Purpose::CatchUp
            && before.2.is_none_or(|looked_at| at > looked_at)
        {
            (self.tracker, self.scene, self.reached) = *before;
        }
        if let Some(last_at) = self.reached
            && at <= last_at
        {
            if purpose == Purpose::CatchUp || last_at.duration_since(at) < NEW_TIMELINE {
                return None;
            }
            facts = self.close();
            self.analysed_at.clear();
        }
        self.advance(at);
        Some(facts)
    }

    fn advance(&mut self, at: Timestamp) {
        if self.analysed_at.len() == RATE_OVER {
            self.analysed_at.pop_front();
        }
        self.analysed_at.push_back(at);
        self.reached = Some(at);
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
        tracks: &[Track],
        (look, detections): (&mut Look, &Detections),
        snapshots: &SnapshotStore,
    ) -> Option<SnapshotRef> {
        let at = look.frame().captured_at();
        if !self.is_worth_picture(observations, at) && !self.wants_picture(at) {
            return None;
        }
        if detections.part().is_none() {
            return self.snapshot(look.frame(), detections, tracks, snapshots);
        }
        // Whoever is elsewhere must be covered too.
        let detections = look.whole()?;
        self.snapshot(look.frame(), &detections, tracks, snapshots)
    }

    /// Whether prediction alone may not tell this.
    fn must_be_seen(&self, observations: &[Observation], at: Timestamp) -> bool {
        let has_left = observations.iter().any(|observation| matches!(observation, Observation::Exited(_)));
        has_left || self.is_worth_picture(observations, at)
    }

    fn is_worth_picture(&self, observations: &[Observation], at: Timestamp) -> bool {
        match observations.iter().map(worth).max().unwrap_or(Worth::Nothing) {
            Worth::Nothing => false,
            Worth::Count => !self.pictured_within(at, COUNT_SNAPSHOT_INTERVAL),
            Worth::Object => true,
        }
    }

    fn pictured_within(&self, at: Timestamp, period: SignedDuration) -> bool {
        self.pictured_of_late(at, period).is_some()
    }

    fn pictured_of_late(&self, at: Timestamp, period: SignedDuration) -> Option<SnapshotRef> {
        let last = self.pictured.as_ref().filter(|(last, _)| at.duration_since(*last).abs() < period);
        last.map(|(_, snapshot)| snapshot.clone())
    }

    /// Whether somebody stands there of whom is soon to be told, perhaps without a look at that moment.
    fn wants_picture(&self, at: Timestamp) -> bool {
        let soon = at.checked_add(PICTURE_LASTS).unwrap_or(at);
        self.scene.is_settled() && self.scene.is_dwell_due(soon) && !self.pictured_within(at, PICTURE_LASTS)
    }

    /// A redacted snapshot, its original sealed beside it where the settings say so; any failure means none (RULES P12).
    fn snapshot(
        &mut self,
        frame: &Frame,
        detections: &Detections,
        tracks: &[Track],
        snapshots: &SnapshotStore,
    ) -> Option<SnapshotRef> {
        let made = redact::snapshot(frame, detections, tracks, &self.redact)
            .map_err(|error| error.to_string())
            .and_then(|snapshot| {
                let kept = snapshots.keep(&snapshot).map_err(|error| error.to_string())?;
                snapshots.seal(frame, (&snapshot, &kept), &self.redact);
                Ok(kept)
            });
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

#[cfg(test)]
mod tests;
