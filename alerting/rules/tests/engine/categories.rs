//! Each category by its honest trigger (RULES C), with the values that made it fire; one test a category, and the edges of its kind.

use xueliang_events::{
    Class, Event, Payload, Source,
    payload::{Category, DeviceState, DeviceStatus, Direction, PictureFault, Quality, SensorReading},
};
use xueliang_rules::Memory;

use crate::*;

type Told = Vec<(u128, f64, Payload)>;

/// The one firing that the events make: when, and its values in words.
fn fires(category: Category, keys: &str, (source, events): (Source, Told), expected: (f64, &str)) {
    let rule = engine(&format!("category = \"{}\"\n{keys}", category.as_str()));
    let fired = observe(&rule, &mut Memory::default(), &told(&source, events));
    let [firing] = fired.as_slice() else { panic!("{} instead of one: {fired:#?}", fired.len()) };
    let words = |value: &xueliang_rules::Measure| {
        let unit = value.unit.as_deref().unwrap_or_default();
        format!("{} {}{unit}", value.name, (value.value * 100.0).round() / 100.0)
    };
    let values: Vec<String> = firing.values.iter().map(words).collect();
    assert_eq!((firing.at, values.join(", ").as_str()), (at(expected.0), expected.1));
    assert_eq!((firing.category, firing.rule.as_str(), firing.version), (category, "r", 1));
    assert!(!firing.events.is_empty());
}

fn is_silent(category: Category, keys: &str, (source, events): (Source, Told)) {
    check(&engine(&format!("category = \"{}\"\n{keys}", category.as_str())), source, events, &[]);
}

const PRESENT: &str = "kind = \"presence\"\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"3s\"\n";
const STANDS: &str = "kind = \"dwell\"\nstill = true\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"60s\"\n";
const STAYS: &str = "kind = \"dwell\"\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"60s\"\ncool_down = \"0s\"\n";
const FORWARD: &str =
    "kind = \"line\"\nline = \"l\"\ndirection = \"forward\"\nmin_confidence = 0.5\ncool_down = \"10s\"\n";

#[test]
fn category_zone_intrusion_is_a_person_in_a_zone_for_a_time() {
    let walks_in = vec![(1, 0.0, enters(1, 0.8)), (1, 4.0, persons(1))];
    fires(Category::ZoneIntrusion, PRESENT, (camera(), walks_in), (3.0, "count 1, held 3s"));
    let drives_in = vec![(1, 0.0, enters_as(Class::Car, 1, 0.8, bbox())), (1, 4.0, counts(Class::Car, 1))];
    is_silent(Category::ZoneIntrusion, PRESENT, (camera(), drives_in));
}

#[test]
fn category_line_crossed_is_one_direction_over_a_line() {
    let back = (1, 0.0, crosses(Class::Person, Direction::Backward));
    let forth = (1, 1.0, crosses(Class::Person, Direction::Forward));
    fires(Category::LineCrossed, FORWARD, (camera(), vec![back.clone(), forth]), (1.0, "confidence 0.9"));
    is_silent(Category::LineCrossed, FORWARD, (camera(), vec![back]));
}

#[test]
fn a_line_cools_down() {
    let rule = engine(&format!("category = \"line_crossed\"\n{FORWARD}"));
    let crossings = [1.0, 5.0, 11.0].map(|s| (1, s, crosses(Class::Person, Direction::Forward)));
    check(&rule, camera(), crossings.into(), &[1.0, 11.0]);
}

#[test]
fn category_crowding_is_a_count_for_a_time() {
    let keys = "kind = \"occupancy\"\nzone = \"z\"\nat_least = 3\nhysteresis = 1\nfor = \"10s\"\n";
    let gathers = vec![(1, 0.0, persons(3)), (1, 4.0, persons(5)), (1, 9.0, persons(2)), (1, 12.0, persons(2))];
    fires(Category::Crowding, keys, (camera(), gathers), (10.0, "count 5, limit 3, held 10s"));
}

const HALL: &str = "kind = \"balance\"\nline = \"l\"\ninward = \"forward\"\ncapacity = 3\nhysteresis = 1\nfor = \"10s\"\n\
    clear_for = \"5s\"\ncool_down = \"0s\"\nmin_confidence = 0.5\n";

/// One person in (+1) or out (-1) at each second, or only a word of the camera (0).
fn goes(steps: &[(f64, i32)]) -> Told {
    let step = |(s, step): &(f64, i32)| match step {
        1 => (1, *s, crosses(Class::Person, Direction::Forward)),
        -1 => (1, *s, crosses(Class::Person, Direction::Backward)),
        _ => (1, *s, is(DeviceState::Live, true, 0.0)),
    };
    steps.iter().map(step).collect()
}

