//! From the outbox to Kafka, or to alerting in the same process: in order, at least once, forgotten only after the answer.

mod embedded;
mod kafka;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

pub use embedded::{EmbeddedBatch, EmbeddedSink};
pub use kafka::KafkaSink;

use crate::{
    metrics::Metrics,
    outbox::{LogError, LogReader, StoredEvent},
};

/// Most events in one batch.
const MAX_BATCH: usize = 500;
/// Longest wait before the outbox is looked at again without being told.
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after a batch was not acknowledged.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Why a batch was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Kafka refused it.
    #[error("kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The other side is gone.
    #[error("{0} is gone")]
    Gone(&'static str),
    /// The outbox can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A worker thread ended.
    #[error("a worker thread ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Where events go.
pub enum Sink {
    /// Apache Kafka.
    Kafka(KafkaSink),
    /// Alerting in the same process.
    Embedded(EmbeddedSink),
}

impl Sink {
    async fn publish(&mut self, log_id: &str, batch: Vec<StoredEvent>, health: &Health) -> Result<(), PublishError> {
        match self {
            Sink::Kafka(kafka) => kafka.publish(&batch, health).await,
            Sink::Embedded(embedded) => embedded.publish(log_id, batch).await,
        }
    }
}

/// What keeps the forwarder from forwarding now, for readiness.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<Option<String>>>);

impl Health {
    /// The trouble, if any.
    pub fn trouble(&self) -> Option<String> {
        self.0.lock().clone()
    }

    fn set(&self, trouble: Option<String>) {
        let mut current = self.0.lock();
        match (&*current, &trouble) {
            (None, Some(cause)) => tracing::warn!(cause, "events wait in the outbox"),
            (Some(_), None) => tracing::info!("events are forwarded again"),
            _ => {}
        }
        *current = trouble;
    }
}

/// Forwards the outbox.
pub struct Forwarder {
    /// The outbox's reading end.
    pub log: Arc<Mutex<LogReader>>,
    /// Notified when something was written.
    pub written: Arc<Notify>,
    /// Where events go.
    pub sink: Sink,
    /// Its state for readiness.
    pub health: Health,
    /// Its counters.
    pub metrics: Metrics,
}

impl Forwarder {
    /// Forwards until `shutdown`, then what is still there for at most `grace`.
    pub async fn run(mut self, shutdown: CancellationToken, grace: Duration) {
        let mut backoff = Duration::from_millis(100);
        let mut give_up_at = None;
        loop {
            if shutdown.is_cancelled() {
                give_up_at.get_or_insert_with(|| Instant::now() + grace);
            }
            let deadline = give_up_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            let outcome = tokio::select! {
                outcome = self.run_once() => outcome,
                () = tokio::time::sleep_until(deadline) => return,
                () = shutdown.cancelled(), if give_up_at.is_none() => continue,
            };
            let pause = match outcome {
                Ok(0) if give_up_at.is_some() => return,
                Ok(0) => IDLE_PAUSE,
                Ok(_) => {
                    backoff = Duration::from_millis(100);
                    continue;
                }
                Err(error) => {
                    self.metrics.publish_failed();
                    self.health.set(Some(error.to_string()));
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                    backoff
                }
            };
            tokio::select! {
                () = self.written.notified(), if pause == IDLE_PAUSE => {}
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled(), if give_up_at.is_none() => {}
            }
        }
    }

    /// Forwards one batch; how many events were acknowledged.
    async fn run_once(&mut self) -> Result<usize, PublishError> {
        let (log_id, batch) = self.with_log(|log| Ok((log.id()?, log.read_after(0, MAX_BATCH)?))).await?;
        let Some(last) = batch.last().map(|event| event.position) else { return Ok(0) };
        let n_events = batch.len();
        let started = Instant::now();
        self.sink.publish(&log_id, batch, &self.health).await?;
        self.metrics.published(n_events, started.elapsed());
        self.health.set(None);
        let (n_waiting, n_bytes) = self
            .with_log(move |log| {
                log.forget_through(last)?;
                log.held()
            })
            .await?;
        self.metrics.outbox_depth(n_waiting, n_bytes);
        Ok(n_events)
    }

    async fn with_log<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LogReader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, PublishError> {
        let log = Arc::clone(&self.log);
        Ok(tokio::task::spawn_blocking(move || work(&log.lock())).await??)
    }
}
