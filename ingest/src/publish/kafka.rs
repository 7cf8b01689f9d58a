//! Apache Kafka: an idempotent producer that waits for all in-sync replicas and never gives a message up by itself.
//!
//! One batch is under way at a time, so events of one key stay in order whatever fails; a batch that is sent again is recognised
//! by its events' ids.

use std::time::Duration;

use futures::future::try_join_all;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    producer::{FutureProducer, FutureRecord, Producer},
};
use tokio::time::Instant;

use crate::{
    outbox::StoredEvent,
    publish::{Health, PublishError},
};

/// A broker that has not answered for so long is reported as away; the batch keeps waiting.
const AWAY_AFTER: Duration = Duration::from_secs(5);

/// A producer.
pub struct KafkaSink {
    brokers: String,
    producer: FutureProducer,
    /// What stands before the events' own topics; empty but for measurements.
    topic_prefix: String,
}

impl KafkaSink {
    /// A producer for these bootstrap servers; it connects by itself and again whenever it must.
    pub fn new(brokers: &str) -> Result<Self, KafkaError> {
        let (brokers, producer) = (brokers.to_owned(), Self::producer(brokers)?);
        Ok(Self { brokers, producer, topic_prefix: String::new() })
    }

    /// The same into topics of other names, for measurements: each event's own behind this prefix.
    pub fn with_topic_prefix(self, prefix: &str) -> Self {
        Self { topic_prefix: prefix.to_owned(), ..self }
    }

    fn producer(brokers: &str) -> Result<FutureProducer, KafkaError> {
        ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("client.id", "xueliang-ingest")
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // 0: a message waits for its broker for ever; the outbox is the bound.
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("reconnect.backoff.max.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .create()
    }

    /// After an error from which the producer can't recover, a new one takes its place; what it had not acknowledged is sent again.
    pub(super) async fn publish(&mut self, batch: &[StoredEvent], health: &Health) -> Result<(), PublishError> {
        let published = self.send(batch, health).await;
        if published.is_err()
            && let Some((code, _)) = self.producer.client().fatal_error()
        {
            tracing::error!(?code, "the kafka producer can't go on; a new one takes its place");
            self.producer = Self::producer(&self.brokers)?;
        }
        published
    }

    async fn send(&mut self, batch: &[StoredEvent], health: &Health) -> Result<(), PublishError> {
        let mut answers = Vec::with_capacity(batch.len());
        for event in batch {
            let topic = format!("{}{}", self.topic_prefix, event.topic);
            let record = FutureRecord::to(&topic).key(&event.key).payload(&event.body);
            answers.push(self.producer.send_result(record).map_err(|(error, _)| error)?);
        }
        let started = Instant::now();
        let mut acknowledged = std::pin::pin!(try_join_all(answers));
        let deliveries = loop {
            tokio::select! {
                answered = &mut acknowledged => break answered.map_err(|_| PublishError::Gone("the producer"))?,
                () = tokio::time::sleep(AWAY_AFTER) => {
                    let waited = started.elapsed().as_secs();
                    health.set(Some(format!("kafka has not acknowledged events for {waited} s")));
                }
            }
        };
        for delivery in deliveries {
            delivery.map_err(|(error, _)| error)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{mocking::MockCluster, types::RDKafkaApiKey, types::RDKafkaRespErr};

    use super::*;

    #[test]
    fn a_producer_that_can_not_go_on_is_replaced() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("events", 1, 1).unwrap();
        let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refusal]);
        let mut sink = KafkaSink::new(&cluster.bootstrap_servers()).unwrap();
        let event =
            StoredEvent { position: 1, topic: "events".to_owned(), key: "gate".to_owned(), body: b"{}".to_vec() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let health = Health::default();
            let first = sink.publish(std::slice::from_ref(&event), &health).await;
            assert!(first.is_err(), "the brokers refused the producer");
            let again = tokio::time::timeout(Duration::from_secs(20), sink.publish(&[event], &health)).await;
            again.unwrap().unwrap();
        });
    }
}
