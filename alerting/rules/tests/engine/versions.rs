//! What is remembered belongs to one version of a rule: a changed meaning begins anew, changed papers don't, and what is switched off
//! leaves nothing.

use proptest::prelude::*;
use xueliang_events::{Class, DeviceId, Event, Payload};
use xueliang_rules::{Engine, Firing, Memory, RuleSet};
use xueliang_settings::Document;

use crate::*;

const CROWD: &str = "category = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\nclear_for = \"5s\"\ncool_down = \"60s\"\n\
    at_least = 3\nfor = \"10s\"\n";

/// The rule `r` as version 1 with these changes.
fn changed(rule: &str, changes: &[(&str, &str)]) -> Engine {
    let text = format!("[[rule]]\nid = \"r\"\n{GOVERNED}{rule}");
    let text = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    Engine::new(Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader))).unwrap())
}

fn version(version: u32) -> Engine {
    changed(CROWD, &[("version = 1", &format!("version = {version}"))])
}

fn without_rules() -> Engine {
    Engine::new(RuleSet::default())
}

fn device() -> DeviceId {
    "c".parse().unwrap()
}

/// Five persons from second 0 to 60, told every five seconds.
fn crowd() -> Vec<Event> {
    crowd_and(&[])
}

/// The same, and so many persons at these seconds.
fn crowd_and(later: &[(f64, u32)]) -> Vec<Event> {
    let crowd = (0..=12).map(|nth| (f64::from(nth) * 5.0, 5));
    let all = crowd.chain(later.iter().copied()).map(|(s, n)| (1, s, persons(n)));
    told(&camera(), all.collect())
}

/// The events under one engine until a second, then under the other; what fired, by second and version.
fn turned_at(s: f64, before: &Engine, after: &Engine) -> (Vec<(f64, u32)>, Memory) {
    let mut memory = Memory::default();
    let fired: Vec<Firing> = crowd()
        .iter()
        .flat_map(|event| {
            let engine = if event.time < at(s) { before } else { after };
            engine.observe(&mut memory, event).firings
        })
        .collect();
    let when = |firing: &Firing| (firing.at.duration_since(at(0.0)).as_secs_f64(), firing.version);
    (fired.iter().map(when).collect(), memory)
}

fn stored(memory: &Memory) -> String {
    serde_json::to_string(memory).unwrap()
}

#[test]
fn a_raised_version_begins_anew_and_fires_by_its_own_name() {
    assert_eq!(turned_at(7.0, &version(1), &version(2)).0, [(20.0, 2)], "what rose under version 1 counts for nothing");
    assert_eq!(turned_at(22.0, &version(1), &version(2)).0, [(10.0, 1), (35.0, 2)], "and what was told under it");
    assert_eq!(turned_at(22.0, &version(2), &version(2)).0, [(10.0, 2)]);
}

#[test]
fn what_changes_under_a_version_goes_on() {
    let changes: [&[(&str, &str)]; 3] = [
        &[("owner = \"o\"", "owner = \"another unit\"")],
        &[("assessment = \"a\"", "assessment = \"b\""), ("deadline = \"x\"", "deadline = \"y\"")],
        &[("enabled = true", "enabled = true\ndevices = [\"c\", \"d\"]")],
    ];
    for change in changes {
        assert_eq!(turned_at(7.0, &version(1), &changed(CROWD, change)).0, [(10.0, 1)], "{change:?}");
        assert_eq!(turned_at(22.0, &version(1), &changed(CROWD, change)).0, [(10.0, 1)], "{change:?}");
    }
}

#[test]
fn what_is_switched_off_leaves_nothing_and_starts_from_nothing() {
    let off: [(&str, Engine); 3] = [
        ("disabled", changed(CROWD, &[("enabled = true", "enabled = false")])),
        ("removed", without_rules()),
        ("elsewhere", changed(CROWD, &[("enabled = true", "enabled = true\ndevices = [\"d\"]")])),
    ];
    for (how, off) in off {
        let (fired, memory) = turned_at(22.0, &version(1), &off);
        assert_eq!(fired, [(10.0, 1)], "{how}");
        assert!(stored(&memory).contains("\"conditions\":{}"), "{how}: {}", stored(&memory));

        let (_, mut memory) = turned_at(100.0, &version(1), &version(1));
        assert!(off.settle(&mut memory, &device()), "{how}");
        assert!(!off.settle(&mut memory, &device()), "{how}: there is nothing left");
        let fired = observe(&version(1), &mut memory, &crowd_and(&[(65.0, 5), (80.0, 5)]));
        assert_eq!(
            fired.iter().map(|firing| firing.at).collect::<Vec<_>>(),
            [at(75.0)],
            "{how}: on again, from nothing"
        );
    }
}

#[test]
fn time_that_passes_completes_nothing_of_an_earlier_version() {
    let mut memory = Memory::default();
    observe(&version(1), &mut memory, &crowd()[..1]);
    assert!(version(1).due(&memory, &device()).is_some());
    assert_eq!(version(2).due(&memory, &device()), None);
    assert_eq!(version(2).advance(&mut memory.clone(), &device(), at(11.0)), []);
    assert_eq!(without_rules().advance(&mut memory.clone(), &device(), at(11.0)), []);
    assert_eq!(version(1).advance(&mut memory, &device(), at(11.0)).len(), 1);
}

