//! The durable outbox: every event is on disk before anyone is told.
//!
//! Producers hand drafts to one writer thread through a bounded channel; it numbers each source's events, writes them in
//! batches, and makes producers wait when the disk refuses or the bound is reached with nothing that may be dropped.
//! Not here: forwarding (`publish`).

mod log;
mod memory;

use std::{collections::HashMap, path::Path, sync::Arc, thread::JoinHandle, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use xueliang_events::{DeviceId, Event, GridCode, Payload, SessionId, Source};

pub use log::{Log, LogError, LogReader, Record, StoredEvent};
pub use memory::{Delivery, Remember, Remembered};

use crate::metrics::Metrics;

/// Drafts that may wait for the writer.
const MAX_WAITING_DRAFTS: usize = 4096;
/// Most events written in one transaction.
const MAX_BATCH: usize = 512;
/// Pause before a refused write or a full log is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// An event before it is numbered.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who says it.
    pub source: Source,
    /// The run of the source's pipeline.
    pub session: SessionId,
    /// The grid it belongs to.
    pub grid: Option<GridCode>,
    /// Capture time.
    pub time: Timestamp,
    /// The fact.
    pub payload: Payload,
}

/// What the writer is told, in order.
enum Job {
    Write(Entry),
    /// From here on the device's events carry this owner's epoch.
    Own(DeviceId, u64),
    /// The device is gone: nothing of it is remembered.
    Forget(DeviceId),
}

/// What is handed to the writer at once, and stands in one transaction.
struct Entry {
    drafts: Vec<Draft>,
    remember: Option<Remember>,
    written: Option<oneshot::Sender<()>>,
}

impl From<Draft> for Entry {
    fn from(draft: Draft) -> Self {
        Self { drafts: vec![draft], remember: None, written: None }
    }
}

/// Says when what was handed over is on disk.
pub struct Written(oneshot::Receiver<()>);

impl Written {
    /// Waits; false when the outbox was closed before.
    pub async fn wait(self) -> bool {
        self.0.await.is_ok()
    }
}

/// The producers' end; cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    jobs: mpsc::Sender<Job>,
    trouble: Arc<Mutex<Option<String>>>,
}

/// What keeps the writer from writing, for readiness; it does not keep the outbox open.
#[derive(Clone)]
pub struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// The trouble now, if any.
    pub fn now(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// The writer thread; it ends when every [`Outbox`] is dropped and all drafts are on disk.
pub struct Writer(JoinHandle<()>);

impl Outbox {
    /// Opens the log at `path` and starts its writer; `written` is notified after each batch.
    pub fn open(
        path: &Path,
        max_bytes: u64,
        metrics: Metrics,
        written: Arc<Notify>,
    ) -> Result<(Self, Writer), LogError> {
        let log = Log::open(path, max_bytes)?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING_DRAFTS);
        let trouble = Arc::new(Mutex::new(None));
        let worker = WriterLoop {
            log,
            metrics,
            written,
            trouble: Arc::clone(&trouble),
            sequences: HashMap::new(),
            owners: HashMap::new(),
        };
        let thread = std::thread::Builder::new().name("outbox".to_owned()).spawn(move || worker.run(receiver));
        let thread = thread.map_err(LogError::Thread)?;
        Ok((Self { jobs: sender, trouble }, Writer(thread)))
    }

    /// Hands over a draft from a thread; waits while the outbox is full.
    pub fn append_blocking(&self, draft: Draft) {
        if self.jobs.blocking_send(Job::Write(draft.into())).is_err() {
            tracing::error!("an event came after the outbox was closed");
        }
    }

    /// Hands over a draft from a task; waits while the outbox is full.
    pub async fn append(&self, draft: Draft) {
        if self.jobs.send(Job::Write(draft.into())).await.is_err() {
            tracing::error!("an event came after the outbox was closed");
        }
    }

    /// From now on the events of `device` carry this owner's epoch.
    pub async fn own(&self, device: DeviceId, epoch: u64) {
        self.tell(Job::Own(device, epoch)).await;
    }

    /// Forgets a device behind its last event.
    pub async fn forget(&self, device: DeviceId) {
        self.tell(Job::Forget(device)).await;
    }

    async fn tell(&self, job: Job) {
        if self.jobs.send(job).await.is_err() {
            tracing::debug!("the outbox was closed already");
        }
    }

    /// Hands over drafts that stand or fall together, with what is to be remembered of them; also none, to learn when all that
    /// was handed over before is on disk.
    pub async fn append_together(&self, drafts: Vec<Draft>, remember: Option<Remember>) -> Written {
        let (sender, receiver) = oneshot::channel();
        let entry = Entry { drafts, remember, written: Some(sender) };
        if self.jobs.send(Job::Write(entry)).await.is_err() {
            tracing::error!("events came after the outbox was closed");
        }
        Written(receiver)
    }

    /// What keeps the writer from writing now, if anything.
    pub fn trouble(&self) -> Trouble {
        Trouble(Arc::clone(&self.trouble))
    }
}

