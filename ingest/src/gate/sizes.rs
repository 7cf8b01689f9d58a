//! Whether the encoded sizes of a camera's access units say that something moves, learned from the camera itself.
//!
//! The size between keyframes, smoothed over half a second, is filed under quiet or active as the analysis labels each
//! moment afterwards. Sizes are trusted only while the active ones of this camera stand out from its quiet ones: a constant
//! bit rate, or traffic outside the zones, shows no difference and earns no trust. Pure; times are capture times.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Time constant of the smoothing, seconds.
const SMOOTHING: f32 = 0.5;
/// Moments that wait for their label at most: twelve seconds at 25/s and some.
const MAX_UNLABELLED: usize = 512;
/// Least rise over the quiet median that counts, in powers of two.
const MIN_RISE: f32 = 0.2;
/// Quiet spreads (median to 95th percentile) over the median that count as movement.
const SPREADS: f32 = 1.5;
/// Quiet and active moments that must be known before sizes are trusted.
const MIN_MOMENTS: (f32, f32) = (150.0, 40.0);
/// Share of the active moments that must stand out.
const MIN_STANDING_OUT: f32 = 0.3;
/// Moments in a row above the threshold that open the gate.
const MOMENTS_IN_A_ROW: u32 = 2;
/// Share of the way from the quiet median to the threshold that is calm no longer.
const CALM: f32 = 0.5;
/// Smoothing tells of a rise so much later.
const LAG: SignedDuration = SignedDuration::from_millis(500);
/// A level that was quiet for this long just now, seconds, however large, stays quiet for a while.
const RECENT: f32 = 1.5;
/// The half-life, in seconds, in which that fades.
const RECENT_HALF_LIFE: f32 = 30.0;
/// The half-life, in seconds, of what a false alarm taught.
const FALSE_ALARM_HALF_LIFE: f32 = 1800.0;
/// Moments just after movement still carry some of it and are neither quiet nor active.
const TAIL: SignedDuration = SignedDuration::from_millis(1500);
/// Each miss doubles the active moments needed for new trust, up to so often.
const MAX_DOUBLINGS: u32 = 6;

/// One camera's sizes.
#[derive(Default)]
pub struct SizeEvidence {
    smoothed: Option<(Timestamp, f32)>,
    unlabelled: VecDeque<(Timestamp, f32)>,
    quiet: Histogram,
    active: Histogram,
    /// Median of the quiet levels, and how far above it movement begins.
    quiet_level: (f32, f32),
    quiet_recent: Option<(Timestamp, f32)>,
    quiet_peak: Option<(Timestamp, f32)>,
    active_until: Option<Timestamp>,
    /// When the level was last no higher than quiet ones are.
    calm_at: Option<Timestamp>,
    n_misses: u32,
    n_above: u32,
    /// The highest level at which the sizes said movement, since that last came true or proved false.
    alarm: f32,
    /// The highest level at which nothing moved although the sizes said so, and when that was.
    false_alarm: Option<(Timestamp, f32)>,
}

impl SizeEvidence {
    /// Takes in an access unit between keyframes.
    pub fn observe(&mut self, at: Timestamp, n_bytes: usize) {
        let bytes = n_bytes as f32;
        let smoothed = match self.smoothed {
            Some((last_at, smoothed)) if at > last_at => {
                let weight = 1.0 - (-seconds(last_at, at) / SMOOTHING).exp();
                smoothed + weight * (bytes - smoothed)
            }
            _ => bytes,
        };
        self.smoothed = Some((at, smoothed));
        let level = (smoothed + 16.0).log2();
        if self.unlabelled.len() == MAX_UNLABELLED {
            self.unlabelled.pop_front();
        }
        self.unlabelled.push_back((at, level));
        let threshold = self.threshold(at);
        self.n_above = if level > threshold { self.n_above + 1 } else { 0 };
        if self.says_movement() {
            self.alarm = self.alarm.max(level);
        }
        if self.calm_at.is_none() || level <= threshold - CALM * self.quiet_level.1 {
            self.calm_at = Some(at);
        }
    }

