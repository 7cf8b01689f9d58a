//! The tail of what happens: one task follows the store, all clients of the live stream listen to it.
//!
//! Changes may come from another process on the same store, so the tail looks five times a second; a commit of this
//! process wakes it at once. A client that is too slow loses its place, is cut off, and resumes by its last change.

use std::{sync::Arc, time::Duration};

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
        let mut place: Option<(i64, i64)> = None;
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

    async fn run_once(&self, store: &Store, place: Option<(i64, i64)>) -> Stored<(i64, i64)> {
        let Some((seq, revision)) = place else {
            return store.read(|transaction| Ok((changes::newest(transaction)?, devices::newest(transaction)?))).await;
        };
        let (incidents, devices) = store
            .read(move |transaction| Ok((changed(transaction, seq)?, devices::since(transaction, revision)?)))
            .await?;
        let next =
            (incidents.last().map_or(seq, |(seq, _)| *seq), devices.last().map_or(revision, |device| device.revision));
        for (seq, incident) in incidents {
            let _ = self.items.send(Item::Incident(seq, Arc::new(incident)));
        }
        for device in devices {
            let _ = self.items.send(Item::Device(Arc::new(device)));
        }
        Ok(next)
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
