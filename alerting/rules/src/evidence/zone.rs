//! Who is in a zone. Presence and occupancy go by the zone, so one who stands still keeps it occupied; dwell goes by the track, so
//! that people who take turns have not dwelled, and a busy zone does not hide the next who stays.

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    Event, Payload, TrackId, ZoneId,
    payload::{ZoneDwelled, ZoneExited, ZoneOccupancy},
};

use super::{Level, counts, keep_count, keep_snapshot, measure};
use crate::{
    condition::{Condition, Phase, Visit},
    rule::{Kind, Place, Rule},
    statics::{Shown, Spots},
};

/// Most tracks remembered at one place; more add nothing to "at least one".
const MAX_TRACKS: usize = 64;
/// Two dwells that began as close together as this are of one visit, whose track has a new id.
const SAME_BEGIN: SignedDuration = SignedDuration::from_millis(5);
/// An exit is told later than its dwell ended, by the zone's exit time or until the track was given up.
const EXIT_TOLD_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// At least one that counts. A count alone carries no score, so it may continue a situation but not begin one.
pub(super) fn read_presence(rule: &Rule, condition: &mut Condition, event: &Event, spots: &Spots) -> Option<Level> {
    let is_raised = condition.is_raised();
    let mut tells = true;
    match &event.payload {
        Payload::ZoneEntered(entered) if at_zone(rule, &entered.zone) && rule.classes.contains(&entered.class) => {
            let shown = Shown { zone: &entered.zone, class: entered.class, bbox: entered.bbox };
            if spots.is_known(rule, is_raised, shown) {
                return None;
            }
            if counts(rule, entered.class, entered.confidence) {
                keep_track(condition, entered.track);
                keep_snapshot(condition, entered.snapshot.as_ref());
            }
            condition.count = condition.count.max(1);
        }
        Payload::ZoneDwelled(dwelled) if at_zone(rule, &dwelled.zone) => {
            if !counts(rule, dwelled.class, dwelled.confidence) {
                return None;
            }
            if spots.is_known(rule, is_raised, shown(dwelled)) {
                condition.tracks.retain(|track| *track != dwelled.track);
            } else {
                keep_track(condition, dwelled.track);
                keep_snapshot(condition, dwelled.snapshot.as_ref());
                condition.count = condition.count.max(1);
            }
        }
        Payload::ZoneExited(exited) if at_zone(rule, &exited.zone) && rule.classes.contains(&exited.class) => {
            condition.tracks.retain(|track| *track != exited.track);
            condition.count = condition.count.saturating_sub(1);
        }
        Payload::ZoneOccupancy(seen) if at_zone(rule, &seen.zone) => {
            let n_known = spots.n_known(rule, is_raised, event.time);
            condition.count = count_of(rule, seen).saturating_sub(n_known);
            tells = !seen.heartbeat;
            if count_of(rule, seen) == 0 {
                condition.tracks.clear();
            }
        }
        _ => return None,
    }
    let (has_track, count) = (!condition.tracks.is_empty(), condition.count);
    let shown = f64::from(count).max(condition.tracks.len() as f64);
    condition.values = vec![measure("count", shown, None)];
    let holds = has_track || (count > 0 && condition.phase != Phase::Clear);
    Some(Level { tells, ..Level::new(holds, !has_track && count == 0) })
}

/// At least one track that has stayed as long as asked.
pub(super) fn read_dwell(rule: &Rule, condition: &mut Condition, event: &Event, spots: &Spots) -> Option<Level> {
    match &event.payload {
        Payload::ZoneDwelled(dwelled) if at_zone(rule, &dwelled.zone) => {
            take_dwelled(rule, condition, (dwelled, event.time), spots)?;
        }
        Payload::ZoneExited(exited) if at_zone(rule, &exited.zone) && rule.classes.contains(&exited.class) => {
            end_visit(condition, exited, event.time);
        }
        Payload::ZoneOccupancy(seen) if at_zone(rule, &seen.zone) => {
            if count_of(rule, seen) == 0 {
                condition.visits.clear();
            }
            let stays = !condition.visits.is_empty();
            return Some(Level { tells: !seen.heartbeat, ..Level::new(stays, !stays) });
        }
        _ => return None,
    }
    let stays = !condition.visits.is_empty();
    Some(Level::new(stays, !stays))
}

