//! Deadlines: how long something may take, on which clock, and who is told when it takes longer (RULES C).
//!
//! A deployment's [`Deadlines`] give a [`DeadlineRule`] with its [`Limit`]s; a [`Clock`] counts against one of them, by the
//! deployer's calendar ([`worktime`]); [`look`] says which [`Milestone`]s have come. All of it is pure: `now` is a parameter.
//! Not here: which step of the workflow starts or pauses a clock, storage, sending.

mod clock;
mod limit;
mod milestone;
mod read;
mod rule;
pub mod worktime;

pub use clock::{Clock, ClockState};
pub use limit::{ClockKind, InvalidLimit, Limit};
pub use milestone::{InvalidMilestone, Look, Milestone, Told, look, next_at};
pub use read::Deadlines;
pub use rule::DeadlineRule;
