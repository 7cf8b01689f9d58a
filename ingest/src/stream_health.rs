//! How well a camera's stream comes: rate, size, keyframes, loss, order, clock, damage, age. A pure accumulator that the camera's task feeds.
//!
//! Rates are over a sliding window of ten one-second buckets; time is a parameter. Not here: what is good enough.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Length of a bucket.
const BUCKET: Duration = Duration::from_secs(1);
/// Buckets that rates are taken over.
const N_BUCKETS: usize = 10;
/// Weight of a new keyframe interval against those before.
const KEYFRAME_WEIGHT: f64 = 0.25;
/// Longest believable time between keyframes: beyond it the capture clock jumped.
const MAX_KEYFRAME_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// One access unit as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct UnitArrival {
    /// When the camera took it.
    pub captured_at: Timestamp,
    /// When it arrived.
    pub arrived: Instant,
    /// Its size.
    pub n_bytes: usize,
    /// Whether it stands alone.
    pub keyframe: bool,
    /// RTP packets lost just before it.
    pub n_lost: u16,
}

/// A stream's figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamFigures {
    /// Access units a second.
    pub fps: f64,
    /// Bits a second.
    pub bitrate_bps: f64,
    /// Smoothed time between keyframes; `None` before the second.
    pub keyframe_interval: Option<Duration>,
    /// Since the last access unit; `None` before the first.
    pub last_unit_age: Option<Duration>,
    /// How far the camera's clock is ahead of ours.
    pub clock_offset: SignedDuration,
    /// RTP packets lost in this session.
    pub n_lost_packets: u64,
    /// RTP packets that came late or twice, and access units whose capture time was before that of one that had come.
    pub n_reordered: u64,
    /// Errors that the decoder reported in this session.
    pub n_decode_errors: u64,
}

/// Accumulates one session's figures.
#[derive(Debug)]
pub struct StreamHealth {
    began: Instant,
    buckets: VecDeque<Bucket>,
    last_arrived: Option<Instant>,
    newest_captured_at: Option<Timestamp>,
    keyframe_at: Option<Timestamp>,
    keyframe_interval_s: Option<f64>,
    clock_offset: SignedDuration,
    n_lost_packets: u64,
    n_reordered: u64,
    n_reordered_packets: u64,
    n_decode_errors: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    began: Instant,
    n_units: u32,
    n_bytes: u64,
}

