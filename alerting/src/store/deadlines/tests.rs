use jiff::SignedDuration;
use xueliang_rules::Engine;

use super::*;
use crate::{
    deadline::Deadlines,
    store::{Place, Store, testing},
    workflow::{Role, State},
};

fn at(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_mins(minute)).unwrap()
}

/// A store with one incident that a person takes further with these commands, each at its minute.
struct Case {
    store: Store,
    procedure: Procedure,
    id: IncidentId,
}

impl Case {
    fn open(place: &Place) -> Self {
        let store = Store::open(place).unwrap();
        let rules = testing::rules(testing::OFFLINE);
        let (applier, batch) = (testing::applier(rules.clone()), testing::silent("a", at(0), 0));
        let effects = store.write_blocking(move |tx| applier.apply(tx, &batch, at(0))).unwrap();
        let procedure = Procedure { engine: Engine::new(rules).into(), deadlines: Deadlines::default().into() };
        Self { store, procedure, id: effects.opened[0].id }
    }

    fn give(&self, minute: i64, command: Command, fields: &[(&str, &str)]) {
        let (id, procedure) = (self.id, self.procedure.clone());
        let fields: BTreeMap<String, String> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let given = self.store.write_blocking(move |tx| {
            let mut incident = incidents::load(tx, id)?.unwrap();
            let deadline = procedure.deadline(&incident);
            let reason = command.reasons().first().copied();
            let input = Input { command, reason, fields: &fields, now: at(minute) };
            let role = crate::workflow::edge(incident.state, command).unwrap().roles[0];
            let name = if role == Role::DeptLiaison { "handler" } else { role.as_str() };
            let actor = Actor { kind: Kind::Person, name, roles: &[role] };
            let step = advance(&incident.course(), procedure.terms(&deadline, &incident), actor, input).unwrap();
            incident.follow(step.course, at(minute));
            incidents::update(tx, &incident, procedure.calendar())
        });
        given.unwrap();
    }

    /// What was told up to this minute, and the incident then; looking twice tells nothing twice.
    fn told(&self, minute: i64) -> (Vec<String>, Incident) {
        let (id, procedure) = (self.id, self.procedure.clone());
        let told = self.store.write_blocking(move |tx| {
            look(tx, &procedure, at(minute))?;
            look(tx, &procedure, at(minute))?;
            let timeline = changes::timeline(tx, id)?;
            let by_job = timeline.into_iter().filter(|change| change.actor_kind == "job").map(|change| change.action);
            Ok((by_job.collect(), incidents::load(tx, id)?.unwrap()))
        });
        told.unwrap()
    }
}

#[test]
fn a_report_that_nobody_takes_up_is_reminded_of_then_supervised_then_passed_up() {
    testing::on_both(|place| {
        let case = Case::open(place);
        assert_eq!(case.told(600).0, [""; 0], "a suspicion has no deadline");
        case.give(600, Command::Report, &[]);
        assert_eq!(case.told(611).0, [""; 0]);
        assert_eq!(case.told(612).0, ["remind"]);
        let (told, incident) = case.told(615);
        assert_eq!((told, incident.supervised), (vec!["remind".to_owned(), "overdue".to_owned()], true));
        let (told, incident) = case.told(632);
        assert_eq!((told.len(), incident.n_escalated), (4, 2), "{told:?}");
        case.give(640, Command::File, &[]);
        assert_eq!(case.told(100_000).0.len(), 4, "its clock was stopped");
    });
}

#[test]
fn a_case_that_waits_goes_on_when_its_time_is_over_and_is_counted_when_it_can_not_be_reopened() {
    testing::on_both(|place| {
        let case = Case::open(place);
        case.give(1, Command::Report, &[]);
        case.give(2, Command::File, &[]);
        case.give(3, Command::Dispatch, &[("department", "power")]);
        case.give(4, Command::Handle, &[("handler", "handler")]);
        case.give(5, Command::Suspend, &[("until", &at(65).to_string())]);
        let (told, waiting) = case.told(64);
        assert_eq!((told, waiting.state), (vec![], State::Suspended));
        let (told, resumed) = case.told(65);
        assert_eq!((told, resumed.state), (vec!["resume".to_owned()], State::Handling));
        case.give(70, Command::Feedback, &[("result", "done")]);
        case.give(71, Command::Verify, &[("verifier", "verifier")]);
        case.give(72, Command::Close, &[]);
        let week = 7 * 24 * 60;
        assert_eq!(case.told(72 + week).1.state, State::Closed, "it may still be reopened");
        assert_eq!(case.told(73 + week).1.state, State::Evaluated);
    });
}
