//! What a zone is, and the state of one track in it: hysteresis on the way in and out, dwell, and standing still.
//! A track is where its anchor is, the middle of its box's lower edge. Which tracks there are is `scene`'s business.

use std::time::Duration;

use jiff::Timestamp;

use crate::detection::ClassSet;
use crate::elapsed::elapsed;
use crate::geometry::{BBox, Point, Polygon};

/// An anchor that has moved by more than this share of the box's height has moved.
const STILL_SHARE: f32 = 0.5;
/// Anchors on the frame's very edge belong to zones that reach the edge.
const EDGE: f32 = 1e-4;

/// An area of the frame that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its id, unique within the camera.
    pub id: String,
    /// Where.
    pub polygon: Polygon,
    /// Which classes count.
    pub classes: ClassSet,
    /// How long things must last to count.
    pub timing: ZoneTiming,
}

/// How long things must last to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneTiming {
    /// Inside this long before it has entered.
    pub enter_after: Duration,
    /// Outside this long before it has exited.
    pub exit_after: Duration,
    /// A larger count must hold this long.
    pub rise_after: Duration,
    /// A smaller count must hold this long.
    pub fall_after: Duration,
    /// How often a dwell is told while it lasts; `None`: never.
    pub dwell_every: Option<Duration>,
}

impl Default for ZoneTiming {
    fn default() -> Self {
        Self {
            enter_after: Duration::from_millis(600),
            exit_after: Duration::from_secs(1),
            rise_after: Duration::from_millis(600),
            fall_after: Duration::from_secs(1),
            dwell_every: None,
        }
    }
}

impl Zone {
    pub(crate) fn contains(&self, bbox: &BBox) -> bool {
        let Point { x, y } = bbox.anchor();
        self.polygon.contains(Point { x: x.clamp(EDGE, 1.0 - EDGE), y: y.clamp(EDGE, 1.0 - EDGE) })
    }
}

/// One track and one zone.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    stage: Stage,
    stood_at: Point,
    still_since: Timestamp,
}

/// Where a track is in its visit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// → `Inside` after `enter_after`, → gone when it leaves before.
    Arriving { since: Timestamp },
    /// → `Leaving` when the anchor is outside.
    Inside { entered_at: Timestamp, n_dwells: u32 },
    /// → `Inside` when it is back, → gone after `exit_after`.
    Leaving { entered_at: Timestamp, n_dwells: u32, since: Timestamp },
}

/// What one observation of a track means for a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing to tell.
    Nothing,
    /// It counts as inside from now on.
    Entered,
    /// A period of its dwell is over.
    Dwelled { dwell: Duration, still_for: Duration },
    /// It counts as outside from now on; forget it.
    Exited { dwell: Duration },
    /// It never counted as inside; forget it.
    Passed,
}

impl Presence {
    /// A track whose anchor is inside for the first time.
    pub(crate) fn new(at: Timestamp, bbox: &BBox) -> Self {
        Self { stage: Stage::Arriving { since: at }, stood_at: bbox.anchor(), still_since: at }
    }

    /// Whether it counts as inside.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self.stage, Stage::Arriving { .. })
    }

    /// Whether it neither comes in nor goes out.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Inside { .. })
    }

    /// Takes in where the track is now.
    pub(crate) fn observe(&mut self, at: Timestamp, zone: &Zone, bbox: &BBox) -> Step {
        self.watch_stillness(at, bbox);
        let timing = &zone.timing;
        let inside = zone.contains(bbox);
        match self.stage {
            Stage::Arriving { .. } if !inside => Step::Passed,
            Stage::Arriving { since } if elapsed(since, at) >= timing.enter_after => {
                self.stage = Stage::Inside { entered_at: since, n_dwells: 0 };
                Step::Entered
            }
            Stage::Arriving { .. } => Step::Nothing,
            Stage::Inside { entered_at, n_dwells } if !inside => {
                self.stage = Stage::Leaving { entered_at, n_dwells, since: at };
                Step::Nothing
            }
            Stage::Inside { entered_at, n_dwells } => self.dwell(at, timing, (entered_at, n_dwells)),
            Stage::Leaving { entered_at, n_dwells, .. } if inside => {
                self.stage = Stage::Inside { entered_at, n_dwells };
                self.dwell(at, timing, (entered_at, n_dwells))
            }
            Stage::Leaving { entered_at, since, .. } if elapsed(since, at) >= timing.exit_after => {
                Step::Exited { dwell: elapsed(entered_at, since) }
            }
            Stage::Leaving { .. } => Step::Nothing,
        }
    }

    /// The track has not moved up to this time.
    pub(crate) fn carry(&mut self, at: Timestamp, timing: &ZoneTiming) -> Step {
        match self.stage {
            Stage::Inside { entered_at, n_dwells } => self.dwell(at, timing, (entered_at, n_dwells)),
            Stage::Arriving { .. } | Stage::Leaving { .. } => Step::Nothing,
        }
    }

    /// The track is gone.
    pub(crate) fn close(&self, at: Timestamp) -> Step {
        match self.stage {
            Stage::Arriving { .. } => Step::Passed,
            Stage::Inside { entered_at, .. } => Step::Exited { dwell: elapsed(entered_at, at) },
            Stage::Leaving { entered_at, since, .. } => Step::Exited { dwell: elapsed(entered_at, since) },
        }
    }

    /// Whether a period of its dwell would be over at this time.
    pub(crate) fn is_dwell_due(&self, at: Timestamp, timing: &ZoneTiming) -> bool {
        match self.stage {
            Stage::Inside { entered_at, n_dwells } => n_periods(elapsed(entered_at, at), timing) > n_dwells,
            Stage::Arriving { .. } | Stage::Leaving { .. } => false,
        }
    }

    fn dwell(&mut self, at: Timestamp, timing: &ZoneTiming, (entered_at, n_dwells): (Timestamp, u32)) -> Step {
        let dwell = elapsed(entered_at, at);
        let n_periods = n_periods(dwell, timing);
        if n_periods <= n_dwells {
            return Step::Nothing;
        }
        self.stage = Stage::Inside { entered_at, n_dwells: n_periods };
        Step::Dwelled { dwell, still_for: elapsed(self.still_since, at) }
    }

    fn watch_stillness(&mut self, at: Timestamp, bbox: &BBox) {
        let anchor = bbox.anchor();
        let (dx, dy) = (anchor.x - self.stood_at.x, anchor.y - self.stood_at.y);
        if dx.hypot(dy) > STILL_SHARE * bbox.h {
            self.stood_at = anchor;
            self.still_since = at;
        }
    }
}

