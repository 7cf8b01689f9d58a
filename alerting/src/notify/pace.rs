//! How fast a channel may be spoken to: at most so many messages in any minute.
//!
//! A small record of the last minute, kept with the channel. It counts attempts, for a receiver counts them too.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::later;

const MINUTE: Duration = Duration::from_secs(60);

/// When a channel was spoken to in the last minute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    attempts: VecDeque<Timestamp>,
}

impl Pace {
    /// Remembers an attempt and forgets what is older than a minute.
    pub fn note(&mut self, now: Timestamp) {
        self.attempts.retain(|at| is_recent(*at, now));
        self.attempts.push_back(now);
    }

    /// How many attempts fell into the minute before `now`.
    pub fn n_recent(&self, now: Timestamp) -> usize {
        self.attempts.iter().filter(|at| is_recent(**at, now)).count()
    }

    /// When the next attempt may be made: `now`, or when enough of the minute has passed.
    pub fn free_at(&self, per_minute: usize, now: Timestamp) -> Timestamp {
        let mut recent: Vec<Timestamp> = self.attempts.iter().copied().filter(|at| is_recent(*at, now)).collect();
        recent.sort_unstable();
        match recent.len().checked_sub(per_minute.max(1)) {
            Some(n_beyond) => recent.get(n_beyond).map_or(now, |at| later(*at, MINUTE)),
            None => now,
        }
    }
}

/// A clock that was set back leaves attempts in the future; those a minute or more away count no longer.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at).unsigned_abs() < MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(s: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + s).unwrap()
    }

    #[test]
    fn a_full_minute_waits_for_its_oldest_attempt() {
        let mut pace = Pace::default();
        assert_eq!(pace.free_at(2, second(0)), second(0));
        pace.note(second(0));
        assert_eq!(pace.free_at(2, second(1)), second(1));
        pace.note(second(10));
        assert_eq!((pace.n_recent(second(10)), pace.free_at(2, second(11))), (2, second(60)));
        assert_eq!(pace.free_at(1, second(11)), second(70), "a bound that was lowered");
        assert_eq!(pace.free_at(2, second(60)), second(60));
        pace.note(second(200));
        assert_eq!(pace.attempts.len(), 1, "older ones are forgotten");
    }

    #[test]
    fn a_clock_that_was_set_back_blocks_for_a_minute_at_most() {
        let mut pace = Pace::default();
        pace.note(second(7200));
        assert_eq!(pace.free_at(1, second(0)), second(0));
        assert_eq!(pace.free_at(1, second(7190)), second(7260));
    }
}
