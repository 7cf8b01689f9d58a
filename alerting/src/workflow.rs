//! The incident workflow (RULES C): one enum of states, one table of edges, one door that takes them.
//!
//! In: an incident's [`Course`], a command, who gives it, the deadlines that hold. Out: the course afterwards, clocks
//! included, or why not. [`enter`] begins a course, [`advance`] moves it, [`note()`] is what may be done without moving it.
//! Invariant: what is not listed in [`edge()`] can't happen, and nothing that a machine detected is dispatched without a person
//! (P32). Not here: storage, region scope, who is told of a milestone.

mod clocks;
mod command;
mod course;
mod edge;
mod entry;
mod guard;
mod note;

pub use clocks::{ClockName, Clocks, Terms};
pub(crate) use command::vocabulary;
pub use command::{Command, FieldSpec, Role, State};
pub use course::{Course, DueNow, Step, advance};
pub use edge::{ClockEffect, Edge, edge};
pub use entry::{Entry, enter};
pub use guard::{Actor, Facts, Input, Kind, REOPEN_WITHIN, RefusedCommand, Transition, allowed, transition};
pub use note::{Note, NoteInput, note, notes_allowed};
