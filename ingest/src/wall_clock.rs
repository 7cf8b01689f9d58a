//! When a picture was taken: RTCP sender reports say which wall time an RTP time was, the monotonic clock watches our own.
//!
//! Within a session capture times only grow, whatever the clocks do:
//! - no report: a picture gets the time it arrived;
//! - the camera's clock is off, or jumps, by more than the tolerance: it isn't believed, its pictures get the time they
//!   arrived, and the offset is known for its status. It is believed again within half the tolerance;
//! - a smaller jump back: time goes on a tenth slower, as RTP times say, until it has caught up, but never runs ahead of the
//!   arrival by more than the tolerance;
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
/// Pictures come in another order than they were taken by no more than this; what goes back further has jumped.
const REORDERED: SignedDuration = SignedDuration::from_millis(500);
/// Time that runs ahead of the clock after a jump back goes slower by one part in so many.
const SLOWER_BY: i32 = 10;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    last: Option<Picture>,
    /// How far capture times are ahead of the clock that they are taken from, since it jumped back.
    ahead: SignedDuration,
}

/// The picture before.
#[derive(Debug, Clone, Copy)]
struct Picture {
    rtp: i64,
    /// What its time was taken from: a report, or its arrival.
    anchor: Option<Anchor>,
    /// What that clock said.
    by_clock: Timestamp,
    captured_at: Timestamp,
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
            last: None,
            ahead: SignedDuration::ZERO,
        }
    }

    /// Takes a sender report: `rtp` in ticks, `ntp` as 32.32 fixed-point seconds since 1900 (RFC 3550, 6.4.1). Zero means
    /// that the camera has no clock.
    pub fn report(&mut self, rtp: i64, ntp: u64) {
        self.anchor = ntp_to_utc(ntp).filter(|_| ntp != 0).map(|wall| Anchor { rtp, wall });
    }

    /// When the picture with this RTP time was taken, given when it arrived.
    pub fn captured_at(&mut self, rtp: i64, arrival: Arrival) -> Result<Timestamp, ClockStep> {
        let elapsed = self.watch_own_clock(arrival)?;
        let reported = self.anchor.and_then(|anchor| self.project(anchor, rtp));
        if let Some(reported) = reported {
            self.offset = reported.duration_since(arrival.at);
            let within = if self.believed { self.tolerance } else { self.tolerance / 2 };
            self.believed = self.offset.abs() <= within;
        }
        let reported = reported.filter(|_| self.believed);
        let (by_clock, anchor) = (reported.unwrap_or(arrival.at), self.anchor.filter(|_| reported.is_some()));
        let mut captured_at = by_clock;
        if let Some(last) = self.last {
            let step = self.step(last.rtp, rtp, elapsed);
            let expected = last.captured_at.checked_add(step).unwrap_or(last.captured_at);
            let jumped = anchor != last.anchor || last.by_clock.duration_since(by_clock) > REORDERED;
            let ahead = if jumped { expected.duration_since(by_clock) } else { self.ahead - step / SLOWER_BY };
            let most = (arrival.at.duration_since(by_clock) + self.tolerance).max(SignedDuration::ZERO);
            self.ahead = ahead.clamp(SignedDuration::ZERO, most);
            let earliest = last.captured_at.checked_add(SMALLEST_ADVANCE).unwrap_or(last.captured_at);
            captured_at = by_clock.checked_add(self.ahead).unwrap_or(by_clock).max(earliest);
        }
        self.last = Some(Picture { rtp, anchor, by_clock, captured_at });
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

    /// Time since the picture before, by the clock that nobody sets.
    fn watch_own_clock(&mut self, arrival: Arrival) -> Result<SignedDuration, ClockStep> {
        let Some(last) = self.last_arrival.replace(arrival) else { return Ok(SignedDuration::ZERO) };
        let elapsed = arrival.instant.saturating_duration_since(last.instant);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        let by = arrival.at.duration_since(last.at).saturating_sub(elapsed);
        if by.abs() > LARGEST_STEP { Err(ClockStep { by }) } else { Ok(elapsed) }
    }

    /// Time from one picture to the next: as their RTP times say where that can be, else as they arrived.
    fn step(&self, from: i64, to: i64, elapsed: SignedDuration) -> SignedDuration {
        let likely = SignedDuration::ZERO..=elapsed.saturating_add(LARGEST_STEP);
        self.ticks(from, to).filter(|step| likely.contains(step)).unwrap_or(elapsed)
    }

    fn project(&self, anchor: Anchor, rtp: i64) -> Option<Timestamp> {
        anchor.wall.checked_add(self.ticks(anchor.rtp, rtp)?).ok()
    }

    fn ticks(&self, from: i64, to: i64) -> Option<SignedDuration> {
        let ticks = to.checked_sub(from)?;
        let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(self.ticks_per_second.max(1));
        Some(SignedDuration::from_nanos(i64::try_from(nanos).ok()?))
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
        let fraction = ((time.subsec_nanosecond() as u64) << 32) / 1_000_000_000;
        (((time.as_second() + 2_208_988_800) as u64) << 32) | fraction
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
            self.report_ms(1000 * off);
        }

        fn report_ms(&mut self, off: i64) {
            let time = self.now() + SignedDuration::from_millis(off);
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
    fn a_camera_that_plays_too_fast_does_not_run_away() {
        let mut street = Street::new();
        for nth in 0..20_000u32 {
            // A hundred pictures in the time of one, and a report of the true time every 30 of them.
            let instant = street.start + Duration::from_millis(1) * nth;
            let arrival = Arrival { instant, at: at(0) + SignedDuration::from_millis(nth.into()) };
            if nth.is_multiple_of(30) {
                street.clock.report(i64::from(nth) * 9000, ntp(arrival.at));
            }
            let captured_at = street.clock.captured_at(i64::from(nth) * 9000, arrival).unwrap();
            let ahead = captured_at.duration_since(arrival.at);
            assert!(ahead <= SignedDuration::from_millis(5100), "{ahead} ahead after {nth} pictures");
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
    fn camera_clock_that_steps_either_way_blinds_nobody() {
        for step_ms in [500, 2000, 4900, 5100, 3_600_000].into_iter().flat_map(|ms| [ms, -ms]) {
            let mut street = Street::new();
            street.report(0);
            street.seconds(20);
            street.report_ms(step_ms);
            for nth in 0..600 {
                let last = street.last.unwrap();
                let step = street.picture().unwrap().duration_since(last);
                assert!(step >= SignedDuration::from_millis(80), "{step_ms} ms, picture {nth}: {step:?}");
            }
            let off = street.last.unwrap().duration_since(street.now());
            let expected = if step_ms.abs() > 5000 { 0 } else { step_ms };
            assert!((off.as_millis() - i128::from(expected)).abs() <= 150, "{step_ms} ms: {off:?} in the end");
        }
    }

    #[test]
    fn rtp_times_that_fall_back_blind_nobody() {
        let mut street = Street::new();
        street.report(0);
        street.seconds(5);
        for nth in 0..20 {
            let instant = street.start + Duration::from_millis(100) * street.n_pictures;
            let arrival = Arrival { instant, at: street.now() };
            let captured_at = street.clock.captured_at((20 + nth) * 9000, arrival).unwrap();
            let last = street.last.replace(captured_at).unwrap();
            assert!(captured_at.duration_since(last) >= SignedDuration::from_millis(80), "{nth}");
            street.n_pictures += 1;
        }
    }

    #[test]
    fn pictures_out_of_order_keep_the_clock() {
        let mut street = Street::new();
        street.report(0);
        for nth in [0, 3, 1, 2, 6, 4, 5, 9] {
            let instant = street.start + Duration::from_millis(100) * street.n_pictures;
            let captured_at = street.clock.captured_at(nth * 9000, Arrival { instant, at: street.now() }).unwrap();
            street.last = Some(captured_at);
            street.n_pictures += 1;
        }
        assert_eq!(street.last, Some(at(0) + SignedDuration::from_millis(900)));
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
