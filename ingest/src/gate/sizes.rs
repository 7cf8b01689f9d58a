//! Whether the encoded sizes of a camera's access units say that something moves, learned from the camera itself.
//!
//! Two measures of the sizes between keyframes, each smoothed over half a second: how large they are, and how much one differs from
//! the next. Each moment is filed under quiet or active as the analysis labels it afterwards. Sizes are trusted only while every
//! episode of activity at this camera stands out from its quiet moments: a constant bit rate, or walkers that are small beside the
//! cars, earn no trust. Until the first episodes they are trusted where next to nothing is coded between keyframes, because what
//! moves must be coded. Pure; times are capture times.

mod episodes;
mod signal;

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::KEYFRAMES_SUFFICE_WITHIN;
use episodes::{Episodes, Levels};
use signal::{Signal, seconds};

/// Time constant of the smoothing, seconds.
const SMOOTHING: f32 = 0.5;
/// Smoothing tells of a rise so much later.
const LAG: SignedDuration = SignedDuration::from_millis(250);
/// Bytes that are added to each size, so that tiny ones don't differ much.
const FLOOR: f32 = 16.0;
/// Moments that wait for their label at most: twelve seconds at 25/s and some.
const MAX_UNLABELLED: usize = 512;
/// A quiet access unit between keyframes is next to nothing below this share of a keyframe. x264 at a constant quality gives 0.003 to
/// 0.01 on a quiet street with a noisy sensor and 0.03 on a busy one; at a constant bit rate 0.13.
const SPARSE: f32 = 0.025;
/// A picture that was looked at tells of so long before it, if none was shortly before.
const TELLS_OF: SignedDuration = SignedDuration::from_millis(500);

/// One camera's sizes.
#[derive(Default)]
pub struct SizeEvidence {
    last: Option<Moment>,
    keyframe_bytes: Option<usize>,
    unlabelled: VecDeque<(Timestamp, Levels)>,
    /// When a picture was last looked at.
    labelled_at: Option<Timestamp>,
    episodes: Episodes,
    /// Of the sizes, and of their differences.
    signals: [Signal; 2],
}

/// The latest access unit between keyframes.
#[derive(Clone, Copy)]
struct Moment {
    at: Timestamp,
    /// In powers of two.
    size: f32,
    /// Smoothed, in bytes.
    bytes: f32,
    /// Smoothed, in powers of two.
    difference: f32,
}

impl Moment {
    fn next(last: Option<Self>, at: Timestamp, n_bytes: usize) -> Self {
        let bytes = n_bytes as f32;
        let size = (bytes + FLOOR).log2();
        let Some(last) = last.filter(|last| at > last.at) else { return Self { at, size, bytes, difference: 0.0 } };
        let weight = 1.0 - (-seconds(last.at, at) / SMOOTHING).exp();
        Self {
            at,
            size,
            bytes: last.bytes + weight * (bytes - last.bytes),
            difference: last.difference + weight * ((size - last.size).abs() - last.difference),
        }
    }

    fn levels(&self) -> Levels {
        [(self.bytes + FLOOR).log2(), self.difference]
    }
}

impl SizeEvidence {
    /// Takes in a keyframe.
    pub fn observe_keyframe(&mut self, n_bytes: usize) {
        self.keyframe_bytes = Some(n_bytes);
    }

    /// Takes in an access unit between keyframes.
    pub fn observe(&mut self, at: Timestamp, n_bytes: usize) {
        let moment = Moment::next(self.last, at, n_bytes);
        self.last = Some(moment);
        if self.unlabelled.len() == MAX_UNLABELLED {
            self.unlabelled.pop_front();
        }
        self.unlabelled.push_back((at, moment.levels()));
        for (signal, level) in self.signals.iter_mut().zip(moment.levels()) {
            signal.observe(at, level);
        }
    }

    /// Says what a picture that was looked at shows. It tells of the time since the one before, if that was shortly before; of time
    /// that nobody looked at nothing is learned.
    pub fn label(&mut self, until: Timestamp, active: bool) {
        let last = self.labelled_at.replace(until).map(|last| until.duration_since(last));
        let told_of = last.filter(|since| *since <= KEYFRAMES_SUFFICE_WITHIN).unwrap_or(TELLS_OF);
        while let Some((at, levels)) = self.unlabelled.pop_front_if(|(at, _)| *at <= until) {
            if until.duration_since(at) > told_of {
                continue;
            }
            if active {
                self.signals.iter_mut().for_each(|signal| signal.active(at));
                self.episodes.active(at, levels);
                continue;
            }
            for (signal, level) in self.signals.iter_mut().zip(levels) {
                signal.quiet(at, level);
            }
            self.episodes.end_if_over(at);
        }
        self.signals.iter_mut().for_each(Signal::settle);
    }

    /// The gate closes: it is to be opened anew by whatever moves next.
    pub fn gate_closed(&mut self) {
        self.episodes.end();
    }

    /// The sizes said movement and nothing moved: what is no higher is quiet, for a good while.
    pub fn false_alarm(&mut self, at: Timestamp) {
        self.signals.iter_mut().for_each(|signal| signal.false_alarm(at));
    }

