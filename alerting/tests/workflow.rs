//! The workflow as RULES C lists it: every edge, every guard, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use xueliang_alerting::workflow::{
    Actor, Command, Facts, Input, Kind, RefusedCommand, Role, State, allowed, edge, transition,
};

#[path = "workflow/courses.rs"]
mod courses;
#[path = "workflow/play.rs"]
mod play;
#[path = "workflow/rows.rs"]
mod rows;

const NOW: &str = "2026-11-23T08:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// (number in RULES C, from, command, to, roles)
const EDGES: [(u8, &str, &str, &str, &[&str]); 22] = [
    (2, "suspected", "discard", "discarded", &["operator"]),
    (3, "suspected", "report", "reported", &["operator"]),
    (5, "reported", "check", "checking", &["dispatcher"]),
    (5, "checking", "checked", "reported", &["grid_worker"]),
    (6, "reported", "void", "void", &["dispatcher"]),
    (7, "reported", "file", "filed", &["dispatcher"]),
    (8, "filed", "dispatch", "dispatched", &["dispatcher"]),
    (9, "dispatched", "return", "returned", &["dept_liaison"]),
    (10, "returned", "redispatch", "dispatched", &["dispatcher"]),
    (11, "returned", "arbitrate", "arbitration", &["dispatcher"]),
    (11, "arbitration", "redispatch", "dispatched", &["supervisor"]),
    (12, "dispatched", "handle", "handling", &["dept_liaison"]),
    (13, "handling", "feedback", "feedback", &["dept_liaison"]),
    (14, "feedback", "rework", "handling", &["dept_liaison", "dispatcher"]),
    (15, "feedback", "verify", "verifying", &["dispatcher"]),
    (16, "verifying", "reject", "dispatched", &["supervisor"]),
    (17, "verifying", "close", "closed", &["supervisor"]),
    (18, "handling", "suspend", "suspended", &["supervisor"]),
    (18, "suspended", "resume", "handling", &["supervisor", "job"]),
    (19, "closed", "reopen", "reopened", &["supervisor"]),
    (19, "reopened", "redispatch", "dispatched", &["supervisor"]),
    (20, "closed", "evaluate", "evaluated", &["job"]),
];

#[test]
fn edges_are_those_of_the_rules_and_no_others() {
    let mut listed = BTreeSet::new();
    for (number, from, command, to, roles) in EDGES {
        let (from, command) = (State::parse(from).unwrap(), Command::parse(command).unwrap());
        let edge = edge(from, command).unwrap_or_else(|| panic!("{from:?} {command:?}"));
        assert_eq!((edge.number, edge.to.as_str()), (number, to), "{from:?} {command:?}");
        assert_eq!(edge.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(), roles, "{from:?} {command:?}");
        listed.insert((from, command));
    }
    for state in State::ALL {
        for command in Command::ALL {
            assert_eq!(edge(*state, *command).is_some(), listed.contains(&(*state, *command)), "{state:?} {command:?}");
        }
    }
}

fn fields(command: Command) -> BTreeMap<String, String> {
    let value = |name: &str| if name == "until" { "2027-01-01T00:00:00Z".to_owned() } else { format!("some-{name}") };
    command.fields().iter().map(|field| (field.name.to_owned(), value(field.name))).collect()
}

fn give(state: State, facts: &Facts, actor: Actor<'_>, command: Command) -> Result<State, RefusedCommand> {
    let fields = fields(command);
    let input = Input { command, reason: command.reasons().first().copied(), fields: &fields, now: now() };
    transition(state, facts, actor, input).map(|moved| moved.to)
}

/// RULES P32: from what a machine detected, no job and no rule gets anywhere; each step needs a person. A job only ends a wait
/// that a supervisor began, when its time has passed, and counts what is closed.
#[test]
fn p32_nothing_is_dispatched_without_a_person() {
    let days_ago = |days: i64| Some(now().checked_sub(jiff::SignedDuration::from_hours(24 * days)).unwrap());
    let facts = Facts {
        checker: Some("machine".to_owned()),
        handler: Some("machine".to_owned()),
        suspended_until: days_ago(1),
        closed_at: days_ago(8),
        ..Facts::default()
    };
    let mut moved = Vec::new();
    for state in State::ALL {
        for command in Command::ALL {
            for kind in [Kind::Rule, Kind::Job] {
                let actor = Actor { kind, name: "machine", roles: Role::ALL };
                moved.extend(give(*state, &facts, actor, *command).map(|to| (*state, to, kind)));
            }
        }
    }
    let expected = [(State::Closed, State::Evaluated, Kind::Job), (State::Suspended, State::Handling, Kind::Job)];
    assert_eq!(moved, expected);
}