impl StreamHealth {
    /// A session that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            buckets: VecDeque::with_capacity(N_BUCKETS + 1),
            last_arrived: None,
            newest_captured_at: None,
            keyframe_at: None,
            keyframe_interval_s: None,
            clock_offset: SignedDuration::ZERO,
            n_lost_packets: 0,
            n_reordered: 0,
            n_reordered_packets: 0,
            n_decode_errors: 0,
        }
    }

    /// An access unit came.
    pub fn unit(&mut self, unit: UnitArrival) {
        self.last_arrived = Some(unit.arrived);
        self.n_lost_packets += u64::from(unit.n_lost);
        let is_late = self.newest_captured_at.is_some_and(|newest| unit.captured_at < newest);
        self.n_reordered += u64::from(is_late);
        // The next unit is compared with this one even when it is earlier: after a clock's step back all would count as late.
        self.newest_captured_at = Some(unit.captured_at);
        if unit.keyframe {
            self.keyframe(unit.captured_at);
        }
        self.count(unit);
    }

    /// How far the camera's clock is ahead, as the session knows it.
    pub fn clock(&mut self, offset: SignedDuration) {
        self.clock_offset = offset;
    }

    /// Packets that came late or twice so far, as the session counts them.
    pub fn reordered(&mut self, n_packets: u64) {
        self.n_reordered_packets = n_packets;
    }

    /// The decoder complained.
    pub fn decode_errors(&mut self, n_errors: u64) {
        self.n_decode_errors += n_errors;
    }

    /// The figures now.
    pub fn snapshot(&self, now: Instant) -> StreamFigures {
        let reach = BUCKET * N_BUCKETS as u32;
        let recent = self.buckets.iter().filter(|bucket| now.saturating_duration_since(bucket.began) < reach);
        let (n_units, n_bytes) = recent
            .fold((0.0, 0.0), |(n, bytes), bucket| (n + f64::from(bucket.n_units), bytes + bucket.n_bytes as f64));
        let over = now.saturating_duration_since(self.began).min(reach).max(BUCKET).as_secs_f64();
        StreamFigures {
            fps: n_units / over,
            bitrate_bps: n_bytes * 8.0 / over,
            keyframe_interval: self.keyframe_interval_s.map(Duration::from_secs_f64),
            last_unit_age: self.last_arrived.map(|arrived| now.saturating_duration_since(arrived)),
            clock_offset: self.clock_offset,
            n_lost_packets: self.n_lost_packets,
            n_reordered: self.n_reordered + self.n_reordered_packets,
            n_decode_errors: self.n_decode_errors,
        }
    }

    fn keyframe(&mut self, captured_at: Timestamp) {
        if let Some(before) = self.keyframe_at.replace(captured_at) {
            let interval = captured_at.duration_since(before);
            if interval.is_positive() && interval <= MAX_KEYFRAME_INTERVAL {
                let seconds = interval.as_secs_f64();
                let known = self.keyframe_interval_s.unwrap_or(seconds);
                self.keyframe_interval_s = Some(known + (seconds - known) * KEYFRAME_WEIGHT);
            }
        }
    }

    fn count(&mut self, unit: UnitArrival) {
        let (n_units, n_bytes) = (1, unit.n_bytes as u64);
        match self.buckets.back_mut() {
            Some(last) if unit.arrived.saturating_duration_since(last.began) < BUCKET => {
                last.n_units += n_units;
                last.n_bytes += n_bytes;
            }
            _ => {
                self.buckets.push_back(Bucket { began: unit.arrived, n_units, n_bytes });
                if self.buckets.len() > N_BUCKETS {
                    self.buckets.pop_front();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(began: Instant, ms: u64) -> UnitArrival {
        UnitArrival {
            captured_at: Timestamp::from_millisecond(1_790_000_000_000 + ms as i64).unwrap(),
            arrived: began + Duration::from_millis(ms),
            n_bytes: 1000,
            keyframe: ms.is_multiple_of(2000),
            n_lost: 0,
        }
    }

    #[test]
    fn a_steady_stream_has_its_rate_size_and_keyframe_interval() {
        let began = Instant::now();
        let mut health = StreamHealth::new(began);
        for index in 0..25 * 60 {
            health.unit(unit(began, index * 40));
        }
        let figures = health.snapshot(began + Duration::from_secs(60));
        assert!((figures.fps - 25.0).abs() < 2.6, "{figures:?}");
        assert!((figures.bitrate_bps - 200_000.0).abs() < 20_800.0, "{figures:?}");
        assert_eq!(figures.keyframe_interval, Some(Duration::from_secs(2)));
        assert_eq!(figures.last_unit_age, Some(Duration::from_millis(40)));
        assert_eq!((figures.n_lost_packets, figures.n_reordered), (0, 0));
    }

    #[test]
    fn a_stream_that_stops_falls_to_zero_and_grows_old() {
        let began = Instant::now();
        let mut health = StreamHealth::new(began);
        for index in 0..100 {
            health.unit(unit(began, index * 40));
        }
        let figures = health.snapshot(began + Duration::from_secs(30));
        assert_eq!((figures.fps, figures.bitrate_bps), (0.0, 0.0));
        assert_eq!(figures.last_unit_age, Some(Duration::from_millis(30_000 - 99 * 40)));
    }

    #[test]
    fn a_clock_that_steps_back_is_one_reordering_and_no_keyframe_interval() {
        let began = Instant::now();
        let mut health = StreamHealth::new(began);
        for index in 0..200 {
            health.unit(unit(began, index * 40));
        }
        for index in 200..400 {
            let stepped = unit(began, index * 40);
            let captured_at = stepped.captured_at - SignedDuration::from_hours(1);
            health.unit(UnitArrival { captured_at, n_lost: u16::from(index == 300), ..stepped });
        }
        health.reordered(0);
        let figures = health.snapshot(began + Duration::from_secs(16));
        assert_eq!((figures.n_reordered, figures.n_lost_packets), (1, 1));
        assert_eq!(figures.keyframe_interval, Some(Duration::from_secs(2)));
    }

    proptest::proptest! {
        #[test]
        fn figures_are_finite_whatever_comes(arrivals in proptest::collection::vec((0u64..1_000_000, 0usize..1_000_000), 0..200)) {
            let began = Instant::now();
            let mut health = StreamHealth::new(began);
            for (ms, n_bytes) in arrivals {
                health.unit(UnitArrival { n_bytes, ..unit(began, ms) });
                let figures = health.snapshot(began + Duration::from_millis(ms));
                proptest::prop_assert!(figures.fps.is_finite() && figures.fps >= 0.0 && figures.bitrate_bps.is_finite());
            }
        }
    }
}