#[test]
fn an_instance_with_older_rules_leaves_the_newer_memory_alone() {
    let (fired, mut memory) = turned_at(22.0, &version(1), &version(2));
    assert_eq!(fired.len(), 2);
    let before = stored(&memory);
    assert!(!version(1).settle(&mut memory, &device()));
    assert_eq!(version(1).advance(&mut memory, &device(), at(61.0)), []);
    assert_eq!(stored(&memory), before);
    let supports =
        crowd_and(&[(65.0, 0)]).iter().flat_map(|event| version(1).observe(&mut memory, event).supports).count();
    assert_eq!(supports, 0);
    assert_eq!(version(2).due(&memory, &device()), None);
    assert!(stored(&memory).contains("\"version\":2"), "{}", stored(&memory));
}

#[test]
fn a_memory_from_before_versions_were_noted_goes_on() {
    let (_, memory) = turned_at(100.0, &version(1), &version(1));
    let old = stored(&memory).replace("\"version\":1,", "");
    assert_ne!(old, stored(&memory));
    let mut memory: Memory = serde_json::from_str(&old).unwrap();
    let more = crowd_and(&[(65.0, 5), (80.0, 5)]);
    assert_eq!(observe(&version(1), &mut memory, &more), [], "it has fired, and still holds");
}

#[test]
fn what_stands_there_is_told_anew_by_a_new_version_only() {
    let lane = "category = \"fire_lane_blocked\"\nkind = \"dwell\"\nstill = true\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"5m\"\n\
        cool_down = \"0s\"\n";
    let stands = |nth: u32| {
        let s = f64::from(nth) * 60.0;
        [(1, s, dwells(Class::Car, 1, (s, s), bbox())), (1, s, counts(Class::Car, 1))]
    };
    // Lost, and there again under another id: the same car.
    let again = |nth: u32| {
        let s = f64::from(nth) * 60.0;
        [(1, s, dwells(Class::Car, 2, (s - 480.0, s - 480.0), bbox())), (1, s, counts(Class::Car, 1))]
    };
    let gone = [
        (1, 430.0, leaves_as(Class::Car, 1, 430.0)),
        (1, 430.0, counts(Class::Car, 0)),
        (1, 470.0, counts(Class::Car, 0)),
    ];
    let all: Vec<(u128, f64, Payload)> = (1..=7).flat_map(stands).chain(gone).chain((9..=20).flat_map(again)).collect();
    let events = told(&camera(), all);
    let fired = |after: &Engine| {
        let (before, mut memory) = (changed(lane, &[]), Memory::default());
        let observed = events.iter().flat_map(|event| {
            let engine = if event.time < at(460.0) { &before } else { after };
            engine.observe(&mut memory, event).firings
        });
        observed.map(|firing| firing.version).collect::<Vec<_>>()
    };
    assert_eq!(fired(&changed(lane, &[("owner = \"o\"", "owner = \"p\"")])), [1]);
    assert_eq!(fired(&changed(lane, &[("version = 1", "version = 2")])), [1, 2]);
}

fn happenings() -> impl Strategy<Value = Vec<Event>> {
    let happening =
        (1u32..200, 0u32..5, 0u64..4, any::<bool>()).prop_map(|(ds, n, track, comes)| (ds, n, track, comes));
    proptest::collection::vec(happening, 1..60).prop_map(|happenings| {
        let mut s = 0.0;
        let events = happenings.into_iter().map(|(ds, n, track, comes)| {
            s += f64::from(ds) / 10.0;
            let payload = match (n, comes) {
                (0, true) => enters(track, 0.9),
                (0, false) => leaves(track),
                (n, _) => persons(n - 1),
            };
            (1 + u128::from(track == 3), s, payload)
        });
        told(&camera(), events.collect())
    })
}

fn rules() -> impl Strategy<Value = &'static str> {
    let presence = "category = \"zone_intrusion\"\nkind = \"presence\"\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"3s\"\n\
        clear_for = \"5s\"\ncool_down = \"9s\"\n";
    proptest::sample::select(vec![CROWD, presence])
}

proptest! {
    #[test]
    fn papers_may_change_at_any_moment_without_effect(events in happenings(), rule in rules(), turn in any::<prop::sample::Index>()) {
        let (before, after) = (changed(rule, &[]), changed(rule, &[("owner = \"o\"", "owner = \"p\"")]));
        let turn = turn.index(events.len());
        let (mut turned, mut straight) = (Memory::default(), Memory::default());
        let mut fired = observe(&before, &mut turned, &events[..turn]);
        fired.extend(observe(&after, &mut turned, &events[turn..]));
        prop_assert_eq!(fired, observe(&before, &mut straight, &events));
        prop_assert_eq!(turned, straight);
    }

    #[test]
    fn a_new_version_is_a_rule_that_was_never_there(events in happenings(), rule in rules(), turn in any::<prop::sample::Index>()) {
        let (before, after) = (changed(rule, &[]), changed(rule, &[("version = 1", "version = 2")]));
        let turn = turn.index(events.len());
        let (mut turned, mut anew) = (Memory::default(), Memory::default());
        observe(&before, &mut turned, &events[..turn]);
        // Restarts of the process are between any two events.
        turned = serde_json::from_str(&stored(&turned)).unwrap();
        observe(&without_rules(), &mut anew, &events[..turn]);
        prop_assert_eq!(observe(&after, &mut turned, &events[turn..]), observe(&after, &mut anew, &events[turn..]));
        // A repetition settles nothing.
        after.settle(&mut turned, &device());
        prop_assert_eq!(turned, anew);
    }
}
