//! The queue before the detectors, with cameras that always have a newer frame and a detector that the test plays.

use prometheus::Registry;
use xueliang_inference::{Colour, DecodedFrame, PrivacyMasks, mask};

use super::*;

struct Nobody;

impl DetectionSink for Nobody {
    fn take(&self, _: &mut Look, _: Purpose) -> (How, Option<Rest>) {
        (How::Not, None)
    }

    fn settles(&self, _: &Frame) -> bool {
        false
    }

    fn carry(&self, _: Timestamp) {}

    fn coast(&self, _: Timestamp) {}
}

/// Cameras before one detector that is never idle.
struct Street {
    scheduler: Scheduler,
    metrics: Metrics,
    slots: Vec<Arc<Slot>>,
    n_analysed: Vec<usize>,
}

impl Street {
    fn new(rates: &[f32]) -> Self {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let scheduler = Scheduler::start(Vec::new(), &metrics).unwrap();
        let mut street = Self { scheduler, metrics, slots: Vec::new(), n_analysed: Vec::new() };
        rates.iter().for_each(|rate| street.join(*rate));
        street
    }

    fn join(&mut self, rate: f32) {
        let metrics = self.metrics.camera(&self.slots.len().to_string());
        self.slots.push(self.scheduler.slot(Arc::new(Nobody), rate, metrics));
        self.n_analysed.push(0);
    }

    /// The detector takes so many frames; each camera has a new one every time.
    fn analyse(&mut self, n_frames: usize) -> Vec<usize> {
        let before = self.n_analysed.clone();
        for _ in 0..n_frames {
            for slot in &self.slots {
                SlotSink(Arc::clone(slot)).take(frame(), Purpose::Live);
            }
            let (slot, ..) = self.scheduler.queue.next().unwrap();
            self.n_analysed[slot.key as usize] += 1;
            self.scheduler.queue.done(&slot, None);
        }
        self.n_analysed.iter().zip(before).map(|(now, before)| now - before).collect()
    }
}

fn frame() -> Frame {
    let decoded = DecodedFrame::from_i420(vec![128; 24], (4, 4), Colour::default(), Timestamp::UNIX_EPOCH).unwrap();
    mask::paint(decoded, &PrivacyMasks::none())
}

#[test]
fn under_overload_all_cameras_of_one_rate_get_the_same() {
    let shares = Street::new(&[5.0; 20]).analyse(2000);
    assert!(shares.iter().all(|share| (99..=101).contains(share)), "{shares:?}");
}

#[test]
fn under_overload_each_rate_falls_by_the_same_share_and_nobody_starves() {
    let shares = Street::new(&[1.0, 5.0, 25.0, 5.0]).analyse(3600);
    assert_eq!(shares.iter().sum::<usize>(), 3600);
    for (share, expected) in shares.iter().zip([100usize, 500, 2500, 500]) {
        assert!(share.abs_diff(expected) <= 1 + expected / 50, "{shares:?}");
    }
}

#[test]
fn a_newcomer_and_one_that_was_away_get_their_share_and_no_backlog() {
    let mut street = Street::new(&[5.0; 4]);
    street.analyse(4000);
    street.join(5.0);
    let shares = street.analyse(50);
    assert!(shares.iter().all(|share| (9..=11).contains(share)), "{shares:?}");
    // One that nothing was heard of for long.
    let away = street.slots.remove(0);
    street.analyse(4000);
    street.slots.insert(0, away);
    let shares = street.analyse(50);
    assert!(shares.iter().all(|share| (9..=11).contains(share)), "{shares:?}");
}

#[test]
fn a_newer_frame_takes_the_place_of_one_that_waits() {
    let street = Street::new(&[5.0]);
    let sink = SlotSink(Arc::clone(&street.slots[0]));
    (0..3).for_each(|_| sink.take(frame(), Purpose::Live));
    assert!(street.scheduler.queue.next().is_some());
    assert!(street.scheduler.queue.state.lock().ready.is_empty() && street.slots[0].state.lock().frame.is_none());
}
