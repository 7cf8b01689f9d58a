//! When a picture was taken: RTCP sender reports say which wall time an RTP time was, the monotonic clock watches our own.
//!
//! Within a session capture times only grow, whatever the clocks do:
//! - no report: a picture gets the time it arrived;
//! - the camera's clock is off, or jumps, by more than the tolerance: it isn't believed, its pictures get the time they
//!   arrived, and the offset is known for its status. It is believed again within half the tolerance;
//! - a smaller jump back: time advances by a millisecond per picture until it has caught up;
//! - our own clock is set, either way, by more than two seconds against the monotonic clock: an error that ends the
//!   session, so that no dwell time spans both times. Less is taken over.
//!
//! Not here: smoothing of network jitter.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// The most that our own clock may differ from the monotonic clock between two pictures.
const LARGEST_STEP: SignedDuration = SignedDuration::from_secs(2);
/// How far time advances at least from picture to picture.
const SMALLEST_ADVANCE: SignedDuration = SignedDuration::from_millis(1);

/// When something came, on both clocks of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// By the clock that nobody sets.
    pub instant: Instant,
    /// By the clock on the wall.
    pub at: Timestamp,
}

impl Arrival {
    /// Now.
    pub fn now() -> Self {
        Self { instant: Instant::now(), at: Timestamp::now() }
    }
}

/// Our own clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this machine's clock was set by {by}")]
pub struct ClockStep {
    /// Forward when positive.
    pub by: SignedDuration,
}

/// One sender report: this RTP time was this wall time.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    rtp: i64,
    wall: Timestamp,
}

/// Maps one stream's RTP timestamps to UTC.
#[derive(Debug)]
pub struct WallClock {
    ticks_per_second: u32,
    tolerance: SignedDuration,
    anchor: Option<Anchor>,
    offset: SignedDuration,
    believed: bool,
    last_arrival: Option<Arrival>,
    last_capture: Option<Timestamp>,
}

impl WallClock {
    /// A clock without a report yet; capture times are arrival times until one comes.
    pub fn new(ticks_per_second: u32, tolerance: SignedDuration) -> Self {
        Self {
            ticks_per_second,
            tolerance,
            anchor: None,
            offset: SignedDuration::ZERO,
            believed: true,
            last_arrival: None,
            last_capture: None,
        }
    }

    /// Takes a sender report: `rtp` in ticks, `ntp` as 32.32 fixed-point seconds since 1900 (RFC 3550, 6.4.1). Zero means
    /// that the camera has no clock.
    pub fn report(&mut self, rtp: i64, ntp: u64) {
        self.anchor = ntp_to_utc(ntp).filter(|_| ntp != 0).map(|wall| Anchor { rtp, wall });
    }

    /// When the picture with this RTP time was taken, given when it arrived.
    pub fn captured_at(&mut self, rtp: i64, arrival: Arrival) -> Result<Timestamp, ClockStep> {
        self.watch_own_clock(arrival)?;
        let reported = self.anchor.and_then(|anchor| self.project(anchor, rtp));
        if let Some(reported) = reported {
            self.offset = reported.duration_since(arrival.at);
            let within = if self.believed { self.tolerance } else { self.tolerance / 2 };
            self.believed = self.offset.abs() <= within;
        }
        let candidate = reported.filter(|_| self.believed).unwrap_or(arrival.at);
        let earliest = self.last_capture.and_then(|last| last.checked_add(SMALLEST_ADVANCE).ok());
        let captured_at = earliest.map_or(candidate, |earliest| candidate.max(earliest));
        self.last_capture = Some(captured_at);
        Ok(captured_at)
    }

    /// How far the camera's clock was ahead of ours (transport delay included) at the last picture.
    pub fn offset(&self) -> SignedDuration {
        self.offset
    }

    /// False while the camera's clock is off by more than the tolerance.
    pub fn is_believed(&self) -> bool {
        self.believed
    }

    fn watch_own_clock(&mut self, arrival: Arrival) -> Result<(), ClockStep> {
        let Some(last) = self.last_arrival.replace(arrival) else { return Ok(()) };
        let elapsed = arrival.instant.saturating_duration_since(last.instant);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        let by = arrival.at.duration_since(last.at).saturating_sub(elapsed);
        if by.abs() > LARGEST_STEP { Err(ClockStep { by }) } else { Ok(()) }
    }

    fn project(&self, anchor: Anchor, rtp: i64) -> Option<Timestamp> {
        let ticks = rtp.checked_sub(anchor.rtp)?;
        let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(self.ticks_per_second.max(1));
        anchor.wall.checked_add(SignedDuration::from_nanos(i64::try_from(nanos).ok()?)).ok()
    }
}

