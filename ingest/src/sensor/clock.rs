//! How far a reading's own timestamp is believed. Pure: the arrival time is a parameter.
//!
//! A time ahead of ours, or older than any queue keeps messages, comes from a wrong clock. One that is merely old is either a stale
//! message or a slow clock; a slow clock shows in messages that keep coming as fast as their times advance.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// No queue keeps messages for so long: an older time comes from a clock that was never set.
const NO_QUEUE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How many old readings in a row, and over how long, show a slow clock.
const RUN: (u32, SignedDuration) = (3, SignedDuration::from_secs(10));

/// Bounds of belief.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockLimits {
    /// How far ahead of ours its clock may be.
    pub tolerance: Duration,
    /// How old a reading may be.
    pub max_age: Duration,
}

/// What is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Belief {
    /// Its own time.
    Own(Timestamp),
    /// Not its own time: the clock is wrong by this much (ahead is positive).
    WrongClock(SignedDuration),
    /// Its own time, which is too old to be used.
    Old(Duration),
}

/// What is remembered of one sensor's clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    run: Option<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    claimed: Timestamp,
    arrived: Timestamp,
    n_readings: u32,
}

impl Clock {
    /// Judges a claimed time. `too_old` says that it lies before what is remembered, whatever its age.
    pub fn judge(&mut self, claimed: Timestamp, arrived: Timestamp, limits: ClockLimits, too_old: bool) -> Belief {
        let age = arrived.duration_since(claimed);
        let is_ahead = age.unsigned_abs() > limits.tolerance && age.is_negative();
        if is_ahead || age > NO_QUEUE {
            self.run = None;
            return Belief::WrongClock(-age);
        }
        if !too_old && (age.is_negative() || age.unsigned_abs() <= limits.max_age) {
            self.run = None;
            return Belief::Own(claimed.min(arrived));
        }
        if self.runs_on(claimed, arrived) { Belief::WrongClock(-age) } else { Belief::Old(age.unsigned_abs()) }
    }

    /// True when old readings have come for a while at the pace of their own times. A queue that empties runs faster than that.
    fn runs_on(&mut self, claimed: Timestamp, arrived: Timestamp) -> bool {
        let run = match self.run {
            Some(run) if run.fits(claimed, arrived) => Run { n_readings: run.n_readings.saturating_add(1), ..run },
            _ => Run { claimed, arrived, n_readings: 1 },
        };
        self.run = Some(run);
        run.n_readings >= RUN.0 && arrived.duration_since(run.arrived) >= RUN.1
    }
}

impl Run {
    fn fits(&self, claimed: Timestamp, arrived: Timestamp) -> bool {
        let passed = arrived.duration_since(self.arrived);
        let slack = SignedDuration::from_secs(2) + passed / 10;
        let difference = claimed.duration_since(self.claimed) - passed;
        !passed.is_negative() && difference.abs() <= slack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClockLimits = ClockLimits { tolerance: Duration::from_secs(60), max_age: Duration::from_secs(3600) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_time_is_believed_within_its_bounds() {
        let check = |offset: i64, expected: Belief| {
            assert_eq!(Clock::default().judge(at(offset), at(0), LIMITS, false), expected, "{offset} s");
        };
        check(0, Belief::Own(at(0)));
        check(-3600, Belief::Own(at(-3600)));
        check(60, Belief::Own(at(0)));
        check(61, Belief::WrongClock(SignedDuration::from_secs(61)));
        check(-3601, Belief::Old(Duration::from_secs(3601)));
        let never_set = Clock::default().judge(Timestamp::UNIX_EPOCH, at(0), LIMITS, false);
        assert!(matches!(never_set, Belief::WrongClock(_)));
    }

    #[test]
    fn a_slow_clock_is_told_from_a_queue_that_empties() {
        let mut slow = Clock::default();
        let believed: Vec<bool> = (0..4)
            .map(|n| slow.judge(at(n * 10 - 7200), at(n * 10), LIMITS, false))
            .map(|belief| matches!(belief, Belief::WrongClock(_)))
            .collect();
        assert_eq!(believed, [false, false, true, true]);
        let mut queue = Clock::default();
        for n in 0..1000 {
            let belief = queue.judge(at(n * 10 - 20_000), at(n / 50), LIMITS, false);
            assert!(matches!(belief, Belief::Old(_)), "{n}: {belief:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_believed_time_is_never_in_the_future(offset in -10_000_000i64..10_000_000, too_old: bool) {
            let belief = Clock::default().judge(at(offset), at(0), LIMITS, too_old);
            if let Belief::Own(time) = belief {
                proptest::prop_assert!(time <= at(0) && !too_old);
            }
        }
    }
}
