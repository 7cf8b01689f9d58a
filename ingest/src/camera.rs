//! One camera from start to shutdown: pull, watch that pictures come, say how it is, come back after each failure.
//!
//! A camera that fails costs a timer; it shares nothing with the others that it could hold up. Reconnects are spread by jittered
//! exponential backoff.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use xueliang_events::{SessionId, Source, payload::DeviceState};
use xueliang_inference::{Detections, Frame};

use crate::{
    analyse::{Analysis, Fact},
    backoff::{Admission, Backoff, Pauses},
    decode::{DecoderPool, Lane, Lease},
    failure::Failure,
    gate::Gate,
    metrics::CameraMetrics,
    outbox::{Draft, Outbox},
    scheduler::DetectionSink,
    session::{Deadlines, Session},
    settings::{CameraSettings, GatePolicy},
    snapshots::SnapshotStore,
    status::StatusReporter,
};

/// How often a session is looked after.
const TICK: Duration = Duration::from_secs(1);
/// A refused account is tried no sooner and no later, so that no camera locks it.
const AUTH_PAUSE: std::ops::Range<f64> = 20.0..40.0;
/// A session that lived so long starts the backoff anew.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// Keyframes that must have come without a picture before the stream is called undecodable.
const UNDECODABLE_KEYFRAMES: u64 = 2;
/// The same for access units of any kind.
const UNDECODABLE_UNITS: u64 = 250;

/// Turns detections into events; the end of the pipeline that the detectors see.
pub struct CameraEvents {
    camera: CameraSettings,
    session: SessionId,
    outbox: Outbox,
    snapshots: SnapshotStore,
    analysis: Mutex<Option<Analysis>>,
}

impl CameraEvents {
    /// Events of `camera` in this run.
    pub fn new(camera: CameraSettings, session: SessionId, outbox: Outbox, snapshots: SnapshotStore) -> Self {
        Self { camera, session, outbox, snapshots, analysis: Mutex::default() }
    }

    /// Ends the analysis of a session and says that what was in its zones left.
    async fn close(&self) {
        let facts = self.analysis.lock().take().map(|mut analysis| analysis.close()).unwrap_or_default();
        for fact in facts {
            self.outbox.append(self.draft(fact)).await;
        }
    }

    fn draft(&self, fact: Fact) -> Draft {
        Draft {
            source: Source::Camera(self.camera.id.clone()),
            session: self.session,
            grid: self.camera.grid.clone(),
            time: fact.at,
            payload: fact.payload,
        }
    }
}

impl DetectionSink for CameraEvents {
    fn take(&self, frame: &Frame, detections: &Detections) {
        let mut analysis = self.analysis.lock();
        if analysis.is_none() {
            match Analysis::new(&self.camera, frame.width() as f32 / frame.height() as f32) {
                Ok(fresh) => *analysis = Some(fresh),
                Err(error) => tracing::error!(camera = %self.camera.id, %error, "can't watch the zones"),
            }
        }
        let Some(current) = analysis.as_mut() else { return };
        for fact in current.observe(frame, detections, &self.snapshots) {
            self.outbox.append_blocking(self.draft(fact));
        }
    }
}

/// What one camera's task works with.
pub struct CameraTask {
    /// The camera.
    pub camera: CameraSettings,
    /// Its deadlines.
    pub deadlines: Deadlines,
    /// The gate that all cameras' connections pass.
    pub admission: Admission,
    /// The shared decoders.
    pub decoders: Arc<DecoderPool>,
    /// Its way through them.
    pub lane: Arc<Lane>,
    /// Its events.
    pub events: Arc<CameraEvents>,
    /// Its status.
    pub status: StatusReporter,
    /// Its counters.
    pub metrics: CameraMetrics,
}

