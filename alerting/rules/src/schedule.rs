//! When a rule is in force: hours of kinds of days, by the deployer's calendar and time zone.
//!
//! A window that passes midnight belongs to the day on which it begins. Which days are worked is the deployer's data: holidays
//! that fall on weekdays, and weekends that are worked in exchange (调休); so are the working hours, which deadlines go by.

use std::{collections::BTreeSet, fmt, ops::Range, str::FromStr};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Weekday},
    tz::{Offset, TimeZone},
};
use xueliang_settings::Reader;

/// The time zone of a deployment that names none.
const TIME_ZONE: &str = "Asia/Shanghai";
const MINUTES_OF_DAY: u16 = 24 * 60;
/// 08–12 and 14–18, in minutes of the day (RULES C).
const WORKING_HOURS: [Range<u16>; 2] = [8 * 60..12 * 60, 14 * 60..18 * 60];

/// Which days and hours are worked, and what time it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    zone: TimeZone,
    holidays: BTreeSet<Date>,
    workdays: BTreeSet<Date>,
    working_hours: Vec<Range<u16>>,
}

impl Default for Calendar {
    fn default() -> Self {
        let zone = TimeZone::get(TIME_ZONE).unwrap_or_else(|_| TimeZone::fixed(Offset::constant(8)));
        Self { zone, holidays: BTreeSet::new(), workdays: BTreeSet::new(), working_hours: WORKING_HOURS.to_vec() }
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
        let working_hours = read_working_hours(reader);
        Self { zone: zone.unwrap_or_else(|| Self::default().zone), holidays, workdays, working_hours }
    }

    /// The deployer's time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The day that a moment belongs to when days begin at this time.
    pub(crate) fn day_of(&self, at: Timestamp, begins_at: Minute) -> Date {
        let local = at.to_zoned(self.zone.clone()).datetime();
        local.checked_sub(SignedDuration::from_mins(i64::from(begins_at.0))).unwrap_or(local).date()
    }

    /// The working hours of a worked day: at least one span, in order, in minutes of the day, each to before its end.
    pub fn working_hours(&self) -> &[Range<u16>] {
        &self.working_hours
    }

    /// True on a day that is worked.
    pub fn is_worked(&self, date: Date) -> bool {
        let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        self.workdays.contains(&date) || (!is_weekend && !self.holidays.contains(&date))
    }
}

fn read_working_hours(reader: &mut Reader<'_>) -> Vec<Range<u16>> {
    const KEY: &str = "working_hours";
    let hours: Vec<Hours> = reader.texts(KEY);
    let hours: Vec<Range<u16>> = hours.into_iter().map(|hours| hours.0).collect();
    if hours.windows(2).any(|pair| pair[1].start < pair[0].end) {
        let cure = "write them as the day goes, such as [\"08:00-12:00\", \"14:00-18:00\"]";
        reader.refuse(KEY, "overlap or are out of order", cure);
    }
    if hours.is_empty() && reader.has(KEY) {
        reader.refuse(KEY, "leave no working time", "leave the key out for 08:00-12:00 and 14:00-18:00");
    }
    if hours.is_empty() { WORKING_HOURS.to_vec() } else { hours }
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

/// Working hours of a day, from a minute to before another.
struct Hours(Range<u16>);

/// Minute of the day, 0 to 1440; written `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(u16);

impl Minute {
    /// When hardly anybody is about.
    pub(crate) const FOUR_AT_NIGHT: Self = Self(4 * 60);
}

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

    /// The windows as a settings file writes them; `None` when it is always in force.
    pub(crate) fn to_toml(&self) -> Option<String> {
        let windows: Vec<String> = self.0.iter().map(Window::to_toml).collect();
        (!windows.is_empty()).then(|| format!("[{}]", windows.join(", ")))
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

    fn to_toml(&self) -> String {
        let Self { days, from, to } = self;
        let days: Vec<String> = days.iter().map(|day| format!("\"{}\"", day.as_str())).collect();
        let days = if days.is_empty() { String::new() } else { format!("days = [{}], ", days.join(", ")) };
        format!("{{ {days}from = \"{from}\", to = \"{to}\" }}")
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

impl Day {
    const ALL: [Self; 9] = [
        Self::Worked,
        Self::Rest,
        Self::On(Weekday::Monday),
        Self::On(Weekday::Tuesday),
        Self::On(Weekday::Wednesday),
        Self::On(Weekday::Thursday),
        Self::On(Weekday::Friday),
        Self::On(Weekday::Saturday),
        Self::On(Weekday::Sunday),
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Worked => "workdays",
            Self::Rest => "restdays",
            Self::On(Weekday::Monday) => "mon",
            Self::On(Weekday::Tuesday) => "tue",
            Self::On(Weekday::Wednesday) => "wed",
            Self::On(Weekday::Thursday) => "thu",
            Self::On(Weekday::Friday) => "fri",
            Self::On(Weekday::Saturday) => "sat",
            Self::On(Weekday::Sunday) => "sun",
        }
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|day| day.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is not one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
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

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no span of a day such as 08:00-12:00");
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (from.trim().parse::<Minute>()?, to.trim().parse::<Minute>()?);
        if from < to { Ok(Self(from.0..to.0)) } else { Err(wrong()) }
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
    fn working_hours_are_the_deployers_else_the_usual_ones() {
        let hours = |text: &str| read(&format!("[calendar]\n{text}")).unwrap().1.working_hours().to_vec();
        assert_eq!(hours(""), [480..720, 840..1080]);
        assert_eq!(hours("working_hours = [\"00:00-06:30\", \"09:00 - 24:00\"]"), [0..390, 540..1440]);
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
            ("[calendar]\nworking_hours = [\"08:00\"]", "is no span of a day such as 08:00-12:00"),
            ("[calendar]\nworking_hours = [\"12:00-08:00\"]", "is no span of a day"),
            ("[calendar]\nworking_hours = [\"8:00-12:00\"]", "is no time of day such as 08:30"),
            ("[calendar]\nworking_hours = [\"08:00-12:00\", \"11:00-18:00\"]", "write them as the day goes"),
            ("[calendar]\nworking_hours = []", "leave the key out"),
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
