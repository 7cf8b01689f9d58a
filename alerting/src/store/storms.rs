//! Drills: much happens, and few incidents come of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    Class, Event, Payload, Source,
    payload::{CameraRegistered, DeviceState, DeviceStatus, Transport, ZoneOccupancy},
    values::Counts,
};
use xueliang_rules::RuleSet;

use super::{Place, Store, apply::Batch, testing};
use crate::consume::Message;

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
    n_devices: i64,
    region: String,
}

/// One event: a camera, its grid, a second and what it says.
type Said = (String, Option<&'static str>, f64, Payload);

fn rules() -> RuleSet {
    let rule = |(id, rule)| format!("[[rule]]\nid = \"{id}\"\n{GOVERNED}{rule}");
    let text: String = [("offline", OFFLINE), ("crowd", CROWD)].map(rule).concat();
    testing::rules(&text)
}

/// Takes the events in, a hundred at once; what was opened.
fn opened_in(place: &Place, events: impl Iterator<Item = Said>) -> Vec<Found> {
    let store = Store::open(place).unwrap();
    let applier = testing::applier(rules());
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    let read = |(position, (camera, grid, second, payload)): (usize, Said)| {
        let sequence = sequences.entry(camera.clone()).or_default();
        let event = testing::event(&camera, *sequence, at(second), payload);
        *sequence += 1;
        // What the registry says comes under its own name.
        let is_registered = matches!(event.payload, Payload::CameraRegistered(_));
        let source = if is_registered { Source::Registry(camera.parse().unwrap()) } else { event.source.clone() };
        let event = Event { source, grid: grid.map(|grid| grid.parse().unwrap()), ..event };
        Message::read(position as u64, event.to_json().unwrap())
    };
    let messages: Vec<Message> = events.enumerate().map(read).collect();
    for part in messages.chunks(100) {
        let (log, origin) = ("log".to_owned(), ("topic".to_owned(), 0));
        let batch = Batch { log, origin, expected: None, messages: part.to_vec() };
        let applier = applier.clone();
        store.write_blocking(move |tx| applier.apply(tx, &batch, at(0.0))).unwrap();
    }
    let found = store.write_blocking(|tx| {
        let rows = tx.rows("SELECT * FROM incident ORDER BY opened_at", &[])?;
        let found = rows.iter().map(|row| {
            let (category, region) = (row.get("category")?, row.get("region")?);
            let (n_events, n_firings) = (row.get("n_events")?, row.get("n_firings")?);
            Ok(Found { category, n_events, n_firings, n_devices: row.get("n_devices")?, region })
        });
        found.collect()
    });
    found.unwrap()
}

/// The same for one camera without a grid, in a file.
fn opened(events: impl Iterator<Item = (f64, Payload)>) -> Vec<Found> {
    let folder = tempfile::tempdir().unwrap();
    let said = events.map(|(second, payload)| ("c".to_owned(), None, second, payload));
    opened_in(&Place::File(folder.path().join("a.sqlite")), said)
}

fn status(second: f64, state: DeviceState) -> Payload {
    DeviceStatus::new(state, at(second)).into()
}

fn registered(longitude: f64, latitude: f64) -> Payload {
    let transport = Transport::Tcp;
    CameraRegistered { names: BTreeMap::new(), position: Some([longitude, latitude]), transport }.into()
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
        let is = |second: f64, state| (second, status(second, state));
        [is(second, DeviceState::Unreachable), is(second + 25.0, DeviceState::Live)]
    });
    let found = opened(ups_and_downs);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].category == "camera_offline" && found[0].n_firings > 10, "{found:?}");
}

#[test]
fn a_square_with_two_hundred_events_a_minute_is_one_incident_whose_count_grows() {
    let busy = (0..200 * 30).map(|nth| (f64::from(nth) * 0.3, people(5 + nth % 17)));
    assert_eq!(
        opened(busy),
        [Found {
            category: "crowding".to_owned(),
            // A firing rests on the first 16 of the 17 events of its T.
            n_events: 5999,
            n_firings: 1,
            n_devices: 1,
            region: "3402".to_owned()
        }]
    );
}

#[test]
fn a_count_that_flickers_around_its_threshold_is_one_incident() {
    let crowd = (0..8).map(|second| (f64::from(second), people(3)));
    let flickers = (80..230).map(|tenth| (f64::from(tenth) / 10.0, people(2 + tenth as u32 % 2)));
    let goes = (24..90).map(|second| (f64::from(second), people(0)));
    let found = opened(crowd.chain(flickers).chain(goes));
    assert!(found.len() == 1 && found[0].n_firings == 1, "{found:?}");
}

/// Cameras of two grids of one county fail within ten seconds; their statuses say so now and again.
#[test]
fn five_hundred_cameras_behind_one_switch_are_one_incident() {
    testing::on_both(|place| {
        let grids = ["340203001001007", "340203002004001"];
        let fails = |nth: usize, second: f64| {
            let since = nth as f64 / 50.0;
            let silent = DeviceStatus::new(DeviceState::Unreachable, at(since));
            (format!("c{nth}"), Some(grids[nth % 2]), since + second, Payload::from(silent))
        };
        let events = [0.0, 10.0, 21.0].into_iter().flat_map(|second| (0..500).map(move |nth| fails(nth, second)));
        let mut events: Vec<Said> = events.collect();
        events.sort_by(|one, other| one.2.total_cmp(&other.2));
        let found = opened_in(place, events.into_iter());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].n_devices, found[0].n_firings, found[0].region.as_str()), (500, 500, "340203"));
    });
}

#[test]
fn cameras_that_fail_at_other_times_or_in_other_counties_are_incidents_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let silent = |camera: &str, grid, second: f64| {
        let silent = status(second, DeviceState::Unreachable);
        [0.0, 20.0].map(|later| (camera.to_owned(), Some(grid), second + later, silent.clone()))
    };
    let here = silent("a", "340203001001007", 0.0);
    let elsewhere = silent("b", "340204001001007", 5.0);
    let later = silent("c", "340203001001007", 150.0);
    let mut events = [here, elsewhere, later].concat();
    events.sort_by(|one, other| one.2.total_cmp(&other.2));
    let found = opened_in(&Place::File(folder.path().join("a.sqlite")), events.into_iter());
    assert_eq!(found.iter().map(|found| found.n_devices).collect::<Vec<_>>(), [1, 1, 1], "{found:?}");
}

/// RULES C, edge 1: the same category within fifty metres and a day is the same incident.
#[test]
fn two_cameras_that_see_one_crowd_are_one_incident_and_a_third_further_away_is_another() {
    testing::on_both(|place| {
        let cameras = [("a", 118.380_00), ("b", 118.380_40), ("far", 118.382_00)];
        let known = cameras.map(|(camera, longitude)| (camera.to_owned(), None, 0.0, registered(longitude, 31.33)));
        let crowds = (0..10)
            .flat_map(|second| cameras.map(|(camera, _)| (camera.to_owned(), None, f64::from(second), people(4))));
        let found = opened_in(place, known.into_iter().chain(crowds));
        assert_eq!(found.iter().map(|found| found.n_devices).collect::<Vec<_>>(), [2, 1], "{found:?}");
    });
}
