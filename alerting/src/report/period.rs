//! A week or a month of a report, in the deployer's time zone.
//!
//! Weeks are those of ISO 8601, from Monday. A period begins with its first local midnight and ends before the next
//! period's. Written `2026-W40` and `2026-10`.

use std::str::FromStr;

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, ISOWeekDate, Weekday},
    tz::TimeZone,
};

/// A week or a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// An ISO week.
    Week {
        /// The year it belongs to, which is that of its Thursday.
        year: i16,
        /// 1 to 53.
        week: i8,
    },
    /// A calendar month.
    Month {
        /// The year.
        year: i16,
        /// 1 to 12.
        month: i8,
    },
}

/// Why a text is no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no period: write a week such as 2026-W40 or a month such as 2026-10")]
pub struct InvalidPeriod(String);

impl Period {
    /// The week that a moment lies in.
    pub fn week_of(at: Timestamp, zone: &TimeZone) -> Self {
        let date = at.to_zoned(zone.clone()).date().iso_week_date();
        Self::Week { year: date.year(), week: date.week() }
    }

    /// The month that a moment lies in.
    pub fn month_of(at: Timestamp, zone: &TimeZone) -> Self {
        let date = at.to_zoned(zone.clone()).date();
        Self::Month { year: date.year(), month: date.month() }
    }

    /// Its first moment and the first one after it.
    pub fn bounds(self, zone: &TimeZone) -> Result<(Timestamp, Timestamp), InvalidPeriod> {
        let refuse = |_: jiff::Error| InvalidPeriod(self.to_string());
        let (first, length) = match self {
            Self::Week { year, week } => {
                (ISOWeekDate::new(year, week, Weekday::Monday).map_err(refuse)?.date(), 1.week())
            }
            Self::Month { year, month } => (Date::new(year, month, 1).map_err(refuse)?, 1.month()),
        };
        let after = first.checked_add(length).map_err(refuse)?;
        let midnight = |date: Date| zone.to_zoned(date.at(0, 0, 0, 0)).map(|zoned| zoned.timestamp()).map_err(refuse);
        Ok((midnight(first)?, midnight(after)?))
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Week { year, week } => write!(f, "{year:04}-W{week:02}"),
            Self::Month { year, month } => write!(f, "{year:04}-{month:02}"),
        }
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let refuse = || InvalidPeriod(text.chars().take(80).collect());
        let (year, rest) = text.split_once('-').ok_or_else(refuse)?;
        let number = |digits: &str, n_digits: usize| -> Result<i16, InvalidPeriod> {
            let is_number = digits.len() == n_digits && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten().ok_or_else(refuse)
        };
        let year = number(year, 4)?;
        // Two digits fit.
        let period = match rest.strip_prefix('W') {
            Some(week) => Self::Week { year, week: number(week, 2)? as i8 },
            None => Self::Month { year, month: number(rest, 2)? as i8 },
        };
        period.bounds(&TimeZone::UTC).map_err(|_| refuse())?;
        Ok(period)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn periods_begin_and_end_at_local_midnight() {
        let cases = [
            ("2026-W40", "Asia/Shanghai", "2026-09-27T16:00:00Z", "2026-10-04T16:00:00Z"),
            ("2026-W01", "UTC", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z"),
            ("2026-W53", "UTC", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
            ("2026-02", "Asia/Shanghai", "2026-01-31T16:00:00Z", "2026-02-28T16:00:00Z"),
            ("2026-12", "UTC", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            // A day of 23 hours lies within.
            ("2026-W13", "Europe/Berlin", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"),
        ];
        for (text, zone, from, to) in cases {
            let period: Period = text.parse().unwrap();
            let bounds = period.bounds(&TimeZone::get(zone).unwrap()).unwrap();
            assert_eq!(bounds, (from.parse().unwrap(), to.parse().unwrap()), "{text} {zone}");
            assert_eq!(period.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in
            ["", "2026", "2026-13", "2026-00", "2026-W00", "2025-W53", "2026-W1", "26-10", "2026-1０", "2026-10-01"]
        {
            let refusal = text.parse::<Period>().unwrap_err().to_string();
            assert!(refusal.contains("write a week such as"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_lies_in_its_week_and_its_month(second in 0i64..4_000_000_000) {
            let (at, zone) = (Timestamp::from_second(second).unwrap(), TimeZone::get("Asia/Shanghai").unwrap());
            for period in [Period::week_of(at, &zone), Period::month_of(at, &zone)] {
                let (from, to) = period.bounds(&zone).unwrap();
                prop_assert!(from <= at && at < to, "{period}");
                prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
                prop_assert_ne!(period.bounds(&zone).unwrap().1, from);
            }
        }
    }
}
