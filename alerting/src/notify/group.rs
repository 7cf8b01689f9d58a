//! What one channel is to be told of one category in one region: a small record that the store keeps.
//!
//! Changes enter with [`Group::take`]; when [`Group::due_at`] has come, [`Group::flush`] says what to tell and forgets what needs no
//! more telling. The times are those that Alertmanager's users know: a wait that gathers a burst, an interval between two messages,
//! a repeat for what nobody has acknowledged. What ends before it was told is not told. Broken glass waits for no burst, and is told
//! of whatever became of its incident.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xueliang_events::IncidentId;
use xueliang_rules::Urgency;

use super::{
    Change, Kind, Standing, later, letter,
    settings::{Channel, Timing},
};

/// Most incidents that a group remembers one by one; those beyond are told as a number.
const MAX_MEMBERS: usize = 256;

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    members: BTreeMap<IncidentId, Member>,
    /// How many incidents came when the group was full, since the last message.
    n_beyond: u32,
    /// When the untold is told.
    flush_at: Option<Timestamp>,
    /// When the last message was made.
    sent_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    #[serde(with = "letter")]
    urgency: Urgency,
    /// What is to be told.
    untold: Option<Kind>,
    /// When it is told again; never, once somebody has it.
    repeat_at: Option<Timestamp>,
    is_handled: bool,
}

/// One incident to tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The incident.
    pub incident: IncidentId,
    /// Why.
    pub kind: Kind,
    /// How urgent it is.
    pub urgency: Urgency,
}

impl Item {
    /// The gravest first, of those the most urgent.
    pub(super) fn rank(&self) -> (Reverse<Kind>, Urgency) {
        (Reverse(self.kind), self.urgency)
    }
}

impl Group {
    /// Takes what happened to an incident of this group.
    pub fn take(&mut self, change: &Change<'_>, channel: &Channel) {
        let kind = change.kind.filter(|kind| channel.filter.wants(*kind, change.urgency));
        let is_grave = kind == Some(Kind::GlassBroken);
        if change.standing == Standing::Over && !is_grave {
            let untold = self.members.get(&change.incident).and_then(|member| member.untold);
            if untold != Some(Kind::GlassBroken) {
                self.members.remove(&change.incident);
            }
        } else if let Some(kind) = kind {
            self.note(change, kind);
        }
        self.stand(change);
        if !self.has_untold() {
            self.flush_at = None;
        } else if self.flush_at.is_none() || is_grave {
            let wait = if is_grave { Duration::ZERO } else { channel.timing.group_wait };
            let at = later(change.at, wait).max(self.free_at(&channel.timing));
            self.flush_at = Some(self.flush_at.map_or(at, |before| before.min(at)));
        }
    }

    /// When the group must be looked at again; `None` when nothing is left to remember.
    pub fn due_at(&self, timing: &Timing) -> Option<Timestamp> {
        let repeat_at = self.members.values().filter_map(|member| member.repeat_at).min();
        let repeat_at = repeat_at.map(|at| at.max(self.free_at(timing)));
        // What is told again waits for what is new, so that both come at once and nothing new comes before its wait is over.
        self.flush_at.or(repeat_at).or_else(|| self.sent_at.map(|_| self.free_at(timing)))
    }

    /// What is to be told at `now`, with the number of incidents that go unnamed; the record then says that it was told.
    pub fn flush(&mut self, channel: &Channel, now: Timestamp) -> (Vec<Item>, u32) {
        let is_past = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let repeats = self.members.values().any(|member| is_past(member.repeat_at));
        let is_due = if self.flush_at.is_some() { is_past(self.flush_at) } else { repeats };
        if now < self.free_at(&channel.timing) || !is_due {
            return (Vec::new(), 0);
        }
        // Whoever was told of lately is told of together with the others, but never sooner than after half the time.
        let horizon = later(now, channel.timing.repeat / 2);
        let mut items = Vec::new();
        for (incident, member) in &mut self.members {
            let repeated = || (repeats && member.repeat_at.is_some_and(|at| at <= horizon)).then_some(Kind::Reminder);
            if let Some(kind) = member.untold.or_else(repeated) {
                items.push(Item { incident: *incident, kind, urgency: member.urgency });
                member.untold = None;
                let is_repeated = !member.is_handled && channel.filter.wants(Kind::Reminder, member.urgency);
                member.repeat_at = is_repeated.then(|| later(now, channel.timing.repeat));
            }
        }
        self.members.retain(|_, member| member.repeat_at.is_some());
        self.flush_at = None;
        self.sent_at = Some(now);
        items.sort_by_key(|item| (item.rank(), item.incident));
        (items, std::mem::take(&mut self.n_beyond))
    }

    /// True when it has something to remember of an incident.
    pub fn knows(&self, incident: IncidentId) -> bool {
        self.members.contains_key(&incident)
    }

