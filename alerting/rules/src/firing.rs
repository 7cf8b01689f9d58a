//! What a rule says when its condition has held: one firing, with what it rests on.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xueliang_events::{DeviceId, EventId, GridCode, payload::Category, values::SnapshotRef};

use crate::rule::{Place, Rule, RuleId, Urgency};

/// The id of a firing; follows from the rule, the place and the event that began the situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FiringId(pub Uuid);

impl FiringId {
    const NAMESPACE: Uuid = Uuid::from_u128(0x0b7d_3f5e_21c4_4f0a_8a63_94d2_7be1_50c9);

    pub(crate) fn derive(rule: &Rule, device: &DeviceId, began_with: EventId) -> Self {
        let name = format!("{}\n{device}\n{}\n{began_with}", rule.id, rule.place);
        Self(Uuid::new_v5(&Self::NAMESPACE, name.as_bytes()))
    }
}

impl fmt::Display for FiringId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A rule's condition has held for its T.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Its id.
    pub id: FiringId,
    /// The rule.
    pub rule: RuleId,
    /// The rule's version.
    pub version: u32,
    /// The category of the incident.
    pub category: Category,
    /// How urgent it is.
    pub urgency: Urgency,
    /// The device.
    pub device: DeviceId,
    /// Where on the device.
    pub place: Place,
    /// The grid that the device's events name.
    pub grid: Option<GridCode>,
    /// When the condition had held long enough, event time.
    pub at: Timestamp,
    /// When the condition began, event time.
    pub started_at: Timestamp,
    /// What was measured.
    pub values: Vec<Measure>,
    /// The events it rests on: the one that began it, and the one that completed it.
    pub events: Vec<EventId>,
    /// The newest redacted still of the situation.
    pub snapshot: Option<SnapshotRef>,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What it is, such as `count`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit, when it has one.
    pub unit: Option<String>,
}

/// An event that belongs to a situation which fired before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// The firing.
    pub firing: FiringId,
    /// The event.
    pub event: EventId,
}
