//! The detector threads, shared by all cameras: the frame whose deadline is nearest is analysed first.
//!
//! A frame is due one analysis interval of its camera after the camera's last one was, on a clock that goes as far as the detectors get, so under overload
//! every camera's rate falls by the same share and none starves. Each camera has one slot: a newer frame takes the place of one that still waits, which is counted, but never of
//! one that a gate had kept; such a frame makes its camera's decoder wait. A camera is analysed by one thread at a time, in order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use xueliang_inference::{DetectError, Detections, Detector, Frame};

use crate::{
    analyse::How,
    decode::{FrameSink, Rest, Wake},
    gate::Purpose,
    look::Look,
    metrics::{CameraMetrics, Metrics},
    threads::Threads,
};

/// Analyses a camera's frames; called by a detector thread and free to wait for the outbox.
pub trait DetectionSink: Send + Sync {
    /// Takes one, with as many looks at it as that takes; tells how it was analysed, and until when no other is needed.
    fn take(&self, look: &mut Look, purpose: Purpose) -> (How, Option<Rest>);

    /// Looks at a picture that was decoded to see whether anything is new; true when that settles it without the detector.
    fn settles(&self, frame: &Frame) -> bool;

    /// Nothing moved up to this capture time.
    fn carry(&self, at: Timestamp);

    /// Carries tracks on to this capture time, as they move.
    fn coast(&self, at: Timestamp);
}

/// The shared detectors.
pub struct Scheduler {
    queue: Arc<Queue>,
    n_cameras: AtomicU64,
    threads: Threads,
}

/// One camera's place before the detectors.
pub struct Slot {
    key: u64,
    interval: Duration,
    queue: Arc<Queue>,
    state: Mutex<SlotState>,
    sink: Arc<dyn DetectionSink>,
    metrics: CameraMetrics,
}

#[derive(Default)]
struct SlotState {
    frame: Option<(Frame, Purpose)>,
    running: bool,
    wake: Option<Wake>,
    /// Since the last frame, if that has been analysed.
    rest: Option<Rest>,
    /// When the last frame was due.
    due: Duration,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueState {
    ready: BTreeMap<(Duration, u64), Arc<Slot>>,
    /// When what the detectors have in hand was due.
    reached: Duration,
    stopped: bool,
}

impl Scheduler {
    /// Starts one thread for each detector.
    pub fn start(detectors: Vec<Detector>, metrics: &Metrics) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let threads = Threads::default();
        for (index, detector) in detectors.into_iter().enumerate() {
            let (queue, metrics) = (Arc::clone(&queue), metrics.clone());
            threads.spawn(format!("detect-{index}"), move || serve(&queue, detector, &metrics))?;
        }
        Ok(Self { queue, n_cameras: AtomicU64::new(0), threads })
    }

    /// A place for one more camera, whose frames are analysed so many times a second at most.
    pub fn slot(&self, sink: Arc<dyn DetectionSink>, analysis_fps: f32, metrics: CameraMetrics) -> Arc<Slot> {
        let key = self.n_cameras.fetch_add(1, Ordering::Relaxed);
        let interval = Duration::from_secs_f32(1.0 / analysis_fps.max(0.1));
        Arc::new(Slot { key, interval, queue: Arc::clone(&self.queue), state: Mutex::default(), sink, metrics })
    }

    /// Ends the threads after the frames in hand.
    pub fn stop(&self) {
        self.queue.state.lock().stopped = true;
        self.queue.wake.notify_all();
        self.threads.join();
        // What waits would keep its camera's outbox open.
        self.queue.state.lock().ready.clear();
    }

    /// The threads, for readiness.
    pub fn threads(&self) -> Threads {
        self.threads.clone()
    }
}

/// The rim of a slot that the decoders see.
pub struct SlotSink(pub Arc<Slot>);

impl FrameSink for SlotSink {
    fn take(&self, frame: Frame, purpose: Purpose) {
        let slot = &self.0;
        if purpose == Purpose::Check && slot.sink.settles(&frame) {
            return;
        }
        let mut state = slot.state.lock();
        state.rest = None;
        let replaced = state.frame.replace((frame, purpose));
        let queued = replaced.is_some() || state.running;
        drop(state);
        if replaced.is_some() {
            slot.metrics.dropped_before_detection();
        }
        if !queued {
            slot.queue.put(slot);
        }
    }

    fn carry(&self, at: Timestamp) {
        self.0.sink.carry(at);
    }

    fn rest(&self) -> Option<Rest> {
        self.0.state.lock().rest
    }

    fn coast(&self, at: Timestamp) {
        self.0.sink.coast(at);
        self.0.metrics.analysed(How::Carried);
    }

    fn has_room(&self, purpose: Purpose) -> bool {
        match &self.0.state.lock().frame {
            None => true,
            Some((_, Purpose::CatchUp)) => false,
            Some(_) => purpose != Purpose::CatchUp,
        }
    }

    fn wait_for_room(&self, wake: Wake) -> bool {
        let mut state = self.0.state.lock();
        if state.frame.is_some() {
            state.wake = Some(wake);
        }
        state.frame.is_none()
    }
}

impl Queue {
    fn put(&self, slot: &Arc<Slot>) {
        let mut state = self.state.lock();
        let due = {
            let mut slot_state = slot.state.lock();
            slot_state.due = slot_state.due.max(state.reached) + slot.interval;
            slot_state.due
        };
        state.ready.insert((due, slot.key), Arc::clone(slot));
        self.wake.notify_one();
    }

    fn next(&self) -> Option<(Arc<Slot>, Frame, Purpose)> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(((due, _), slot)) = state.ready.pop_first() {
                state.reached = state.reached.max(due.saturating_sub(slot.interval));
                let mut slot_state = slot.state.lock();
                let (frame, wake) = (slot_state.frame.take(), slot_state.wake.take());
                slot_state.running |= frame.is_some();
                drop(slot_state);
                if let Some(wake) = wake {
                    wake();
                }
                if let Some((frame, purpose)) = frame {
                    return Some((slot, frame, purpose));
                }
                continue;
            }
            self.wake.wait(&mut state);
        }
    }

    fn done(&self, slot: &Arc<Slot>, rest: Option<Rest>) {
        let mut state = slot.state.lock();
        state.running = false;
        let is_waiting = state.frame.is_some();
        state.rest = rest.filter(|_| !is_waiting);
        drop(state);
        if is_waiting {
            self.put(slot);
        }
    }
}

fn serve(queue: &Queue, mut detector: Detector, metrics: &Metrics) {
    while let Some((slot, frame, purpose)) = queue.next() {
        let started = Instant::now();
        let mut heard = |found: &Result<Detections, DetectError>| match found {
            Ok(detections) => {
                metrics.detected(&detections.timings);
                slot.metrics.inferred(detections);
            }
            Err(error) => {
                slot.metrics.inference_failed();
                tracing::error!(camera = slot.metrics.camera(), %error, "inference failed");
            }
        };
        let mut look = Look::new(&mut detector, &frame, &mut heard);
        let (how, rest) = slot.sink.take(&mut look, purpose);
        let looking = look.took();
        slot.metrics.analysed(how);
        metrics.analysed(started.elapsed().saturating_sub(looking));
        let age = Timestamp::now().duration_since(frame.captured_at());
        metrics.picture_age(purpose, age.try_into().unwrap_or_default());
        queue.done(&slot, rest);
    }
}

#[cfg(test)]
mod tests;
