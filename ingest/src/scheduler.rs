//! The detector threads, shared by all cameras: the frame that has waited longest is analysed first.
//!
//! Each camera has one slot; a newer frame takes the place of one that still waits, which is counted. A camera is analysed by one
//! thread at a time, so its tracks see its frames in order.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use xueliang_inference::{Detections, Detector, Frame};

use crate::{
    decode::FrameSink,
    metrics::{CameraMetrics, Metrics},
    threads::Threads,
};

/// Takes a camera's frame with what was detected in it; called by a detector thread and free to wait for the outbox.
pub trait DetectionSink: Send + Sync {
    /// Takes them.
    fn take(&self, frame: &Frame, detections: &Detections);
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
    queue: Arc<Queue>,
    state: Mutex<SlotState>,
    sink: Arc<dyn DetectionSink>,
    metrics: CameraMetrics,
}

#[derive(Default)]
struct SlotState {
    frame: Option<Frame>,
    running: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueState {
    ready: BTreeMap<(Timestamp, u64), Arc<Slot>>,
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

    /// A place for one more camera.
    pub fn slot(&self, sink: Arc<dyn DetectionSink>, metrics: CameraMetrics) -> Arc<Slot> {
        let key = self.n_cameras.fetch_add(1, Ordering::Relaxed);
        Arc::new(Slot { key, queue: Arc::clone(&self.queue), state: Mutex::default(), sink, metrics })
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
    fn take(&self, frame: Frame) {
        let slot = &self.0;
        let captured_at = frame.captured_at();
        let mut state = slot.state.lock();
        let replaced = state.frame.replace(frame);
        let queued = replaced.is_some() || state.running;
        drop(state);
        if replaced.is_some() {
            slot.metrics.dropped_before_detection();
        }
        if !queued {
            slot.queue.put(captured_at, slot);
        }
    }
}

impl Queue {
    fn put(&self, captured_at: Timestamp, slot: &Arc<Slot>) {
        self.state.lock().ready.insert((captured_at, slot.key), Arc::clone(slot));
        self.wake.notify_one();
    }

    fn next(&self) -> Option<(Arc<Slot>, Frame)> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some((_, slot)) = state.ready.pop_first() {
                let mut slot_state = slot.state.lock();
                if let Some(frame) = slot_state.frame.take() {
                    slot_state.running = true;
                    drop(slot_state);
                    return Some((slot, frame));
                }
                continue;
            }
            self.wake.wait(&mut state);
        }
    }

    fn done(&self, slot: &Arc<Slot>) {
        let mut state = slot.state.lock();
        state.running = false;
        let waiting = state.frame.as_ref().map(Frame::captured_at);
        drop(state);
        if let Some(captured_at) = waiting {
            self.put(captured_at, slot);
        }
    }
}

fn serve(queue: &Queue, mut detector: Detector, metrics: &Metrics) {
    let settings = detector.settings();
    while let Some((slot, frame)) = queue.next() {
        match detector.detect(&frame, &settings) {
            Ok(detections) => {
                metrics.detected(&detections.timings);
                slot.metrics.inferred(&detections);
                let timer = metrics.analyse_timer();
                slot.sink.take(&frame, &detections);
                timer.observe_duration();
            }
            Err(error) => {
                slot.metrics.inference_failed();
                tracing::error!(camera = slot.metrics.camera(), %error, "inference failed");
            }
        }
        queue.done(&slot);
    }
}
