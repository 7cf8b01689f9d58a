//! One rule's condition at one place: clear, rising towards its T, or raised until it is over.
//!
//! A Schmitt trigger: it begins to rise where the condition holds, and is given up only where it is over, which with hysteresis lies
//! below. Between the two it stays what it is, so T is the time since it began without having been over; without hysteresis one dip
//! gives it up. `pass` lets time go by under the last observation, `apply` takes a new one. Both are monotone in event time.

use std::time::Duration;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use xueliang_events::{EventId, TrackId, values::SnapshotRef};

use crate::{
    engine::CURRENT_WITHIN,
    firing::{FiringId, Measure},
};

/// How long a condition must hold, be over, and be left alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub hold: Duration,
    pub clear_for: Duration,
    pub cool_down: Duration,
}

/// What one event says of a condition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    pub at: Timestamp,
    pub since: Timestamp,
    pub event: EventId,
    pub holds: bool,
    pub clears: bool,
    /// It is worth showing with the situation: no heartbeat.
    pub tells: bool,
}

/// The condition has held for its T.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Complete {
    pub at: Timestamp,
    pub since: Timestamp,
    pub began_with: EventId,
}

/// Everything remembered of one rule on one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// The version of the rule that remembers it; `None` where that was not noted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    pub phase: Phase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Last>,
    /// Tracks that count as evidence now; forgotten when they leave and with their session (RULES P10).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tracks: Vec<TrackId>,
    /// Visits that have lasted as long as a dwell rule asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visits: Vec<Visit>,
    /// How many are in the zone, or went over the line inwards more than outwards.
    #[serde(default)]
    pub count: u32,
    /// The day, from one reset to the next, that a balance is counted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
    /// When the sensor's last usable reading was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// The newest readings beyond the bound, as many as a repeated threshold asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<Beyond>,
    /// Events that the condition rests on while it rises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<EventId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Measure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
}

/// One track's stay in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visit {
    /// Its id now; an id is replaced while the visit lasts (RULES P10).
    pub track: TrackId,
    pub since: Timestamp,
}

/// A reading beyond the bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beyond {
    pub at: Timestamp,
    pub event: EventId,
}

/// The last firing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Last {
    pub firing: FiringId,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    #[default]
    Clear,
    Rising {
        since: Timestamp,
        began_with: EventId,
    },
    Raised {
        clearing_since: Option<Timestamp>,
    },
}

impl Condition {
    /// When it completes if nothing changes; `None` unless it is rising.
    pub fn completes_at(&self, timing: Timing) -> Option<Timestamp> {
        let Phase::Rising { since, .. } = self.phase else { return None };
        let held_at = later(since, timing.hold);
        let cooled_at = self.last.map(|last| later(last.at, timing.cool_down));
        Some(cooled_at.map_or(held_at, |cooled_at| cooled_at.max(held_at)))
    }

    /// Time goes by until `until` under the last observation.
    pub fn pass(&mut self, until: Timestamp, timing: Timing) -> Option<Complete> {
        match self.phase {
            // → Raised
            Phase::Rising { since, began_with } => {
                let at = self.completes_at(timing).filter(|at| *at <= until)?;
                self.phase = Phase::Raised { clearing_since: None };
                Some(Complete { at, since, began_with })
            }
            // → Clear
            Phase::Raised { clearing_since: Some(since) } if later(since, timing.clear_for) <= until => {
                self.phase = Phase::Clear;
                None
            }
            Phase::Clear | Phase::Raised { .. } => None,
        }
    }

    /// Takes a new observation; time has passed until then.
    pub fn apply(&mut self, evidence: Evidence, timing: Timing) -> Option<Complete> {
        let Evidence { at, since, event, holds, clears, .. } = evidence;
        let was_clear = self.phase == Phase::Clear;
        self.phase = match self.phase {
            // → Rising
            Phase::Clear if holds => Phase::Rising { since, began_with: event },
            Phase::Clear => Phase::Clear,
            // → Clear
            Phase::Rising { .. } if clears => Phase::Clear,
            Phase::Rising { since, began_with } => Phase::Rising { since, began_with },
            Phase::Raised { clearing_since } if clears => Phase::Raised { clearing_since: clearing_since.or(Some(at)) },
            Phase::Raised { .. } => Phase::Raised { clearing_since: None },
        };
        if self.phase == Phase::Clear {
            self.forget_evidence();
        }
        let complete = self.pass(at, timing)?;
        // What had held for long when it was first told is told now.
        Some(Complete { at: if was_clear { at } else { complete.at }, ..complete })
    }

    /// A momentary event, such as a crossing: complete at once unless it cools down or was seen before.
    pub fn pulse(&self, at: Timestamp, event: EventId, timing: Timing) -> Option<Complete> {
        let cooled = self.last.is_none_or(|last| at > last.at && at >= later(last.at, timing.cool_down));
        cooled.then_some(Complete { at, since: at, began_with: event })
    }

    /// Forgets a condition that is still rising: what it rests on is not known any more.
    pub fn give_up_rising(&mut self) {
        if matches!(self.phase, Phase::Rising { .. }) {
            self.phase = Phase::Clear;
            self.forget_evidence();
        }
    }

    /// What a situation rests on that came to nothing must not be shown with the next one.
    fn forget_evidence(&mut self) {
        self.recent.clear();
        self.snapshot = None;
    }

    /// The tracks of an ended session say nothing more; what has fired stays fired.
    pub fn forget_tracks(&mut self) {
        self.tracks.clear();
        self.visits.clear();
        self.count = 0;
        self.give_up_rising();
    }

    /// Another day is counted from nothing, and what was over the capacity is over.
    pub fn count_anew(&mut self) {
        (self.count, self.day, self.phase) = (0, None, Phase::Clear);
        self.forget_evidence();
    }

    /// The clock was set back: nothing has happened in the future, and what rose for long may have been over meanwhile.
    pub fn set_back(&mut self, now: Timestamp) {
        match &mut self.phase {
            Phase::Rising { since, .. } if *since > later(now, CURRENT_WITHIN) => self.give_up_rising(),
            Phase::Rising { since, .. } | Phase::Raised { clearing_since: Some(since) } => *since = now.min(*since),
            Phase::Clear | Phase::Raised { clearing_since: None } => {}
        }
        if let Some(last) = &mut self.last {
            last.at = last.at.min(now);
        }
        self.read_at = self.read_at.map(|read_at| read_at.min(now));
        self.beyond.retain(|beyond| beyond.at <= now);
        self.day = None;
    }

    /// True when an earlier version of the rule remembers it: under this one it begins anew.
    pub fn is_before(&self, version: u32) -> bool {
        self.version.is_some_and(|known| known < version)
    }

    /// True when a later version remembers it, which another instance has put in force already.
    pub fn is_after(&self, version: u32) -> bool {
        self.version.is_some_and(|known| known > version)
    }

    pub fn is_raised(&self) -> bool {
        matches!(self.phase, Phase::Raised { .. })
    }

    /// Notes an event that the rising condition rests on.
    pub fn remember(&mut self, event: EventId) {
        const MAX_RECENT: usize = 16;
        if self.recent.len() < MAX_RECENT && !self.recent.contains(&event) {
            self.recent.push(event);
        }
    }
}

pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
