use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;
use xueliang_events::IncidentId;
use xueliang_rules::Urgency;

use super::*;
use crate::notify::{
    Kind, Standing,
    testing::{change, channel, incident, minute, second},
};

/// One channel with its groups, its pace and what was sent, as a job and a receiver would see it.
struct World {
    channel: Channel,
    groups: BTreeMap<GroupKey, Group>,
    pace: Pace,
    outbox: Vec<Planned>,
    sent: Vec<(Timestamp, Planned)>,
}

impl World {
    fn new(keys: &str) -> Self {
        let channel = channel(keys);
        Self { channel, groups: BTreeMap::new(), pace: Pace::default(), outbox: Vec::new(), sent: Vec::new() }
    }

    fn take(&mut self, change: &Change<'_>) {
        let Some(key) = GroupKey::of(change, &self.channel) else { return };
        self.groups.entry(key).or_default().take(change, &self.channel);
    }

    /// What the job does at one moment; returns when it wants to look again.
    fn look(&mut self, now: Timestamp, is_away: bool) -> Option<Timestamp> {
        let road = Road { pace: &self.pace, n_waiting: self.outbox.len() };
        let Plan { messages, next_at } = plan(&self.channel, &mut self.groups, road, now);
        self.outbox.extend(messages);
        while !is_away && !self.outbox.is_empty() && self.pace.free_at(self.channel.per_minute, now) <= now {
            self.pace.note(now);
            self.sent.push((now, self.outbox.remove(0)));
        }
        let waits = (!self.outbox.is_empty()).then(|| later(now, LOOK_AGAIN));
        next_at.into_iter().chain(waits).min()
    }

    /// Looks whenever the plan asks for it, until `end`; more seldom while the receiver is away.
    fn run(&mut self, from: Timestamp, end: Timestamp, is_away: bool) {
        let mut now = from;
        while now <= end {
            let Some(next) = self.look(now, is_away) else { return };
            assert!(next > now, "a plan that asks for the same moment again: {next}");
            now = if is_away { next.max(later(now, Duration::from_secs(300))) } else { next };
        }
    }

    fn told(&self, kind: Kind) -> Vec<IncidentId> {
        let items = self.sent.iter().flat_map(|(_, planned)| &planned.parts).flat_map(|part| &part.items);
        items.filter(|item| item.kind == kind).map(|item| item.incident).collect()
    }
}

fn opened(n: u32, region: &str, at: Timestamp) -> Change<'_> {
    Change { region, ..change(n, Some(Kind::Opened), Standing::Waiting, at) }
}

#[test]
fn each_group_has_its_own_message() {
    let mut world = World::new("");
    for (n, region) in [(1, "340203001"), (2, "340203001"), (3, "340203002")] {
        world.take(&opened(n, region, second(0)));
    }
    assert_eq!(world.look(second(0), false), Some(second(30)));
    world.look(second(30), false);
    let sent: Vec<(&str, usize)> = world
        .sent
        .iter()
        .map(|(_, planned)| (planned.parts[0].key.region.as_str(), planned.parts[0].items.len()))
        .collect();
    assert_eq!(sent, [("340203001", 2), ("340203002", 1)]);
    assert!(world.sent.iter().all(|(_, planned)| !planned.is_digest));
}

#[test]
fn a_storm_becomes_single_messages_and_one_digest() {
    let mut world = World::new("per_minute = 3");
    for n in 0..50 {
        let urgency = if n == 40 { Urgency::A } else { Urgency::B };
        world.take(&Change { urgency, ..opened(n, &format!("3402{n:05}"), second(0)) });
    }
    world.look(second(30), false);
    let digests: Vec<bool> = world.sent.iter().map(|(_, planned)| planned.is_digest).collect();
    assert_eq!(digests, [false, false, true]);
    assert_eq!(world.sent[0].1.parts[0].items[0].incident, incident(40), "the most urgent keeps its own message");
    assert_eq!(world.sent[2].1.parts.len(), 48);
    let told: BTreeSet<IncidentId> = world.told(Kind::Opened).into_iter().collect();
    assert_eq!((told.len(), world.told(Kind::Opened).len()), (50, 50));
}

#[test]
fn without_digests_the_excess_waits_for_its_minute() {
    let mut world = World::new("per_minute = 2\nkinds = [\"opened\"]");
    for n in 0..5 {
        world.take(&opened(n, &format!("3402{n:05}"), second(0)));
    }
    world.run(second(0), minute(10), false);
    let seconds: Vec<i64> = world.sent.iter().map(|(at, _)| at.duration_since(second(0)).as_secs()).collect();
    assert_eq!(seconds, [30, 30, 90, 90, 150]);
}

