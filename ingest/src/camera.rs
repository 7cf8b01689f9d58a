//! One camera from start to shutdown: pull, watch that pictures come, say how it is, come back after each failure.
//!
//! A camera that fails costs a timer; it shares nothing with the others that it could hold up. Reconnects are spread by jittered
//! exponential backoff.

mod events;

use std::{sync::Arc, time::Duration};

use rand::Rng;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use xueliang_events::payload::DeviceState;

use crate::{
    access_unit::AccessUnit,
    decode::{DecoderPool, Lane, Lease},
    failure::Failure,
    gate::{Gate, Job, Verdict},
    metrics::CameraMetrics,
    session::{Deadlines, Session},
    settings::CameraSettings,
    status::StatusReporter,
};

pub use events::CameraEvents;

/// How often a session is looked after.
const TICK: Duration = Duration::from_secs(1);
/// First and longest pause before a reconnect.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A session that lived so long starts the backoff anew.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// Keyframes that must have come without a picture before the stream is called undecodable.
const UNDECODABLE_KEYFRAMES: u64 = 2;
/// The same for access units of any kind.
const UNDECODABLE_UNITS: u64 = 250;

/// What one camera's task works with.
pub struct CameraTask {
    /// The camera.
    pub camera: CameraSettings,
    /// Its deadlines.
    pub deadlines: Deadlines,
    /// The shared decoders.
    pub decoders: Arc<DecoderPool>,
    /// Its way through them.
    pub lane: Arc<Lane>,
    /// Its gate; what it learns lasts as long as the task.
    pub gate: Gate,
    /// Its events.
    pub events: Arc<CameraEvents>,
    /// What the analysis tells the gate.
    pub verdicts: mpsc::Receiver<Verdict>,
    /// Its status.
    pub status: StatusReporter,
    /// Its counters.
    pub metrics: CameraMetrics,
}

impl CameraTask {
    /// Pulls the camera until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = BACKOFF.0;
        self.status.say(DeviceState::Connecting, None).await;
        loop {
            let started = Instant::now();
            let failure = tokio::select! {
                failure = self.run_once() => failure,
                () = shutdown.cancelled() => break,
            };
            self.lane.reset();
            self.gate.interrupted();
            self.events.close().await;
            self.metrics.reconnected();
            self.status.say(failure.state(), Some(failure.to_string())).await;
            if started.elapsed() > SETTLED_AFTER {
                backoff = BACKOFF.0;
            }
            let pause = backoff.mul_f64(rand::rng().random_range(0.5..1.0));
            backoff = (backoff * 2).min(BACKOFF.1);
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
        while self.verdicts.try_recv().is_ok() {}
        let mut lease = StreamLease { decoders: Arc::clone(&self.decoders), lease: None };
        let mut watch = Watch::new(self.lane.n_decoded(), self.deadlines.stall);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                unit = session.next() => match unit {
                    Ok(unit) => self.take(unit, &mut lease, &mut watch),
                    Err(failure) => return failure,
                },
                Some(verdict) = self.verdicts.recv() => {
                    let jobs = self.gate.hear(verdict, lease.is_to_be_had());
                    self.work(jobs, &mut lease, &mut watch);
                }
                _ = tick.tick() => match watch.check(self.lane.n_decoded()) {
                    Ok(true) => self.say_live(&session).await,
                    Ok(false) => self.status.beat().await,
                    Err(failure) => return failure,
                },
            }
        }
    }

    fn take(&mut self, unit: AccessUnit, lease: &mut StreamLease, watch: &mut Watch) {
        self.metrics.pulled(unit.bytes.len(), unit.lost_packets);
        watch.unit_at = Instant::now();
        let jobs = self.gate.take(unit, lease.is_to_be_had());
        self.metrics.gated(self.gate.evidence(), &jobs);
        self.work(jobs, lease, watch);
    }

    fn work(&mut self, jobs: Vec<Job>, lease: &mut StreamLease, watch: &mut Watch) {
        lease.keep_if(self.gate.is_open());
        watch.given(&jobs);
        self.decoders.work(&self.lane, jobs);
    }

    /// Connects, repeating the status meanwhile.
    async fn open(&mut self) -> Result<Session, Failure> {
        let mut opening = std::pin::pin!(Session::open(&self.camera, self.deadlines));
        loop {
            tokio::select! {
                session = &mut opening => return session,
                () = tokio::time::sleep(TICK) => self.status.beat().await,
            }
        }
    }

    async fn say_live(&mut self, session: &Session) {
        if let Some(offset) = session.clock_error() {
            let cause = format!("its clock is off by {} s; set its time server", offset.as_secs());
            self.status.say(DeviceState::Degraded, Some(cause)).await;
        } else if self.gate.is_starved() {
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

/// A stream decoder, held only while the gate is open.
struct StreamLease {
    decoders: Arc<DecoderPool>,
    lease: Option<Lease>,
}

impl StreamLease {
    /// Takes one for the moment, if there is one.
    fn is_to_be_had(&mut self) -> bool {
        if self.lease.is_none() {
            self.lease = self.decoders.lease();
        }
        self.lease.is_some()
    }

    fn keep_if(&mut self, open: bool) {
        if !open {
            self.lease = None;
        }
    }
}

/// Watches that access units come and that those which are decoded become pictures.
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

    fn given(&mut self, jobs: &[Job]) {
        for job in jobs {
            let Job::Decode { unit, .. } = job else { continue };
            self.n_units += 1;
            self.n_keyframes += u64::from(unit.keyframe);
        }
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
