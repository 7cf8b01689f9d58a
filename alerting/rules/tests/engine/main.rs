//! What fires when: each kind of rule over event time, restarts, silence, repetition and disorder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

mod categories;
mod order;
mod silences;
mod situations;
mod statics;
mod versions;

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    BBox, Class, Event, Payload, SessionId, Source, TrackId,
    payload::{
        DeviceState, DeviceStatus, Direction, LineCrossed, Quality, SensorReading, ZoneDwelled, ZoneEntered,
        ZoneExited, ZoneOccupancy,
    },
    values::Counts,
};
use xueliang_rules::{Engine, Firing, Memory, RuleSet};
use xueliang_settings::Document;

const GOVERNED: &str = "version = 1\nenabled = true\nowner = \"o\"\nlegal_basis = \"l\"\ndepartment = \"d\"\n\
    assessment = \"a\"\ndeadline = \"x\"\n";

fn engine(rule: &str) -> Engine {
    let text = format!("[[rule]]\nid = \"r\"\n{GOVERNED}{rule}");
    Engine::new(Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader))).unwrap())
}

fn crowding_of(keys: &str) -> Engine {
    engine(&format!(
        "category = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\nclear_for = \"5s\"\ncool_down = \"60s\"\n{keys}"
    ))
}

fn crowding() -> Engine {
    crowding_of("at_least = 3\nhysteresis = 1\nfor = \"10s\"\n")
}

fn intrusion() -> Engine {
    engine(
        "category = \"zone_intrusion\"\nkind = \"presence\"\nzone = \"z\"\nmin_confidence = 0.5\nfor = \"3s\"\nclear_for = \"5s\"\ncool_down = \"0s\"\n",
    )
}

fn at(s: f64) -> Timestamp {
    let start: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_millis((s * 1000.0) as i64)).unwrap()
}

/// One device's events in order: (session, second, what).
fn told(source: &Source, events: Vec<(u128, f64, Payload)>) -> Vec<Event> {
    let mut sequences = std::collections::BTreeMap::<u128, u64>::new();
    let tell = |(session, s, payload): (u128, f64, Payload)| {
        let sequence = sequences.entry(session).or_default();
        *sequence += 1;
        Event {
            source: source.clone(),
            session: SessionId(uuid::Uuid::from_u128(session)),
            sequence: *sequence,
            time: at(s),
            received_at: at(s),
            grid: None,
            owner_epoch: None,
            payload,
        }
    };
    events.into_iter().map(tell).collect()
}

fn camera() -> Source {
    Source::Camera("c".parse().unwrap())
}

fn observe(engine: &Engine, memory: &mut Memory, events: &[Event]) -> Vec<Firing> {
    events.iter().flat_map(|event| engine.observe(memory, event).firings).collect()
}

/// Seconds at which the rule fires.
fn check(engine: &Engine, source: Source, events: Vec<(u128, f64, Payload)>, expected: &[f64]) {
    let fired = observe(engine, &mut Memory::default(), &told(&source, events));
    assert_eq!(fired.iter().map(|f| f.at).collect::<Vec<_>>(), expected.iter().map(|s| at(*s)).collect::<Vec<_>>());
}

fn persons(n: u32) -> Payload {
    counts(Class::Person, n)
}

fn bbox() -> BBox {
    BBox::new(0.1, 0.1, 0.1, 0.1).unwrap()
}

fn enters(track: u64, confidence: f32) -> Payload {
    enters_as(Class::Person, track, confidence, bbox())
}

fn enters_as(class: Class, track: u64, confidence: f32, bbox: BBox) -> Payload {
    let (zone, track, confidence) = ("z".parse().unwrap(), TrackId(track), confidence.try_into().unwrap());
    ZoneEntered { analysed_fps: None, zone, class, track, bbox, confidence, snapshot: None }.into()
}

/// Stays in the zone for so many seconds, and stood still for so many of them.
fn dwells(class: Class, track: u64, seconds: (f64, f64), bbox: BBox) -> Payload {
    let (dwell_ms, still_ms) = ((seconds.0 * 1000.0) as u64, (seconds.1 * 1000.0) as u64);
    let (zone, track, confidence) = ("z".parse().unwrap(), TrackId(track), 0.9f32.try_into().unwrap());
    ZoneDwelled { analysed_fps: None, zone, class, track, dwell_ms, still_ms, bbox, confidence, snapshot: None }.into()
}

fn crosses(class: Class, direction: Direction) -> Payload {
    let (line, track, confidence) = ("l".parse().unwrap(), TrackId(1), 0.9f32.try_into().unwrap());
    LineCrossed { analysed_fps: None, line, direction, class, track, bbox: bbox(), confidence, snapshot: None }.into()
}

fn counts(class: Class, n: u32) -> Payload {
    let counts = Counts::default().with(class, n);
    ZoneOccupancy { analysed_fps: None, zone: "z".parse().unwrap(), counts, heartbeat: false, snapshot: None }.into()
}

fn reads(quantity: &str, value: f64, unit: &str) -> Payload {
    SensorReading { quantity: quantity.to_owned(), value, unit: unit.to_owned(), quality: Quality::Good }.into()
}

fn sensor() -> Source {
    Source::Sensor("s".parse().unwrap())
}

fn leaves(track: u64) -> Payload {
    leaves_as(Class::Person, track, 0.001)
}

fn leaves_as(class: Class, track: u64, dwell_s: f64) -> Payload {
    let (zone, dwell_ms) = ("z".parse().unwrap(), (dwell_s * 1000.0) as u64);
    ZoneExited { analysed_fps: None, zone, class, track: TrackId(track), dwell_ms }.into()
}

fn is(state: DeviceState, heartbeat: bool, since: f64) -> Payload {
    DeviceStatus { heartbeat, ..DeviceStatus::new(state, at(since)) }.into()
}
