//! RULES C row by row: actor, guard and clock of each.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use xueliang_alerting::{
    deadline::ClockState::{Paused, Running, Stopped},
    workflow::{Actor, Command, Entry, Kind, Note, NoteInput, RefusedCommand, Role, State, enter, note, notes_allowed},
};

use crate::play::Play;

const DEPARTMENT: [(&str, &str); 1] = [("department", "roads")];
const OTHER_DEPARTMENT: [(&str, &str); 1] = [("department", "water")];

fn job() -> Actor<'static> {
    Actor { kind: Kind::Job, name: "clock", roles: &[] }
}

/// True when neither a person with every role nor a job can move it.
fn is_the_end(play: &Play) -> bool {
    let person = Actor { kind: Kind::Person, name: "somebody", roles: Role::ALL };
    let is_unlisted = |given| matches!(given, Err(RefusedCommand::Unlisted { .. }));
    Command::ALL
        .iter()
        .all(|command| [person, job()].iter().all(|actor| is_unlisted(play.gives(*actor, *command, &[]))))
}

#[test]
fn c01_a_rule_opens_a_suspicion_without_any_clock() {
    let play = Play::found();
    assert_eq!((play.course.state, play.course.facts.attempt), (State::Suspected, 1));
    assert_eq!((play.accept(), play.check(), play.handling()), (None, None, None));
    let person = Actor { kind: Kind::Person, name: "somebody", roles: Role::ALL };
    for actor in [person, job()] {
        assert!(enter(Entry::Rule, actor, play.now, play.terms()).is_err(), "{actor:?}");
    }
}

#[test]
fn c02_an_operator_discards_with_a_reason() {
    let mut play = Play::found();
    assert!(play.refuses("x", Role::Dispatcher, Command::Discard, &[]).contains("operator"));
    assert_eq!(play.goes("operator", Role::Operator, Command::Discard, &[]), 2);
    assert!(is_the_end(&play) && !Command::Discard.reasons().is_empty());
    assert_eq!(play.accept(), None);
}

#[test]
fn c03_an_operator_who_looked_reports_and_time_begins() {
    let mut play = Play::found();
    assert_eq!(play.goes("operator", Role::Operator, Command::Report, &[]), 3);
    assert_eq!(play.course.facts.reporter.as_deref(), Some("operator"));
    play.wait(3);
    assert_eq!(play.accept(), Some((Running, 3)));
}

#[test]
fn c04_grid_workers_and_the_hotline_report_by_a_person() {
    let play = Play::found();
    let check = |entry: Entry, kind: Kind, role: Role, permitted: bool| {
        let entered = enter(entry, Actor { kind, name: "me", roles: &[role] }, play.now, play.terms());
        assert_eq!(entered.is_ok(), permitted, "{entry:?} {kind:?} {role:?}");
        let Ok(step) = entered else { return };
        assert_eq!((step.edge, step.course.state), (4, State::Reported));
        assert_eq!((step.course.facts.reporter.as_deref(), step.course.facts.attempt), (Some("me"), 1));
        assert_eq!(step.course.clocks.accept.map(|clock| clock.state()), Some(Running));
    };
    check(Entry::GridWorker, Kind::Person, Role::GridWorker, true);
    check(Entry::GridWorker, Kind::Person, Role::Operator, false);
    check(Entry::Hotline, Kind::Person, Role::Operator, true);
    check(Entry::Hotline, Kind::Person, Role::GridWorker, false);
    for (entry, role) in [(Entry::GridWorker, Role::GridWorker), (Entry::Hotline, Role::Operator)] {
        check(entry, Kind::Rule, role, false);
        check(entry, Kind::Job, role, false);
    }
}

#[test]
fn c05_a_check_has_half_an_hour_while_accepting_waits() {
    let mut play = Play::at(State::Reported);
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Check, &[]).contains("missing"));
    assert_eq!(play.goes("dispatcher", Role::Dispatcher, Command::Check, &[("checker", "worker")]), 5);
    play.wait(7);
    assert_eq!((play.accept(), play.check()), (Some((Paused, 10)), Some((Running, 7))));
    assert_eq!(play.course.clocks.check.as_ref().unwrap().limit().to_string(), "30m");
    let result = [("result", "water on the road")];
    assert!(play.refuses("other", Role::GridWorker, Command::Checked, &result).contains("who was sent"));
    assert_eq!(play.goes("worker", Role::GridWorker, Command::Checked, &result), 5);
    play.wait(1);
    assert_eq!(
        (play.course.state, play.accept(), play.check()),
        (State::Reported, Some((Running, 11)), Some((Stopped, 17)))
    );
    play.goes("dispatcher", Role::Dispatcher, Command::Check, &[("checker", "worker")]);
    assert_eq!(play.check(), Some((Running, 0)), "each check has its own half hour");
}

