//! What the rules remember of one device; a plain value that the store keeps.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xueliang_events::{Event, GridCode, SessionId};

use crate::{condition::Condition, rule::RuleId};

/// What the rules remember of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub(crate) newest: Option<Newest>,
    /// From the last status; `None` until one came in this session.
    pub(crate) delivers: Option<bool>,
    pub(crate) grid: Option<GridCode>,
    pub(crate) conditions: BTreeMap<RuleId, Condition>,
}

/// The newest event taken in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Newest {
    pub session: SessionId,
    pub sequence: u64,
    pub time: Timestamp,
}

impl Memory {
    /// Repeated or overtaken: within a session the sequence decides, between sessions the time.
    pub(crate) fn has_passed(&self, event: &Event) -> bool {
        self.newest.is_some_and(|newest| {
            if newest.session == event.session { event.sequence <= newest.sequence } else { event.time <= newest.time }
        })
    }

    /// Takes note of the event's envelope; true when it begins another session.
    pub(crate) fn note(&mut self, event: &Event) -> bool {
        let session_changed = self.newest.is_some_and(|newest| newest.session != event.session);
        if session_changed {
            self.delivers = None;
        }
        let time = self.newest.map_or(event.time, |newest| newest.time.max(event.time));
        self.newest = Some(Newest { session: event.session, sequence: event.sequence, time });
        if event.grid.is_some() {
            self.grid.clone_from(&event.grid);
        }
        session_changed
    }
}
