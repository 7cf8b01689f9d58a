//! A limit: so much time on one kind of clock, read and written as people say it.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use xueliang_settings::parse_duration;

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;
/// No limit is longer, on whichever clock.
const LONGEST_S: u64 = 366 * DAY_S;

/// Which time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockKind {
    /// 紧急工作时: all of it.
    Continuous,
    /// 工作时: the working hours of worked days.
    WorkingHours,
    /// 工作日: worked days, all day long; a day is 24 h of them.
    WorkingDays,
    /// 自然日: every day; a day is 24 h, also where the clock is put forward or back.
    CalendarDays,
}

/// So much time on one kind of clock: whole seconds, a year at most.
///
/// Written `2h`, `15m` or `90s` (continuous), `4 working hours`, `3 working days` or `7 days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit {
    kind: ClockKind,
    amount: Duration,
}

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no limit such as \"2h\", \"4 working hours\", \"3 working days\" or \"7 days\", of whole seconds and a year at most"
)]
pub struct InvalidLimit(String);

impl Limit {
    /// Minutes on the continuous clock.
    pub(super) const fn minutes(n: u64) -> Self {
        Self { kind: ClockKind::Continuous, amount: Duration::from_secs(n * 60) }
    }

    /// Hours on the continuous clock.
    pub(super) const fn hours(n: u64) -> Self {
        Self { kind: ClockKind::Continuous, amount: Duration::from_secs(n * HOUR_S) }
    }

    /// Working hours.
    pub(super) const fn working_hours(n: u64) -> Self {
        Self { kind: ClockKind::WorkingHours, amount: Duration::from_secs(n * HOUR_S) }
    }

    /// Working days.
    pub(super) const fn working_days(n: u64) -> Self {
        Self { kind: ClockKind::WorkingDays, amount: Duration::from_secs(n * DAY_S) }
    }

    /// Calendar days.
    pub(super) const fn days(n: u64) -> Self {
        Self { kind: ClockKind::CalendarDays, amount: Duration::from_secs(n * DAY_S) }
    }

    /// Which time counts.
    pub fn kind(self) -> ClockKind {
        self.kind
    }

    /// How much of it.
    pub fn amount(self) -> Duration {
        self.amount
    }

    /// So many hundredths of it.
    pub fn part(self, percent: u32) -> Duration {
        self.amount * percent / 100
    }

    fn parse(text: &str) -> Option<Self> {
        let Some((number, unit)) = text.split_once(' ') else {
            let amount = parse_duration(text).filter(|amount| amount.subsec_nanos() == 0)?;
            return Some(Self { kind: ClockKind::Continuous, amount });
        };
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let n: u64 = number.parse().ok().filter(|n| is_plain && *n <= LONGEST_S)?;
        match unit {
            "working hour" | "working hours" => Some(Self::working_hours(n)),
            "working day" | "working days" => Some(Self::working_days(n)),
            "day" | "days" => Some(Self::days(n)),
            _ => None,
        }
    }
}

impl FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let bounds = Duration::from_secs(1)..=Duration::from_secs(LONGEST_S);
        let limit = Self::parse(text).filter(|limit| bounds.contains(&limit.amount));
        limit.ok_or_else(|| InvalidLimit(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Limit {
    type Error = InvalidLimit;

    fn try_from(text: String) -> Result<Self, InvalidLimit> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> String {
        limit.to_string()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, days) = (self.amount.as_secs(), self.amount.as_secs() / DAY_S);
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        match self.kind {
            ClockKind::Continuous if seconds.is_multiple_of(HOUR_S) => write!(f, "{}h", seconds / HOUR_S),
            ClockKind::Continuous if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            ClockKind::Continuous => write!(f, "{seconds}s"),
            ClockKind::WorkingHours => write!(f, "{} working hour{}", seconds / HOUR_S, plural(seconds / HOUR_S)),
            ClockKind::WorkingDays => write!(f, "{days} working day{}", plural(days)),
            ClockKind::CalendarDays => write!(f, "{days} day{}", plural(days)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_are_read_as_people_say_them() {
        let check = |text: &str, expected: Option<Limit>| assert_eq!(text.parse::<Limit>().ok(), expected, "{text:?}");
        check("2h", Some(Limit::hours(2)));
        check("15m", Some(Limit::minutes(15)));
        check("1d", Some(Limit::hours(24)));
        check("1.5h", Some(Limit::minutes(90)));
        check("1 working hour", Some(Limit::working_hours(1)));
        check("3 working days", Some(Limit::working_days(3)));
        check("366 days", Some(Limit::days(366)));
        for wrong in ["", "x", "0s", "500ms", "0 days", "+1 days", "1.5 days", "2 hours", "367 days", "9000h"] {
            check(wrong, None);
        }
        check("99999999999999999999 days", None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(n in 1u64..=366, seconds in 1u64..=LONGEST_S) {
            let continuous = Limit { kind: ClockKind::Continuous, amount: Duration::from_secs(seconds) };
            for limit in [continuous, Limit::working_hours(n), Limit::working_days(n), Limit::days(n)] {
                prop_assert_eq!(limit.to_string().parse(), Ok(limit));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9. a-z]{0,30}") {
            let _ = text.parse::<Limit>();
        }
    }
}
