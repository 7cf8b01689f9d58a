//! The end of one camera's pipeline: what was detected becomes events in the outbox and verdicts for the gate.

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use xueliang_events::{SessionId, Source};
use xueliang_inference::Frame;

use crate::{
    analyse::{Analysis, Fact, How, Seen},
    decode::Rest,
    gate::{Purpose, Verdict},
    look::Look,
    outbox::{Draft, Outbox},
    scheduler::DetectionSink,
    settings::CameraSettings,
    snapshots::SnapshotStore,
};

/// Verdicts that may wait for the gate. When they are full one is dropped: the gate asks again.
const MAX_WAITING_VERDICTS: usize = 64;

/// Turns detections into events and verdicts; the end of the pipeline that the detectors see.
pub struct CameraEvents {
    camera: CameraSettings,
    session: SessionId,
    outbox: Outbox,
    snapshots: SnapshotStore,
    analysis: Mutex<Option<Analysis>>,
    verdicts: mpsc::Sender<Verdict>,
}

impl CameraEvents {
    /// Events of `camera` in this run, and the verdicts for its gate.
    pub fn new(
        camera: CameraSettings,
        session: SessionId,
        outbox: Outbox,
        snapshots: SnapshotStore,
    ) -> (Self, mpsc::Receiver<Verdict>) {
        let (verdicts, heard) = mpsc::channel(MAX_WAITING_VERDICTS);
        (Self { camera, session, outbox, snapshots, analysis: Mutex::default(), verdicts }, heard)
    }

    /// Ends the analysis of a session and says that what was in its zones left.
    pub(super) async fn close(&self) {
        let facts = self.analysis.lock().take().map(|mut analysis| analysis.close()).unwrap_or_default();
        for fact in facts {
            self.outbox.append(self.draft(fact)).await;
        }
    }

    /// The analysis of this session, begun with its first frame.
    fn of_frame<'a>(&self, analysis: &'a mut Option<Analysis>, frame: &Frame) -> Option<&'a mut Analysis> {
        if analysis.is_none() {
            match Analysis::new(&self.camera, frame.width() as f32 / frame.height() as f32) {
                Ok(fresh) => *analysis = Some(fresh),
                Err(error) => tracing::error!(camera = %self.camera.id, %error, "can't watch the zones"),
            }
        }
        analysis.as_mut()
    }

    fn tell(&self, frame: &Frame, purpose: Purpose, seen: Seen) {
        let Seen { facts, finding, is_settled, .. } = seen;
        for fact in facts {
            self.outbox.append_blocking(self.draft(fact));
        }
        if let Some(finding) = finding {
            // Nobody listens once the camera has stopped.
            let _ = self.verdicts.try_send(Verdict { at: frame.captured_at(), purpose, finding, is_settled });
        }
    }

    fn say(&self, facts: impl FnOnce(&mut Analysis) -> Vec<Fact>) {
        let facts = self.analysis.lock().as_mut().map(facts).unwrap_or_default();
        facts.into_iter().for_each(|fact| self.outbox.append_blocking(self.draft(fact)));
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
    fn take(&self, look: &mut Look, purpose: Purpose) -> (How, Option<Rest>) {
        let frame = look.frame();
        let seen = {
            let mut analysis = self.analysis.lock();
            let Some(analysis) = self.of_frame(&mut analysis, frame) else { return (How::Not, None) };
            analysis.observe(look, purpose, &self.snapshots)
        };
        let (how, rest) = (seen.how, seen.rest);
        self.tell(frame, purpose, seen);
        (how, rest)
    }

    fn carry(&self, at: Timestamp) {
        self.say(|analysis| analysis.carry(at));
    }

    fn coast(&self, at: Timestamp) {
        self.say(|analysis| analysis.coast(at));
    }

    fn settles(&self, frame: &Frame) -> bool {
        let seen = {
            let mut analysis = self.analysis.lock();
            self.of_frame(&mut analysis, frame).and_then(|analysis| analysis.glance(frame))
        };
        seen.map(|seen| self.tell(frame, Purpose::Check, seen)).is_some()
    }
}