#[test]
fn c06_what_is_not_on_the_list_ends() {
    let mut play = Play::at(State::Reported);
    assert_eq!(play.goes("dispatcher", Role::Dispatcher, Command::Void, &[]), 6);
    play.wait(60);
    assert_eq!(play.accept(), Some((Stopped, 10)));
    assert!(is_the_end(&play));
}

#[test]
fn c07_a_case_is_filed_once_within_a_quarter_of_an_hour() {
    let mut play = Play::at(State::Reported);
    assert_eq!(play.course.clocks.accept.as_ref().unwrap().limit().to_string(), "15m");
    assert_eq!(play.goes("dispatcher", Role::Dispatcher, Command::File, &[]), 7);
    play.wait(60);
    assert_eq!((play.accept(), play.handling()), (Some((Stopped, 10)), None));
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::File, &[]).contains("not possible"));
}

#[test]
fn c08_dispatch_names_the_department_and_starts_handling() {
    let mut play = Play::at(State::Filed);
    assert!(play.refuses("operator", Role::Dispatcher, Command::Dispatch, &DEPARTMENT).contains("who reported"));
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Dispatch, &[]).contains("missing"));
    assert_eq!(play.goes("dispatcher", Role::Dispatcher, Command::Dispatch, &DEPARTMENT), 8);
    play.wait(4);
    assert_eq!(play.handling(), Some((Running, 4)));
    assert_eq!(play.course.clocks.handling.as_ref().unwrap().limit().to_string(), "2h");
}

#[test]
fn c09_a_department_gives_back_with_a_reason_and_time_waits() {
    let mut play = Play::at(State::Dispatched);
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Return, &[]).contains("dept_liaison"));
    assert_eq!(play.goes("liaison", Role::DeptLiaison, Command::Return, &[]), 9);
    play.wait(60);
    assert_eq!((play.handling(), play.course.facts.n_returns), (Some((Paused, 10)), 1));
    assert!(!Command::Return.reasons().is_empty());
}

#[test]
fn c10_the_same_department_goes_on_and_another_begins_anew() {
    for (department, used) in [(DEPARTMENT, 12), (OTHER_DEPARTMENT, 2)] {
        let mut play = Play::at(State::Dispatched);
        play.goes("liaison", Role::DeptLiaison, Command::Return, &[]);
        assert!(play.refuses("operator", Role::Dispatcher, Command::Redispatch, &department).contains("who reported"));
        assert_eq!(play.goes("dispatcher", Role::Dispatcher, Command::Redispatch, &department), 10);
        play.wait(2);
        assert_eq!(play.handling(), Some((Running, used)), "{department:?}");
    }
}

#[test]
fn c11_the_second_return_goes_to_the_supervisor_whose_word_binds() {
    let mut play = Play::at(State::Dispatched);
    play.goes("liaison", Role::DeptLiaison, Command::Return, &[]);
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Arbitrate, &[]).contains("second return"));
    play.goes("dispatcher", Role::Dispatcher, Command::Redispatch, &DEPARTMENT);
    play.goes("liaison", Role::DeptLiaison, Command::Return, &[]);
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Redispatch, &DEPARTMENT).contains("supervisor"));
    assert_eq!(play.goes("dispatcher", Role::Dispatcher, Command::Arbitrate, &[]), 11);
    play.wait(60);
    assert_eq!(play.handling(), Some((Paused, 20)));
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Redispatch, &DEPARTMENT).contains("supervisor"));
    assert_eq!(play.goes("supervisor", Role::Supervisor, Command::Redispatch, &DEPARTMENT), 11);
    assert!(play.refuses("liaison", Role::DeptLiaison, Command::Return, &[]).contains("binding"));
    assert_eq!(play.handling(), Some((Running, 20)));
}

#[test]
fn c12_the_department_names_who_handles_it() {
    let mut play = Play::at(State::Dispatched);
    assert!(play.refuses("liaison", Role::DeptLiaison, Command::Handle, &[]).contains("missing"));
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Handle, &[("handler", "h")]).contains("liaison"));
    assert_eq!(play.goes("liaison", Role::DeptLiaison, Command::Handle, &[("handler", "handler")]), 12);
    play.wait(1);
    assert_eq!(play.handling(), Some((Running, 11)));
}

