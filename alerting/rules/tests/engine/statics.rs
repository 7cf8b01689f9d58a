//! What stands at one place for hours: told once, then learnt, shown, and forgotten when it is gone.

use xueliang_events::{BBox, Class, Payload};
use xueliang_rules::{Engine, Firing, Memory, Static};

use crate::*;

const HOUR: f64 = 3600.0;
/// How often a dwell is told in these tests.
const EVERY: f64 = 30.0;

fn fire_lane() -> Engine {
    engine(
        "category = \"fire_lane_blocked\"\nkind = \"dwell\"\nstill = true\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"5m\"\ncool_down = \"0s\"\n",
    )
}

/// The box of the tests, a little off, as detectors are.
fn shaken(nth: u32) -> BBox {
    let off = (nth % 3) as f32 * 0.004;
    BBox::new(0.4 + off, 0.5, 0.2, 0.2 - off).unwrap()
}

fn elsewhere() -> BBox {
    BBox::new(0.1, 0.5, 0.2, 0.2).unwrap()
}

type Told = Vec<(u128, f64, Payload)>;

/// One track that stands from one second to another, and then is lost.
fn stands(session: u128, track: u64, class: Class, (from, to): (f64, f64), bbox: impl Fn(u32) -> BBox) -> Told {
    let mut told = vec![(session, from, enters_as(class, track, 0.9, bbox(0)))];
    let n_dwells = ((to - from) / EVERY) as u32;
    told.extend((1..=n_dwells).flat_map(|nth| {
        let s = f64::from(nth) * EVERY;
        [(session, from + s, dwells(class, track, (s, s), bbox(nth))), (session, from + s, counts(class, 1))]
    }));
    told.push((session, to, leaves_as(class, track, to - from)));
    told.push((session, to, counts(class, 0)));
    told
}

/// A car that stands from hour to hour; its track is lost for two minutes every half an hour, its session ends every sixth time.
fn parked(session: u128, (from, to): (f64, f64)) -> Told {
    let mut told = Vec::new();
    for nth in 0..((to - from) / 0.5) as u32 {
        let begins = (from + f64::from(nth) * 0.5) * HOUR;
        told.extend(stands(
            session + u128::from(nth / 6),
            u64::from(nth),
            Class::Car,
            (begins, begins + 1680.0),
            shaken,
        ));
    }
    told
}

fn fired(engine: &Engine, memory: &mut Memory, told_of: Told) -> Vec<Firing> {
    observe(engine, memory, &told(&camera(), told_of))
}

fn seconds(firings: &[Firing]) -> Vec<f64> {
    firings.iter().map(|firing| firing.at.duration_since(at(0.0)).as_secs_f64()).collect()
}

#[test]
fn a_car_parked_for_a_day_fires_once_and_is_learnt() {
    let (engine, mut memory) = (fire_lane(), Memory::default());
    assert_eq!(seconds(&fired(&engine, &mut memory, parked(1, (0.0, 24.0)))), [300.0]);
    let found = memory.statics();
    let [Static { zone, class, since, seen_at, .. }] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((zone.as_str(), *class, *since), ("z", Class::Car, at(0.0)));
    assert!(*seen_at > at(23.9 * HOUR));
}

#[test]
fn another_vehicle_beside_a_learnt_one_fires() {
    let (engine, mut memory) = (fire_lane(), Memory::default());
    fired(&engine, &mut memory, parked(1, (0.0, 6.0)));
    let another = stands(90, 500, Class::Car, (6.0 * HOUR, 6.0 * HOUR + 600.0), |_| elsewhere());
    assert_eq!(seconds(&fired(&engine, &mut memory, another)), [6.0 * HOUR + 300.0]);
}

#[test]
fn a_learnt_car_that_is_taken_for_a_truck_stays_known() {
    let (engine, mut memory) = (fire_lane(), Memory::default());
    fired(&engine, &mut memory, parked(1, (0.0, 6.0)));
    let as_truck = stands(90, 500, Class::Truck, (6.0 * HOUR, 7.0 * HOUR), shaken);
    assert!(fired(&engine, &mut memory, as_truck).is_empty());
    assert_eq!(memory.statics().len(), 1);
}

