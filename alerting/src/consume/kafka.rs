//! The source of a city: a Kafka consumer group on the event topic, in a thread of its own.
//!
//! The store's positions win: on assignment each partition is read from where the store says, and Kafka's own offsets are
//! committed afterwards, as information. A consumer that lost a partition without knowing it is fenced by the store.
//! Assignment is `range`: with every rebalance a partition begins again from the store, so nothing needs to be handed
//! over, and a batch lasts milliseconds, so stopping all of them costs nothing that cooperative rebalancing would save.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use tokio_util::sync::CancellationToken;
use xueliang_events::EVENTS_TOPIC;

use super::{Health, Intake, Message, Source};
use crate::store::{
    Store, StoreError, Stored,
    apply::{Batch, position},
};

mod frontier;

use frontier::Frontier;

/// Where the brokers are and which group this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
}

/// Most messages in one transaction.
const BATCH: usize = 2000;
/// Longest time that a message waits for others.
const LINGER: Duration = Duration::from_millis(50);
/// How often the broker is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// The Kafka source.
#[derive(Debug)]
pub struct KafkaSource {
    settings: KafkaSettings,
}

impl KafkaSource {
    /// A source that connects when it runs.
    pub fn new(settings: KafkaSettings) -> Self {
        Self { settings }
    }
}

impl Source for KafkaSource {
    async fn run(self, intake: Intake, shutdown: CancellationToken) {
        let thread = tokio::task::spawn_blocking(move || consume(&self.settings, &intake, &shutdown));
        if let Err(error) = thread.await {
            tracing::error!(%error, "kafka consumer ended unexpectedly");
        }
    }
}

