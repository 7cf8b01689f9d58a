//! When a situation begins, lasts, ends and begins again: T, hysteresis, silence, restarts, schedules, ticks.

use proptest::prelude::*;
use xueliang_events::{
    Class, Event, Payload,
    payload::{DeviceState, DeviceStatus, Direction, PictureFault, ZoneOccupancy},
    values::{Counts, SnapshotRef},
};
use xueliang_rules::{Engine, Firing, Memory};

use crate::*;

#[test]
fn crowd_fires_once_when_it_has_held() {
    check(&crowding(), camera(), vec![(1, 0.0, persons(3)), (1, 9.0, persons(4))], &[]);
    check(&crowding(), camera(), vec![(1, 0.0, persons(3)), (1, 5.0, persons(1)), (1, 12.0, persons(3))], &[]);
    check(&crowding(), camera(), vec![(1, 0.0, persons(3)), (1, 12.0, persons(4)), (1, 25.0, persons(5))], &[10.0]);
    check(&crowding(), camera(), vec![(1, 0.0, persons(3)), (1, 12.0, persons(0))], &[10.0]);
}

#[test]
fn a_rising_count_is_given_up_only_below_its_hysteresis() {
    let without = crowding_of("at_least = 3\nfor = \"10s\"\n");
    let flickers = |low: u32| -> Vec<(u128, f64, Payload)> {
        (0..15).map(|second| (1, f64::from(second), persons(if second % 2 == 0 { 3 } else { low }))).collect()
    };
    check(&crowding(), camera(), flickers(2), &[10.0]);
    check(&crowding(), camera(), flickers(1), &[]);
    check(&without, camera(), flickers(2), &[]);
    // Between the two it does not begin.
    check(&crowding(), camera(), (0..15).map(|second| (1, f64::from(second), persons(2))).collect(), &[]);
}

#[test]
fn crowd_fires_again_only_after_it_was_over_and_has_cooled_down() {
    let gathered = |from: f64| (0..4).map(move |i| (1, from + f64::from(i) * 5.0, persons(3)));
    let with_gap = |clear_s: f64| -> Vec<(u128, f64, Payload)> {
        let second = gathered(16.0 + clear_s);
        let mut events: Vec<_> = gathered(0.0).collect();
        events.push((1, 16.0, persons(0)));
        events.extend(second);
        events
    };
    check(&crowding(), camera(), with_gap(3.0), &[10.0]);
    // Over at 21, gathered again at 24, but quiet until 70: then it is still there.
    let mut events = with_gap(8.0);
    events.extend((0..10).map(|i| (1, 45.0 + f64::from(i) * 5.0, persons(3))));
    check(&crowding(), camera(), events, &[10.0, 70.0]);
}

#[test]
fn still_of_a_situation_that_came_to_nothing_is_not_shown_with_the_next() {
    let still = |n, digest: Option<&str>| -> Payload {
        let counts = Counts::default().with(Class::Person, n);
        let snapshot =
            digest.map(|hex| SnapshotRef { sha256: hex.repeat(64).try_into().unwrap(), width: 640, height: 360 });
        ZoneOccupancy { analysed_fps: None, zone: "z".parse().unwrap(), counts, heartbeat: false, snapshot }.into()
    };
    let fires_with = |events, expected: Option<&str>| {
        let fired = observe(&crowding(), &mut Memory::default(), &told(&camera(), events));
        let sha256 = fired[0].snapshot.as_ref().map(|still| still.sha256.as_str().to_owned());
        assert_eq!(sha256, expected.map(|hex| hex.repeat(64)));
    };
    fires_with(vec![(1, 0.0, still(3, Some("a"))), (1, 5.0, still(4, Some("b"))), (1, 12.0, persons(4))], Some("b"));
    let nothing_first = [(1, 0.0, still(3, Some("a"))), (1, 2.0, persons(0))];
    let then = [(1, 3.0, persons(3)), (1, 14.0, persons(3))];
    fires_with(nothing_first.into_iter().chain(then).collect(), None);
}

#[test]
fn hysteresis_keeps_the_situation_open() {
    // Two of three is not below 3 - 1, so the crowd of three is never over.
    let events = vec![
        (1, 0.0, persons(3)),
        (1, 11.0, persons(2)),
        (1, 30.0, persons(2)),
        (1, 55.0, persons(3)),
        (1, 80.0, persons(3)),
    ];
    check(&crowding(), camera(), events, &[10.0]);
}

#[test]
fn silence_proves_nothing() {
    check(&crowding(), camera(), vec![(1, 0.0, persons(3)), (1, 300.0, persons(3))], &[]);
    let again = vec![(1, 0.0, persons(3)), (1, 300.0, persons(3)), (1, 311.0, persons(3))];
    check(&crowding(), camera(), again, &[310.0]);
}