#[test]
fn category_over_capacity_is_more_in_than_out_by_more_than_the_capacity() {
    let fills = goes(&[(0.0, 1), (1.0, 1), (2.0, 1), (3.0, 1), (10.0, 0), (14.0, 0)]);
    fires(Category::OverCapacity, HALL, (camera(), fills), (13.0, "count 4, limit 3, held 10s"));
    let full = goes(&[(0.0, 1), (1.0, 1), (2.0, 1), (20.0, 0)]);
    is_silent(Category::OverCapacity, HALL, (camera(), full));
}

fn hall() -> Engine {
    engine(&format!("category = \"over_capacity\"\n{HALL}"))
}

#[test]
fn a_balance_is_never_below_nothing() {
    let leave_first = [(0.0, -1), (0.1, -1), (0.2, -1), (1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1), (14.0, 0)];
    check(&hall(), camera(), goes(&leave_first), &[14.0]);
}

#[test]
fn a_balance_is_given_up_only_below_its_hysteresis() {
    let flickers = [(0.0, 1), (0.1, 1), (0.2, 1), (0.3, 1), (5.0, -1), (6.0, 1), (11.0, 0)];
    check(&hall(), camera(), goes(&flickers), &[10.3]);
    let empties =
        [(0.0, 1), (0.1, 1), (0.2, 1), (0.3, 1), (5.0, -1), (5.1, -1), (6.0, 1), (6.1, 1), (11.0, 0), (17.0, 0)];
    check(&hall(), camera(), goes(&empties), &[16.1]);
}

#[test]
fn a_balance_survives_a_restart_of_its_camera() {
    let before = goes(&[(0.0, 1), (0.1, 1), (0.2, 1)]);
    let after = goes(&[(5.0, 0), (6.0, 1), (17.0, 0)]).into_iter().map(|(_, s, payload)| (2, s, payload));
    check(&hall(), camera(), before.into_iter().chain(after).collect(), &[16.0]);
}

/// 04:00 in Shanghai is 20:00 UTC, twelve hours after the tests' second 0.
#[test]
fn a_balance_begins_anew_each_day_at_a_local_time() {
    let four = 12.0 * 3600.0;
    let three = [(0.0, 1), (0.1, 1), (0.2, 1)];
    let after = |s: f64| [(s, 1), (s + 11.0, 0)];
    check(&hall(), camera(), goes(&[&three[..], &after(four - 20.0)].concat()), &[four - 10.0]);
    check(&hall(), camera(), goes(&[&three[..], &after(four + 1.0)].concat()), &[]);
    check(&hall(), camera(), goes(&[&three[..], &[(four - 5.0, 1), (four + 6.0, 0)]].concat()), &[]);
    let noon = engine(&format!("category = \"over_capacity\"\n{HALL}reset_at = \"16:30\"\n"));
    check(&noon, camera(), goes(&[&three[..], &after(1801.0)].concat()), &[]);
    check(&noon, camera(), goes(&[&three[..], &after(1700.0)].concat()), &[1710.0]);
}

#[test]
fn time_alone_ends_what_a_balance_had_counted() {
    let (hall, mut memory) = (hall(), Memory::default());
    let four = 12.0 * 3600.0;
    let events = told(&camera(), goes(&[(four - 5.0, 1), (four - 4.9, 1), (four - 4.8, 1), (four - 4.7, 1)]));
    assert_eq!(observe(&hall, &mut memory, &events), []);
    let device = events[0].source.device().unwrap();
    assert_eq!(hall.advance(&mut memory, &device, at(four + 20.0)), []);
    assert_eq!(hall.due(&memory, &device), None);
}

#[test]
fn category_dwelling_is_one_track_for_a_time() {
    let stays = vec![
        (1, 30.0, dwells(Class::Person, 1, (30.0, 0.0), bbox())),
        (1, 61.0, dwells(Class::Person, 1, (61.0, 5.0), bbox())),
    ];
    fires(Category::Dwelling, STAYS, (camera(), stays), (61.0, "dwell 61s, limit 60s"));
}

