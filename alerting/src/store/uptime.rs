//! How long devices were heard, delivered (在线) and delivered without fault (完好), a day at a time.
//!
//! Time counts between two words of a device, at most [`KNOWN_FOR`] after the first: what nobody heard of is not known, neither good
//! nor bad. The day that runs stands with the device, so that a heartbeat costs no row of its own.

use std::time::Duration;

use jiff::{Timestamp, Zoned, tz::TimeZone};
use xueliang_events::payload::DeviceState;

use super::{Stored, Tx, sql::params};

/// How long the last word of a device holds.
pub const KNOWN_FOR: Duration = Duration::from_secs(300);

/// The times of one local day, microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// The local date, `2026-11-27`; empty before the first.
    pub date: String,
    /// How long its state was known.
    pub observed_us: u64,
    /// How long it delivered.
    pub live_us: u64,
    /// How long it delivered without fault.
    pub good_us: u64,
}

/// The local day of the moments that were asked about last: nearly all events of a batch are of one day.
#[derive(Debug, Default)]
pub struct LocalDays(Option<LocalDay>);

#[derive(Debug)]
struct LocalDay {
    date: String,
    starts_at: Timestamp,
    /// The first moment after it.
    ends_at: Timestamp,
}

impl LocalDays {
    fn of(&mut self, at: Timestamp, zone: &TimeZone) -> &LocalDay {
        let known = self.0.take().filter(|day| (day.starts_at..day.ends_at).contains(&at));
        self.0.insert(known.unwrap_or_else(|| LocalDay::new(at, zone)))
    }
}

impl LocalDay {
    fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let local = at.to_zoned(zone.clone());
        let midnight =
            |day: Result<Zoned, jiff::Error>| day.and_then(|day| day.start_of_day()).map(|day| day.timestamp());
        Self {
            date: local.date().to_string(),
            starts_at: midnight(Ok(local.clone())).unwrap_or(at),
            ends_at: midnight(local.tomorrow()).unwrap_or(Timestamp::MAX),
        }
    }
}

impl Day {
    /// Counts the time from one word to the next, in the state that the first told; the days that ended meanwhile.
    pub fn count(
        &mut self,
        state: &str,
        (mut from, to): (Timestamp, Timestamp),
        (days, zone): (&mut LocalDays, &TimeZone),
    ) -> Vec<Day> {
        let known_until = from.checked_add(KNOWN_FOR).unwrap_or(to).min(to);
        let mut ended = Vec::new();
        while from < known_until {
            let day = days.of(from, zone);
            let upto = day.ends_at.min(known_until);
            ended.extend(self.turn(&day.date));
            self.add(state, from, upto);
            from = upto;
        }
        ended
    }

    /// Begins this day; the one before, when it was another one.
    fn turn(&mut self, date: &str) -> Option<Day> {
        if self.date == date {
            return None;
        }
        let before = std::mem::replace(self, Day { date: date.to_owned(), ..Day::default() });
        (!before.date.is_empty()).then_some(before)
    }

    fn add(&mut self, state: &str, from: Timestamp, to: Timestamp) {
        let us = to.duration_since(from).as_micros().try_into().unwrap_or_default();
        let is = |known: DeviceState| state == super::devices::wire_key(known);
        self.observed_us += us;
        self.live_us += if is(DeviceState::Live) || is(DeviceState::Degraded) { us } else { 0 };
        self.good_us += if is(DeviceState::Live) { us } else { 0 };
    }
}

/// Writes days that have ended; a day that ended twice, because a clock was set back, is added up.
pub fn store(tx: &Tx<'_>, ended: &[(String, Day)]) -> Stored<()> {
    let rows = ended
        .iter()
        .map(|(device, day)| params![device, &day.date, day.observed_us, day.live_us, day.good_us].to_vec());
    tx.execute_each(
        "INSERT INTO device_day (device, day, observed_us, live_us, good_us) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (device, day) DO UPDATE SET observed_us = device_day.observed_us + excluded.observed_us,
         live_us = device_day.live_us + excluded.live_us, good_us = device_day.good_us + excluded.good_us",
        &rows.collect::<Vec<_>>(),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-{time}+08:00").parse().unwrap()
    }

    /// Counts each span; the seconds of the ended days and of the running one.
    #[track_caller]
    fn check(spans: &[(&str, &str, &str)], expected: &[(&str, u64, u64, u64)]) {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let (mut running, mut known) = (Day::default(), LocalDays::default());
        let mut days: Vec<Day> = Vec::new();
        for (state, from, to) in spans {
            days.extend(running.count(state, (at(from), at(to)), (&mut known, &zone)));
        }
        days.push(running);
        let seconds = |us: u64| us / 1_000_000;
        let found: Vec<_> = days
            .iter()
            .map(|day| (day.date.as_str(), seconds(day.observed_us), seconds(day.live_us), seconds(day.good_us)))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn time_counts_by_the_state_that_held() {
        let spans = [
            ("live", "27T10:00:00", "27T10:01:00"),
            ("degraded", "27T10:01:00", "27T10:03:00"),
            ("unreachable", "27T10:03:00", "27T10:04:00"),
        ];
        check(&spans, &[("2026-11-27", 240, 180, 60)]);
    }

    #[test]
    fn what_nobody_heard_of_is_not_known() {
        check(&[("live", "27T10:00:00", "27T18:00:00")], &[("2026-11-27", 300, 300, 300)]);
        check(&[("live", "27T10:00:00", "27T09:00:00")], &[("", 0, 0, 0)]);
    }

    #[test]
    fn a_span_over_midnight_belongs_to_both_days() {
        let spans = [("live", "27T23:59:00", "28T00:02:00")];
        check(&spans, &[("2026-11-27", 60, 60, 60), ("2026-11-28", 120, 120, 120)]);
    }
}
