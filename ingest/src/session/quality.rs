//! How well a stream keeps to what a live camera sends: its rate, its keyframes, its packets. Pure; the time is a parameter.
//!
//! A camera that sends faster than any real one is read no faster than the bound: TCP holds it back, so it costs neither
//! memory nor others their turn.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Access units a second that a stream may bring for long, and at once.
const UNITS_PER_SECOND: f64 = 120.0;
const BURST_UNITS: f64 = 600.0;
/// Bytes a second, and at once.
const BYTES_PER_SECOND: f64 = 16e6;
const BURST_BYTES: f64 = 64e6;
/// Without a keyframe for so long a stream is no use to those who come late.
const KEYFRAME_WITHIN: Duration = Duration::from_secs(30);
/// Without one for so long it is entered at the best that comes, and after so long again if that was of no use.
const ENTER_AFTER: Duration = Duration::from_secs(10);
const ENTER_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How long a remark stays after its reason.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Losses are judged over so long.
const LOSS_WINDOW: Duration = Duration::from_secs(30);
/// More lost packets than this in the window are worth a word.
const MOST_LOST: u64 = 50;
/// Packets in a row that may make no sense before the stream is given up.
const MOST_BAD: u32 = 32;

/// One stream's conduct.
#[derive(Debug)]
pub struct Quality {
    units: Bucket,
    bytes: Bucket,
    held_back_at: Option<Instant>,
    keyframe_at: Instant,
    entered_at: Option<Instant>,
    losses: VecDeque<(Instant, u64)>,
    n_bad: u32,
    n_reordered: u64,
}

impl Quality {
    /// A stream that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            units: Bucket::new(UNITS_PER_SECOND, BURST_UNITS, now),
            bytes: Bucket::new(BYTES_PER_SECOND, BURST_BYTES, now),
            held_back_at: None,
            keyframe_at: now,
            entered_at: None,
            losses: VecDeque::new(),
            n_bad: 0,
            n_reordered: 0,
        }
    }

    /// Takes an access unit; the answer is when the next may be read.
    pub fn unit(&mut self, n_bytes: usize, keyframe: bool, lost: u16, now: Instant) -> Instant {
        if keyframe {
            self.keyframe_at = now;
        }
        if lost > 0 {
            self.lost(u64::from(lost), now);
        }
        let next = self.units.take(1.0, now).max(self.bytes.take(n_bytes as f64, now));
        if next > now {
            self.held_back_at = Some(now);
        }
        next
    }

    /// The stream was entered at a picture that doesn't stand alone.
    pub fn entered(&mut self, now: Instant) {
        self.entered_at = Some(now);
    }

    /// Whether the stream should be entered at the best that comes.
    pub fn wants_entry(&self, now: Instant) -> bool {
        let waited = |since: Instant, long: Duration| now.saturating_duration_since(since) >= long;
        waited(self.keyframe_at, ENTER_AFTER) && self.entered_at.is_none_or(|at| waited(at, ENTER_AGAIN_AFTER))
    }

    /// A packet in its order came.
    pub fn good_packet(&mut self) {
        self.n_bad = 0;
    }

    /// A packet that came late, twice (`out_of_order`) or damaged; the error is how many came in a row when that is too many.
    pub fn bad_packet(&mut self, out_of_order: bool, now: Instant) -> Result<(), u32> {
        self.n_bad += 1;
        self.n_reordered += u64::from(out_of_order);
        self.lost(1, now);
        if self.n_bad > MOST_BAD { Err(self.n_bad) } else { Ok(()) }
    }

    /// What is wrong with the stream, with its cure.
    pub fn remark(&self, now: Instant) -> Option<String> {
        if self.held_back_at.is_some_and(|at| now.duration_since(at) < REMEMBERED) {
            return Some(format!(
                "it sends more than {UNITS_PER_SECOND:.0} pictures or {:.0} MB a second and is held back; lower its rate, \
                 or see whether it plays a recording",
                BYTES_PER_SECOND / 1e6
            ));
        }
        // Before the lack of keyframes: they are the largest pictures, so where packets are lost none may come whole.
        let n_lost = self.n_lost(now);
        if n_lost > MOST_LOST {
            return Some(format!(
                "{n_lost} packets lost or out of order in {} s; check the network, or set its transport to tcp",
                LOSS_WINDOW.as_secs()
            ));
        }
        self.lacks_keyframes(now).then(|| {
            format!(
                "no keyframe (IDR) for {} s; set its I-frame interval to 1 or 2 s and switch off smart coding and intra refresh",
                KEYFRAME_WITHIN.as_secs()
            )
        })
    }

    /// Whether keyframes came too long ago for a camera that is to be analysed.
    pub fn lacks_keyframes(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.keyframe_at) > KEYFRAME_WITHIN
    }

    /// Packets that came late or twice in this session.
    pub fn n_reordered(&self) -> u64 {
        self.n_reordered
    }

    /// Packets that were lately lost, late, doubled or damaged.
    pub fn n_lost(&self, now: Instant) -> u64 {
        self.losses.iter().filter(|(at, _)| now.duration_since(*at) < LOSS_WINDOW).map(|loss| loss.1).sum()
    }

    fn lost(&mut self, n_packets: u64, now: Instant) {
        while self.losses.front().is_some_and(|(at, _)| now.duration_since(*at) >= LOSS_WINDOW) {
            self.losses.pop_front();
        }
        match self.losses.back_mut().filter(|(at, _)| now.duration_since(*at) < Duration::from_secs(1)) {
            Some((_, n)) => *n += n_packets,
            None => self.losses.push_back((now, n_packets)),
        }
    }
}

