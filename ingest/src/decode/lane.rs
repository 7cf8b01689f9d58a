//! One camera's way through the decoders: a bounded queue of access units, the decoder it leases, and where its frames go.
//!
//! Loss policy: when the queue is full, everything up to the newest keyframe is dropped and counted; decoding goes on there.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use xueliang_inference::{Frame, PrivacyMasks, mask};

use crate::{
    access_unit::AccessUnit,
    decode::chain::{Chain, ChainError, DecoderSettings, Picture},
    metrics::CameraMetrics,
};

/// Most access units that wait for a decoder: a GOP of two seconds at 25/s, and some.
const MAX_WAITING_UNITS: usize = 64;
/// Most bytes that wait for a decoder.
const MAX_WAITING_BYTES: usize = 8 << 20;

/// Takes a camera's frames.
pub trait FrameSink: Send + Sync {
    /// Takes a frame; must not block.
    fn take(&self, frame: Frame);
}

/// What a lane needs to know of its camera.
pub struct LaneSettings {
    /// Painted on each frame before anything else sees it.
    pub masks: PrivacyMasks,
    /// Frames a second that leave the lane at most.
    pub analysis_fps: f32,
    /// The camera's counters.
    pub metrics: CameraMetrics,
}

/// How an access unit is to be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Still,
    Stream,
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
    n_frames: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    units: VecDeque<(AccessUnit, Mode)>,
    n_bytes: usize,
    skipping: bool,
}

impl Lane {
    /// A lane whose frames go to `sink`.
    pub fn new(settings: LaneSettings, sink: Arc<dyn FrameSink>) -> Self {
        let pace = Mutex::new(Pace::new(settings.analysis_fps));
        Self {
            settings,
            sink,
            waiting: Mutex::default(),
            scheduled: AtomicBool::new(false),
            stream: Mutex::default(),
            pace,
            n_frames: AtomicU64::new(0),
        }
    }

    /// Pictures decoded since the lane was made.
    pub fn n_decoded(&self) -> u64 {
        self.n_frames.load(Ordering::Relaxed)
    }

    /// Forgets what waits and the stream's decoder state: the session behind it ended.
    pub fn reset(&self) {
        *self.waiting.lock() = Waiting::default();
        *self.stream.lock() = None;
        *self.pace.lock() = Pace::new(self.settings.analysis_fps);
    }

    pub(super) fn put(&self, unit: AccessUnit, mode: Mode) {
        let n_dropped = self.waiting.lock().put(unit, mode);
        self.settings.metrics.dropped_before_decode(n_dropped);
    }

    /// Decodes the oldest waiting unit, a stream by a decoder of its own; `false` when none waits.
    pub(super) fn serve(
        &self,
        decoder: DecoderSettings,
        stills: &mut dyn FnMut(&AccessUnit) -> Result<Option<Picture>, ChainError>,
    ) -> bool {
        let Some((unit, mode)) = self.waiting.lock().take() else { return false };
        let timer = self.settings.metrics.decode_timer();
        let decoded = match mode {
            Mode::Still => stills(&unit).map(|picture| {
                self.settings.metrics.decode_errors(u64::from(picture.is_none()));
                picture.into_iter().collect()
            }),
            Mode::Stream => self.push_to_stream(&unit, decoder),
        };
        timer.observe_duration();
        match decoded {
            Ok(pictures) => pictures.into_iter().for_each(|picture: Picture| self.deliver(&picture)),
            Err(error) => {
                self.settings.metrics.decode_errors(1);
                tracing::warn!(
                    camera = self.settings.metrics.camera(),
                    error = &error as &dyn std::error::Error,
                    "can't decode"
                );
            }
        }
        true
    }

    fn push_to_stream(&self, unit: &AccessUnit, decoder: DecoderSettings) -> Result<Vec<Picture>, ChainError> {
        let mut stream = self.stream.lock();
        let chain = match stream.as_mut() {
            Some(chain) => chain,
            None if !unit.keyframe => return Ok(Vec::new()),
            None => stream.insert(Chain::new(unit.codec, decoder)?),
        };
        let pictures = chain.push(unit);
        self.settings.metrics.decode_errors(chain.take_errors());
        Ok(pictures)
    }

