//! Weekly and monthly reports per grid and per department, for people in scope or for publication.
//!
//! In: one [`CaseFact`] per incident and one [`CameraFact`] per camera. Out: a [`Report`] of tables, which [`json`], [`csv`]
//! and [`xlsx`] write. An incident belongs to the period in which it was raised, and counts as it stands when the report is
//! made. [`Audience::Published`] shows no small count and nothing from which one follows (P33): see `network.rs`; that
//! holds within one report, not between two reports of overlapping periods or regions. Slow for a large published report:
//! call it from a blocking thread. Not here: reading facts from the store, permission.

mod crossed;
pub mod csv;
mod figures;
mod heat;
pub mod json;
mod network;
pub mod nuisance;
mod period;
mod table;
mod tables;
pub mod xlsx;

use jiff::{Timestamp, tz::TimeZone};
use xueliang_events::{CameraId, DeviceId, GridCode, payload::Category};
use xueliang_rules::{RuleId, Urgency};

use self::tables::Groups;
pub use self::{
    figures::{Figures, Rate},
    heat::{BinMinutes, InvalidBin},
    period::{InvalidPeriod, Period},
    table::{Cell, Column, Language, Table},
};
use crate::workflow::State;

/// Most grids, and most departments, of one report. For more, report on larger regions.
pub const MAX_GROUPS: usize = 1000;

/// One incident.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseFact {
    /// What it is about.
    pub category: Category,
    /// Where it lies; shortened by the caller for a report on larger regions.
    pub grid: GridCode,
    /// The department it was given to last.
    pub department: Option<String>,
    /// The rule that raised it; `None` when a person did.
    pub rule: Option<RuleId>,
    /// The device whose event raised it.
    pub camera: Option<DeviceId>,
    /// How urgent it is.
    pub urgency: Urgency,
    /// When it was raised.
    pub opened_at: Timestamp,
    /// When a person said that it is so.
    pub reported_at: Option<Timestamp>,
    /// 立案
    pub filed_at: Option<Timestamp>,
    /// When it was first given to a department.
    pub dispatched_at: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// Why a person discarded it.
    pub discarded: Option<String>,
    /// How often a department gave it back.
    pub n_returns: u32,
    /// How often it was sent back to work.
    pub n_reworks: u32,
    /// 1, and one more for each time it was opened again.
    pub n_attempts: u32,
    /// Whether its deadline was kept; `None` while that is open or when there is none.
    pub on_time: Option<bool>,
}

/// One camera over the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraFact {
    /// Which.
    pub camera: CameraId,
    /// Where it stands.
    pub grid: GridCode,
    /// How long its state was known.
    pub observed_s: u64,
    /// How long it delivered.
    pub live_s: u64,
    /// How long it delivered a picture without fault.
    pub good_s: u64,
}

/// For whom a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// People who may see each of these incidents anyway.
    InScope,
    /// Anybody.
    Published,
}

impl Audience {
    /// The key in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InScope => "in_scope",
            Self::Published => "published",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which week or month.
    pub period: Period,
    /// The deployer's time zone.
    pub zone: TimeZone,
    /// For whom.
    pub audience: Audience,
    /// The parts of the day in the heat map.
    pub bin: BinMinutes,
    /// Now.
    pub made_at: Timestamp,
}

/// A finished report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which week or month.
    pub period: Period,
    /// Its first moment.
    pub starts_at: Timestamp,
    /// The first moment after it.
    pub ends_at: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
    /// For whom.
    pub audience: Audience,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReport {
    /// The period lies beyond the calendar.
    #[error(transparent)]
    Period(#[from] InvalidPeriod),
    /// More than [`MAX_GROUPS`].
    #[error("the report has {n_groups} {what}: report on larger regions, at most {MAX_GROUPS}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        n_groups: usize,
    },
}

/// Makes a report.
pub fn build(cases: &[CaseFact], cameras: &[CameraFact], request: &Request) -> Result<Report, NoReport> {
    let (starts_at, ends_at) = request.period.bounds(&request.zone)?;
    let cases: Vec<&CaseFact> = cases.iter().filter(|case| (starts_at..ends_at).contains(&case.opened_at)).collect();
    let groups = Groups::of(&cases)?;
    let tables = match request.audience {
        Audience::InScope => tables::in_scope(&cases, cameras, &groups, request),
        Audience::Published => tables::published(&cases, cameras, &groups, request),
    };
    let Request { period, audience, made_at, .. } = *request;
    Ok(Report { period, starts_at, ends_at, made_at, audience, tables })
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