/// How many whole periods a dwell has lasted.
fn n_periods(dwell: Duration, timing: &ZoneTiming) -> u32 {
    let every = timing.dwell_every.filter(|every| !every.is_zero());
    every.map_or(0, |every| u32::try_from(dwell.as_millis() / every.as_millis().max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap()
    }

    fn left_half() -> Zone {
        let corners = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)];
        let points = corners.iter().map(|&(x, y)| Point { x, y }).collect();
        let timing = ZoneTiming { dwell_every: Some(Duration::from_secs(10)), ..ZoneTiming::default() };
        Zone { id: "gate".to_owned(), polygon: Polygon::new(points).unwrap(), classes: ClassSet::all(), timing }
    }

    fn standing_at(x: f32) -> BBox {
        BBox { x: x - 0.02, y: 0.5, w: 0.04, h: 0.2 }
    }

    /// Feeds (seconds, x) and lists what was told.
    fn check(path: &[(f64, f32)], expected: &[(f64, Step)]) {
        let zone = left_half();
        let mut presence = Presence::new(at(path[0].0), &standing_at(path[0].1));
        let mut told = Vec::new();
        for &(seconds, x) in path {
            let step = presence.observe(at(seconds), &zone, &standing_at(x));
            if step != Step::Nothing {
                told.push((seconds, step));
            }
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn short_visit_is_no_visit() {
        check(&[(0.0, 0.4), (0.2, 0.4), (0.4, 0.6)], &[(0.4, Step::Passed)]);
    }

    #[test]
    fn person_leaving_zone_closes_dwell() {
        let path = [(0.0, 0.4), (0.6, 0.4), (4.0, 0.6), (4.5, 0.6), (5.0, 0.6)];
        let dwell = Duration::from_secs(4);
        check(&path, &[(0.6, Step::Entered), (5.0, Step::Exited { dwell })]);
    }

    #[test]
    fn stepping_out_briefly_is_no_exit() {
        let path = [(0.0, 0.4), (0.6, 0.4), (1.0, 0.55), (1.8, 0.55), (1.9, 0.45), (2.9, 0.45)];
        check(&path, &[(0.6, Step::Entered)]);
    }

    #[test]
    fn dwell_is_told_each_period_with_how_long_it_stood_still() {
        let path = [(0.0, 0.1), (1.0, 0.1), (6.0, 0.4), (10.2, 0.42), (15.0, 0.42), (20.0, 0.41)];
        let dwelled = |seconds: f64, still: f64| {
            let still_for = Duration::from_secs_f64(still);
            (seconds, Step::Dwelled { dwell: Duration::from_secs_f64(seconds), still_for })
        };
        check(&path, &[(1.0, Step::Entered), dwelled(10.2, 4.2), dwelled(20.0, 14.0)]);
    }

    #[test]
    fn a_dwell_is_due_once_per_period_and_only_inside() {
        let (zone, here) = (left_half(), standing_at(0.3));
        let mut presence = Presence::new(at(0.0), &here);
        assert!(!presence.is_dwell_due(at(11.0), &zone.timing), "it has not entered yet");
        presence.observe(at(1.0), &zone, &here);
        assert!(!presence.is_dwell_due(at(9.9), &zone.timing));
        assert!(presence.is_dwell_due(at(10.0), &zone.timing));
        presence.observe(at(10.0), &zone, &here);
        assert!(!presence.is_dwell_due(at(19.9), &zone.timing));
    }

    #[test]
    fn feet_on_the_edge_of_the_frame_are_in_zones_that_reach_it() {
        let cut_off = BBox { x: 0.0, y: 0.8, w: 0.1, h: 0.2 };
        assert!(left_half().contains(&cut_off));
    }
}
