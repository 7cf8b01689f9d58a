//! How each camera is: one board for readiness and the console's counters, and a status event at each change and as a heartbeat.
//!
//! A camera that goes up and down is told as flapping, not each time (`flapping` has the rule).

mod flapping;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use xueliang_events::{
    CameraId, SessionId, Source,
    payload::{DeviceState, DeviceStatus, GateEvidence, PictureFault, Suspension},
};

use self::flapping::Flapping;
use crate::{
    metrics::CameraMetrics,
    outbox::{Draft, Outbox},
    settings::CameraSettings,
};

/// How often an unchanged state is repeated.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// A remark of a camera that delivers stays for so long after its reason.
const REMARK_STAYS: Duration = Duration::from_secs(10);

/// A camera's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraStatus {
    /// The state.
    pub state: DeviceState,
    /// Why.
    pub cause: Option<String>,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// When and why it last stopped delivering, or failed to begin; kept while it delivers again.
    pub last_failure: Option<(Timestamp, String)>,
    /// What its gate goes by.
    pub gate: Option<GateEvidence>,
    /// What is wrong with its picture.
    pub picture_fault: Option<PictureFault>,
    /// Why it may not be pulled, the gravest reason.
    pub suspended: Option<Suspension>,
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
    flapping: Flapping,
    current: Option<CameraStatus>,
    last_failure: Option<(Timestamp, String)>,
    raw: Option<(DeviceState, Option<String>)>,
    flaps: bool,
    degraded_at: Option<Instant>,
    said_at: Instant,
    gate: Option<GateEvidence>,
    picture_fault: Option<PictureFault>,
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
            flapping: Flapping::default(),
            current: None,
            last_failure: None,
            raw: None,
            flaps: false,
            degraded_at: None,
            said_at: Instant::now(),
            gate: None,
            picture_fault: None,
        }
    }

    /// What the gate goes by; told with the next state or heartbeat.
    pub fn gate(&mut self, evidence: GateEvidence) {
        self.gate = Some(evidence);
        if let Some(status) = self.board.0.lock().get_mut(&self.camera) {
            status.gate = Some(evidence);
        }
    }

    /// What is wrong with the picture; told with the state that is said next. A camera that delivers nothing shows no fault.
    pub fn picture_fault(&mut self, fault: Option<PictureFault>) {
        self.picture_fault = fault;
    }

    /// The state said last.
    pub fn state(&self) -> Option<DeviceState> {
        self.current.as_ref().map(|status| status.state)
    }

    /// Says a state; the same again is a heartbeat at most every [`HEARTBEAT`].
    pub async fn say(&mut self, state: DeviceState, cause: Option<String>) {
        self.say_at(state, cause, Instant::now()).await;
    }

    async fn say_at(&mut self, state: DeviceState, cause: Option<String>, now: Instant) {
        let cause = cause.map(|text| text.chars().take(240).collect::<String>());
        if self.raw.as_ref().is_none_or(|raw| raw.0 != state || !is_same_kind(&raw.1, &cause)) {
            tracing::info!(camera = %self.camera, state = ?state, cause = cause.as_deref().unwrap_or("-"), "camera status");
        }
        self.raw = Some((state, cause.clone()));
        if !state.delivers() {
            self.picture_fault = None;
        }
        self.metrics.up(state.delivers());
        if let Some(why) = cause.as_ref().filter(|_| !state.delivers()) {
            let known = self.last_failure.as_ref().is_some_and(|(_, last)| last == why) && self.state() == Some(state);
            if !known {
                self.last_failure = Some((Timestamp::now(), why.clone()));
            }
        }
        let flaps = match state {
            DeviceState::Stopped => None,
            DeviceState::Connecting if cause.is_none() => None,
            _ => self.flapping.judge(state.delivers(), now),
        };
        self.tell(state, cause, flaps, now).await;
    }

    /// Repeats the state when a heartbeat is due.
    pub async fn beat(&mut self) {
        if let Some((state, cause)) = self.raw.clone() {
            self.say(state, cause).await;
        }
    }

    async fn tell(&mut self, state: DeviceState, cause: Option<String>, n_falls: Option<usize>, at: Instant) {
        let flapped = std::mem::replace(&mut self.flaps, n_falls.is_some());
        let (state, cause) = match n_falls {
            Some(n_falls) => (DeviceState::Degraded, Some(self.flapping_cause(n_falls))),
            None => (state, cause),
        };
        let (state, cause) = if n_falls.is_none() { self.settled(state, cause, at) } else { (state, cause) };
        let unchanged = self.current.as_ref().is_some_and(|said| {
            // How often it fell, and how many or how far, is told with the next heartbeat.
            let is_same = is_same_kind(&said.cause, &cause) || flapped && n_falls.is_some();
            said.state == state && said.picture_fault == self.picture_fault && is_same
        });
        if unchanged && at.saturating_duration_since(self.said_at) < HEARTBEAT {
            return;
        }
        let now = Timestamp::now();
        let since = match &self.current {
            Some(said) if said.state == state && flapped == self.flaps => said.since,
            _ => now,
        };
        let status = CameraStatus {
            state,
            cause: cause.clone(),
            since,
            last_failure: self.last_failure.clone(),
            gate: self.gate,
            picture_fault: self.picture_fault,
            suspended: None,
        };
        self.board.0.lock().insert(self.camera.clone(), status.clone());
        self.current = Some(status);
        self.said_at = at;
        let payload = DeviceStatus {
            gate: self.gate,
            picture_fault: self.picture_fault,
            state,
            cause,
            since,
            heartbeat: unchanged,
            suspended: None,
            flapping: self.flaps,
        }
        .into();
        let source = Source::Camera(self.camera.clone());
        let draft = Draft { source, session: self.session, grid: self.grid.clone(), time: now, payload };
        self.outbox.append(draft).await;
    }

    /// A camera that delivers and has been degraded lately still is, for the same reason, until nothing is said of it for a while.
    fn settled(&mut self, state: DeviceState, cause: Option<String>, now: Instant) -> (DeviceState, Option<String>) {
        let said = self.current.as_ref().filter(|said| said.state == DeviceState::Degraded);
        let held = said.filter(|_| self.degraded_at.is_some_and(|at| now.duration_since(at) < REMARK_STAYS));
        match (held, state) {
            (Some(said), DeviceState::Live) => (DeviceState::Degraded, said.cause.clone()),
            (Some(said), DeviceState::Degraded) if !is_same_kind(&said.cause, &cause) => (state, said.cause.clone()),
            _ => {
                self.degraded_at = (state == DeviceState::Degraded).then_some(now);
                (state, cause)
            }
        }
    }

    fn flapping_cause(&self, n_falls: usize) -> String {
        let last = self.last_failure.as_ref().map_or("unknown", |(_, why)| why.as_str());
        let minutes = Flapping::window_minutes();
        format!("flapping: stopped delivering {n_falls} times in {minutes} min; last: {last}")
            .chars()
            .take(240)
            .collect()
    }
}

