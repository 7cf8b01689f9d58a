//! The registry of a city: cameras in a compacted Kafka topic, pulled by whoever owns their partition in the workers' group.
//!
//! Owning a partition means: an epoch was written under the group's fence, the partition was read to its end, its cameras run.
//! A partition that is taken away in order is stopped before it is given up. One that is lost because the group is out of reach
//! goes on only while nobody else can have taken it (`custody`). An empty, missing or forbidden topic stops nothing; a tombstone does.
//! Not here: who writes the topic (`publish`).

mod custody;
mod epoch;
mod group;
mod held;
pub mod import;
mod peers;
pub mod publish;
mod rows;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub use peers::Contact;
pub use xueliang_events::CAMERAS_TOPIC;

use crate::{
    fleet::Fleet,
    registry::{custody::Custody, group::Group, held::Held},
    settings::CameraDefaults,
};

/// How often ownership is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest wait for the next message.
const POLL: Duration = Duration::from_millis(100);
/// Longest wait for an answer of the brokers.
const ANSWER: Duration = Duration::from_millis(1000);
/// Pause before a consumer that failed is made anew.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where the registry is and how workers share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Kafka's bootstrap servers.
    pub brokers: String,
    /// The consumer group of the workers.
    pub group: String,
    /// The compacted topic.
    pub topic: String,
    /// A worker that the group hasn't heard of for so long is dead; one that hasn't heard of the group for so long stops.
    pub session_timeout: Duration,
    /// Where other workers reach this one's `/v1/group`.
    pub advertise: String,
    /// The file beside which the cameras' password files stand.
    pub beside: PathBuf,
    /// What holds for them beside their records.
    pub defaults: CameraDefaults,
}

/// Follows the registry until `shutdown`; for a thread of a tokio runtime that may block.
pub fn follow(settings: &RegistrySettings, fleet: &Fleet, contact: &Contact, shutdown: &CancellationToken) {
    let held = Arc::new(Held::new(fleet.clone(), settings.beside.clone(), settings.defaults.clone()));
    while !shutdown.is_cancelled() {
        match follow_once(settings, &held, contact, shutdown) {
            Ok(()) => break,
            Err(error) => {
                tracing::error!(%error, "the registry's consumer failed, begins again");
                contact.trouble(Some(format!("the registry's consumer failed: {error}")));
                held.lose_all();
                std::thread::sleep(RETRY_PAUSE);
            }
        }
    }
}

fn follow_once(
    settings: &RegistrySettings,
    held: &Arc<Held>,
    contact: &Contact,
    shutdown: &CancellationToken,
) -> Result<(), KafkaError> {
    let runtime = Handle::current();
    let group = Group::new(settings.topic.clone(), Arc::clone(held), runtime.clone());
    let consumer: BaseConsumer<Group> = config(settings, contact).create_with_context(group)?;
    consumer.subscribe(&[&settings.topic])?;
    let mut custody = Custody::new(settings.clone(), contact.clone(), runtime);
    let mut looked_at: Option<Instant> = None;
    while !shutdown.is_cancelled() {
        take_message(&consumer, held)?;
        if looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            epoch::claim(&consumer, held, &settings.topic);
            custody.look(&consumer, held);
            looked_at = Some(Instant::now());
        }
        held.apply();
    }
    // Closing the consumer revokes the partitions: their cameras stop before others may take them.
    drop(consumer);
    Ok(())
}

/// Takes the next message, if there is any, into its partition's rows.
fn take_message(consumer: &BaseConsumer<Group>, held: &Held) -> Result<(), KafkaError> {
    match consumer.poll(POLL) {
        Some(Ok(message)) => {
            held.take(message.partition(), message.key().unwrap_or_default(), message.payload());
        }
        Some(Err(KafkaError::PartitionEOF(partition))) => held.complete(partition),
        Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
        Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {}
        Some(Err(error)) => tracing::debug!(%error, "registry"),
        None => {}
    }
    Ok(())
}

fn config(settings: &RegistrySettings, contact: &Contact) -> ClientConfig {
    let session_ms = settings.session_timeout.as_millis();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group)
        .set("client.id", contact.client_id(&settings.advertise))
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session_ms.to_string())
        .set("heartbeat.interval.ms", (session_ms / 4).to_string())
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.refresh.interval.ms", "2000")
        .set("fetch.wait.max.ms", "100")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.timeout.ms", "3000");
    config
}

/// A list of these partitions, to be read from their beginning.
fn partitions(topic: &str, numbers: impl IntoIterator<Item = i32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for number in numbers {
        if list.add_partition_offset(topic, number, Offset::Beginning).is_err() {
            list.add_partition(topic, number);
        }
    }
    list
}
