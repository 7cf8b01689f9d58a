//! When incidents are raised: per grid, how many in each part of the day, over the period.
//!
//! Parts of the day are at least 15 minutes long (P33). A published row shows its counts only where its grid's total is
//! shown elsewhere in the report, and is protected against whoever knows that total exactly.

use jiff::{Timestamp, tz::TimeZone};

use super::{crossed::publish, network::Network, table::Cell};

const MINUTES_OF_DAY: u16 = 24 * 60;

/// How long a part of the day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinMinutes(u16);

/// Why a number is no length of a part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} min is no part of the day: write at least 15 that divide it, such as 15, 30 or 60")]
pub struct InvalidBin(u16);

impl TryFrom<u16> for BinMinutes {
    type Error = InvalidBin;

    fn try_from(minutes: u16) -> Result<Self, InvalidBin> {
        let is_part = (15..=MINUTES_OF_DAY).contains(&minutes) && MINUTES_OF_DAY.is_multiple_of(minutes);
        if is_part { Ok(Self(minutes)) } else { Err(InvalidBin(minutes)) }
    }
}

impl BinMinutes {
    /// How many there are in a day.
    pub(super) fn n_bins(self) -> usize {
        usize::from(MINUTES_OF_DAY / self.0)
    }

    /// The one that a moment lies in.
    pub(super) fn bin(self, at: Timestamp, zone: &TimeZone) -> usize {
        let local = at.to_zoned(zone.clone()).datetime();
        let minute = usize::from(local.hour().unsigned_abs()) * 60 + usize::from(local.minute().unsigned_abs());
        minute / usize::from(self.0)
    }

    /// When one begins, such as `08:15`.
    pub(super) fn label(self, bin: usize) -> String {
        let minute = bin * usize::from(self.0);
        format!("{:02}:{:02}", minute / 60, minute % 60)
    }
}

/// A row as it is.
pub(super) fn in_scope(bins: &[u32]) -> Vec<Cell> {
    bins.iter().map(|n| Cell::Count((*n).into())).collect()
}

/// A row as anybody may see it, beside its total.
pub(super) fn published(bins: &[u32], total: &Cell) -> Vec<Cell> {
    let withheld = || vec![Cell::Withheld; bins.len()];
    if !matches!(total, Cell::Count(_)) {
        return withheld();
    }
    // All counts lead from one node to another, so what they sum up to is known.
    let mut network = Network::default();
    for n in bins {
        network.add(0, 1, *n, None);
    }
    network
        .protect()
        .map_or_else(withheld, |shown| bins.iter().zip(shown).map(|(n, shown)| publish(*n, shown)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn p33_parts_of_the_day_are_at_least_a_quarter_of_an_hour() {
        for (minutes, n_bins) in [(15, Some(96)), (20, Some(72)), (60, Some(24)), (1440, Some(1))] {
            assert_eq!(BinMinutes::try_from(minutes).ok().map(BinMinutes::n_bins), n_bins);
        }
        for minutes in [0, 1, 5, 14, 17, 1441, 2880] {
            assert_eq!(BinMinutes::try_from(minutes), Err(InvalidBin(minutes)));
        }
    }

    #[test]
    fn moments_lie_in_their_local_part_of_the_day() {
        let (bin, zone) = (BinMinutes(15), TimeZone::get("Asia/Shanghai").unwrap());
        for (at, label) in [("00:00:00", "00:00"), ("08:14:59", "08:00"), ("08:15:00", "08:15"), ("23:59:59", "23:45")]
        {
            let at: Timestamp = format!("2026-10-01T{at}+08:00").parse().unwrap();
            assert_eq!(bin.label(bin.bin(at, &zone)), label);
        }
    }

    #[test]
    fn a_row_whose_total_is_hidden_shows_nothing() {
        for total in [Cell::Small, Cell::Withheld] {
            assert_eq!(published(&[20, 30], &total), [Cell::Withheld, Cell::Withheld]);
        }
        assert_eq!(published(&[21, 33], &Cell::Count(55)), [Cell::Count(20), Cell::Count(35)]);
    }

    #[test]
    fn one_small_part_takes_the_least_larger_one_with_it() {
        let shown = published(&[21, 3, 33, 14], &Cell::Count(70));
        assert_eq!(shown, [Cell::Count(20), Cell::Small, Cell::Count(35), Cell::Withheld]);
        assert_eq!(published(&[3], &Cell::Count(10)), [Cell::Withheld]);
    }

    proptest! {
        /// Whoever knows all shown parts and the total exactly knows the sum of the hidden ones. Each small one can still
        /// take five values: others make room for it.
        #[test]
        fn p33_no_small_part_of_the_day_is_recovered(bins in prop::collection::vec(prop_oneof![0u32..12, 8u32..60], 1..12)) {
            let shown = published(&bins, &Cell::Count(100));
            for (place, n) in bins.iter().enumerate().filter(|(place, n)| (1..10).contains(*n) && shown[*place] == Cell::Small) {
                let others = || (0..bins.len()).filter(|other| *other != place);
                let up: u32 = others().map(|other| match shown[other] {
                    Cell::Small => bins[other],
                    Cell::Withheld => bins[other] - 10,
                    _ => 0,
                }).sum();
                let down: u32 = others().map(|other| match shown[other] {
                    Cell::Small => 9 - bins[other],
                    Cell::Withheld => 9,
                    _ => 0,
                }).sum();
                prop_assert!(up.min(9 - n) + down.min(*n) >= 4, "{bins:?} {shown:?}");
            }
            for (n, cell) in bins.iter().zip(&shown) {
                let is_right = match cell {
                    Cell::Count(count) => *n >= 10 && count % 5 == 0 && count.abs_diff(u64::from(*n)) <= 2,
                    Cell::Small => *n < 10,
                    _ => true,
                };
                prop_assert!(is_right);
            }
        }
    }
}
