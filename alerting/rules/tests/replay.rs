//! Recorded events through the rules: the same firings as live, incidents as alerting groups them, two sets of rules side by side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use xueliang_events::{
    BBox, Class, DeviceId, Event, Payload, SessionId, Source, TrackId,
    payload::{DeviceState, DeviceStatus, Quality, SensorReading, ZoneEntered, ZoneExited, ZoneOccupancy},
    values::Counts,
};
use xueliang_rules::{
    Due, Engine, FiringId, Memory, RuleSet,
    replay::{Outcome, Replay, Sides, compare},
};
use xueliang_settings::Document;

const DAY: Duration = Duration::from_secs(86_400);
const GOVERNED: &str = "version = 1\nenabled = true\nowner = \"o\"\nlegal_basis = \"l\"\ndepartment = \"d\"\n\
    assessment = \"a\"\ndeadline = \"x\"\n";
const CROWD: &str = "category = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\nat_least = 3\nfor = \"10s\"\n\
    clear_for = \"5s\"\ncool_down = \"20s\"\n";
const INTRUDER: &str = "category = \"zone_intrusion\"\nkind = \"presence\"\nzone = \"z\"\nmin_confidence = 0.5\n\
    for = \"3s\"\nclear_for = \"5s\"\ncool_down = \"0s\"\n";
const OFFLINE: &str = "category = \"camera_offline\"\nkind = \"status\"\nfor = \"20s\"\ncool_down = \"0s\"\n";
const FLOOD: &str = "category = \"road_flood\"\nkind = \"threshold\"\nquantity = \"water_level\"\nabove = 0.3\nfor = \"20s\"\n\
    clear_for = \"5s\"\nmax_gap = \"15s\"\ncool_down = \"0s\"\n";
const DEEP_FLOOD: &str = "category = \"underpass_flood\"\nkind = \"threshold\"\nquantity = \"water_level\"\nabove = 0.3\n\
    for = \"40s\"\nclear_for = \"5s\"\nmax_gap = \"50s\"\ncool_down = \"0s\"\n";

fn engine(rules: &[(&str, &str)]) -> Engine {
    let text: String = rules.iter().map(|(id, rule)| format!("[[rule]]\nid = \"{id}\"\n{GOVERNED}{rule}")).collect();
    Engine::new(Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader))).unwrap())
}

fn at(s: f64) -> Timestamp {
    let start: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_millis((s * 1000.0) as i64)).unwrap()
}

fn camera(id: &str) -> Source {
    Source::Camera(id.parse().unwrap())
}

/// Events in order: (source, session, second, what).
fn told(events: Vec<(Source, u128, f64, Payload)>) -> Vec<Event> {
    let mut sequences: BTreeMap<(String, u128), u64> = BTreeMap::new();
    let tell = |(source, session, s, payload): (Source, u128, f64, Payload)| {
        let sequence = sequences.entry((source.uri(), session)).or_default();
        *sequence += 1;
        let (session, sequence) = (SessionId(uuid::Uuid::from_u128(session)), *sequence);
        let (time, received_at) = (at(s), at(s));
        Event { source, session, sequence, time, received_at, grid: None, owner_epoch: None, payload }
    };
    events.into_iter().map(tell).collect()
}

fn persons(n: u32) -> Payload {
    let counts = Counts::default().with(Class::Person, n);
    ZoneOccupancy { analysed_fps: None, zone: "z".parse().unwrap(), counts, heartbeat: false, snapshot: None }.into()
}

fn enters(track: u64) -> Payload {
    ZoneEntered {
        analysed_fps: None,
        zone: "z".parse().unwrap(),
        class: Class::Person,
        track: TrackId(track),
        bbox: BBox::new(0.1, 0.1, 0.1, 0.1).unwrap(),
        confidence: 0.9f32.try_into().unwrap(),
        snapshot: None,
    }
    .into()
}

fn leaves(track: u64) -> Payload {
    let (zone, class, track) = ("z".parse().unwrap(), Class::Person, TrackId(track));
    ZoneExited { analysed_fps: None, zone, class, track, dwell_ms: 1 }.into()
}

fn water(value: f64) -> Payload {
    let (quantity, unit) = ("water_level".to_owned(), "m".to_owned());
    SensorReading { quantity, value, unit, quality: Quality::Good }.into()
}

