//! Whether a camera's picture can be used: black, frozen, covered, blurred, moved, over-exposed.
//!
//! Enters: its decoded, masked keyframes, and where those are rare other pictures, at any pace from one a second to one a minute.
//! Leaves: the faults that hold, each since when. A fault must show for half a minute before it counts and be gone for a quarter before it
//! ends. What the view normally looks like is learned slowly, in memory only, so dusk, seasons and moved furniture pass. Not here: what to
//! do about a fault.

mod align;
mod grid;
mod sample;
mod streak;
mod symptoms;
mod view;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::frame::{Frame, Range};
use crate::mask::PrivacyMasks;

use grid::Grid;
use sample::Sample;
use streak::{Moment, Patience, Streak};
use symptoms::Symptom;
use view::{Traits, View};

/// Most time that passes between two pictures as far as patience goes: a camera that was away has shown nothing meanwhile.
const MAX_STEP: Duration = Duration::from_secs(60);

/// A camera whose keyframes are further apart shows how its picture is in others too.
const LOOKS_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// What can be wrong with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PictureFault {
    /// Nothing but darkness.
    Black,
    /// Most of it burnt out.
    OverExposed,
    /// The same picture again and again, noise included.
    Frozen,
    /// Something hides most of the view, or veils it.
    Covered,
    /// The camera looks elsewhere.
    Moved,
    /// The view is where it was, but without its detail.
    Blurred,
}

impl PictureFault {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Black, Self::OverExposed, Self::Frozen, Self::Covered, Self::Moved, Self::Blurred];

    /// The name for logs, metrics and the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::OverExposed => "over_exposed",
            Self::Frozen => "frozen",
            Self::Covered => "covered",
            Self::Moved => "moved",
            Self::Blurred => "blurred",
        }
    }

    /// What is seen and what to do, in one sentence for whoever looks after the camera.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Black => "the picture is black; check the lens cap, the light and the infrared lamp at night",
            Self::OverExposed => {
                "most of the picture is burnt out; check exposure, gain and whether a lamp or the sun shines into the lens"
            }
            Self::Frozen => "the same picture comes again and again; restart the camera or its encoder",
            Self::Covered => "the view is covered or veiled; clear what stands, hangs or sticks before the lens",
            Self::Moved => {
                "the camera looks elsewhere than before; aim it again, or check zones and masks for the new view"
            }
            Self::Blurred => "the picture lost its detail; clean the lens and set the focus",
        }
    }
}

/// How patient the judgement is.
#[derive(Clone, Debug)]
pub struct PictureHealthSettings {
    /// Painted on the frames and left out of the judgement.
    pub masks: PrivacyMasks,
    /// How long something must be wrong before it is a fault.
    pub confirm_after: Duration,
    /// How long nothing must be wrong before a fault ends.
    pub clear_after: Duration,
    /// How long a new view must stay the same before it is taken as the camera's own.
    pub accept_view_after: Duration,
}

impl PictureHealthSettings {
    /// The usual patience: faults are found within 60 s at one keyframe in up to 15 s, a bus that stops for 20 s is none.
    pub fn new(masks: PrivacyMasks) -> Self {
        Self {
            masks,
            confirm_after: Duration::from_secs(30),
            clear_after: Duration::from_secs(15),
            accept_view_after: Duration::from_secs(600),
        }
    }
}

/// A fault that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSince {
    /// Which.
    pub fault: PictureFault,
    /// Capture time of the first picture that showed it.
    pub since: Timestamp,
}

/// What is wrong now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureVerdict {
    /// All faults that hold, worst first.
    pub faults: Vec<FaultSince>,
}

impl PictureVerdict {
    /// The fault to tell first.
    pub fn worst(&self) -> Option<FaultSince> {
        self.faults.first().copied()
    }

    /// Whether this fault holds.
    pub fn has(&self, fault: PictureFault) -> bool {
        self.faults.iter().any(|found| found.fault == fault)
    }
}

/// One camera's picture health.
pub struct PictureHealth {
    settings: PictureHealthSettings,
    scene: Option<Scene>,
    streaks: [Streak; Symptom::COUNT],
    last_at: Option<Timestamp>,
    watched: Duration,
}

/// What belongs to one picture size.
struct Scene {
    grid: Grid,
    view: View,
    /// The picture before.
    last: Option<Sample>,
    /// Whether the last keyframe repeated the picture before it. Between keyframes an encoder leaves out what hardly changes: only where
    /// it began anew and came to the same did its source stand still.
    repeated_anew: bool,
    /// Confirmed displacement: is it a move, and what the camera shows since.
    displaced: Option<Displaced>,
}

struct Displaced {
    fault: PictureFault,
    view: View,
    stable: Duration,
}

impl PictureHealth {
    /// Nothing known yet.
    pub fn new(settings: PictureHealthSettings) -> Self {
        Self { settings, scene: None, streaks: Default::default(), last_at: None, watched: Duration::ZERO }
    }

