//! One camera's access units through gate, decoder, detector, tracker and zones, in order and by capture time alone.
//!
//! What the live pipeline does with threads and newest-wins slots happens here one after the other, nothing is dropped, and it
//! runs as fast as the machine can: for the bench and for tests on footage. Nothing is sent anywhere.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use xueliang_inference::{DetectError, Detections, Detector, Frame, SceneError, mask};

use crate::{
    access_unit::AccessUnit,
    analyse::{Analysis, Fact, How, Seen},
    decode::{
        DecoderSettings, Next, Rest, Sequence,
        chain::{Chain, ChainError, Picture},
    },
    gate::{Evidence, Gate, Job, Mode, Purpose, Verdict},
    look::Look,
    settings::CameraSettings,
    snapshots::SnapshotStore,
};

/// Why a run can't go on.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A decoder can't be used.
    #[error("a decoder can't be used")]
    Decoder(#[from] ChainError),
    /// Inference failed.
    #[error("inference failed: {0}")]
    Detect(String),
    /// The zones can't be watched.
    #[error("the zones can't be watched")]
    Scene(#[from] SceneError),
}

/// A fact and when it was decided.
pub struct Decided {
    /// What was seen, and when.
    pub fact: Fact,
    /// Capture time of the access unit that brought it out, plus the time that working on it had taken by then.
    pub decided_at: Timestamp,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfflineCounts {
    /// Access units taken.
    pub n_units: u64,
    /// Pictures decoded in sequence.
    pub n_streamed: u64,
    /// Keyframes decoded alone.
    pub n_stills: u64,
    /// Access units of an open gate that never were decoded.
    pub n_spared: u64,
    /// Pictures that were analysed, or to whose time tracks were carried on.
    pub n_analysed: u64,
    /// Looks at all of a picture.
    pub n_detected: u64,
    /// Looks at a part of a picture.
    pub n_parts: u64,
    /// Access units that came while the gate was open.
    pub n_open: u64,
    /// Times the gate opened.
    pub n_openings: u64,
    /// Time spent decoding.
    pub decoding: Duration,
    /// Time spent detecting, preprocessing included.
    pub detecting: Duration,
}

/// What one picture came to, for the gate and for the world.
type Analysed = (Option<Verdict>, Vec<Fact>);

/// One camera, offline.
pub struct Offline {
    camera: CameraSettings,
    detector: Detector,
    snapshots: SnapshotStore,
    gate: Gate,
    stream: Option<Chain>,
    still: Option<Chain>,
    sequence: Sequence,
    rest: Option<Rest>,
    decoder: DecoderSettings,
    analysis: Option<Analysis>,
    counts: OfflineCounts,
}

impl Offline {
    /// A run for this camera; its redacted snapshots go to `snapshots`.
    pub fn new(camera: CameraSettings, detector: Detector, snapshots: SnapshotStore) -> Self {
        Self {
            gate: Gate::new(camera.gate),
            sequence: Sequence::new(camera.analysis_fps),
            camera,
            detector,
            snapshots,
            stream: None,
            still: None,
            rest: None,
            decoder: DecoderSettings::default(),
            analysis: None,
            counts: OfflineCounts::default(),
        }
    }

    /// Takes the next access unit; what was decided because of it.
    pub fn push(&mut self, unit: AccessUnit) -> Result<Vec<Decided>, OfflineError> {
        let (came_at, started) = (unit.captured_at, Instant::now());
        let decided = |fact| {
            let took = jiff::SignedDuration::try_from(started.elapsed()).unwrap_or_default();
            Decided { fact, decided_at: came_at.checked_add(took).unwrap_or(came_at) }
        };
        let was_open = self.gate.is_open();
        let mut jobs = self.gate.take(unit, true);
        let mut all = Vec::new();
        while !jobs.is_empty() {
            let mut next = Vec::new();
            for job in jobs {
                for (verdict, facts) in self.work(job)? {
                    all.extend(facts.into_iter().map(decided));
                    next.extend(verdict.map(|verdict| self.gate.hear(verdict, true)).unwrap_or_default());
                }
            }
            jobs = next;
        }
        self.counts.n_units += 1;
        self.counts.n_open += u64::from(self.gate.is_open());
        self.counts.n_openings += u64::from(!was_open && self.gate.is_open());
        Ok(all)
    }

    /// The footage is over: what was in the zones is said to have left.
    pub fn finish(&mut self) -> Vec<Fact> {
        self.analysis.take().map(|mut analysis| analysis.close()).unwrap_or_default()
    }

    /// What was done so far.
    pub fn counts(&self) -> OfflineCounts {
        self.counts
    }

    /// What the gate goes by now.
    pub fn evidence(&self) -> Evidence {
        self.gate.evidence()
    }

    /// The detector, for another run.
    pub fn into_detector(self) -> Detector {
        self.detector
    }

    fn work(&mut self, job: Job) -> Result<Vec<Analysed>, OfflineError> {
        match job {
            Job::Decode { unit, mode: Mode::Still, purpose } => {
                let picture = self.decode(&unit, Mode::Still)?;
                let is_analysed = purpose == Purpose::Check || self.sequence.admits(unit.captured_at);
                picture.filter(|_| is_analysed).iter().map(|picture| self.analyse(picture, purpose)).collect()
            }
            Job::Decode { unit, mode: Mode::Stream, purpose } => self.follow(unit, purpose),
            Job::BeginStream => {
                self.counts.n_spared += self.sequence.forget();
                Ok(Vec::new())
            }
            Job::EndStream => {
                self.counts.n_spared += self.sequence.forget();
                self.stream = None;
                Ok(Vec::new())
            }
            Job::Carry { at } => Ok(vec![(None, self.told(|analysis| analysis.carry(at)))]),
        }
    }

    fn told(&mut self, facts: impl FnOnce(&mut Analysis) -> Vec<Fact>) -> Vec<Fact> {
        self.analysis.as_mut().map(facts).unwrap_or_default()
    }

    /// Takes a stream's next access unit.
    fn follow(&mut self, unit: AccessUnit, purpose: Purpose) -> Result<Vec<Analysed>, OfflineError> {
        let at = unit.captured_at;
        let (next, n_spared) = self.sequence.take(unit, self.rest.filter(|_| purpose == Purpose::Live));
        self.counts.n_spared += n_spared;
        let (units, is_analysed) = match next {
            Next::Later => return Ok(Vec::new()),
            Next::Carry => {
                self.counts.n_analysed += 1;
                return Ok(vec![(None, self.told(|analysis| analysis.coast(at)))]);
            }
            Next::Decode(units) => (units, false),
            Next::Analyse(units) => (units, true),
        };
        let mut last = None;
        for unit in &units {
            last = self.decode(unit, Mode::Stream)?.or(last);
        }
        last.filter(|_| is_analysed).iter().map(|picture| self.analyse(picture, purpose)).collect()
    }

    fn decode(&mut self, unit: &AccessUnit, mode: Mode) -> Result<Option<Picture>, OfflineError> {
        let started = Instant::now();
        let chain = match mode {
            Mode::Still => &mut self.still,
            Mode::Stream => &mut self.stream,
        };
        let chain = match chain {
            Some(chain) => chain,
            None => chain.insert(Chain::new(unit.codec, self.decoder)?),
        };
        let picture = match mode {
            Mode::Still => {
                self.counts.n_stills += 1;
                chain.decode_still(unit)
            }
            Mode::Stream => {
                self.counts.n_streamed += 1;
                chain.push(unit).pop()
            }
        };
        self.counts.decoding += started.elapsed();
        Ok(picture)
    }

    fn analyse(&mut self, picture: &Picture, purpose: Purpose) -> Result<Analysed, OfflineError> {
        let frame = mask::paint(picture.to_frame()?, &self.camera.privacy_masks());
        let analysis = match &mut self.analysis {
            Some(analysis) => analysis,
            None => {
                let aspect = frame.width() as f32 / frame.height() as f32;
                self.analysis.insert(Analysis::new(&self.camera, aspect)?)
            }
        };
        let glanced = if purpose == Purpose::Check { analysis.glance(&frame) } else { None };
        let seen = match glanced {
            Some(seen) => seen,
            None => look(&mut self.detector, &frame, &mut self.counts, |look| {
                analysis.observe(look, purpose, &self.snapshots)
            })?,
        };
        let Seen { facts, finding, is_settled, how, rest } = seen;
        self.rest = rest;
        self.counts.n_analysed += u64::from(how != How::Not);
        Ok((finding.map(|finding| Verdict { at: frame.captured_at(), purpose, finding, is_settled }), facts))
    }
}

/// Counts what looking at the frame takes; an error when the detector failed.
fn look(
    detector: &mut Detector,
    frame: &Frame,
    counts: &mut OfflineCounts,
    analyse: impl FnOnce(&mut Look) -> Seen,
) -> Result<Seen, OfflineError> {
    let mut failure = None;
    let mut heard = |found: &Result<Detections, DetectError>| match found {
        Ok(detections) if detections.part().is_some() => counts.n_parts += 1,
        Ok(_) => counts.n_detected += 1,
        Err(error) => failure = Some(error.to_string()),
    };
    let mut look = Look::new(detector, frame, &mut heard);
    let seen = analyse(&mut look);
    let took = look.took();
    counts.detecting += took;
    match failure {
        Some(cause) => Err(OfflineError::Detect(cause)),
        None => Ok(seen),
    }
}
