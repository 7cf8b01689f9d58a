//! A partition's epoch: a number that only grows, written under the fence of the workers' group.
//!
//! It is kept as metadata of the group's committed offset. Kafka takes a commit only from the partition's owner in the current
//! generation, so whoever's commit was taken has read the number of its predecessor. Should Kafka have forgotten the metadata (it does
//! after a week without workers), the clock continues: no epoch is below the milliseconds since 1970.

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::KafkaResult,
};

use crate::registry::{ANSWER, group::Group, held::Held, partitions};

const NAME: &str = "ownerepoch=";

/// Writes an epoch for each partition that has none; what the group refuses is tried again.
pub(super) fn claim(consumer: &BaseConsumer<Group>, held: &Held, topic: &str) {
    let unclaimed = held.unclaimed();
    if unclaimed.is_empty() {
        return;
    }
    match write(consumer, topic, &unclaimed) {
        Ok(epochs) => epochs.into_iter().for_each(|(number, epoch)| held.grant(number, epoch)),
        Err(error) => tracing::debug!(%error, partitions = ?unclaimed, "epochs are not granted yet"),
    }
}

/// The epochs that stand in the group's offsets now.
fn write(consumer: &BaseConsumer<Group>, topic: &str, numbers: &[i32]) -> KafkaResult<Vec<(i32, u64)>> {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    let committed = consumer.committed_offsets(partitions(topic, numbers.iter().copied()), ANSWER)?;
    let (mut offsets, mut epochs) = (TopicPartitionList::new(), Vec::with_capacity(numbers.len()));
    for element in committed.elements() {
        element.error()?;
        let epoch = next(element.metadata(), now);
        let mut offset = offsets.add_partition(topic, element.partition());
        offset.set_offset(Offset::Offset(0))?;
        offset.set_metadata(format!("{NAME}{epoch}"));
        epochs.push((element.partition(), epoch));
    }
    consumer.commit(&offsets, CommitMode::Sync).map(|()| epochs)
}

/// The epoch behind the one that stands in `metadata`.
fn next(metadata: &str, now_ms: u64) -> u64 {
    let last = metadata.strip_prefix(NAME).and_then(|number| number.parse::<u64>().ok());
    last.map_or(now_ms, |last| now_ms.max(last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_grow_whatever_the_clock_does() {
        assert_eq!(next("", 1000), 1000);
        assert_eq!(next("ownerepoch=900", 1000), 1000);
        assert_eq!(next("ownerepoch=1000", 1000), 1001);
        assert_eq!(next("ownerepoch=5000", 1000), 5001);
        assert_eq!(next("something else", 1000), 1000);
    }
}