fn replay(engine: &Engine, open_for: Duration, events: &[Event]) -> Outcome {
    let mut replay = Replay::new(engine.clone(), open_for);
    events.iter().for_each(|event| replay.take(event));
    replay.finish()
}

/// A crowd of `n` from one second to another.
fn crowd(from: u32, to: u32, n: u32) -> Vec<(Source, u128, f64, Payload)> {
    let seen = (from..to).step_by(5).map(|second| (camera("c"), 1, f64::from(second), persons(n)));
    seen.chain([(camera("c"), 1, f64::from(to), persons(0))]).collect()
}

#[test]
fn firings_of_one_place_join_an_incident_while_it_counts_as_open() {
    let events = told([crowd(0, 30, 3), crowd(100, 130, 4), crowd(4000, 4030, 5)].concat());
    let crowding = engine(&[("crowd", CROWD)]);
    let opened = |open_for| -> Vec<(Timestamp, u64, Timestamp)> {
        let outcome = replay(&crowding, open_for, &events);
        assert_eq!(outcome.n_firings(), 3);
        outcome.incidents.iter().map(|one| (one.opened_at, one.n_firings, one.last_at)).collect()
    };
    assert_eq!(opened(DAY), [(at(10.0), 3, at(4025.0))]);
    let an_hour = [(at(10.0), 2, at(125.0)), (at(4010.0), 1, at(4025.0))];
    assert_eq!(opened(Duration::from_secs(3600)), an_hour);
    assert_eq!(opened(Duration::from_secs(99)).len(), 3);
    assert_eq!(opened(Duration::from_secs(100)).len(), 2, "opened exactly as long ago still joins");
}

#[test]
fn a_tally_names_its_busiest_device_and_rules_that_never_fired_too() {
    let elsewhere = |second: u32| (camera("b"), 1, f64::from(second), persons(3));
    let events = told([crowd(0, 30, 3), crowd(100, 130, 4), (200..230).step_by(5).map(elsewhere).collect()].concat());
    let outcome = replay(&engine(&[("crowd", CROWD), ("offline", OFFLINE)]), DAY, &events);
    let [crowd, offline] = &outcome.tallies[..] else { panic!("{:?}", outcome.tallies) };
    assert_eq!((crowd.n_firings, crowd.n_incidents), (3, 2));
    assert_eq!(crowd.busiest(), Some((&"c".parse().unwrap(), 2)));
    assert_eq!((crowd.first_at, crowd.last_at), (Some(at(10.0)), Some(at(210.0))));
    assert_eq!((offline.n_firings, offline.busiest(), offline.first_at), (0, None, None));
    assert_eq!((outcome.n_devices, outcome.first_at, outcome.last_at), (2, Some(at(0.0)), Some(at(225.0))));
}

/// Somebody stands there, and the camera says nothing more: a tick finds it, though the next event comes too late to.
#[test]
fn time_passes_between_events_as_ticks_let_it() {
    let tells = |second: f64| (camera("c"), 1, second, enters(second as u64));
    let fired = |events| -> Vec<Timestamp> {
        let outcome = replay(&engine(&[("intruder", INTRUDER)]), DAY, &told(events));
        outcome.situations.iter().map(|one| one.at).collect()
    };
    assert_eq!(fired(vec![tells(0.0), tells(100.0)]), [at(3.0)]);
    let another = (camera("d"), 1, 60.0, persons(0));
    assert_eq!(fired(vec![tells(0.0), another]), [at(3.0)], "another device's events let time pass too");
    assert!(fired(vec![tells(0.0)]).is_empty(), "what comes after the last event is not known");
}

#[test]
fn repeated_and_stale_events_are_counted_and_change_nothing() {
    let mut events = told(crowd(0, 30, 3));
    events.push(events[2].clone());
    let owned = |mut event: Event, epoch| {
        event.owner_epoch = Some(epoch);
        event
    };
    let more = told(vec![(camera("c"), 2, 40.0, persons(0)), (camera("c"), 3, 41.0, persons(9))]);
    events.push(owned(more[0].clone(), 7));
    events.push(owned(more[1].clone(), 6));
    let outcome = replay(&engine(&[("crowd", CROWD)]), DAY, &events);
    assert_eq!((outcome.n_late, outcome.n_stale, outcome.n_firings()), (1, 1, 1));
}

