//! One camera of the fleet, from its start to behind its last event.
//!
//! A camera waits for its predecessor's last event, so two sessions of one camera never mix. When nobody succeeds it, its series,
//! status and counters go with it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{Timestamp, civil::Date};
use tokio_util::sync::CancellationToken;
use xueliang_events::{
    CameraId, SessionId, Source,
    payload::{DeviceState, DeviceStatus, Suspension},
};

use crate::{
    authorization::{self, State},
    camera::CameraEvents,
    fleet::{
        Inner, Origin, View, Wanted,
        start::{Parts, registration, start_camera},
    },
    outbox::Draft,
    settings::CameraSettings,
    status::{CameraStatus, HEARTBEAT},
};

/// Longest wait for frames in hand before a camera's series are removed.
const LAST_FRAMES: Duration = Duration::from_secs(5);
const LAST_FRAMES_PAUSE: Duration = Duration::from_millis(20);

/// What is asked for a camera's place in the fleet on one day.
pub(super) struct Asked {
    pub wanted: Wanted,
    origin: Origin,
    refused_change: Option<String>,
    standing: Option<State>,
}

impl Asked {
    /// Over a camera that was good a row with mistakes changes nothing, but its authorization ends all the same.
    pub fn new(origin: Origin, mut wanted: Wanted, before: Option<&Running>, today: Date) -> Self {
        let mut refused_change = None;
        if let (Some(Ok(good)), Err(mistakes)) = (before.map(|before| &before.camera), &wanted.camera) {
            refused_change = Some(mistakes.clone());
            wanted.camera = Ok(good.clone());
        }
        let standing = wanted.camera.as_ref().ok().map(|camera| authorization::state(&camera.authorization, today));
        Self { wanted, origin, refused_change, standing }
    }
}

/// One camera that runs, or one that can't or may not.
pub(super) struct Running {
    pub camera: Result<CameraSettings, String>,
    pub epoch: Option<u64>,
    origin: Origin,
    session: SessionId,
    refused_change: Option<String>,
    /// Whether it may be pulled; `None` where its settings can't be used.
    standing: Option<State>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Running {
    /// Starts the camera behind its predecessor.
    pub fn start(parts: &Parts, asked: Asked, before: Option<CancellationToken>, fleet: Weak<Inner>) -> Self {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let session = SessionId::random();
        let Asked { wanted, origin, refused_change, standing } = asked;
        let why = suspensions(standing.as_ref()).to_vec();
        let running = Self {
            camera: wanted.camera.clone(),
            epoch: wanted.epoch,
            origin,
            session,
            refused_change,
            standing,
            stop: stop.clone(),
            ended: ended.clone(),
        };
        let life = Life { parts: parts.clone(), session, stop, ended, fleet };
        tokio::spawn(life.live((wanted, why), before));
        running
    }

    /// True when what runs, or waits, is what is asked for; how it is written and what permits it is taken over.
    pub fn keeps(&mut self, asked: &Asked) -> bool {
        let keeps = match (&self.camera, &asked.wanted.camera) {
            (Ok(running), Ok(wanted)) => {
                running.is_same(wanted) && self.suspended() == suspensions(asked.standing.as_ref())
            }
            (Err(running), Err(wanted)) => running == wanted,
            _ => false,
        };
        if keeps {
            self.origin = asked.origin;
            self.refused_change.clone_from(&asked.refused_change);
            self.camera.clone_from(&asked.wanted.camera);
            self.standing.clone_from(&asked.standing);
        }
        keeps
    }

    /// Why it may not be pulled; empty when it may.
    pub fn suspended(&self) -> &[Suspension] {
        suspensions(self.standing.as_ref())
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
            standing: self.standing.clone(),
            refused: self.camera.as_ref().err().or(self.refused_change.as_ref()).cloned(),
            status,
        }
    }
}

fn suspensions(standing: Option<&State>) -> &[Suspension] {
    match standing {
        Some(State::Suspended { why }) => why,
        Some(State::Active { .. }) | None => &[],
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
    async fn live(self, (wanted, why): (Wanted, Vec<Suspension>), before: Option<CancellationToken>) {
        let (ended, fleet, id) = (self.ended.clone(), self.fleet.clone(), wanted.id.clone());
        // Also when the task panics: whoever waits for its end must not wait for ever.
        let tells_end = ended.clone().drop_guard();
        if let Some(before) = before {
            before.cancelled().await;
        }
        let events = self.run(wanted, &why).await;
        self.leave(&id, events).await;
        drop(tells_end);
        if let Some(fleet) = fleet.upgrade() {
            fleet.forget_ending(&id, &ended);
        }
    }

    async fn run(&self, Wanted { id, camera, epoch }: Wanted, why: &[Suspension]) -> Weak<CameraEvents> {
        if self.stop.is_cancelled() {
            return Weak::new();
        }
        if let Some(epoch) = epoch {
            self.parts.outbox.own(id.clone().into(), epoch).await;
        }
        match camera {
            Ok(camera) if !why.is_empty() => {
                self.parts.outbox.append(registration(&camera, self.session)).await;
                let cause = authorization::cause(why);
                tracing::warn!(camera = %id, cause, "camera suspended");
                let status =
                    DeviceStatus { suspended: why.first().copied(), ..self.status(DeviceState::Stopped, &cause) };
                self.hold(&id, status).await;
                Weak::new()
            }
            Ok(camera) => {
                let (task, registration) = start_camera(&self.parts, camera, self.session);
                let events = Arc::downgrade(&task.events);
                self.parts.outbox.append(registration).await;
                task.run(self.stop.clone()).await;
                events
            }
            Err(cause) => {
                tracing::warn!(camera = %id, cause, "camera refused");
                self.hold(&id, self.status(DeviceState::Refused, &cause)).await;
                Weak::new()
            }
        }
    }

    fn status(&self, state: DeviceState, cause: &str) -> DeviceStatus {
        let cause = Some(cause.chars().take(240).collect());
        DeviceStatus { cause, ..DeviceStatus::new(state, Timestamp::now()) }
    }

    /// Says again and again why a camera does not run, until it is told to stop.
    async fn hold(&self, id: &CameraId, status: DeviceStatus) {
        let DeviceStatus { state, cause, since, suspended, .. } = status.clone();
        let noted =
            CameraStatus { state, cause, since, last_failure: None, gate: None, picture_fault: None, suspended };
        self.parts.board.note(id, noted);
        let draft = |state, heartbeat| Draft {
            source: Source::Camera(id.clone()),
            session: self.session,
            grid: None,
            time: Timestamp::now(),
            payload: DeviceStatus { state, heartbeat, ..status.clone() }.into(),
        };
        let mut heartbeat = false;
        loop {
            self.parts.outbox.append(draft(state, heartbeat)).await;
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
