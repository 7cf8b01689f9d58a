//! What zones and lines tell of the tracked persons, beside what they tell of the labelled ones. Two events are the
//! same when kind, place and direction are, and they lie close in time; who it was plays no part.

use std::time::Duration;

use jiff::Timestamp;
use xueliang_inference::{Class, Observation};

/// Events further apart are not the same.
const SAME_WITHIN: Duration = Duration::from_millis(1500);

/// One event of a person at a zone or line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Kind, place and direction.
    pub key: String,
    /// When.
    pub at: Timestamp,
}

/// How the events of tracked persons agree with those of labelled ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneAccuracy {
    /// Events of labelled persons.
    pub n_true: u64,
    /// Events of tracked persons.
    pub n_told: u64,
    /// Pairs of both.
    pub n_matched: u64,
}

impl ZoneAccuracy {
    /// Share of the told events that are true; none without any.
    pub fn precision(&self) -> Option<f64> {
        super::share(self.n_matched, self.n_told)
    }

    /// Share of the true events that are told; none without any.
    pub fn recall(&self) -> Option<f64> {
        super::share(self.n_matched, self.n_true)
    }
}

/// The event that an observation tells of a person.
pub(super) fn event(observation: &Observation) -> Option<Event> {
    let (subject, key, at) = match observation {
        Observation::Entered(told) => (told.subject, format!("entered {}", told.zone), told.at),
        Observation::Exited(told) => (told.subject, format!("exited {}", told.zone), told.at),
        Observation::Dwelled(told) => (told.subject, format!("dwelled {}", told.zone), told.at),
        Observation::Crossed(told) => (told.subject, format!("crossed {} {:?}", told.line, told.direction), told.at),
        Observation::Occupancy(_) => return None,
    };
    (subject.class == Class::Person).then_some(Event { key, at })
}

/// Pairs each event with at most one other, nearest first.
pub(super) fn compare(truth: &[Event], told: &[Event]) -> ZoneAccuracy {
    let mut pairs = Vec::new();
    for (row, wanted) in truth.iter().enumerate() {
        for (column, event) in told.iter().enumerate().filter(|(_, event)| event.key == wanted.key) {
            let apart = event.at.duration_since(wanted.at).unsigned_abs();
            if apart <= SAME_WITHIN {
                pairs.push((apart, row, column));
            }
        }
    }
    pairs.sort_unstable();
    let (mut is_found, mut is_true) = (vec![false; truth.len()], vec![false; told.len()]);
    let mut n_matched = 0;
    for (_, row, column) in pairs {
        if !is_found[row] && !is_true[column] {
            (is_found[row], is_true[column]) = (true, true);
            n_matched += 1;
        }
    }
    ZoneAccuracy { n_true: truth.len() as u64, n_told: told.len() as u64, n_matched }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &str, at_ms: i64) -> Event {
        Event { key: key.to_owned(), at: Timestamp::from_millisecond(at_ms).unwrap() }
    }

    #[test]
    fn events_pair_once_by_kind_place_and_time() {
        let truth = [event("entered a", 0), event("entered a", 1000), event("exited a", 9000)];
        let told = [event("entered a", 900), event("entered b", 0), event("exited a", 12_000)];
        let compared = compare(&truth, &told);
        assert_eq!(compared, ZoneAccuracy { n_true: 3, n_told: 3, n_matched: 1 });
        assert_eq!((compared.precision(), compared.recall()), (Some(1.0 / 3.0), Some(1.0 / 3.0)));
        assert_eq!(compare(&truth, &truth).n_matched, 3);
        assert_eq!(compare(&[], &[]).recall(), None);
    }
}
