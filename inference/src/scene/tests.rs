//! Whole stories: tracks in, observations out.

use super::*;
use crate::detection::{ClassSet, Detection};
use crate::geometry::Polygon;
use crate::track::{Tracker, TrackerSettings};
use crate::zone::ZoneTiming;
use proptest::prelude::*;

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap()
}

fn zone(id: &str, classes: &[Class]) -> Zone {
    let corners = [(0.3, 0.3), (0.7, 0.3), (0.7, 0.9), (0.3, 0.9)];
    let polygon = Polygon::new(corners.iter().map(|&(x, y)| Point { x, y }).collect()).unwrap();
    Zone { id: id.to_owned(), polygon, classes: ClassSet::of(classes), timing: ZoneTiming::default() }
}

fn middle_line() -> Line {
    let (a, b) = (Point { x: 0.5, y: 0.9 }, Point { x: 0.5, y: 0.1 });
    Line::new("middle".to_owned(), a, b, ClassSet::all()).unwrap()
}

fn scene() -> Scene {
    let zones = vec![zone("yard", &[Class::Person]), zone("parking", &[Class::Car])];
    let heartbeat = Duration::from_secs(30);
    Scene::new(SceneSettings { zones, lines: vec![middle_line()], heartbeat }).unwrap()
}

fn person(x: f32) -> Detection {
    Detection { class: Class::Person, confidence: 0.8, bbox: BBox { x: x - 0.03, y: 0.4, w: 0.06, h: 0.24 } }
}

/// Runs one walker at 5 fps along x(seconds), `None` where hidden, and names what happened.
fn story(seconds: f64, x: impl Fn(f64) -> Option<f32>) -> Vec<(String, Observation)> {
    let (mut scene, mut tracker) = (scene(), Tracker::new(TrackerSettings::default()));
    let mut told = Vec::new();
    for frame in 0..(seconds * 5.0) as u32 {
        let now = f64::from(frame) / 5.0;
        let found: Vec<Detection> = x(now).map(person).into_iter().collect();
        let tracks = tracker.update(at(now), &found);
        told.extend(scene.observe(at(now), &tracks));
    }
    told.extend(scene.close(at(seconds)));
    told.into_iter().map(|observation| (name(&observation), observation)).collect()
}

fn name(observation: &Observation) -> String {
    match observation {
        Observation::Entered(entered) => format!("entered {}", entered.zone),
        Observation::Exited(exited) => format!("exited {}", exited.zone),
        Observation::Dwelled(dwelled) => format!("dwelled {}", dwelled.zone),
        Observation::Crossed(crossed) => format!("crossed {} {:?}", crossed.line, crossed.direction),
        Observation::Occupancy(occupancy) => format!("{} {}", occupancy.zone, occupancy.counts.total()),
    }
}

fn names(told: &[(String, Observation)]) -> Vec<&str> {
    let quiet = ["parking 0"];
    told.iter().map(|(name, _)| name.as_str()).filter(|name| !quiet.contains(name)).collect()
}

#[test]
fn walk_through_the_yard_is_told_in_order() {
    let told = story(12.0, |now| Some(0.1 + 0.08 * now as f32));
    assert_eq!(
        names(&told),
        ["yard 0", "entered yard", "yard 1", "crossed middle Forward", "exited yard", "yard 0", "yard 0"]
    );
}

#[test]
fn hidden_for_a_moment_is_no_exit() {
    let told = story(12.0, |now| (!(5.0..7.0).contains(&now)).then_some(0.4));
    let entered = names(&told).iter().filter(|name| **name == "entered yard").count();
    assert_eq!(entered, 1);
}

#[test]
fn vanished_person_exits_with_the_dwell_up_to_when_last_seen() {
    let told = story(12.0, |now| (now < 5.0).then_some(0.4));
    let Some((_, Observation::Exited(exited))) = told.iter().find(|(name, _)| name == "exited yard") else {
        panic!("no exit in {:?}", names(&told));
    };
    assert!((exited.dwell.as_secs_f64() - 4.6).abs() < 0.11, "{:?}", exited.dwell);
    assert!(elapsed_seconds(exited.at) > 7.8);
}

fn elapsed_seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

#[test]
fn camera_that_goes_away_closes_the_visit() {
    let told = story(4.0, |_| Some(0.4));
    assert_eq!(names(&told)[3..], ["exited yard", "yard 0"]);
}

#[test]
fn standing_on_a_line_is_not_crossing_it_again_and_again() {
    let told = story(20.0, |now| Some(if now < 2.0 { 0.45 } else { 0.5 + 0.01 * (now * 7.0).sin() as f32 }));
    let n_crossed = names(&told).iter().filter(|name| name.starts_with("crossed")).count();
    assert!(n_crossed <= 1, "{n_crossed} crossings");
}

#[test]
fn repeated_ids_and_blind_zones_are_refused() {
    let settings = |zones| SceneSettings { zones, lines: vec![], heartbeat: Duration::from_secs(30) };
    let twice = Scene::new(settings(vec![zone("yard", &[Class::Car]), zone("yard", &[Class::Car])]));
    assert!(matches!(twice.err(), Some(SceneError::RepeatedId { kind: "zone", .. })));
    let blind = Scene::new(settings(vec![zone("yard", &[])]));
    assert!(matches!(blind.err(), Some(SceneError::NoClasses { kind: "zone", .. })));
}

proptest! {
    #[test]
    fn every_exit_follows_its_entry_and_all_visits_end(
        steps in proptest::collection::vec((0.05f64..1.5, proptest::option::of(0.0f32..1.0)), 1..80)
    ) {
        let (mut scene, mut tracker) = (scene(), Tracker::new(TrackerSettings::default()));
        let (mut now, mut n_inside, mut occupancy) = (0.0, 0i32, 0);
        let mut told = Vec::new();
        for (step, x) in steps {
            now += step;
            let found: Vec<Detection> = x.map(person).into_iter().collect();
            told.extend(scene.observe(at(now), &tracker.update(at(now), &found)));
        }
        told.extend(scene.close(at(now + 1.0)));
        for observation in told {
            match observation {
                Observation::Entered(_) => n_inside += 1,
                Observation::Exited(_) => n_inside -= 1,
                Observation::Occupancy(told) => occupancy = told.counts.total(),
                _ => {}
            }
            prop_assert!(n_inside >= 0);
        }
        prop_assert_eq!((n_inside, occupancy), (0, 0));
    }
}
