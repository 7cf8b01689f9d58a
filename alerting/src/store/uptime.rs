//! How long devices were heard, delivered (在线) and delivered without fault (完好), a day at a time.
//!
//! Time counts between two words of a device, at most [`KNOWN_FOR`] after the first: what nobody heard of is not known, neither good
//! nor bad. The day that runs stands with the device, so that a heartbeat costs no row of its own.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
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

impl Day {
    /// Counts the time from one word to the next, in the state that the first told; the days that ended meanwhile.
    pub fn count(&mut self, state: &str, (from, to): (Timestamp, Timestamp), zone: &TimeZone) -> Vec<Day> {
        let known_until = from.checked_add(KNOWN_FOR).unwrap_or(to).min(to);
        let mut ended = Vec::new();
        let mut from = from;
        while from < known_until {
            ended.extend(self.turn(from, zone));
            let upto = midnight_after(from, zone).map_or(known_until, |midnight| midnight.min(known_until));
            self.add(state, from, upto);
            from = upto;
        }
        ended
    }

    /// Begins the day of this moment; the one before, when it was another one.
    fn turn(&mut self, at: Timestamp, zone: &TimeZone) -> Option<Day> {
        let date = at.to_zoned(zone.clone()).date().to_string();
        if self.date == date {
            return None;
        }
        let before = std::mem::replace(self, Day { date, ..Day::default() });
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

fn midnight_after(at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let tomorrow = at.to_zoned(zone.clone()).tomorrow().ok()?.start_of_day().ok()?;
    Some(tomorrow.timestamp())
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
        let mut running = Day::default();
        let mut days: Vec<Day> = Vec::new();
        for (state, from, to) in spans {
            days.extend(running.count(state, (at(from), at(to)), &zone));
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