#[test]
fn presence_needs_a_confident_track() {
    check(&intrusion(), camera(), vec![(1, 0.0, enters(1, 0.8)), (1, 4.0, persons(1))], &[3.0]);
    check(&intrusion(), camera(), vec![(1, 0.0, enters(1, 0.3)), (1, 1.0, persons(1)), (1, 9.0, persons(1))], &[]);
    check(
        &intrusion(),
        camera(),
        vec![(1, 0.0, enters(1, 0.8)), (1, 1.0, leaves(1)), (1, 1.5, persons(0)), (1, 9.0, persons(0))],
        &[],
    );
    // One hands over to the other.
    let relay = vec![(1, 0.0, enters(1, 0.8)), (1, 2.0, enters(2, 0.8)), (1, 2.5, leaves(1)), (1, 4.0, persons(1))];
    check(&intrusion(), camera(), relay, &[3.0]);
}

#[test]
fn restart_of_the_camera_joins_the_ongoing_situation() {
    let before = [(1, 0.0, enters(1, 0.8)), (1, 4.0, persons(1))];
    let after = (0..20).map(|i| (2, 10.0 + f64::from(i), if i == 0 { enters(9, 0.8) } else { persons(1) }));
    check(&intrusion(), camera(), before.into_iter().chain(after).collect(), &[3.0]);
    // A track of the ended session is no evidence in the next one.
    check(
        &intrusion(),
        camera(),
        vec![(1, 0.0, enters(1, 0.8)), (2, 1.0, is(DeviceState::Live, false, 1.0)), (2, 9.0, persons(0))],
        &[],
    );
}

#[test]
fn offline_camera_silences_its_picture_rules() {
    let offline = is(DeviceState::Unreachable, false, 5.0);
    check(
        &crowding(),
        camera(),
        vec![(1, 0.0, persons(3)), (1, 5.0, offline), (1, 12.0, persons(3)), (1, 29.0, persons(3))],
        &[],
    );
}

#[test]
fn camera_is_offline_when_it_stays_so() {
    let rule = engine("category = \"camera_offline\"\nkind = \"status\"\nfor = \"20s\"\n");
    let down = |heartbeat| is(DeviceState::Unreachable, heartbeat, 0.0);
    check(
        &rule,
        camera(),
        vec![(1, 0.0, down(false)), (1, 10.0, down(true)), (1, 20.0, down(true)), (1, 40.0, down(true))],
        &[20.0],
    );
    check(
        &rule,
        camera(),
        vec![
            (1, 0.0, down(false)),
            (1, 10.0, is(DeviceState::Live, false, 10.0)),
            (1, 25.0, is(DeviceState::Live, true, 10.0)),
        ],
        &[],
    );
    check(
        &rule,
        camera(),
        vec![(1, 0.0, is(DeviceState::Stopped, false, 0.0)), (1, 25.0, is(DeviceState::Stopped, true, 0.0))],
        &[],
    );
}

#[test]
fn tick_fires_while_the_device_is_current_and_only_once() {
    let engine = crowding();
    let device = "c".parse().unwrap();
    let events = told(&camera(), vec![(1, 0.0, persons(3)), (1, 12.0, persons(3))]);
    let mut memory = Memory::default();
    assert!(observe(&engine, &mut memory, &events[..1]).is_empty());
    let due = engine.due(&memory, &device).unwrap();
    assert!(engine.advance(&mut memory, &device, at(10.1)).is_empty(), "an event may be on its way");
    let mut late = memory.clone();
    assert!(engine.advance(&mut late, &device, at(31.0)).is_empty(), "the device is not current any more");
    let fired = engine.advance(&mut memory, &device, due.at);
    assert_eq!(fired.iter().map(|f| f.at).collect::<Vec<_>>(), [at(10.0)]);
    assert_eq!(engine.due(&memory, &device), None);
    assert!(observe(&engine, &mut memory, &events[1..]).is_empty());
    let by_event = observe(&engine, &mut Memory::default(), &events);
    assert_eq!(by_event[0].id, fired[0].id, "the same firing, whoever found it");
}

/// Counts and times of one camera, in order; sessions change now and then, as often as ended ones are remembered.
fn walks() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec((0u32..5, 1u32..90, proptest::bool::weighted(0.1)), 1..40).prop_map(|steps| {
        let (mut session, mut s) = (1, 0.0);
        let step = |(n, tenths, restarts): (u32, u32, bool)| {
            session += u128::from(restarts && session <= 16);
            s += f64::from(tenths) / 10.0;
            (session, s, persons(n))
        };
        told(&camera(), steps.into_iter().map(step).collect())
    })
}

