//! The checks of one sensor's readings: repetition, range, clock, age, number, change. Pure: values and times in, a verdict out.
//!
//! What is accepted is remembered, the last [`REMEMBERED`] readings by their own time and value, so that a retained or repeated
//! message is recognised; older than all of these is refused, because it can't be told from a repetition.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};
use xueliang_events::payload::Quality;

use super::{
    clock::{Belief, Clock, ClockLimits},
    refusal::Refusal,
};

/// Readings remembered per sensor.
pub const REMEMBERED: usize = 64;

/// What is believed of a sensor; values in the unit on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Lowest and highest value.
    pub range: (f64, f64),
    /// The unit, for words.
    pub unit: &'static str,
    /// Most that it can change within a minute.
    pub max_change_per_minute: Option<f64>,
    /// Most readings a minute.
    pub max_per_minute: u32,
    /// How its own timestamps are believed.
    pub clock: ClockLimits,
}

/// A reading as it came, already in the unit on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raw {
    /// The value.
    pub value: f64,
    /// When the sensor says that it was measured.
    pub claimed: Option<Timestamp>,
}

/// How it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// The broker had kept it: it may be old.
    pub retained: bool,
}

/// What a reading is remembered by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The time that it claimed.
    pub claimed: Timestamp,
    /// Its value.
    pub value: f64,
}

/// What becomes of a reading.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It counts.
    Accepted(Accepted),
    /// It was here before.
    Repeated,
    /// It does not count.
    Refused(Refusal),
}

/// A reading that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The value.
    pub value: f64,
    /// When it was measured, as far as can be believed.
    pub time: Timestamp,
    /// Uncertain when its own time was not believed.
    pub quality: Quality,
    /// What it is remembered by; without a time of its own it can't be.
    pub seen: Option<Seen>,
    /// How wrong its clock is, when it is.
    pub clock_error: Option<SignedDuration>,
}

/// What is remembered of one sensor.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    seen: VecDeque<Seen>,
    clock: Clock,
    bucket: Option<Bucket>,
    last: Option<(Timestamp, f64)>,
}

impl Checks {
    /// Checks that remember these readings, oldest first.
    pub fn remembering(seen: impl IntoIterator<Item = Seen>) -> Self {
        let mut checks = Self::default();
        seen.into_iter().for_each(|seen| checks.remember(seen));
        checks
    }

    /// Judges one reading and remembers it when it counts.
    pub fn judge(&mut self, limits: &Limits, raw: Raw, arrival: Arrival) -> Verdict {
        let seen = raw.claimed.map(|claimed| Seen { claimed, value: raw.value });
        if seen.is_some_and(|seen| self.has(seen)) {
            return Verdict::Repeated;
        }
        match self.accept(limits, raw, arrival) {
            Ok(accepted) => {
                if let Some(seen) = accepted.seen {
                    self.remember(seen);
                }
                self.last = Some((accepted.time, accepted.value));
                Verdict::Accepted(accepted)
            }
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn accept(&mut self, limits: &Limits, raw: Raw, arrival: Arrival) -> Result<Accepted, Refusal> {
        let Raw { value, claimed } = raw;
        let (low, high) = limits.range;
        if !(low..=high).contains(&value) {
            return Err(Refusal::Range { value, low, high, unit: limits.unit });
        }
        let (time, clock_error) = self.time(limits, claimed, arrival)?;
        self.count(limits, time, arrival.at)?;
        self.check_change(limits, time, value)?;
        let quality = if clock_error.is_some() { Quality::Uncertain } else { Quality::Good };
        let seen = claimed.map(|claimed| Seen { claimed, value });
        Ok(Accepted { value, time, quality, seen, clock_error })
    }

    fn time(
        &mut self,
        limits: &Limits,
        claimed: Option<Timestamp>,
        arrival: Arrival,
    ) -> Result<(Timestamp, Option<SignedDuration>), Refusal> {
        let Some(claimed) = claimed else {
            return if arrival.retained { Err(Refusal::RetainedWithoutTime) } else { Ok((arrival.at, None)) };
        };
        let oldest = self.seen.iter().map(|seen| seen.claimed).min();
        let is_full = self.seen.len() == REMEMBERED;
        let too_old = is_full && oldest.is_some_and(|oldest| claimed < oldest);
        match self.clock.judge(claimed, arrival.at, limits.clock, too_old) {
            Belief::Own(time) => Ok((time, None)),
            Belief::WrongClock(_) if arrival.retained => Err(Refusal::RetainedWithoutTime),
            Belief::WrongClock(error) => Ok((arrival.at, Some(error))),
            Belief::Old(age) if age > limits.clock.max_age => Err(Refusal::Stale { age }),
            Belief::Old(_) => Err(Refusal::Late { n_remembered: REMEMBERED }),
        }
    }

    /// Counts against the bound on the axis of measured time: a queue that empties after an outage is not too often.
    fn count(&mut self, limits: &Limits, time: Timestamp, arrived: Timestamp) -> Result<(), Refusal> {
        let full = f64::from(limits.max_per_minute);
        let mut bucket = self.bucket.unwrap_or(Bucket { tokens: full, at: time, arrived });
        let passed = time.duration_since(bucket.at);
        if arrived < bucket.arrived {
            // This machine's clock was set back; waiting for times to catch up would refuse everything until then.
            bucket.at = time;
        } else if passed.is_positive() {
            bucket.tokens = (bucket.tokens + passed.as_secs_f64() * full / 60.0).min(full);
            bucket.at = time;
        }
        bucket.arrived = arrived;
        let enough = bucket.tokens >= 1.0;
        bucket.tokens -= if enough { 1.0 } else { 0.0 };
        self.bucket = Some(bucket);
        if enough { Ok(()) } else { Err(Refusal::TooOften { per_minute: limits.max_per_minute }) }
    }

    /// The allowance grows with the time since the last accepted reading, so a value that really jumped is believed in the end.
    fn check_change(&self, limits: &Limits, time: Timestamp, value: f64) -> Result<(), Refusal> {
        let (Some(per_minute), Some((last_at, last))) = (limits.max_change_per_minute, self.last) else {
            return Ok(());
        };
        let passed: Duration = time.duration_since(last_at).unsigned_abs();
        let allowed = per_minute * (passed.as_secs_f64() / 60.0).max(1.0);
        let change = (value - last).abs();
        if change <= allowed { Ok(()) } else { Err(Refusal::Change { change, allowed, unit: limits.unit }) }
    }

    fn has(&self, seen: Seen) -> bool {
        self.seen.iter().any(|known| known.claimed == seen.claimed && known.value.to_bits() == seen.value.to_bits())
    }

    fn remember(&mut self, seen: Seen) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
    arrived: Timestamp,
}

#[cfg(test)]
mod tests;
