//! Tracks → what happened in a camera's zones and at its lines. Pure: time comes in with each observation, and what
//! happened goes out as values.
//!
//! A track that is not seen keeps its place until the tracker drops it; only then has it exited, with the dwell up to
//! when it was last seen. Occupancy is told on change, at most once a second, and as a heartbeat.

mod occupancy;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

pub use self::occupancy::ClassCounts;
use self::occupancy::OccupancyTeller;
use crate::detection::Class;
use crate::geometry::{BBox, Point};
use crate::line::{Direction, Line, Side};
use crate::track::{Track, TrackHandle, TrackId};
use crate::zone::{Presence, Step, Zone};

/// How far beyond a line an anchor must be, in box heights, to have crossed it: feet jitter.
const LINE_MARGIN: f32 = 0.1;

/// One camera's zones and lines and what is going on there.
#[derive(Clone)]
pub struct Scene {
    zones: Vec<ZoneState>,
    lines: Vec<LineState>,
    observed_at: Option<Timestamp>,
}

/// What a scene watches.
#[derive(Clone, Debug)]
pub struct SceneSettings {
    /// Areas.
    pub zones: Vec<Zone>,
    /// Lines.
    pub lines: Vec<Line>,
    /// How often occupancy is told though nothing changed.
    pub heartbeat: Duration,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// A track counts as inside a zone.
    Entered(Entered),
    /// A track no longer counts as inside.
    Exited(Exited),
    /// How many are inside.
    Occupancy(Occupancy),
    /// A track has been inside for another period.
    Dwelled(Dwelled),
    /// A track went over a line.
    Crossed(Crossed),
}

/// Whom an observation is about: a track, by its short-lived id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subject {
    /// Its id now.
    pub track: TrackId,
    /// What it is.
    pub class: Class,
    /// Score of its last detection.
    pub confidence: f32,
    /// Where it was seen last.
    pub bbox: BBox,
}

/// A track counts as inside a zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// Which zone.
    pub zone: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub subject: Subject,
}

/// A track no longer counts as inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Exited {
    /// Which zone.
    pub zone: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub subject: Subject,
    /// How long it was inside.
    pub dwell: Duration,
}

/// A track has been inside for another period.
#[derive(Clone, Debug, PartialEq)]
pub struct Dwelled {
    /// Which zone.
    pub zone: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub subject: Subject,
    /// How long it has been inside.
    pub dwell: Duration,
    /// How long it has not moved by more than half its height.
    pub still_for: Duration,
}

/// A track went over a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossed {
    /// Which line.
    pub line: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub subject: Subject,
    /// Which way.
    pub direction: Direction,
}

/// How many are inside a zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Occupancy {
    /// Which zone.
    pub zone: String,
    /// When.
    pub at: Timestamp,
    /// How many of each class.
    pub counts: ClassCounts,
    /// Whether nothing changed since the last one.
    pub heartbeat: bool,
}

/// Why settings don't make a scene.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SceneError {
    /// Two zones, or two lines, of one id.
    #[error("{kind} {id:?} is there twice: give each its own id")]
    RepeatedId {
        /// Zone or line.
        kind: &'static str,
        /// Which id.
        id: String,
    },
    /// A zone or line that nothing can enter.
    #[error("{kind} {id:?} looks at no class: name at least one")]
    NoClasses {
        /// Zone or line.
        kind: &'static str,
        /// Which id.
        id: String,
    },
}

#[derive(Clone)]
struct ZoneState {
    zone: Zone,
    visits: HashMap<TrackHandle, Visit>,
    teller: OccupancyTeller,
}

#[derive(Clone)]
struct Visit {
    presence: Presence,
    subject: Subject,
    seen_at: Timestamp,
}

#[derive(Clone)]
struct LineState {
    line: Line,
    sides: HashMap<TrackHandle, (Side, Point)>,
}

impl Scene {
    /// Checks the settings.
    pub fn new(settings: SceneSettings) -> Result<Self, SceneError> {
        let zones = settings.zones.iter().map(|zone| (zone.id.as_str(), zone.classes.is_empty()));
        check_ids("zone", zones)?;
        let lines = settings.lines.iter().map(|line| (line.id(), line.classes().is_empty()));
        check_ids("line", lines)?;
        let heartbeat = settings.heartbeat;
        let zone_state = |zone: Zone| {
            let teller = OccupancyTeller::new(&zone.timing, heartbeat);
            ZoneState { zone, visits: HashMap::new(), teller }
        };
        let line_state = |line| LineState { line, sides: HashMap::new() };
        Ok(Self {
            zones: settings.zones.into_iter().map(zone_state).collect(),
            lines: settings.lines.into_iter().map(line_state).collect(),
            observed_at: None,
        })
    }

    /// Takes in one frame's tracks.
    pub fn observe(&mut self, at: Timestamp, tracks: &[Track]) -> Vec<Observation> {
        let mut told = Vec::new();
        self.observed_at = Some(at);
        for line in &mut self.lines {
            line.observe(at, tracks, &mut told);
        }
        for zone in &mut self.zones {
            zone.observe(at, tracks, &mut told);
        }
        told
    }

    /// Whether nothing waits for time to pass: nobody is on the way in or out or out of sight, and the counts that hold are told.
    pub fn is_settled(&self) -> bool {
        let in_sight = |visit: &Visit| self.observed_at.is_none_or(|observed_at| visit.seen_at >= observed_at);
        let settled = |visit: &Visit| visit.presence.is_settled() && in_sight(visit);
        self.zones.iter().all(|zone| zone.visits.values().all(settled) && zone.teller.is_settled())
    }

