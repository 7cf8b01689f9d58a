//! What an event says of a rule's condition: the one place where each kind reads its events.

use jiff::Timestamp;
use xueliang_events::{
    Class, Confidence, Event, Payload, TrackId, ZoneId,
    payload::{DeviceState, DeviceStatus, Quality, SensorReading},
    values::SnapshotRef,
};

use crate::{
    condition::{Condition, Evidence, Phase},
    firing::Measure,
    rule::{Bound, Kind, Place, Rule},
};

/// How an event bears on a rule.
pub(crate) enum Bearing {
    /// It says whether the condition holds.
    Level(Evidence),
    /// It is the thing itself.
    Pulse,
}

/// Most tracks remembered at one place; more add nothing to "at least one".
const MAX_TRACKS: usize = 64;

/// Reads the event for the rule, keeping in `condition` what later events are compared with; `None` when it says nothing.
pub(crate) fn read(rule: &Rule, condition: &mut Condition, event: &Event) -> Option<Bearing> {
    match (&rule.kind, &event.payload) {
        (Kind::Presence { .. } | Kind::Dwell { .. }, payload) => read_tracks(rule, condition, payload)?,
        (Kind::Occupancy { .. }, Payload::ZoneOccupancy(seen)) if at_zone(rule, &seen.zone) => {
            condition.count = rule.classes.iter().map(|class| seen.counts.of(*class)).sum();
            condition.values = vec![measure("count", f64::from(condition.count), None)];
            keep_snapshot(condition, seen.snapshot.as_ref());
        }
        (Kind::Line { direction }, Payload::LineCrossed(crossed)) => {
            let here = matches!(&rule.place, Place::Line(line) if *line == crossed.line);
            let this_way = direction.is_none_or(|direction| direction == crossed.direction);
            if !(here && this_way && counts(rule, crossed.class, crossed.confidence)) {
                return None;
            }
            condition.values = vec![measure("confidence", f64::from(crossed.confidence.get()), None)];
            condition.snapshot.clone_from(&crossed.snapshot);
            return Some(Bearing::Pulse);
        }
        (Kind::Threshold { quantity, .. }, Payload::SensorReading(reading))
            if reading.quantity == *quantity && reading.quality != Quality::Bad =>
        {
            condition.values = vec![measure(quantity, reading.value, Some(&reading.unit))];
        }
        (Kind::Picture { .. }, Payload::DeviceStatus(status)) => {
            let fault = status.picture_fault.map(|fault| measure(fault.as_str(), 1.0, None));
            condition.values = fault.into_iter().collect();
        }
        (Kind::Status { .. }, Payload::DeviceStatus(_)) => {}
        _ => return None,
    }
    let (holds, clears, since) = judge(rule, condition, event);
    Some(Bearing::Level(Evidence { at: event.time, since, event: event.id(), holds, clears }))
}

/// Presence and dwell: which tracks count now, and how many the zone holds.
fn read_tracks(rule: &Rule, condition: &mut Condition, payload: &Payload) -> Option<()> {
    let dwell = matches!(rule.kind, Kind::Dwell { .. });
    match payload {
        Payload::ZoneEntered(entered) if at_zone(rule, &entered.zone) && rule.classes.contains(&entered.class) => {
            if !dwell && counts(rule, entered.class, entered.confidence) {
                keep_track(condition, entered.track);
                keep_snapshot(condition, entered.snapshot.as_ref());
                condition.values = vec![measure("count", condition.tracks.len() as f64, None)];
            }
            condition.count = condition.count.max(1);
        }
        Payload::ZoneDwelled(dwelled) if at_zone(rule, &dwelled.zone) => {
            let ms =
                if matches!(rule.kind, Kind::Dwell { still: true, .. }) { dwelled.still_ms } else { dwelled.dwell_ms };
            let long_enough = !dwell || u128::from(ms) >= rule.kind.hold().as_millis();
            if !(long_enough && counts(rule, dwelled.class, dwelled.confidence)) {
                return None;
            }
            keep_track(condition, dwelled.track);
            keep_snapshot(condition, dwelled.snapshot.as_ref());
            condition.count = condition.count.max(1);
            condition.values = vec![if dwell {
                measure(if ms == dwelled.dwell_ms { "dwell" } else { "still" }, ms as f64 / 1000.0, Some("s"))
            } else {
                measure("count", condition.tracks.len() as f64, None)
            }];
        }
        Payload::ZoneExited(exited) if at_zone(rule, &exited.zone) && rule.classes.contains(&exited.class) => {
            condition.tracks.retain(|track| *track != exited.track);
            condition.count = condition.count.saturating_sub(1);
        }
        Payload::ZoneOccupancy(seen) if at_zone(rule, &seen.zone) => {
            condition.count = rule.classes.iter().map(|class| seen.counts.of(*class)).sum();
            if condition.count == 0 {
                condition.tracks.clear();
            }
        }
        _ => return None,
    }
    Some(())
}

