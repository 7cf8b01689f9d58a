//! What an event says of a rule's condition: the one place where each kind reads its events.

pub(crate) mod sensor;
pub(crate) mod zone;

use jiff::Timestamp;
use xueliang_events::{
    Class, Confidence, Event, Payload,
    payload::{DeviceState, DeviceStatus, LineCrossed},
    values::SnapshotRef,
};

use crate::{
    condition::{Condition, Evidence, Phase},
    firing::Measure,
    rule::{Kind, Place, Rule},
    statics::Spots,
};

/// How an event bears on a rule.
pub(crate) enum Bearing {
    /// It says whether the condition holds.
    Level(Evidence),
    /// It is the thing itself.
    Pulse,
}

/// Whether the condition holds, and whether it is over; neither, between the two.
#[derive(Debug, Clone, Copy)]
struct Level {
    holds: bool,
    clears: bool,
    /// Since when, where that is known better than by the event's time.
    since: Option<Timestamp>,
    tells: bool,
}

impl Level {
    fn new(holds: bool, clears: bool) -> Self {
        Self { holds, clears, since: None, tells: true }
    }
}

/// Reads the event for the rule, keeping in `condition` what later events are compared with; `None` when it says nothing.
pub(crate) fn read(rule: &Rule, condition: &mut Condition, event: &Event, spots: &Spots) -> Option<Bearing> {
    let level = match (&rule.kind, &event.payload) {
        (Kind::Presence { .. }, _) => zone::read_presence(rule, condition, event, spots)?,
        (Kind::Dwell { .. }, _) => zone::read_dwell(rule, condition, event, spots)?,
        (Kind::Occupancy { .. }, Payload::ZoneOccupancy(seen)) => zone::read_occupancy(rule, condition, seen)?,
        (Kind::Line { direction }, Payload::LineCrossed(crossed)) => {
            let this_way = direction.is_none_or(|direction| direction == crossed.direction);
            if !(this_way && is_over_line(rule, crossed)) {
                return None;
            }
            condition.values = vec![measure("confidence", f64::from(crossed.confidence.get()), None)];
            condition.snapshot.clone_from(&crossed.snapshot);
            return Some(Bearing::Pulse);
        }
        (Kind::Balance { .. }, payload) => read_balance(rule, condition, payload)?,
        (Kind::Threshold { .. }, Payload::SensorReading(reading)) => {
            sensor::read_threshold(rule, condition, (reading, event.time))?
        }
        (Kind::Repeated { .. }, Payload::SensorReading(reading)) => {
            sensor::read_repeated(rule, condition, reading, event)?
        }
        (Kind::NoData { .. }, payload) => sensor::read_silence(condition, payload, event.time)?,
        (Kind::Picture { faults, .. }, Payload::DeviceStatus(status)) => {
            let fault = status.picture_fault.map(|fault| measure(fault.as_str(), 1.0, None));
            condition.values = fault.into_iter().collect();
            let holds = status.picture_fault.is_some_and(|fault| faults.contains(&fault));
            Level { tells: !status.heartbeat, ..Level::new(holds, !holds && status.state.delivers()) }
        }
        (Kind::Status { .. }, Payload::DeviceStatus(status)) => {
            let offline = is_offline(status) || status.flapping;
            condition.values = if status.flapping { vec![measure("flapping", 1.0, None)] } else { Vec::new() };
            Level { since: Some(status.since), tells: !status.heartbeat, ..Level::new(offline, !offline) }
        }
        _ => return None,
    };
    let Level { holds, clears, since, tells } = level;
    let since = since.unwrap_or(event.time).min(event.time);
    Some(Bearing::Level(Evidence { at: event.time, since, event: event.id(), holds, clears, tells }))
}

/// A balance is a level between crossings too, so that whatever the camera says shows that it still stands.
fn read_balance(rule: &Rule, condition: &mut Condition, payload: &Payload) -> Option<Level> {
    let Kind::Balance { inward, capacity, hysteresis, .. } = &rule.kind else { return None };
    let crossed = match payload {
        Payload::LineCrossed(crossed) if is_over_line(rule, crossed) => Some(crossed),
        _ => None,
    };
    if let Some(crossed) = crossed {
        let one = if crossed.direction == *inward { 1 } else { -1 };
        condition.count = condition.count.saturating_add_signed(one);
        keep_snapshot(condition, crossed.snapshot.as_ref());
    }
    if crossed.is_none() && condition.count == 0 {
        return None;
    }
    let count = condition.count;
    keep_count(condition, f64::from(count), f64::from(*capacity));
    let level = Level::new(count > *capacity, count <= capacity.saturating_sub(*hysteresis));
    Some(Level { tells: crossed.is_some(), ..level })
}

fn is_over_line(rule: &Rule, crossed: &LineCrossed) -> bool {
    matches!(&rule.place, Place::Line(line) if *line == crossed.line) && counts(rule, crossed.class, crossed.confidence)
}

/// Stopped is somebody's will, not a fault.
fn is_offline(status: &DeviceStatus) -> bool {
    !status.state.delivers() && status.state != DeviceState::Stopped
}

fn counts(rule: &Rule, class: Class, confidence: Confidence) -> bool {
    rule.classes.contains(&class) && confidence.get() >= rule.min_confidence
}

/// The count beside its limit; while it rises the highest, for it may fire between the limit and what gives it up.
fn keep_count(condition: &mut Condition, count: f64, limit: f64) {
    let count = worst(condition, count, f64::max);
    condition.values = vec![measure("count", count, None), measure("limit", limit, None)];
}

/// The value, or the one from earlier in the same situation that lies further beyond.
fn worst(condition: &Condition, value: f64, further: fn(f64, f64) -> f64) -> f64 {
    let is_rising = matches!(condition.phase, Phase::Rising { .. });
    let before = condition.values.first().filter(|_| is_rising).map(|before| before.value);
    before.map_or(value, |before| further(before, value))
}

/// The still that belongs to a situation is the newest from before it fired.
fn keep_snapshot(condition: &mut Condition, snapshot: Option<&SnapshotRef>) {
    if let (Some(snapshot), false) = (snapshot, condition.is_raised()) {
        condition.snapshot = Some(snapshot.clone());
    }
}

fn measure(name: &str, value: f64, unit: Option<&str>) -> Measure {
    Measure { name: name.to_owned(), value, unit: unit.map(str::to_owned) }
}
