//! Whether cameras may go on whose partitions the group took away without a word, or whose group is out of reach.
//!
//! The rule: nobody else may pull them. While this worker hears nothing of the group for its session time, others may have taken over
//! unless they hear nothing either, so it asks each of them. All as deaf as this one: the brokers are away for everybody, cameras
//! go on and the outbox holds their events. One hears more, or can't be asked: the cameras stop. When the group is back, an orphan
//! stops as soon as its partition holds records, because then it has an owner; an emptied, missing or forbidden topic stops nothing.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::runtime::Handle;

use crate::registry::{
    ANSWER, RegistrySettings,
    group::{Group, TopicTrouble},
    held::Held,
    peers::{Contact, Peer},
};

/// So much later than this worker may another one have heard of the group and still be as deaf.
const SLACK: Duration = Duration::from_secs(3);

/// Watches over contact and orphans.
pub(super) struct Custody {
    settings: RegistrySettings,
    contact: Contact,
    runtime: Handle,
    peers: Vec<Peer>,
}

impl Custody {
    pub fn new(settings: RegistrySettings, contact: Contact, runtime: Handle) -> Self {
        Self { settings, contact, runtime, peers: Vec::new() }
    }

    /// One look at the group, and what follows for the cameras.
    pub fn look(&mut self, consumer: &BaseConsumer<Group>, held: &Held) {
        let trouble = self.topic_trouble(consumer, held);
        let heard = self.listen(consumer, trouble != Some(TopicTrouble::Forbidden));
        let told = trouble.map(|trouble| trouble.told(&self.settings.topic));
        let told = if self.contact.age() >= self.settings.session_timeout {
            let cause = told.unwrap_or_else(|| "the registry's group is out of reach".to_owned());
            Some(format!("{cause}; {}", self.keep_or_stop(held)))
        } else if heard {
            held.resume();
            if told.is_none() {
                self.settle(consumer, held);
            }
            told
        } else {
            // Nothing is known yet: what was said last still holds.
            return;
        };
        self.contact.trouble(told);
    }

    /// Why there is nothing to own, as far as the brokers say.
    fn topic_trouble(&self, consumer: &BaseConsumer<Group>, held: &Held) -> Option<TopicTrouble> {
        let has_all = held.n_owned() > 0 && held.left_orphans().is_empty();
        if has_all { None } else { TopicTrouble::of(consumer, &self.settings.topic).ok().flatten() }
    }

    /// Asks the brokers who is in the group; true when this worker is, or nobody at all: then nobody can take anything over. One that
    /// could not take anything over itself keeps silent about it, for others ask how lately it could.
    fn listen(&mut self, consumer: &BaseConsumer<Group>, could_take_over: bool) -> bool {
        let Ok(groups) = consumer.fetch_group_list(Some(&self.settings.group), ANSWER) else { return false };
        let Some(group) = groups.groups().iter().find(|group| group.name() == self.settings.group) else {
            return false;
        };
        let members: Vec<Peer> = group.members().iter().filter_map(|member| Peer::parse(member.client_id())).collect();
        let heard = group.members().is_empty() || members.iter().any(|peer| peer.worker == self.contact.worker());
        if heard {
            self.peers = members.into_iter().filter(|peer| peer.worker != self.contact.worker()).collect();
        }
        if heard && could_take_over {
            self.contact.heard();
        }
        heard
    }

    /// Out of reach: cameras go on only when every other worker is as deaf as this one.
    fn keep_or_stop(&self, held: &Held) -> &'static str {
        if !held.pulls() {
            return "this worker pulls none of its cameras";
        }
        let age = self.contact.age();
        let nobody_took_over = self.runtime.block_on(async {
            let asked = self.peers.iter().map(Peer::age);
            futures::future::join_all(asked).await.into_iter().all(|answer| is_as_deaf(answer, age))
        });
        if nobody_took_over {
            return "no other worker reaches it either, so cameras go on";
        }
        tracing::warn!("other workers may own this worker's cameras now; they stop here");
        held.suspend();
        "other workers may have taken over, so cameras were stopped"
    }

    /// In reach: orphans whose partition holds records have an owner elsewhere.
    fn settle(&self, consumer: &BaseConsumer<Group>, held: &Held) {
        for orphan in held.left_orphans() {
            let marks = consumer.fetch_watermarks(&self.settings.topic, orphan, ANSWER);
            if marks.is_ok_and(|(low, high)| high > low) {
                tracing::info!(partition = orphan, "another worker owns this partition; its cameras stop here");
                held.give_up(&[orphan]);
            }
        }
    }
}

/// True when another worker that last heard of the group so long ago can't have taken anything over.
fn is_as_deaf(answer: Option<Duration>, own: Duration) -> bool {
    answer.is_some_and(|age| age + SLACK >= own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worker_as_deaf_as_this_one_can_be_trusted_not_to_pull() {
        let check = |answer: Option<u64>, own: u64, expected: bool| {
            assert_eq!(is_as_deaf(answer.map(Duration::from_secs), Duration::from_secs(own)), expected);
        };
        check(Some(5), 6, true);
        check(Some(60), 61, true);
        check(Some(0), 6, false);
        check(Some(2), 60, false);
        check(None, 6, false);
    }
}
