//! One camera from start to shutdown: pull, watch that pictures come, say how it is, come back after each failure.
//!
//! A camera that fails costs a timer; it shares nothing with the others that it could hold up. Reconnects are spread by jittered
//! exponential backoff.

mod events;
mod streams;

use std::{sync::Arc, time::Duration};

use rand::Rng;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use xueliang_events::payload::{self, DeviceState};
use xueliang_inference::PictureFault;

use crate::{
    access_unit::AccessUnit,
    backoff::{Admission, Backoff, Pauses},
    decode::{DecoderPool, Lane, Lease},
    failure::Failure,
    gate::{Gate, Job, Purpose, Verdict},
    metrics::CameraMetrics,
    session::{self, Deadlines},
    settings::{CameraSettings, SubStreamUse},
    status::StatusReporter,
    stream_health::{StreamHealth, UnitArrival},
};

pub use events::CameraEvents;
use streams::{Next, Streams};

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
    /// The way of its sub-stream's keyframes through them, if it has a sub-stream.
    pub sub_lane: Option<Arc<Lane>>,
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
        let mut backoff = Backoff::new(Pauses::default());
        self.status.say(DeviceState::Connecting, None).await;
        loop {
            let started = Instant::now();
            let failure = tokio::select! {
                failure = self.run_once() => failure,
                () = shutdown.cancelled() => break,
            };
            self.end_stream().await;
            self.metrics.reconnected();
            self.fail(&failure).await;
            let failure = tokio::select! {
                failure = self.explain(failure) => failure,
                () = shutdown.cancelled() => break,
            };
            if started.elapsed() > SETTLED_AFTER {
                backoff.reset();
            }
            tokio::select! {
                () = self.pause(pause_after(&failure, &mut backoff)) => {}
                () = shutdown.cancelled() => break,
            }
        }
        self.reset_lanes();
        self.events.close().await;
        self.status.say(DeviceState::Stopped, None).await;
    }

    async fn fail(&mut self, failure: &Failure) {
        self.metrics.failed(failure.kind());
        self.status.say(failure.state(), Some(failure.to_string())).await;
    }

    /// Asks once whether it is the account when a session with one ended without a word.
    async fn explain(&mut self, failure: Failure) -> Failure {
        let endpoint = if self.is_sub_alone() { self.camera.sub_endpoint() } else { Some(self.camera.endpoint()) };
        let endpoint = endpoint.filter(|endpoint| endpoint.credentials.is_some());
        let is_silent = matches!(failure, Failure::Closed | Failure::Stalled { .. });
        let Some(endpoint) = endpoint.filter(|_| is_silent) else { return failure };
        self.admission.wait().await;
        let explained = session::explained(failure.clone(), &endpoint, self.deadlines).await;
        if explained != failure {
            self.fail(&explained).await;
        }
        explained
    }

    fn is_sub_alone(&self) -> bool {
        self.camera.sub.as_ref().is_some_and(|sub| sub.used_for == SubStreamUse::Detect)
    }

    fn reset_lanes(&self) {
        self.lane.reset();
        self.sub_lane.iter().for_each(|lane| lane.reset());
    }

    /// What was decoded can't be continued; whoever was in a zone is said to have left it.
    async fn end_stream(&mut self) {
        self.reset_lanes();
        self.gate.interrupted();
        self.events.close().await;
    }

    /// One session, to its end.
    async fn run_once(&mut self) -> Failure {
        let mut streams = match self.open().await {
            Ok(streams) => streams,
            Err(failure) => return failure,
        };
        self.gate.watch_sub_stream(streams.is_watching());
        while self.verdicts.try_recv().is_ok() {}
        let mut lease = StreamLease { decoders: Arc::clone(&self.decoders), lease: None };
        let mut watches =
            Watches { main: self.new_watch(Some(&self.lane)), sub: self.new_watch(self.sub_lane.as_ref()) };
        let mut health = StreamHealth::new(Instant::now());
        let mut n_errors = self.lane.n_errors();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                next = streams.next() => match next {
                    Ok(Next::Decoded(unit)) => {
                        health.unit(arrival(&unit));
                        self.take(unit, &mut lease, &mut watches);
                    }
                    Ok(Next::Watched(unit)) => self.watch(unit, &mut lease, &mut watches),
                    Ok(Next::Watching(yes)) => {
                        self.gate.watch_sub_stream(yes);
                        watches.sub = self.new_watch(self.sub_lane.as_ref());
                    }
                    Ok(Next::Switched(first)) => {
                        self.end_stream().await;
                        self.gate.watch_sub_stream(false);
                        lease.keep_if(false);
                        if let Some(unit) = first {
                            health.unit(arrival(&unit));
                            self.take(unit, &mut lease, &mut watches);
                        }
                    }
                    Err(failure) => return failure,
                },
                Some(verdict) = self.verdicts.recv() => {
                    let jobs = self.gate.hear(verdict, lease.is_to_be_had());
                    self.work(jobs, &mut lease, &mut watches);
                }
                _ = tick.tick() => {
                    health.clock(streams.decoded.clock_offset());
                    health.reordered(streams.decoded.n_reordered());
                    health.decode_errors(self.lane.n_errors() - std::mem::replace(&mut n_errors, self.lane.n_errors()));
                    self.metrics.stream(&health.snapshot(Instant::now()));
                    self.check_sub(&mut streams, &mut watches.sub);
                    match watches.main.check(self.lane.n_decoded()) {
                        Ok(true) => self.say_live(streams.is_watching(), streams.trouble()).await,
                        Ok(false) => match streams.decoded.lack() {
                            Some(cause) => self.status.say(DeviceState::Degraded, Some(cause)).await,
                            None => self.status.beat().await,
                        },
                        Err(failure) => return failure,
                    }
                }
            }
        }
    }

    fn take(&mut self, unit: AccessUnit, lease: &mut StreamLease, watches: &mut Watches) {
        self.metrics.pulled(unit.bytes.len(), unit.lost_packets);
        watches.main.unit_at = Instant::now();
        let jobs = self.gate.take(unit, lease.is_to_be_had());
        self.metrics.gate_evidence(self.gate.evidence());
        if jobs.is_empty() {
            self.metrics.kept();
        }
        self.work(jobs, lease, watches);
    }

    /// Takes an access unit of the sub-stream; its keyframes go their own way.
    fn watch(&mut self, unit: AccessUnit, lease: &mut StreamLease, watches: &mut Watches) {
        watches.sub.unit_at = Instant::now();
        self.metrics.pulled(unit.bytes.len(), unit.lost_packets);
        let jobs = self.gate.watch(unit, lease.is_to_be_had());
        let is_check = |job: &Job| matches!(job, Job::Decode { purpose: Purpose::Check, .. });
        let (checks, others): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(is_check);
        if let Some(lane) = &self.sub_lane {
            watches.sub.given(&checks);
            self.metrics.gated(&checks);
            self.decoders.work(lane, checks);
        }
        self.work(others, lease, watches);
    }

    fn work(&mut self, jobs: Vec<Job>, lease: &mut StreamLease, watches: &mut Watches) {
        lease.keep_if(self.gate.is_open());
        watches.main.given(&jobs);
        self.metrics.gated(&jobs);
        self.decoders.work(&self.lane, jobs);
    }

    /// A sub-stream whose keyframes show nothing would leave the gate blind.
    fn check_sub(&mut self, streams: &mut Streams, watch: &mut Watch) {
        let n_decoded = self.sub_lane.as_ref().map_or(0, |lane| lane.n_decoded());
        if streams.is_watching()
            && let Err(failure) = watch.check(n_decoded)
        {
            streams.leave_sub(&failure);
            self.gate.watch_sub_stream(false);
        }
    }

    fn new_watch(&self, lane: Option<&Arc<Lane>>) -> Watch {
        Watch::new(lane.map_or(0, |lane| lane.n_decoded()), self.deadlines.stall)
    }

    /// Connects, repeating the status meanwhile.
    async fn open(&mut self) -> Result<Streams, Failure> {
        let mut opening = std::pin::pin!(Streams::open(&self.camera, self.deadlines, &self.admission));
        loop {
            tokio::select! {
                streams = &mut opening => return streams,
                () = tokio::time::sleep(TICK) => self.status.beat().await,
            }
        }
    }

    async fn say_live(&mut self, watches_sub: bool, trouble: Option<String>) {
        self.status.gate(self.gate.evidence().on_the_wire());
        let of_sub = self.sub_lane.as_ref().filter(|_| watches_sub).and_then(|lane| lane.picture().worst());
        let worst = self.lane.picture().worst().or(of_sub);
        self.status.picture_fault(worst.map(|worst| on_the_wire(worst.fault)));
        if let Some(worst) = worst {
            self.status.say(DeviceState::Degraded, Some(worst.fault.advice().to_owned())).await;
        } else if let Some(remark) = trouble {
            self.status.say(DeviceState::Degraded, Some(remark)).await;
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

fn on_the_wire(fault: PictureFault) -> payload::PictureFault {
    match fault {
        PictureFault::Black => payload::PictureFault::Black,
        PictureFault::OverExposed => payload::PictureFault::OverExposed,
        PictureFault::Frozen => payload::PictureFault::Frozen,
        PictureFault::Covered => payload::PictureFault::Covered,
        PictureFault::Moved => payload::PictureFault::Moved,
        PictureFault::Blurred => payload::PictureFault::Blurred,
    }
}

/// How long to wait before connecting again.
fn pause_after(failure: &Failure, backoff: &mut Backoff) -> Duration {
    match failure.state() {
        DeviceState::AuthFailed => Duration::from_secs_f64(rand::rng().random_range(AUTH_PAUSE)),
        _ => backoff.next(rand::rng().random()),
    }
}

fn arrival(unit: &AccessUnit) -> UnitArrival {
    UnitArrival {
        captured_at: unit.captured_at,
        arrived: Instant::now(),
        n_bytes: unit.bytes.len(),
        keyframe: unit.keyframe,
        n_lost: unit.lost_packets,
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

/// One for what is decoded, one for what the gate looks at.
struct Watches {
    main: Watch,
    sub: Watch,
}

/// Watches that access units come and that those which are decoded become pictures.
struct Watch {
    stall: Duration,
    n_decoded: u64,
    unit_at: Instant,
    /// Since when what was given has not become a picture.
    undecoded_since: Instant,
    n_units: u64,
    n_keyframes: u64,
    delivered: bool,
}

impl Watch {
    fn new(n_decoded: u64, stall: Duration) -> Self {
        let now = Instant::now();
        Self { stall, n_decoded, unit_at: now, undecoded_since: now, n_units: 0, n_keyframes: 0, delivered: false }
    }

    fn given(&mut self, jobs: &[Job]) {
        for job in jobs {
            let Job::Decode { unit, .. } = job else { continue };
            if self.n_units == 0 {
                self.undecoded_since = Instant::now();
            }
            self.n_units += 1;
            self.n_keyframes += u64::from(unit.keyframe);
        }
    }

    /// True once pictures come.
    fn check(&mut self, n_decoded: u64) -> Result<bool, Failure> {
        if n_decoded > self.n_decoded {
            (self.n_decoded, self.delivered) = (n_decoded, true);
            (self.n_units, self.n_keyframes) = (0, 0);
        }
        if self.unit_at.elapsed() > self.stall {
            return Err(Failure::Stalled { within: self.stall });
        }
        let enough = self.n_keyframes >= UNDECODABLE_KEYFRAMES || self.n_units >= UNDECODABLE_UNITS;
        if enough && self.undecoded_since.elapsed() > self.stall {
            return Err(Failure::Undecodable { n_units: self.n_units });
        }
        Ok(self.delivered)
    }
}
