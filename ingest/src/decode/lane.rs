//! One camera's way through the decoders: a bounded queue of access units, the decoder it leases, and where its frames go.
//!
//! Access units wait until a picture is due that is analysed, and are then decoded in one go: what a decoder works on is large, and
//! dear to fetch again after another camera's.
//!
//! Loss policy: when the queue is full, everything up to the newest keyframe is dropped and counted; decoding goes on there.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use parking_lot::Mutex;
use xueliang_inference::{Frame, PictureHealth, PictureHealthSettings, PictureVerdict, PrivacyMasks, mask};

use crate::{
    access_unit::AccessUnit,
    decode::{
        Pace,
        chain::{Chain, ChainError, DecoderSettings, Picture},
        stills::ThreadDecoders,
    },
    gate::{Job, Mode, Purpose},
    metrics::CameraMetrics,
};

/// Most access units of now that wait for a decoder: a GOP of two seconds at 25/s, and some. What a gate kept comes on top.
const MAX_WAITING_UNITS: usize = 64;
/// Most bytes that wait for a decoder.
const MAX_WAITING_BYTES: usize = 10 << 20;
/// Access units that are decoded in one go; so many don't wait any longer.
const MAX_BURST: usize = 16;

/// Takes a camera's frames.
pub trait FrameSink: Send + Sync {
    /// Takes a frame; must not block.
    fn take(&self, frame: Frame, purpose: Purpose);

    /// Nothing moved up to this capture time.
    fn carry(&self, at: Timestamp);

    /// Whether a frame of this purpose may come now without taking the place of one that must not be skipped.
    fn has_room(&self, purpose: Purpose) -> bool;

    /// Whether any frame may come now; if not, `wake` is called once it may.
    fn wait_for_room(&self, wake: Wake) -> bool;
}

/// Called once a sink has room again.
pub type Wake = Box<dyn FnOnce() + Send>;

/// What a lane needs to know of its camera.
pub struct LaneSettings {
    /// Painted on each frame before anything else sees it.
    pub masks: PrivacyMasks,
    /// Frames a second that leave the lane at most.
    pub analysis_fps: f32,
    /// The camera's counters.
    pub metrics: CameraMetrics,
}

/// One camera's lane.
pub struct Lane {
    settings: LaneSettings,
    sink: Arc<dyn FrameSink>,
    waiting: Mutex<Waiting>,
    /// True while the lane stands in the pool's run queue or is being served.
    pub(super) scheduled: AtomicBool,
    stream: Mutex<Option<Chain>>,
    pace: Mutex<Pace>,
    picture: Mutex<PictureHealth>,
    n_frames: AtomicU64,
    n_errors: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    n_live: usize,
    n_bytes: usize,
    skipping: bool,
}

/// What became of a lane's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// A job was done, or none waits.
    Done,
    /// What comes next must wait until the detectors have room.
    NoRoom,
}

impl Lane {
    /// A lane whose frames go to `sink`.
    pub fn new(settings: LaneSettings, sink: Arc<dyn FrameSink>) -> Self {
        let pace = Mutex::new(Pace::new(settings.analysis_fps));
        let picture = Mutex::new(PictureHealth::new(PictureHealthSettings::new(settings.masks.clone())));
        Self {
            settings,
            sink,
            waiting: Mutex::default(),
            scheduled: AtomicBool::new(false),
            stream: Mutex::default(),
            pace,
            picture,
            n_frames: AtomicU64::new(0),
            n_errors: AtomicU64::new(0),
        }
    }

    /// Pictures decoded since the lane was made.
    pub fn n_decoded(&self) -> u64 {
        self.n_frames.load(Ordering::Relaxed)
    }

    /// Errors of the decoders since the lane was made.
    pub fn n_errors(&self) -> u64 {
        self.n_errors.load(Ordering::Relaxed)
    }

    /// What is wrong with the camera's picture.
    pub fn picture(&self) -> PictureVerdict {
        self.picture.lock().verdict()
    }

    /// Forgets what waits and the stream's decoder state: the session behind it ended. What the camera looks like stays known.
    pub fn reset(&self) {
        *self.waiting.lock() = Waiting::default();
        *self.stream.lock() = None;
        *self.pace.lock() = Pace::new(self.settings.analysis_fps);
    }

    pub(super) fn put(&self, job: Job) {
        let n_dropped = self.waiting.lock().put(job);
        self.settings.metrics.dropped_before_decode(n_dropped);
    }