/// At least `n`; over below `n - hysteresis`.
pub(super) fn read_occupancy(rule: &Rule, condition: &mut Condition, seen: &ZoneOccupancy) -> Option<Level> {
    let Kind::Occupancy { n, hysteresis, .. } = &rule.kind else { return None };
    if !at_zone(rule, &seen.zone) {
        return None;
    }
    let count = count_of(rule, seen);
    condition.count = count;
    keep_count(condition, f64::from(count), f64::from(*n));
    keep_snapshot(condition, seen.snapshot.as_ref());
    let level = Level::new(count >= *n, count < n.saturating_sub(*hysteresis).max(1));
    Some(Level { tells: !seen.heartbeat, ..level })
}

/// What stands where, of a dwell that is evidence for the rule.
pub(crate) fn shown(dwelled: &ZoneDwelled) -> Shown<'_> {
    Shown { zone: &dwelled.zone, class: dwelled.class, bbox: dwelled.bbox }
}

fn take_dwelled(
    rule: &Rule,
    condition: &mut Condition,
    (dwelled, at): (&ZoneDwelled, Timestamp),
    spots: &Spots,
) -> Option<()> {
    let Kind::Dwell { hold, still, .. } = &rule.kind else { return None };
    let ms = if *still { dwelled.still_ms } else { dwelled.dwell_ms };
    if u128::from(ms) < hold.as_millis() || !counts(rule, dwelled.class, dwelled.confidence) {
        return None;
    }
    let since = ago(at, dwelled.dwell_ms);
    let same = |visit: &Visit| visit.track == dwelled.track || visit.since.duration_since(since).abs() <= SAME_BEGIN;
    let known = condition.visits.iter().position(same);
    if spots.is_known(rule, condition.is_raised(), shown(dwelled)) {
        // Without a visit there is nothing to end.
        condition.visits.remove(known?);
        return Some(());
    }
    match known {
        Some(nth) => condition.visits[nth].track = dwelled.track,
        None if condition.visits.len() < MAX_TRACKS => condition.visits.push(Visit { track: dwelled.track, since }),
        None => {}
    }
    keep_snapshot(condition, dwelled.snapshot.as_ref());
    let name = if *still { "still" } else { "dwell" };
    let limit = measure("limit", hold.as_secs_f64(), Some("s"));
    condition.values = vec![measure(name, ms as f64 / 1000.0, Some("s")), limit];
    Some(())
}

/// The visit of that track, or, when its id was replaced since, the one that began then.
fn end_visit(condition: &mut Condition, exited: &ZoneExited, at: Timestamp) {
    let began_at = ago(at, exited.dwell_ms);
    let lateness = |visit: &Visit| began_at.duration_since(visit.since);
    let by_id = condition.visits.iter().position(|visit| visit.track == exited.track);
    let ended = by_id.or_else(|| {
        let began_then = |visit: &Visit| !lateness(visit).is_negative() && lateness(visit) <= EXIT_TOLD_WITHIN;
        condition.visits.iter().position(began_then)
    });
    if let Some(nth) = ended {
        condition.visits.remove(nth);
    }
}

fn ago(at: Timestamp, ms: u64) -> Timestamp {
    let by = SignedDuration::from_millis(ms.try_into().unwrap_or(i64::MAX));
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn at_zone(rule: &Rule, zone: &ZoneId) -> bool {
    matches!(&rule.place, Place::Zone(place) if place == zone)
}

fn count_of(rule: &Rule, seen: &ZoneOccupancy) -> u32 {
    rule.classes.iter().map(|class| seen.counts.of(*class)).sum()
}

fn keep_track(condition: &mut Condition, track: TrackId) {
    if !condition.tracks.contains(&track) && condition.tracks.len() < MAX_TRACKS {
        condition.tracks.push(track);
    }
}
