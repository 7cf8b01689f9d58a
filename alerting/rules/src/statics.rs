//! Objects that do not move: a parked car, or a post that is taken for a person. They are told once, then learnt, then shown.
//!
//! In: dwells that say how long something stood, and boxes of who enters. A place of a zone and a kind of object make a spot; the time that
//! something demonstrably stood there adds up over tracks and sessions. A spot that fired for a rule does not begin a situation
//! of that rule again while it is seen without a gap; one that stood for [`LEARNT_AFTER`] beyond the rule's T is no evidence at all.
//! Kept are place, class and times, nothing that tells one object from another.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use xueliang_events::{BBox, Class, Event, Payload, ZoneId};

use crate::rule::{Place, Rule, RuleId};

/// How long something stands at one place before it is a static object.
pub const LEARNT_AFTER: SignedDuration = SignedDuration::from_hours(4);
/// How long a static object may be out of sight before it is forgotten.
pub const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(4);

/// Boxes of one place overlap at least so much.
const SAME_PLACE: f32 = 0.7;
/// Whoever stands less long only pauses.
const STANDS: SignedDuration = SignedDuration::from_secs(30);
/// After a longer time out of sight it may be another object.
const LARGEST_GAP: SignedDuration = SignedDuration::from_mins(10);
/// Most spots of a device; the one that stood shortest gives way.
const MAX_SPOTS: usize = 32;
/// Most rules that a spot has fired for.
const MAX_FIRED: usize = 16;

/// A static object, for people to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Static {
    /// The zone.
    pub zone: ZoneId,
    /// What it is taken for.
    pub class: Class,
    /// Where, in normalised frame coordinates.
    pub bbox: BBox,
    /// Since when something stands there.
    pub since: Timestamp,
    /// When it was seen last.
    pub seen_at: Timestamp,
}

/// What an event shows where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'e> {
    pub zone: &'e ZoneId,
    pub class: Class,
    pub bbox: BBox,
}

/// Where something stood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spot {
    zone: ZoneId,
    class: Class,
    bbox: BBox,
    since: Timestamp,
    seen_at: Timestamp,
    stood_ms: i64,
    /// Rules that it has fired for since it was last out of sight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fired: Vec<RuleId>,
}

/// The spots of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Spots(Vec<Spot>);

impl Spots {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes note of who stands where.
    pub fn note(&mut self, event: &Event) {
        match &event.payload {
            Payload::ZoneDwelled(dwelled) => {
                let still = SignedDuration::from_millis(dwelled.still_ms.try_into().unwrap_or(i64::MAX));
                if still >= STANDS {
                    let shown = Shown { zone: &dwelled.zone, class: dwelled.class, bbox: dwelled.bbox };
                    self.stands(shown, event.time.checked_sub(still).unwrap_or(Timestamp::MIN), event.time);
                }
            }
            Payload::ZoneEntered(entered) if !self.0.is_empty() => {
                self.forget(event.time);
                let shown = Shown { zone: &entered.zone, class: entered.class, bbox: entered.bbox };
                if let Some(spot) = self.find_mut(shown) {
                    spot.see(event.time, event.time);
                }
            }
            _ => {}
        }
    }

    /// Whether this is no evidence for the rule; what has fired may still continue a situation that is raised.
    pub fn is_known(&self, rule: &Rule, is_raised: bool, shown: Shown<'_>) -> bool {
        self.find(shown).is_some_and(|spot| spot.is_known(rule, is_raised))
    }

    /// How many of a zone's count are no evidence for the rule.
    pub fn n_known(&self, rule: &Rule, is_raised: bool, now: Timestamp) -> u32 {
        let here = |spot: &&Spot| {
            let in_place = matches!(&rule.place, Place::Zone(zone) if *zone == spot.zone);
            in_place && rule.classes.contains(&spot.class) && now.duration_since(spot.seen_at) <= LARGEST_GAP
        };
        let known = self.0.iter().filter(here).filter(|spot| spot.is_known(rule, is_raised));
        u32::try_from(known.count()).unwrap_or(u32::MAX)
    }

    /// What stands there belongs to a situation that has fired.
    pub fn has_fired(&mut self, rule: &Rule, shown: Shown<'_>) {
        if let Some(spot) = self.find_mut(shown)
            && spot.fired.len() < MAX_FIRED
            && !spot.fired.contains(&rule.id)
        {
            spot.fired.push(rule.id.clone());
        }
    }

    /// The rule has told of nothing yet that stands anywhere.
    pub fn forget_fired(&mut self, rule: &RuleId) {
        self.0.iter_mut().for_each(|spot| spot.fired.retain(|fired| fired != rule));
    }

