//! From RTP timestamps to capture time: RTCP sender reports say which wall time an RTP time was.
//!
//! A camera whose clock is off by more than the tolerance is not believed: its pictures get the time they arrived, and the
//! offset is known for its status. Not here: smoothing of network jitter.

use jiff::{SignedDuration, Timestamp};

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
}

impl WallClock {
    /// A clock without a report yet; capture times are arrival times until one comes.
    pub fn new(ticks_per_second: u32, tolerance: SignedDuration) -> Self {
        Self { ticks_per_second, tolerance, anchor: None, offset: SignedDuration::ZERO }
    }

    /// Takes a sender report: `rtp` in ticks, `ntp` as 32.32 fixed-point seconds since 1900 (RFC 3550, 6.4.1).
    pub fn report(&mut self, rtp: i64, ntp: u64) {
        self.anchor = ntp_to_utc(ntp).map(|wall| Anchor { rtp, wall });
    }

    /// When the picture with this RTP time was taken, given when it arrived.
    pub fn captured_at(&mut self, rtp: i64, arrived_at: Timestamp) -> Timestamp {
        let Some(captured_at) = self.anchor.and_then(|anchor| self.project(anchor, rtp)) else { return arrived_at };
        self.offset = captured_at.duration_since(arrived_at);
        if self.is_believed() { captured_at } else { arrived_at }
    }

    /// How far the camera's clock was ahead of ours (transport delay included) at the last picture.
    pub fn offset(&self) -> SignedDuration {
        self.offset
    }

    /// False while the camera's clock is off by more than the tolerance.
    pub fn is_believed(&self) -> bool {
        self.offset.abs() <= self.tolerance
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
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn ntp(time: Timestamp) -> u64 {
        ((time.as_second() + 2_208_988_800) as u64) << 32
    }

    fn clock() -> WallClock {
        WallClock::new(90_000, SignedDuration::from_secs(5))
    }

    #[test]
    fn arrival_counts_until_the_first_report() {
        assert_eq!(clock().captured_at(12_345, at(3)), at(3));
    }

    #[test]
    fn report_gives_capture_time() {
        let mut clock = clock();
        clock.report(900_000, ntp(at(10)));
        assert_eq!(clock.captured_at(900_000 + 180_000, at(13)), at(12));
        assert_eq!(clock.captured_at(900_000 - 90_000, at(10)), at(9));
        assert!(clock.is_believed());
    }

    #[test]
    fn clock_that_is_far_off_is_not_believed() {
        let mut clock = clock();
        clock.report(0, ntp(at(-7200)));
        assert_eq!(clock.captured_at(0, at(0)), at(0));
        assert!(!clock.is_believed());
        assert_eq!(clock.offset(), SignedDuration::from_secs(-7200));
        clock.report(90_000, ntp(at(1)));
        assert_eq!(clock.captured_at(90_000, at(1)), at(1));
        assert!(clock.is_believed());
    }

    proptest::proptest! {
        #[test]
        fn hostile_reports_never_panic(rtp: i64, ntp: u64, later: i64) {
            let mut clock = clock();
            clock.report(rtp, ntp);
            let _ = clock.captured_at(later, at(0));
        }
    }
}
