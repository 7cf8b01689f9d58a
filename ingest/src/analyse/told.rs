//! Observations in the wire's words.

use std::time::Duration;

use xueliang_events::{
    BBox, Class, Confidence, LineId, TrackId, ZoneId,
    payload::{Direction, LineCrossed, ZoneDwelled, ZoneEntered, ZoneExited, ZoneOccupancy},
    values::{Counts, Rate, SnapshotRef},
};
use xueliang_inference::{self as inference, Observation, Subject};

use super::Fact;

/// The wire's form of an observation; `None` when a value has none, which the scene's own checks exclude.
pub(super) fn fact(
    observation: Observation,
    snapshot: Option<&SnapshotRef>,
    analysed_fps: Option<Rate>,
) -> Option<Fact> {
    let snapshot = snapshot.cloned();
    let (at, payload) = match observation {
        Observation::Entered(entered) => {
            let zone = zone_id(&entered.zone)?;
            let Who { class, track, bbox, confidence } = seen(&entered.subject)?;
            (entered.at, ZoneEntered { zone, class, track, bbox, confidence, snapshot, analysed_fps }.into())
        }
        Observation::Exited(exited) => {
            let zone = zone_id(&exited.zone)?;
            let Who { class, track, .. } = seen(&exited.subject)?;
            (exited.at, ZoneExited { zone, class, track, dwell_ms: millis(exited.dwell), analysed_fps }.into())
        }
        Observation::Occupancy(occupancy) => {
            let zone = zone_id(&occupancy.zone)?;
            let counts = Class::ALL.into_iter().fold(Counts::default(), |counts, class| {
                counts.with(class, occupancy.counts.get(detected_class(class)))
            });
            let snapshot = snapshot.filter(|_| !occupancy.heartbeat);
            (
                occupancy.at,
                ZoneOccupancy { zone, counts, heartbeat: occupancy.heartbeat, snapshot, analysed_fps }.into(),
            )
        }
        Observation::Dwelled(dwelled) => {
            let zone = zone_id(&dwelled.zone)?;
            let Who { class, track, bbox, confidence } = seen(&dwelled.subject)?;
            let (dwell_ms, still_ms) = (millis(dwelled.dwell), millis(dwelled.still_for));
            (
                dwelled.at,
                ZoneDwelled { zone, class, track, dwell_ms, still_ms, bbox, confidence, snapshot, analysed_fps }.into(),
            )
        }
        Observation::Crossed(crossed) => {
            let line = crossed.line.parse::<LineId>().ok()?;
            let Who { class, track, bbox, confidence } = seen(&crossed.subject)?;
            let direction = match crossed.direction {
                inference::Direction::Forward => Direction::Forward,
                inference::Direction::Backward => Direction::Backward,
            };
            (crossed.at, LineCrossed { line, direction, class, track, bbox, confidence, snapshot, analysed_fps }.into())
        }
    };
    Some(Fact { at, payload })
}

struct Who {
    class: Class,
    track: TrackId,
    bbox: BBox,
    confidence: Confidence,
}

fn seen(subject: &Subject) -> Option<Who> {
    Some(Who {
        class: wire_class(subject.class),
        track: TrackId(subject.track.value()),
        bbox: wire_bbox(&subject.bbox)?,
        confidence: subject.confidence.clamp(0.0, 1.0).try_into().ok()?,
    })
}

fn zone_id(id: &str) -> Option<ZoneId> {
    id.parse().ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Cuts the box to the frame: a predicted track may reach beyond it.
fn wire_bbox(bbox: &inference::BBox) -> Option<BBox> {
    let (left, top) = (bbox.x.clamp(0.0, 1.0), bbox.y.clamp(0.0, 1.0));
    let (right, bottom) = ((bbox.x + bbox.w).clamp(left, 1.0), (bbox.y + bbox.h).clamp(top, 1.0));
    BBox::new(left, top, right - left, bottom - top).ok()
}

fn wire_class(class: inference::Class) -> Class {
    match class {
        inference::Class::Person => Class::Person,
        inference::Class::Bicycle => Class::Bicycle,
        inference::Class::Motorcycle => Class::Motorcycle,
        inference::Class::Car => Class::Car,
        inference::Class::Bus => Class::Bus,
        inference::Class::Truck => Class::Truck,
    }
}

fn detected_class(class: Class) -> inference::Class {
    match class {
        Class::Person => inference::Class::Person,
        Class::Bicycle => inference::Class::Bicycle,
        Class::Motorcycle => inference::Class::Motorcycle,
        Class::Car => inference::Class::Car,
        Class::Bus => inference::Class::Bus,
        Class::Truck => inference::Class::Truck,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_finite_box_is_cut_to_the_frame(x in -2.0f32..2.0, y in -2.0f32..2.0, w in 0.0f32..3.0, h in 0.0f32..3.0) {
            let cut = wire_bbox(&inference::BBox { x, y, w, h });
            proptest::prop_assert!(cut.is_some());
        }
    }

    #[test]
    fn classes_map_one_to_one() {
        for class in Class::ALL {
            assert_eq!(wire_class(detected_class(class)), class);
        }
    }
}
