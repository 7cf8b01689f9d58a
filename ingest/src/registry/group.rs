//! This worker's part in the group: partitions come and go through these callbacks, on the polling thread.
//!
//! Rebalancing is cooperative: only partitions that move are named here, cameras of all others are not touched.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use tokio::runtime::Handle;

use crate::registry::{ANSWER, held::Held};

/// Longest wait for cameras to end before their partition is given up.
const HAND_OVER: Duration = Duration::from_secs(3);

/// The consumer's context.
pub(super) struct Group {
    topic: String,
    held: Arc<Held>,
    runtime: Handle,
}

impl Group {
    pub fn new(topic: String, held: Arc<Held>, runtime: Handle) -> Self {
        Self { topic, held, runtime }
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<()> {
        let numbers = numbers(list);
        if list.count() > 0 {
            list.set_all_offsets(Offset::Beginning)?;
        }
        self.held.assign(&numbers);
        tracing::info!(partitions = ?numbers, "partitions of the registry assigned");
        consumer.incremental_assign(list)
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        let numbers = numbers(list);
        if consumer.assignment_lost() || !matches!(TopicTrouble::of(consumer, &self.topic), Ok(None)) {
            tracing::warn!(partitions = ?numbers, "partitions of the registry lost");
            self.held.lose(&numbers);
        } else {
            tracing::info!(partitions = ?numbers, "partitions of the registry revoked");
            let changes = self.held.give_up(&numbers);
            let settled = async {
                for change in changes {
                    change.settled().await;
                }
            };
            let in_time = async { tokio::time::timeout(HAND_OVER, settled).await };
            if self.runtime.block_on(in_time).is_err() {
                tracing::warn!(waited = ?HAND_OVER, "cameras have not said their last event yet; they pull no more");
            }
        }
        consumer.incremental_unassign(list)
    }
}

/// Why the brokers don't show the topic to this worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicTrouble {
    Missing,
    /// To this worker; others may be allowed to read it.
    Forbidden,
}

impl TopicTrouble {
    /// What is wrong, and the cure.
    pub fn told(self, topic: &str) -> String {
        match self {
            Self::Missing => format!("there is no topic {topic}; `xueliang camera import` makes it"),
            Self::Forbidden => {
                format!("the brokers don't let this worker read topic {topic}; allow it Describe and Read there")
            }
        }
    }

    /// Asks the brokers; an error when they don't answer.
    pub fn of(consumer: &BaseConsumer<Group>, topic: &str) -> KafkaResult<Option<Self>> {
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
        let error = metadata.topics().first().and_then(rdkafka::metadata::MetadataTopic::error);
        Ok(match error.map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Some(Self::Missing),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Some(Self::Forbidden),
            _ => None,
        })
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(|element| element.partition()).collect()
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "registry");
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let done = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            _ => self.revoke(consumer, list),
        };
        if let Err(error) = done {
            tracing::error!(%error, "the registry's partitions can't be changed");
        }
    }
}