#[test]
fn dwell_counts_per_track_not_per_zone() {
    let rule = engine(&format!("category = \"dwelling\"\n{STAYS}clear_for = \"5s\"\n"));
    let visit = |track: u64, from: f64, stays: f64| {
        let told = (1..=(stays / 10.0) as u32).map(move |n| f64::from(n) * 10.0);
        let dwells = told.map(move |s| (1, from + s, dwells(Class::Person, track, (s, 0.0), bbox())));
        dwells.chain([(1, from + stays, leaves_as(Class::Person, track, stays))])
    };
    let in_turns = visit(1, 0.0, 40.0).chain(visit(2, 40.0, 40.0)).chain(visit(3, 80.0, 40.0));
    check(&rule, camera(), in_turns.collect(), &[]);
    // One stays and leaves; the zone is never empty; the next who stays is found too.
    let busy = (0..40).map(|n| (1, f64::from(n) * 5.0, persons(3)));
    let mut events: Told = visit(1, 0.0, 70.0).chain(visit(2, 100.0, 70.0)).chain(busy).collect();
    events.sort_by(|a, b| a.1.total_cmp(&b.1));
    check(&rule, camera(), events, &[60.0, 160.0]);
}

#[test]
fn a_visit_whose_track_gets_a_new_id_is_one_visit() {
    let rule = engine(&format!("category = \"dwelling\"\n{STAYS}clear_for = \"5s\"\n"));
    let stays = (6..=120).map(|n| {
        let (s, track) = (f64::from(n) * 10.0, if n < 60 { 1 } else { 2 });
        (1, s, dwells(Class::Person, track, (s, 0.0), bbox()))
    });
    // It left under an id that no dwell had told.
    let gone = [(1, 1206.0, leaves_as(Class::Person, 3, 1205.0)), (1, 1220.0, persons(0))];
    let next = [(1, 1300.0, dwells(Class::Person, 4, (70.0, 0.0), bbox()))];
    check(&rule, camera(), stays.chain(gone).chain(next).collect(), &[60.0, 1300.0]);
}

#[test]
fn a_person_who_stands_still_keeps_the_zone_occupied() {
    let rule = engine(&format!("category = \"zone_intrusion\"\n{PRESENT}clear_for = \"5s\"\ncool_down = \"0s\"\n"));
    let stands = (1..100).map(|n| (1, f64::from(n) * 10.0, persons(1)));
    check(&rule, camera(), std::iter::once((1, 0.0, enters(1, 0.8))).chain(stands).collect(), &[3.0]);
}

#[test]
fn category_wrong_way_vehicle_is_a_vehicle_against_the_lane() {
    let drives = vec![
        (1, 0.0, crosses(Class::Person, Direction::Forward)),
        (1, 1.0, crosses(Class::Truck, Direction::Backward)),
        (1, 2.0, crosses(Class::Truck, Direction::Forward)),
    ];
    fires(Category::WrongWayVehicle, FORWARD, (camera(), drives), (2.0, "confidence 0.9"));
}

#[test]
fn category_nonmotor_on_motorway_is_a_class_in_a_lane() {
    let rides = vec![(1, 0.0, enters_as(Class::Bicycle, 1, 0.8, bbox())), (1, 4.0, counts(Class::Bicycle, 1))];
    fires(Category::NonmotorOnMotorway, PRESENT, (camera(), rides), (3.0, "count 1, held 3s"));
    let drives = vec![(1, 0.0, enters_as(Class::Car, 1, 0.8, bbox())), (1, 4.0, counts(Class::Car, 1))];
    is_silent(Category::NonmotorOnMotorway, PRESENT, (camera(), drives));
}

#[test]
fn category_fire_lane_blocked_is_a_vehicle_that_stands_in_the_lane() {
    let creeps = (1, 0.0, dwells(Class::Car, 1, (90.0, 20.0), bbox()));
    let stands = (1, 50.0, dwells(Class::Car, 1, (140.0, 70.0), bbox()));
    fires(Category::FireLaneBlocked, STANDS, (camera(), vec![creeps, stands]), (50.0, "still 70s, limit 60s"));
}

#[test]
fn category_motor_no_parking_is_a_vehicle_that_stands_in_the_zone() {
    let stands = vec![
        (1, 0.0, dwells(Class::Bus, 1, (90.0, 60.0), bbox())),
        (1, 70.0, dwells(Class::Bus, 1, (160.0, 130.0), bbox())),
    ];
    fires(Category::MotorNoParking, STANDS, (camera(), stands), (0.0, "still 60s, limit 60s"));
    is_silent(
        Category::MotorNoParking,
        STANDS,
        (camera(), vec![(1, 0.0, dwells(Class::Bicycle, 1, (90.0, 60.0), bbox()))]),
    );
}

#[test]
fn category_nonmotor_parking_is_a_count_in_a_zone() {
    let keys = "kind = \"occupancy\"\nzone = \"z\"\nat_least = 20\nfor = \"20s\"\n";
    let parked = vec![(1, 0.0, counts(Class::Bicycle, 21)), (1, 20.0, counts(Class::Bicycle, 22))];
    fires(Category::NonmotorParking, keys, (camera(), parked), (20.0, "count 21, limit 20, held 20s"));
}

