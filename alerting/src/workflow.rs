//! The incident workflow (RULES C): one enum of states and one transition function.
//!
//! In: a state, a command, who gives it and what is known of the incident. Out: where it goes, or why not. Invariant:
//! what is not listed in [`edge`] can't happen, and nothing that a machine detected is dispatched without a person (P32).
//! Not here: storage, region scope, the clocks themselves (each edge only says what it does to them).

mod command;
mod edge;
mod guard;

pub(crate) use command::vocabulary;
pub use command::{Command, FieldSpec, Role, State};
pub use edge::{ClockEffect, Edge, edge};
pub use guard::{Actor, Facts, Input, Kind, REOPEN_WITHIN, RefusedCommand, Transition, allowed, transition};
