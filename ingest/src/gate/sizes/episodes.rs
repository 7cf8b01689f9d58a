//! Episodes of activity that the analysis confirmed, and whether the sizes show each of them.
//!
//! Each counts once, however long it lasts and however large it is: a street full of cars says nothing of its walkers. An episode
//! is judged by its beginning, for what keyframes would have found by then must be shown by then. What is kept of it is a level
//! for each measure, so that a threshold which rises later hides it again. Pure; times are capture times.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::super::KEYFRAMES_SUFFICE_WITHIN;

/// One value for each measure of the sizes.
pub(super) type Levels = [f32; 2];

/// Shorter activity is no episode: nothing in a zone comes of it.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);
/// After so long without movement the next is another episode: the gate may have closed, and must be opened anew.
const APART: SignedDuration = SignedDuration::from_secs(2);
/// Share of an episode's first moments that must stand out.
const STANDING_OUT: f32 = 0.3;
/// Episodes that must be known, and that are remembered.
const KNOWN: std::ops::RangeInclusive<usize> = 2..=32;
/// Share of the episodes that a measure must show to have a say.
const TELLING: f32 = 0.3;
/// Episodes in a row that must be shown after a missed one; twice as many for each other that is remembered.
const SHOWN_AFTER_MISS: usize = 8;

/// One camera's latest episodes.
#[derive(Default)]
pub(super) struct Episodes {
    current: Option<Episode>,
    /// The level that enough of each one's first moments exceeded, oldest first.
    heights: VecDeque<Levels>,
}

struct Episode {
    began_at: Timestamp,
    active_until: Timestamp,
    /// Until it is judged.
    first: Option<Vec<Levels>>,
}

impl Episodes {
    /// Takes in a moment in which something moved.
    pub(super) fn active(&mut self, at: Timestamp, levels: Levels) {
        self.end_if_over(at);
        let begun = || Episode { began_at: at, active_until: at, first: Some(Vec::new()) };
        let current = self.current.get_or_insert_with(begun);
        current.active_until = at;
        let Some(first) = &mut current.first else { return };
        first.push(levels);
        if at.duration_since(current.began_at) >= KEYFRAMES_SUFFICE_WITHIN {
            self.judge();
        }
    }

    /// Ends the current one if the last movement was long before this time.
    pub(super) fn end_if_over(&mut self, at: Timestamp) {
        if self.current.as_ref().is_some_and(|current| at.duration_since(current.active_until).abs() >= APART) {
            self.end();
        }
    }

    /// What moves from now on is another episode.
    pub(super) fn end(&mut self) {
        self.judge();
        self.current = None;
    }

    /// The stream began anew: whatever goes on is not seen to its end.
    pub(super) fn interrupted(&mut self) {
        self.current = None;
    }

    /// Which measures show enough to have a say, given from which level on each says movement. Before anything was seen both have.
    pub(super) fn telling(&self, thresholds: Levels) -> [bool; 2] {
        if self.heights.is_empty() {
            return [true; 2];
        }
        let n_shown = |nth: usize| self.heights.iter().filter(|heights| heights[nth] > thresholds[nth]).count();
        let enough = (TELLING * self.heights.len() as f32).max(1.0);
        std::array::from_fn(|nth| n_shown(nth) as f32 >= enough)
    }

    /// Whether all of them would be shown now, or all for long since the last that would not.
    pub(super) fn are_shown(&self, thresholds: Levels) -> bool {
        let shown = self.shown(thresholds);
        let n_since = shown.clone().rev().take_while(|is_shown| *is_shown).count();
        let needed = match u32::try_from(shown.filter(|is_shown| !is_shown).count()) {
            Ok(0) => *KNOWN.start(),
            Ok(n_missed) => SHOWN_AFTER_MISS.saturating_mul(2usize.saturating_pow(n_missed - 1)),
            Err(_) => usize::MAX,
        };
        n_since >= needed
    }

    /// Whether one of them would not be shown now.
    pub(super) fn is_any_missed(&self, thresholds: Levels) -> bool {
        self.shown(thresholds).any(|is_shown| !is_shown)
    }

    /// Whether each of them would be shown now, oldest first.
    fn shown(&self, thresholds: Levels) -> impl DoubleEndedIterator<Item = bool> + Clone {
        let telling = self.telling(thresholds);
        let is_shown = move |heights: &Levels| (0..2).any(|nth| telling[nth] && heights[nth] > thresholds[nth]);
        self.heights.iter().map(is_shown)
    }

