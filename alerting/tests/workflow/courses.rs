//! Whatever people try in whatever order, with clocks attached.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use xueliang_alerting::{
    deadline::ClockState,
    workflow::{
        Actor, Clocks, Command, Course, Facts, Input, Kind, RefusedCommand, Role, State, Step, advance, allowed, edge,
    },
};

use crate::play::Play;

const PEOPLE: [&str; 4] = ["a", "b", "c", "d"];

/// One try: something that is open to somebody, or anything by anybody; its fields, and how long after the last.
#[derive(Debug, Clone)]
struct Try {
    is_open: bool,
    pick: prop::sample::Index,
    field: usize,
    wait: SignedDuration,
}

fn any_try() -> impl Strategy<Value = Try> {
    let minutes = (0i64..90).prop_map(|minutes| minutes * 60_000_000_000);
    let days = (1i64..20).prop_map(|days| days * 86_400_000_000_000);
    let wait = prop_oneof![8 => minutes, 3 => days, 2 => 0i64..5_000_000_000];
    (prop::bool::weighted(0.9), any::<prop::sample::Index>(), 0..PEOPLE.len(), wait)
        .prop_map(|(is_open, pick, field, nanos)| Try { is_open, pick, field, wait: SignedDuration::from_nanos(nanos) })
}

impl Try {
    fn chosen(&self, play: &Play) -> (Actor<'static>, Command) {
        let mut open = Vec::new();
        let mut all = Vec::new();
        for (who, role) in PEOPLE.iter().flat_map(|who| (0..Role::ALL.len()).map(move |role| (who, role))) {
            let kind = if Role::ALL[role] == Role::Job { Kind::Job } else { Kind::Person };
            let actor = Actor { kind, name: who, roles: &Role::ALL[role..=role] };
            let offered = allowed(play.course.state, &play.course.facts, actor, play.now);
            open.extend(offered.into_iter().map(|(command, _)| (actor, command)));
            all.extend(Command::ALL.iter().map(|command| (actor, *command)));
        }
        let from = if self.is_open && !open.is_empty() { open } else { all };
        *self.pick.get(&from)
    }

    fn fields(&self, command: Command, play: &Play) -> BTreeMap<String, String> {
        let until = play.now.checked_add(SignedDuration::from_hours(1 + 300 * self.field as i64)).unwrap();
        let value = |name: &str| match name {
            "until" => until.to_string(),
            "department" => format!("department-{}", self.field / 2),
            _ => PEOPLE[self.field].to_owned(),
        };
        command.fields().iter().map(|field| (field.name.to_owned(), value(field.name))).collect()
    }

    fn given(&self, play: &Play, actor: Actor<'_>, command: Command) -> Result<Step, RefusedCommand> {
        let fields = self.fields(command, play);
        let input = Input { command, reason: command.reasons().first().copied(), fields: &fields, now: play.now };
        advance(&play.course, play.terms(), actor, input)
    }
}

/// How long the handling clock ran and stood since it was started, as the states tell.
#[derive(Debug, Default)]
struct Stood {
    ran: SignedDuration,
    paused: SignedDuration,
    stopped: SignedDuration,
}

impl Stood {
    fn pass(&mut self, state: State, time: SignedDuration) {
        match handling(state) {
            Some(ClockState::Running) => self.ran += time,
            Some(ClockState::Paused) => self.paused += time,
            Some(ClockState::Stopped) => self.stopped += time,
            None => {}
        }
    }
}

fn handling(state: State) -> Option<ClockState> {
    match state {
        State::Suspected | State::Discarded | State::Reported | State::Checking | State::Void | State::Filed => None,
        State::Dispatched | State::Handling => Some(ClockState::Running),
        State::Returned | State::Arbitration | State::Feedback | State::Suspended => Some(ClockState::Paused),
        State::Verifying | State::Closed | State::Reopened | State::Evaluated => Some(ClockState::Stopped),
    }
}

fn accept(state: State) -> Option<ClockState> {
    match state {
        State::Suspected | State::Discarded => None,
        State::Reported => Some(ClockState::Running),
        State::Checking => Some(ClockState::Paused),
        _ => Some(ClockState::Stopped),
    }
}