/// A bucket that fills with time; it may be overdrawn once, and is then waited for.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    most: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_second: f64, most: f64, now: Instant) -> Self {
        Self { per_second, most, level: most, at: now }
    }

    fn take(&mut self, amount: f64, now: Instant) -> Instant {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + elapsed * self.per_second).min(self.most) - amount;
        if self.level >= 0.0 { now } else { now + Duration::from_secs_f64(-self.level / self.per_second) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(quality: &mut Quality, start: Instant, n_units: u32, every: Duration, keyframe_every: u32) -> Instant {
        let mut now = start;
        for nth in 0..n_units {
            let next = quality.unit(20_000, nth % keyframe_every == 0, 0, now);
            now = next.max(now + every);
        }
        now
    }

    #[test]
    fn a_camera_of_60_pictures_a_second_is_never_held_back() {
        let start = Instant::now();
        let mut quality = Quality::new(start);
        let end = feed(&mut quality, start, 6000, Duration::from_micros(16_667), 60);
        assert!(end.duration_since(start) < Duration::from_secs(101));
        assert_eq!(quality.remark(end), None);
    }

    #[test]
    fn a_hundred_times_the_speed_is_held_back_and_told() {
        let start = Instant::now();
        let mut quality = Quality::new(start);
        let end = feed(&mut quality, start, 6000, Duration::from_micros(400), 50);
        assert!(end.duration_since(start) > Duration::from_secs(40), "{:?}", end.duration_since(start));
        assert!(quality.remark(end).unwrap().contains("held back"));
        assert_eq!(quality.remark(end + REMEMBERED), None);
    }

    #[test]
    fn a_stream_without_keyframes_is_told() {
        let start = Instant::now();
        let mut quality = Quality::new(start);
        let end = feed(&mut quality, start, 25 * 31, Duration::from_millis(40), u32::MAX);
        assert!(quality.remark(end).unwrap().contains("keyframe"));
    }

    #[test]
    fn lost_keyframes_are_told_as_losses() {
        let start = Instant::now();
        let mut quality = Quality::new(start);
        let end = feed(&mut quality, start, 25 * 31, Duration::from_millis(40), u32::MAX);
        quality.unit(1, false, 80, end);
        assert!(quality.lacks_keyframes(end) && quality.remark(end).unwrap().contains("80 packets"));
    }

    #[test]
    fn a_long_gop_is_no_fault() {
        let start = Instant::now();
        let mut quality = Quality::new(start);
        let end = feed(&mut quality, start, 25 * 60, Duration::from_millis(40), 250);
        assert_eq!(quality.remark(end), None);
    }

    #[test]
    fn many_losses_are_told_and_few_are_not() {
        let start = Instant::now();
        let mut quality = Quality::new(start);
        quality.unit(1, true, 40, start);
        assert_eq!(quality.remark(start), None);
        quality.unit(1, true, 40, start);
        assert!(quality.remark(start).unwrap().contains("80 packets"));
        assert!(quality.remark(start + LOSS_WINDOW - Duration::from_secs(1)).is_some());
    }

    #[test]
    fn packets_that_never_make_sense_end_the_stream() {
        let now = Instant::now();
        let mut quality = Quality::new(now);
        assert!((0..MOST_BAD).all(|_| quality.bad_packet(false, now).is_ok()));
        assert!(quality.bad_packet(false, now).is_err());
        quality.good_packet();
        assert!(quality.bad_packet(true, now).is_ok());
        assert_eq!(quality.n_reordered(), 1);
    }

    #[test]
    fn a_stream_without_keyframes_is_entered_after_ten_seconds_and_rarely_again() {
        let start = Instant::now();
        let mut quality = Quality::new(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!quality.wants_entry(after(9)));
        assert!(quality.wants_entry(after(10)));
        quality.entered(after(11));
        assert!(!quality.wants_entry(after(40)));
        assert!(quality.wants_entry(after(41)));
        assert!(quality.lacks_keyframes(after(41)), "an entry is no keyframe");
        quality.unit(1, true, 0, after(41));
        assert!(!quality.wants_entry(after(50)));
    }
}