    fn judge(&mut self) {
        let Some(Episode { began_at, active_until, first }) = &mut self.current else { return };
        if active_until.duration_since(*began_at) < SHORTEST {
            return;
        }
        let Some(first) = first.take() else { return };
        if self.heights.len() == *KNOWN.end() {
            self.heights.pop_front();
        }
        self.heights.push_back(std::array::from_fn(|nth| {
            let mut levels: Vec<f32> = first.iter().map(|levels| levels[nth]).collect();
            let nth_highest = (STANDING_OUT * levels.len() as f32) as usize;
            *levels.select_nth_unstable_by(nth_highest, |one, other| other.total_cmp(one)).1
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Levels = [8.0, 1.0];

    /// Ten moments a second of each (seconds, levels), three seconds apart.
    fn seen(episodes: &[(f32, Levels)]) -> Episodes {
        let mut seen = Episodes::default();
        let mut ms = 1_790_000_000_000i64;
        let mut next = |step| {
            ms += step;
            Timestamp::from_millisecond(ms).unwrap()
        };
        for &(seconds, levels) in episodes {
            for _ in 0..=(seconds * 10.0) as usize {
                seen.active(next(100), levels);
            }
            (0..30).for_each(|_| seen.end_if_over(next(100)));
        }
        seen
    }

    const CAR: (f32, Levels) = (5.0, [12.0, 0.5]);
    const WALKER: (f32, Levels) = (5.0, [7.0, 0.4]);

    #[test]
    fn one_is_too_few_and_two_shown_ones_are_enough() {
        assert!(!seen(&[CAR]).are_shown(THRESHOLDS));
        assert!(seen(&[CAR, CAR]).are_shown(THRESHOLDS));
    }

    #[test]
    fn a_missed_one_costs_trust_at_once_and_each_other_twice_as_many_shown_ones() {
        let mut episodes = vec![CAR; 20];
        for n_needed in [8, 16] {
            episodes.push(WALKER);
            for _ in 0..n_needed {
                assert!(!seen(&episodes).are_shown(THRESHOLDS), "{}", episodes.len());
                episodes.push(CAR);
            }
            assert!(seen(&episodes).are_shown(THRESHOLDS));
        }
    }

    #[test]
    fn how_long_one_lasts_makes_it_count_no_more() {
        assert!(!seen(&[(60.0, CAR.1), (60.0, CAR.1), (1.5, WALKER.1)]).are_shown(THRESHOLDS));
    }

    #[test]
    fn what_is_too_short_for_a_zone_is_none() {
        assert!(seen(&[CAR, CAR, (0.5, WALKER.1)]).are_shown(THRESHOLDS));
    }

    #[test]
    fn a_threshold_that_rises_above_the_smallest_costs_trust_while_it_is_there() {
        let episodes = seen(&[CAR, (5.0, [9.0, 0.5]), CAR]);
        assert!(episodes.are_shown(THRESHOLDS) && !episodes.are_shown([10.0, 1.0]));
    }

    #[test]
    fn either_measure_shows_one() {
        let alternating = (5.0, [7.0, 2.0]);
        assert!(seen(&[CAR, alternating, CAR, alternating]).are_shown(THRESHOLDS));
        assert_eq!(seen(&[CAR; 4]).telling(THRESHOLDS), [true, false]);
    }

    #[test]
    fn what_shows_only_after_keyframes_would_have_found_it_is_missed() {
        let mut episodes = seen(&[CAR, CAR]);
        for ms in (0..10_000).step_by(100) {
            let at = Timestamp::from_millisecond(1_790_001_000_000 + ms).unwrap();
            episodes.active(at, if ms < 3_000 { WALKER.1 } else { CAR.1 });
        }
        assert!(!episodes.are_shown(THRESHOLDS));
    }

    proptest::proptest! {
        #[test]
        fn trust_holds_only_where_nearly_all_of_the_latest_are_shown(
            kinds in proptest::collection::vec(proptest::bool::weighted(0.9), 0..80),
        ) {
            let episodes: Vec<_> = kinds.iter().map(|&is_car| if is_car { CAR } else { WALKER }).collect();
            let latest = &kinds[kinds.len().saturating_sub(*KNOWN.end())..];
            let n_missed = latest.iter().filter(|is_car| !**is_car).count();
            if seen(&episodes).are_shown(THRESHOLDS) {
                proptest::prop_assert!(kinds.last() == Some(&true) && n_missed * 9 <= latest.len(), "{latest:?}");
            } else {
                proptest::prop_assert!(n_missed > 0 || kinds.len() < 2, "{latest:?}");
            }
        }
    }
}