#[test]
fn a_place_that_is_left_for_hours_is_forgotten_and_fires_again() {
    let (engine, mut memory) = (fire_lane(), Memory::default());
    fired(&engine, &mut memory, parked(1, (0.0, 6.0)));
    assert_eq!(memory.statics().len(), 1);
    let word = |session, s: f64| vec![(session, s, persons(0))];
    fired(&engine, &mut memory, word(80, 9.0 * HOUR));
    assert_eq!(memory.statics().len(), 1, "three hours out of sight");
    fired(&engine, &mut memory, word(81, 10.5 * HOUR));
    assert_eq!(memory.statics(), []);
    let back = stands(82, 1, Class::Car, (11.0 * HOUR, 11.0 * HOUR + 600.0), shaken);
    assert_eq!(seconds(&fired(&engine, &mut memory, back)), [11.0 * HOUR + 300.0]);
}

#[test]
fn whoever_takes_the_place_a_quarter_of_an_hour_later_fires_too() {
    let (engine, mut memory) = (fire_lane(), Memory::default());
    let one = stands(1, 1, Class::Car, (0.0, 600.0), shaken);
    let flickers = stands(1, 2, Class::Car, (660.0, 1260.0), shaken);
    let other = stands(1, 3, Class::Car, (2160.0, 2760.0), shaken);
    let events = one.into_iter().chain(flickers).chain(other).collect();
    assert_eq!(seconds(&fired(&engine, &mut memory, events)), [300.0, 2460.0]);
    assert_eq!(memory.statics(), []);
}

#[test]
fn a_post_that_is_taken_for_a_person_fires_once_and_hides_nobody() {
    let (engine, mut memory) = (intrusion(), Memory::default());
    let mut events = Vec::new();
    for nth in 0..14u32 {
        let begins = f64::from(nth) * 0.5 * HOUR;
        events.extend(stands(1, u64::from(nth), Class::Person, (begins, begins + 1680.0), shaken));
    }
    assert_eq!(seconds(&fired(&engine, &mut memory, events)), [3.0]);
    assert_eq!(memory.statics().len(), 1);
    // The post is seen all the while; somebody comes in elsewhere, stays five seconds, and is found.
    let from = 7.0 * HOUR;
    let enters = |track, bbox| enters_as(Class::Person, track, 0.9, bbox);
    let comes = vec![
        (2, from, enters(100, shaken(1))),
        (2, from, persons(1)),
        (2, from + 20.0, enters(101, elsewhere())),
        (2, from + 20.0, persons(2)),
        (2, from + 25.0, leaves_as(Class::Person, 101, 5.0)),
        (2, from + 25.0, persons(1)),
        (2, from + 45.0, persons(1)),
    ];
    assert_eq!(seconds(&fired(&engine, &mut memory, comes)), [from + 23.0]);
    // One who only runs through is not held by the post.
    let runs = vec![
        (3, from + 60.0, enters(102, elsewhere())),
        (3, from + 60.0, persons(2)),
        (3, from + 61.0, leaves_as(Class::Person, 102, 1.0)),
        (3, from + 61.0, persons(1)),
        (3, from + 80.0, persons(1)),
    ];
    assert_eq!(fired(&engine, &mut memory, runs), []);
}

#[test]
fn people_who_pass_one_place_all_day_are_not_learnt() {
    let (engine, mut memory) = (intrusion(), Memory::default());
    let passes = (0..2000).flat_map(|nth| {
        let s = f64::from(nth) * 30.0;
        let moves = dwells(Class::Person, u64::from(nth as u32), (10.0, 5.0), shaken(0));
        [
            (1, s, enters_as(Class::Person, u64::from(nth as u32), 0.9, shaken(0))),
            (1, s + 10.0, moves),
            (1, s + 11.0, persons(0)),
        ]
    });
    assert!(fired(&engine, &mut memory, passes.collect()).len() > 1000);
    assert_eq!(memory.statics(), []);
}

#[test]
fn static_objects_survive_being_stored_and_are_few() {
    let (engine, mut memory) = (fire_lane(), Memory::default());
    fired(&engine, &mut memory, parked(1, (0.0, 6.0)));
    let many = (0..500u32).map(|nth| {
        let bbox = BBox::new((nth % 25) as f32 * 0.03, (nth / 25) as f32 * 0.04, 0.03, 0.04).unwrap();
        (70, 6.0 * HOUR + f64::from(nth), dwells(Class::Truck, u64::from(nth), (60.0, 60.0), bbox))
    });
    fired(&engine, &mut memory, many.collect());
    let stored = serde_json::to_string(&memory).unwrap();
    assert!(stored.len() < 16_000, "{}", stored.len());
    assert_eq!(serde_json::from_str::<Memory>(&stored).unwrap(), memory);
    assert_eq!(memory.statics().len(), 1, "those that stand longest stay");
}