#[test]
fn two_sets_of_rules_are_compared_by_rule_and_category() {
    let strict = CROWD.replace("at_least = 3", "at_least = 5");
    let events = told([crowd(0, 30, 3), crowd(100, 130, 5), crowd(4000, 4030, 8)].concat());
    let a = replay(&engine(&[("crowd", CROWD), ("offline", OFFLINE)]), Duration::from_secs(60), &events);
    let b = replay(&engine(&[("crowd", &strict), ("intruder", INTRUDER)]), Duration::from_secs(60), &events);
    let compared = compare(&a, &b);
    let rows: Vec<_> = compared.rules.iter().map(|row| (row.rule.as_str(), row.version_a, row.version_b)).collect();
    assert_eq!(rows, [("crowd", Some(1), Some(1)), ("offline", Some(1), None), ("intruder", None, Some(1))]);
    assert_eq!(compared.rules[0].firings, Sides { n_a: 3, n_b: 2, n_both: 2 });
    let names: Vec<&str> = compared.categories.iter().map(|(category, _)| category.as_str()).collect();
    assert_eq!(names, ["zone_intrusion", "crowding", "camera_offline"]);
    assert_eq!(compared.categories[1].1, Sides { n_a: 3, n_b: 2, n_both: 2 });
    assert_eq!(compared.only_a.iter().map(|one| one.opened_at).collect::<Vec<_>>(), [at(10.0)]);
    assert!(compared.only_b.is_empty() && compared.is_whole);
}

#[test]
fn an_outcome_compared_with_itself_differs_in_nothing() {
    let events = told([crowd(0, 30, 3), crowd(100, 130, 5)].concat());
    let outcome = replay(&engine(&[("crowd", CROWD)]), Duration::from_secs(60), &events);
    let compared = compare(&outcome, &outcome);
    assert_eq!(compared.rules[0].firings, Sides { n_a: 2, n_b: 2, n_both: 2 });
    assert!(compared.only_a.is_empty() && compared.only_b.is_empty());
}

#[test]
fn disabled_rules_are_tried_when_all_are_asked_for() {
    let draft = format!("[[rule]]\nid = \"draft\"\nversion = 1\n{CROWD}");
    let rules = Document::from_text("rules.toml", draft).read(|reader| Some(RuleSet::read(reader))).unwrap();
    let events = told(crowd(0, 30, 3));
    let outcome = replay(&Engine::new(rules.clone()), DAY, &events);
    assert!(outcome.tallies.is_empty() && outcome.incidents.is_empty());
    assert_eq!(replay(&Engine::new(rules.with_all_enabled()), DAY, &events).n_incidents(), 1);
}

/// A small recording of two cameras and a sensor; one line came twice, and one is no event.
#[test]
fn the_recorded_evening_gives_what_it_gave() {
    let recorded = include_str!("recorded/evening.jsonl");
    let events: Vec<Event> = recorded.lines().filter_map(|line| Event::from_json(line.as_bytes()).ok()).collect();
    let text = include_str!("recorded/rules.toml");
    let rules = Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader))).unwrap();
    let outcome = replay(&Engine::new(rules), DAY, &events);
    let found: Vec<String> = outcome
        .incidents
        .iter()
        .map(|one| {
            let values: Vec<String> =
                one.values.iter().map(|value| format!("{}={}", value.name, value.value)).collect();
            let (at, n) = (one.opened_at, one.n_firings);
            format!("{at} {} {}/{} {n} {}", one.rule, one.device, one.place, values.join(" "))
        })
        .collect();
    let expected = [
        "2026-11-23T11:00:12Z yard gate-1/zone/yard 2 count=1 held=2",
        "2026-11-23T11:10:05Z crowd square-1/zone/square 1 count=4 limit=4 held=5",
        "2026-11-23T11:20:30Z well-level well-7/device 1 water_level=0.38 limit=0.3 held=30",
        "2026-11-23T11:31:00Z offline gate-1/device 1 held=60",
    ];
    assert_eq!(found, expected);
    assert_eq!((outcome.n_late, outcome.n_firings()), (1, 5));
}