    /// Somebody has answered an incident's deadlines: of these nothing more is told, and nothing again.
    pub fn acknowledge(&mut self, incident: IncidentId) {
        let Some(member) = self.members.get_mut(&incident) else { return };
        member.repeat_at = None;
        member.untold = member.untold.filter(|kind| !matches!(kind, Kind::Reminder | Kind::Overdue | Kind::Escalated));
        if member.untold.is_none() {
            self.members.remove(&incident);
        }
        if !self.has_untold() {
            self.flush_at = None;
        }
    }

    /// The gravest of what is to be told.
    pub(super) fn rank(&self) -> (Reverse<Kind>, Urgency) {
        let of = |member: &Member| (Reverse(member.untold.unwrap_or(Kind::Reminder)), member.urgency);
        self.members.values().map(of).min().unwrap_or((Reverse(Kind::Opened), Urgency::B))
    }

    /// True when there is nothing to tell at `now`, nor anything to remember.
    pub(super) fn is_over(&self, timing: &Timing, now: Timestamp) -> bool {
        self.members.is_empty() && self.n_beyond == 0 && self.free_at(timing) <= now
    }

    /// True when `flush` would tell something.
    pub(super) fn is_due(&self, timing: &Timing, now: Timestamp) -> bool {
        !self.is_over(timing, now)
            && (self.has_untold() || !self.members.is_empty())
            && self.due_at(timing).is_some_and(|at| at <= now)
    }

    fn note(&mut self, change: &Change<'_>, kind: Kind) {
        let is_full = self.members.len() >= MAX_MEMBERS;
        match self.members.get_mut(&change.incident) {
            Some(member) => member.untold = member.untold.max(Some(kind)),
            None if is_full => self.n_beyond = self.n_beyond.saturating_add(1),
            None => {
                let member = Member { urgency: change.urgency, untold: Some(kind), repeat_at: None, is_handled: false };
                self.members.insert(change.incident, member);
            }
        }
    }

    fn stand(&mut self, change: &Change<'_>) {
        let Some(member) = self.members.get_mut(&change.incident) else { return };
        member.is_handled = change.standing != Standing::Waiting;
        if member.is_handled {
            member.repeat_at = None;
            if member.untold.is_none() {
                self.members.remove(&change.incident);
            }
        }
    }

    fn has_untold(&self) -> bool {
        self.n_beyond > 0 || self.members.values().any(|member| member.untold.is_some())
    }