/// Separation of persons, said once more in its own words.
fn keeps_apart(before: &Facts, after: &Facts, who: &str, command: Command) -> bool {
    let is = |name: &Option<String>| name.as_deref() == Some(who);
    match command {
        Command::Dispatch | Command::Redispatch => !is(&before.reporter),
        Command::Checked => is(&before.checker),
        Command::Feedback => is(&before.handler),
        Command::Verify => after.verifier.is_some() && after.verifier != before.handler,
        Command::Close => !is(&before.reporter) && !is(&before.handler),
        _ => true,
    }
}

fn follow(play: &mut Play, stood: &mut Stood, step: Step, command: Command) {
    let before = std::mem::replace(&mut play.course, step.course);
    if before.state == State::Suspended
        && let Some(until) = before.facts.suspended_until
    {
        // Time it had no right to wait.
        let over = play.now.duration_since(until).max(SignedDuration::ZERO);
        stood.ran += over;
        stood.paused -= over;
    }
    let is_afresh = command == Command::Dispatch
        || (command == Command::Redispatch && before.facts.department != play.course.facts.department);
    if is_afresh {
        *stood = Stood::default();
    }
}

fn holds(course: &Course, play: &Play, stood: &Stood) -> Result<(), TestCaseError> {
    let Clocks { accept: accepting, check: checking, handling: handled } = &course.clocks;
    prop_assert_eq!(accepting.as_ref().map(|clock| clock.state()), accept(course.state));
    prop_assert_eq!(handled.as_ref().map(|clock| clock.state()), handling(course.state));
    let is_checking = checking.as_ref().is_some_and(|clock| clock.state() == ClockState::Running);
    prop_assert_eq!(is_checking, course.state == State::Checking);
    if let Some(clock) = handled {
        let used = SignedDuration::try_from(clock.used(play.now, &play.calendar)).unwrap();
        prop_assert_eq!(used, stood.ran, "{:?}", stood);
    }
    let json = serde_json::to_string(&course.clocks).unwrap();
    prop_assert!(json.len() < 500, "{}", json);
    prop_assert_eq!(&serde_json::from_str::<Clocks>(&json).unwrap(), &course.clocks);
    Ok(())
}

/// The property below says something of every state only if its courses get there.
#[test]
fn random_courses_reach_every_state() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..500 {
        let mut play = Play::found();
        let tries = proptest::collection::vec(any_try(), 80).new_tree(&mut runner).unwrap().current();
        for tried in tries {
            play.now = play.now.checked_add(tried.wait).unwrap();
            let (actor, command) = tried.chosen(&play);
            if let Ok(step) = tried.given(&play, actor, command) {
                play.course = step.course;
            }
            reached.insert(play.course.state);
        }
    }
    assert!(State::ALL.iter().all(|state| reached.contains(state)), "{reached:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No sequence takes an unlisted edge, brings persons together that must stay apart, gets from a machine's suspicion to a
    /// department without a person, or loses time: what ran, paused and stood is what passed since the clock was started.
    #[test]
    fn p32_no_sequence_breaks_the_table_or_loses_time(tries in proptest::collection::vec(any_try(), 0..80)) {
        let mut play = Play::found();
        let (mut stood, mut started_at, mut was_seen) = (Stood::default(), play.now, false);
        for tried in tries {
            play.now = play.now.checked_add(tried.wait).unwrap();
            stood.pass(play.course.state, tried.wait);
            let (actor, command) = tried.chosen(&play);
            let (state, facts) = (play.course.state, play.course.facts.clone());
            if let Ok(step) = tried.given(&play, actor, command) {
                let listed = edge(state, command);
                prop_assert_eq!(listed.map(|edge| (edge.number, edge.to)), Some((step.edge, step.course.state)));
                prop_assert!(keeps_apart(&facts, &step.course.facts, actor.name, command), "{:?} by {:?}", command, actor);
                was_seen |= actor.kind == Kind::Person;
                prop_assert!(was_seen, "{:?}", command);
                prop_assert!(actor.kind == Kind::Person || matches!(command, Command::Resume | Command::Evaluate));
                follow(&mut play, &mut stood, step, command);
                if stood.ran.is_zero() && stood.paused.is_zero() && stood.stopped.is_zero() {
                    started_at = play.now;
                }
            }
            holds(&play.course, &play, &stood)?;
            if play.course.clocks.handling.is_some() {
                prop_assert_eq!(stood.ran + stood.paused + stood.stopped, play.now.duration_since(started_at));
            }
        }
    }
}