    fn deliver(&self, picture: &Picture) {
        self.n_frames.fetch_add(1, Ordering::Relaxed);
        self.settings.metrics.decoded();
        if !self.pace.lock().admits(picture.captured_at) {
            return;
        }
        match picture.to_frame() {
            Ok(frame) => self.sink.take(mask::paint(frame, &self.settings.masks)),
            Err(error) => {
                self.settings.metrics.decode_errors(1);
                tracing::warn!(
                    camera = self.settings.metrics.camera(),
                    error = &error as &dyn std::error::Error,
                    "can't use a picture"
                );
            }
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.lock().units.is_empty()
    }
}

impl Waiting {
    /// Puts a unit at the end; how many were dropped for it.
    fn put(&mut self, unit: AccessUnit, mode: Mode) -> u64 {
        if self.skipping && !unit.keyframe {
            return 1;
        }
        self.skipping = false;
        let is_full = self.units.len() >= MAX_WAITING_UNITS || self.n_bytes + unit.bytes.len() > MAX_WAITING_BYTES;
        let mut n_dropped = 0;
        if is_full {
            n_dropped = self.units.len() as u64;
            self.units.clear();
            self.n_bytes = 0;
            if !unit.keyframe {
                self.skipping = true;
                return n_dropped + 1;
            }
        }
        self.n_bytes += unit.bytes.len();
        self.units.push_back((unit, mode));
        n_dropped
    }

    fn take(&mut self) -> Option<(AccessUnit, Mode)> {
        let (unit, mode) = self.units.pop_front()?;
        self.n_bytes -= unit.bytes.len();
        Some((unit, mode))
    }
}

/// Lets at most so many frames a second through, by capture time.
struct Pace {
    interval: SignedDuration,
    next_at: Option<Timestamp>,
}

impl Pace {
    fn new(fps: f32) -> Self {
        Self { interval: SignedDuration::from_secs_f64(1.0 / f64::from(fps.max(0.1))), next_at: None }
    }

    fn admits(&mut self, at: Timestamp) -> bool {
        let far = self.interval * 2;
        let due = match self.next_at {
            None => at,
            Some(next_at) if at < next_at - self.interval / 4 => {
                // A clock that stepped back must not silence the camera.
                if next_at.duration_since(at) > far { at } else { return false }
            }
            Some(next_at) if at.duration_since(next_at) > far => at,
            Some(next_at) => next_at,
        };
        self.next_at = Some(due + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::Codec;

    fn unit(keyframe: bool, n_bytes: usize) -> AccessUnit {
        let captured_at = Timestamp::UNIX_EPOCH;
        AccessUnit { codec: Codec::H264, keyframe, captured_at, lost_packets: 0, bytes: vec![0; n_bytes] }
    }

    #[test]
    fn full_queue_goes_on_at_the_next_keyframe() {
        let mut waiting = Waiting::default();
        for index in 0..MAX_WAITING_UNITS {
            assert_eq!(waiting.put(unit(index == 0, 10), Mode::Stream), 0);
        }
        assert_eq!(waiting.put(unit(false, 10), Mode::Stream), MAX_WAITING_UNITS as u64 + 1);
        assert_eq!(waiting.put(unit(false, 10), Mode::Stream), 1);
        assert!(waiting.take().is_none());
        assert_eq!(waiting.put(unit(true, 10), Mode::Stream), 0);
        assert_eq!(waiting.put(unit(false, 10), Mode::Stream), 0);
        assert_eq!(waiting.units.len(), 2);
    }

    #[test]
    fn queue_is_bounded_in_bytes() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.put(unit(true, MAX_WAITING_BYTES - 1), Mode::Still), 0);
        assert_eq!(waiting.put(unit(true, 2), Mode::Still), 1);
        assert_eq!(waiting.n_bytes, 2);
    }

    #[test]
    fn pace_thins_to_the_rate_and_survives_clock_steps() {
        let at = |ms: i64| Timestamp::from_millisecond(1_790_000_000_000 + ms).unwrap();
        let mut pace = Pace::new(5.0);
        let admitted = (0..50).filter(|index| pace.admits(at(index * 100))).count();
        assert_eq!(admitted, 25);
        assert!(pace.admits(at(-3_600_000)));
        assert!(pace.admits(at(3_600_000)));
    }
}
