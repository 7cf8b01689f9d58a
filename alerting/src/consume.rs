//! Where events come from: one interface, two sources; both are told "done" only after the store has committed.

use std::{
    collections::BTreeSet,
    sync::{Arc, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use xueliang_events::{Event, Refused};

use crate::{
    live::Live,
    metrics::Metrics,
    store::{
        Store, StoreError, Stored,
        apply::{Applier, Batch, Effects, ReadUntil, due_logs},
    },
};

pub mod embedded;
pub mod kafka;

/// How often conditions that may have held long enough are looked at.
const TICK: Duration = Duration::from_millis(100);

/// One message of a log, read.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its place in the log.
    pub position: u64,
    /// The event with its text, or why it was refused.
    pub event: Result<(Event, String), Refused>,
    /// The bytes, kept only until a refusal is written down.
    pub refused_bytes: Vec<u8>,
}

impl Message {
    /// Reads a message's bytes.
    pub fn read(position: u64, bytes: Vec<u8>) -> Self {
        match Event::from_json(&bytes) {
            Err(refused) => Self { position, event: Err(refused), refused_bytes: bytes },
            Ok(event) => match String::from_utf8(bytes) {
                Ok(text) => Self { position, event: Ok((event, text)), refused_bytes: Vec::new() },
                Err(error) => {
                    let refused = Refused { path: ".".to_owned(), reason: "is not UTF-8".to_owned() };
                    Self { position, event: Err(refused), refused_bytes: error.into_bytes() }
                }
            },
        }
    }
}

/// A place that events come from.
pub trait Source: Send + 'static {
    /// Takes events in until `shutdown`; returns when what was begun is stored or given up.
    fn run(self, intake: Intake, shutdown: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// The way into the store, the same for every source.
#[derive(Clone)]
pub struct Intake {
    /// The store.
    pub store: Store,
    /// What a batch does.
    pub applier: Arc<Applier>,
    /// Counts it.
    pub metrics: Metrics,
    /// Tells the live stream and the terminal.
    pub live: Live,
    /// Says how the source is.
    pub health: Health,
}

impl Intake {
    /// Takes a batch in; on success it is committed.
    pub async fn take(&self, batch: Batch) -> Stored<Effects> {
        let applier = Arc::clone(&self.applier);
        let started = std::time::Instant::now();
        let log = batch.log.clone();
        let taken = self.store.write(move |transaction| applier.apply(transaction, &batch, Timestamp::now())).await;
        self.account(&log, started, taken)
    }

    /// The same for a thread that may block.
    pub fn take_blocking(&self, batch: Batch) -> Stored<Effects> {
        let applier = Arc::clone(&self.applier);
        let started = std::time::Instant::now();
        let log = batch.log.clone();
        let taken = self.store.write_blocking(move |transaction| applier.apply(transaction, &batch, Timestamp::now()));
        self.account(&log, started, taken)
    }

    /// The logs with conditions that may have held long enough.
    pub async fn due_logs(&self, now: Timestamp) -> Stored<BTreeSet<String>> {
        self.store.read(move |transaction| due_logs(transaction, now)).await
    }

    /// Lets time pass for the conditions of a log, as far as it has been read.
    pub async fn tick(&self, read: ReadUntil) -> Stored<()> {
        let applier = Arc::clone(&self.applier);
        let effects = self.store.write(move |transaction| applier.tick(transaction, &read, Timestamp::now())).await?;
        self.metrics.count(&effects);
        self.live.committed(&effects);
        Ok(())
    }

    fn account(&self, log: &str, started: std::time::Instant, taken: Stored<Effects>) -> Stored<Effects> {
        match &taken {
            Ok(effects) => {
                self.metrics.count(effects);
                self.metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
                self.metrics.position.with_label_values(&[log]).set(effects.next.cast_signed());
                self.live.committed(effects);
            }
            Err(StoreError::Fenced { .. }) => {}
            Err(_) => self.metrics.store_errors.inc(),
        }
        taken
    }
}

/// How the source is, for `/readyz`.
#[derive(Debug, Clone)]
pub struct Health(Arc<RwLock<(bool, String)>>);

impl Health {
    /// Not yet known to work.
    pub fn starting(detail: &str) -> Self {
        Self(Arc::new(RwLock::new((false, detail.to_owned()))))
    }

    /// Says how it is now; true when that is news.
    pub fn set(&self, ok: bool, detail: &str) -> bool {
        let mut health = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_news = health.0 != ok;
        *health = (ok, detail.to_owned());
        is_news
    }

    /// How it is.
    pub fn get(&self) -> (bool, String) {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
