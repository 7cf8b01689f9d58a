//! Writing the registry: one record a camera, an empty one removes it; the topic is made when it is missing.
//!
//! Keys are partitioned as Kafka's own clients do, so that any tool's record for a camera replaces ours.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Map, Value};
use xueliang_events::{CameraId, Event, Payload, SessionId, Source, payload::CameraConfigured};

/// Longest wait for the brokers.
const ANSWER: Duration = Duration::from_secs(15);
/// The brokers' own default number of replicas.
const BROKERS_DEFAULT: i32 = -1;

/// Why the registry can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Kafka refused or does not answer.
    #[error("kafka: {0}; check the brokers' addresses and the rights to the topic")]
    Kafka(#[from] KafkaError),
    /// The topic can't be made.
    #[error("the topic {topic} can't be made: {cause}")]
    Topic {
        /// The topic.
        topic: String,
        /// Why.
        cause: RDKafkaErrorCode,
    },
    /// An event has no JSON form.
    #[error("the record has no JSON form")]
    Json(#[from] serde_json::Error),
}

/// A camera's settings, or why its record is none.
pub type Listed = Result<Map<String, Value>, String>;

/// The writing end of a registry.
pub struct Registry {
    config: ClientConfig,
    topic: String,
}

impl Registry {
    /// The registry in `topic` at these brokers.
    pub fn new(brokers: &str, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("client.id", "xueliang-camera")
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", ANSWER.as_millis().to_string());
        Self { config, topic: topic.to_owned() }
    }

    /// Makes the compacted topic unless it is there.
    pub async fn prepare(&self, n_partitions: i32) -> Result<(), RegistryError> {
        let admin: AdminClient<DefaultClientContext> = self.config.create()?;
        let topic = NewTopic::new(&self.topic, n_partitions, TopicReplication::Fixed(BROKERS_DEFAULT))
            .set("cleanup.policy", "compact");
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        for answer in admin.create_topics([&topic], &options).await? {
            match answer {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, cause)) => return Err(RegistryError::Topic { topic, cause }),
            }
        }
        Ok(())
    }

    /// Writes cameras; each replaces what stood there under its id.
    pub async fn put(&self, cameras: Vec<(CameraId, Map<String, Value>)>) -> Result<(), RegistryError> {
        let records: Result<Vec<_>, serde_json::Error> =
            cameras.into_iter().map(|(id, settings)| Ok((id.to_string(), Some(record(id, settings)?)))).collect();
        self.send(records?).await
    }

    /// Removes cameras.
    pub async fn remove(&self, ids: &[CameraId]) -> Result<(), RegistryError> {
        self.send(ids.iter().map(|id| (id.to_string(), None)).collect()).await
    }

    /// All cameras by id, with their settings, or why a record is none.
    pub fn list(&self) -> Result<BTreeMap<String, Listed>, RegistryError> {
        let mut config = self.config.clone();
        config.remove("partitioner");
        let consumer: BaseConsumer = config
            .set("group.id", "xueliang-camera-list")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(&self.topic), ANSWER)?;
        let mut assignment = TopicPartitionList::new();
        let mut n_left = 0;
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            assignment.add_partition_offset(&self.topic, partition.id(), Offset::Beginning)?;
            n_left += 1;
        }
        consumer.assign(&assignment)?;
        let mut cameras = BTreeMap::new();
        while n_left > 0 {
            match consumer.poll(ANSWER) {
                Some(Ok(message)) => {
                    let id = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                    match message.payload() {
                        Some(payload) => drop(cameras.insert(id, settings(payload))),
                        None => drop(cameras.remove(&id)),
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => n_left -= 1,
                Some(Err(error)) => return Err(error.into()),
                None => return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut).into()),
            }
        }
        Ok(cameras)
    }

    async fn send(&self, records: Vec<(String, Option<Vec<u8>>)>) -> Result<(), RegistryError> {
        let producer: FutureProducer = self.config.create()?;
        let sent = records.iter().map(|(key, payload)| {
            let record: FutureRecord<'_, String, Vec<u8>> = FutureRecord::to(&self.topic).key(key);
            let record = match payload {
                Some(payload) => record.payload(payload),
                None => record,
            };
            producer.send(record, ANSWER)
        });
        for answer in futures::future::join_all(sent).await {
            answer.map_err(|(error, _)| error)?;
        }
        Ok(())
    }
}

fn record(id: CameraId, settings: Map<String, Value>) -> serde_json::Result<Vec<u8>> {
    let now = jiff::Timestamp::now();
    let event = Event {
        source: Source::Registry(id.into()),
        session: SessionId::random(),
        sequence: 0,
        time: now,
        received_at: now,
        grid: None,
        owner_epoch: None,
        payload: CameraConfigured { settings }.into(),
    };
    event.to_json()
}

fn settings(payload: &[u8]) -> Result<Map<String, Value>, String> {
    match Event::from_json(payload).map(|event| event.payload) {
        Ok(Payload::CameraConfigured(configured)) => Ok(configured.settings),
        Ok(other) => Err(format!("{} is no camera's settings", other.wire_type())),
        Err(refused) => Err(refused.to_string()),
    }
}
