//! Rules: events in, firings out. Pure: no I/O, no clock; time comes from events and parameters.
//!
//! An [`Engine`] holds the rules; what it remembers of one device is a [`Memory`], a plain value that the store keeps in
//! the same transaction as the effects. Invariants: a repeated or late event changes nothing; one ongoing situation fires
//! once, also across restarts of camera, ingest and alerting; the same events give the same firing ids.
//! Not here: incidents, grouping, storage, transport.

mod condition;
mod engine;
mod evidence;
mod firing;
mod meaning;
mod memory;
mod order;
mod read;
mod rule;
mod schedule;
mod silence;
mod statics;

pub mod replay;

pub use engine::{CURRENT_WITHIN, Due, Engine, Observed, SETTLE};
pub use evidence::sensor::SILENT;
pub use firing::{Firing, FiringId, Measure, Support};
pub use memory::Memory;
pub use read::RuleSet;
pub use rule::{Bound, Governance, InvalidRuleId, Kind, Place, Rule, RuleId, Urgency};
pub use schedule::{Calendar, Minute, Schedule};
pub use silence::Silence;
pub use statics::{FORGOTTEN_AFTER, LEARNT_AFTER, Static};
