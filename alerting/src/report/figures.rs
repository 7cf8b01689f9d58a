//! What is counted of incidents: figures of a group, rates with what they are a part of, and how an incident ended.

use super::{
    CaseFact,
    table::{Cell, Column, column},
};
use crate::workflow::State;

/// A part of a whole; there is no rate of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    n: u64,
    of: u64,
}

impl Rate {
    /// `None` when there is nothing to be a part of. A part greater than its whole is all of it.
    pub fn new(n: u64, of: u64) -> Option<Self> {
        (of > 0).then_some(Self { n: n.min(of), of })
    }

    /// The part, 0 to 1.
    pub fn share(self) -> f64 {
        self.n as f64 / self.of as f64
    }

    /// Numerator, denominator and share, in the order of [`Rate::columns`].
    pub(super) fn cells(rate: Option<Self>) -> [Cell; 3] {
        rate.map_or([Cell::Empty, Cell::Empty, Cell::Empty], |rate| {
            [Cell::Count(rate.n), Cell::Count(rate.of), Cell::Share(rate.share())]
        })
    }

    /// Columns for a rate: its key is that of the share.
    pub(super) fn columns(key: &str, zh: &str, en: &str) -> [Column; 3] {
        [
            column(format!("{key}_n"), format!("{zh}（分子）"), format!("{en} (n)")),
            column(format!("{key}_of"), format!("{zh}（分母）"), format!("{en} (of)")),
            column(key, zh, en),
        ]
    }
}

/// How an incident stands when it is counted; each is exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Discarded,
    Void,
    Open,
    Overdue,
    ClosedInTime,
    ClosedLate,
    ClosedUntimed,
}

impl Outcome {
    pub const ALL: [Self; 7] = [
        Self::Discarded,
        Self::Void,
        Self::Open,
        Self::Overdue,
        Self::ClosedInTime,
        Self::ClosedLate,
        Self::ClosedUntimed,
    ];

    pub fn of(case: &CaseFact) -> Self {
        match (case.state, case.on_time) {
            (State::Discarded, _) => Self::Discarded,
            (State::Void, _) => Self::Void,
            (State::Closed | State::Evaluated, Some(true)) => Self::ClosedInTime,
            (State::Closed | State::Evaluated, Some(false)) => Self::ClosedLate,
            (State::Closed | State::Evaluated, None) => Self::ClosedUntimed,
            (_, Some(false)) => Self::Overdue,
            (_, _) => Self::Open,
        }
    }

    pub fn column(self) -> Column {
        let (key, zh, en) = match self {
            Self::Discarded => ("discarded", "误报", "Discarded"),
            Self::Void => ("void", "不予受理", "Not ours"),
            Self::Open => ("open", "在办", "Open"),
            Self::Overdue => ("overdue", "超期未结", "Overdue"),
            Self::ClosedInTime => ("closed_in_time", "按时结案", "Closed in time"),
            Self::ClosedLate => ("closed_late", "超期结案", "Closed late"),
            Self::ClosedUntimed => ("closed_untimed", "结案（无时限）", "Closed, no deadline"),
        };
        column(key, zh, en)
    }
}

/// Figures of a group of incidents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// All of them.
    pub n_raised: u64,
    /// A person found nothing.
    pub n_discarded: u64,
    /// A person said it is so.
    pub n_reported: u64,
    /// 立案
    pub n_filed: u64,
    /// Given to a department.
    pub n_dispatched: u64,
    /// Closed, also when evaluated since.
    pub n_closed: u64,
    /// Still to be worked on.
    pub n_open: u64,
    /// Closed in time.
    n_in_time: u64,
    /// Closed in time, closed late, or open and overdue.
    n_due: u64,
    /// Of the dispatched: sent back to work by whom it was done for, or opened again.
    n_reworked: u64,
    /// Of the dispatched: given back by a department.
    n_returned: u64,
}

impl Figures {
    /// Counts one more.
    pub fn add(&mut self, case: &CaseFact) {
        let outcome = Outcome::of(case);
        let is_closed = matches!(outcome, Outcome::ClosedInTime | Outcome::ClosedLate | Outcome::ClosedUntimed);
        let is_due = matches!(outcome, Outcome::ClosedInTime | Outcome::ClosedLate | Outcome::Overdue);
        let is_dispatched = case.dispatched_at.is_some();
        self.n_raised += 1;
        self.n_discarded += u64::from(outcome == Outcome::Discarded);
        self.n_reported += u64::from(case.reported_at.is_some());
        self.n_filed += u64::from(case.filed_at.is_some());
        self.n_dispatched += u64::from(is_dispatched);
        self.n_closed += u64::from(is_closed);
        self.n_open += u64::from(case.state.is_open());
        self.n_in_time += u64::from(outcome == Outcome::ClosedInTime);
        self.n_due += u64::from(is_due);
        self.n_reworked += u64::from(is_dispatched && (case.n_reworks > 0 || case.n_attempts > 1));
        self.n_returned += u64::from(is_dispatched && case.n_returns > 0);
    }

    /// 按时办结率: closed in time, of those closed or overdue; an open case doesn't improve it by staying open.
    pub fn on_time(&self) -> Option<Rate> {
        Rate::new(self.n_in_time, self.n_due)
    }

    /// 返工率: sent back to work or opened again, of the dispatched.
    pub fn rework(&self) -> Option<Rate> {
        Rate::new(self.n_reworked, self.n_dispatched)
    }

    /// 退回率: given back by a department, of the dispatched.
    pub fn returned(&self) -> Option<Rate> {
        Rate::new(self.n_returned, self.n_dispatched)
    }

    /// 误报率: discarded by a person, of all.
    pub fn false_alarm(&self) -> Option<Rate> {
        Rate::new(self.n_discarded, self.n_raised)
    }

    pub(super) fn cells(&self) -> Vec<Cell> {
        let counts = [
            self.n_raised,
            self.n_discarded,
            self.n_reported,
            self.n_filed,
            self.n_dispatched,
            self.n_closed,
            self.n_open,
        ];
        let rates = [self.on_time(), self.rework(), self.returned(), self.false_alarm()];
        counts.map(Cell::Count).into_iter().chain(rates.into_iter().flat_map(Rate::cells)).collect()
    }

    pub(super) fn columns() -> Vec<Column> {
        let counts = [
            raised_column(),
            column("discarded", "误报", "Discarded"),
            column("reported", "上报", "Reported"),
            column("filed", "立案", "Filed"),
            column("dispatched", "派遣", "Dispatched"),
            column("closed", "结案", "Closed"),
            column("open", "未结", "Open"),
        ];
        let rates = [
            on_time_columns(),
            Rate::columns("rework_rate", "返工率", "Rework rate"),
            Rate::columns("return_rate", "退回率", "Return rate"),
            false_alarm_columns(),
        ];
        counts.into_iter().chain(rates.into_iter().flatten()).collect()
    }
}

pub(super) fn raised_column() -> Column {
    column("raised", "发现", "Raised")
}

pub(super) fn on_time_columns() -> [Column; 3] {
    Rate::columns("on_time_rate", "按时办结率", "On-time rate")
}

pub(super) fn false_alarm_columns() -> [Column; 3] {
    Rate::columns("false_alarm_rate", "误报率", "False-alarm rate")
}
