//! How much of a clock's time lies between two instants, and when so much of it is used up.
//!
//! In: a [`Calendar`], the kind of clock, instants. Invariants: what lies between a and c is what lies between a and b and
//! between b and c, to the nanosecond; [`when`] is the first instant at which [`between`] gives the amount. Time is what
//! really passes: hours that a time zone skips are no time, and those it repeats count once, in the day's first span that
//! reaches them. A day costs a few conversions of local time, whatever happens in it.

use std::{iter, ops::Range, slice, time::Duration};

use jiff::{
    SignedDuration, Timestamp,
    civil::Date,
    tz::{AmbiguousOffset, TimeZone},
};
use xueliang_rules::Calendar;

use super::ClockKind;

const WHOLE_DAY: Range<u16> = 0..24 * 60;
/// Nobody waits longer for a limit.
const HORIZON: SignedDuration = SignedDuration::from_hours(30 * 366 * 24);

/// How much of the clock's time lies between two instants; none when the second isn't later.
pub fn between(calendar: &Calendar, kind: ClockKind, from: Timestamp, to: Timestamp) -> Duration {
    let Some(hours) = hours_of(calendar, kind) else { return elapsed(from, to) };
    let spans = worked_since(calendar, hours, from).take_while(|span| span.start < to);
    spans.map(|span| elapsed(span.start.max(from), span.end.min(to))).sum()
}

/// The first instant at which so much of the clock's time has passed since `after`; `None` when that takes 30 years.
pub fn when(calendar: &Calendar, kind: ClockKind, after: Timestamp, amount: Duration) -> Option<Timestamp> {
    let Some(hours) = hours_of(calendar, kind).filter(|_| !amount.is_zero()) else {
        return after.checked_add(amount).ok();
    };
    let horizon = after.saturating_add(HORIZON).ok()?;
    let mut left = amount;
    for span in worked_since(calendar, hours, after).take_while(|span| span.start < horizon) {
        let start = span.start.max(after);
        let length = elapsed(start, span.end);
        if left <= length {
            return start.checked_add(left).ok();
        }
        left -= length;
    }
    None
}

/// The minutes of a worked day that count; `None` for clocks that all time counts for.
fn hours_of(calendar: &Calendar, kind: ClockKind) -> Option<&[Range<u16>]> {
    match kind {
        ClockKind::WorkingHours => Some(calendar.working_hours()),
        ClockKind::WorkingDays => Some(slice::from_ref(&WHOLE_DAY)),
        ClockKind::Continuous | ClockKind::CalendarDays => None,
    }
}

/// What is worked from the day of an instant on, in order; spans never overlap.
fn worked_since(calendar: &Calendar, hours: &[Range<u16>], from: Timestamp) -> impl Iterator<Item = Range<Timestamp>> {
    let zone = calendar.zone();
    let first = zone.to_datetime(from).date();
    let days = iter::successors(Some(first), |date| date.tomorrow().ok());
    days.filter(move |date| calendar.is_worked(*date)).flat_map(move |date| {
        let span = move |hours: &Range<u16>| Some(instant(zone, date, hours.start)?..instant(zone, date, hours.end)?);
        hours.iter().filter_map(span)
    })
}

