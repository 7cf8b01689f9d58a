//! Notifications: what is told of incidents, to which channel, when, and how it gets there.
//!
//! A [`Change`] enters the [`Group`] of its channel, region and category; [`plan()`] turns groups that are due into messages, the excess
//! into one digest; a [`Courier`] delivers a [`Message`]. Groups, paces and messages are plain values that the store keeps: planning
//! is pure, so it happens in the transaction that writes the messages. Invariants: an incident that stays open is told
//! of exactly once, and then reminded of until somebody has it; a message's id follows from what it says, so that receivers recognise a
//! repetition. Not here: the store, the job that runs this, images, and what persons wrote.

pub mod deliver;
pub mod group;
pub mod message;
pub mod pace;
pub mod plan;
pub mod retry;
pub mod settings;
pub mod text;
pub mod way;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xueliang_events::{IncidentId, payload::Category};
use xueliang_rules::Urgency;

use crate::workflow::State;

pub use deliver::{Courier, CourierError, Delivery};
pub use group::{Group, Item};
pub use message::{Message, Subject};
pub use pace::Pace;
pub use plan::{GroupKey, Plan, Planned, Road, plan};
pub use retry::{Tries, next_try};
pub use settings::Channel;

/// Why somebody is told of an incident, in the order of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nobody has it yet, or its deadline comes near.
    Reminder,
    /// It was opened.
    Opened,
    /// Its deadline has passed.
    Overdue,
    /// It went to the next level.
    Escalated,
    /// A supervisor opened its originals alone, in an emergency; a privacy officer reviews it within a day.
    GlassBroken,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Reminder, Kind::Opened, Kind::Overdue, Kind::Escalated, Kind::GlassBroken];

    /// The key in settings and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Reminder => "reminder",
            Kind::Opened => "opened",
            Kind::Overdue => "overdue",
            Kind::Escalated => "escalated",
            Kind::GlassBroken => "glass_broken",
        }
    }

    /// What a move of an incident tells, if anything; deadlines tell the rest.
    pub fn of_move(from: Option<State>, to: State) -> Option<Self> {
        let opens = to.is_open() && (from.is_none() || to == State::Reopened);
        (opens && from != Some(to)).then_some(Kind::Opened)
    }
}

/// Whether an incident still waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has acknowledged it.
    Waiting,
    /// Somebody has it.
    Handled,
    /// It is closed, void or was nothing.
    Over,
}

impl Standing {
    /// The standing that a state means.
    pub fn of(state: State) -> Self {
        match state {
            State::Suspected | State::Reopened => Self::Waiting,
            state if state.is_open() => Self::Handled,
            _ => Self::Over,
        }
    }
}

/// Something that happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The incident.
    pub incident: IncidentId,
    /// Its category.
    pub category: Category,
    /// Its grid, or the region that stands for it.
    pub region: &'a str,
    /// How urgent it is.
    pub urgency: Urgency,
    /// What is to be told; `None` when only its standing changed.
    pub kind: Option<Kind>,
    /// How it stands now.
    pub standing: Standing,
    /// When.
    pub at: Timestamp,
}

/// A moment later; the end of time when that is beyond it.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The letter of an urgency in stored records.
mod letter {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use xueliang_rules::Urgency;

    pub(super) fn serialize<S: Serializer>(urgency: &Urgency, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(urgency.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Urgency, D::Error> {
        let letter = String::deserialize(deserializer)?;
        Urgency::parse(&letter).ok_or_else(|| D::Error::custom("A, B or C"))
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_tell_and_states_stand() {
        let check = |from, to, kind, standing| {
            assert_eq!((Kind::of_move(from, to), Standing::of(to)), (kind, standing), "{from:?} → {to:?}");
        };
        check(None, State::Suspected, Some(Kind::Opened), Standing::Waiting);
        check(None, State::Reported, Some(Kind::Opened), Standing::Handled);
        check(Some(State::Suspected), State::Suspected, None, Standing::Waiting);
        check(Some(State::Suspected), State::Reported, None, Standing::Handled);
        check(Some(State::Suspected), State::Discarded, None, Standing::Over);
        check(Some(State::Verifying), State::Closed, None, Standing::Over);
        check(Some(State::Closed), State::Reopened, Some(Kind::Opened), Standing::Waiting);
        check(Some(State::Handling), State::Suspended, None, Standing::Handled);
    }
}
