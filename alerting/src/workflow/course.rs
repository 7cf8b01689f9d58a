//! The course of an incident: where it stands, what is known, how its clocks run; and the one way to move it on.
//!
//! In: a course, a command with its actor, the terms. Out: the course afterwards, or why not. A job asks [`Course::due`] at
//! [`Course::next_at`] what time has brought. Not here: storage, versions, region scope.

use jiff::Timestamp;
use xueliang_rules::Calendar;

use super::{
    clocks::{ClockName, Clocks, Terms},
    command::{Command, State},
    guard::{Actor, Facts, Input, RefusedCommand, transition},
};
use crate::deadline::{Milestone, look};

/// All that the workflow knows of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Where it stands.
    pub state: State,
    /// What is known.
    pub facts: Facts,
    /// How its clocks run.
    pub clocks: Clocks,
}

/// An edge that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number in RULES C.
    pub edge: u8,
    /// The course afterwards.
    pub course: Course,
}

/// What time has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueNow {
    /// What is to be told, in order.
    pub milestones: Vec<(ClockName, Milestone)>,
    /// True when it has waited long enough: a job gives [`Command::Resume`].
    pub resumes: bool,
    /// The clocks once the milestones are told.
    pub clocks: Clocks,
}

/// Carries out a command with all that it does to the clocks, or says why not.
pub fn advance(course: &Course, terms: Terms<'_>, actor: Actor<'_>, input: Input<'_>) -> Result<Step, RefusedCommand> {
    let moved = transition(course.state, &course.facts, actor, input)?;
    let until = moved.facts.suspended_until.filter(|_| input.command == Command::Suspend);
    if until.is_some_and(|until| !terms.rule.may_wait(input.now, until, terms.calendar)) {
        return Err(RefusedCommand::Field("until", "is later than the deadline rule lets an incident wait"));
    }
    let mut clocks = course.clocks.clone();
    clocks.apply(moved.clock, moved.clock_at, terms);
    Ok(Step { edge: moved.edge, course: Course { state: moved.to, facts: moved.facts, clocks } })
}

impl Course {
    /// When [`Course::due`] finds something; `None` when only people move it.
    pub fn next_at(&self, calendar: &Calendar) -> Option<Timestamp> {
        let waits_until = self.facts.suspended_until.filter(|_| self.state == State::Suspended);
        self.clocks.next_at(calendar).into_iter().chain(waits_until).min()
    }

    /// What time has brought by now.
    pub fn due(&self, now: Timestamp, calendar: &Calendar) -> DueNow {
        let mut clocks = self.clocks.clone();
        let mut milestones = Vec::new();
        for name in ClockName::ALL {
            let Some(clock) = clocks.of_mut(*name) else { continue };
            let found = look(clock, now, calendar);
            milestones.extend(found.due.into_iter().map(|milestone| (*name, milestone)));
            *clock = found.clock;
        }
        let has_waited = self.facts.suspended_until.is_some_and(|until| until <= now);
        DueNow { milestones, resumes: self.state == State::Suspended && has_waited, clocks }
    }
}
