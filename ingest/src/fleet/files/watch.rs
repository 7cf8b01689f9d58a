//! When the camera files are read again: after they changed and came to rest, on request, and once a minute in any case.
//!
//! Files are looked at rather than watched, which also holds on network file systems and where a mount swaps links.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use xueliang_settings::Mistake;

use super::{FileSource, Reading, signature};
use crate::{
    fleet::{Fleet, Origin},
    metrics::Metrics,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often they are read although nothing seems to have changed, such as a password in another file.
const READ_EVERY: Duration = Duration::from_secs(60);

/// What a reload did.
#[derive(Debug, Clone, Default)]
pub struct Reloaded {
    /// Cameras started.
    pub n_started: usize,
    /// Cameras stopped.
    pub n_stopped: usize,
    /// Cameras that have other settings now.
    pub n_restarted: usize,
    /// What is wrong in the files; what it concerns was left as it was.
    pub mistakes: Vec<Mistake>,
}

/// Asks for a reload; cheap to clone.
#[derive(Clone)]
pub struct Reload {
    requests: mpsc::Sender<oneshot::Sender<Reloaded>>,
    mistakes: std::sync::Arc<Mutex<Vec<Mistake>>>,
}

impl Reload {
    /// Reads the files now; `None` when the worker is stopping.
    pub async fn now(&self) -> Option<Reloaded> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(answer).await.ok()?;
        answered.await.ok()
    }

    /// What is wrong in the files as they were read last.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.mistakes.lock().clone()
    }
}

/// Reads the files again and again.
pub struct Watcher {
    source: FileSource,
    fleet: Fleet,
    metrics: Metrics,
    requests: mpsc::Receiver<oneshot::Sender<Reloaded>>,
    reload: Reload,
}

impl Watcher {
    /// A watcher, and the way to ask it.
    pub fn new(source: FileSource, fleet: Fleet, metrics: Metrics) -> (Self, Reload) {
        let (sender, requests) = mpsc::channel(16);
        let reload = Reload { requests: sender, mistakes: std::sync::Arc::default() };
        (Self { source, fleet, metrics, requests, reload: reload.clone() }, reload)
    }

    /// Brings a reading to the fleet.
    pub fn apply(&self, reading: Reading) -> Reloaded {
        let Reading { cameras, mistakes } = reading;
        let change = self.fleet.want(Origin::Files, cameras);
        let news = *self.reload.mistakes.lock() != mistakes;
        if news {
            for mistake in &mistakes {
                tracing::warn!(%mistake, "settings refused; what runs goes on");
            }
            if mistakes.is_empty() {
                tracing::info!("the settings have no mistakes any more");
            }
            (*self.reload.mistakes.lock()).clone_from(&mistakes);
        }
        if news || !change.is_none() {
            self.metrics.reloaded(mistakes.is_empty());
        }
        let (n_started, n_stopped, n_restarted) = (change.started.len(), change.stopped.len(), change.restarted.len());
        Reloaded { n_started, n_stopped, n_restarted, mistakes }
    }

    /// Looks at the files until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let files = self.source.files().clone();
        // Nothing: what changed since the first reading is read once more.
        let (mut read, mut seen) = (Vec::new(), Vec::new());
        let mut read_at = Instant::now();
        loop {
            let answer = tokio::select! {
                () = shutdown.cancelled() => return,
                answer = self.requests.recv() => answer,
                _ = look.tick() => None,
            };
            let looked_at = files.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || signature(&looked_at)).await else { return };
            // Twice the same: nobody is writing any more.
            let rests = now == seen;
            seen = now;
            let due = (rests && seen != read) || read_at.elapsed() >= READ_EVERY;
            if answer.is_none() && !due {
                continue;
            }
            read = seen.clone();
            read_at = Instant::now();
            let Some(reloaded) = self.reload().await else { return };
            // The asker may have gone.
            answer.map(|answer| answer.send(reloaded).ok());
        }
    }

    async fn reload(&mut self) -> Option<Reloaded> {
        let empty = FileSource::new(self.source.files.clone());
        let mut source = std::mem::replace(&mut self.source, empty);
        let (source, reading) = tokio::task::spawn_blocking(move || {
            let reading = source.read();
            (source, reading)
        })
        .await
        .ok()?;
        self.source = source;
        Some(self.apply(reading))
    }
}