#[test]
fn c13_only_the_handler_says_that_it_is_done_never_the_centre() {
    let mut play = Play::at(State::Handling);
    let done = [("result", "done")];
    assert!(play.refuses("liaison", Role::DeptLiaison, Command::Feedback, &done).contains("named handler"));
    for role in [Role::Dispatcher, Role::Supervisor, Role::Operator] {
        assert!(play.refuses("handler", role, Command::Feedback, &done).contains("dept_liaison"));
    }
    assert!(play.refuses("handler", Role::DeptLiaison, Command::Feedback, &[]).contains("missing"));
    assert_eq!(play.goes("handler", Role::DeptLiaison, Command::Feedback, &done), 13);
    play.wait(60);
    assert_eq!(play.handling(), Some((Paused, 20)));
}

#[test]
fn c14_rework_goes_on_where_the_clock_stood() {
    for (who, role) in [("liaison", Role::DeptLiaison), ("dispatcher", Role::Dispatcher)] {
        let mut play = Play::at(State::Feedback);
        assert!(play.refuses("supervisor", Role::Supervisor, Command::Rework, &[]).contains("dispatcher"));
        assert_eq!(play.goes(who, role, Command::Rework, &[]), 14);
        play.wait(5);
        assert_eq!((play.course.state, play.handling()), (State::Handling, Some((Running, 25))));
    }
}

#[test]
fn c15_verifying_stops_the_clock_and_is_not_the_handlers() {
    let mut play = Play::at(State::Feedback);
    let handler = [("verifier", " handler ")];
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Verify, &handler).contains("doesn't verify"));
    assert_eq!(play.goes("dispatcher", Role::Dispatcher, Command::Verify, &[("verifier", "verifier")]), 15);
    play.wait(60);
    assert_eq!(play.handling(), Some((Stopped, 20)));
}

#[test]
fn c16_bad_work_buys_no_time() {
    let mut play = Play::at(State::Verifying);
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Reject, &[]).contains("supervisor"));
    assert_eq!(play.goes("supervisor", Role::Supervisor, Command::Reject, &[]), 16);
    play.wait(5);
    assert_eq!((play.course.state, play.handling()), (State::Dispatched, Some((Running, 25))));
}

#[test]
fn c17_who_reported_or_handled_does_not_close() {
    let mut play = Play::at(State::Verifying);
    assert!(play.refuses("operator", Role::Supervisor, Command::Close, &[]).contains("who reported"));
    assert!(play.refuses("handler", Role::Supervisor, Command::Close, &[]).contains("who handled"));
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Close, &[]).contains("supervisor"));
    assert_eq!(play.goes("supervisor", Role::Supervisor, Command::Close, &[]), 17);
    assert_eq!((play.course.facts.closed_at, play.handling()), (Some(play.now), Some((Stopped, 20))));
}

fn in_days(now: Timestamp, days: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

#[test]
fn c18_a_case_waits_until_a_day_and_goes_on_by_itself() {
    let mut play = Play::at(State::Handling);
    let until = in_days(play.now, 3);
    for (wrong, why) in [(in_days(play.now, -1), "time to come"), (in_days(play.now, 31), "lets an incident wait")] {
        let fields = [("until", wrong.to_string())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert!(play.refuses("supervisor", Role::Supervisor, Command::Suspend, &fields).contains(why), "{wrong}");
    }
    let text = until.to_string();
    assert_eq!(play.goes("supervisor", Role::Supervisor, Command::Suspend, &[("until", &text)]), 18);
    assert_eq!((play.course.facts.suspended_until, play.course.next_at(&play.calendar)), (Some(until), Some(until)));
    assert_eq!(play.handling(), Some((Paused, 20)));

    assert!(!play.course.due(play.now, &play.calendar).resumes);
    assert!(play.gives(job(), Command::Resume, &[]).unwrap_err().to_string().contains("supervisor"));
    let early = Actor { kind: Kind::Person, name: "supervisor", roles: &[Role::Supervisor] };
    assert_eq!(play.gives(early, Command::Resume, &[]).unwrap().course.state, State::Handling);

    // The job comes an hour late; the department's time does not.
    play.now = until;
    play.wait(60);
    assert!(play.course.due(play.now, &play.calendar).resumes);
    let step = play.gives(job(), Command::Resume, &[]).unwrap();
    play.course = step.course;
    assert_eq!((step.edge, play.course.state, play.handling()), (18, State::Handling, Some((Running, 80))));
    assert_eq!(play.course.facts.suspended_until, None);
}

#[test]
fn c19_new_evidence_within_a_week_begins_another_attempt() {
    let mut play = Play::at(State::Closed);
    let closed = play.now;
    play.now = in_days(closed, 8);
    assert!(play.refuses("supervisor", Role::Supervisor, Command::Reopen, &[]).contains("seven days"));
    play.now = in_days(closed, 6);
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Reopen, &[]).contains("supervisor"));
    assert_eq!(play.goes("supervisor", Role::Supervisor, Command::Reopen, &[]), 19);
    assert_eq!((play.course.facts.attempt, play.handling()), (2, Some((Stopped, 20))));
    assert!(play.refuses("dispatcher", Role::Dispatcher, Command::Redispatch, &DEPARTMENT).contains("supervisor"));
    assert!(play.refuses("operator", Role::Supervisor, Command::Redispatch, &DEPARTMENT).contains("who reported"));
    assert_eq!(play.goes("supervisor", Role::Supervisor, Command::Redispatch, &DEPARTMENT), 19);
    play.wait(3);
    assert_eq!((play.course.state, play.handling()), (State::Dispatched, Some((Running, 3))));
}

