//! A deadline rule: how long accepting, checking, handling and waiting may take; and the rule that each category has by itself.

use jiff::Timestamp;
use xueliang_events::payload::Category;
use xueliang_rules::{Calendar, Urgency};

use super::{limit::Limit, worktime::when};

/// The limits of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadlineRule {
    /// From a report to the case.
    pub accept: Limit,
    /// For a grid worker to look.
    pub check: Limit,
    /// From dispatch to verifying, for urgency A, B and C.
    pub handling: [Limit; 3],
    /// 挂账: the longest that a case may be set to wait.
    pub suspended: Limit,
}

impl DeadlineRule {
    /// One limit for handling, whatever the urgency; the rest as usual.
    pub const fn of_handling(handling: Limit) -> Self {
        Self::by_urgency([handling; 3])
    }

    const fn by_urgency(handling: [Limit; 3]) -> Self {
        Self { accept: Limit::minutes(15), check: Limit::minutes(30), handling, suspended: Limit::days(30) }
    }

    /// The rule of a deployment that settles nothing else; examples in RULES C, and what lies near them.
    pub const fn of_category(category: Category) -> Self {
        match category {
            Category::GasLeak => Self::of_handling(Limit::hours(1)),
            Category::RoadFlood
            | Category::UnderpassFlood
            | Category::ManholeOpen
            | Category::SmokeFire
            | Category::FireLaneBlocked
            | Category::NonmotorParking => Self::of_handling(Limit::hours(2)),
            Category::CameraTampered | Category::CameraOffline => {
                Self::by_urgency([Limit::working_days(1), Limit::working_days(2), Limit::working_days(3)])
            }
            Category::MotorNoParking => {
                Self::by_urgency([Limit::hours(2), Limit::working_hours(4), Limit::working_days(1)])
            }
            Category::ZoneIntrusion
            | Category::LineCrossed
            | Category::Crowding
            | Category::OverCapacity
            | Category::Dwelling
            | Category::WrongWayVehicle
            | Category::NonmotorOnMotorway => {
                Self::by_urgency([Limit::hours(1), Limit::hours(2), Limit::working_days(1)])
            }
        }
    }

    /// How long handling may take.
    pub fn handling(&self, urgency: Urgency) -> Limit {
        let [a, b, c] = self.handling;
        match urgency {
            Urgency::A => a,
            Urgency::B => b,
            Urgency::C => c,
        }
    }

    /// True when a case may be set to wait until then.
    pub fn may_wait(&self, now: Timestamp, until: Timestamp, calendar: &Calendar) -> bool {
        let latest = when(calendar, self.suspended.kind(), now, self.suspended.amount());
        // A limit that takes more than a lifetime of working time is none.
        latest.is_none_or(|latest| until <= latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_limits_that_grow_as_urgency_falls() {
        let calendar = Calendar::default();
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        for category in Category::ALL {
            let rule = DeadlineRule::of_category(category);
            let due: Vec<_> = [Urgency::A, Urgency::B, Urgency::C]
                .map(|urgency| rule.handling(urgency))
                .map(|limit| when(&calendar, limit.kind(), now, limit.amount()).unwrap())
                .into();
            assert!(due.is_sorted(), "{category:?} {due:?}");
        }
    }
}
