//! By which deadlines an incident goes: those that its rule names, else its category's.

use std::sync::Arc;

use xueliang_rules::{Calendar, Engine, Urgency};

use crate::{
    deadline::{DeadlineRule, Deadlines},
    store::incidents::Incident,
    workflow::Terms,
};

/// Rules and deadlines as they are in force now; cheap to clone.
#[derive(Debug, Clone)]
pub struct Procedure {
    /// The rules.
    pub engine: Arc<Engine>,
    /// The deadline rules that they name.
    pub deadlines: Arc<Deadlines>,
}

impl Procedure {
    /// The limits of an incident.
    pub fn deadline(&self, incident: &Incident) -> DeadlineRule {
        let raised_by = incident.rule.as_ref().map(|(rule, _)| rule);
        let rule = self.engine.rules().iter().find(|rule| Some(&rule.id) == raised_by);
        self.deadlines.of(rule.and_then(|rule| rule.governance.as_ref()), incident.category)
    }

    /// What an incident's time goes by.
    pub fn terms<'a>(&'a self, deadline: &'a DeadlineRule, incident: &Incident) -> Terms<'a> {
        let urgency = Urgency::parse(&incident.urgency).unwrap_or(Urgency::C);
        Terms { rule: deadline, urgency, calendar: self.calendar() }
    }

    /// Which days and hours are worked.
    pub fn calendar(&self) -> &Calendar {
        self.engine.rules().calendar()
    }
}
