//! Which pictures of a stream are decoded, and which of those are analysed: all that a picture which is looked at needs, and no other.
//!
//! Access units are kept until a picture is due that somebody must see, and are then decoded in one go: what a decoder works on is large, and dear to
//! fetch again after another camera's. Where tracks may be carried on without a look, nothing is decoded for it; and once a keyframe comes, what is still
//! kept before it is needed by nothing any more, and never is decoded. Pure; times are capture times.

use jiff::{SignedDuration, Timestamp};

use super::Pace;
use crate::access_unit::AccessUnit;

/// Most access units that are kept for a later picture: a second at 25/s, and some.
const MAX_KEPT_UNITS: usize = 32;
/// Most bytes of them.
const MAX_KEPT_BYTES: usize = 4 << 20;
/// A keyframe that is expected so soon is waited for.
const KEYFRAME_SOON: SignedDuration = SignedDuration::from_millis(450);
/// Keyframes so far apart are those that pictures to analyse are counted from.
const ALIGNS_FROM: SignedDuration = SignedDuration::from_millis(900);
/// One that comes so shortly before a look is due is looked at instead: it needs no other picture.
const KEYFRAME_EARLY: SignedDuration = SignedDuration::from_millis(250);
/// Keyframes come a little early or late.
const JITTER: SignedDuration = SignedDuration::from_millis(60);

/// Until when nobody has to look, because tracks are carried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// No picture is needed before.
    pub until: Timestamp,
    /// One is needed by then; in between, a keyframe may be waited for.
    pub by: Timestamp,
}

/// What becomes of an access unit.
pub(crate) enum Next {
    /// Nothing yet.
    Later,
    /// Nothing yet, and tracks are to be carried on to its time.
    Carry,
    /// These are to be decoded, and the last one's picture is to be analysed.
    Analyse(Vec<AccessUnit>),
    /// These are to be decoded, because no more can be kept.
    Decode(Vec<AccessUnit>),
}

/// One camera's stream on its way to a decoder.
pub(crate) struct Sequence {
    pace: Pace,
    kept: Vec<AccessUnit>,
    n_bytes: usize,
    keyframe_at: Option<Timestamp>,
    keyframe_interval: Option<SignedDuration>,
}

impl Sequence {
    /// At most so many pictures a second are analysed.
    pub(crate) fn new(analysis_fps: f32) -> Self {
        Self { pace: Pace::new(analysis_fps), kept: Vec::new(), n_bytes: 0, keyframe_at: None, keyframe_interval: None }
    }

    /// Takes the stream's next access unit, and how many are never decoded because of it. `rest`: whether nobody has to look for
    /// now.
    pub(crate) fn take(&mut self, unit: AccessUnit, rest: Option<Rest>) -> (Next, u64) {
        let (at, keyframe, mut n_spared) = (unit.captured_at, unit.keyframe, 0);
        if keyframe {
            n_spared = self.forget();
            self.keyframe_interval = self.keyframe_at.map(|before| at.duration_since(before));
            self.keyframe_at = Some(at);
            if self.keyframe_interval.is_some_and(|interval| interval >= ALIGNS_FROM) {
                self.pace.align(at);
            }
        }
        let is_due = self.pace.admits(at);
        self.n_bytes += unit.bytes.len();
        self.kept.push(unit);
        let is_full = self.kept.len() >= MAX_KEPT_UNITS || self.n_bytes >= MAX_KEPT_BYTES;
        let next = match (is_due, rest.is_some_and(|rest| self.may_rest(at, keyframe, rest))) {
            (true, false) => Next::Analyse(self.hand_over()),
            (true, true) if !is_full => Next::Carry,
            (false, _) if !is_full => Next::Later,
            // Whoever is carried on is carried with the next picture that is due.
            _ => Next::Decode(self.hand_over()),
        };
        (next, n_spared)
    }

    /// Whether a picture of this time would be due now.
    pub(crate) fn is_due(&self, at: Timestamp) -> bool {
        self.pace.would_admit(at)
    }

    /// Whether a picture that stands alone is analysed.
    pub(crate) fn admits(&mut self, at: Timestamp) -> bool {
        self.pace.admits(at)
    }

    /// The stream ends: how many are never decoded because of it.
    pub(crate) fn forget(&mut self) -> u64 {
        self.n_bytes = 0;
        self.kept.drain(..).count() as u64
    }

    fn hand_over(&mut self) -> Vec<AccessUnit> {
        self.n_bytes = 0;
        std::mem::take(&mut self.kept)
    }

    fn may_rest(&self, at: Timestamp, keyframe: bool, rest: Rest) -> bool {
        if keyframe {
            return rest.until.duration_since(at) > KEYFRAME_EARLY;
        }
        at < rest.until || (at < rest.by && self.keyframe_within(at, rest.by))
    }

