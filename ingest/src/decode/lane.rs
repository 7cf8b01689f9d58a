//! One camera's way through the decoders: a bounded queue of access units, the decoder it leases, and where its frames go.
//!
//! Which pictures are decoded is `sequence`'s to say. Loss policy: when the queue is full, what is of now is dropped and counted up to the next keyframe,
//! where decoding goes on; what a gate had kept stays.

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
        chain::{Chain, ChainError, DecoderSettings, Picture},
        sequence::{Next, Rest, Sequence},
        stills::ThreadDecoders,
    },
    gate::{Job, Mode, Purpose},
    metrics::CameraMetrics,
};

/// Most access units of now that wait for a decoder: a GOP of two seconds at 25/s, and some. What a gate kept comes on top.
const MAX_WAITING_UNITS: usize = 64;
/// The same of a camera whose keyframes are further apart: after a loss it would be blind up to the next.
const MAX_WAITING_UNITS_OF_LONG_GROUPS: usize = 256;
/// Most bytes that wait for a decoder, and with what gates kept.
const MAX_WAITING_BYTES: (usize, usize) = (10 << 20, 20 << 20);
/// Jobs that are done in one turn; so many don't wait any longer.
const MAX_BURST: usize = 16;

/// Takes a camera's frames.
pub trait FrameSink: Send + Sync {
    /// Takes a frame; must not block.
    fn take(&self, frame: Frame, purpose: Purpose);

    /// Nothing moved up to this capture time.
    fn carry(&self, at: Timestamp);

    /// Until when no frame is needed, because tracks may be carried on by [`FrameSink::coast`].
    fn rest(&self) -> Option<Rest>;

