//! Which messages are made now: one for each group that is due, and one digest for those beyond the channel's pace.
//!
//! Pure: groups, pace and time in, messages and the next moment out. The gravest and most urgent keep their own message. A channel
//! that wants no digest lets the excess wait. While messages wait for delivery they count against the pace, so that a receiver that
//! is away is told of the meantime in one digest, not in hundreds of messages.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xueliang_events::payload::Category;

use super::{
    Change, Group, Item, Pace, later,
    settings::{Channel, Timing},
};

/// How long to leave a channel alone whose messages wait for delivery.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What a group is about, within a channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey {
    /// The grid, or the region that stands for it.
    pub region: String,
    /// The category.
    pub category: Category,
}

impl GroupKey {
    /// The group that a change belongs to; `None` when the channel does not look there.
    pub fn of(change: &Change<'_>, channel: &Channel) -> Option<Self> {
        let looks = channel.filter.covers(change.category, change.region);
        looks.then(|| Self { region: change.region.to_owned(), category: change.category })
    }
}

/// How busy the way to a receiver is.
#[derive(Debug, Clone, Copy)]
pub struct Road<'a> {
    /// When it was spoken to lately.
    pub pace: &'a Pace,
    /// Messages made before that are neither delivered nor given up.
    pub n_waiting: usize,
}

impl Road<'_> {
    fn room(&self, per_minute: usize, now: Timestamp) -> usize {
        per_minute.saturating_sub(self.pace.n_recent(now)).saturating_sub(self.n_waiting)
    }
}

/// A message without its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Follows from channel and content.
    pub id: Uuid,
    /// When it was made.
    pub at: Timestamp,
    /// True for a digest.
    pub is_digest: bool,
    /// What it tells: of one group, or of all that the digest stands for.
    pub parts: Vec<Part>,
}

/// What a message tells of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The group.
    pub key: GroupKey,
    /// When it was to be told.
    pub due_at: Timestamp,
    /// Its incidents, the gravest first.
    pub items: Vec<Item>,
    /// How many more there are without a name.
    pub n_beyond: u32,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// To be written down for delivery.
    pub messages: Vec<Planned>,
    /// When these groups must be looked at again.
    pub next_at: Option<Timestamp>,
}

/// Makes the messages that are due; groups with nothing left to remember leave the map.
pub fn plan(channel: &Channel, groups: &mut BTreeMap<GroupKey, Group>, road: Road<'_>, now: Timestamp) -> Plan {
    let due = due_keys(groups, &channel.timing, now);
    let room = road.room(channel.per_minute, now);
    let has_digest = channel.filter.digests && due.len() > room && room > 0;
    let n_single = if has_digest { room - 1 } else { due.len().min(room) };
    let (single, rest) = due.split_at(n_single);
    let mut flush = |key: &GroupKey| flush(channel, groups, key, now);
    let mut messages: Vec<Planned> =
        single.iter().filter_map(&mut flush).map(|part| message(channel, false, vec![part], now)).collect();
    if has_digest {
        let parts: Vec<Part> = rest.iter().filter_map(&mut flush).collect();
        messages.push(message(channel, true, parts, now));
    }
    groups.retain(|_, group| !group.is_over(&channel.timing, now));
    let blocked_until = (!has_digest && !rest.is_empty())
        .then(|| road.pace.free_at(channel.per_minute, now).max(later(now, LOOK_AGAIN)));
    let next_at = groups.values().filter_map(|group| group.due_at(&channel.timing)).min();
    Plan { messages, next_at: next_at.map(|at| blocked_until.map_or(at, |until| at.max(until))) }
}

fn due_keys(groups: &BTreeMap<GroupKey, Group>, timing: &Timing, now: Timestamp) -> Vec<GroupKey> {
    let mut due: Vec<_> = groups
        .iter()
        .filter(|(_, group)| group.is_due(timing, now))
        .map(|(key, group)| (key, group.rank(), group.due_at(timing)))
        .collect();
    due.sort_by_key(|(key, rank, due_at)| (*rank, *due_at, *key));
    due.into_iter().map(|(key, ..)| key.clone()).collect()
}

fn flush(channel: &Channel, groups: &mut BTreeMap<GroupKey, Group>, key: &GroupKey, now: Timestamp) -> Option<Part> {
    let group = groups.get_mut(key)?;
    let due_at = group.due_at(&channel.timing)?;
    let (items, n_beyond) = group.flush(channel, now);
    (!items.is_empty() || n_beyond > 0).then(|| Part { key: key.clone(), due_at, items, n_beyond })
}

fn message(channel: &Channel, is_digest: bool, parts: Vec<Part>, now: Timestamp) -> Planned {
    Planned { id: message_id(&channel.name, &parts), at: now, is_digest, parts }
}

/// The same incidents that the same channel is due to be told of at the same moment are the same message, whoever makes it when.
fn message_id(channel: &str, parts: &[Part]) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x2f8e_61d3_0b9a_4c57_8a16_d43e_7c05_9bf2);
    let mut name = format!("{channel}\n");
    for Part { key, due_at, items, n_beyond } in parts {
        let due_at = due_at.as_microsecond();
        name.push_str(&format!("{} {} {due_at} {n_beyond}\n", key.region, key.category.as_str()));
        for Item { incident, kind, .. } in items {
            name.push_str(&format!("{incident} {}\n", kind.as_str()));
        }
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

#[cfg(test)]
mod tests;