fn ntp_to_utc(ntp: u64) -> Option<Timestamp> {
    const SECONDS_FROM_1900_TO_1970: i64 = 2_208_988_800;
    let seconds = i64::try_from(ntp >> 32).ok()? - SECONDS_FROM_1900_TO_1970;
    let nanos = ((ntp & 0xffff_ffff) * 1_000_000_000) >> 32;
    Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn ntp(time: Timestamp) -> u64 {
        ((time.as_second() + 2_208_988_800) as u64) << 32
    }

    /// A camera of ten pictures a second, a machine that is told how its clock is set.
    struct Street {
        clock: WallClock,
        start: Instant,
        n_pictures: u32,
        machine_set_by: SignedDuration,
        last: Option<Timestamp>,
    }

    impl Street {
        fn new() -> Self {
            let clock = WallClock::new(90_000, SignedDuration::from_secs(5));
            Self { clock, start: Instant::now(), n_pictures: 0, machine_set_by: SignedDuration::ZERO, last: None }
        }

        fn now(&self) -> Timestamp {
            at(0) + SignedDuration::from_millis(i64::from(self.n_pictures) * 100) + self.machine_set_by
        }

        /// The camera's report of its own time, off by so many seconds.
        fn report(&mut self, off: i64) {
            let time = self.now() + SignedDuration::from_secs(off);
            self.clock.report(i64::from(self.n_pictures) * 9000, ntp(time));
        }

        fn picture(&mut self) -> Result<Timestamp, ClockStep> {
            let instant = self.start + Duration::from_millis(100) * self.n_pictures;
            let arrival = Arrival { instant, at: self.now() };
            let captured_at = self.clock.captured_at(i64::from(self.n_pictures) * 9000, arrival)?;
            assert!(self.last.is_none_or(|last| last < captured_at), "time went back");
            self.last = Some(captured_at);
            self.n_pictures += 1;
            Ok(captured_at)
        }

        fn seconds(&mut self, n_seconds: u32) -> Timestamp {
            (0..n_seconds * 10).map(|_| self.picture().unwrap()).last().unwrap()
        }
    }

    #[test]
    fn arrival_counts_until_the_first_report() {
        let mut street = Street::new();
        assert_eq!(street.picture(), Ok(at(0)));
    }

    #[test]
    fn report_gives_capture_time() {
        let mut street = Street::new();
        street.report(-2);
        assert_eq!(street.picture(), Ok(at(-2)));
        assert_eq!(street.seconds(10), at(8));
        assert!(street.clock.is_believed());
    }

    #[test]
    fn clock_that_is_far_off_is_not_believed() {
        let mut street = Street::new();
        street.report(-7200);
        assert_eq!(street.picture(), Ok(at(0)));
        assert!(!street.clock.is_believed());
        assert_eq!(street.clock.offset(), SignedDuration::from_secs(-7200));
        street.report(0);
        street.seconds(1);
        assert!(street.clock.is_believed());
    }

    #[test]
    fn camera_clock_jumps_of_any_size_never_turn_time_back() {
        let mut street = Street::new();
        for off in [0, 4, -4, 3600, 0, -86_400, 2, -1, 0] {
            street.report(off);
            let captured_at = street.seconds(20);
            let late = street.now().duration_since(captured_at);
            assert!(late.abs() <= SignedDuration::from_secs(5), "{off}: {late:?}");
        }
    }

    #[test]
    fn a_camera_without_a_clock_reports_nothing() {
        let mut street = Street::new();
        street.clock.report(0, 0);
        assert_eq!(street.picture(), Ok(at(0)));
        assert!(street.clock.is_believed());
    }

    #[test]
    fn own_clock_that_is_set_ends_the_session() {
        for step in [-3600, -3, 3, 1_000_000] {
            let mut street = Street::new();
            street.seconds(2);
            street.machine_set_by = SignedDuration::from_secs(step);
            let error = street.picture().unwrap_err();
            assert_eq!(error.by, SignedDuration::from_secs(step));
        }
    }

    #[test]
    fn own_clock_that_is_nudged_goes_on() {
        let mut street = Street::new();
        street.seconds(2);
        street.machine_set_by = SignedDuration::from_millis(-900);
        let captured_at = street.seconds(2);
        assert!(street.now().duration_since(captured_at).abs() <= SignedDuration::from_secs(1));
    }

    proptest::proptest! {
        #[test]
        fn hostile_reports_never_panic_nor_turn_time_back(
            ticks_per_second: u32,
            steps in proptest::collection::vec(proptest::prelude::any::<(i64, u64, i64)>(), 1..20),
        ) {
            let mut clock = WallClock::new(ticks_per_second, SignedDuration::from_secs(5));
            let start = Instant::now();
            let mut last = None;
            for (nth, (rtp, ntp, later)) in steps.into_iter().enumerate() {
                clock.report(rtp, ntp);
                let arrival = Arrival { instant: start + Duration::from_secs(nth as u64), at: at(nth as i64) };
                let captured_at = clock.captured_at(later, arrival).unwrap();
                proptest::prop_assert!(last.is_none_or(|last| last < captured_at));
                last = Some(captured_at);
            }
        }
    }
}