    /// Whether somebody who stays where they are would be told of at this time: such a moment is worth a picture.
    pub fn is_dwell_due(&self, at: Timestamp) -> bool {
        self.zones
            .iter()
            .any(|zone| zone.visits.values().any(|visit| visit.presence.is_dwell_due(at, &zone.zone.timing)))
    }

    /// Nothing moved up to this time: whose dwell is over for another period.
    pub fn carry(&mut self, at: Timestamp) -> Vec<Observation> {
        let mut told = Vec::new();
        for ZoneState { zone, visits, .. } in &mut self.zones {
            for visit in visits.values_mut() {
                let step = visit.presence.carry(at, &zone.timing);
                told.extend(step.told(&zone.id, at, visit.subject));
            }
        }
        told
    }

    /// The camera restarts or goes away: all visits end.
    pub fn close(&mut self, at: Timestamp) -> Vec<Observation> {
        let mut told = Vec::new();
        for line in &mut self.lines {
            line.sides.clear();
        }
        for zone in &mut self.zones {
            zone.forget(at, |_| true, &mut told);
            told.extend(zone.teller.close(at, &zone.zone.id).map(Observation::Occupancy));
        }
        told
    }
}

impl ZoneState {
    fn observe(&mut self, at: Timestamp, tracks: &[Track], told: &mut Vec<Observation>) {
        let alive: HashSet<TrackHandle> = tracks.iter().map(|track| track.handle).collect();
        self.forget(at, |handle| !alive.contains(&handle), told);
        for track in tracks.iter().filter(|track| track.visible) {
            self.observe_track(at, track, told);
        }
        let counts = self.counts();
        told.extend(self.teller.observe(at, &self.zone.id, counts).map(Observation::Occupancy));
    }

    fn observe_track(&mut self, at: Timestamp, track: &Track, told: &mut Vec<Observation>) {
        let is_new = !self.visits.contains_key(&track.handle);
        if is_new && !(self.zone.classes.contains(track.class) && self.zone.contains(&track.bbox)) {
            return;
        }
        let subject = Subject::of(track);
        let first = || Visit { presence: Presence::new(at, &track.bbox), subject, seen_at: at };
        let visit = self.visits.entry(track.handle).or_insert_with(first);
        (visit.subject, visit.seen_at) = (subject, at);
        let step = visit.presence.observe(at, &self.zone, &track.bbox);
        if matches!(step, Step::Exited { .. } | Step::Passed) {
            self.visits.remove(&track.handle);
        }
        told.extend(step.told(&self.zone.id, at, subject));
    }

    /// Ends the visits of these tracks.
    fn forget(&mut self, at: Timestamp, is_gone: impl Fn(TrackHandle) -> bool, told: &mut Vec<Observation>) {
        let mut gone: Vec<TrackHandle> = self.visits.keys().copied().filter(|handle| is_gone(*handle)).collect();
        gone.sort_unstable();
        for handle in gone {
            if let Some(visit) = self.visits.remove(&handle) {
                told.extend(visit.presence.close(visit.seen_at).told(&self.zone.id, at, visit.subject));
            }
        }
    }

    fn counts(&self) -> ClassCounts {
        let counted = self.visits.values().filter(|visit| visit.presence.counts());
        ClassCounts::of(counted.map(|visit| visit.subject.class))
    }
}

impl LineState {
    fn observe(&mut self, at: Timestamp, tracks: &[Track], told: &mut Vec<Observation>) {
        let alive: HashSet<TrackHandle> = tracks.iter().map(|track| track.handle).collect();
        self.sides.retain(|handle, _| alive.contains(handle));
        for track in tracks.iter().filter(|track| track.visible) {
            if let Some(direction) = self.observe_track(track) {
                let line = self.line.id().to_owned();
                told.push(Observation::Crossed(Crossed { line, at, subject: Subject::of(track), direction }));
            }
        }
    }

    fn observe_track(&mut self, track: &Track) -> Option<Direction> {
        let anchor = track.bbox.anchor();
        let side = self.line.side_of(anchor)?;
        let Some(&(known_side, known_anchor)) = self.sides.get(&track.handle) else {
            if self.line.classes().contains(track.class) {
                self.sides.insert(track.handle, (side, anchor));
            }
            return None;
        };
        if side != known_side && self.line.distance_of(anchor) < LINE_MARGIN * track.bbox.h {
            return None;
        }
        self.sides.insert(track.handle, (side, anchor));
        let crossed = side != known_side && self.line.is_met_by(known_anchor, anchor);
        crossed.then(|| side.reached())
    }
}

impl Subject {
    fn of(track: &Track) -> Self {
        Self { track: track.id, class: track.class, confidence: track.confidence, bbox: track.bbox }
    }
}

impl Step {
    fn told(self, zone: &str, at: Timestamp, subject: Subject) -> Option<Observation> {
        let zone = zone.to_owned();
        match self {
            Self::Nothing | Self::Passed => None,
            Self::Entered => Some(Observation::Entered(Entered { zone, at, subject })),
            Self::Dwelled { dwell, still_for } => {
                Some(Observation::Dwelled(Dwelled { zone, at, subject, dwell, still_for }))
            }
            Self::Exited { dwell } => Some(Observation::Exited(Exited { zone, at, subject, dwell })),
        }
    }
}

fn check_ids<'a>(kind: &'static str, ids: impl Iterator<Item = (&'a str, bool)>) -> Result<(), SceneError> {
    let mut known = HashSet::new();
    for (id, looks_at_nothing) in ids {
        if looks_at_nothing {
            return Err(SceneError::NoClasses { kind, id: id.to_owned() });
        }
        if !known.insert(id) {
            return Err(SceneError::RepeatedId { kind, id: id.to_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
