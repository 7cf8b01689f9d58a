//! Facts for the tests of reports.

use super::CaseFact;
use crate::workflow::State;
use xueliang_events::payload::Category;
use xueliang_rules::Urgency;

/// An incident of 2026-10-01 08:20 in Beijing, raised by a rule, as far as its state says.
pub(super) fn case(state: State) -> CaseFact {
    let at = |state_reached: bool| state_reached.then(|| "2026-10-01T00:25:00Z".parse().unwrap());
    let is_reported = !matches!(state, State::Suspected | State::Discarded);
    let is_filed = is_reported && !matches!(state, State::Reported | State::Checking | State::Void);
    CaseFact {
        category: Category::RoadFlood,
        grid: "110101001001001".parse().unwrap(),
        department: None,
        rule: Some("flood".parse().unwrap()),
        camera: Some("level-1".parse().unwrap()),
        urgency: Urgency::B,
        opened_at: "2026-10-01T00:20:00Z".parse().unwrap(),
        reported_at: at(is_reported),
        filed_at: at(is_filed),
        dispatched_at: at(is_filed && state != State::Filed),
        state,
        discarded: (state == State::Discarded).then(|| "nothing_there".to_owned()),
        n_returns: 0,
        n_reworks: 0,
        n_attempts: 1,
        on_time: None,
    }
}
