//! 评价: what a finished incident counts for, and the four rates: on time, rework, return, false alarm (edge 20).
//!
//! In: the commands that an incident took, and its handling clock. Out: what it counts for, and sums of that.
//! Not here: which incidents are counted together, and what of that may be published (P33).

use super::command::Command;
use crate::deadline::{Clock, ClockState};

/// What one incident counts for; `None` where it has no part in a rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// A person looked at what a machine found: true when it was nothing.
    pub is_false_alarm: Option<bool>,
    /// It was handled: true when its last attempt kept the limit.
    pub is_on_time: Option<bool>,
    /// It was handled: true when work had to be done again.
    pub is_reworked: Option<bool>,
    /// It was dispatched: true when a department gave it back.
    pub is_returned: Option<bool>,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub n: u64,
    /// Of how many.
    pub of: u64,
}

/// The four rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// 误报率
    pub false_alarm: Rate,
    /// 按时处置率
    pub on_time: Rate,
    /// 返工率
    pub rework: Rate,
    /// 退回率
    pub returned: Rate,
}

impl Evaluation {
    /// Of the commands that an incident took, in order, and its handling clock.
    pub fn of(course: &[Command], handling: Option<&Clock>) -> Self {
        let took = |command: Command| course.contains(&command);
        let (was_nothing, was_so) = (took(Command::Discard), took(Command::Report));
        let was_dispatched = took(Command::Dispatch);
        let stopped = handling.filter(|clock| clock.state() == ClockState::Stopped);
        let was_done_again = took(Command::Rework) || took(Command::Reject);
        Self {
            is_false_alarm: (was_nothing || was_so).then_some(was_nothing),
            is_on_time: stopped.map(Clock::kept_its_limit),
            is_reworked: stopped.map(|_| was_done_again),
            is_returned: was_dispatched.then_some(took(Command::Return)),
        }
    }
}

impl Rates {
    /// Counts one more incident.
    pub fn count(&mut self, evaluation: Evaluation) {
        self.false_alarm.count(evaluation.is_false_alarm);
        self.on_time.count(evaluation.is_on_time);
        self.rework.count(evaluation.is_reworked);
        self.returned.count(evaluation.is_returned);
    }
}

impl Rate {
    /// From 0 to 1; `None` of nothing.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.n as f64 / self.of as f64)
    }

    fn count(&mut self, part: Option<bool>) {
        self.of += u64::from(part.is_some());
        self.n += u64::from(part == Some(true));
    }
}
