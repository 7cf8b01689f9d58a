//! How many are inside a zone, told calmly: a change of a class's count must hold before it counts, changes are told at
//! most once a second, and a heartbeat tells the same again when nothing changes.

use std::time::Duration;

use jiff::Timestamp;

use super::Occupancy;
use crate::detection::Class;
use crate::elapsed::elapsed;
use crate::zone::ZoneTiming;

/// Changes come at most this often.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Counts of each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounts {
    counts: [u32; Class::ALL.len()],
}

impl ClassCounts {
    /// How many of this class.
    pub fn get(&self, class: Class) -> u32 {
        self.counts[class.index()]
    }

    /// How many in all.
    pub fn total(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// Every class with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u32)> + '_ {
        Class::ALL.into_iter().zip(self.counts)
    }

    pub(super) fn of(classes: impl Iterator<Item = Class>) -> Self {
        let mut all = Self::default();
        classes.for_each(|class| all.counts[class.index()] += 1);
        all
    }
}

/// Decides when a zone's occupancy is told.
#[derive(Clone)]
pub(super) struct OccupancyTeller {
    rise_after: Duration,
    fall_after: Duration,
    heartbeat: Duration,
    held: ClassCounts,
    changing: [Option<Change>; Class::ALL.len()],
    told: Option<(Timestamp, ClassCounts)>,
}

/// A count that differs from the held one, in this direction since then.
#[derive(Clone, Copy)]
struct Change {
    rises: bool,
    since: Timestamp,
}

impl OccupancyTeller {
    pub(super) fn new(timing: &ZoneTiming, heartbeat: Duration) -> Self {
        Self {
            rise_after: timing.rise_after,
            fall_after: timing.fall_after,
            heartbeat,
            held: ClassCounts::default(),
            changing: [None; Class::ALL.len()],
            told: None,
        }
    }

    /// Takes in the counts of now; gives what is to be told.
    pub(super) fn observe(&mut self, at: Timestamp, zone: &str, counts: ClassCounts) -> Option<Occupancy> {
        for class in Class::ALL {
            self.hold(at, class, counts.get(class));
        }
        let due = match self.told {
            None => Some(true),
            // A clock set back must not silence the zone.
            Some((told_at, _)) if at < told_at => Some(true),
            Some((told_at, told)) if told != self.held => (elapsed(told_at, at) >= MIN_INTERVAL).then_some(false),
            Some((told_at, _)) => (elapsed(told_at, at) >= self.heartbeat).then_some(true),
        };
        due.map(|heartbeat| self.tell(at, zone, heartbeat))
    }

    /// The zone is empty from now on, because nobody looks any more; tells so if anything was told before.
    pub(super) fn close(&mut self, at: Timestamp, zone: &str) -> Option<Occupancy> {
        let (_, told) = self.told?;
        self.held = ClassCounts::default();
        self.changing = [None; Class::ALL.len()];
        let last = self.tell(at, zone, told == self.held);
        self.told = None;
        Some(last)
    }

    /// Whether the counts are steady and told.
    pub(super) fn is_settled(&self) -> bool {
        self.changing.iter().all(Option::is_none) && self.told.is_some_and(|(_, told)| told == self.held)
    }

    fn hold(&mut self, at: Timestamp, class: Class, count: u32) {
        let (held, changing) = (&mut self.held.counts[class.index()], &mut self.changing[class.index()]);
        if count == *held {
            *changing = None;
            return;
        }
        let rises = count > *held;
        let since = changing.filter(|change| change.rises == rises).map_or(at, |change| change.since);
        let hold = if rises { self.rise_after } else { self.fall_after };
        if elapsed(since, at) >= hold {
            *held = count;
            *changing = None;
        } else {
            *changing = Some(Change { rises, since });
        }
    }

    fn tell(&mut self, at: Timestamp, zone: &str, heartbeat: bool) -> Occupancy {
        self.told = Some((at, self.held));
        Occupancy { zone: zone.to_owned(), at, counts: self.held, heartbeat }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_microsecond((seconds * 1e6) as i64).unwrap()
    }

    /// Feeds (seconds, persons) and lists (seconds, told persons, heartbeat).
    fn check(counts: &[(f64, u32)], expected: &[(f64, u32, bool)]) {
        let mut teller = OccupancyTeller::new(&ZoneTiming::default(), Duration::from_secs(30));
        let mut told = Vec::new();
        for &(seconds, n) in counts {
            let counts = ClassCounts::of((0..n).map(|_| Class::Person));
            if let Some(occupancy) = teller.observe(at(seconds), "gate", counts) {
                told.push((seconds, occupancy.counts.get(Class::Person), occupancy.heartbeat));
            }
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn flicker_is_not_told() {
        check(&[(0.0, 0), (2.0, 1), (2.2, 0), (2.4, 1), (2.6, 0), (5.0, 0)], &[(0.0, 0, true)]);
    }

    #[test]
    fn change_that_holds_is_told_once() {
        check(&[(0.0, 0), (2.0, 2), (2.4, 3), (2.6, 3), (3.0, 3)], &[(0.0, 0, true), (2.6, 3, false)]);
    }

    #[test]
    fn changes_come_at_most_once_a_second() {
        let busy: Vec<(f64, u32)> = (0..100).map(|i| (f64::from(i) * 0.2, i as u32 / 4)).collect();
        let mut teller = OccupancyTeller::new(&ZoneTiming::default(), Duration::from_secs(30));
        let mut told_at: Vec<f64> = Vec::new();
        for (seconds, n) in busy {
            let counts = ClassCounts::of((0..n).map(|_| Class::Car));
            if teller.observe(at(seconds), "gate", counts).is_some() {
                told_at.push(seconds);
            }
        }
        assert!(told_at.len() > 10);
        assert!(told_at.windows(2).all(|pair| pair[1] - pair[0] > 0.999));
    }

    #[test]
    fn heartbeat_comes_when_nothing_changes() {
        check(
            &[(0.0, 0), (29.9, 0), (30.0, 0), (59.0, 0), (60.0, 0)],
            &[(0.0, 0, true), (30.0, 0, true), (60.0, 0, true)],
        );
    }

    #[test]
    fn clock_set_back_does_not_silence_the_zone() {
        check(&[(5000.0, 0), (100.0, 0), (131.0, 0)], &[(5000.0, 0, true), (100.0, 0, true), (131.0, 0, true)]);
    }
}
