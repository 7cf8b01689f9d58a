//! How an incident comes to be: edge 1, a rule fires; edge 4, a grid worker or the hotline reports it (RULES C).
//!
//! Whatever a machine found enters as `Suspected`, where only a person leads on (P32). Of who called the hotline nothing is
//! kept: the account that took the call is the reporter, and stays apart from dispatch and closing.

use jiff::Timestamp;

use super::{
    clocks::{Clocks, Terms},
    command::{Role, State, vocabulary},
    course::{Course, Step},
    edge::ClockEffect,
    guard::{Actor, Facts, Kind, RefusedCommand, check_role},
};

vocabulary! {
    /// Where an incident comes from; kept with it.
    Entry {
        /// A rule fired.
        Rule => "rule",
        /// 网格员上报: a grid worker saw it.
        GridWorker => "grid_worker",
        /// 热线: somebody called, and an operator wrote it down.
        Hotline => "hotline",
    }
}

/// Begins the course of an incident, or says why not.
pub fn enter(entry: Entry, actor: Actor<'_>, now: Timestamp, terms: Terms<'_>) -> Result<Step, RefusedCommand> {
    let facts = Facts { attempt: 1, ..Facts::default() };
    let role = match entry {
        Entry::Rule if actor.kind != Kind::Rule => return Err(RefusedCommand::Role("rule".to_owned())),
        Entry::Rule => {
            let course = Course { state: State::Suspected, facts, clocks: Clocks::default() };
            return Ok(Step { edge: 1, course });
        }
        Entry::GridWorker => Role::GridWorker,
        Entry::Hotline => Role::Operator,
    };
    check_role(&[role], actor)?;
    let mut clocks = Clocks::default();
    clocks.apply(ClockEffect::StartAccept, now, terms);
    let facts = Facts { reporter: Some(actor.name.to_owned()), ..facts };
    Ok(Step { edge: 4, course: Course { state: State::Reported, facts, clocks } })
}