    /// Says what the moments up to `until` were.
    pub fn label(&mut self, until: Timestamp, active: bool) {
        while let Some(&(at, level)) = self.unlabelled.front().filter(|(at, _)| *at <= until) {
            self.unlabelled.pop_front();
            if active {
                self.alarm = 0.0;
                self.active.add(level);
                self.active_until = Some(at);
                continue;
            }
            if self.active_until.is_some_and(|until| at.duration_since(until).abs() < TAIL) {
                continue;
            }
            self.quiet.add(level);
            let recent = match self.quiet_recent {
                Some((last_at, recent)) if at > last_at => {
                    recent + (1.0 - (-seconds(last_at, at) / RECENT).exp()) * (level - recent)
                }
                _ => level,
            };
            self.quiet_recent = Some((at, recent));
            self.quiet_peak = Some((at, self.faded_peak(at).max(recent)));
        }
        let median = self.quiet.quantile(0.5);
        let rise = MIN_RISE.max(SPREADS * (self.quiet.quantile(0.95) - median));
        self.quiet_level = (median, rise);
    }

    /// Something came that the sizes had not told: trust must be earned anew, by more.
    pub fn missed(&mut self) {
        self.active = Histogram::default();
        self.n_misses = (self.n_misses + 1).min(MAX_DOUBLINGS);
    }

    /// The sizes said movement and nothing moved: what is no higher is quiet, for a good while.
    pub fn false_alarm(&mut self, at: Timestamp) {
        let level = self.false_alarm_now(at).map_or(self.alarm, |level| level.max(self.alarm));
        self.false_alarm = Some((at, level));
        self.alarm = 0.0;
    }

    /// The stream began anew or its clock jumped: what waits can't be labelled any more.
    pub fn interrupted(&mut self) {
        self.smoothed = None;
        self.unlabelled.clear();
        (self.quiet_recent, self.quiet_peak, self.calm_at) = (None, None, None);
        self.n_above = 0;
    }

    /// Whether active moments of this camera would stand out now.
    pub fn is_trusted(&self) -> bool {
        let Some((now, _)) = self.smoothed else { return false };
        let needed = MIN_MOMENTS.1 * 2f32.powi(self.n_misses as i32);
        self.quiet.total >= MIN_MOMENTS.0
            && self.active.total >= needed.min(HALVED_AT / 2.0)
            && self.active.share_above(self.threshold(now)) >= MIN_STANDING_OUT
    }

    /// Whether the sizes say now that something moves.
    pub fn says_movement(&self) -> bool {
        self.n_above >= MOMENTS_IN_A_ROW
    }

    /// Since when the sizes have been rising; whatever moves now came no earlier.
    pub fn rising_since(&self) -> Option<Timestamp> {
        self.calm_at?.checked_sub(LAG).ok()
    }

    fn threshold(&self, at: Timestamp) -> f32 {
        let (median, rise) = self.quiet_level;
        let threshold = (median + rise).max(self.faded_peak(at) + MIN_RISE);
        self.false_alarm_now(at).map_or(threshold, |level| threshold.max(level))
    }

    /// The level of the last false alarm, faded towards the median.
    fn false_alarm_now(&self, at: Timestamp) -> Option<f32> {
        let (median, _) = self.quiet_level;
        let faded = |(alarm_at, level)| {
            median + (level - median) * 0.5f32.powf(seconds(alarm_at, at).max(0.0) / FALSE_ALARM_HALF_LIFE)
        };
        self.false_alarm.map(faded)
    }

    /// The largest quiet level of late, faded towards the median.
    fn faded_peak(&self, at: Timestamp) -> f32 {
        let (median, _) = self.quiet_level;
        let faded = self.quiet_peak.map(|(peak_at, peak)| {
            median + (peak - median) * 0.5f32.powf(seconds(peak_at, at).max(0.0) / RECENT_HALF_LIFE)
        });
        faded.unwrap_or(median)
    }
}

/// At this weight a histogram is halved, so that it follows the day.
const HALVED_AT: f32 = 3000.0;
/// Bins per power of two, and powers of two.
const BINS: (usize, usize) = (48, 26);