impl Writer {
    /// Waits until everything handed over is on disk.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the outbox's thread had panicked");
        }
    }
}

struct WriterLoop {
    log: Log,
    metrics: Metrics,
    written: Arc<Notify>,
    trouble: Arc<Mutex<Option<String>>>,
    sequences: HashMap<Source, (SessionId, u64)>,
    /// Epochs of devices that belong to one worker of a group at a time.
    owners: HashMap<DeviceId, u64>,
}

impl WriterLoop {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < MAX_BATCH {
                let Ok(job) = jobs.try_recv() else { break };
                batch.push(job);
            }
            let (mut records, mut remember, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
            for job in batch {
                let Some(entry) = self.take(job) else { continue };
                records.extend(entry.drafts.into_iter().filter_map(|draft| self.record(draft)));
                remember.extend(entry.remember);
                waiting.extend(entry.written);
            }
            if !(records.is_empty() && remember.is_empty()) {
                self.write(&records, &remember);
            }
            self.written.notify_one();
            for written in waiting {
                // Who does not wait any more needs no answer.
                let _ = written.send(());
            }
        }
    }

    fn take(&mut self, job: Job) -> Option<Entry> {
        match job {
            Job::Write(entry) => Some(entry),
            Job::Own(device, epoch) => {
                self.owners.insert(device, epoch);
                None
            }
            Job::Forget(device) => {
                self.sequences.retain(|source, _| source.key() != device.as_str());
                self.owners.remove(&device);
                None
            }
        }
    }

    /// Numbers the draft and gives it its bytes.
    fn record(&mut self, draft: Draft) -> Option<Record> {
        let counter = self.sequences.entry(draft.source.clone()).or_insert((draft.session, 0));
        if counter.0 != draft.session {
            *counter = (draft.session, 0);
        }
        let sequence = counter.1;
        counter.1 += 1;
        let owner_epoch = draft.source.device().and_then(|device| self.owners.get(&device).copied());
        let event = Event {
            source: draft.source,
            session: draft.session,
            sequence,
            time: draft.time,
            received_at: Timestamp::now(),
            grid: draft.grid,
            owner_epoch,
            payload: draft.payload,
        };
        self.metrics.event_written(event.payload.wire_type());
        match event.to_json() {
            Ok(body) => Some(Record {
                droppable: matches!(event.payload, Payload::ZoneOccupancy(_)),
                topic: event.payload.topic(),
                key: event.source.key(),
                body,
            }),
            Err(error) => {
                tracing::error!(%error, "an event has no JSON form");
                self.metrics.outbox_failed();
                None
            }
        }
    }

    /// Writes until it succeeds: events are never lost while the process lives.
    fn write(&mut self, records: &[Record], remember: &[Remember]) {
        loop {
            match self.log.append(records, remember) {
                Ok(n_dropped) => {
                    self.metrics.outbox_dropped(n_dropped);
                    *self.trouble.lock() = None;
                    self.metrics.outbox_depth(self.log.n_events(), self.log.n_bytes());
                    return;
                }
                Err(error) => self.report(&error),
            }
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    fn report(&self, error: &LogError) {
        self.metrics.outbox_failed();
        let cause = error.to_string();
        let mut trouble = self.trouble.lock();
        if trouble.as_ref() != Some(&cause) {
            tracing::error!(cause, "the outbox can't write; producers wait");
            *trouble = Some(cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xueliang_events::payload::{DeviceState, DeviceStatus};

    fn draft(camera: &str, session: SessionId) -> Draft {
        let status = DeviceStatus::new(DeviceState::Live, Timestamp::UNIX_EPOCH);
        Draft {
            source: Source::Camera(camera.parse().unwrap()),
            session,
            grid: None,
            time: Timestamp::UNIX_EPOCH,
            payload: status.into(),
        }
    }

    #[test]
    fn events_are_numbered_per_source_and_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let (outbox, writer) = Outbox::open(&path, 1 << 20, metrics, Arc::default()).unwrap();
        let session = SessionId::random();
        for camera in ["a", "b", "a"] {
            outbox.append_blocking(draft(camera, session));
        }
        drop(outbox);
        writer.join();
        let reader = LogReader::open(&path).unwrap();
        let stored = reader.read_after(0, 10).unwrap();
        let read: Vec<(String, u64)> = stored
            .iter()
            .map(|stored| Event::from_json(&stored.body).unwrap())
            .map(|event| (event.source.key(), event.sequence))
            .collect();
        assert_eq!(read, [("a".to_owned(), 0), ("b".to_owned(), 0), ("a".to_owned(), 1)]);
    }
}