#[test]
fn a_receiver_that_was_away_is_told_of_the_meantime_in_one_digest() {
    let mut world = World::new("per_minute = 2");
    for n in 0..100 {
        world.take(&opened(n, &format!("3402{n:05}"), minute(i64::from(n))));
        world.run(minute(i64::from(n)), minute(i64::from(n) + 1), true);
    }
    assert_eq!(world.outbox.len(), 2, "no more than a minute's worth waits");
    world.run(minute(101), minute(110), false);
    let digests: Vec<usize> =
        world.sent.iter().filter(|(_, planned)| planned.is_digest).map(|(_, planned)| planned.parts.len()).collect();
    assert_eq!(digests, [97]);
    assert_eq!(world.sent.len(), 4);
}

#[test]
fn the_same_groups_make_the_same_messages_whoever_looks_when() {
    let make = |at| {
        let mut world = World::new("");
        world.take(&opened(1, "340203001", second(0)));
        world.look(at, false);
        world.sent.remove(0).1.id
    };
    assert_eq!(make(second(30)), make(second(31)));
    let mut world = World::new("");
    world.take(&opened(2, "340203001", second(0)));
    world.look(second(30), false);
    assert_ne!(world.sent[0].1.id, make(second(30)));
}

#[test]
fn nothing_is_remembered_of_what_is_told_and_handled() {
    let mut world = World::new("");
    world.take(&opened(1, "340203001", second(0)));
    world.run(second(0), minute(300), false);
    assert_eq!(world.told(Kind::Reminder), [incident(1)]);
    world.take(&Change { region: "340203001", ..change(1, None, Standing::Handled, minute(301)) });
    world.run(minute(301), minute(900), false);
    assert_eq!((world.sent.len(), world.groups.len()), (2, 0));
}

/// What happens to an incident in a random history: seconds to wait before it, which incident, what.
#[derive(Debug, Clone, Copy)]
enum Step {
    Open,
    Have,
    End,
    Overdue,
}

fn history() -> impl Strategy<Value = Vec<(u16, u32, Step)>> {
    let step =
        prop_oneof![5 => Just(Step::Open), 2 => Just(Step::Have), 2 => Just(Step::End), 1 => Just(Step::Overdue)];
    proptest::collection::vec((prop_oneof![3 => 0_u16..5, 1 => 0_u16..600, 1 => Just(15_000)], 0_u32..60, step), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn paced_complete_and_never_twice(steps in history(), per_minute in 1_usize..6, away in 0_usize..120) {
        let mut world = World::new(&format!("per_minute = {per_minute}"));
        let mut incidents: BTreeMap<u32, (Standing, bool)> = BTreeMap::new();
        let (mut now, mut n_overdue) = (second(0), BTreeMap::<u32, usize>::new());
        for (index, (wait, n, step)) in steps.iter().enumerate() {
            let next = later(now, Duration::from_secs(u64::from(*wait)));
            world.run(now, next, index < away);
            now = next;
            let region = format!("3402{:05}", n % 12);
            let known = incidents.get(n).copied();
            let (kind, standing) = match (step, known) {
                (Step::Open, None) => (Some(Kind::Opened), Standing::Waiting),
                (Step::Have, Some((Standing::Waiting, _))) => (None, Standing::Handled),
                (Step::End, Some((standing, _))) if standing != Standing::Over => (None, Standing::Over),
                (Step::Overdue, Some((standing, _))) if standing != Standing::Over => (Some(Kind::Overdue), standing),
                _ => continue,
            };
            if kind == Some(Kind::Overdue) {
                *n_overdue.entry(*n).or_default() += 1;
            }
            world.take(&Change { region: &region, ..change(*n, kind, standing, now) });
            incidents.insert(*n, (standing, known.is_some_and(|(_, was_overdue)| was_overdue) || kind == Some(Kind::Overdue)));
        }
        world.run(now, later(now, Duration::from_secs(3600)), false);
        prop_assert!(world.outbox.is_empty());

        let ids: BTreeSet<Uuid> = world.sent.iter().map(|(_, planned)| planned.id).collect();
        prop_assert_eq!(ids.len(), world.sent.len(), "no message twice");
        for (at, _) in &world.sent {
            let minute = *at..later(*at, Duration::from_secs(60));
            let n = world.sent.iter().filter(|(other, _)| minute.contains(other)).count();
            prop_assert!(n <= per_minute, "{} messages within a minute of {}", n, at);
        }
        for (n, (standing, was_overdue)) in incidents {
            let told_of = |kind| world.told(kind).iter().filter(|told| **told == incident(n)).count();
            let (opened, overdue) = (told_of(Kind::Opened), told_of(Kind::Overdue));
            prop_assert!(opened <= 1, "{} opened {} times", n, opened);
            prop_assert!(overdue <= n_overdue.get(&n).copied().unwrap_or(0));
            if standing != Standing::Over {
                prop_assert!(opened + overdue >= 1, "{} is open and was never told", n);
                prop_assert!(was_overdue || opened == 1, "{} was not told as opened", n);
                prop_assert!(!was_overdue || overdue >= 1, "{} was not told as overdue", n);
            }
        }
    }
}