/// Runs until shutdown; what fails is logged and begun again.
fn consume(settings: &KafkaSettings, intake: &Intake, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match consume_once(settings, intake, shutdown) {
            Ok(()) => break,
            Err(error) => {
                tracing::error!(%error, "kafka consumer failed, begins again");
                intake.health.set(false, "the Kafka consumer failed");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
    intake.health.set(false, "the Kafka consumer has ended");
}

fn consume_once(settings: &KafkaSettings, intake: &Intake, shutdown: &CancellationToken) -> Result<(), KafkaError> {
    let context = Group {
        store: intake.store.clone(),
        health: intake.health.clone(),
        expected: Mutex::default(),
        left_some_behind: AtomicBool::new(false),
    };
    let consumer: BaseConsumer<Group> = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "2000")
        .set("allow.auto.create.topics", "true")
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("fetch.wait.max.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .create_with_context(context)?;
    consumer.subscribe(&[EVENTS_TOPIC])?;
    let mut probed_at: Option<Instant> = None;
    let mut frontier = Frontier::default();
    while !shutdown.is_cancelled() {
        if probed_at.is_none_or(|at| at.elapsed() >= PROBE_EVERY) {
            probe(&consumer, intake);
            probed_at = Some(Instant::now());
        }
        for (partition, messages) in poll(&consumer) {
            take(&consumer, intake, partition, messages);
        }
        frontier.pass(&consumer, intake);
        if consumer.context().left_some_behind.swap(false, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(1));
            consumer.unsubscribe();
            consumer.subscribe(&[EVENTS_TOPIC])?;
        }
    }
    consumer.unsubscribe();
    Ok(())
}

/// Collects messages by partition until the batch is full or has waited long enough.
fn poll(consumer: &BaseConsumer<Group>) -> BTreeMap<i32, Vec<Message>> {
    let mut by_partition: BTreeMap<i32, Vec<Message>> = BTreeMap::new();
    let until = Instant::now() + LINGER;
    for _ in 0..BATCH {
        let left = until.saturating_duration_since(Instant::now());
        match consumer.poll(left) {
            Some(Ok(message)) => {
                let bytes = message.payload().unwrap_or_default().to_vec();
                let read = Message::read(message.offset().unsigned_abs(), bytes);
                by_partition.entry(message.partition()).or_default().push(read);
            }
            Some(Err(error)) => tracing::debug!(%error, "kafka poll"),
            None => break,
        }
    }
    by_partition
}

/// Stores one partition's messages, or goes back to what the store says.
fn take(consumer: &BaseConsumer<Group>, intake: &Intake, partition: i32, messages: Vec<Message>) {
    let group = consumer.context();
    let Some(expected) = group.expected(partition) else { return };
    let log = log_name(partition);
    let origin = (EVENTS_TOPIC.to_owned(), partition);
    match intake.take_blocking(Batch { log, origin, expected: Some(expected), messages }) {
        Ok(effects) => {
            group.expect(partition, effects.next);
            commit(consumer, partition, effects.next);
        }
        Err(error) => {
            let chain = crate::error_chain(&error);
            tracing::warn!(partition, error = chain, "batch not stored, partition goes back to the stored position");
            if !matches!(error, StoreError::Fenced { .. }) {
                std::thread::sleep(Duration::from_millis(500));
            }
            go_back(consumer, partition);
        }
    }
}

fn go_back(consumer: &BaseConsumer<Group>, partition: i32) {
    let group = consumer.context();
    let Ok(next) = group.stored(partition) else {
        tracing::error!(partition, "stored position can't be read, the group is joined again");
        group.leave_behind(partition);
        return;
    };
    group.expect(partition, next);
    let to = offset(next);
    if let Err(error) = consumer.seek(EVENTS_TOPIC, partition, to, Duration::from_secs(2)) {
        tracing::warn!(partition, %error, "partition can't go back, the group is joined again");
        group.leave_behind(partition);
    }
}

/// Information for those who look at the group's lag; the store's position is what counts.
fn commit(consumer: &BaseConsumer<Group>, partition: i32, next: u64) {
    let mut offsets = TopicPartitionList::new();
    let added = offsets.add_partition_offset(EVENTS_TOPIC, partition, offset(next));
    if let Err(error) = added.and_then(|()| consumer.commit(&offsets, CommitMode::Async)) {
        tracing::debug!(partition, %error, "offset not committed");
    }
}

fn probe(consumer: &BaseConsumer<Group>, intake: &Intake) {
    let answer = consumer.fetch_metadata(Some(EVENTS_TOPIC), Duration::from_secs(1));
    let (ok, detail) = match answer {
        Ok(_) => (true, "Kafka answers".to_owned()),
        Err(error) => (false, format!("Kafka doesn't answer: {error}")),
    };
    intake.metrics.source_up.set(i64::from(ok));
    if intake.health.set(ok, &detail) {
        tracing::info!(ok, detail, "kafka");
    }
}

fn log_name(partition: i32) -> String {
    format!("kafka:{EVENTS_TOPIC}:{partition}")
}

fn offset(next: u64) -> Offset {
    if next == 0 { Offset::Beginning } else { Offset::Offset(next.cast_signed()) }
}

/// This consumer's part in its group: which partitions it has, and what it believes to be next in each.
struct Group {
    store: Store,
    health: Health,
    expected: Mutex<BTreeMap<i32, u64>>,
    /// True while it has partitions in the group that it can't read, for want of their positions: nobody else gets those, so it
    /// has to join again.
    left_some_behind: AtomicBool,
}

impl Group {
    fn expected(&self, partition: i32) -> Option<u64> {
        self.lock().get(&partition).copied()
    }

    fn partitions(&self) -> Vec<i32> {
        self.lock().keys().copied().collect()
    }

    fn expect(&self, partition: i32, next: u64) {
        self.lock().insert(partition, next);
    }

    /// Takes nothing of it any more: what comes after a batch that was not stored would hide it.
    fn leave_behind(&self, partition: i32) {
        self.lock().remove(&partition);
        self.left_some_behind.store(true, Ordering::Relaxed);
    }

    fn stored(&self, partition: i32) -> Stored<u64> {
        self.store.write_blocking(move |transaction| position(transaction, &log_name(partition)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, u64>> {
        self.expected.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Reads each partition's position from the store and begins there.
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) -> Result<(), String> {
        self.lock().clear();
        let numbers: Vec<i32> = partitions.elements().iter().map(|element| element.partition()).collect();
        for partition in &numbers {
            let next = self.stored(*partition).map_err(|error| crate::error_chain(&error))?;
            let set = partitions.set_partition_offset(EVENTS_TOPIC, *partition, offset(next));
            set.map_err(|error| error.to_string())?;
            self.expect(*partition, next);
        }
        tracing::info!(partitions = ?numbers, "partitions assigned");
        consumer.assign(partitions).map_err(|error| error.to_string())
    }
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        let all_down = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if all_down && self.health.set(false, "no Kafka broker answers") {
            tracing::warn!(reason, "kafka is away");
        }
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            match self.assign(consumer, partitions) {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(error, "partitions can't be taken over, the group is joined again");
                    self.left_some_behind.store(true, Ordering::Relaxed);
                }
            }
        }
        self.lock().clear();
        if let Err(error) = consumer.unassign() {
            tracing::warn!(%error, "partitions can't be given up");
        }
    }
}
