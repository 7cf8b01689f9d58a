//! Late and repeated events, over sessions, owners and clocks that are set.

use proptest::prelude::*;
use xueliang_events::{Class, Event};
use xueliang_rules::{Firing, Memory};

use crate::*;

/// One camera's event: (session, sequence, seconds by the worker's clock).
fn says(session: u128, sequence: u64, s: f64) -> Event {
    let event = told(&camera(), vec![(session, s, persons(3))]).remove(0);
    Event { sequence, ..event }
}

/// Which of the events come late.
fn check_late(events: Vec<(Event, bool)>) {
    let (engine, mut memory) = (crowding(), Memory::default());
    for (nth, (event, expected)) in events.into_iter().enumerate() {
        assert_eq!(engine.observe(&mut memory, &event).late, expected, "event {nth}: {event:?}");
    }
}

#[test]
fn within_a_session_the_sequence_decides() {
    check_late(vec![
        (says(1, 1, 0.0), false),
        (says(1, 3, 5.0), false),
        (says(1, 2, 9.0), true),
        (says(1, 4, 3.0), false),
    ]);
}

#[test]
fn a_session_after_the_clock_was_set_back_is_not_late() {
    check_late(vec![
        (says(1, 1, 3600.0), false),
        (says(1, 2, 3610.0), false),
        (says(2, 0, 20.0), false),
        (says(2, 1, 30.0), false),
        (says(1, 2, 3610.0), true),
        (says(1, 3, 3611.0), true),
        (says(2, 2, 40.0), false),
        (says(3, 0, 10.0), false),
        (says(2, 3, 41.0), true),
        (says(1, 4, 3612.0), true),
    ]);
}

#[test]
fn what_an_ended_session_says_is_late() {
    check_late(vec![
        (says(1, 5, 10.0), false),
        (says(2, 0, 60.0), false),
        (says(1, 4, 9.0), true),
        (says(1, 6, 30.0), true),
        (says(1, 7, 70.0), true),
        (says(2, 1, 80.0), false),
    ]);
}

#[test]
fn of_two_workers_on_one_camera_the_second_is_heard_until_it_is_silent() {
    check_late(vec![
        (says(1, 0, 0.0), false),
        (says(2, 0, 10.0), false),
        (says(1, 1, 20.0), true),
        (says(2, 1, 30.0), false),
        (says(1, 2, 620.0), true),
        (says(1, 3, 640.0), false),
        (says(2, 2, 650.0), true),
    ]);
}

#[test]
fn a_greater_owner_epoch_is_newer_whatever_the_clocks_say() {
    let of = |epoch, event| Event { owner_epoch: Some(epoch), ..event };
    check_late(vec![
        (of(5, says(1, 0, 100.0)), false),
        (of(7, says(2, 0, 50.0)), false),
        (of(5, says(3, 0, 200.0)), true),
        (of(5, says(1, 1, 9000.0)), true),
        (of(9, says(1, 1, 60.0)), false),
        (of(7, says(2, 1, 70.0)), true),
    ]);
}

#[test]
fn after_the_clock_was_set_back_situations_begin_end_and_cool_down_by_it() {
    let gathered = |session, from: f64, n: u32| (0..n).map(move |i| (session, from + f64::from(i) * 5.0, persons(3)));
    let cleared = [(2, 30.0, persons(0)), (2, 36.0, persons(0))];
    let events = gathered(1, 3600.0, 4).chain(gathered(2, 0.0, 6)).chain(cleared).chain(gathered(2, 40.0, 12));
    // It cools down for 60 s from when the clock was set back.
    check(&crowding(), camera(), events.collect(), &[3610.0, 60.0]);
    // What rose by the clock before proves nothing by the clock after.
    check(&crowding(), camera(), gathered(1, 3600.0, 2).chain(gathered(2, 0.0, 2)).collect(), &[]);
}

#[test]
fn time_does_not_pass_for_a_device_that_has_been_silent_since_its_clock_was_set_back() {
    let (engine, mut memory) = (crowding(), Memory::default());
    let events = told(&camera(), vec![(1, 3600.0, persons(0)), (2, 0.0, persons(3))]);
    assert_eq!(observe(&engine, &mut memory, &events), []);
    let device = events[0].source.device().unwrap();
    assert_eq!(engine.advance(&mut memory, &device, at(60.0)), []);
}