    /// Whether a picture of this time is worth taking although it is no keyframe.
    pub fn is_due(&self, at: Timestamp) -> bool {
        self.last_at.is_none_or(|last_at| at.duration_since(last_at).abs() >= LOOKS_EVERY)
    }

    /// Takes one keyframe; what is wrong now. Frames that are tiny or wholly masked change nothing.
    pub fn observe(&mut self, frame: &Frame) -> PictureVerdict {
        self.take(frame, true)
    }

    /// The same with a picture between keyframes, after all keyframes before it.
    pub fn observe_between(&mut self, frame: &Frame) -> PictureVerdict {
        self.take(frame, false)
    }

    fn take(&mut self, frame: &Frame, keyframe: bool) -> PictureVerdict {
        let at = frame.captured_at();
        let step = self.last_at.map_or(Duration::ZERO, |last| step(last, at));
        self.last_at = Some(at);
        self.watched += step;
        let size = (frame.width() as usize, frame.height() as usize);
        if self.scene.as_ref().is_none_or(|scene| scene.grid.frame != size) {
            self.start_over(size);
        }
        if let Some(scene) = self.scene.as_mut() {
            let now = Moment { watched: self.watched, at };
            scene.observe((frame, keyframe), step, now, (&mut self.streaks, &self.settings));
        }
        self.verdict()
    }

    /// What is wrong, by what was seen so far.
    pub fn verdict(&self) -> PictureVerdict {
        let displaced = self.scene.as_ref().and_then(|scene| scene.displaced.as_ref());
        let fault = |symptom| match symptom {
            Symptom::Black => PictureFault::Black,
            Symptom::OverExposed => PictureFault::OverExposed,
            Symptom::Frozen => PictureFault::Frozen,
            Symptom::Displaced => displaced.map_or(PictureFault::Covered, |displaced| displaced.fault),
            Symptom::Blurred => PictureFault::Blurred,
            Symptom::Blank => PictureFault::Covered,
        };
        let holding = |symptom: Symptom| {
            let since = self.streaks[symptom as usize].since()?;
            Some(FaultSince { fault: fault(symptom), since })
        };
        let mut faults: Vec<FaultSince> = Symptom::ALL.into_iter().filter_map(holding).collect();
        faults.sort_by_key(|found| (found.fault, found.since));
        faults.dedup_by_key(|found| found.fault);
        PictureVerdict { faults }
    }

    /// Forgets the view and all faults: someone says that the camera is as it should be.
    pub fn relearn(&mut self) {
        self.scene = None;
        self.streaks.iter_mut().for_each(Streak::reset);
    }

    fn start_over(&mut self, size: (usize, usize)) {
        self.relearn();
        self.scene = Grid::new(size, &self.settings.masks).map(|grid| Scene {
            view: View::new(&grid),
            last: None,
            repeated_anew: false,
            displaced: None,
            grid,
        });
    }
}

impl Scene {
    fn observe(
        &mut self,
        (frame, keyframe): (&Frame, bool),
        step: Duration,
        now: Moment,
        (streaks, settings): (&mut [Streak; Symptom::COUNT], &PictureHealthSettings),
    ) {
        let full_range = frame.picture().colour().range == Range::Full;
        let sample = Sample::take(frame.picture().luma(), &self.grid);
        let found = symptoms::find(&sample, self.last.as_ref(), (&self.view, &self.grid), full_range);
        if keyframe {
            self.repeated_anew = found.shown[Symptom::Frozen as usize];
        }
        let usual = Patience { confirm: settings.confirm_after, clear: settings.clear_after, n_pictures: 3 };
        for symptom in Symptom::ALL {
            let is_unsure = symptom == Symptom::Frozen && !self.repeated_anew;
            let patience = if is_unsure { Patience { confirm: Duration::MAX, ..usual } } else { usual };
            let is_new = streaks[symptom as usize].take(found.shown[symptom as usize], now, patience);
            if is_new && symptom == Symptom::Displaced {
                let fault = found.likeness.map_or(PictureFault::Covered, |likeness| {
                    symptoms::displacement(&sample, &likeness, (&self.view, &self.grid))
                });
                self.displaced = Some(Displaced { fault, view: View::new(&self.grid), stable: Duration::ZERO });
            }
        }
        let is_displaced = streaks[Symptom::Displaced as usize].since().is_some();
        if !is_displaced {
            self.displaced = None;
        }
        if found.is_sound() {
            self.view.learn(&sample, found.traits, &self.grid, step);
        } else if is_displaced && self.accepts(&sample, found.traits, step, settings.accept_view_after) {
            streaks.iter_mut().for_each(Streak::reset);
        }
        self.last = Some(sample);
    }

