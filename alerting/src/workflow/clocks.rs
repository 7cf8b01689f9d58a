//! The three clocks of an incident, and what each effect of an edge does to them.
//!
//! In: a [`ClockEffect`], from when on, and the [`Terms`] that hold. Out: the clocks, a small value that the store keeps as JSON.
//! The check's clock runs while the accept clock is paused for it. A clock that should go on and was never started
//! (an incident from before there were clocks) is started: nobody has all the time in the world.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xueliang_rules::{Calendar, Urgency};

use super::{command::vocabulary, edge::ClockEffect};
use crate::deadline::{Clock, DeadlineRule, Limit, next_at};

/// An incident's clocks; one that was not started is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clocks {
    /// From the report to the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<Clock>,
    /// While a grid worker looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Clock>,
    /// From dispatch to verifying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handling: Option<Clock>,
}

vocabulary! {
    /// One of the three clocks.
    ClockName {
        /// From the report to the case.
        Accept => "accept",
        /// While a grid worker looks.
        Check => "check",
        /// From dispatch to verifying.
        Handling => "handling",
    }
}

/// What an incident's time goes by.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Its limits.
    pub rule: &'a DeadlineRule,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Which days and hours are worked.
    pub calendar: &'a Calendar,
}

impl Clocks {
    /// Does to the clocks what an edge says.
    pub fn apply(&mut self, effect: ClockEffect, at: Timestamp, terms: Terms<'_>) {
        let Terms { rule, urgency, calendar } = terms;
        let handling = rule.handling(urgency);
        match effect {
            ClockEffect::None => {}
            ClockEffect::StartAccept => self.accept = Some(Clock::start(rule.accept, at)),
            ClockEffect::PauseAccept => {
                pause(&mut self.accept, at, calendar);
                self.check = Some(Clock::start(rule.check, at));
            }
            ClockEffect::ResumeAccept => {
                stop(&mut self.check, at, calendar);
                resume(&mut self.accept, rule.accept, at, calendar);
            }
            ClockEffect::StopAccept => stop(&mut self.accept, at, calendar),
            ClockEffect::StartHandling => self.handling = Some(Clock::start(handling, at)),
            ClockEffect::PauseHandling => pause(&mut self.handling, at, calendar),
            ClockEffect::ResumeHandling => resume(&mut self.handling, handling, at, calendar),
            ClockEffect::StopHandling => stop(&mut self.handling, at, calendar),
        }
    }

    /// When the next milestone of any of them comes; for an indexed column.
    pub fn next_at(&self, calendar: &Calendar) -> Option<Timestamp> {
        let clocks = ClockName::ALL.iter().filter_map(|name| self.of(*name));
        clocks.filter_map(|clock| next_at(clock, calendar)).min()
    }

    /// One of them.
    pub fn of(&self, name: ClockName) -> Option<&Clock> {
        match name {
            ClockName::Accept => self.accept.as_ref(),
            ClockName::Check => self.check.as_ref(),
            ClockName::Handling => self.handling.as_ref(),
        }
    }

    /// One of them, to change it.
    pub fn of_mut(&mut self, name: ClockName) -> Option<&mut Clock> {
        match name {
            ClockName::Accept => self.accept.as_mut(),
            ClockName::Check => self.check.as_mut(),
            ClockName::Handling => self.handling.as_mut(),
        }
    }
}

fn pause(clock: &mut Option<Clock>, at: Timestamp, calendar: &Calendar) {
    if let Some(clock) = clock {
        clock.pause(at, calendar);
    }
}

fn resume(clock: &mut Option<Clock>, limit: Limit, at: Timestamp, calendar: &Calendar) {
    match clock {
        Some(clock) => clock.resume(at, calendar),
        None => *clock = Some(Clock::start(limit, at)),
    }
}

fn stop(clock: &mut Option<Clock>, at: Timestamp, calendar: &Calendar) {
    if let Some(clock) = clock {
        clock.stop(at, calendar);
    }
}

#[cfg(test)]
mod tests {
    use xueliang_events::payload::Category;

    use super::*;
    use crate::deadline::ClockState::{Paused, Running, Stopped};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    /// Each effect after ten seconds more; the state and the used seconds of accept, check and handling after the last.
    #[track_caller]
    fn check(effects: &[ClockEffect], expected: [Option<(crate::deadline::ClockState, u64)>; 3]) {
        let (rule, calendar) = (DeadlineRule::of_category(Category::GasLeak), Calendar::default());
        let terms = Terms { rule: &rule, urgency: Urgency::B, calendar: &calendar };
        let mut clocks = Clocks::default();
        let mut second = 0;
        for effect in effects {
            second += 10;
            clocks.apply(*effect, at(second), terms);
        }
        let found = [&clocks.accept, &clocks.check, &clocks.handling]
            .map(|clock| clock.as_ref().map(|clock| (clock.state(), clock.used(at(second), &calendar).as_secs())));
        assert_eq!(found, expected, "{effects:?}");
        let json = serde_json::to_string(&clocks).unwrap();
        assert_eq!(serde_json::from_str::<Clocks>(&json).unwrap(), clocks);
    }

    #[test]
    fn effects_do_what_they_say() {
        use ClockEffect::{
            None as Nothing, PauseAccept, PauseHandling, ResumeAccept, ResumeHandling, StartAccept, StartHandling,
            StopAccept, StopHandling,
        };
        check(&[], [None; 3]);
        check(&[StartAccept, Nothing], [Some((Running, 10)), None, None]);
        check(&[StartAccept, PauseAccept, Nothing], [Some((Paused, 10)), Some((Running, 10)), None]);
        let checked = [StartAccept, PauseAccept, ResumeAccept, Nothing];
        check(&checked, [Some((Running, 20)), Some((Stopped, 10)), None]);
        let again = [StartAccept, PauseAccept, ResumeAccept, PauseAccept, Nothing];
        check(&again, [Some((Paused, 20)), Some((Running, 10)), None]);
        check(&[StartAccept, StopAccept, Nothing], [Some((Stopped, 10)), None, None]);
        check(&[StartHandling, PauseHandling, Nothing], [None, None, Some((Paused, 10))]);
        check(&[StartHandling, PauseHandling, ResumeHandling, Nothing], [None, None, Some((Running, 20))]);
        check(&[StartHandling, PauseHandling, StartHandling, Nothing], [None, None, Some((Running, 10))]);
        check(&[StartHandling, StopHandling, ResumeHandling, Nothing], [None, None, Some((Running, 20))]);
        check(&[PauseHandling, ResumeHandling, Nothing], [None, None, Some((Running, 10))]);
        check(&[PauseAccept, ResumeAccept, Nothing], [Some((Running, 10)), Some((Stopped, 10)), None]);
    }
}