const FLOOD: &str = "kind = \"threshold\"\nquantity = \"water_level\"\nabove = 20.0\nhysteresis = 3.0\nfor = \"60s\"\nmax_gap = \"90s\"\n";

fn levels(readings: &[(f64, f64)]) -> Told {
    readings.iter().map(|(s, value)| (1, *s, reads("water_level", *value, "cm"))).collect()
}

#[test]
fn category_underpass_flood_is_a_level_for_a_time() {
    let rises = levels(&[(0.0, 21.0), (30.0, 25.0), (60.0, 19.0)]);
    fires(Category::UnderpassFlood, FLOOD, (sensor(), rises), (60.0, "water_level 25cm, limit 20cm, held 60s"));
}

#[test]
fn a_threshold_is_given_up_below_its_hysteresis_in_silence_and_by_no_bad_reading() {
    is_silent(Category::UnderpassFlood, FLOOD, (sensor(), levels(&[(0.0, 21.0), (30.0, 17.0), (60.0, 25.0)])));
    is_silent(Category::UnderpassFlood, FLOOD, (sensor(), levels(&[(0.0, 21.0), (100.0, 25.0)])));
    let bad = |s: f64| -> (u128, f64, Payload) {
        let quantity = "water_level".to_owned();
        (1, s, SensorReading { quantity, value: 99.0, unit: "cm".to_owned(), quality: Quality::Bad }.into())
    };
    is_silent(Category::UnderpassFlood, FLOOD, (sensor(), vec![bad(0.0), bad(60.0)]));
    // The worker's word that the sensor lives is no reading.
    let lives = (0..20).map(|n| (1, 1.0 + f64::from(n) * 60.0, is(DeviceState::Live, true, 0.0)));
    let seldom = levels(&[(0.0, 21.0)]).into_iter().chain(lives).chain(levels(&[(1200.0, 25.0)]));
    let longer = FLOOD.replace("60s", "120s");
    is_silent(Category::UnderpassFlood, &longer, (sensor(), seldom.collect()));
}

#[test]
fn a_reading_of_an_hour_ago_that_comes_now_says_nothing_of_now() {
    let rule = engine(&format!("category = \"underpass_flood\"\n{FLOOD}"));
    let mut events = told(&sensor(), levels(&[(3600.0, 5.0), (0.0, 25.0), (3660.0, 5.0)]));
    events[1].received_at = at(3605.0);
    assert_eq!(observe(&rule, &mut Memory::default(), &events), []);
}

#[test]
fn category_road_flood_is_a_level_at_once() {
    let keys = "kind = \"threshold\"\nquantity = \"water_level\"\nabove = 20.0\nfor = \"0s\"\n";
    fires(
        Category::RoadFlood,
        keys,
        (sensor(), levels(&[(0.0, 20.0), (5.0, 20.5)])),
        (5.0, "water_level 20.5cm, limit 20cm"),
    );
}

#[test]
fn category_manhole_open_is_a_tilt() {
    let keys = "kind = \"threshold\"\nquantity = \"manhole_tilt\"\nabove = 15.0\nfor = \"0s\"\n";
    let tilts = vec![(1, 0.0, reads("manhole_tilt", 2.0, "deg")), (1, 9.0, reads("manhole_tilt", 40.0, "deg"))];
    fires(Category::ManholeOpen, keys, (sensor(), tilts), (9.0, "manhole_tilt 40deg, limit 15deg"));
}

const GAS: &str = "kind = \"repeated\"\nquantity = \"gas_lel\"\nabove = 20.0\nat_least = 3\nwithin = \"10m\"\nclear_for = \"30s\"\ncool_down = \"0s\"\n";

fn gas(readings: &[(f64, f64)]) -> Told {
    readings.iter().map(|(s, value)| (1, *s, reads("gas_lel", *value, "%"))).collect()
}

#[test]
fn category_gas_leak_is_gas_again_and_again() {
    let leaks = gas(&[(0.0, 25.0), (60.0, 10.0), (120.0, 30.0), (300.0, 22.0)]);
    fires(Category::GasLeak, GAS, (sensor(), leaks.clone()), (300.0, "gas_lel 22%, limit 20%, readings 3"));
    let events: Vec<Event> = told(&sensor(), leaks);
    let fired = observe(&engine(&format!("category = \"gas_leak\"\n{GAS}")), &mut Memory::default(), &events);
    let beyond = [0, 2, 3].map(|nth: usize| events[nth].id());
    assert_eq!(fired[0].events, beyond, "those beyond the bound");
}