    /// Learns what a moved camera shows; `true` once that was stable for so long that it became the view.
    fn accepts(&mut self, sample: &Sample, traits: Traits, step: Duration, after: Duration) -> bool {
        let Some(displaced) = self.displaced.as_mut().filter(|displaced| displaced.fault == PictureFault::Moved) else {
            return false;
        };
        if displaced.view.is_learned() {
            let likeness = displaced.view.compare(sample, traits, &self.grid, 0.0);
            if likeness.is_none_or(|likeness| likeness.kept < symptoms::DISPLACED) {
                displaced.view = View::new(&self.grid);
                displaced.stable = Duration::ZERO;
            }
        }
        displaced.view.learn(sample, traits, &self.grid, step);
        displaced.stable += step;
        if displaced.stable < after {
            return false;
        }
        if let Some(displaced) = self.displaced.take() {
            self.view = displaced.view;
        }
        true
    }
}

/// Time between two pictures. A clock that steps back says nothing, so no time passed as far as we know.
fn step(last: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(last)).unwrap_or(Duration::ZERO).min(MAX_STEP)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Colour, DecodedFrame};
    use crate::geometry::{Point, Polygon};
    use crate::mask;

    fn frame(
        luma: impl Fn(usize) -> u8,
        (width, height): (usize, usize),
        (second, masks): (i64, &PrivacyMasks),
    ) -> Frame {
        let mut bytes: Vec<u8> = (0..width * height).map(luma).collect();
        bytes.resize(bytes.len() + 2 * width.div_ceil(2) * height.div_ceil(2), 128);
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let size = (width as u32, height as u32);
        mask::paint(DecodedFrame::from_i420(bytes, size, Colour::default(), at).unwrap(), masks)
    }

    fn health(masks: &PrivacyMasks) -> PictureHealth {
        PictureHealth::new(PictureHealthSettings::new(masks.clone()))
    }

    /// Plain noise around a level.
    fn noise(seed: usize, level: u8) -> impl Fn(usize) -> u8 {
        move |index| level + ((index + seed * 7919).wrapping_mul(2_654_435_761) >> 13 & 3) as u8
    }

    #[test]
    fn every_fault_has_a_name_and_an_advice_of_its_own() {
        for fault in PictureFault::ALL {
            assert!(!fault.as_str().is_empty() && fault.advice().contains("; "), "{fault:?}");
        }
        let names: std::collections::BTreeSet<_> = PictureFault::ALL.map(PictureFault::as_str).into();
        assert_eq!(names.len(), PictureFault::ALL.len());
    }

    #[test]
    fn masks_over_everything_leave_nothing_to_say() {
        let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|(x, y)| Point { x, y });
        let masks = PrivacyMasks::new(vec![Polygon::new(corners.to_vec()).unwrap()]);
        let mut health = health(&masks);
        for second in (0..300).step_by(2) {
            let verdict = health.observe(&frame(|_| 90, (320, 240), (second, &masks)));
            assert_eq!(verdict, PictureVerdict::default());
        }
    }

    #[test]
    fn noise_alone_is_no_view() {
        let masks = PrivacyMasks::none();
        let mut health = health(&masks);
        for second in (0..60).step_by(2) {
            let verdict = health.observe(&frame(noise(second as usize, 120), (320, 240), (second, &masks)));
            assert_eq!(verdict.has(PictureFault::Covered), second >= 32, "{second}");
        }
    }

    #[test]
    fn a_clock_that_jumps_confirms_nothing_early_and_stops_nothing() {
        let masks = PrivacyMasks::none();
        let mut health = health(&masks);
        let black_at = |second: i64, health: &mut PictureHealth| {
            health.observe(&frame(noise(second.unsigned_abs() as usize, 16), (320, 240), (second, &masks)))
        };
        for second in [0, 7200, 14_400] {
            assert_eq!(black_at(second, &mut health), PictureVerdict::default(), "three pictures are too few");
        }
        let verdicts: Vec<_> = (0..30).map(|index| black_at(-9000 + 2 * index, &mut health)).collect();
        assert!(verdicts[29].has(PictureFault::Black));
        assert_eq!(verdicts[29].worst().unwrap().since, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn a_change_of_size_starts_over() {
        let masks = PrivacyMasks::none();
        let mut health = health(&masks);
        for second in (0..60).step_by(2) {
            health.observe(&frame(noise(second as usize, 16), (320, 240), (second, &masks)));
        }
        assert!(health.verdict().has(PictureFault::Black));
        assert_eq!(health.observe(&frame(noise(1, 16), (352, 288), (62, &masks))), PictureVerdict::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pictures_of_any_size_and_content_never_panic(
            width in 2usize..400, height in 2usize..300, seed: u64, steps in proptest::collection::vec(-100i64..100, 1..12)
        ) {
            let masks = PrivacyMasks::none();
            let mut health = health(&masks);
            let mut second = 0;
            for (index, step) in steps.into_iter().enumerate() {
                second += step;
                let luma = |at: usize| ((at as u64).wrapping_mul(seed | 1) >> (seed % 40 + index as u64)) as u8;
                let verdict = health.observe(&frame(luma, (width, height), (second, &masks)));
                prop_assert!(verdict.faults.windows(2).all(|pair| pair[0].fault < pair[1].fault));
            }
        }
    }
}
