//! When a rule is in force: hours of kinds of days, by the deployer's calendar and time zone.
//!
//! A window that passes midnight belongs to the day on which it begins. Which days are worked is the deployer's data: holidays
//! that fall on weekdays, and weekends that are worked in exchange (调休).

use std::{collections::BTreeSet, str::FromStr};

use jiff::{
    Timestamp,
    civil::{Date, Weekday},
    tz::{Offset, TimeZone},
};
use xueliang_settings::Reader;

/// The time zone of a deployment that names none.
const TIME_ZONE: &str = "Asia/Shanghai";
const MINUTES_OF_DAY: u16 = 24 * 60;

/// Which days are worked, and what time it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    zone: TimeZone,
    holidays: BTreeSet<Date>,
    workdays: BTreeSet<Date>,
}

impl Default for Calendar {
    fn default() -> Self {
        let zone = TimeZone::get(TIME_ZONE).unwrap_or_else(|_| TimeZone::fixed(Offset::constant(8)));
        Self { zone, holidays: BTreeSet::new(), workdays: BTreeSet::new() }
    }
}

impl Calendar {
    /// Reads the `[calendar]` table.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let zone = reader.optional::<String>("time_zone").and_then(|name| match TimeZone::get(&name) {
            Ok(zone) => Some(zone),
            Err(error) => {
                let cure = format!("write a name such as \"{TIME_ZONE}\", and install tzdata where it is missing");
                reader.refuse("time_zone", error.to_string(), cure);
                None
            }
        });
        let holidays: BTreeSet<Date> = reader.texts("holidays").into_iter().collect();
        let workdays: BTreeSet<Date> = reader.texts("workdays").into_iter().collect();
        if let Some(both) = holidays.intersection(&workdays).next() {
            reader.refuse("workdays", format!("{both} is a holiday too"), "leave it in one of the two lists");
        }
        Self { zone: zone.unwrap_or_else(|| Self::default().zone), holidays, workdays }
    }

    /// The deployment's time zone.
    pub fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    fn is_worked(&self, date: Date) -> bool {
        let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        self.workdays.contains(&date) || (!is_weekend && !self.holidays.contains(&date))
    }
}

/// When a rule is in force; always, without a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule(Vec<Window>);

/// From one minute of the day to before another, on some days.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// Any of them; every day when empty.
    days: Vec<Day>,
    from: Minute,
    to: Minute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Worked,
    Rest,
    On(Weekday),
}

/// Minute of the day, 0 to 1440.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Minute(u16);

impl Schedule {
    /// Reads a rule's `schedule` tables.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let windows = reader.sections("schedule").into_iter().filter_map(|mut section| {
            let window = Window::read(&mut section);
            section.finish();
            window
        });
        Self(windows.collect())
    }

    /// Whether the rule is in force at this moment.
    pub fn is_in_force(&self, at: Timestamp, calendar: &Calendar) -> bool {
        self.0.is_empty() || {
            let local = at.to_zoned(calendar.zone.clone()).datetime();
            let minute = Minute(local.hour().unsigned_abs() as u16 * 60 + local.minute().unsigned_abs() as u16);
            self.0.iter().any(|window| window.holds(local.date(), minute, calendar))
        }
    }
}

impl Window {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let days = reader.texts("days");
        let (from, to) = (reader.required_text("from"), reader.required_text("to"));
        let (from, to) = (from?, to?);
        if from == to {
            reader.refuse("to", "is when it begins", "write from = \"00:00\" and to = \"24:00\" for a whole day");
            return None;
        }
        Some(Self { days, from, to })
    }

    fn holds(&self, date: Date, minute: Minute, calendar: &Calendar) -> bool {
        if self.from < self.to {
            return (self.from..self.to).contains(&minute) && self.is_on(date, calendar);
        }
        let began_before = date.yesterday().is_ok_and(|before| self.is_on(before, calendar));
        (minute >= self.from && self.is_on(date, calendar)) || (minute < self.to && began_before)
    }

    fn is_on(&self, date: Date, calendar: &Calendar) -> bool {
        let is = |day: &Day| match day {
            Day::Worked => calendar.is_worked(date),
            Day::Rest => !calendar.is_worked(date),
            Day::On(weekday) => date.weekday() == *weekday,
        };
        self.days.is_empty() || self.days.iter().any(is)
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "workdays" => Self::Worked,
            "restdays" => Self::Rest,
            "mon" => Self::On(Weekday::Monday),
            "tue" => Self::On(Weekday::Tuesday),
            "wed" => Self::On(Weekday::Wednesday),
            "thu" => Self::On(Weekday::Thursday),
            "fri" => Self::On(Weekday::Friday),
            "sat" => Self::On(Weekday::Saturday),
            "sun" => Self::On(Weekday::Sunday),
            other => {
                return Err(format!("{other:?} is not one of workdays, restdays, mon, tue, wed, thu, fri, sat, sun"));
            }
        })
    }
}