proptest! {
    #[test]
    fn repeated_events_change_nothing(events in walks(), repeats in proptest::collection::vec((0usize..40, 0usize..40), 0..40)) {
        let engine = crowding();
        let expected = observe(&engine, &mut Memory::default(), &events);
        let mut delivered: Vec<&Event> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            delivered.push(event);
            let again = repeats.iter().filter(|(_, after)| *after == index).map(|(which, _)| &events[which % (index + 1)]);
            delivered.extend(again);
        }
        let mut memory = Memory::default();
        let fired: Vec<Firing> = delivered.into_iter().flat_map(|event| engine.observe(&mut memory, event).firings).collect();
        prop_assert_eq!(fired, expected);
    }

    #[test]
    fn memory_survives_being_stored_at_any_moment(events in walks()) {
        let engine = crowding();
        let expected = observe(&engine, &mut Memory::default(), &events);
        let mut memory = Memory::default();
        let mut fired = Vec::new();
        for event in &events {
            memory = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
            fired.extend(engine.observe(&mut memory, event).firings);
        }
        prop_assert_eq!(fired, expected);
    }

    #[test]
    fn one_situation_fires_at_most_once_in_any_order(
        events in (5usize..20).prop_map(|n| told(&camera(), (0..n).map(|i| (1, i as f64 * 3.0, persons(3))).collect())),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 1..60),
    ) {
        let engine = crowding();
        let mut memory = Memory::default();
        let fired = order.iter().map(|index| index.get(&events)).flat_map(|event| engine.observe(&mut memory, event).firings);
        prop_assert!(fired.count() <= 1);
    }
}

/// The intrusion rule from 22:00 to 06:00 in Shanghai; seconds count from 16:00 there.
fn at_night() -> Engine {
    engine(
        "category = \"zone_intrusion\"\nkind = \"presence\"\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"60s\"\nclear_for = \"5s\"\ncool_down = \"0s\"\n\
         schedule = [{ from = \"22:00\", to = \"06:00\" }]\n",
    )
}

const EVENING: f64 = 6.0 * 3600.0;
const MORNING: f64 = 14.0 * 3600.0;

#[test]
fn a_rule_fires_only_while_it_is_in_force() {
    let stays = |from: f64, to: f64| -> Vec<(u128, f64, Payload)> {
        let heartbeats = (1..).map(|n| from + 10.0 * f64::from(n)).take_while(|s| *s <= to).map(|s| (1, s, persons(1)));
        std::iter::once((1, from, enters(1, 0.9))).chain(heartbeats).collect()
    };
    check(&at_night(), camera(), stays(EVENING - 3600.0, EVENING - 10.0), &[]);
    check(&at_night(), camera(), stays(EVENING - 300.0, EVENING + 300.0), &[EVENING + 60.0]);
    check(&at_night(), camera(), stays(MORNING - 300.0, MORNING + 600.0), &[MORNING - 240.0]);
    check(&at_night(), camera(), stays(MORNING - 50.0, MORNING + 600.0), &[]);
    check(
        &at_night(),
        camera(),
        stays(EVENING - 10.0, EVENING + 86_400.0 + 200.0),
        &[EVENING + 60.0, EVENING + 86_460.0],
    );
}

#[test]
fn time_alone_completes_nothing_after_the_rule_went_out_of_force() {
    let mut memory = Memory::default();
    let enters_late = told(&camera(), vec![(1, MORNING - 50.0, enters(1, 0.9))]);
    assert_eq!(observe(&at_night(), &mut memory, &enters_late), []);
    let device = enters_late[0].source.device().unwrap();
    assert_eq!(at_night().advance(&mut memory, &device, at(MORNING - 25.0)), []);
    assert_eq!(at_night().due(&memory, &device), None, "nothing can come of it");
}

#[test]
fn what_began_before_the_rule_was_in_force_begins_with_it() {
    let offline = engine(
        "category = \"camera_offline\"\nkind = \"status\"\nfor = \"60s\"\nschedule = [{ from = \"22:00\", to = \"06:00\" }]\n",
    );
    let gone = (0..=30).map(|n| (1, EVENING - 100.0 + f64::from(n) * 10.0, is(DeviceState::Unreachable, n > 0, 0.0)));
    check(&offline, camera(), gone.collect(), &[EVENING + 60.0]);
}

