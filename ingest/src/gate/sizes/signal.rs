//! One measure of the encoded sizes: what it is when nothing moves, and from where on something does.

use jiff::{SignedDuration, Timestamp};

/// Least rise over the quiet median that counts, in powers of two.
const MIN_RISE: f32 = 0.2;
/// Quiet spreads (median to 95th percentile) over the median that count as movement.
const SPREADS: f32 = 1.5;
/// Quiet moments that must be known before it says anything.
const MIN_MOMENTS: f32 = 150.0;
/// Moments in a row above the threshold that open the gate.
const MOMENTS_IN_A_ROW: u32 = 2;
/// Share of the way from the quiet median to the threshold that is calm no longer.
const CALM: f32 = 0.5;
/// A level that was quiet for this long just now, seconds, however large, stays quiet for a while.
const RECENT: f32 = 1.5;
/// Quiet moments further apart than this, seconds, count as near: nobody looked in between.
const STEP: f32 = 0.2;
/// The half-life, in seconds, in which that fades.
const RECENT_HALF_LIFE: f32 = 30.0;
/// The half-life, in seconds, of what a false alarm taught.
const FALSE_ALARM_HALF_LIFE: f32 = 1800.0;
/// How far above a false alarm movement begins, in powers of two.
const ABOVE_FALSE_ALARM: f32 = 0.1;
/// Moments just after movement still carry some of it and are neither quiet nor active.
const TAIL: SignedDuration = SignedDuration::from_millis(1500);
/// An alarm so soon after movement is no false one: whoever moved goes on where nobody looks.
const ECHO: SignedDuration = SignedDuration::from_secs(5);

/// One measure, in powers of two.
#[derive(Default)]
pub(super) struct Signal {
    quiet: Histogram,
    /// Median of the quiet levels, and how far above it movement begins.
    quiet_level: (f32, f32),
    quiet_recent: Option<(Timestamp, f32)>,
    quiet_peak: Option<(Timestamp, f32)>,
    active_until: Option<Timestamp>,
    /// When the level was last no higher than quiet ones are.
    calm_at: Option<Timestamp>,
    n_above: u32,
    /// The highest level at which it said movement, since that last came true or proved false.
    alarm: Option<f32>,
    /// The highest level at which nothing moved although it said so, and when that was.
    false_alarm: Option<(Timestamp, f32)>,
}

impl Signal {
    /// Takes in a moment.
    pub(super) fn observe(&mut self, at: Timestamp, level: f32) {
        let threshold = self.threshold(at);
        self.n_above = if level > threshold { self.n_above + 1 } else { 0 };
        let is_echo = self.active_until.is_some_and(|until| at.duration_since(until).abs() < ECHO);
        if self.is_raised() && !is_echo {
            self.alarm = Some(self.alarm.map_or(level, |alarm| alarm.max(level)));
        }
        if self.calm_at.is_none() || level <= threshold - CALM * self.quiet_level.1 {
            self.calm_at = Some(at);
        }
    }

    /// Something moved at this moment.
    pub(super) fn active(&mut self, at: Timestamp) {
        self.alarm = None;
        self.active_until = Some(at);
    }

    /// Nothing moved at this moment.
    pub(super) fn quiet(&mut self, at: Timestamp, level: f32) {
        if self.active_until.is_some_and(|until| at.duration_since(until).abs() < TAIL) {
            return;
        }
        self.quiet.add(level);
        let recent = match self.quiet_recent {
            Some((last_at, recent)) if at > last_at => {
                recent + (1.0 - (-seconds(last_at, at).min(STEP) / RECENT).exp()) * (level - recent)
            }
            _ => level,
        };
        self.quiet_recent = Some((at, recent));
        self.quiet_peak = Some((at, self.faded_peak(at).max(recent)));
    }

    /// Draws the line between quiet and moving anew, after what was quiet of late.
    pub(super) fn settle(&mut self) {
        let median = self.quiet.quantile(0.5);
        let rise = MIN_RISE.max(SPREADS * (self.quiet.quantile(0.95) - median));
        self.quiet_level = (median, rise);
    }

    /// Nothing moved of late: if it said otherwise, what is no higher is quiet, for a good while.
    pub(super) fn false_alarm(&mut self, at: Timestamp) {
        if let Some(alarm) = self.alarm.take() {
            let level = self.false_alarm_now(at).map_or(alarm, |level| level.max(alarm));
            self.false_alarm = Some((at, level));
        }
    }

    /// The stream began anew or its clock jumped: what waits can't be labelled any more.
    pub(super) fn interrupted(&mut self) {
        (self.quiet_recent, self.quiet_peak, self.calm_at) = (None, None, None);
        self.n_above = 0;
    }

    /// Whether enough is known of quiet moments.
    pub(super) fn is_learned(&self) -> bool {
        self.quiet.total >= MIN_MOMENTS
    }

    /// The median of what is quiet.
    pub(super) fn quiet_median(&self) -> f32 {
        self.quiet_level.0
    }

    /// Whether it is so high now that something moves, if it can be trusted.
    pub(super) fn is_raised(&self) -> bool {
        self.n_above >= MOMENTS_IN_A_ROW
    }

    /// When it was last calm.
    pub(super) fn calm_at(&self) -> Option<Timestamp> {
        self.calm_at
    }

    /// From which level on something moves.
    pub(super) fn threshold(&self, at: Timestamp) -> f32 {
        let (median, rise) = self.quiet_level;
        let threshold = (median + rise).max(self.faded_peak(at) + MIN_RISE);
        self.false_alarm_now(at).map_or(threshold, |level| threshold.max(level + ABOVE_FALSE_ALARM))
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
}

fn bin(level: f32) -> usize {
    ((level.max(0.0) * BINS.0 as f32) as usize).min(BINS.0 * BINS.1 - 1)
}

pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f32 {
    to.duration_since(from).as_secs_f32()
}