    /// When the interval since the last message is over.
    fn free_at(&self, timing: &Timing) -> Timestamp {
        self.sent_at.map_or(Timestamp::MIN, |at| later(at, timing.group_interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::{change, channel, incident, minute, second};

    fn kinds(items: &[Item]) -> Vec<(IncidentId, Kind)> {
        items.iter().map(|item| (item.incident, item.kind)).collect()
    }

    #[test]
    fn a_burst_is_gathered_and_what_follows_waits_for_the_interval() {
        let (channel, mut group) = (channel(""), Group::default());
        group.take(&change(1, Some(Kind::Opened), Standing::Waiting, second(0)), &channel);
        group.take(&change(2, Some(Kind::Opened), Standing::Waiting, second(20)), &channel);
        assert_eq!(group.due_at(&channel.timing), Some(second(30)), "a later one does not put it off");
        assert_eq!(group.flush(&channel, second(29)).0, []);
        let (items, _) = group.flush(&channel, second(30));
        assert_eq!(kinds(&items), [(incident(1), Kind::Opened), (incident(2), Kind::Opened)]);
        group.take(&change(3, Some(Kind::Opened), Standing::Waiting, second(40)), &channel);
        assert_eq!(group.due_at(&channel.timing), Some(second(330)));
        assert_eq!(kinds(&group.flush(&channel, second(330)).0), [(incident(3), Kind::Opened)]);
    }

    #[test]
    fn broken_glass_is_told_at_once_and_whatever_became_of_the_incident() {
        for standing in [Standing::Waiting, Standing::Handled, Standing::Over] {
            let (channel, mut group) = (channel("kinds = [\"glass_broken\"]"), Group::default());
            group.take(&change(1, Some(Kind::GlassBroken), standing, second(0)), &channel);
            group.take(&change(1, None, Standing::Over, second(0)), &channel);
            assert_eq!(group.due_at(&channel.timing), Some(second(0)), "{standing:?}");
            assert_eq!(kinds(&group.flush(&channel, second(0)).0), [(incident(1), Kind::GlassBroken)]);
            assert_eq!(kinds(&group.flush(&channel, minute(600)).0), [], "and once");
        }
    }

    #[test]
    fn what_is_over_before_the_wait_is_not_told() {
        let (channel, mut group) = (channel(""), Group::default());
        group.take(&change(1, Some(Kind::Opened), Standing::Waiting, second(0)), &channel);
        group.take(&change(1, None, Standing::Over, second(10)), &channel);
        assert_eq!((group.due_at(&channel.timing), group.flush(&channel, second(60)).0), (None, Vec::new()));
        assert!(group.is_over(&channel.timing, second(60)));
    }

    #[test]
    fn reminders_come_until_somebody_has_it() {
        let (channel, mut group) = (channel(""), Group::default());
        for (n, at) in [(1, second(0)), (2, second(0)), (3, minute(60))] {
            group.take(&change(n, Some(Kind::Opened), Standing::Waiting, at), &channel);
        }
        group.flush(&channel, minute(61));
        assert_eq!(group.due_at(&channel.timing), Some(minute(301)));
        group.take(&change(2, None, Standing::Handled, minute(62)), &channel);
        assert_eq!(group.flush(&channel, minute(300)).0, []);
        let (items, _) = group.flush(&channel, minute(301));
        assert_eq!(kinds(&items), [(incident(1), Kind::Reminder), (incident(3), Kind::Reminder)]);
        group.take(&change(1, None, Standing::Handled, minute(302)), &channel);
        assert_eq!(kinds(&group.flush(&channel, minute(541)).0), [(incident(3), Kind::Reminder)]);
        group.take(&change(3, None, Standing::Handled, minute(542)), &channel);
        assert_eq!(group.flush(&channel, minute(2000)).0, []);
        assert!(group.is_over(&channel.timing, minute(2000)));
    }

    #[test]
    fn those_told_of_lately_are_reminded_of_together() {
        let (channel, mut group) = (channel(""), Group::default());
        for (n, at) in [(1, minute(0)), (2, minute(100)), (3, minute(200))] {
            group.take(&change(n, Some(Kind::Opened), Standing::Waiting, at), &channel);
            group.flush(&channel, later(at, channel.timing.group_wait));
        }
        let (items, _) = group.flush(&channel, minute(241));
        assert_eq!(kinds(&items), [(incident(1), Kind::Reminder), (incident(2), Kind::Reminder)]);
    }

    #[test]
    fn the_gravest_is_told_and_what_somebody_has_is_told_once() {
        let (channel, mut group) = (channel(""), Group::default());
        group.take(&change(1, Some(Kind::Opened), Standing::Waiting, second(0)), &channel);
        group.take(&change(1, Some(Kind::Escalated), Standing::Waiting, second(1)), &channel);
        group.take(&change(1, Some(Kind::Overdue), Standing::Waiting, second(2)), &channel);
        group.take(&change(2, Some(Kind::Opened), Standing::Waiting, second(3)), &channel);
        group.take(&change(2, None, Standing::Handled, second(4)), &channel);
        group.take(&change(3, Some(Kind::Reminder), Standing::Handled, second(5)), &channel);
        let (items, _) = group.flush(&channel, second(30));
        let expected = [(1, Kind::Escalated), (2, Kind::Opened), (3, Kind::Reminder)];
        assert_eq!(kinds(&items), expected.map(|(n, kind)| (incident(n), kind)));
        group.take(&change(1, None, Standing::Handled, second(31)), &channel);
        assert!(group.members.is_empty());
        assert_eq!(group.due_at(&channel.timing), Some(second(330)), "the interval is remembered");
    }

    #[test]
    fn a_channel_is_told_what_it_wants() {
        let channel = channel("kinds = [\"overdue\"]\nurgency = [\"B\"]");
        let mut group = Group::default();
        group.take(&change(1, Some(Kind::Opened), Standing::Waiting, second(0)), &channel);
        assert_eq!(group, Group::default());
        group.take(&change(1, Some(Kind::Overdue), Standing::Waiting, second(1)), &channel);
        let urgent = Change { urgency: Urgency::A, ..change(2, Some(Kind::Overdue), Standing::Waiting, second(2)) };
        group.take(&urgent, &channel);
        assert_eq!(kinds(&group.flush(&channel, second(31)).0), [(incident(1), Kind::Overdue)]);
        assert_eq!(group.due_at(&channel.timing), Some(second(331)), "nobody is reminded");
    }

    #[test]
    fn a_full_group_counts_and_its_record_stays_small() {
        let (channel, mut group) = (channel(""), Group::default());
        for n in 0..300 {
            group.take(&change(n, Some(Kind::Opened), Standing::Waiting, second(0)), &channel);
        }
        let json = serde_json::to_string(&group).unwrap();
        assert!(json.len() < 40_000, "{}", json.len());
        assert_eq!(serde_json::from_str::<Group>(&json).unwrap(), group);
        let (items, n_beyond) = group.flush(&channel, second(30));
        assert_eq!((items.len(), n_beyond), (MAX_MEMBERS, 300 - MAX_MEMBERS as u32));
    }
}
