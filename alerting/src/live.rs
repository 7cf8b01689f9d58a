//! The tail of what happens: one task follows the store, all clients of the live stream listen to it.
//!
//! Changes may come from another process on the same store, so the tail looks five times a second; a commit of this
//! process wakes it at once. A client that is too slow loses its place, is cut off, and resumes by its last change.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::{
    group::Opened,
    store::{
        Store, Stored, Tx,
        apply::Effects,
        changes,
        devices::{self, Device},
        incidents::{self, Incident},
    },
};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often pages are told that incidents count more events.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// What is kept for those who are behind, for all of them together: a county whose cameras all change at once, twice.
const KEPT: usize = 4096;

/// Something that changed.
#[derive(Debug, Clone)]
pub enum Item {
    /// An incident, with the number of its newest change.
    Incident(i64, Arc<Incident>),
    /// A device.
    Device(Arc<Device>),
}

/// The live ends; cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    items: broadcast::Sender<Item>,
    opened: broadcast::Sender<Opened>,
    tail: Arc<Notify>,
    outbox: Arc<Notify>,
}

impl Default for Live {
    fn default() -> Self {
        let (items, opened) = (broadcast::channel(KEPT).0, broadcast::channel(KEPT).0);
        Self { items, opened, tail: Arc::default(), outbox: Arc::default() }
    }
}

impl Live {
    /// Listens to all that changes.
    pub fn listen(&self) -> broadcast::Receiver<Item> {
        self.items.subscribe()
    }

    /// Listens to incidents that this process opens.
    pub fn listen_opened(&self) -> broadcast::Receiver<Opened> {
        self.opened.subscribe()
    }

    /// Called after a commit.
    pub fn committed(&self, effects: &Effects) {
        for opened in &effects.opened {
            tracing::info!(incident = %opened.id, category = opened.category.as_str(), device = opened.device, "incident opened");
            let _ = self.opened.send(opened.clone());
        }
        self.wake();
    }

    /// Wakes whoever follows the store.
    pub fn wake(&self) {
        self.tail.notify_one();
        self.outbox.notify_one();
    }

    /// Waits for a commit of this process, for the outbox's publisher.
    pub async fn woken(&self) {
        self.outbox.notified().await;
    }

    /// Follows the store until shutdown.
    pub async fn run(self, store: Store, shutdown: CancellationToken) {
        let mut place: Option<Followed> = None;
        loop {
            match self.run_once(&store, place).await {
                Ok(next) => place = Some(next),
                Err(error) => tracing::warn!(error = crate::error_chain(&error), "store can't be followed"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.tail.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn run_once(&self, store: &Store, place: Option<Followed>) -> Stored<Followed> {
        let Some(Followed { seq, revision, counted_at, looked_at }) = place else {
            return store.read(Followed::now).await;
        };
        let counts = looked_at.elapsed() >= COUNT_EVERY;
        let (incidents, devices, grown) = store
            .read(move |tx| {
                let grown = if counts { incidents::grown(tx, counted_at)? } else { Vec::new() };
                Ok((changed(tx, seq)?, devices::since(tx, revision)?, grown))
            })
            .await?;
        let next = Followed {
            seq: incidents.last().map_or(seq, |(seq, _)| *seq),
            revision: devices.last().map_or(revision, |device| device.revision),
            counted_at: grown.last().map_or(counted_at, |(at, _)| *at),
            looked_at: if counts { Instant::now() } else { looked_at },
        };
        let grown = grown.into_iter().filter(|(_, grown)| !incidents.iter().any(|(_, changed)| changed.id == grown.id));
        let grown: Vec<(i64, Incident)> = grown.map(|(_, incident)| (next.seq, incident)).collect();
        for (seq, incident) in incidents.into_iter().chain(grown) {
            let _ = self.items.send(Item::Incident(seq, Arc::new(incident)));
        }
        for device in devices {
            let _ = self.items.send(Item::Device(Arc::new(device)));
        }
        Ok(next)
    }
}

/// How far the store was followed.
#[derive(Debug, Clone, Copy)]
struct Followed {
    seq: i64,
    revision: i64,
    counted_at: Timestamp,
    looked_at: Instant,
}

impl Followed {
    fn now(tx: &Tx<'_>) -> Stored<Self> {
        let (seq, revision) = (changes::newest(tx)?, devices::newest(tx)?);
        Ok(Self { seq, revision, counted_at: incidents::newest_count(tx)?, looked_at: Instant::now() })
    }
}

/// The incidents that changed after `seq`, as they stand now.
pub fn changed(tx: &Tx<'_>, seq: i64) -> Stored<Vec<(i64, Incident)>> {
    let mut found = Vec::new();
    for (seq, id) in changes::since(tx, seq)? {
        if let Some(incident) = incidents::load(tx, id)? {
            found.push((seq, incident));
        }
    }
    Ok(found)
}
