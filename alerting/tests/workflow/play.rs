//! Plays a course of an incident, ten minutes between two steps.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use xueliang_alerting::{
    deadline::{Clock, ClockState, DeadlineRule},
    workflow::{Actor, Command, Course, Entry, Input, Kind, RefusedCommand, Role, State, Step, Terms, advance, enter},
};
use xueliang_events::payload::Category;
use xueliang_rules::{Calendar, Urgency};

type Fields = &'static [(&'static str, &'static str)];

/// Who does what on the way from a report to a closed case.
const COURSE: [(&str, Role, Command, Fields); 7] = [
    ("operator", Role::Operator, Command::Report, &[]),
    ("dispatcher", Role::Dispatcher, Command::File, &[]),
    ("dispatcher", Role::Dispatcher, Command::Dispatch, &[("department", "roads")]),
    ("liaison", Role::DeptLiaison, Command::Handle, &[("handler", "handler")]),
    ("handler", Role::DeptLiaison, Command::Feedback, &[("result", "done")]),
    ("dispatcher", Role::Dispatcher, Command::Verify, &[("verifier", "verifier")]),
    ("supervisor", Role::Supervisor, Command::Close, &[]),
];

pub struct Play {
    pub course: Course,
    pub now: Timestamp,
    pub rule: DeadlineRule,
    pub calendar: Calendar,
}

impl Play {
    /// Found by a rule, a few minutes into a Monday.
    pub fn found() -> Self {
        let now = "2026-11-23T00:05:00Z".parse().unwrap();
        let (rule, calendar) = (DeadlineRule::of_category(Category::RoadFlood), Calendar::default());
        let terms = Terms { rule: &rule, urgency: Urgency::B, calendar: &calendar };
        let actor = Actor { kind: Kind::Rule, name: "flood", roles: &[] };
        let course = enter(Entry::Rule, actor, now, terms).unwrap().course;
        Self { course, now, rule, calendar }
    }

    /// Led on the usual way to a state.
    pub fn at(state: State) -> Self {
        let mut play = Self::found();
        for (who, role, command, fields) in COURSE {
            if play.course.state == state {
                return play;
            }
            play.goes(who, role, command, fields);
        }
        assert_eq!(play.course.state, state);
        play
    }

    pub fn terms(&self) -> Terms<'_> {
        Terms { rule: &self.rule, urgency: Urgency::B, calendar: &self.calendar }
    }

    pub fn wait(&mut self, minutes: i64) {
        self.now = self.now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    }

    /// What comes of a command, now.
    pub fn gives(&self, actor: Actor<'_>, command: Command, fields: &[(&str, &str)]) -> Result<Step, RefusedCommand> {
        let fields: BTreeMap<String, String> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let input = Input { command, reason: command.reasons().first().copied(), fields: &fields, now: self.now };
        advance(&self.course, self.terms(), actor, input)
    }

    /// Goes on after ten minutes; the edge's number.
    #[track_caller]
    pub fn goes(&mut self, who: &str, role: Role, command: Command, fields: &[(&str, &str)]) -> u8 {
        self.wait(10);
        let step = self.gives(Actor { kind: Kind::Person, name: who, roles: &[role] }, command, fields);
        let step = step.unwrap_or_else(|refused| panic!("{command:?} by {who}: {refused}"));
        self.course = step.course;
        step.edge
    }

    /// Doesn't go on; why.
    #[track_caller]
    pub fn refuses(&self, who: &str, role: Role, command: Command, fields: &[(&str, &str)]) -> String {
        let given = self.gives(Actor { kind: Kind::Person, name: who, roles: &[role] }, command, fields);
        given.expect_err("should be refused").to_string()
    }

    /// A clock's state and the minutes it has used.
    pub fn clock(&self, clock: impl Fn(&Course) -> &Option<Clock>) -> Option<(ClockState, u64)> {
        let clock = clock(&self.course).as_ref()?;
        Some((clock.state(), clock.used(self.now, &self.calendar).as_secs() / 60))
    }

    pub fn accept(&self) -> Option<(ClockState, u64)> {
        self.clock(|course| &course.clocks.accept)
    }

    pub fn check(&self) -> Option<(ClockState, u64)> {
        self.clock(|course| &course.clocks.check)
    }

    pub fn handling(&self) -> Option<(ClockState, u64)> {
        self.clock(|course| &course.clocks.handling)
    }
}
