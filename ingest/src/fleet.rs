//! The cameras that run, held to those that are wanted.
//!
//! Sources (settings files, API, registry) each say their whole set; the fleet merges them, the earlier source winning, and compares
//! with what runs: new cameras start, missing ones stop, changed ones restart, all others are left alone. A row with mistakes is one
//! refused camera; over a running camera it changes nothing. A camera whose authorization does not hold on the day is stopped until it
//! does; what permits a camera may change without its being restarted. What is gone leaves nothing behind: no series, no counter, no slot.
//! Not here: reading of sources (`files`, `kept`, `registry`).

pub mod files;
pub mod kept;
mod running;
mod start;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Weak},
};

use jiff::civil::Date;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use xueliang_events::{CameraId, SessionId};

pub use start::Parts;

use crate::{
    authorization,
    fleet::running::{Asked, Running},
    settings::CameraSettings,
    status::{CameraStatus, StatusBoard},
};

/// Who wants a camera; where two want the same, the earlier one is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The start of the process; never changes.
    Start,
    /// The settings file and the folder beside it.
    Files,
    /// The API.
    Api,
    /// A partition of the registry.
    Registry(i32),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Start => f.write_str("start"),
            Origin::Files => f.write_str("files"),
            Origin::Api => f.write_str("api"),
            Origin::Registry(partition) => write!(f, "registry partition {partition}"),
        }
    }
}

/// One camera that a source wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its id.
    pub id: CameraId,
    /// Its settings, or where and why they can't be used.
    pub camera: Result<CameraSettings, String>,
    /// Its owner's epoch, where ownership can move.
    pub epoch: Option<u64>,
}

impl From<CameraSettings> for Wanted {
    fn from(camera: CameraSettings) -> Self {
        Self { id: camera.id.clone(), camera: Ok(camera), epoch: None }
    }
}

/// What a change of the wanted cameras did.
#[derive(Debug, Default)]
pub struct Change {
    /// Cameras that were started.
    pub started: Vec<CameraId>,
    /// Cameras that were stopped.
    pub stopped: Vec<CameraId>,
    /// Cameras that were stopped and started with other settings, or stopped or started by their authorization.
    pub restarted: Vec<CameraId>,
    ending: Vec<CancellationToken>,
}

impl Change {
    /// Waits until what was stopped has said its last event.
    pub async fn settled(self) {
        for ended in self.ending {
            ended.cancelled().await;
        }
    }

    fn is_none(&self) -> bool {
        self.started.is_empty() && self.stopped.is_empty() && self.restarted.is_empty()
    }
}

/// One camera as the fleet has it.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: CameraId,
    /// Who wants it.
    pub origin: Origin,
    /// Its session; the same as long as it is left alone.
    pub session: SessionId,
    /// Its owner's epoch.
    pub epoch: Option<u64>,
    /// Its settings, when they can be used.
    pub settings: Option<CameraSettings>,
    /// Whether its authorization lets it be pulled.
    pub standing: Option<authorization::State>,
    /// Why its settings, or a change of them, are refused.
    pub refused: Option<String>,
    /// How it is.
    pub status: Option<CameraStatus>,
}

/// The cameras of one worker; cheap to clone.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

pub(crate) struct Inner {
    board: StatusBoard,
    state: Mutex<State>,
}

struct State {
    /// `None` once the worker stops: the parts hold the outbox open.
    parts: Option<Parts>,
    /// The day where the deployer is.
    today: Date,
    wanted: BTreeMap<Origin, BTreeMap<CameraId, Wanted>>,
    running: BTreeMap<CameraId, Running>,
    ending: BTreeMap<CameraId, CancellationToken>,
}

impl Fleet {
    /// A fleet without cameras, on this day where the deployer is.
    pub fn new(parts: Parts, today: Date) -> Self {
        let board = parts.board.clone();
        let state = State {
            parts: Some(parts),
            today,
            wanted: BTreeMap::new(),
            running: BTreeMap::new(),
            ending: BTreeMap::new(),
        };
        Self(Arc::new(Inner { board, state: Mutex::new(state) }))
    }

    /// Says what day it is; cameras whose authorization ends or begins to hold with it stop or start.
    pub fn day_is(&self, today: Date) -> Change {
        let mut state = self.0.state.lock();
        if state.today == today {
            return Change::default();
        }
        state.today = today;
        let change = state.reconcile(&Arc::downgrade(&self.0));
        if !change.is_none() {
            tracing::info!(%today, restarted = change.restarted.len(), "cameras changed with the day");
        }
        change
    }

