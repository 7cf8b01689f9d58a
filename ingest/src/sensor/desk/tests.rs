//! Routing and judging with settings as a deployer writes them.

use std::collections::HashMap;

use jiff::Timestamp;
use xueliang_events::{Payload, payload::Quality};
use xueliang_settings::{AllowedEndpoints, Document};

use super::*;

const BROKER: &str = "[[ingest.mqtt]]\naddress = \"127.0.0.1:1883\"\nclient_id = \"test\"\n";

fn settings(text: &str) -> IntakeSettings {
    let document = Document::from_text("x.toml", format!("{BROKER}{text}"));
    let read = document.read(|root| {
        let mut ingest = root.section("ingest");
        Some(IntakeSettings::read(root, &mut ingest, &AllowedEndpoints::default()))
    });
    read.unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn moment() -> Moment {
    Moment { time: now(), instant: std::time::Instant::now() }
}

fn desk(text: &str) -> Desk {
    Desk::new(&settings(text), Remembered::default(), moment())
}

/// `sensor quantity value unit` or `sensor reason` of each reading that a message makes.
fn taken(desk: &Desk, topic: &str, payload: &str) -> Vec<String> {
    let arrival = Arrival { at: now(), retained: false };
    let taken = desk.take_message((0, topic), payload.as_bytes(), arrival);
    let words = |taken: &Taken| {
        let sensor = taken.sensor.as_ref().map_or("-", |id| id.as_str());
        match (&taken.verdict, &taken.draft) {
            (Verdict::Accepted(_), Some(Draft { payload: Payload::SensorReading(reading), .. })) => {
                format!("{sensor} {} {} {}", reading.quantity, reading.value, reading.unit)
            }
            (Verdict::Refused(refusal), None) => format!("{sensor} {}", refusal.reason()),
            (Verdict::Repeated, None) => format!("{sensor} repeated"),
            other => panic!("{other:?}"),
        }
    };
    taken.iter().map(words).collect()
}

const GROUP: &str = "[[sensor_group]]\nkind = \"water_level\"\nunit = \"cm\"\ntopic = \"city/water/{sensor}/reading\"\n\
    value_at = \"/level\"\ntime_at = \"/t\"\n";

#[test]
fn a_group_reads_the_sensor_from_the_topic() {
    let desk = desk(&format!("{GROUP}ids = [\"w-1\", \"w-2\"]\n"));
    assert_eq!(desk.filters(0), ["city/water/+/reading"]);
    assert_eq!(taken(&desk, "city/water/w-1/reading", r#"{"level": 120}"#), ["w-1 water_level 1.2 m"]);
    assert_eq!(taken(&desk, "city/water/w-3/reading", r#"{"level": 120}"#), ["- unknown_sensor"]);
    assert_eq!(taken(&desk, "city/water/w-1/reading", r#"{"lvl": 120}"#), ["w-1 unreadable"]);
    assert_eq!(taken(&desk, "city/gas/w-1", r#"{"level": 120}"#), ["- unknown_sensor"]);
}

#[test]
fn an_open_group_finds_its_sensors_up_to_its_bound() {
    let desk = desk(&format!("{GROUP}max_sensors = 1\nname = {{ en = \"Gauge {{sensor}}\" }}\n"));
    assert_eq!(taken(&desk, "city/water/w-7/reading", r#"{"level": 10}"#), ["w-7 water_level 0.1 m"]);
    assert_eq!(taken(&desk, "city/water/w-8/reading", r#"{"level": 10}"#), ["w-8 too_many_sensors"]);
    let announced = desk.announce(moment(), |_| None);
    let Payload::SensorRegistered(registered) = &announced[0].payload else { panic!("{announced:?}") };
    assert_eq!(registered.names["en"], "Gauge w-7");
}

#[test]
fn one_message_may_be_of_several_sensors() {
    let of = |id: &str, kind: &str, place: &str| {
        format!("[[sensor]]\nid = \"{id}\"\nkind = \"{kind}\"\ntopic = \"pit/7\"\nvalue_at = \"{place}\"\n")
    };
    let text = format!(
        "{}unit = \"deg\"\n{}unit = \"C\"\n",
        of("tilt-7", "manhole_tilt", "/tilt"),
        of("temp-7", "temperature", "/temp")
    );
    let expected = ["tilt-7 manhole_tilt 3 deg", "temp-7 temperature 21.5 Cel"];
    assert_eq!(taken(&desk(&text), "pit/7", r#"{"tilt": 3, "temp": 21.5}"#), expected);
}

#[test]
fn the_sensor_may_stand_in_the_message() {
    let text = "[[sensor_group]]\nkind = \"door\"\ntopic = \"gateway/#\"\nid_at = \"/device\"\nvalue_at = \"/open\"\nids = [\"d-1\"]\n";
    let desk = desk(text);
    assert_eq!(taken(&desk, "gateway/a/b", r#"{"device": "d-1", "open": true}"#), ["d-1 door 1 1"]);
    assert_eq!(taken(&desk, "gateway/a/b", r#"{"device": "d-2", "open": true}"#), ["- unknown_sensor"]);
    assert_eq!(taken(&desk, "gateway/a/b", "not json"), ["- unknown_sensor"]);
}

#[test]
fn a_restart_recognises_what_was_remembered() {
    let intake = settings(&format!("{GROUP}ids = [\"w-1\"]\n"));
    let seen = Seen { claimed: now(), value: 1.2 };
    let seen = HashMap::from([("w-1".parse().unwrap(), vec![seen])]);
    let desk = Desk::new(&intake, Remembered { seen, ..Remembered::default() }, moment());
    let payload = format!(r#"{{"level": 120, "t": {}}}"#, now().as_second());
    assert_eq!(taken(&desk, "city/water/w-1/reading", &payload), ["w-1 repeated"]);
}

#[test]
fn a_sensor_that_an_open_group_had_found_is_missed_when_it_stays_silent() {
    let found = |filter: &str| HashMap::from([("w-7".parse().unwrap(), filter.to_owned())]);
    let states = |text: &str, filter: &str| {
        let remembered = Remembered { found: found(filter), ..Remembered::default() };
        let desk = Desk::new(&settings(text), remembered, moment());
        let at_start = desk.announce(moment(), |_| None);
        let later = moment().instant + std::time::Duration::from_secs(3600);
        let later = desk.announce(Moment { time: now(), instant: later }, |_| None);
        let state = |draft: &Draft| match &draft.payload {
            Payload::DeviceStatus(status) => Some(status.state),
            _ => None,
        };
        at_start.iter().chain(&later).filter_map(state).collect::<Vec<_>>()
    };
    let open = format!("{GROUP}silent_after = \"1h\"\n");
    assert_eq!(states(&open, "city/water/+/reading"), [DeviceState::Connecting, DeviceState::Stalled]);
    assert_eq!(states(&open, "city/gas/+"), [], "its group is gone");
    let closed = format!("{open}ids = [\"w-1\"]\n");
    assert_eq!(states(&closed, "city/water/+/reading").len(), 2, "w-1 alone");
}

#[test]
fn a_wrong_clock_is_flagged_and_degrades_when_it_persists() {
    let desk = desk(&format!("{GROUP}ids = [\"w-1\"]\n"));
    desk.announce(moment(), |_| None);
    for n in 0..3 {
        let payload = format!(r#"{{"level": 120, "t": {}}}"#, now().as_second() + 86_400 + n);
        let arrival = Arrival { at: now(), retained: false };
        let taken = desk.take_message((0, "city/water/w-1/reading"), payload.as_bytes(), arrival);
        let Some(Draft { payload: Payload::SensorReading(reading), time, .. }) = &taken[0].draft else {
            panic!("{taken:?}")
        };
        assert_eq!((reading.quality, *time), (Quality::Uncertain, now()));
    }
    let announced = desk.announce(moment(), |_| None);
    let Payload::DeviceStatus(status) = &announced[0].payload else { panic!("{announced:?}") };
    assert_eq!(status.state, DeviceState::Degraded);
    assert!(status.cause.as_ref().unwrap().contains("its clock is 86402 s ahead"), "{status:?}");
}

#[test]
fn mistakes_name_their_line_and_cure() {
    let check = |text: &str, expected: &str| {
        let document = Document::from_text("x.toml", format!("{BROKER}{text}"));
        let read = document.read(|root| {
            let mut ingest = root.section("ingest");
            Some(IntakeSettings::read(root, &mut ingest, &AllowedEndpoints::default()))
        });
        let mistakes: Vec<String> = read.unwrap_err().0.iter().map(ToString::to_string).collect();
        assert!(mistakes.iter().any(|mistake| mistake.contains(expected)), "{expected:?} is not in {mistakes:#?}");
    };
    let sensor = "[[sensor]]\nid = \"a\"\nkind = \"gas\"\nunit = \"ppm\"\ntopic = \"t\"\n";
    check(
        "[[sensor]]\nid = \"a\"\nkind = \"gas\"\ntopic = \"t\"\n",
        "sensor[0].unit: is missing; write one of ppm, ppb, %vol",
    );
    check(&sensor.replace("ppm", "furlong"), "x.toml:7: sensor[0].unit: is no unit of this kind");
    check(&sensor.replace("\"t\"", "\"{sensor}/t\""), "leaves the sensor's id open");
    check(&sensor.replace("\"t\"", "\"a/#/b\""), "x.toml:8: sensor[0].topic:");
    check(&format!("{sensor}range = [5, 1]\n"), "does not rise");
    check(&format!("{sensor}{sensor}"), "the sensor a stands twice");
    check(&format!("{sensor}broker = \"other\"\n"), "belongs to no broker");
    check(&format!("{sensor}value_at = \"a.b\"\n"), "JSON pointer");
    check("[[sensor]]\nid = \"a\"\nkind = \"door\"\n", "has no topic, and there is no HTTP push");
    check("", "has no sensor that uses it");
    check("[[sensor_group]]\nkind = \"door\"\ntopic = \"doors/all\"\n", "does not say which sensor");
}