    /// The static objects, the longest standing first.
    pub fn learnt(&self, now: Timestamp) -> Vec<Static> {
        let learnt = self.0.iter().filter(|spot| spot.stood() >= LEARNT_AFTER && !spot.is_forgotten(now));
        let mut learnt: Vec<Static> = learnt
            .map(|Spot { zone, class, bbox, since, seen_at, .. }| Static {
                zone: zone.clone(),
                class: *class,
                bbox: *bbox,
                since: *since,
                seen_at: *seen_at,
            })
            .collect();
        learnt.sort_by_key(|found| found.since);
        learnt
    }

    /// The clock was set back: nothing was seen in the future.
    pub fn set_back(&mut self, now: Timestamp) {
        for spot in &mut self.0 {
            (spot.since, spot.seen_at) = (spot.since.min(now), spot.seen_at.min(now));
        }
    }

    fn stands(&mut self, shown: Shown<'_>, from: Timestamp, to: Timestamp) {
        self.forget(to);
        if let Some(spot) = self.find_mut(shown) {
            return spot.see(from, to);
        }
        if self.0.len() >= MAX_SPOTS
            && let Some(shortest) = (0..self.0.len()).min_by_key(|nth| self.0[*nth].stood_ms)
        {
            self.0.swap_remove(shortest);
        }
        let Shown { zone, class, bbox } = shown;
        let stood_ms = millis(to.duration_since(from));
        self.0.push(Spot { zone: zone.clone(), class, bbox, since: from, seen_at: to, stood_ms, fired: Vec::new() });
    }

    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|spot| !spot.is_forgotten(now));
    }

    fn find(&self, shown: Shown<'_>) -> Option<&Spot> {
        self.0.iter().find(|spot| spot.is_at(shown))
    }

    fn find_mut(&mut self, shown: Shown<'_>) -> Option<&mut Spot> {
        self.0.iter_mut().find(|spot| spot.is_at(shown))
    }
}

impl Spot {
    fn is_at(&self, shown: Shown<'_>) -> bool {
        kind(self.class) == kind(shown.class)
            && self.zone == *shown.zone
            && overlap(self.bbox, shown.bbox) >= SAME_PLACE
    }

    /// Something stood here meanwhile; what was counted before is not counted again.
    fn see(&mut self, from: Timestamp, to: Timestamp) {
        if from.duration_since(self.seen_at) > LARGEST_GAP {
            self.fired.clear();
        }
        let fresh = to.duration_since(from.max(self.seen_at));
        self.stood_ms = self.stood_ms.saturating_add(millis(fresh).max(0));
        self.seen_at = self.seen_at.max(to);
    }

    fn is_known(&self, rule: &Rule, is_raised: bool) -> bool {
        let hold = SignedDuration::try_from(rule.kind.hold()).unwrap_or(SignedDuration::MAX);
        let is_learnt = self.stood() >= LEARNT_AFTER.saturating_add(hold);
        is_learnt || (!is_raised && self.fired.contains(&rule.id))
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        now.duration_since(self.seen_at) > FORGOTTEN_AFTER
    }

    fn stood(&self) -> SignedDuration {
        SignedDuration::from_millis(self.stood_ms)
    }
}

/// What a detector takes for each other from one look to the next: a van is now a car and now a truck.
fn kind(class: Class) -> Class {
    match class {
        Class::Car | Class::Bus | Class::Truck => Class::Car,
        Class::Bicycle | Class::Motorcycle => Class::Bicycle,
        Class::Person => Class::Person,
    }
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Intersection over union.
fn overlap(a: BBox, b: BBox) -> f32 {
    let ([ax, ay, aw, ah], [bx, by, bw, bh]) = (a.xywh(), b.xywh());
    let width = (ax + aw).min(bx + bw) - ax.max(bx);
    let height = (ay + ah).min(by + bh) - ay.max(by);
    let shared = width.max(0.0) * height.max(0.0);
    let all = aw * ah + bw * bh - shared;
    if all > 0.0 { shared / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_the_shared_part_of_both() {
        let check = |a: [f32; 4], b: [f32; 4], expected: f32| {
            let bbox = |[x, y, w, h]: [f32; 4]| BBox::new(x, y, w, h).unwrap();
            let (found, back) = (overlap(bbox(a), bbox(b)), overlap(bbox(b), bbox(a)));
            assert!((found - expected).abs() < 1e-3 && (found - back).abs() < 1e-6, "{a:?} {b:?}: {found}");
        };
        check([0.1, 0.1, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2], 1.0);
        check([0.1, 0.1, 0.2, 0.2], [0.2, 0.1, 0.2, 0.2], 1.0 / 3.0);
        check([0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2], 0.0);
        check([0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0], 0.5);
    }
}