/// Two causes that differ in their numbers only, as those do that are measured anew each second.
fn is_same_kind(one: &Option<String>, other: &Option<String>) -> bool {
    let words = |cause: &Option<String>| {
        cause
            .as_ref()
            .map(|text| text.chars().filter(|c| !c.is_ascii_digit() && !"-.".contains(*c)).collect::<String>())
    };
    words(one) == words(other)
}

#[cfg(test)]
mod tests {
    use xueliang_events::{Event, payload::Payload};
    use xueliang_settings::Document;

    use super::*;
    use crate::{metrics::Metrics, outbox::LogReader};

    fn camera() -> CameraSettings {
        let document = Document::from_text(
            "city.toml",
            format!("[[camera]]\nid = \"gate\"\nurl = \"rtsp://10.0.0.1/1\"\n{}", crate::authorization::testing::TOML),
        );
        document
            .read(|root| {
                root.sections("camera").first_mut().and_then(|camera| CameraSettings::read(camera, &Default::default()))
            })
            .unwrap()
    }

    /// Says each state; the answer is what was written: state, cause, heartbeat. And the board.
    fn written(said: &[(DeviceState, &str)]) -> (Vec<(DeviceState, String, bool)>, CameraStatus) {
        written_at_rate(said, false)
    }

    fn written_at_rate(
        said: &[(DeviceState, &str)],
        is_each_second: bool,
    ) -> (Vec<(DeviceState, String, bool)>, CameraStatus) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let (outbox, writer) = Outbox::open(&path, 1 << 20, metrics.clone(), Arc::default()).unwrap();
        let board = StatusBoard::default();
        let camera = camera();
        let mut reporter =
            StatusReporter::new(&camera, SessionId::random(), board.clone(), outbox, metrics.camera("gate"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut now = Instant::now();
        runtime.block_on(async {
            for (state, cause) in said {
                reporter.say_at(*state, (!cause.is_empty()).then(|| (*cause).to_owned()), now).await;
                now += if is_each_second { Duration::from_secs(1) } else { Duration::ZERO };
            }
        });
        drop(reporter);
        writer.join();
        let stored = LogReader::open(&path).unwrap().read_after(0, 100).unwrap();
        let events =
            stored.iter().map(|stored| Event::from_json(&stored.body).unwrap()).map(|event| match event.payload {
                Payload::DeviceStatus(status) => {
                    let cause = status.cause.unwrap_or_default();
                    assert_eq!(status.flapping, cause.starts_with("flapping"), "{cause}");
                    (status.state, cause, status.heartbeat)
                }
                _ => unreachable!("only states were said"),
            });
        (events.collect(), board.snapshot().remove(&camera.id).unwrap())
    }

    #[test]
    fn changes_are_written_once_each() {
        use DeviceState::{Connecting, Live, Unreachable};
        let (events, _) = written(&[(Connecting, ""), (Live, ""), (Live, ""), (Unreachable, "gone"), (Live, "")]);
        let states: Vec<DeviceState> = events.iter().map(|event| event.0).collect();
        assert_eq!(states, [Connecting, Live, Unreachable, Live]);
    }

    #[test]
    fn a_flapping_camera_is_told_once_with_its_last_cause() {
        let ups_and_downs = [(DeviceState::Live, ""), (DeviceState::Unreachable, "no connection")].repeat(30);
        let (events, status) = written(&ups_and_downs);
        assert_eq!(events.len(), 6, "{events:#?}");
        let (state, cause, _) = events.last().unwrap();
        assert_eq!(*state, DeviceState::Degraded);
        assert!(cause.contains("flapping") && cause.contains("3 times in 5 min") && cause.contains("no connection"));
        assert_eq!(status.state, DeviceState::Degraded);
    }

    #[test]
    fn a_cause_whose_numbers_change_each_second_is_one_change() {
        let causes: Vec<String> =
            (0..100).map(|n| format!("{} packets lost in 30 s; off by {} s", 51 + n, n - 50)).collect();
        let said: Vec<(DeviceState, &str)> =
            causes.iter().map(|cause| (DeviceState::Degraded, cause.as_str())).collect();
        let (events, status) = written_at_rate(&said, true);
        assert_eq!(events.iter().filter(|(.., heartbeat)| !heartbeat).count(), 1, "{events:#?}");
        assert_eq!(events.len(), 10, "one each ten seconds");
        let cause = status.cause.unwrap();
        assert!(cause.starts_with("141 packets"), "a heartbeat tells the newest numbers: {cause}");
    }

    #[test]
    fn a_remark_that_comes_and_goes_each_second_stays() {
        use DeviceState::{Degraded, Live};
        let coming_and_going =
            [(Degraded, "60 packets lost"), (Live, ""), (Degraded, "held back"), (Live, "")].repeat(25);
        let (events, _) = written_at_rate(&[(Live, "")], true);
        assert_eq!(events.len(), 1);
        let (events, _) = written_at_rate(&coming_and_going, true);
        assert_eq!(events.iter().filter(|(.., heartbeat)| !heartbeat).count(), 1, "{events:#?}");
        assert!(events.len() <= 10, "{} events in 100 s", events.len());
        let gone = [&[(Degraded, "60 packets lost")][..], &[(Live, ""); 12]].concat();
        let (events, status) = written_at_rate(&gone, true);
        assert_eq!((events.len(), status.state), (2, Live), "{events:#?}");
    }

    #[test]
    fn the_last_failure_is_kept_while_the_camera_is_live_again() {
        let (_, status) = written(&[(DeviceState::Stalled, "no picture"), (DeviceState::Live, "")]);
        assert_eq!((status.state, status.last_failure.unwrap().1.as_str()), (DeviceState::Live, "no picture"));
    }
}