impl FromStr for Minute {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let two_digits = |text: &str| -> Option<u16> {
            (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
        };
        let minute = text.split_once(':').and_then(|(hour, minute)| {
            let minute = two_digits(minute).filter(|minute| *minute < 60)?;
            Some(two_digits(hour)? * 60 + minute)
        });
        let minute = minute.filter(|minute| *minute <= MINUTES_OF_DAY);
        minute.map(Self).ok_or_else(|| format!("{text:?} is no time of day such as 08:30, up to 24:00"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use xueliang_settings::Document;

    use super::*;

    fn read(text: &str) -> Result<(Schedule, Calendar), Vec<String>> {
        let document = Document::from_text("rules.toml", text);
        let read = document.read(|root| {
            let mut calendar = root.section("calendar");
            let read = Calendar::read(&mut calendar);
            calendar.finish();
            Some((Schedule::read(root), read))
        });
        read.map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
    }

    /// Which of these local times are in force.
    fn check(windows: &str, expected: &[(&str, bool)]) {
        let calendar = "[calendar]\nholidays = [\"2026-10-01\", \"2026-10-02\"]\nworkdays = [\"2026-10-10\"]\n";
        let (schedule, calendar) = read(&format!("schedule = [{windows}]\n{calendar}")).unwrap();
        for (local, is_in_force) in expected {
            let at: Timestamp = format!("{local}+08:00").parse().unwrap();
            assert_eq!(schedule.is_in_force(at, &calendar), *is_in_force, "{windows} at {local}");
        }
    }

    #[test]
    fn without_windows_it_is_always_in_force() {
        check("", &[("2026-10-01T03:00:00", true)]);
    }

    #[test]
    fn windows_begin_with_their_minute_and_end_before_it() {
        let morning = "{ from = \"07:30\", to = \"09:00\" }";
        check(morning, &[("2026-10-01T07:29:59", false), ("2026-10-01T07:30:00", true), ("2026-10-01T08:59:59", true)]);
        check(morning, &[("2026-10-01T09:00:00", false)]);
        check("{ from = \"22:00\", to = \"24:00\" }", &[("2026-10-01T23:59:59", true), ("2026-10-02T00:00:00", false)]);
    }

    /// 2026-09-26 is a Saturday; the holiday of 10-01 and 10-02 is worked off on Saturday 10-10.
    #[test]
    fn workdays_follow_the_deployers_calendar() {
        let worked = [("2026-09-30T10:00:00", true), ("2026-10-01T10:00:00", false), ("2026-10-10T10:00:00", true)];
        let weekend = [("2026-10-11T10:00:00", false), ("2026-09-26T10:00:00", false)];
        check("{ days = [\"workdays\"], from = \"08:00\", to = \"18:00\" }", &[&worked[..], &weekend[..]].concat());
        let rest: Vec<_> = [worked[1], weekend[0]].map(|(at, _)| (at, true)).into();
        check("{ days = [\"restdays\"], from = \"08:00\", to = \"18:00\" }", &rest);
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let friday_night = "{ days = [\"fri\"], from = \"22:00\", to = \"06:00\" }";
        check(
            friday_night,
            &[
                ("2026-09-25T05:00:00", false),
                ("2026-09-25T22:00:00", true),
                ("2026-09-26T05:59:00", true),
                ("2026-09-26T06:00:00", false),
                ("2026-09-26T23:00:00", false),
            ],
        );
    }

    #[test]
    fn another_time_zone_can_be_named() {
        let text = "schedule = [{ from = \"06:00\", to = \"07:00\" }]\n[calendar]\ntime_zone = \"UTC\"\n";
        let (schedule, calendar) = read(text).unwrap();
        assert!(schedule.is_in_force("2026-10-01T06:30:00Z".parse().unwrap(), &calendar));
        assert!(!schedule.is_in_force("2026-09-30T22:30:00Z".parse().unwrap(), &calendar));
    }

    #[test]
    fn mistakes_name_the_key_and_the_cure() {
        let mistakes = [
            ("schedule = [{ from = \"8:00\", to = \"09:00\" }]", "\"8:00\" is no time of day such as 08:30"),
            ("schedule = [{ from = \"08:00\", to = \"24:01\" }]", "is no time of day"),
            ("schedule = [{ from = \"08:00\" }]", "to: is missing"),
            ("schedule = [{ from = \"08:00\", to = \"08:00\" }]", "for a whole day"),
            ("schedule = [{ days = [\"holidays\"], from = \"08:00\", to = \"09:00\" }]", "is not one of workdays"),
            ("[calendar]\nholidays = [\"2026-02-30\"]", "holidays"),
            ("[calendar]\nholidays = [\"2026-10-10\"]\nworkdays = [\"2026-10-10\"]", "is a holiday too"),
            ("[calendar]\ntime_zone = \"Asia/Nowhere\"", "write a name such as \"Asia/Shanghai\""),
            ("[calendar]\nholiday = []", "did you mean \"holidays\"?"),
        ];
        for (text, expected) in mistakes {
            let found = read(text).unwrap_err();
            assert!(found.iter().any(|found| found.contains(expected)), "{text}: {found:#?}");
        }
    }

    proptest! {
        /// A window and the one that fills the rest of the day are never in force together, and one always is.
        #[test]
        fn a_window_and_its_rest_share_the_day(from in 0u16..1440, to in 0u16..1440, second in 1_700_000_000i64..1_900_000_000) {
            prop_assume!(from != to);
            let window = |from, to| Schedule(vec![Window { days: Vec::new(), from: Minute(from), to: Minute(to) }]);
            let at = Timestamp::from_second(second).unwrap();
            let calendar = Calendar::default();
            prop_assert_ne!(window(from, to).is_in_force(at, &calendar), window(to, from).is_in_force(at, &calendar));
        }
    }
}
