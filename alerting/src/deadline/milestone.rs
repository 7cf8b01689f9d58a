//! Who is told when a clock runs on: a reminder at 75 %, overdue at 100 %, the next region levels from 150 % on (RULES C).
//!
//! In: a clock, which carries what was told of it, and `now`. Out: what is due, in order, each once; and when to look again,
//! for a job that goes by an indexed column. A clock that doesn't run tells nothing. Once somebody has acknowledged that it is
//! overdue, no further level is told. Not here: which region a level is, and sending.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, TimestampRound, Unit};
use serde::{Deserialize, Serialize};
use xueliang_rules::Calendar;

use super::clock::{Clock, ClockState};

/// How far a clock has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Milestone {
    /// Soon due: whoever has it is reminded.
    Remind,
    /// The limit is used up; the incident is supervised (督办).
    Overdue,
    /// So many region levels up are told: 1 community, 2 township, 3 county, 4 city.
    Escalate(u8),
}

/// What was told of a clock, and what of that was acknowledged; each includes what comes before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Told {
    /// The furthest milestone that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<Milestone>,
    /// The furthest that somebody acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Milestone>,
}

/// What a look at a clock finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What is to be told, in this order.
    pub due: Vec<Milestone>,
    /// The clock once it is told.
    pub clock: Clock,
    /// When to look again.
    pub next_at: Option<Timestamp>,
}

/// Looks at a clock.
pub fn look(clock: &Clock, now: Timestamp, calendar: &Calendar) -> Look {
    let mut clock = clock.clone();
    let mut due = Vec::new();
    let used = clock.used(now, calendar);
    while let Some(milestone) = coming(&clock).filter(|milestone| clock.limit().part(milestone.percent()) <= used) {
        due.push(milestone);
        clock.told.reached = Some(milestone);
    }
    let next_at = next_at(&clock, calendar);
    Look { due, clock, next_at }
}

/// When a look finds something: in the past when that is overdue itself. `None` while the clock doesn't run or nothing is left to tell.
///
/// Rounded up to a microsecond, which is what the store keeps of a time.
pub fn next_at(clock: &Clock, calendar: &Calendar) -> Option<Timestamp> {
    let amount = clock.limit().part(coming(clock)?.percent());
    let reached_at = clock.reaches_at(amount, calendar)?;
    reached_at.round(TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Ceil)).ok()
}

/// What is told next of a running clock.
fn coming(clock: &Clock) -> Option<Milestone> {
    let Told { reached, acknowledged } = clock.told;
    let next = Milestone::ALL.into_iter().find(|milestone| reached.is_none_or(|reached| *milestone > reached))?;
    let is_answered = acknowledged >= Some(Milestone::Overdue);
    let is_wanted = clock.state() == ClockState::Running && (next <= Milestone::Overdue || !is_answered);
    is_wanted.then_some(next)
}

impl Clock {
    /// Somebody has seen what was told of this clock; nobody further up is told then, once it is overdue.
    pub fn acknowledge(&mut self) {
        self.told.acknowledged = self.told.reached;
    }
}

impl Told {
    /// True when nobody has yet acknowledged the last that was told: it may be repeated.
    pub fn is_unanswered(self) -> bool {
        self.reached > self.acknowledged
    }
}

impl Milestone {
    /// All of them, in order.
    pub const ALL: [Milestone; 6] = [
        Milestone::Remind,
        Milestone::Overdue,
        Milestone::Escalate(1),
        Milestone::Escalate(2),
        Milestone::Escalate(3),
        Milestone::Escalate(4),
    ];

    /// How much of the limit is used up then.
    pub fn percent(self) -> u32 {
        match self {
            Milestone::Remind => 75,
            Milestone::Overdue => 100,
            Milestone::Escalate(n_levels) => 100 + 50 * u32::from(n_levels),
        }
    }
}

/// Why a text is no milestone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no milestone: remind, overdue, or escalate_1 to escalate_4")]
pub struct InvalidMilestone(String);

impl FromStr for Milestone {
    type Err = InvalidMilestone;

