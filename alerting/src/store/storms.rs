//! Drills: much happens, and few incidents come of it.

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    Class, Payload,
    payload::{DeviceState, DeviceStatus, ZoneOccupancy},
    values::Counts,
};
use xueliang_rules::RuleSet;
use xueliang_settings::Document;

use super::{
    Store,
    apply::{Applier, Batch},
    testing,
};
use crate::{consume::Message, evidence::Evidence, rules_file::Rulebook};

const OFFLINE: &str = "category = \"camera_offline\"
kind = \"status\"
for = \"20s\"
";
const CROWD: &str = "category = \"crowding\"
kind = \"occupancy\"
zone = \"square\"
at_least = 3
hysteresis = 1
for = \"5s\"
";
const GOVERNED: &str = "version = 1
enabled = true
owner = \"o\"
legal_basis = \"l\"
department = \"d\"
\
    assessment = \"a\"
deadline = \"x\"
";

fn at(second: f64) -> Timestamp {
    let start: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_millis((second * 1000.0) as i64)).unwrap()
}

/// An incident that is there afterwards.
#[derive(Debug, PartialEq)]
struct Found {
    category: String,
    n_events: i64,
    n_firings: i64,
}

/// Takes one camera's events in, a hundred at once; what was opened.
fn opened(events: impl Iterator<Item = (f64, Payload)>) -> Vec<Found> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("a.sqlite")).unwrap();
    let rule = |(id, rule)| format!("[[rule]]\nid = \"{id}\"\n{GOVERNED}{rule}");
    let text: String = [("offline", OFFLINE), ("crowd", CROWD)].map(rule).concat();
    let rules = Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader))).unwrap();
    let applier = Applier {
        rules: Rulebook::new(rules),
        evidence: Evidence::new(None, folder.path().join("evidence")),
        root_region: "3402".to_owned(),
        publishes: false,
    };
    let event = |(sequence, (second, payload)): (usize, (f64, Payload))| {
        let sequence = sequence as u64;
        Message::read(sequence, testing::event("c", sequence, at(second), payload).to_json().unwrap())
    };
    let messages: Vec<Message> = events.enumerate().map(event).collect();
    for part in messages.chunks(100) {
        let (log, origin) = ("log".to_owned(), ("topic".to_owned(), 0));
        let batch = Batch { log, origin, expected: None, messages: part.to_vec() };
        let applier = applier.clone();
        store.write_blocking(move |transaction| applier.apply(transaction, &batch, at(0.0))).unwrap();
    }
    store
        .write_blocking(|transaction| {
            let mut statement = transaction.prepare("SELECT category, n_events, n_firings FROM incident")?;
            let found = statement.query_map([], |row| {
                Ok(Found { category: row.get(0)?, n_events: row.get(1)?, n_firings: row.get(2)? })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .unwrap()
}

fn people(n: u32) -> Payload {
    let counts = Counts::default().with(Class::Person, n);
    ZoneOccupancy { zone: "square".parse().unwrap(), counts, heartbeat: false, snapshot: None, analysed_fps: None }
        .into()
}

#[test]
fn a_camera_that_goes_up_and_down_for_an_hour_is_one_incident() {
    let ups_and_downs = (0..60).flat_map(|minute| {
        let second = f64::from(minute) * 60.0;
        let is = |second: f64, state| (second, Payload::from(DeviceStatus::new(state, at(second))));
        [is(second, DeviceState::Unreachable), is(second + 25.0, DeviceState::Live)]
    });
    let found = opened(ups_and_downs);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].category == "camera_offline" && found[0].n_firings > 10, "{found:?}");
}

#[test]
fn a_square_with_two_hundred_events_a_minute_is_one_incident_with_a_bounded_number_of_events() {
    let busy = (0..200 * 30).map(|nth| (f64::from(nth) * 0.3, people(5 + nth % 17)));
    assert_eq!(opened(busy), [Found { category: "crowding".to_owned(), n_events: 1000, n_firings: 1 }]);
}

#[test]
fn a_count_that_flickers_around_its_threshold_is_one_incident() {
    let crowd = (0..8).map(|second| (f64::from(second), people(3)));
    let flickers = (80..230).map(|tenth| (f64::from(tenth) / 10.0, people(2 + tenth as u32 % 2)));
    let goes = (24..90).map(|second| (f64::from(second), people(0)));
    let found = opened(crowd.chain(flickers).chain(goes));
    assert!(found.len() == 1 && found[0].n_firings == 1, "{found:?}");
}