    /// Carries tracks on to this capture time, as they move.
    fn coast(&self, at: Timestamp);

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
    sequence: Mutex<Sequence>,
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
    /// Access units of now since the last keyframe, dropped ones too.
    n_since_keyframe: usize,
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
        let sequence = Mutex::new(Sequence::new(settings.analysis_fps));
        let picture = Mutex::new(PictureHealth::new(PictureHealthSettings::new(settings.masks.clone())));
        Self {
            settings,
            sink,
            waiting: Mutex::default(),
            scheduled: AtomicBool::new(false),
            stream: Mutex::default(),
            sequence,
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
        *self.sequence.lock() = Sequence::new(self.settings.analysis_fps);
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
                Job::BeginStream => {
                    self.forget_kept();
                    false
                }
                Job::EndStream => {
                    self.forget_kept();
                    *self.stream.lock() = None;
                    false
                }
                Job::Carry { at } => {
                    self.sink.carry(at);
                    false
                }
                Job::Decode { unit, mode: Mode::Still, purpose } => self.decode_still(&unit, purpose, decoders),
                Job::Decode { unit, mode: Mode::Stream, purpose } => self.take(unit, purpose, decoders.settings()),
            };
            if analysed {
                break;
            }
        }
        Turn::Done
    }

    fn forget_kept(&self) {
        let n_spared = self.sequence.lock().forget();
        self.settings.metrics.spared(n_spared);
    }

    /// True when its picture is analysed.
    fn decode_still(&self, unit: &AccessUnit, purpose: Purpose, decoders: &mut ThreadDecoders) -> bool {
        let timer = self.settings.metrics.decode_timer();
        let decoded = decoders.still(unit);
        timer.observe_duration();
        match decoded {
            Ok(Some(picture)) => {
                let is_analysed = purpose == Purpose::Check || self.sequence.lock().admits(picture.captured_at);
                self.deliver(&picture, unit.keyframe, is_analysed.then_some(purpose));
                is_analysed
            }
            Ok(None) => {
                self.count_errors(1);
                false
            }
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    /// Takes a stream's next access unit; true when a picture was handed on for analysis.
    fn take(&self, unit: AccessUnit, purpose: Purpose, decoder: DecoderSettings) -> bool {
        let at = unit.captured_at;
        let rest = if purpose == Purpose::Live { self.sink.rest() } else { None };
        let (next, n_spared) = self.sequence.lock().take(unit, rest);
        self.settings.metrics.spared(n_spared);
        match next {
            Next::Later => false,
            Next::Carry => {
                self.sink.coast(at);
                false
            }
            Next::Decode(units) => {
                self.decode(&units, None, decoder);
                false
            }
            Next::Analyse(units) => self.decode(&units, Some(purpose), decoder),
        }
    }

    /// Decodes in sequence; the last picture is analysed, if any is. True when one is.
    fn decode(&self, units: &[AccessUnit], purpose: Option<Purpose>, decoder: DecoderSettings) -> bool {
        // A picture is handed on once the next one is there: only the last is analysed.
        let mut last: Option<(Picture, bool)> = None;
        for unit in units {
            let timer = self.settings.metrics.decode_timer();
            let decoded = self.push_to_stream(unit, decoder);
            timer.observe_duration();
            match decoded {
                Ok(pictures) => {
                    for picture in pictures {
                        if let Some((before, keyframe)) = last.replace((picture, unit.keyframe)) {
                            self.deliver(&before, keyframe, None);
                        }
                    }
                }
                Err(error) => self.failed(&error),
            }
        }
        let Some((picture, keyframe)) = last else { return false };
        self.deliver(&picture, keyframe, purpose);
        purpose.is_some()
    }

    fn failed(&self, error: &ChainError) {
        self.count_errors(1);
        let camera = self.settings.metrics.camera();
        tracing::warn!(camera, error = error as &dyn std::error::Error, "can't decode");
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

    /// Hands a picture on to be analysed for this purpose, if for any; keyframes, and where those are rare others, show how the camera's
    /// picture is.
    fn deliver(&self, picture: &Picture, keyframe: bool, purpose: Option<Purpose>) {
        self.n_frames.fetch_add(1, Ordering::Relaxed);
        self.settings.metrics.decoded();
        if purpose.is_none() && !keyframe {
            return;
        }
        match picture.to_frame() {
            Ok(frame) => {
                let frame = mask::paint(frame, &self.settings.masks);
                if let Some(verdict) = self.judge(&frame, keyframe) {
                    self.settings.metrics.picture(&verdict);
                }
                if let Some(purpose) = purpose {
                    self.sink.take(frame, purpose);
                }
            }
            Err(error) => {
                self.count_errors(1);
                let camera = self.settings.metrics.camera();
                tracing::warn!(camera, error = &error as &dyn std::error::Error, "can't use a picture");
            }
        }
    }

    /// How the camera's picture is, where this one has a say.
    fn judge(&self, frame: &Frame, keyframe: bool) -> Option<PictureVerdict> {
        let mut picture = self.picture.lock();
        if keyframe {
            return Some(picture.observe(frame));
        }
        picture.is_due(frame.captured_at()).then(|| picture.observe_between(frame))
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
        let sequence = self.sequence.lock();
        waiting.jobs.len() >= MAX_BURST
            || waiting.jobs.iter().any(|job| match job {
                Job::Decode { unit, mode: Mode::Stream, purpose: Purpose::Live } => sequence.is_due(unit.captured_at),
                _ => true,
            })
    }
}

impl Waiting {
    /// Puts a job at the end; how many access units were dropped for it.
    fn put(&mut self, job: Job) -> u64 {
        let Job::Decode { unit, purpose, .. } = &job else {
            self.put_other(job);
            return 0;
        };
        let (is_live, n_bytes) = (*purpose == Purpose::Live, unit.bytes.len());
        if is_live {
            self.n_since_keyframe = if unit.keyframe { 0 } else { self.n_since_keyframe.saturating_add(1) };
        }
        if self.skipping && is_live && !unit.keyframe {
            return 1;
        }
        self.skipping &= !is_live;
        let mut n_dropped = 0;
        if self.is_full(is_live, n_bytes) {
            n_dropped = self.drop_units(is_live);
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

    /// Only the latest of times up to which nothing moved counts.
    fn put_other(&mut self, job: Job) {
        match (self.jobs.back_mut(), &job) {
            (Some(last @ Job::Carry { .. }), Job::Carry { .. }) => *last = job,
            _ => self.jobs.push_back(job),
        }
    }

    fn is_full(&self, is_live: bool, n_bytes: usize) -> bool {
        let n_bytes = self.n_bytes + n_bytes;
        if !is_live {
            return n_bytes > MAX_WAITING_BYTES.1;
        }
        let has_long_groups = self.n_since_keyframe >= MAX_WAITING_UNITS;
        let max_units = if has_long_groups { MAX_WAITING_UNITS_OF_LONG_GROUPS } else { MAX_WAITING_UNITS };
        self.n_live >= max_units || n_bytes > MAX_WAITING_BYTES.0
    }

    fn take(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        if let Job::Decode { unit, purpose, .. } = &job {
            self.n_live -= usize::from(*purpose == Purpose::Live);
            self.n_bytes -= unit.bytes.len();
        }
        Some(job)
    }

    /// Drops the access units of now, or all; that a stream begins or ends stays known.
    fn drop_units(&mut self, only_live: bool) -> u64 {
        let n_before = self.jobs.len();
        self.jobs.retain(|job| match job {
            Job::Decode { purpose, .. } => only_live && *purpose != Purpose::Live,
            _ => true,
        });
        self.n_live = 0;
        let kept = self.jobs.iter().map(|job| if let Job::Decode { unit, .. } = job { unit.bytes.len() } else { 0 });
        self.n_bytes = kept.sum();
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
        fn rest(&self) -> Option<Rest> {
            None
        }
        fn coast(&self, _: Timestamp) {}
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
        assert!(lane.sequence.lock().admits(at(0)));
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
        lane.sequence.lock().admits(at(0));
        assert!((1..MAX_BURST).all(|_| !put(1, Purpose::Live)) && put(1, Purpose::Live), "not too many wait");
    }

    #[test]
    fn full_queue_goes_on_at_the_next_keyframe() {
        let mut waiting = Waiting::default();
        for index in 0..MAX_WAITING_UNITS {
            assert_eq!(waiting.put(job(index % 50 == 0, 10, Purpose::Live)), 0);
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
        assert_eq!(waiting.put(job(true, MAX_WAITING_BYTES.1 - 1, Purpose::CatchUp)), 0);
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
        for nth in 0..MAX_WAITING_UNITS {
            assert_eq!(waiting.put(job(nth % 50 == 0, 10, Purpose::Live)), 0);
        }
        assert_eq!(waiting.next_purpose(), None, "the beginning comes first");
        assert!(matches!(waiting.take(), Some(Job::BeginStream)));
        assert_eq!(waiting.next_purpose(), Some(Purpose::CatchUp));
        waiting.put(Job::EndStream);
        assert_eq!(waiting.put(job(false, 10, Purpose::Live)), MAX_WAITING_UNITS as u64 + 1, "all that is of now goes");
        assert_eq!(waiting.put(job(true, 10, Purpose::Live)), 0);
        let left = std::iter::from_fn(|| waiting.take()).collect::<Vec<_>>();
        let n_kept = left.iter().filter(|job| matches!(job, Job::Decode { purpose: Purpose::CatchUp, .. })).count();
        assert_eq!(n_kept, 300, "what a gate had kept stays");
        assert!(matches!(left[n_kept], Job::EndStream), "its decoder is still given back");
        assert_eq!((left.len(), waiting.n_bytes), (n_kept + 2, 0));
    }

    #[test]
    fn a_camera_with_long_groups_waits_longer_before_it_is_blind() {
        let mut waiting = Waiting::default();
        let put = |waiting: &mut Waiting, nth: usize| waiting.put(job(nth == 0, 10, Purpose::Live));
        let n_dropped: u64 = (0..=MAX_WAITING_UNITS).map(|nth| put(&mut waiting, nth)).sum();
        assert_eq!(n_dropped, 0, "no keyframe came in so many");
        let n_dropped: u64 = (0..300).map(|_| put(&mut waiting, 1)).sum();
        assert!(n_dropped > 0 && waiting.n_live <= MAX_WAITING_UNITS_OF_LONG_GROUPS);
    }

    #[test]
    fn times_up_to_which_nothing_moved_do_not_pile_up() {
        let mut waiting = Waiting::default();
        for nth in 0..10_000 {
            waiting.put(Job::Carry { at: Timestamp::from_second(nth).unwrap() });
        }
        assert_eq!(waiting.jobs.len(), 1);
        assert!(matches!(waiting.take(), Some(Job::Carry { at }) if at.as_second() == 9999));
    }
}