#[test]
fn c20_a_job_counts_what_can_not_be_reopened_any_more() {
    let mut play = Play::at(State::Closed);
    let closed = play.now;
    assert!(play.gives(job(), Command::Evaluate, &[]).unwrap_err().to_string().contains("reopened"));
    play.now = in_days(closed, 8);
    assert!(play.refuses("supervisor", Role::Supervisor, Command::Evaluate, &[]).contains("job"));
    let step = play.gives(job(), Command::Evaluate, &[]).unwrap();
    assert_eq!((step.edge, step.course.state), (20, State::Evaluated));
    play.course = step.course;
    assert!(is_the_end(&play));
}

#[test]
fn notes_are_for_those_who_work_on_it() {
    // One row a role: the notes it may make on an open incident.
    const TABLE: [(Role, &[Note]); 9] = [
        (Role::GridWorker, &[Note::Acknowledge, Note::Comment, Note::Attach]),
        (Role::Operator, &[Note::Comment, Note::Attach]),
        (Role::Dispatcher, &[Note::Acknowledge, Note::Comment, Note::Attach]),
        (Role::Supervisor, Note::ALL),
        (Role::DeptLiaison, &[Note::Acknowledge, Note::Comment, Note::Attach]),
        (Role::CameraIntegrator, &[]),
        (Role::PrivacyOfficer, &[]),
        (Role::Auditor, &[]),
        (Role::Job, &[]),
    ];
    for (role, notes) in TABLE {
        let actor = Actor { kind: Kind::Person, name: "me", roles: &[role] };
        assert_eq!(notes_allowed(State::Handling, actor), notes, "{role:?}");
    }
    assert_eq!(notes_allowed(State::Handling, job()), [Note::Supervise]);
    let everybody = Actor { kind: Kind::Person, name: "me", roles: Role::ALL };
    assert_eq!(notes_allowed(State::Closed, everybody), [Note::Comment, Note::Attach]);
    assert_eq!(notes_allowed(State::Evaluated, everybody), [Note::Comment]);
}

#[test]
fn an_acknowledgement_is_of_something_that_was_told() {
    let mut play = Play::at(State::Handling);
    let actor = Actor { kind: Kind::Person, name: "liaison", roles: &[Role::DeptLiaison] };
    let acknowledge = |play: &Play, clock: &str| {
        let fields = BTreeMap::from([("clock".to_owned(), clock.to_owned())]);
        note(play.course.state, &play.course.clocks, actor, NoteInput { note: Note::Acknowledge, fields: &fields })
    };
    assert!(acknowledge(&play, "handling").unwrap_err().to_string().contains("nothing to acknowledge"));
    assert!(acknowledge(&play, "check").unwrap_err().to_string().contains("nothing to acknowledge"));
    assert!(acknowledge(&play, "tea").unwrap_err().to_string().contains("must be accept, check or handling"));
    assert!(acknowledge(&play, "").unwrap_err().to_string().contains("missing"));
    play.wait(120);
    let due = play.course.due(play.now, &play.calendar);
    assert_eq!(due.milestones.len(), 2, "a reminder, and that it is overdue: {due:?}");
    play.course.clocks = due.clocks;
    play.course.clocks = acknowledge(&play, "handling").unwrap();
    assert_eq!(play.course.next_at(&play.calendar), None, "nobody further up is told");
    assert!(acknowledge(&play, "handling").is_err(), "once is enough");
}