#[test]
fn guards_keep_people_and_times_apart() {
    let named = |name: &str| Some(name.to_owned());
    let closed_days_ago = |days: i64| Some(now().checked_sub(jiff::SignedDuration::from_hours(24 * days)).unwrap());
    let check = |state: State, command: Command, facts: Facts, permitted: bool| {
        let actor = Actor { kind: Kind::Person, name: "me", roles: Role::ALL };
        let given = give(state, &facts, actor, command);
        assert_eq!(given.is_ok(), permitted, "{state:?} {command:?} {facts:?}: {given:?}");
    };
    let facts = Facts::default;
    check(State::Verifying, Command::Close, Facts { reporter: named("x"), handler: named("y"), ..facts() }, true);
    check(State::Verifying, Command::Close, Facts { reporter: named("me"), ..facts() }, false);
    check(State::Verifying, Command::Close, Facts { handler: named("me"), ..facts() }, false);
    check(State::Filed, Command::Dispatch, Facts { reporter: named("me"), ..facts() }, false);
    check(State::Filed, Command::Dispatch, facts(), true);
    check(State::Checking, Command::Checked, Facts { checker: named("x"), ..facts() }, false);
    check(State::Checking, Command::Checked, Facts { checker: named("me"), ..facts() }, true);
    check(State::Handling, Command::Feedback, Facts { handler: named("x"), ..facts() }, false);
    check(State::Handling, Command::Feedback, Facts { handler: named("me"), ..facts() }, true);
    check(State::Feedback, Command::Verify, Facts { handler: named("some-verifier"), ..facts() }, false);
    check(State::Feedback, Command::Verify, Facts { handler: named("x"), ..facts() }, true);
    check(State::Returned, Command::Redispatch, Facts { n_returns: 1, ..facts() }, true);
    check(State::Returned, Command::Redispatch, Facts { reporter: named("me"), ..facts() }, false);
    check(State::Returned, Command::Redispatch, Facts { n_returns: 2, ..facts() }, false);
    check(State::Returned, Command::Arbitrate, Facts { n_returns: 1, ..facts() }, false);
    check(State::Returned, Command::Arbitrate, Facts { n_returns: 2, ..facts() }, true);
    check(State::Dispatched, Command::Return, Facts { arbitrated: true, ..facts() }, false);
    check(State::Closed, Command::Reopen, Facts { closed_at: closed_days_ago(7), ..facts() }, true);
    check(State::Closed, Command::Reopen, Facts { closed_at: closed_days_ago(8), ..facts() }, false);
    check(State::Closed, Command::Reopen, facts(), false);
}

#[test]
fn reasons_and_fields_are_demanded() {
    let actor = Actor { kind: Kind::Person, name: "me", roles: Role::ALL };
    let none = BTreeMap::new();
    let bare = |state, command| {
        transition(state, &Facts::default(), actor, Input { command, reason: None, fields: &none, now: now() })
    };
    assert!(matches!(bare(State::Suspected, Command::Discard), Err(RefusedCommand::Reason(_))));
    assert!(matches!(bare(State::Filed, Command::Dispatch), Err(RefusedCommand::Field("department", _))));
    let past = BTreeMap::from([("until".to_owned(), "2020-01-01T00:00:00Z".to_owned())]);
    let input = Input { command: Command::Suspend, reason: Some("weather"), fields: &past, now: now() };
    let refused = transition(State::Handling, &Facts::default(), actor, input);
    assert!(matches!(refused, Err(RefusedCommand::Field("until", _))));
}

#[test]
fn reopening_begins_another_attempt_and_keeps_the_reporter() {
    let facts = Facts {
        reporter: Some("r".to_owned()),
        handler: Some("h".to_owned()),
        attempt: 1,
        closed_at: Some(now()),
        ..Facts::default()
    };
    let actor = Actor { kind: Kind::Person, name: "me", roles: &[Role::Supervisor] };
    let none = BTreeMap::new();
    let input = Input { command: Command::Reopen, reason: Some("new_evidence"), fields: &none, now: now() };
    let after = transition(State::Closed, &facts, actor, input).unwrap().facts;
    assert_eq!(after, Facts { reporter: Some("r".to_owned()), attempt: 2, ..Facts::default() });
}

proptest! {
    /// Whatever people try, an incident only ever moves along listed edges, and what is offered is what works.
    #[test]
    fn no_sequence_leaves_the_listed_edges(tries in proptest::collection::vec((0..Command::ALL.len(), 0..3usize, 0..Role::ALL.len()), 0..60)) {
        let people = ["a", "b", "c"];
        let (mut state, mut facts) = (State::Suspected, Facts { attempt: 1, ..Facts::default() });
        for (command, who, role) in tries {
            let (command, roles) = (Command::ALL[command], [Role::ALL[role]]);
            let actor = Actor { kind: Kind::Person, name: people[who], roles: &roles };
            let mut fields = fields(command);
            fields.iter_mut().filter(|(name, _)| *name != "until").for_each(|(_, value)| *value = people[(who + 1) % 3].to_owned());
            let input = Input { command, reason: command.reasons().first().copied(), fields: &fields, now: now() };
            let offered = allowed(state, &facts, actor, now()).iter().any(|(offered, _)| *offered == command);
            match transition(state, &facts, actor, input) {
                Ok(moved) => {
                    prop_assert!(offered);
                    let edge = edge(state, command).expect("listed");
                    prop_assert_eq!(edge.to, moved.to);
                    prop_assert!(edge.roles.contains(&roles[0]));
                    if moved.to == State::Closed {
                        prop_assert_ne!(facts.reporter.as_deref(), Some(people[who]));
                        prop_assert_ne!(facts.handler.as_deref(), Some(people[who]));
                    }
                    (state, facts) = (moved.to, moved.facts);
                }
                Err(RefusedCommand::Unlisted { .. }) => prop_assert!(edge(state, command).is_none()),
                Err(_) => {}
            }
        }
    }
}
