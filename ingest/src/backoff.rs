//! When to connect again: jittered exponential backoff per camera, and one gate for all cameras of a process.
//!
//! Backoff alone lets cameras that fail together come back together, and cameras that start together start together; the
//! gate lets a burst through at once and the rest at a steady rate, in the order they asked. Both are pure: the time and the
//! random number are parameters.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Connections that may begin at once.
const BURST: u32 = 20;
/// One more connection each.
const INTERVAL: Duration = Duration::from_millis(20);

/// First and longest pauses of a camera.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The first pause is at most so long.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

/// One camera's pauses: the n-th is anything from zero to `first` · 2ⁿ ("full jitter"), never more than `longest`.
#[derive(Debug)]
pub struct Backoff {
    pauses: Pauses,
    bound: Duration,
}

impl Backoff {
    /// Begins with the first pause.
    pub fn new(pauses: Pauses) -> Self {
        Self { pauses, bound: pauses.first }
    }

    /// The next pause; `random` is from 0 to 1.
    pub fn next(&mut self, random: f64) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(self.pauses.longest);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// Begins anew after a session that settled.
    pub fn reset(&mut self) {
        self.bound = self.pauses.first;
    }
}

/// Spreads the connections of all cameras of a process: 20 at once, then 50 a second. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Admission(Arc<Mutex<Option<Instant>>>);

impl Admission {
    /// Reserves a turn; the answer is when it comes.
    pub fn reserve(&self, now: Instant) -> Instant {
        let mut last = self.0.lock();
        let earliest = now.checked_sub(INTERVAL * (BURST - 1)).unwrap_or(now);
        let turn = last.map_or(earliest, |last| (last + INTERVAL).max(earliest));
        *last = Some(turn);
        turn.max(now)
    }

    /// Waits for a turn.
    pub async fn wait(&self) {
        self.wait_for(1).await;
    }

    /// Waits for the last of so many turns in a row: that of a session that takes so many connections.
    pub async fn wait_for(&self, n_turns: usize) {
        tokio::time::sleep_until(self.reserve_all(n_turns, Instant::now())).await;
    }

    /// Together, for turns that are taken one by one by many would be waited for in vain by all of them first.
    fn reserve_all(&self, n_turns: usize, now: Instant) -> Instant {
        (0..n_turns).fold(now, |_, _| self.reserve(now))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    /// Connects per second when `n` cameras are unreachable for `outage` and then come back.
    fn connects_per_second(n: usize, outage: Duration, seed: u64) -> BTreeMap<u64, usize> {
        let (start, mut random) = (Instant::now(), StdRng::seed_from_u64(seed));
        let admission = Admission::default();
        let mut cameras: Vec<Backoff> = (0..n).map(|_| Backoff::new(Pauses::default())).collect();
        let mut due: BTreeMap<(Instant, usize), ()> = (0..n).map(|camera| ((start, camera), ())).collect();
        let mut per_second = BTreeMap::new();
        while let Some(((asks_at, camera), ())) = due.pop_first() {
            let connects_at = admission.reserve(asks_at);
            *per_second.entry(connects_at.duration_since(start).as_secs()).or_default() += 1;
            if connects_at < start + outage {
                due.insert((connects_at + cameras[camera].next(random.random()), camera), ());
            }
        }
        per_second
    }

    #[test]
    fn four_cameras_start_at_once() {
        let (admission, now) = (Admission::default(), Instant::now());
        assert!((0..4).all(|_| admission.reserve(now) == now));
    }

    #[test]
    fn after_a_burst_turns_come_at_the_rate_and_the_burst_grows_back() {
        let (admission, now) = (Admission::default(), Instant::now());
        assert!((0..BURST).all(|_| admission.reserve(now) == now));
        assert_eq!(admission.reserve(now), now + INTERVAL);
        assert_eq!(admission.reserve(now), now + INTERVAL * 2);
        let later = now + Duration::from_secs(10);
        assert!((0..BURST).all(|_| admission.reserve(later) == later));
        assert!(admission.reserve(later) > later);
    }

    #[test]
    fn sessions_of_two_connections_come_half_as_often() {
        let (admission, now) = (Admission::default(), Instant::now());
        let begin: Vec<Instant> = (0..200).map(|_| admission.reserve_all(2, now)).collect();
        let within =
            |at: Instant| begin.iter().filter(|other| **other >= at && **other - at < Duration::from_secs(1)).count();
        let most = begin.iter().map(|at| 2 * within(*at)).max().unwrap();
        assert!(most <= 70, "{most} connections within one second");
    }

    #[test]
    fn five_hundred_cameras_never_connect_within_one_second() {
        for seed in 0..20 {
            let per_second = connects_per_second(500, Duration::from_secs(600), seed);
            let most = per_second.values().max().copied().unwrap_or_default();
            assert!(most <= 70, "{most} connects within one second (seed {seed})");
        }
    }

    #[test]
    fn five_hundred_cameras_are_all_back_within_the_longest_pause_and_the_queue() {
        let outage = Duration::from_secs(600);
        let per_second = connects_per_second(500, outage, 7);
        let last = per_second.keys().last().copied().unwrap_or_default();
        assert!(last <= (outage + Pauses::default().longest + INTERVAL * 500).as_secs() + 1, "{last}");
    }

    proptest::proptest! {
        #[test]
        fn pauses_stay_within_their_bounds(randoms in proptest::collection::vec(-1.0f64..2.0, 1..40)) {
            let pauses = Pauses::default();
            let mut backoff = Backoff::new(pauses);
            for (nth, random) in randoms.into_iter().enumerate() {
                let bound = pauses.first * 2u32.saturating_pow(nth as u32).min(1000);
                proptest::prop_assert!(backoff.next(random) <= bound.min(pauses.longest));
            }
            backoff.reset();
            proptest::prop_assert!(backoff.next(1.0) == pauses.first);
        }
    }
}
