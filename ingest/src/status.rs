//! How each camera is: one board for readiness and the console's counters, and a status event at each change and as a heartbeat.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use xueliang_events::{
    CameraId, SessionId, Source,
    payload::{DeviceState, DeviceStatus},
};

use crate::{
    metrics::CameraMetrics,
    outbox::{Draft, Outbox},
    settings::CameraSettings,
};

/// How often an unchanged state is repeated.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// A camera's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraStatus {
    /// The state.
    pub state: DeviceState,
    /// Why.
    pub cause: Option<String>,
    /// Since when it has been in this state.
    pub since: Timestamp,
}

/// All cameras' states.
#[derive(Clone, Default)]
pub struct StatusBoard(Arc<Mutex<BTreeMap<CameraId, CameraStatus>>>);

impl StatusBoard {
    /// The states now.
    pub fn snapshot(&self) -> BTreeMap<CameraId, CameraStatus> {
        self.0.lock().clone()
    }

    /// Takes note of a camera that has no session to report it.
    pub(crate) fn note(&self, camera: &CameraId, status: CameraStatus) {
        self.0.lock().insert(camera.clone(), status);
    }

    /// Forgets a camera that is gone.
    pub(crate) fn forget(&self, camera: &CameraId) {
        self.0.lock().remove(camera);
    }
}

/// Reports one camera's state.
pub struct StatusReporter {
    camera: CameraId,
    session: SessionId,
    grid: Option<xueliang_events::GridCode>,
    board: StatusBoard,
    outbox: Outbox,
    metrics: CameraMetrics,
    current: Option<CameraStatus>,
    said_at: Instant,
}

impl StatusReporter {
    /// A reporter that has said nothing yet.
    pub fn new(
        camera: &CameraSettings,
        session: SessionId,
        board: StatusBoard,
        outbox: Outbox,
        metrics: CameraMetrics,
    ) -> Self {
        Self {
            camera: camera.id.clone(),
            session,
            grid: camera.grid.clone(),
            board,
            outbox,
            metrics,
            current: None,
            said_at: Instant::now(),
        }
    }

    /// The state said last.
    pub fn state(&self) -> Option<DeviceState> {
        self.current.as_ref().map(|status| status.state)
    }

    /// Says a state; the same again is a heartbeat at most every [`HEARTBEAT`].
    pub async fn say(&mut self, state: DeviceState, cause: Option<String>) {
        let cause = cause.map(|text| text.chars().take(240).collect::<String>());
        let unchanged = self.current.as_ref().is_some_and(|said| said.state == state && said.cause == cause);
        if unchanged && self.said_at.elapsed() < HEARTBEAT {
            return;
        }
        let now = Timestamp::now();
        let since = match &self.current {
            Some(said) if said.state == state => said.since,
            _ => now,
        };
        if !unchanged {
            tracing::info!(camera = %self.camera, state = ?state, cause = cause.as_deref().unwrap_or("-"), "camera status");
        }
        let status = CameraStatus { state, cause: cause.clone(), since };
        self.board.0.lock().insert(self.camera.clone(), status.clone());
        self.current = Some(status);
        self.said_at = Instant::now();
        self.metrics.up(state.delivers());
        let payload = DeviceStatus { state, cause, since, heartbeat: unchanged }.into();
        let source = Source::Camera(self.camera.clone());
        let draft = Draft { source, session: self.session, grid: self.grid.clone(), time: now, payload };
        self.outbox.append(draft).await;
    }

    /// Repeats the state when a heartbeat is due.
    pub async fn beat(&mut self) {
        if let Some(said) = self.current.clone() {
            self.say(said.state, said.cause).await;
        }
    }
}