    /// The stream began anew or its clock jumped: what waits can't be labelled any more.
    pub fn interrupted(&mut self) {
        self.last = None;
        self.unlabelled.clear();
        self.labelled_at = None;
        self.episodes.interrupted();
        self.signals.iter_mut().for_each(Signal::interrupted);
    }

    /// Whether whatever moves at this camera would stand out now.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted_if(|thresholds| {
            self.episodes.are_shown(thresholds) || (self.is_sparse() && !self.episodes.is_any_missed(thresholds))
        })
    }

    /// Whether they are trusted because of what was seen to move at this camera.
    pub fn are_proven(&self) -> bool {
        self.is_trusted_if(|thresholds| self.episodes.are_shown(thresholds))
    }

    fn is_trusted_if(&self, are_enough: impl Fn(Levels) -> bool) -> bool {
        self.signals.iter().all(Signal::is_learned) && self.thresholds().is_some_and(are_enough)
    }

    /// Whether next to nothing is coded while nothing moves.
    fn is_sparse(&self) -> bool {
        let between = self.signals[0].quiet_median().exp2() - FLOOR;
        self.keyframe_bytes.is_some_and(|keyframe| between < SPARSE * keyframe as f32)
    }

    /// Whether the sizes say now that something moves, as far as they are trusted.
    pub fn says_movement(&self) -> bool {
        self.raised().next().is_some() && self.is_trusted()
    }

    /// Since when what is trusted has been rising; whatever moves now came no earlier.
    pub fn rising_since(&self) -> Option<Timestamp> {
        self.raised().filter_map(Signal::calm_at).min()?.checked_sub(LAG).ok()
    }

    /// Measures that are so high now that something moves, if they have a say.
    fn raised(&self) -> impl Iterator<Item = &Signal> {
        let telling = self.thresholds().map_or([false; 2], |thresholds| self.episodes.telling(thresholds));
        self.signals
            .iter()
            .zip(telling)
            .filter(|(signal, tells)| *tells && signal.is_raised())
            .map(|(signal, _)| signal)
    }

    /// From which levels on something moves, as of the last moment.
    fn thresholds(&self) -> Option<Levels> {
        let now = self.last?.at;
        Some(self.signals.each_ref().map(|signal| signal.threshold(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(frame: i64) -> Timestamp {
        Timestamp::from_millisecond(1_790_000_000_000 + frame * 40).unwrap()
    }

    /// Plays stretches of (frames, median size, active), jittered by a fifth; gives the evidence and the next frame.
    fn played(stretches: &[(i64, f32, bool)]) -> (SizeEvidence, i64) {
        let mut evidence = SizeEvidence::default();
        let mut frame = 0;
        for &(n_frames, size, active) in stretches {
            for _ in 0..n_frames {
                let jitter = 0.8 + 0.4 * ((frame * 7919 % 101) as f32 / 100.0);
                evidence.observe(at(frame), (size * jitter) as usize);
                evidence.label(at(frame), active);
                frame += 1;
            }
        }
        (evidence, frame)
    }

    fn triggers(evidence: &mut SizeEvidence, from: i64, n_frames: i64, size: usize) -> bool {
        (from..from + n_frames).fold(false, |triggered, frame| {
            evidence.observe(at(frame), size);
            triggered | evidence.says_movement()
        })
    }

    #[test]
    fn constant_quality_shows_a_walker() {
        let (mut evidence, next) = played(&[
            (500, 176.0, false),
            (100, 272.0, true),
            (100, 176.0, false),
            (100, 272.0, true),
            (1500, 176.0, false),
        ]);
        assert!(evidence.is_trusted());
        assert!(!triggers(&mut evidence, next, 50, 180));
        assert!(triggers(&mut evidence, next + 50, 10, 272));
    }

    #[test]
    fn a_walker_whose_sizes_only_alternate_shows() {
        let mut evidence = SizeEvidence::default();
        for frame in 0..1500 {
            let active = (500..700).contains(&frame) || (900..1000).contains(&frame);
            // Slow light is as large as the walker, who comes in every second picture.
            let quiet = 1400.0 + 700.0 * (frame as f32 / 80.0).sin();
            let size = if !active {
                quiet
            } else if frame % 2 == 0 {
                2000.0
            } else {
                1000.0
            };
            evidence.observe(at(frame), size as usize);
            evidence.label(at(frame), active);
        }
        assert!(evidence.is_trusted());
        assert!(!evidence.says_movement());
        assert!((1500..1520).any(|frame| {
            evidence.observe(at(frame), if frame % 2 == 0 { 2000 } else { 1000 });
            evidence.says_movement()
        }));
    }

    #[test]
    fn constant_bit_rate_earns_no_trust() {
        let (evidence, _) =
            played(&[(500, 9143.0, false), (300, 9083.0, true), (100, 9143.0, false), (300, 7841.0, true)]);
        assert!(!evidence.is_trusted());
    }

    #[test]
    fn nothing_active_ever_seen_earns_no_trust() {
        assert!(!played(&[(2000, 176.0, false)]).0.is_trusted());
    }

    #[test]
    fn next_to_nothing_between_keyframes_is_trusted_until_somebody_is_missed() {
        let quiet = (500, 176.0, false);
        let trusted = |stretches: &[(i64, f32, bool)], keyframe_bytes| {
            let (mut evidence, _) = played(stretches);
            evidence.observe_keyframe(keyframe_bytes);
            (evidence.is_trusted(), evidence.are_proven())
        };
        assert_eq!(trusted(&[quiet], 60_000), (true, false));
        assert_eq!(trusted(&[quiet], 1_000), (false, false), "as at a constant bit rate");
        assert_eq!(trusted(&[quiet, (100, 272.0, true), quiet], 60_000), (true, false));
        assert_eq!(trusted(&[quiet, (100, 180.0, true), quiet], 60_000), (false, false));
        let (mut evidence, next) = played(&[quiet]);
        evidence.observe_keyframe(60_000);
        assert!(!triggers(&mut evidence, next, 50, 180) && triggers(&mut evidence, next + 50, 10, 272));
    }

    #[test]
    fn rain_that_goes_on_does_not_trigger_for_ever() {
        let (mut evidence, next) = played(&[
            (500, 176.0, false),
            (100, 400.0, true),
            (100, 176.0, false),
            (100, 400.0, true),
            (500, 176.0, false),
            (100, 900.0, false),
        ]);
        assert!(!triggers(&mut evidence, next, 250, 900));
    }

    #[test]
    fn a_false_alarm_is_believed_for_a_good_while_and_a_larger_one_is_not() {
        let (mut evidence, next) = played(&[
            (500, 176.0, false),
            (100, 960.0, true),
            (100, 176.0, false),
            (100, 960.0, true),
            (500, 176.0, false),
        ]);
        assert!(triggers(&mut evidence, next, 10, 400));
        evidence.false_alarm(at(next + 10));
        for frame in (next + 100..next + 1100).step_by(200) {
            (frame..frame + 190).for_each(|quiet| evidence.observe(at(quiet), 176));
            assert!(!triggers(&mut evidence, frame + 190, 10, 390));
        }
        assert!(evidence.is_trusted() && triggers(&mut evidence, next + 1200, 20, 960));
    }

    #[test]
    fn time_that_nobody_looked_at_teaches_nothing() {
        let cars = [(250, 176.0, false), (100, 960.0, true)].repeat(2);
        let (mut evidence, next) = played(&[&cars[..], &[(500, 176.0, false)]].concat());
        let threshold = |evidence: &SizeEvidence, frame| evidence.signals[0].threshold(at(frame));
        let before = threshold(&evidence, next);
        // Something larger goes by between checks, again and again, and is gone when one looks.
        for frame in next..next + 250 * 40 {
            let since_check = (frame - next) % 250;
            evidence.observe(at(frame), if (50..200).contains(&since_check) { 700 } else { 176 });
            if since_check == 249 {
                evidence.label(at(frame), false);
            }
        }
        let after = threshold(&evidence, next + 250 * 40);
        assert!((after - before).abs() < 0.1, "{before} → {after}");
        assert!(triggers(&mut evidence, next + 250 * 40, 25, 700));
    }

    #[test]
    fn what_is_looked_at_now_and_then_is_learned_all_the_same() {
        let cars = [(250, 176.0, false), (100, 960.0, true)].repeat(2);
        let (mut evidence, next) = played(&[&cars[..], &[(500, 176.0, false)]].concat());
        // Noise that grew while the camera was away is quiet once it was checked often enough.
        for frame in next..next + 250 * 300 {
            evidence.observe(at(frame), 260);
            if (frame - next) % 250 == 249 {
                evidence.label(at(frame), false);
            }
        }
        assert!(!evidence.says_movement());
    }

    #[test]
    fn walkers_that_don_t_show_beside_huge_cars_cost_trust_however_many_cars_there_are() {
        let (car, walker, quiet) = ((500, 20_000.0, true), (150, 180.0, true), (250, 176.0, false));
        let cars = [[quiet, car]; 12].concat();
        assert!(played(&[&cars[..], &[quiet]].concat()).0.is_trusted());
        assert!(!played(&[&cars[..], &[quiet, walker, quiet]].concat()).0.is_trusted(), "at once");
        assert!(!played(&[&cars[..], &[quiet, walker], &cars[..6], &[quiet]].concat()).0.is_trusted(), "for long");
        assert!(played(&[&cars[..], &[quiet, walker], &cars[..], &[quiet]].concat()).0.is_trusted(), "until re-earned");
    }

    proptest::proptest! {
        #[test]
        fn any_sizes_and_times_are_taken(moments in proptest::collection::vec((-1_000_000i64..1_000_000, 0usize..50_000_000, proptest::bool::ANY), 0..200)) {
            let mut evidence = SizeEvidence::default();
            for (frame, n_bytes, active) in moments {
                evidence.observe(at(frame), n_bytes);
                evidence.label(at(frame), active);
                proptest::prop_assert!(evidence.signals.iter().all(|signal| signal.threshold(at(frame)).is_finite()));
            }
        }
    }
}