    /// Whether a keyframe is expected soon, and by then.
    fn keyframe_within(&self, at: Timestamp, by: Timestamp) -> bool {
        let expected =
            self.keyframe_at.zip(self.keyframe_interval).and_then(|(last, interval)| last.checked_add(interval).ok());
        expected.is_some_and(|expected| {
            expected.duration_since(at) > -JITTER
                && expected.duration_since(at) <= KEYFRAME_SOON
                && expected.duration_since(by) <= JITTER
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::Codec;

    const GOP: i64 = 50;

    fn at(nth: i64) -> Timestamp {
        Timestamp::from_millisecond(1_790_000_000_000 + nth * 40).unwrap()
    }

    fn unit(nth: i64, gop: i64) -> AccessUnit {
        AccessUnit {
            codec: Codec::H264,
            keyframe: nth % gop == 0,
            captured_at: at(nth),
            lost_packets: 0,
            bytes: vec![0; 100].into(),
        }
    }

    /// Plays a second-long stream at 25/s, five analysed a second; after each look nobody has to look for `rest` pictures, and one is
    /// needed `latest` pictures later. Gives the pictures that were looked at, all decoded ones, and all carried to.
    fn played(n_units: i64, gop: i64, rest: Option<(i64, i64)>) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
        let mut sequence = Sequence::new(5.0);
        let (mut looked, mut decoded, mut carried) = (Vec::new(), Vec::new(), Vec::new());
        let mut resting = None;
        for nth in 0..n_units {
            let (next, _) = sequence.take(unit(nth, gop), resting);
            let nth_of = |unit: &AccessUnit| (unit.captured_at.as_millisecond() - at(0).as_millisecond()) / 40;
            match next {
                Next::Later => {}
                Next::Carry => carried.push(nth),
                Next::Analyse(units) => {
                    decoded.extend(units.iter().map(nth_of));
                    looked.push(nth);
                    resting = rest.map(|(until, by)| Rest { until: at(nth + until), by: at(nth + by) });
                }
                Next::Decode(units) => decoded.extend(units.iter().map(nth_of)),
            }
        }
        (looked, decoded, carried)
    }

    #[test]
    fn what_no_later_picture_needs_is_never_decoded() {
        let (looked, decoded, carried) = played(101, GOP, None);
        assert_eq!(looked, (0..101).step_by(5).collect::<Vec<_>>());
        assert!(carried.is_empty());
        let expected: Vec<i64> = (0..=45).chain(50..=95).chain([100]).collect();
        assert_eq!(decoded, expected);
    }

    #[test]
    fn a_rest_ends_with_a_keyframe_that_is_expected_soon() {
        let (looked, decoded, carried) = played(201, GOP, Some((15, 20)));
        // The first group teaches how far apart keyframes are.
        assert_eq!(looked, [0, 15, 30, 45, 60, 75, 90, 100, 115, 130, 150, 165, 180, 200], "{looked:?}");
        assert!((131..150).all(|nth| !decoded.contains(&nth)));
        assert!(carried.contains(&135) && carried.contains(&145));
    }

    #[test]
    fn a_keyframe_that_does_not_come_is_not_waited_for() {
        let mut sequence = Sequence::new(5.0);
        let rest = Some(Rest { until: at(110), by: at(119) });
        (0..=50).for_each(|nth| drop(sequence.take(unit(nth, GOP), None)));
        let late = |nth: i64| unit(nth, 1000);
        let looks = (51..=125).filter(|nth| {
            let rest = rest.filter(|_| *nth > 95);
            matches!(sequence.take(late(*nth), rest).0, Next::Analyse(_)) && *nth > 95
        });
        assert_eq!(
            looks.collect::<Vec<_>>(),
            [110, 115, 120, 125],
            "a keyframe was expected at 100, and is not any more"
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (looked, decoded, carried) = played(1000, 1000, Some((900, 900)));
        assert_eq!(looked, [0, 900]);
        assert!(carried.len() > 150);
        assert!(decoded.len() > 860, "long rests are decoded through: {}", decoded.len());
        let mut sequence = Sequence::new(5.0);
        let rest = Some(Rest { until: at(9000), by: at(9000) });
        for nth in 0..1000 {
            let _ = sequence.take(unit(nth, 1000), rest);
            assert!(sequence.kept.len() <= MAX_KEPT_UNITS);
        }
    }

    proptest::proptest! {
        #[test]
        fn each_picture_is_decoded_after_all_since_its_keyframe(gop in 1i64..120, until in 0i64..30, more in 0i64..12) {
            let (looked, decoded, _) = played(400, gop, Some((until, until + more)));
            proptest::prop_assert!(decoded.is_sorted());
            for nth in looked {
                let keyframe = nth / gop * gop;
                let needed = decoded.iter().filter(|at| (keyframe..=nth).contains(*at)).count() as i64;
                proptest::prop_assert_eq!(needed, nth - keyframe + 1);
            }
        }
    }
}