#[test]
fn a_line_is_watched_only_while_its_rule_is_in_force() {
    let crossing = |s: f64| -> (u128, f64, Payload) {
        let (line, class, track) = ("l".parse().unwrap(), Class::Person, TrackId(1));
        let direction = Direction::Forward;
        let confidence = 0.9.try_into().unwrap();
        (
            1,
            s,
            LineCrossed { analysed_fps: None, line, direction, class, track, bbox: bbox(), confidence, snapshot: None }
                .into(),
        )
    };
    let line = engine(
        "category = \"line_crossed\"\nkind = \"line\"\nline = \"l\"\ndirection = \"both\"\nmin_confidence = 0.5\n\
         schedule = [{ from = \"22:00\", to = \"06:00\" }]\n",
    );
    check(&line, camera(), vec![crossing(0.0), crossing(EVENING + 1.0), crossing(MORNING)], &[EVENING + 1.0]);
}

#[test]
fn a_camera_is_tampered_with_while_its_picture_says_so() {
    let shows = |s: f64, picture_fault: Option<PictureFault>| -> (u128, f64, Payload) {
        let state = if picture_fault.is_some() { DeviceState::Degraded } else { DeviceState::Live };
        (1, s, DeviceStatus { picture_fault, heartbeat: true, ..DeviceStatus::new(state, at(0.0)) }.into())
    };
    let rule =
        "category = \"camera_tampered\"\nkind = \"picture\"\nfor = \"30s\"\nclear_for = \"30s\"\ncool_down = \"0s\"\n";
    let covered = |from: u32, to: u32| (from..to).map(|n| shows(f64::from(n) * 10.0, Some(PictureFault::Covered)));
    let fine = |from: u32, to: u32| (from..to).map(|n| shows(f64::from(n) * 10.0, None));
    check(&engine(rule), camera(), covered(0, 8).chain(fine(8, 20)).collect(), &[30.0]);
    check(&engine(rule), camera(), covered(0, 2).chain(fine(2, 20)).collect(), &[]);
    let twice = covered(0, 8).chain(fine(8, 13)).chain(covered(13, 20));
    check(&engine(rule), camera(), twice.collect(), &[30.0, 160.0]);
    let frozen = (0..10).map(|n| shows(f64::from(n) * 10.0, Some(PictureFault::Frozen)));
    check(&engine(rule), camera(), frozen.clone().collect(), &[]);
    check(&engine(&format!("{rule}faults = [\"frozen\"]\n")), camera(), frozen.collect(), &[30.0]);
    let goes_away = covered(0, 2).chain(std::iter::once((1, 20.0, is(DeviceState::Unreachable, false, 20.0))));
    check(&engine(rule), camera(), goes_away.chain(covered(5, 8)).collect(), &[]);
}

#[test]
fn a_camera_that_is_gone_since_yesterday_fires_anew_by_tonights_time() {
    let offline = engine(
        "category = \"camera_offline\"\nkind = \"status\"\nfor = \"60s\"\nclear_for = \"10s\"\ncool_down = \"0s\"\n\
         schedule = [{ from = \"22:00\", to = \"06:00\" }]\n",
    );
    let (gone, days) = (EVENING + 3600.0, 86_400);
    let said = (0..days / 10 + 30).map(|n| (1, gone + f64::from(n) * 10.0, is(DeviceState::Unreachable, true, gone)));
    check(&offline, camera(), said.collect(), &[gone + 60.0, EVENING + 86_460.0]);
}

#[test]
fn what_had_held_for_long_when_it_is_first_told_is_dated_when_told() {
    let offline = engine("category = \"camera_offline\"\nkind = \"status\"\nfor = \"60s\"\n");
    check(&offline, camera(), vec![(1, 86_400.0, is(DeviceState::Unreachable, true, 0.0))], &[86_400.0]);
}

#[test]
fn a_camera_that_flaps_for_an_hour_is_one_situation() {
    let offline = engine("category = \"camera_offline\"\nkind = \"status\"\nfor = \"60s\"\nclear_for = \"30s\"\n");
    // Its falls are shorter than T: three are told one by one, then that it flaps.
    let falls = (0..3).flat_map(|nth| {
        let s = f64::from(nth) * 30.0;
        [(1, s, is(DeviceState::Live, false, s)), (1, s + 10.0, is(DeviceState::Unreachable, false, s + 10.0))]
    });
    let flaps = (8..360).map(|nth| {
        let status =
            DeviceStatus { heartbeat: nth > 8, flapping: true, ..DeviceStatus::new(DeviceState::Degraded, at(80.0)) };
        (1, f64::from(nth) * 10.0, status.into())
    });
    let steady = (360..370).map(|nth| (1, f64::from(nth) * 10.0, is(DeviceState::Live, true, 3600.0)));
    let fired = observe(&offline, &mut Memory::default(), &told(&camera(), falls.chain(flaps).chain(steady).collect()));
    assert_eq!(fired.iter().map(|fired| fired.at).collect::<Vec<_>>(), [at(130.0)]);
    assert_eq!(fired[0].values[0].name, "flapping");
}