/// Levels (log2 of bytes), older ones weighing less.
struct Histogram {
    bins: Vec<f32>,
    total: f32,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bins: vec![0.0; BINS.0 * BINS.1], total: 0.0 }
    }
}

impl Histogram {
    fn add(&mut self, level: f32) {
        self.bins[bin(level)] += 1.0;
        self.total += 1.0;
        if self.total >= HALVED_AT {
            self.bins.iter_mut().for_each(|weight| *weight /= 2.0);
            self.total /= 2.0;
        }
    }

    fn quantile(&self, share: f32) -> f32 {
        let mut below = 0.0;
        for (index, weight) in self.bins.iter().enumerate() {
            below += weight;
            if below >= share * self.total && below > 0.0 {
                return (index as f32 + 0.5) / BINS.0 as f32;
            }
        }
        0.0
    }

    fn share_above(&self, level: f32) -> f32 {
        let above: f32 = self.bins[bin(level)..].iter().skip(1).sum();
        above / self.total.max(1.0)
    }
}

fn bin(level: f32) -> usize {
    ((level.max(0.0) * BINS.0 as f32) as usize).min(BINS.0 * BINS.1 - 1)
}

fn seconds(from: Timestamp, to: Timestamp) -> f32 {
    to.duration_since(from).as_secs_f32()
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
        (from..from + n_frames).any(|frame| {
            evidence.observe(at(frame), size);
            evidence.says_movement()
        })
    }

    #[test]
    fn constant_quality_shows_a_walker() {
        let (mut evidence, next) = played(&[(500, 176.0, false), (100, 272.0, true), (1500, 176.0, false)]);
        assert!(evidence.is_trusted());
        assert!(!triggers(&mut evidence, next, 50, 180));
        assert!(triggers(&mut evidence, next + 50, 10, 272));
    }

    #[test]
    fn constant_bit_rate_earns_no_trust() {
        let (evidence, _) = played(&[(500, 9143.0, false), (300, 9083.0, true), (300, 7841.0, true)]);
        assert!(!evidence.is_trusted());
    }

    #[test]
    fn nothing_active_ever_seen_earns_no_trust() {
        assert!(!played(&[(2000, 176.0, false)]).0.is_trusted());
    }

    #[test]
    fn rain_that_goes_on_does_not_trigger_for_ever() {
        let (mut evidence, next) =
            played(&[(500, 176.0, false), (100, 400.0, true), (500, 176.0, false), (100, 900.0, false)]);
        assert!(!triggers(&mut evidence, next, 250, 900));
    }

    #[test]
    fn a_false_alarm_is_believed_for_a_good_while_and_a_larger_one_is_not() {
        let (mut evidence, next) = played(&[(500, 176.0, false), (100, 960.0, true), (500, 176.0, false)]);
        assert!(triggers(&mut evidence, next, 10, 400));
        evidence.false_alarm(at(next + 10));
        for frame in (next + 100..next + 1100).step_by(200) {
            (frame..frame + 190).for_each(|quiet| evidence.observe(at(quiet), 176));
            assert!(!triggers(&mut evidence, frame + 190, 10, 390));
        }
        assert!(evidence.is_trusted() && triggers(&mut evidence, next + 1200, 20, 960));
    }

    #[test]
    fn a_miss_costs_trust_until_more_was_seen() {
        let (mut evidence, next) = played(&[(500, 176.0, false), (100, 960.0, true)]);
        assert!(evidence.is_trusted());
        evidence.missed();
        assert!(!evidence.is_trusted());
        for frame in next..next + 90 {
            evidence.observe(at(frame), 960);
            evidence.label(at(frame), true);
        }
        assert!(evidence.is_trusted());
    }

    proptest::proptest! {
        #[test]
        fn any_sizes_and_times_are_taken(moments in proptest::collection::vec((-1_000_000i64..1_000_000, 0usize..50_000_000, proptest::bool::ANY), 0..200)) {
            let mut evidence = SizeEvidence::default();
            for (frame, n_bytes, active) in moments {
                evidence.observe(at(frame), n_bytes);
                evidence.label(at(frame), active);
                proptest::prop_assert!(evidence.threshold(at(frame)).is_finite());
            }
        }
    }
}