/// What happens next: which device, how many quarters of a second later, in a new session or not, what.
fn happening() -> impl Strategy<Value = (usize, u32, bool, Payload)> {
    let gap = prop_oneof![4 => 0u32..12, 3 => 12u32..160, 1 => 160u32..300];
    let what = prop_oneof![
        (0u32..6).prop_map(persons),
        (0u64..4).prop_map(enters),
        (0u64..4).prop_map(leaves),
        prop_oneof![Just(DeviceState::Live), Just(DeviceState::Unreachable), Just(DeviceState::Stopped)]
            .prop_map(|state| DeviceStatus::new(state, at(0.0)).into()),
    ];
    let level = prop_oneof![Just(0.1), Just(0.5), Just(0.9)].prop_map(water);
    (0usize..3, gap, prop::bool::weighted(0.05), what, level).prop_map(|(device, gap, restarts, what, level)| {
        (device, gap, restarts, if device == 2 { level } else { what })
    })
}

fn happened(happenings: Vec<(usize, u32, bool, Payload)>) -> Vec<Event> {
    let sources = [camera("a"), camera("b"), Source::Sensor("s".parse().unwrap())];
    let (mut second, mut sessions) = (0.0, [1u128; 3]);
    let events = happenings.into_iter().map(|(device, gap, restarts, mut payload)| {
        second += f64::from(gap) * 0.25;
        sessions[device] += u128::from(restarts);
        if let Payload::DeviceStatus(status) = &mut payload {
            status.since = at(second);
        }
        (sources[device].clone(), sessions[device], second, payload)
    });
    told(events.collect())
}

/// As alerting does it: memory in a store, a tick every 50 ms for whoever is due; firings by id.
fn live(engine: &Engine, events: &[Event]) -> BTreeSet<(Timestamp, FiringId)> {
    let mut store: BTreeMap<DeviceId, (String, Option<Due>)> = BTreeMap::new();
    let mut fired = BTreeSet::new();
    let load = |row: Option<&(String, Option<Due>)>| -> Memory {
        row.map(|(text, _)| serde_json::from_str(text).unwrap()).unwrap_or_default()
    };
    let row = |memory: &Memory, device: &DeviceId| (serde_json::to_string(memory).unwrap(), engine.due(memory, device));
    let mut now = events.first().map_or(at(0.0), |event| event.time);
    for event in events {
        while now <= event.time {
            for (device, kept) in &mut store {
                if kept.1.is_some_and(|due| due.at <= now && now <= due.until) {
                    let mut memory = load(Some(kept));
                    fired.extend(engine.advance(&mut memory, device, now).into_iter().map(|one| (one.at, one.id)));
                    *kept = row(&memory, device);
                }
            }
            now = now.checked_add(SignedDuration::from_millis(50)).unwrap();
        }
        let device = event.source.device().unwrap();
        let mut memory = load(store.get(&device));
        fired.extend(engine.observe(&mut memory, event).firings.into_iter().map(|one| (one.at, one.id)));
        let kept = row(&memory, &device);
        store.insert(device, kept);
    }
    fired
}

fn all_kinds() -> Engine {
    let rules = [("crowd", CROWD), ("intruder", INTRUDER), ("offline", OFFLINE)];
    engine(&[&rules[..], &[("flood", FLOOD), ("deep-flood", DEEP_FLOOD)]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the recording is cut into batches between which time passes.
    #[test]
    fn a_replay_in_batches_gives_what_one_in_one_go_gives(
        happenings in prop::collection::vec(happening(), 1..80),
        cuts in prop::collection::vec(any::<bool>(), 80),
    ) {
        let events = happened(happenings);
        let mut batched = Replay::new(all_kinds(), DAY);
        for (event, cut) in events.iter().zip(cuts) {
            batched.take(event);
            if cut {
                batched.pass(event.time);
            }
        }
        prop_assert_eq!(batched.finish(), replay(&all_kinds(), DAY, &events));
    }

    #[test]
    fn a_replay_fires_what_live_fires(happenings in prop::collection::vec(happening(), 1..60)) {
        let events = happened(happenings);
        let outcome = replay(&all_kinds(), DAY, &events);
        let replayed: Vec<Timestamp> = outcome.situations.iter().map(|one| one.at).collect();
        let mut lived: Vec<Timestamp> = live(&all_kinds(), &events).into_iter().map(|(at, _)| at).collect();
        lived.sort_unstable();
        prop_assert_eq!(replayed, lived);
        prop_assert_eq!(outcome.n_firings() as usize, outcome.situations.len());
    }
}