    /// Says the whole set of cameras that `origin` wants; must be called within a tokio runtime.
    pub fn want(&self, origin: Origin, cameras: Vec<Wanted>) -> Change {
        let mut state = self.0.state.lock();
        let by_id = cameras.into_iter().map(|wanted| (wanted.id.clone(), wanted)).collect();
        state.wanted.insert(origin, by_id);
        let change = state.reconcile(&Arc::downgrade(&self.0));
        if !change.is_none() {
            let (started, stopped, restarted) = (change.started.len(), change.stopped.len(), change.restarted.len());
            tracing::info!(%origin, started, stopped, restarted, "cameras changed");
        }
        change
    }

    /// The cameras that `origin` wants now.
    pub fn wanted(&self, origin: Origin) -> Vec<Wanted> {
        let state = self.0.state.lock();
        state.wanted.get(&origin).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Who wants a camera with this id, if anybody.
    pub fn origin(&self, id: &CameraId) -> Option<Origin> {
        let state = self.0.state.lock();
        state.wanted.iter().find(|(_, cameras)| cameras.contains_key(id)).map(|(origin, _)| *origin)
    }

    /// All cameras.
    pub fn cameras(&self) -> Vec<View> {
        let statuses = self.0.board.snapshot();
        let state = self.0.state.lock();
        let view = |(id, running): (&CameraId, &Running)| running.view(id, statuses.get(id).cloned());
        state.running.iter().map(view).collect()
    }

    /// Stops every camera for good and waits for its last event.
    pub async fn stop(&self) {
        let ending: Vec<CancellationToken> = {
            let mut state = self.0.state.lock();
            state.parts = None;
            state.wanted.clear();
            let ids: Vec<CameraId> = state.running.keys().cloned().collect();
            ids.into_iter().for_each(|id| drop(state.end(&id)));
            state.ending.values().cloned().collect()
        };
        for ended in ending {
            ended.cancelled().await;
        }
    }
}

impl State {
    /// Brings what runs to what is wanted.
    fn reconcile(&mut self, fleet: &Weak<Inner>) -> Change {
        let mut change = Change::default();
        let mut merged: BTreeMap<CameraId, (Origin, Wanted)> = BTreeMap::new();
        for (origin, cameras) in &self.wanted {
            for (id, wanted) in cameras {
                merged.entry(id.clone()).or_insert_with(|| (*origin, wanted.clone()));
            }
        }
        let known: BTreeSet<CameraId> = self.running.keys().cloned().collect();
        for id in known.iter().filter(|id| !merged.contains_key(*id)) {
            change.ending.extend(self.end(id));
            change.stopped.push(id.clone());
        }
        for (id, (origin, wanted)) in merged {
            let asked = Asked::new(origin, wanted, self.running.get(&id), self.today);
            if self.running.get_mut(&id).is_some_and(|running| running.keeps(&asked)) {
                self.update_epoch(&id, asked.wanted.epoch);
                continue;
            }
            change.ending.extend(self.end(&id));
            let told = if known.contains(&id) { &mut change.restarted } else { &mut change.started };
            told.push(id.clone());
            self.begin(id, asked, fleet);
        }
        self.count();
        change
    }

    fn begin(&mut self, id: CameraId, asked: Asked, fleet: &Weak<Inner>) {
        let Some(parts) = &self.parts else { return };
        let before = self.ending.get(&id).cloned();
        self.running.insert(id, Running::start(parts, asked, before, fleet.clone()));
    }

    /// Asks a camera to end; the token tells when it has.
    fn end(&mut self, id: &CameraId) -> Option<CancellationToken> {
        let running = self.running.remove(id)?;
        let ended = running.end();
        self.ending.insert(id.clone(), ended.clone());
        Some(ended)
    }

    fn update_epoch(&mut self, id: &CameraId, epoch: Option<u64>) {
        let (Some(running), Some(parts)) = (self.running.get_mut(id), &self.parts) else { return };
        if let Some(epoch) = epoch.filter(|epoch| running.epoch != Some(*epoch)) {
            running.epoch = Some(epoch);
            let (outbox, id) = (parts.outbox.clone(), id.clone());
            tokio::spawn(async move { outbox.own(id.into(), epoch).await });
        }
    }

    fn count(&self) {
        if let Some(parts) = &self.parts {
            let n_refused = self.running.values().filter(|running| running.camera.is_err()).count();
            let n_suspended = self.running.values().filter(|running| !running.suspended().is_empty()).count();
            parts.metrics.fleet(self.running.len() - n_refused - n_suspended, n_refused, n_suspended);
        }
    }
}

impl Inner {
    /// Called by a camera's task behind its last event; true when no successor waits for its place.
    fn is_gone(&self, id: &CameraId) -> bool {
        !self.state.lock().running.contains_key(id)
    }

    fn forget_ending(&self, id: &CameraId, ended: &CancellationToken) {
        let mut state = self.state.lock();
        // Tokens of one source can't be compared; an ended one is of no use to anybody.
        if ended.is_cancelled() && state.ending.get(id).is_some_and(CancellationToken::is_cancelled) {
            state.ending.remove(id);
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