impl CameraTask {
    /// Pulls the camera until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(Pauses::default());
        self.status.say(DeviceState::Connecting, None).await;
        loop {
            tokio::select! {
                () = self.admission.wait() => {}
                () = shutdown.cancelled() => break,
            }
            let started = Instant::now();
            let failure = tokio::select! {
                failure = self.run_once() => failure,
                () = shutdown.cancelled() => break,
            };
            self.lane.reset();
            self.events.close().await;
            self.metrics.reconnected();
            self.metrics.failed(failure.kind());
            self.status.say(failure.state(), Some(failure.to_string())).await;
            if started.elapsed() > SETTLED_AFTER {
                backoff.reset();
            }
            let pause = match failure.state() {
                DeviceState::AuthFailed => Duration::from_secs_f64(rand::rng().random_range(AUTH_PAUSE)),
                _ => backoff.next(rand::rng().random()),
            };
            tokio::select! {
                () = self.pause(pause) => {}
                () = shutdown.cancelled() => break,
            }
        }
        self.lane.reset();
        self.events.close().await;
        self.status.say(DeviceState::Stopped, None).await;
    }

    /// One session, to its end.
    async fn run_once(&mut self) -> Failure {
        let mut session = match self.open().await {
            Ok(session) => session,
            Err(failure) => return failure,
        };
        let lease = match self.camera.gate {
            GatePolicy::Always => self.decoders.lease(),
            GatePolicy::Keyframes => None,
        };
        let gate = Gate::new(self.camera.gate);
        let mut watch = Watch::new(self.lane.n_decoded(), self.deadlines.stall);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                unit = session.next() => match unit {
                    Ok(unit) => {
                        let decision = gate.judge(&unit, lease.is_some());
                        self.metrics.pulled(unit.bytes.len(), unit.lost_packets, decision.as_str());
                        watch.pulled(unit.keyframe);
                        self.decoders.decode(&self.lane, unit, decision);
                    }
                    Err(failure) => return failure,
                },
                _ = tick.tick() => match watch.check(self.lane.n_decoded()) {
                    Ok(true) => self.say_live(&session, lease.as_ref()).await,
                    Ok(false) => self.status.beat().await,
                    Err(failure) => return failure,
                },
            }
        }
    }

    /// Connects, repeating the status meanwhile.
    async fn open(&mut self) -> Result<Session, Failure> {
        let endpoint = self.camera.endpoint();
        let mut opening = std::pin::pin!(Session::open(&endpoint, self.deadlines));
        loop {
            tokio::select! {
                session = &mut opening => return session,
                () = tokio::time::sleep(TICK) => self.status.beat().await,
            }
        }
    }

    async fn say_live(&mut self, session: &Session, lease: Option<&Lease>) {
        if let Some(remark) = session.remark() {
            self.status.say(DeviceState::Degraded, Some(remark)).await;
        } else if self.camera.gate == GatePolicy::Always && lease.is_none() {
            let cause = "all stream decoders are leased, only keyframes are analysed; raise ingest.stream_decoders";
            self.status.say(DeviceState::Degraded, Some(cause.to_owned())).await;
        } else {
            self.status.say(DeviceState::Live, None).await;
        }
    }

    async fn pause(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            tokio::time::sleep_until(until.min(Instant::now() + TICK)).await;
            self.status.beat().await;
        }
    }
}

/// Watches that access units come and that they become pictures.
struct Watch {
    stall: Duration,
    n_decoded: u64,
    unit_at: Instant,
    decoded_at: Instant,
    n_units: u64,
    n_keyframes: u64,
    delivered: bool,
}

impl Watch {
    fn new(n_decoded: u64, stall: Duration) -> Self {
        let now = Instant::now();
        Self { stall, n_decoded, unit_at: now, decoded_at: now, n_units: 0, n_keyframes: 0, delivered: false }
    }

    fn pulled(&mut self, keyframe: bool) {
        self.unit_at = Instant::now();
        self.n_units += 1;
        self.n_keyframes += u64::from(keyframe);
    }

    /// True once pictures come.
    fn check(&mut self, n_decoded: u64) -> Result<bool, Failure> {
        if n_decoded > self.n_decoded {
            (self.n_decoded, self.decoded_at, self.delivered) = (n_decoded, Instant::now(), true);
            (self.n_units, self.n_keyframes) = (0, 0);
        }
        if self.unit_at.elapsed() > self.stall {
            return Err(Failure::Stalled { within: self.stall });
        }
        let enough = self.n_keyframes >= UNDECODABLE_KEYFRAMES || self.n_units >= UNDECODABLE_UNITS;
        if enough && self.decoded_at.elapsed() > self.stall {
            return Err(Failure::Undecodable { n_units: self.n_units });
        }
        Ok(self.delivered)
    }
}