/// The first instant at which clocks show this minute of this day, or a later one: so a later minute is never an earlier instant.
fn instant(zone: &TimeZone, date: Date, minute: u16) -> Option<Timestamp> {
    let local = match i8::try_from(minute / 60).ok().filter(|hour| *hour < 24) {
        Some(hour) => date.at(hour, i8::try_from(minute % 60).ok()?, 0, 0),
        None => date.tomorrow().ok()?.at(0, 0, 0, 0),
    };
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        // Clocks never show it: when they are put forward.
        AmbiguousOffset::Gap { after, .. } => {
            let earlier = after.to_timestamp(local).ok()?;
            zone.following(earlier).next().map(|transition| transition.timestamp())
        }
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;
    use xueliang_settings::Document;

    use super::*;
    use ClockKind::{CalendarDays, Continuous, WorkingDays, WorkingHours};

    const KINDS: [ClockKind; 4] = [Continuous, WorkingHours, WorkingDays, CalendarDays];
    /// No change of the clock; an hour at two; half an hour at two; an hour at midnight, which that day lacks.
    const ZONES: [&str; 5] = ["Asia/Shanghai", "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"];

    fn calendar(text: &str) -> Calendar {
        let read = Document::from_text("a.toml", text).read(|reader| Some(Calendar::read(reader)));
        read.unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const fn hours(n: u64) -> Duration {
        Duration::from_secs(n * 3600)
    }

    /// National Day of 2026, worked off on Saturday 10-10; times are Beijing's.
    #[track_caller]
    fn check(kind: ClockKind, from: &str, to: &str, expected: Duration) {
        let days = ["01", "02", "05", "06", "07"].map(|day| format!("\"2026-10-{day}\"")).join(", ");
        let calendar = calendar(&format!("holidays = [{days}]\nworkdays = [\"2026-10-10\"]\n"));
        let (from, to) = (at(&format!("{from}+08:00")), at(&format!("{to}+08:00")));
        assert_eq!(between(&calendar, kind, from, to), expected);
        let reached = when(&calendar, kind, from, expected).unwrap();
        assert!(reached <= to && between(&calendar, kind, from, reached) == expected, "{reached}");
    }

    #[test]
    fn only_working_hours_count() {
        check(WorkingHours, "2026-09-28T09:00:00", "2026-09-28T11:30:00", hours(2) + hours(1) / 2);
        check(WorkingHours, "2026-09-28T07:00:00", "2026-09-28T13:00:00", hours(4));
        check(WorkingHours, "2026-09-28T11:00:00", "2026-09-29T09:00:00", hours(6));
        check(WorkingHours, "2026-09-28T18:00:00", "2026-09-29T08:00:00", hours(0));
    }

    #[test]
    fn holidays_and_weekends_do_not_count_but_days_worked_in_exchange_do() {
        // Wednesday evening to Thursday of the week after: nothing between.
        check(WorkingHours, "2026-09-30T17:00:00", "2026-10-08T09:00:00", hours(2));
        check(WorkingDays, "2026-09-30T12:00:00", "2026-10-08T12:00:00", hours(24));
        check(WorkingHours, "2026-10-09T17:00:00", "2026-10-10T09:00:00", hours(2));
        check(WorkingDays, "2026-10-09T00:00:00", "2026-10-12T00:00:00", hours(48));
        check(CalendarDays, "2026-09-30T12:00:00", "2026-10-08T12:00:00", hours(8 * 24));
        check(Continuous, "2026-10-01T23:59:59", "2026-10-02T00:00:01", Duration::from_secs(2));
    }

    #[test]
    fn a_limit_ends_where_its_last_hour_ends_not_where_the_next_begins() {
        let check = |kind, after: &str, amount, expected: &str| {
            let reached = when(&Calendar::default(), kind, at(&format!("{after}+08:00")), amount);
            assert_eq!(reached, Some(at(&format!("{expected}+08:00"))), "{kind:?} {after}");
        };
        check(WorkingHours, "2026-09-25T16:00:00", hours(2), "2026-09-25T18:00:00");
        check(WorkingHours, "2026-09-25T16:00:00", hours(3), "2026-09-28T09:00:00");
        check(WorkingHours, "2026-09-26T03:00:00", hours(8), "2026-09-28T18:00:00");
        check(WorkingDays, "2026-09-25T15:00:00", hours(24), "2026-09-28T15:00:00");
        // Begun on a Saturday, one working day is all of Monday.
        check(WorkingDays, "2026-09-26T10:00:00", hours(24), "2026-09-29T00:00:00");
        check(CalendarDays, "2026-09-26T10:00:00", hours(48), "2026-09-28T10:00:00");
        check(Continuous, "2026-09-26T23:30:00", hours(2), "2026-09-27T01:30:00");
        check(WorkingHours, "2026-09-26T03:00:00", hours(0), "2026-09-26T03:00:00");
    }

    /// New York skips 02:00–03:00 on 2026-03-08 and repeats 01:00–02:00 on 2026-11-01, both Sundays.
    #[test]
    fn hours_that_a_time_zone_skips_or_repeats_are_what_really_passed() {
        let night = "time_zone = \"America/New_York\"\nworkdays = [\"2026-03-08\", \"2026-11-01\"]\n";
        let check = |hours_text: &str, kind, day: &str, expected| {
            let calendar = calendar(&format!("{night}working_hours = [{hours_text}]\n"));
            let midnight: jiff::Zoned = format!("{day}T00:00:00[America/New_York]").parse().unwrap();
            let (from, to) = (midnight.timestamp(), at(&format!("{day}T12:00:00Z")));
            assert_eq!(between(&calendar, kind, from, to), expected, "{hours_text} {day}");
        };
        check("\"01:00-04:00\"", WorkingHours, "2026-03-08", hours(2));
        check("\"02:10-02:50\"", WorkingHours, "2026-03-08", hours(0));
        check("\"01:00-02:30\", \"02:30-04:00\"", WorkingHours, "2026-03-08", hours(2));
        check("\"00:00-03:00\"", WorkingHours, "2026-11-01", hours(4));
        check("\"00:30-01:30\", \"01:30-03:00\"", WorkingHours, "2026-11-01", hours(3) + hours(1) / 2);
        check("\"01:00-02:00\"", WorkingDays, "2026-03-08", hours(7));
        check("\"01:00-02:00\"", WorkingDays, "2026-11-01", hours(8));
    }

    #[test]
    fn a_limit_that_no_working_time_fills_is_never_reached() {
        let calendar = calendar("working_hours = [\"08:00-08:01\"]\n");
        assert_eq!(when(&calendar, WorkingHours, at("2026-01-01T00:00:00Z"), hours(24 * 366)), None);
        assert_eq!(when(&calendar, Continuous, Timestamp::MAX, hours(1)), None);
    }

    #[test]
    fn ten_years_take_milliseconds() {
        let begun = Instant::now();
        let worked =
            between(&Calendar::default(), WorkingHours, at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
        assert!(worked > hours(8 * 2600) && worked < hours(8 * 2610), "{worked:?}");
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }

    prop_compose! {
        fn any_calendar()(zone in 0..ZONES.len(), holidays in proptest::collection::btree_set(0i32..400, 0..30),
                          workdays in proptest::collection::btree_set(400i32..800, 0..30),
                          cuts in proptest::collection::btree_set(0u16..=1440, 2..6)) -> Calendar {
            let first = jiff::civil::date(2026, 1, 1);
            let text = |days: std::collections::BTreeSet<i32>| -> Vec<String> {
                days.into_iter().map(|day| format!("\"{}\"", first + jiff::Span::new().days((day * 7) % 800))).collect()
            };
            let minute = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let cuts: Vec<u16> = cuts.into_iter().collect();
            let spans: Vec<String> =
                cuts.chunks_exact(2).map(|pair| format!("\"{}-{}\"", minute(pair[0]), minute(pair[1]))).collect();
            let holidays = text(holidays);
            let workdays: Vec<String> = text(workdays).into_iter().filter(|day| !holidays.contains(day)).collect();
            calendar(&format!(
                "time_zone = \"{}\"\nholidays = [{}]\nworkdays = [{}]\nworking_hours = [{}]\n",
                ZONES[zone], holidays.join(", "), workdays.join(", "), spans.join(", ")
            ))
        }
    }

    prop_compose! {
        /// An instant of 2026 or 2027, to the nanosecond.
        fn any_instant()(second in 1_767_225_600i64..1_830_297_600, nano in 0i32..1_000_000_000) -> Timestamp {
            Timestamp::new(second, nano).unwrap()
        }
    }

    proptest! {
        /// Nothing is lost or counted twice, however often one looks in between.
        #[test]
        fn time_adds_up(calendar in any_calendar(), a in any_instant(), b in any_instant(), c in any_instant()) {
            let mut instants = [a, b, c];
            instants.sort();
            let [a, b, c] = instants;
            for kind in KINDS {
                let (first, second) = (between(&calendar, kind, a, b), between(&calendar, kind, b, c));
                let whole = between(&calendar, kind, a, c);
                prop_assert_eq!(first + second, whole, "{:?}", kind);
                prop_assert!(first <= whole && whole <= elapsed(a, c), "{:?}", kind);
                prop_assert_eq!(between(&calendar, kind, c, a), Duration::ZERO);
            }
        }

        #[test]
        fn a_limit_is_used_up_when_it_says_and_not_before(
            calendar in any_calendar(), after in any_instant(), seconds in 1u64..2_000_000, nanos in 0u32..1_000_000_000
        ) {
            let amount = Duration::new(seconds, nanos);
            for kind in KINDS {
                let Some(reached) = when(&calendar, kind, after, amount) else { continue };
                prop_assert_eq!(between(&calendar, kind, after, reached), amount, "{:?}", kind);
                let before = reached.checked_sub(Duration::from_nanos(1)).unwrap();
                prop_assert!(between(&calendar, kind, after, before) < amount, "{:?}", kind);
            }
        }

        /// The same as looking at the local clock every minute, where no span begins or ends in hours that are skipped or repeated.
        #[test]
        fn minutes_counted_one_by_one_give_the_same(
            zone in 0..3usize, minute in 29_453_760i64..30_504_960, n in 0i64..4000, from in 181u16..700, to in 701u16..1440
        ) {
            let calendar = calendar(&format!(
                "time_zone = \"{}\"\nworking_hours = [\"{:02}:{:02}-{:02}:{:02}\"]\n",
                ZONES[zone], from / 60, from % 60, to / 60, to % 60
            ));
            let instant = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
            for (kind, hours) in [(WorkingHours, from..to), (WorkingDays, WHOLE_DAY)] {
                let counts = |minute: &i64| {
                    let local = calendar.zone().to_datetime(instant(*minute));
                    let of_day = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap();
                    calendar.is_worked(local.date()) && hours.contains(&of_day)
                };
                let expected = (minute..minute + n).filter(counts).count() as u64;
                let found = between(&calendar, kind, instant(minute), instant(minute + n));
                prop_assert_eq!(found, Duration::from_secs(expected * 60), "{:?}", kind);
            }
        }
    }
}