    /// Does the oldest waiting jobs, up to the next picture that is analysed.
    pub(super) fn serve(&self, decoders: &mut ThreadDecoders) -> Turn {
        for _ in 0..MAX_BURST {
            let purpose = self.waiting.lock().next_purpose();
            if purpose.is_some_and(|purpose| !self.sink.has_room(purpose)) {
                return Turn::NoRoom;
            }
            let Some(job) = self.waiting.lock().take() else { break };
            let analysed = match job {
                // The chain stays: a keyframe comes next, and begins anew whatever was decoded before.
                Job::BeginStream => false,
                Job::EndStream => {
                    *self.stream.lock() = None;
                    false
                }
                Job::Carry { at } => {
                    self.sink.carry(at);
                    false
                }
                Job::Decode { unit, mode, purpose } => self.decode(&unit, (mode, purpose), decoders),
            };
            if analysed {
                break;
            }
        }
        Turn::Done
    }

    /// True when a picture came out that is analysed.
    fn decode(&self, unit: &AccessUnit, (mode, purpose): (Mode, Purpose), decoders: &mut ThreadDecoders) -> bool {
        let timer = self.settings.metrics.decode_timer();
        let decoded = match mode {
            Mode::Still => decoders.still(unit).map(|picture| {
                self.count_errors(u64::from(picture.is_none()));
                picture.into_iter().collect()
            }),
            Mode::Stream => self.push_to_stream(unit, decoders.settings()),
        };
        timer.observe_duration();
        match decoded {
            Ok(pictures) => {
                let mut analysed = false;
                for picture in pictures {
                    analysed |= self.deliver(&picture, purpose, unit.keyframe);
                }
                analysed
            }
            Err(error) => {
                self.count_errors(1);
                tracing::warn!(
                    camera = self.settings.metrics.camera(),
                    error = &error as &dyn std::error::Error,
                    "can't decode"
                );
                false
            }
        }
    }

    fn push_to_stream(&self, unit: &AccessUnit, decoder: DecoderSettings) -> Result<Vec<Picture>, ChainError> {
        let mut stream = self.stream.lock();
        let chain = match stream.as_mut() {
            Some(chain) => chain,
            None if !unit.keyframe => return Ok(Vec::new()),
            None => stream.insert(Chain::new(unit.codec, decoder)?),
        };
        let pictures = chain.push(unit);
        self.count_errors(chain.take_errors());
        Ok(pictures)
    }

    /// True when it is analysed.
    fn deliver(&self, picture: &Picture, purpose: Purpose, keyframe: bool) -> bool {
        self.n_frames.fetch_add(1, Ordering::Relaxed);
        self.settings.metrics.decoded();
        let is_analysed = purpose == Purpose::Check || self.pace.lock().admits(picture.captured_at);
        if !is_analysed && !keyframe {
            return false;
        }
        match picture.to_frame() {
            Ok(frame) => {
                let frame = mask::paint(frame, &self.settings.masks);
                if keyframe {
                    let verdict = self.picture.lock().observe(&frame);
                    self.settings.metrics.picture(&verdict);
                }
                if is_analysed {
                    self.sink.take(frame, purpose);
                }
            }
            Err(error) => {
                self.count_errors(1);
                tracing::warn!(
                    camera = self.settings.metrics.camera(),
                    error = &error as &dyn std::error::Error,
                    "can't use a picture"
                );
            }
        }
        is_analysed
    }

    fn count_errors(&self, n_errors: u64) {
        self.n_errors.fetch_add(n_errors, Ordering::Relaxed);
        self.settings.metrics.decode_errors(n_errors);
    }

    /// Whether the detectors have room again; if not, `wake` is called once they have.
    pub(super) fn wait_for_room(&self, wake: Wake) -> bool {
        self.sink.wait_for_room(wake)
    }

    /// Whether something waits that should be done now.
    pub(super) fn is_due(&self) -> bool {
        let waiting = self.waiting.lock();
        let pace = self.pace.lock();
        waiting.jobs.len() >= MAX_BURST
            || waiting.jobs.iter().any(|job| match job {
                Job::Decode { unit, mode: Mode::Stream, purpose: Purpose::Live } => pace.would_admit(unit.captured_at),
                _ => true,
            })
    }
}

impl Waiting {
    /// Puts a job at the end; how many access units were dropped for it.
    fn put(&mut self, job: Job) -> u64 {
        let Job::Decode { unit, purpose, .. } = &job else {
            self.jobs.push_back(job);
            return 0;
        };
        if self.skipping && !unit.keyframe {
            return 1;
        }
        self.skipping = false;
        let (is_live, n_bytes) = (*purpose == Purpose::Live, unit.bytes.len());
        let is_full = (is_live && self.n_live >= MAX_WAITING_UNITS) || self.n_bytes + n_bytes > MAX_WAITING_BYTES;
        let mut n_dropped = 0;
        if is_full {
            n_dropped = self.clear();
            if !unit.keyframe {
                self.skipping = true;
                return n_dropped + 1;
            }
        }
        self.n_live += usize::from(is_live);
        self.n_bytes += n_bytes;
        self.jobs.push_back(job);
        n_dropped
    }