/// Whether the condition holds, whether it is over, and since when.
fn judge(rule: &Rule, condition: &Condition, event: &Event) -> (bool, bool, Timestamp) {
    let count = condition.count;
    let empty = condition.tracks.is_empty() && count == 0;
    let (holds, clears) = match (&rule.kind, &event.payload) {
        // A count alone carries no score, so it may continue a situation but not begin one.
        (Kind::Presence { .. }, _) => {
            (!condition.tracks.is_empty() || (count > 0 && condition.phase != Phase::Clear), empty)
        }
        (Kind::Dwell { .. }, _) => (!condition.tracks.is_empty(), empty),
        (Kind::Occupancy { n, hysteresis, .. }, _) => (count >= *n, count < n.saturating_sub(*hysteresis).max(1)),
        (Kind::Threshold { bound, hysteresis, .. }, Payload::SensorReading(reading)) => {
            beyond(*bound, *hysteresis, reading)
        }
        (Kind::Picture { faults, .. }, Payload::DeviceStatus(status)) => {
            let holds = status.picture_fault.is_some_and(|fault| faults.contains(&fault));
            (holds, !holds && status.state.delivers())
        }
        (Kind::Status { .. }, Payload::DeviceStatus(status)) => {
            let offline = is_offline(status);
            return (offline, !offline, status.since.min(event.time));
        }
        _ => (false, false),
    };
    (holds, clears, event.time)
}

fn beyond(bound: Bound, hysteresis: f64, reading: &SensorReading) -> (bool, bool) {
    match bound {
        Bound::Above(limit) => (reading.value > limit, reading.value <= limit - hysteresis),
        Bound::Below(limit) => (reading.value < limit, reading.value >= limit + hysteresis),
    }
}

/// Stopped is somebody's will, not a fault.
fn is_offline(status: &DeviceStatus) -> bool {
    !status.state.delivers() && status.state != DeviceState::Stopped
}

fn at_zone(rule: &Rule, zone: &ZoneId) -> bool {
    matches!(&rule.place, Place::Zone(place) if place == zone)
}

fn counts(rule: &Rule, class: Class, confidence: Confidence) -> bool {
    rule.classes.contains(&class) && confidence.get() >= rule.min_confidence
}

fn keep_track(condition: &mut Condition, track: TrackId) {
    if !condition.tracks.contains(&track) && condition.tracks.len() < MAX_TRACKS {
        condition.tracks.push(track);
    }
}

/// The still that belongs to a situation is the newest from before it fired.
fn keep_snapshot(condition: &mut Condition, snapshot: Option<&SnapshotRef>) {
    let fired = matches!(condition.phase, Phase::Raised { .. });
    if let (Some(snapshot), false) = (snapshot, fired) {
        condition.snapshot = Some(snapshot.clone());
    }
}

fn measure(name: &str, value: f64, unit: Option<&str>) -> Measure {
    Measure { name: name.to_owned(), value, unit: unit.map(str::to_owned) }
}
