//! What the rules remember of one device; a plain value that the store keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xueliang_events::{Event, GridCode};

use crate::{
    condition::Condition,
    order::{Ended, Newest, Noted},
    rule::RuleId,
    statics::{Spots, Static},
};

/// What the rules remember of one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub(crate) newest: Option<Newest>,
    /// Sessions that ended, the longest ago first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ended: Vec<Ended>,
    /// From the last status; `None` until one came in this session.
    pub(crate) delivers: Option<bool>,
    pub(crate) grid: Option<GridCode>,
    pub(crate) conditions: BTreeMap<RuleId, Condition>,
    #[serde(default, skip_serializing_if = "Spots::is_empty")]
    pub(crate) spots: Spots,
}

impl Memory {
    /// What has stood at one place of a zone for so long that it makes no more firings.
    pub fn statics(&self) -> Vec<Static> {
        self.newest.map_or_else(Vec::new, |newest| self.spots.learnt(newest.time))
    }

    /// Forgets all that belongs to these rules; true when there was something.
    pub(crate) fn forget(&mut self, is_over: impl Fn(&RuleId, &Condition) -> bool) -> bool {
        let over = self.conditions.iter().filter(|(rule, condition)| is_over(rule, condition));
        let over: Vec<RuleId> = over.map(|(rule, _)| rule.clone()).collect();
        for rule in &over {
            self.conditions.remove(rule);
            self.spots.forget_fired(rule);
        }
        !over.is_empty()
    }

    /// Takes note of the event's envelope and of what stands where.
    pub(crate) fn note(&mut self, event: &Event) -> Noted {
        let noted = self.put_in_order(event);
        if noted.session_changed {
            self.delivers = None;
        }
        if noted.set_back {
            self.conditions.values_mut().for_each(|condition| condition.set_back(event.time));
            self.spots.set_back(event.time);
        }
        if event.grid.is_some() && self.grid != event.grid {
            self.grid.clone_from(&event.grid);
        }
        self.spots.note(event);
        noted
    }
}
