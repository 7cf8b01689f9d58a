//! When a message that did not arrive is tried again, and when it is given up: at 40 tries or after a day.
//!
//! Pure: the wait doubles from 5 s to an hour; how much of it is waited, half to all, follows from the message's id, so that
//! many messages do not come back at once.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::later;

/// Most tries.
pub const MAX_TRIES: u32 = 40;
/// How long a message is tried.
pub const TRY_FOR: Duration = Duration::from_secs(24 * 3600);
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What is known of a message's tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// The message.
    pub id: Uuid,
    /// How often it was tried, the last time included.
    pub n: u32,
    /// When it was made.
    pub first_at: Timestamp,
}

/// When to try again; `None` when the message is given up. `after` is the least wait that the receiver asked for.
pub fn next_try(tries: &Tries, after: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
    let doubled = FIRST_WAIT * 2_u32.pow(tries.n.saturating_sub(1).min(10));
    let wait = doubled.min(LONGEST_WAIT);
    let jittered = wait / 2 + wait.mul_f64(fraction(tries) / 2.0);
    let next_at = later(now, jittered.max(after.unwrap_or_default().min(LONGEST_WAIT)));
    (tries.n < MAX_TRIES && next_at <= later(tries.first_at, TRY_FOR)).then_some(next_at)
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait: SignedDuration = at.duration_since(now);
    Some(wait.try_into().unwrap_or_default())
}

/// From 0 to 1, different for each try of each message.
fn fraction(tries: &Tries) -> f64 {
    let name = tries.n.to_be_bytes();
    let (hash, _) = Uuid::new_v5(&tries.id, &name).as_u64_pair();
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::notify::testing::second;

    #[test]
    fn waits_double_to_an_hour_and_end_after_a_day() {
        let wait = |n| {
            let tries = Tries { id: Uuid::from_u128(7), n, first_at: second(0) };
            next_try(&tries, None, second(0)).map(|at| at.duration_since(second(0)).as_secs_f64())
        };
        for (n, most) in [(1, 5.0), (2, 10.0), (5, 80.0), (10, 2560.0), (11, 3600.0), (39, 3600.0)] {
            let wait = wait(n).unwrap();
            assert!((most / 2.0..=most).contains(&wait), "{n}: {wait}");
        }
        assert_eq!(wait(40), None);
        let old = Tries { id: Uuid::nil(), n: 3, first_at: second(0) };
        assert_eq!(next_try(&old, None, second(86_400)), None);
        assert!(next_try(&old, None, second(86_000)).is_some());
    }

    #[test]
    fn receivers_are_left_alone_as_long_as_they_ask_for_up_to_an_hour() {
        let tries = Tries { id: Uuid::nil(), n: 1, first_at: second(0) };
        let check = |after: u64, expected| {
            assert_eq!(
                next_try(&tries, Some(Duration::from_secs(after)), second(0)),
                Some(second(expected)),
                "{after}"
            );
        };
        check(120, 120);
        check(999_999, 3600);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let check = |value: &str, expected: Option<u64>| {
            assert_eq!(retry_after(value, second(0)).map(|wait| wait.as_secs()), expected, "{value}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("Fri, 15 Jan 2027 08:01:00 GMT", Some(60));
        check("Fri, 15 Jan 2027 07:00:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
        check("99999999999999999999", None);
    }

    proptest! {
        #[test]
        fn a_message_is_tried_at_bounded_times_and_given_up(id in any::<u128>(), after in proptest::option::of(0_u64..10_000)) {
            let (mut tries, mut now) = (Tries { id: Uuid::from_u128(id), n: 1, first_at: second(0) }, second(0));
            while let Some(at) = next_try(&tries, after.map(Duration::from_secs), now) {
                let wait = at.duration_since(now).as_secs_f64();
                prop_assert!((2.5..=3600.0).contains(&wait), "{wait}");
                tries.n += 1;
                now = at;
            }
            prop_assert!(tries.n <= MAX_TRIES && now <= second(86_400));
            prop_assert!(tries.n >= 25 || after.is_some_and(|after| after > 60), "given up early: {}", tries.n);
        }
    }
}
