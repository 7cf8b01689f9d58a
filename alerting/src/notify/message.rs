//! A message as it is kept until it is delivered: facts, without words and without secrets.
//!
//! It holds only what a receiver may know: category, region, the device's name, times, urgency. No image, nothing that a person
//! wrote, no reason, no name of a person.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xueliang_events::{IncidentId, payload::Category};
use xueliang_rules::Urgency;

use super::{
    Item, Kind, Planned, letter,
    plan::{GroupKey, Part},
};
use crate::words::Bilingual;

/// Most incidents that one message names; the others are a number.
pub const MAX_NAMED: usize = 10;
const MAX_NAME_CHARS: usize = 60;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same for the same message; receivers recognise a repetition by it.
    pub id: Uuid,
    /// When it was made.
    pub at: Timestamp,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Incidents of one category in one region.
    Incidents {
        /// The group.
        group: GroupKey,
        /// The gravest reason.
        kind: Kind,
        /// The gravest of them.
        named: Vec<Named>,
        /// How many more there are.
        n_more: u64,
    },
    /// How many incidents came faster than the channel may be told of them one by one.
    Digest {
        /// The gravest reason.
        kind: Kind,
        /// By category.
        counts: Vec<Count>,
    },
    /// Somebody tries the channel.
    Test,
}

/// An incident by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub incident: IncidentId,
    /// Why it is told.
    pub kind: Kind,
    /// How urgent it is.
    #[serde(with = "letter")]
    pub urgency: Urgency,
    /// When its condition had held long enough.
    pub opened_at: Timestamp,
    /// The device's name in Chinese.
    pub device_zh: String,
    /// And in English.
    pub device_en: String,
}

/// How many incidents of one category a digest stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The category.
    pub category: Category,
    /// How many incidents.
    pub n_incidents: u64,
    /// In how many regions.
    pub n_regions: u64,
}

/// What is looked up of an incident to name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// When its condition had held long enough.
    pub opened_at: Timestamp,
    /// The device's name.
    pub device: Bilingual,
}

impl Planned {
    /// The incidents that the message will name, so that they can be looked up.
    pub fn to_name(&self) -> impl Iterator<Item = IncidentId> {
        let parts = if self.is_digest { &[] } else { self.parts.as_slice() };
        parts.iter().flat_map(|part| &part.items).take(MAX_NAMED).map(|item| item.incident)
    }
}

impl Message {
    /// Words for what was planned; an incident that is not among the subjects stays a number.
    pub fn new(planned: &Planned, subjects: &BTreeMap<IncidentId, Subject>) -> Self {
        let kind = gravest(&planned.parts);
        let content = match planned.parts.as_slice() {
            [part] if !planned.is_digest => incidents(part, kind, subjects),
            parts => Content::Digest { kind, counts: counts(parts) },
        };
        Self { id: planned.id, at: planned.at, content }
    }

    /// A message that says that it is a test.
    pub fn test(now: Timestamp) -> Self {
        Self { id: Uuid::new_v4(), at: now, content: Content::Test }
    }
}

fn gravest(parts: &[Part]) -> Kind {
    parts.iter().flat_map(|part| &part.items).map(|item| item.kind).max().unwrap_or(Kind::Opened)
}

fn incidents(part: &Part, kind: Kind, subjects: &BTreeMap<IncidentId, Subject>) -> Content {
    let named = part.items.iter().take(MAX_NAMED).filter_map(|item| Some(name(item, subjects.get(&item.incident)?)));
    let named: Vec<Named> = named.collect();
    let n_more = n_incidents(part) - named.len() as u64;
    Content::Incidents { group: part.key.clone(), kind, named, n_more }
}

fn name(item: &Item, subject: &Subject) -> Named {
    Named {
        incident: item.incident,
        kind: item.kind,
        urgency: item.urgency,
        opened_at: subject.opened_at,
        device_zh: one_line(&subject.device.zh),
        device_en: one_line(&subject.device.en),
    }
}

/// Names come from a registry: a line break or a control character could forge another line or header.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_NAME_CHARS).collect()
}

fn counts(parts: &[Part]) -> Vec<Count> {
    let mut by_category: BTreeMap<Category, (u64, BTreeSet<&str>)> = BTreeMap::new();
    for part in parts {
        let (n, regions) = by_category.entry(part.key.category).or_default();
        *n += n_incidents(part);
        regions.insert(&part.key.region);
    }
    let count = |(category, (n_incidents, regions)): (Category, (u64, BTreeSet<&str>))| Count {
        category,
        n_incidents,
        n_regions: regions.len() as u64,
    };
    by_category.into_iter().map(count).collect()
}

fn n_incidents(part: &Part) -> u64 {
    part.items.len() as u64 + u64::from(part.n_beyond)
}