    fn take(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        if let Job::Decode { unit, purpose, .. } = &job {
            self.n_live -= usize::from(*purpose == Purpose::Live);
            self.n_bytes -= unit.bytes.len();
        }
        Some(job)
    }

    /// Drops the access units; that a stream begins or ends stays known.
    fn clear(&mut self) -> u64 {
        let n_before = self.jobs.len();
        self.jobs.retain(|job| !matches!(job, Job::Decode { .. }));
        (self.n_live, self.n_bytes) = (0, 0);
        (n_before - self.jobs.len()) as u64
    }

    fn next_purpose(&self) -> Option<Purpose> {
        match self.jobs.front()? {
            Job::Decode { purpose, .. } => Some(*purpose),
            Job::BeginStream | Job::EndStream | Job::Carry { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::Codec;

    fn job(keyframe: bool, n_bytes: usize, purpose: Purpose) -> Job {
        let captured_at = Timestamp::UNIX_EPOCH;
        let bytes = vec![0; n_bytes].into();
        let unit = AccessUnit { codec: Codec::H264, keyframe, captured_at, lost_packets: 0, bytes };
        Job::Decode { unit, mode: Mode::Stream, purpose }
    }

    struct Nowhere;

    impl FrameSink for Nowhere {
        fn take(&self, _: Frame, _: Purpose) {}
        fn carry(&self, _: Timestamp) {}
        fn has_room(&self, _: Purpose) -> bool {
            true
        }
        fn wait_for_room(&self, _: Wake) -> bool {
            true
        }
    }

    #[test]
    fn pictures_of_now_wait_until_one_is_due_that_is_analysed() {
        let metrics = crate::metrics::Metrics::new(&prometheus::Registry::new()).unwrap().camera("gate");
        let settings = LaneSettings { masks: PrivacyMasks::none(), analysis_fps: 5.0, metrics };
        let lane = Lane::new(settings, Arc::new(Nowhere));
        let at = |nth: i64| Timestamp::from_millisecond(1_790_000_000_000 + nth * 40).unwrap();
        assert!(lane.pace.lock().admits(at(0)));
        let put = |nth: i64, purpose| {
            let Job::Decode { unit, mode, .. } = job(false, 10, purpose) else { unreachable!() };
            lane.put(Job::Decode { unit: AccessUnit { captured_at: at(nth), ..unit }, mode, purpose });
            lane.is_due()
        };
        assert!((1..4).all(|nth| !put(nth, Purpose::Live)));
        assert!(put(5, Purpose::Live));
        lane.reset();
        assert!(put(6, Purpose::CatchUp), "what was kept has waited enough");
        lane.reset();
        lane.pace.lock().admits(at(0));
        assert!((1..MAX_BURST).all(|_| !put(1, Purpose::Live)) && put(1, Purpose::Live), "not too many wait");
    }

    #[test]
    fn full_queue_goes_on_at_the_next_keyframe() {
        let mut waiting = Waiting::default();
        for index in 0..MAX_WAITING_UNITS {
            assert_eq!(waiting.put(job(index == 0, 10, Purpose::Live)), 0);
        }
        assert_eq!(waiting.put(job(false, 10, Purpose::Live)), MAX_WAITING_UNITS as u64 + 1);
        assert_eq!(waiting.put(job(false, 10, Purpose::Live)), 1);
        assert!(waiting.take().is_none());
        assert_eq!(waiting.put(job(true, 10, Purpose::Live)), 0);
        assert_eq!(waiting.put(job(false, 10, Purpose::Live)), 0);
        assert_eq!(waiting.jobs.len(), 2);
    }

    #[test]
    fn queue_is_bounded_in_bytes() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.put(job(true, MAX_WAITING_BYTES - 1, Purpose::CatchUp)), 0);
        assert_eq!(waiting.put(job(true, 2, Purpose::CatchUp)), 1);
        assert_eq!(waiting.n_bytes, 2);
    }

    #[test]
    fn what_a_gate_kept_does_not_crowd_out_what_comes() {
        let mut waiting = Waiting::default();
        waiting.put(Job::BeginStream);
        for index in 0..300 {
            assert_eq!(waiting.put(job(index == 0, 10, Purpose::CatchUp)), 0);
        }
        for _ in 0..MAX_WAITING_UNITS {
            assert_eq!(waiting.put(job(false, 10, Purpose::Live)), 0);
        }
        assert_eq!(waiting.next_purpose(), None, "the beginning comes first");
        assert!(matches!(waiting.take(), Some(Job::BeginStream)));
        assert_eq!(waiting.next_purpose(), Some(Purpose::CatchUp));
        waiting.put(Job::EndStream);
        assert!(waiting.put(job(false, 10, Purpose::Live)) > 300);
        assert!(matches!(waiting.take(), Some(Job::EndStream)), "its decoder is still given back");
    }
}