    fn from_str(text: &str) -> Result<Self, InvalidMilestone> {
        let found = Self::ALL.into_iter().find(|milestone| milestone.to_string() == text);
        found.ok_or_else(|| InvalidMilestone(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Milestone {
    type Error = InvalidMilestone;

    fn try_from(text: String) -> Result<Self, InvalidMilestone> {
        text.parse()
    }
}

impl From<Milestone> for String {
    fn from(milestone: Milestone) -> String {
        milestone.to_string()
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Milestone::Remind => f.write_str("remind"),
            Milestone::Overdue => f.write_str("overdue"),
            Milestone::Escalate(n_levels) => write!(f, "escalate_{n_levels}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use Milestone::{Escalate, Overdue, Remind};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    /// A limit of a hundred seconds, so that a second is a hundredth.
    fn hundred() -> Clock {
        Clock::start("100s".parse().unwrap(), at(0))
    }

    #[track_caller]
    fn check(clock: &Clock, second: i64, due: &[Milestone], next: Option<i64>) -> Clock {
        let found = look(clock, at(second), &Calendar::default());
        assert_eq!((found.due.as_slice(), found.next_at), (due, next.map(at)), "after {second} s");
        found.clock
    }

    #[test]
    fn each_milestone_is_told_once_and_in_order() {
        let clock = check(&hundred(), 74, &[], Some(75));
        let clock = check(&clock, 75, &[Remind], Some(100));
        let clock = check(&clock, 99, &[], Some(100));
        let clock = check(&clock, 100, &[Overdue], Some(150));
        let clock = check(&clock, 150, &[Escalate(1)], Some(200));
        let clock = check(&clock, 260, &[Escalate(2), Escalate(3)], Some(300));
        let clock = check(&clock, 300, &[Escalate(4)], None);
        check(&clock, 100_000, &[], None);
    }

    #[test]
    fn what_a_job_missed_is_told_when_it_looks_again() {
        check(&hundred(), 170, &[Remind, Overdue, Escalate(1)], Some(200));
    }

    #[test]
    fn a_clock_that_does_not_run_tells_nothing() {
        let calendar = Calendar::default();
        let mut clock = check(&hundred(), 80, &[Remind], Some(100));
        clock.pause(at(80), &calendar);
        let mut clock = check(&clock, 1000, &[], None);
        clock.resume(at(1000), &calendar);
        let mut clock = check(&clock, 1010, &[], Some(1020));
        clock.stop(at(1050), &calendar);
        check(&clock, 2000, &[], None);
        assert_eq!(next_at(&clock, &calendar), None);
    }

    #[test]
    fn an_acknowledgement_spares_the_levels_above() {
        let mut clock = check(&hundred(), 160, &[Remind, Overdue, Escalate(1)], Some(200));
        assert!(clock.told().is_unanswered());
        clock.acknowledge();
        assert!(!clock.told().is_unanswered());
        check(&clock, 100_000, &[], None);
    }

    #[test]
    fn an_acknowledged_reminder_does_not_hide_that_it_became_overdue() {
        let mut clock = check(&hundred(), 80, &[Remind], Some(100));
        clock.acknowledge();
        let clock = check(&clock, 100, &[Overdue], Some(150));
        assert!(clock.told().is_unanswered());
        check(&clock, 150, &[Escalate(1)], Some(200));
    }

    #[test]
    fn work_that_was_not_good_enough_must_be_acknowledged_again() {
        let calendar = Calendar::default();
        let mut clock = check(&hundred(), 120, &[Remind, Overdue], Some(150));
        clock.acknowledge();
        clock.stop(at(120), &calendar);
        clock.resume(at(500), &calendar);
        check(&clock, 530, &[Escalate(1)], Some(580));
    }

    #[test]
    fn milestones_are_read_as_they_are_written() {
        for milestone in Milestone::ALL {
            assert_eq!(milestone.to_string().parse(), Ok(milestone));
        }
        for wrong in ["", "escalate", "escalate_0", "escalate_5", "Remind"] {
            assert!(wrong.parse::<Milestone>().is_err(), "{wrong}");
        }
    }

    proptest! {
        /// A job that goes by `next_at` alone tells the same as one that looks all the time, and never looks in vain.
        #[test]
        fn next_at_is_when_something_is_due(
            nano in 0i64..1_000_000_000, limit in prop_oneof!["[1-9][0-9]s", "[1-9]h", "[1-9] working hours", "[1-9] working days"]
        ) {
            let calendar = Calendar::default();
            let begun = at(0).checked_add(SignedDuration::from_nanos(nano)).unwrap();
            let mut clock = Clock::start(limit.parse().unwrap(), begun);
            let mut told = Vec::new();
            let mut next = next_at(&clock, &calendar);
            while let Some(now) = next {
                let before = now.checked_sub(SignedDuration::from_micros(1)).unwrap();
                prop_assert!(look(&clock, before, &calendar).due.is_empty());
                let found = look(&clock, now, &calendar);
                prop_assert_eq!(found.due.len(), 1);
                told.extend(found.due);
                (clock, next) = (found.clock, found.next_at);
            }
            prop_assert_eq!(told, Milestone::ALL);
        }

        /// Pauses, jumps of time, acknowledgements and restarts of the job between: nothing is told twice or out of order.
        #[test]
        fn nothing_is_told_twice(steps in proptest::collection::vec((0..5u8, -30i64..60), 0..60)) {
            let calendar = Calendar::default();
            let (mut clock, mut now, mut told) = (hundred(), 0, Vec::new());
            for (what, step) in steps {
                now += step;
                match what {
                    0 => clock.pause(at(now), &calendar),
                    1 => clock.resume(at(now), &calendar),
                    2 => clock.acknowledge(),
                    _ => {
                        let found = look(&clock, at(now), &calendar);
                        prop_assert!(found.due.is_empty() || clock.state() == ClockState::Running);
                        told.extend(found.due);
                        clock = serde_json::from_str(&serde_json::to_string(&found.clock).unwrap()).unwrap();
                    }
                }
            }
            prop_assert!(told.windows(2).all(|pair| pair[0] < pair[1]), "{told:?}");
            prop_assert_eq!(told.last().copied(), clock.told().reached);
            prop_assert!(told.iter().eq(Milestone::ALL.iter().take(told.len())));
        }
    }
}