#[test]
fn repeated_readings_count_only_within_the_while_and_fire_again_after_a_pause() {
    is_silent(Category::GasLeak, GAS, (sensor(), gas(&[(0.0, 25.0), (120.0, 30.0), (601.0, 22.0)])));
    let twice = gas(&[
        (0.0, 25.0),
        (60.0, 25.0),
        (120.0, 25.0),
        (180.0, 25.0),
        (900.0, 1.0),
        (960.0, 1.0),
        (1000.0, 25.0),
        (1060.0, 25.0),
        (1120.0, 25.0),
    ]);
    check(&engine(&format!("category = \"gas_leak\"\n{GAS}")), sensor(), twice, &[120.0, 1120.0]);
}

#[test]
fn category_smoke_fire_is_smoke_below_or_above_a_bound() {
    let keys = "kind = \"threshold\"\nquantity = \"visibility\"\nbelow = 5.0\nhysteresis = 1.0\nfor = \"10s\"\n";
    let thickens = vec![
        (1, 0.0, reads("visibility", 4.0, "m")),
        (1, 5.0, reads("visibility", 2.0, "m")),
        (1, 10.0, reads("visibility", 5.5, "m")),
    ];
    fires(Category::SmokeFire, keys, (sensor(), thickens), (10.0, "visibility 2m, limit 5m, held 10s"));
}

const SILENT: &str = "kind = \"no_data\"\nfor = \"20m\"\nclear_for = \"0s\"\ncool_down = \"0s\"\n";

#[test]
fn a_sensor_that_says_nothing_is_found_by_its_workers_word() {
    let stalled = |from: f64, n: u32| {
        (0..n).map(move |n| (1, from + f64::from(n) * 300.0, is(DeviceState::Stalled, n > 0, from)))
    };
    let silent = levels(&[(0.0, 5.0)]).into_iter().chain(stalled(600.0, 4));
    fires(Category::UnderpassFlood, SILENT, (sensor(), silent.collect()), (1200.0, "silent 1, held 1200s"));
    let speaks_again = levels(&[(0.0, 5.0)]).into_iter().chain(stalled(600.0, 2)).chain(levels(&[(1000.0, 5.0)]));
    is_silent(Category::UnderpassFlood, SILENT, (sensor(), speaks_again.chain(stalled(1600.0, 2)).collect()));
    // A worker that was restarted does not know yet, and one that is gone says nothing.
    let restarted =
        [(2, 900.0, is(DeviceState::Connecting, false, 900.0)), (2, 1000.0, reads("water_level", 5.0, "cm"))];
    is_silent(Category::UnderpassFlood, SILENT, (sensor(), stalled(600.0, 1).chain(restarted).collect()));
    is_silent(Category::UnderpassFlood, SILENT, (sensor(), levels(&[(0.0, 5.0)])));
    let stopped = (0..6).map(|n| (1, f64::from(n) * 300.0, is(DeviceState::Stopped, n > 0, 0.0)));
    is_silent(Category::UnderpassFlood, SILENT, (sensor(), stopped.collect()));
}

#[test]
fn silence_that_ended_may_come_again() {
    let stalled =
        |from: f64| (0..5).map(move |n| (1, from + f64::from(n) * 300.0, is(DeviceState::Stalled, n > 0, from)));
    let speaks = levels(&[(2400.0, 5.0), (2460.0, 5.0)]);
    let rule = engine(&format!("category = \"underpass_flood\"\n{SILENT}"));
    let twice = stalled(600.0).chain(speaks).chain(stalled(3060.0));
    check(&rule, sensor(), twice.collect(), &[1800.0, 3660.0]);
}

#[test]
fn category_camera_tampered_is_a_picture_that_is_not_the_view() {
    let covered = (0..5).map(|n| {
        let status = DeviceStatus::new(DeviceState::Degraded, at(0.0));
        let picture_fault = Some(PictureFault::Covered);
        (1, f64::from(n) * 10.0, DeviceStatus { picture_fault, heartbeat: n > 0, ..status }.into())
    });
    let keys = "kind = \"picture\"\nfor = \"30s\"\n";
    fires(Category::CameraTampered, keys, (camera(), covered.collect()), (30.0, "covered 1, held 30s"));
}

#[test]
fn category_camera_offline_is_no_pictures_for_a_time() {
    let down = (0..4).map(|n| (1, f64::from(n) * 10.0, is(DeviceState::Unreachable, n > 0, 0.0)));
    fires(
        Category::CameraOffline,
        "kind = \"status\"\nfor = \"20s\"\n",
        (camera(), down.collect()),
        (20.0, "held 20s"),
    );
}
