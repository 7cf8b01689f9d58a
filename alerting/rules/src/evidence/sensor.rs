//! Readings and their absence. A reading that is older than one heard before says nothing: it came late.

use jiff::Timestamp;
use xueliang_events::{
    Event, Payload,
    payload::{DeviceState, Quality, SensorReading},
};

use super::{Level, measure, worst};
use crate::{
    condition::{Beyond, Condition, Phase, later},
    rule::{Bound, Kind, Rule},
};

/// Beyond the bound it holds, inside by the hysteresis it is over.
pub(super) fn read_threshold(
    rule: &Rule,
    condition: &mut Condition,
    (reading, at): (&SensorReading, Timestamp),
) -> Option<Level> {
    let Kind::Threshold { quantity, bound, hysteresis, .. } = &rule.kind else { return None };
    if !is_usable(condition, quantity, reading, at) {
        return None;
    }
    keep_reading(condition, *bound, reading);
    let clears = match bound {
        Bound::Above(limit) => reading.value <= limit - hysteresis,
        Bound::Below(limit) => reading.value >= limit + hysteresis,
    };
    Some(Level::new(bound.is_passed_by(reading.value), clears))
}

/// It holds while the last `n` readings beyond the bound lie within the while.
pub(super) fn read_repeated(
    rule: &Rule,
    condition: &mut Condition,
    reading: &SensorReading,
    event: &Event,
) -> Option<Level> {
    let Kind::Repeated { quantity, bound, n, within, .. } = &rule.kind else { return None };
    if !is_usable(condition, quantity, reading, event.time) {
        return None;
    }
    let is_beyond = bound.is_passed_by(reading.value);
    condition.beyond.retain(|beyond| later(beyond.at, *within) >= event.time);
    if is_beyond {
        condition.beyond.push(Beyond { at: event.time, event: event.id() });
        let n_surplus = condition.beyond.len().saturating_sub(*n as usize);
        condition.beyond.drain(..n_surplus);
        keep_reading(condition, *bound, reading);
        condition.values.push(measure("readings", f64::from(*n), None));
    }
    let holds = condition.beyond.len() >= *n as usize;
    if holds && condition.phase == Phase::Clear {
        condition.recent.clear();
        let events: Vec<_> = condition.beyond.iter().map(|beyond| beyond.event).collect();
        events.into_iter().for_each(|event| condition.remember(event));
    }
    Some(Level { tells: is_beyond, ..Level::new(holds, !holds) })
}

/// What a firing measures that says nothing of its category, but that its sensor says nothing.
pub const SILENT: &str = "silent";

/// The worker says that a sensor is silent; the time counts from the last reading, where one was heard.
pub(super) fn read_silence(condition: &mut Condition, payload: &Payload, at: Timestamp) -> Option<Level> {
    match payload {
        Payload::SensorReading(_) => {
            let read_at = condition.read_at.map_or(at, |read_at| read_at.max(at));
            let is_news = condition.read_at != Some(read_at);
            condition.read_at = Some(read_at);
            is_news.then(|| Level::new(false, true))
        }
        Payload::DeviceStatus(status) => {
            // One that connects may have spoken a moment ago, to a worker that was restarted.
            let connects = status.state == DeviceState::Connecting;
            let is_over = status.state.delivers() || status.state == DeviceState::Stopped;
            let since = condition.read_at.unwrap_or(status.since);
            condition.values = vec![measure(SILENT, 1.0, None)];
            let level = Level::new(!connects && !is_over, is_over);
            Some(Level { since: Some(since), tells: !status.heartbeat, ..level })
        }
        _ => None,
    }
}

fn is_usable(condition: &mut Condition, quantity: &str, reading: &SensorReading, at: Timestamp) -> bool {
    let in_order = condition.read_at.is_none_or(|read_at| at >= read_at);
    let is_usable = in_order && reading.quantity == quantity && reading.quality != Quality::Bad;
    if is_usable {
        condition.read_at = Some(at);
    }
    is_usable
}

/// The reading beside its bound; while it rises the one furthest beyond.
fn keep_reading(condition: &mut Condition, bound: Bound, reading: &SensorReading) {
    let further = match bound {
        Bound::Above(_) => f64::max,
        Bound::Below(_) => f64::min,
    };
    let value = worst(condition, reading.value, further);
    let unit = Some(reading.unit.as_str());
    condition.values = vec![measure(&reading.quantity, value, unit), measure("limit", bound.limit(), unit)];
}
