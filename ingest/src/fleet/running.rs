//! One camera of the fleet, from its start to behind its last event.
//!
//! A camera waits for its predecessor's last event, so two sessions of one camera never mix. When nobody succeeds it, its series,
//! status and counters go with it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use xueliang_events::{
    CameraId, SessionId, Source,
    payload::{DeviceState, DeviceStatus},
};

use crate::{
    camera::CameraEvents,
    fleet::{
        Inner, Origin, View, Wanted,
        start::{Parts, start_camera},
    },
    outbox::Draft,
    settings::CameraSettings,
    status::{CameraStatus, HEARTBEAT},
};

/// Longest wait for frames in hand before a camera's series are removed.
const LAST_FRAMES: Duration = Duration::from_secs(5);
const LAST_FRAMES_PAUSE: Duration = Duration::from_millis(20);

/// One camera that runs, or one that can't.
pub(super) struct Running {
    pub camera: Result<CameraSettings, String>,
    pub epoch: Option<u64>,
    origin: Origin,
    session: SessionId,
    refused_change: Option<String>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Running {
    /// Starts the camera behind its predecessor.
    pub fn start(
        parts: &Parts,
        (origin, wanted): (Origin, Wanted),
        before: Option<CancellationToken>,
        fleet: Weak<Inner>,
    ) -> Self {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let session = SessionId::random();
        let running = Self {
            camera: wanted.camera.clone(),
            epoch: wanted.epoch,
            origin,
            session,
            refused_change: None,
            stop: stop.clone(),
            ended: ended.clone(),
        };
        let life = Life { parts: parts.clone(), session, stop, ended, fleet };
        tokio::spawn(life.live(wanted, before));
        running
    }

    /// True when what runs is what is wanted, or when what is wanted can't be used.
    pub fn keeps(&mut self, origin: Origin, wanted: &Wanted) -> bool {
        let keeps = match (&self.camera, &wanted.camera) {
            (Ok(running), Ok(wanted)) => running.is_same(wanted),
            (Ok(_), Err(_)) => true,
            (Err(running), Err(wanted)) => running == wanted,
            (Err(_), Ok(_)) => false,
        };
        if keeps {
            self.origin = origin;
            self.refused_change = if self.camera.is_ok() { wanted.camera.as_ref().err().cloned() } else { None };
            if let (Ok(running), Ok(wanted)) = (&mut self.camera, &wanted.camera) {
                (running.file, running.line) = (wanted.file.clone(), wanted.line);
            }
        }
        keeps
    }

    /// Asks it to end; the token tells when it has.
    pub fn end(self) -> CancellationToken {
        self.stop.cancel();
        self.ended
    }

    pub fn view(&self, id: &CameraId, status: Option<CameraStatus>) -> View {
        View {
            id: id.clone(),
            origin: self.origin,
            session: self.session,
            epoch: self.epoch,
            settings: self.camera.as_ref().ok().cloned(),
            refused: self.camera.as_ref().err().or(self.refused_change.as_ref()).cloned(),
            status,
        }
    }
}

/// What a camera's task works with.
struct Life {
    parts: Parts,
    session: SessionId,
    stop: CancellationToken,
    ended: CancellationToken,
    fleet: Weak<Inner>,
}

impl Life {
    async fn live(self, wanted: Wanted, before: Option<CancellationToken>) {
        let (ended, fleet, id) = (self.ended.clone(), self.fleet.clone(), wanted.id.clone());
        // Also when the task panics: whoever waits for its end must not wait for ever.
        let tells_end = ended.clone().drop_guard();
        if let Some(before) = before {
            before.cancelled().await;
        }
        let events = self.run(wanted).await;
        self.leave(&id, events).await;
        drop(tells_end);
        if let Some(fleet) = fleet.upgrade() {
            fleet.forget_ending(&id, &ended);
        }
    }

    async fn run(&self, Wanted { id, camera, epoch }: Wanted) -> Weak<CameraEvents> {
        if self.stop.is_cancelled() {
            return Weak::new();
        }
        if let Some(epoch) = epoch {
            self.parts.outbox.own(id.clone().into(), epoch).await;
        }
        match camera {
            Ok(camera) => {
                let (task, registration) = start_camera(&self.parts, camera, self.session);
                let events = Arc::downgrade(&task.events);
                self.parts.outbox.append(registration).await;
                task.run(self.stop.clone()).await;
                events
            }
            Err(cause) => {
                self.refuse(&id, &cause).await;
                Weak::new()
            }
        }
    }

    /// Says again and again that a camera can't run, until it is told to stop.
    async fn refuse(&self, id: &CameraId, cause: &str) {
        tracing::warn!(camera = %id, cause, "camera refused");
        let cause: String = cause.chars().take(240).collect();
        let since = Timestamp::now();
        let status = |state| CameraStatus {
            state,
            cause: Some(cause.clone()),
            since,
            last_failure: None,
            gate: None,
            picture_fault: None,
        };
        self.parts.board.note(id, status(DeviceState::Refused));
        let mut heartbeat = false;
        let draft = |state, heartbeat| Draft {
            source: Source::Camera(id.clone()),
            session: self.session,
            grid: None,
            time: Timestamp::now(),
            payload: DeviceStatus { cause: Some(cause.clone()), heartbeat, ..DeviceStatus::new(state, since) }.into(),
        };
        loop {
            self.parts.outbox.append(draft(DeviceState::Refused, heartbeat)).await;
            heartbeat = true;
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = self.stop.cancelled() => break,
            }
        }
        self.parts.outbox.append(draft(DeviceState::Stopped, false)).await;
    }

    /// Leaves nothing behind, unless a successor takes the place.
    async fn leave(&self, id: &CameraId, events: Weak<CameraEvents>) {
        if !self.fleet.upgrade().is_some_and(|fleet| fleet.is_gone(id)) {
            return;
        }
        // A frame in a decoder's or detector's hands would bring a series back.
        let until = tokio::time::Instant::now() + LAST_FRAMES;
        while events.strong_count() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(LAST_FRAMES_PAUSE).await;
        }
        self.parts.outbox.forget(id.clone().into()).await;
        if self.fleet.upgrade().is_some_and(|fleet| fleet.is_gone(id)) {
            self.parts.board.forget(id);
            self.parts.metrics.forget(id.as_str());
        }
    }
}