#[test]
fn memory_of_an_earlier_release_is_readable() {
    let session = says(1, 0, 0.0).session;
    let stored = format!(
        r#"{{"newest":{{"session":"{session}","sequence":4,"time":"2026-11-23T08:00:00Z"}},"delivers":true,"grid":null,
        "conditions":{{"r":{{"phase":{{"rising":{{"since":"2026-11-23T08:00:00Z","began_with":"{}"}}}},"tracks":["0000000000000001"],"count":3}}}}}}"#,
        says(1, 4, 0.0).id()
    );
    let mut memory: Memory = serde_json::from_str(&stored).unwrap();
    assert!(crowding().observe(&mut memory, &says(1, 4, 0.0)).late);
    let fired = observe(&crowding(), &mut memory, &[says(1, 5, 11.0)]);
    assert_eq!(fired.iter().map(|firing| firing.at).collect::<Vec<_>>(), [at(10.0)]);
}

#[test]
fn repetitions_of_the_last_sixteen_sessions_are_recognised() {
    let each_begins = (0..17).map(|session| (says(session, 0, session as f64), false));
    let repeated = (0..17).map(|session| (says(session, 0, session as f64), true));
    check_late(each_begins.chain(repeated).collect());
}

/// What one session tells, and what of it was still on its way when it ended.
#[derive(Debug, Clone)]
struct Session {
    told: Vec<Event>,
    undelivered: Vec<Event>,
}

/// One session as drawn: counts with the tenths of a second between them, how many stay undelivered, its clock's error, a new owner.
type Drawn = (Vec<(u32, u32)>, usize, i32, bool);

/// Sessions one after the other, each with its own clock, some with a new owner.
fn sessions() -> impl Strategy<Value = Vec<Session>> {
    let steps = proptest::collection::vec((0u32..5, 1u32..90), 1..20);
    let session = (steps, 0usize..4, -7200i32..7200, any::<bool>());
    proptest::collection::vec(session, 1..6).prop_map(|sessions| {
        let mut epoch = 1;
        let session = |(nth, (steps, n_undelivered, clock, taken_over)): (usize, Drawn)| {
            epoch += u64::from(taken_over);
            let mut s = 10_000.0 + nth as f64 * 200.0 + f64::from(clock);
            let step = |(n, tenths): (u32, u32)| {
                s += f64::from(tenths) / 10.0;
                (nth as u128, s, counts(Class::Person, n))
            };
            let mut told = told(&camera(), steps.into_iter().map(step).collect());
            told.iter_mut().for_each(|event| event.owner_epoch = Some(epoch));
            let n_told = told.len().saturating_sub(n_undelivered).max(1);
            let undelivered = told.split_off(n_told);
            Session { told, undelivered }
        };
        sessions.into_iter().enumerate().map(session).collect()
    })
}

proptest! {
    /// Repetitions of everything told before, and what ended sessions had not delivered, at any later time in any order.
    #[test]
    fn late_and_repeated_deliveries_change_nothing(
        sessions in sessions(),
        stray in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
    ) {
        let engine = crowding();
        let in_order: Vec<Event> = sessions.iter().flat_map(|session| session.told.clone()).collect();
        let expected = observe(&engine, &mut Memory::default(), &in_order);
        let (mut memory, mut known, mut fired) = (Memory::default(), Vec::<Event>::new(), Vec::<Firing>::new());
        let mut before: Option<&Session> = None;
        let mut n_delivered = 0;
        for session in &sessions {
            for (nth, event) in session.told.iter().enumerate() {
                fired.extend(engine.observe(&mut memory, event).firings);
                known.push(event.clone());
                if let (0, Some(before)) = (nth, before) {
                    known.extend(before.undelivered.clone());
                }
                for (which, when) in &stray {
                    if when.index(in_order.len()) == n_delivered {
                        let observed = engine.observe(&mut memory, which.get(&known));
                        prop_assert!(observed.late, "{:?}", which.get(&known));
                    }
                }
                n_delivered += 1;
            }
            before = Some(session);
        }
        prop_assert_eq!(fired, expected);
    }
}
