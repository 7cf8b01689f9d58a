//! How often one account or token may ask: a flood of one never holds up the others.
//!
//! Counted by process and minute, after who asks is known, so that there are no more names than accounts and tokens.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::IntCounter;

const WINDOW: Duration = Duration::from_secs(60);

/// How often each name was heard of within its minute.
#[derive(Debug)]
pub(super) struct Pace {
    most: u32,
    throttled: IntCounter,
    counts: Mutex<HashMap<String, (u32, Timestamp)>>,
}

impl Pace {
    /// At most so many requests a minute of one name; what is beyond is counted.
    pub fn new(most: u32, throttled: IntCounter) -> Self {
        Self { most, throttled, counts: Mutex::default() }
    }

    /// Counts a request; beyond the bound, the seconds until there is room again.
    pub fn check(&self, name: &str, now: Timestamp) -> Result<(), u64> {
        let mut counts = self.counts.lock();
        let (n_requests, since) = counts.entry(name.to_owned()).or_insert((0, now));
        let age = now.duration_since(*since).unsigned_abs();
        if age >= WINDOW {
            (*n_requests, *since) = (0, now);
        }
        if *n_requests >= self.most {
            self.throttled.inc();
            return Err((WINDOW - age).as_secs().max(1));
        }
        *n_requests += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_name_waits_for_its_next_minute_and_slows_nobody_else() {
        let throttled = IntCounter::new("throttled", "Refused requests").unwrap();
        let (pace, now) = (Pace::new(3, throttled.clone()), Timestamp::UNIX_EPOCH);
        for _ in 0..3 {
            assert_eq!(pace.check("a", now), Ok(()));
        }
        assert_eq!(pace.check("a", now), Err(60));
        assert_eq!(pace.check("b", now), Ok(()));
        assert_eq!(pace.check("a", now.checked_add(WINDOW).unwrap()), Ok(()));
        assert_eq!(throttled.get(), 1);
    }
}
