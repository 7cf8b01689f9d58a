//! One deadline clock: how much of its limit is used up, and whether it runs.
//!
//! In: what happens to it, and when. Out: the clock afterwards, a small value that the store keeps as JSON. Invariant: each
//! instant counts once at most. So when the machine's time is set back, a running clock stands until that time has come
//! again: it gains nothing, and loses no more than the time was set back by. A clock that was not started is `None`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xueliang_rules::Calendar;

use super::{
    limit::Limit,
    milestone::Told,
    worktime::{between, when},
};

/// A clock that was started. Its limit is the one it was started with, whatever the settings say later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    limit: Limit,
    state: ClockState,
    /// When it last changed; the latest time it knows of.
    since: Timestamp,
    /// Until then.
    #[serde(rename = "used_ns", with = "nanoseconds")]
    used: Duration,
    /// What was told of it since it was started.
    #[serde(default)]
    pub(super) told: Told,
}

/// Whether a clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// It counts.
    Running,
    /// It goes on later.
    Paused,
    /// What it was started for is done.
    Stopped,
}

impl Clock {
    /// A clock that runs from now on.
    pub fn start(limit: Limit, now: Timestamp) -> Self {
        Self { limit, state: ClockState::Running, since: now, used: Duration::ZERO, told: Told::default() }
    }

    /// Lets a running clock wait.
    pub fn pause(&mut self, now: Timestamp, calendar: &Calendar) {
        let was_running = self.state == ClockState::Running;
        self.change(if was_running { ClockState::Paused } else { self.state }, now, calendar);
    }

    /// Lets it go on from where it stood. What had been done when it was stopped was not enough, so an
    /// acknowledgement from before holds no longer.
    pub fn resume(&mut self, now: Timestamp, calendar: &Calendar) {
        if self.state == ClockState::Stopped {
            self.told.acknowledged = None;
        }
        self.change(ClockState::Running, now, calendar);
    }

    /// Ends it.
    pub fn stop(&mut self, now: Timestamp, calendar: &Calendar) {
        self.change(ClockState::Stopped, now, calendar);
    }

    /// How much of its limit is used up now.
    pub fn used(&self, now: Timestamp, calendar: &Calendar) -> Duration {
        match self.state {
            ClockState::Running => self.used + between(calendar, self.limit.kind(), self.since, now),
            ClockState::Paused | ClockState::Stopped => self.used,
        }
    }

    /// When so much is used up if it goes on running; `None` while it doesn't run.
    pub fn reaches_at(&self, amount: Duration, calendar: &Calendar) -> Option<Timestamp> {
        let left = amount.saturating_sub(self.used);
        let runs = self.state == ClockState::Running;
        runs.then(|| when(calendar, self.limit.kind(), self.since, left)).flatten()
    }

    /// When its limit is used up; `None` while it doesn't run.
    pub fn due_at(&self, calendar: &Calendar) -> Option<Timestamp> {
        self.reaches_at(self.limit.amount(), calendar)
    }

    /// True while no more than its limit was used up when it last changed.
    pub fn kept_its_limit(&self) -> bool {
        self.used <= self.limit.amount()
    }

    /// What it counts against.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Whether it runs.
    pub fn state(&self) -> ClockState {
        self.state
    }

    /// Since when it has been so.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// What was told of it.
    pub fn told(&self) -> Told {
        self.told
    }

    fn change(&mut self, to: ClockState, now: Timestamp, calendar: &Calendar) {
        self.used = self.used(now, calendar);
        self.since = self.since.max(now);
        self.state = to;
    }
}

/// Whole nanoseconds: nothing is rounded away, however often it is paused.
mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, ser::Error};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let nanoseconds = u64::try_from(duration.as_nanos()).map_err(S::Error::custom)?;
        serializer.serialize_u64(nanoseconds)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn used(clock: &Clock, second: i64) -> u64 {
        clock.used(at(second), &Calendar::default()).as_secs()
    }

    #[test]
    fn pauses_do_not_count() {
        let calendar = Calendar::default();
        let mut clock = Clock::start("2h".parse().unwrap(), at(0));
        assert_eq!((used(&clock, 100), clock.due_at(&calendar)), (100, Some(at(7200))));
        clock.pause(at(100), &calendar);
        assert_eq!((used(&clock, 5000), clock.due_at(&calendar)), (100, None));
        clock.resume(at(5000), &calendar);
        assert_eq!((used(&clock, 5010), clock.due_at(&calendar)), (110, Some(at(12_100))));
        clock.stop(at(5010), &calendar);
        clock.pause(at(6000), &calendar);
        assert_eq!((used(&clock, 9000), clock.state()), (110, ClockState::Stopped));
        assert!(clock.kept_its_limit());
    }

    #[test]
    fn a_limit_that_is_just_used_up_was_kept() {
        let check = |stopped_at: i64, expected: bool| {
            let mut clock = Clock::start("2h".parse().unwrap(), at(0));
            clock.stop(at(stopped_at), &Calendar::default());
            assert_eq!(clock.kept_its_limit(), expected, "{stopped_at}");
        };
        check(7200, true);
        check(7201, false);
    }

    #[test]
    fn a_clock_is_a_small_json_value() {
        let mut clock = Clock::start("3 working days".parse().unwrap(), at(0));
        clock.pause(at(0), &Calendar::default());
        let json = serde_json::to_string(&clock).unwrap();
        let expected =
            r#"{"limit":"3 working days","state":"paused","since":"2026-11-18T11:06:40Z","used_ns":0,"told":{}}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Clock>(&json).unwrap(), clock);
        for wrong in [json.replace("paused", "late"), json.replace("3 w", "0 w"), json.replace("used_ns", "used")] {
            assert!(serde_json::from_str::<Clock>(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_running_clock_stands_until_a_time_that_was_set_back_comes_again() {
        let calendar = Calendar::default();
        let mut clock = Clock::start("2h".parse().unwrap(), at(1000));
        assert_eq!(used(&clock, 400), 0);
        clock.pause(at(400), &calendar);
        clock.resume(at(500), &calendar);
        assert_eq!((used(&clock, 1000), used(&clock, 1060)), (0, 60));
    }

    proptest! {
        /// However the machine's time jumps and whatever is done, no instant counts twice and a pause never counts.
        #[test]
        fn no_instant_counts_twice(steps in proptest::collection::vec((0..3u8, -5000i64..5000), 0..40)) {
            let calendar = Calendar::default();
            let mut clock = Clock::start("2h".parse().unwrap(), at(0));
            let (mut now, mut latest, mut counted) = (0i64, 0i64, 0i64);
            for (what, step) in steps {
                now += step;
                if clock.state() == ClockState::Running {
                    counted += (now - latest).max(0);
                }
                latest = latest.max(now);
                match what {
                    0 => clock.pause(at(now), &calendar),
                    1 => clock.resume(at(now), &calendar),
                    _ => clock.stop(at(now), &calendar),
                }
                prop_assert_eq!(used(&clock, now), counted.unsigned_abs());
                let json = serde_json::to_string(&clock).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Clock>(&json).unwrap(), &clock);
            }
        }
    }
}
