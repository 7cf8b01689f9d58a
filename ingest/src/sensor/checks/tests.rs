//! What each check lets pass, as data and as properties.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use xueliang_events::payload::Quality;

use super::{super::clock::ClockLimits, *};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn limits() -> Limits {
    let clock = ClockLimits { tolerance: Duration::from_secs(60), max_age: Duration::from_secs(3600) };
    Limits { range: (-1.0, 10.0), unit: "m", max_change_per_minute: Some(0.5), max_per_minute: 60, clock }
}

fn live(second: i64) -> Arrival {
    Arrival { at: at(second), retained: false }
}

fn retained(second: i64) -> Arrival {
    Arrival { at: at(second), retained: true }
}

fn timed(value: f64, second: i64) -> Raw {
    Raw { value, claimed: Some(at(second)) }
}

fn untimed(value: f64) -> Raw {
    Raw { value, claimed: None }
}

/// Judges in order; the outcome of each as one word.
fn words(readings: &[(Raw, Arrival)]) -> Vec<&'static str> {
    let mut checks = Checks::default();
    let judged = readings.iter().map(|(raw, arrival)| checks.judge(&limits(), *raw, *arrival));
    judged.map(|verdict| word(&verdict)).collect()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted(Accepted { quality: Quality::Good, .. }) => "good",
        Verdict::Accepted(_) => "uncertain",
        Verdict::Repeated => "repeated",
        Verdict::Refused(refusal) => refusal.reason(),
    }
}

#[test]
fn each_check_refuses_its_own() {
    let check = |readings: &[(Raw, Arrival)], expected: &[&str]| assert_eq!(words(readings), expected, "{readings:?}");
    check(&[(untimed(1.0), live(0))], &["good"]);
    check(&[(untimed(10.1), live(0)), (untimed(f64::NAN), live(0))], &["range", "range"]);
    check(&[(timed(1.0, -7200), live(0))], &["stale"]);
    check(&[(timed(1.0, 86_400), live(0))], &["uncertain"]);
    check(&[(Raw { value: 1.0, claimed: Some(Timestamp::UNIX_EPOCH) }, live(0))], &["uncertain"]);
    check(&[(untimed(1.0), live(0)), (untimed(3.0), live(1)), (untimed(3.0), live(240))], &["good", "change", "good"]);
    check(&[(untimed(1.0), live(0)), (untimed(1.4), live(1))], &["good", "good"]);
}

#[test]
fn retained_and_repeated_messages_are_no_new_readings() {
    let check = |readings: &[(Raw, Arrival)], expected: &[&str]| assert_eq!(words(readings), expected, "{readings:?}");
    check(&[(untimed(1.0), retained(0))], &["retained_without_time"]);
    check(&[(timed(1.0, -10), retained(0)), (timed(1.0, -10), retained(5))], &["good", "repeated"]);
    check(&[(timed(1.0, 0), live(0)), (timed(1.0, 0), live(1))], &["good", "repeated"]);
    check(&[(timed(1.0, 0), live(0)), (timed(1.1, 0), live(1))], &["good", "good"]);
    check(&[(timed(1.0, -7200), retained(0))], &["stale"]);
    check(&[(timed(1.0, 7200), retained(0))], &["retained_without_time"]);
    check(&[(timed(1.0, 7200), live(0)), (timed(1.0, 7200), live(60))], &["uncertain", "repeated"]);
}

#[test]
fn too_many_a_minute_are_refused_and_a_queue_that_empties_is_not() {
    let fast: Vec<_> = (0..100).map(|_| (untimed(1.0), live(0))).collect();
    let n_good = words(&fast).iter().filter(|word| **word == "good").count();
    assert_eq!(n_good, 60);
    let queue: Vec<_> = (0..100).map(|n| (timed(1.0, n * 10 - 1000), live(0))).collect();
    assert!(words(&queue).iter().all(|word| *word == "good"));
}

#[test]
fn the_bound_refills_after_this_machines_clock_was_set_back() {
    let before = (0..61).map(|_| (untimed(1.0), live(7200)));
    let after = (0..120).map(|n| (untimed(1.0), live(n)));
    let words = words(&before.chain(after).collect::<Vec<_>>());
    assert_eq!(words[60], "too_often");
    let n_good = words[61..].iter().filter(|word| **word == "good").count();
    assert!(n_good >= 118, "{n_good} of 120 at one a second were taken");
}

#[test]
fn a_reading_whose_own_time_is_not_believed_gets_the_time_of_arrival() {
    let verdict = Checks::default().judge(&limits(), timed(1.0, 7200), live(5));
    let Verdict::Accepted(accepted) = verdict else { panic!("{verdict:?}") };
    assert_eq!((accepted.time, accepted.clock_error), (at(5), Some(SignedDuration::from_secs(7195))));
}

#[test]
fn what_is_older_than_all_that_is_remembered_is_late() {
    let mut checks = Checks::remembering((0..200).map(|n| Seen { claimed: at(n), value: 1.0 }));
    assert_eq!(word(&checks.judge(&limits(), timed(1.0, 100), live(200))), "late");
    assert_eq!(word(&checks.judge(&limits(), timed(1.0, 199), live(200))), "repeated");
    assert_eq!(word(&checks.judge(&limits(), timed(1.0, 200), live(200))), "good");
}

prop_compose! {
    fn any_reading()(value in -2.0f64..12.0, claimed in prop::option::of(-8000i64..8000), at in 0i64..5000, retained: bool)
        -> (Raw, Arrival)
    {
        (Raw { value, claimed: claimed.map(super::tests::at) }, Arrival { at: super::tests::at(at), retained })
    }
}

proptest! {
    #[test]
    fn the_same_reading_never_counts_twice(readings in prop::collection::vec(any_reading(), 1..60)) {
        let mut checks = Checks::default();
        for (raw, arrival) in &readings {
            let first = checks.judge(&limits(), *raw, *arrival);
            let again = checks.judge(&limits(), *raw, Arrival { retained: true, ..*arrival });
            if matches!(first, Verdict::Accepted(_)) {
                prop_assert!(!matches!(again, Verdict::Accepted(_)), "{raw:?} {arrival:?} {again:?}");
            }
        }
    }

    #[test]
    fn what_counts_is_in_range_and_not_of_the_future(readings in prop::collection::vec(any_reading(), 1..60)) {
        let mut checks = Checks::default();
        for (raw, arrival) in readings {
            if let Verdict::Accepted(accepted) = checks.judge(&limits(), raw, arrival) {
                prop_assert!((-1.0..=10.0).contains(&accepted.value));
                prop_assert!(accepted.time <= arrival.at);
            }
        }
    }

    #[test]
    fn a_restart_with_what_was_remembered_recognises_it(readings in prop::collection::vec(any_reading(), 1..60)) {
        let (mut checks, mut stored) = (Checks::default(), Vec::new());
        for (raw, arrival) in &readings {
            if let Verdict::Accepted(Accepted { seen: Some(seen), .. }) = checks.judge(&limits(), *raw, *arrival) {
                stored.push((seen, *arrival));
            }
        }
        let mut restarted = Checks::remembering(stored.iter().map(|(seen, _)| *seen));
        for (seen, arrival) in stored {
            let raw = Raw { value: seen.value, claimed: Some(seen.claimed) };
            prop_assert_eq!(restarted.judge(&limits(), raw, arrival), Verdict::Repeated);
        }
    }
}
