//! The threads that decode, shared by all cameras, and the leases of stream decoders.
//!
//! Lanes that have work stand once in a run queue and are served up to one picture that is analysed, so a busy camera can't starve
//! the others. Keyframes that stand alone are decoded by the thread's own decoder of that coding: an idle camera owns none.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Condvar, Mutex};
use prometheus::IntGauge;

use crate::{
    decode::{
        chain::DecoderSettings,
        lane::{Lane, Turn, Wake},
        stills::ThreadDecoders,
    },
    gate::Job,
    metrics::Metrics,
    threads::Threads,
};

/// The shared decoders.
pub struct DecoderPool {
    queue: Arc<RunQueue>,
    leases: Arc<Leases>,
    threads: Threads,
}

/// How many cameras may have a stream decoder, and how many have.
struct Leases {
    n: AtomicUsize,
    max: usize,
    told: IntGauge,
}

/// The right to a stream decoder; given back when dropped.
pub struct Lease(Arc<Leases>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.n.fetch_sub(1, Ordering::AcqRel);
        self.0.told.dec();
    }
}

#[derive(Default)]
struct RunQueue {
    state: Mutex<RunState>,
    wake: Condvar,
}

#[derive(Default)]
struct RunState {
    lanes: VecDeque<Arc<Lane>>,
    stopped: bool,
}

impl DecoderPool {
    /// Starts `n_threads` decoding threads, whose decoders `settings` describes; at most `max_leases` cameras have a stream decoder at once.
    pub fn start(
        n_threads: usize,
        max_leases: usize,
        settings: DecoderSettings,
        metrics: &Metrics,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(RunQueue::default());
        let threads = Threads::default();
        for index in 0..n_threads {
            let queue = Arc::clone(&queue);
            threads.spawn(format!("decode-{index}"), move || serve(&queue, settings))?;
        }
        let leases = Leases { n: AtomicUsize::new(0), max: max_leases, told: metrics.stream_decoders() };
        Ok(Self { queue, leases: Arc::new(leases), threads })
    }

    /// A stream decoder for one camera, while there are any left.
    pub fn lease(&self) -> Option<Lease> {
        let Leases { n, max, told } = &*self.leases;
        let taken = n.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < *max).then_some(n + 1));
        taken.ok()?;
        told.inc();
        Some(Lease(Arc::clone(&self.leases)))
    }

    /// Queues what the gate decided, in order.
    pub fn work(&self, lane: &Arc<Lane>, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        jobs.into_iter().for_each(|job| lane.put(job));
        if lane.is_due() {
            self.queue.schedule(lane);
        }
    }

    /// Ends the threads; what waits is dropped.
    pub fn stop(&self) {
        self.queue.state.lock().stopped = true;
        self.queue.wake.notify_all();
        self.threads.join();
        // A lane that waits would keep its camera's outbox open.
        self.queue.state.lock().lanes.clear();
    }

    /// The threads, for readiness.
    pub fn threads(&self) -> Threads {
        self.threads.clone()
    }
}

impl RunQueue {
    fn schedule(&self, lane: &Arc<Lane>) {
        if !lane.scheduled.swap(true, Ordering::AcqRel) {
            self.state.lock().lanes.push_back(Arc::clone(lane));
            self.wake.notify_one();
        }
    }

    fn next(&self) -> Option<Arc<Lane>> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(lane) = state.lanes.pop_front() {
                return Some(lane);
            }
            self.wake.wait(&mut state);
        }
    }

    fn done(self: &Arc<Self>, lane: &Arc<Lane>, turn: Turn) {
        lane.scheduled.store(false, Ordering::Release);
        let goes_on = match turn {
            Turn::Done => lane.is_due(),
            Turn::NoRoom => lane.wait_for_room(self.wake(lane)),
        };
        if goes_on {
            self.schedule(lane);
        }
    }

    fn wake(self: &Arc<Self>, lane: &Arc<Lane>) -> Wake {
        let (queue, lane) = (Arc::downgrade(self), Arc::downgrade(lane));
        Box::new(move || {
            if let (Some(queue), Some(lane)) = (queue.upgrade(), lane.upgrade()) {
                queue.schedule(&lane);
            }
        })
    }
}

fn serve(queue: &Arc<RunQueue>, settings: DecoderSettings) {
    let mut decoders = ThreadDecoders::new(settings);
    while let Some(lane) = queue.next() {
        let turn = lane.serve(&mut decoders);
        queue.done(&lane, turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::{AccessUnit, Codec};

    #[test]
    fn a_stopped_pool_lets_go_of_lanes_that_waited() {
        struct Nowhere;
        impl crate::decode::FrameSink for Nowhere {
            fn carry(&self, _: jiff::Timestamp) {}
            fn rest(&self) -> Option<crate::decode::Rest> {
                None
            }
            fn coast(&self, _: jiff::Timestamp) {}
            fn take(&self, _: xueliang_inference::Frame, _: crate::gate::Purpose) {}
            fn has_room(&self, _: crate::gate::Purpose) -> bool {
                true
            }
            fn wait_for_room(&self, _: Wake) -> bool {
                true
            }
        }
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let pool = DecoderPool::start(1, 1, DecoderSettings::default(), &metrics).unwrap();
        let metrics = metrics.camera("gate");
        let masks = xueliang_inference::PrivacyMasks::none();
        let settings = crate::decode::LaneSettings { masks, analysis_fps: 5.0, metrics };
        let lane = Arc::new(Lane::new(settings, Arc::new(Nowhere)));
        pool.stop();
        let captured_at = jiff::Timestamp::UNIX_EPOCH;
        let unit =
            AccessUnit { codec: Codec::H264, keyframe: true, captured_at, lost_packets: 0, bytes: Vec::new().into() };
        let job = Job::Decode { unit, mode: crate::gate::Mode::Still, purpose: crate::gate::Purpose::Live };
        pool.work(&lane, vec![job]);
        assert_eq!(Arc::strong_count(&lane), 2, "it waits in the queue");
        pool.stop();
        assert_eq!(Arc::strong_count(&lane), 1);
    }

    #[test]
    fn leases_are_bounded_and_come_back_and_are_told() {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let pool = DecoderPool::start(1, 2, DecoderSettings::default(), &metrics).unwrap();
        let first = pool.lease().unwrap();
        let _second = pool.lease().unwrap();
        assert!(pool.lease().is_none());
        assert_eq!(metrics.stream_decoders().get(), 2);
        drop(first);
        assert_eq!(metrics.stream_decoders().get(), 1);
        assert!(pool.lease().is_some());
        pool.stop();
    }
}
