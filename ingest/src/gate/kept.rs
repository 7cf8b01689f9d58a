//! The access units that a closed gate keeps, so that it can open with everything since the last picture that was looked at.
//!
//! Bounded in bytes and units: the gate asks for room first, and opens when there is none.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::access_unit::AccessUnit;

/// Most bytes kept for one camera.
pub const MAX_BYTES: usize = 6 << 20;
/// Most access units kept for one camera: a minute at 25/s.
const MAX_UNITS: usize = 1500;

/// Kept access units; the first is a keyframe.
#[derive(Default)]
pub struct Kept {
    units: VecDeque<AccessUnit>,
    n_bytes: usize,
}

impl Kept {
    /// Whether one more can be kept with the others.
    pub fn has_room_for(&self, unit: &AccessUnit) -> bool {
        self.units.len() < MAX_UNITS && self.n_bytes + unit.bytes.len() <= MAX_BYTES
    }

    /// Keeps one more. Without a keyframe before it, it would be of no use and is not kept; without room, nothing is.
    pub fn push(&mut self, unit: AccessUnit) {
        if !self.has_room_for(&unit) {
            self.clear();
        }
        if self.has_room_for(&unit) && (unit.keyframe || !self.units.is_empty()) {
            self.n_bytes += unit.bytes.len();
            self.units.push_back(unit);
        }
    }

    /// Forgets what comes before the last keyframe that was taken at `until` or earlier.
    pub fn forget_before(&mut self, until: Timestamp) {
        let nth = self.units.iter().rposition(|unit| unit.keyframe && unit.captured_at <= until);
        for unit in self.units.drain(..nth.unwrap_or(0)) {
            self.n_bytes -= unit.bytes.len();
        }
    }

    /// Everything kept, oldest first; it stays kept.
    pub fn units(&self) -> impl Iterator<Item = &AccessUnit> {
        self.units.iter()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether there is nothing to open with.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Bytes kept now.
    pub fn n_bytes(&self) -> usize {
        self.n_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::Codec;

    fn unit(keyframe: bool, second: i64, n_bytes: usize) -> AccessUnit {
        let captured_at = Timestamp::from_second(second).unwrap();
        AccessUnit { codec: Codec::H264, keyframe, captured_at, lost_packets: 0, bytes: vec![0; n_bytes].into() }
    }

    #[test]
    fn begins_with_a_keyframe_and_forgets_whole_groups() {
        let mut kept = Kept::default();
        kept.push(unit(false, 0, 9));
        assert!(kept.is_empty());
        (1..=9).for_each(|second| kept.push(unit(second % 3 == 1, second, 10)));
        kept.forget_before(Timestamp::from_second(6).unwrap());
        let seconds: Vec<i64> = kept.units().map(|unit| unit.captured_at.as_second()).collect();
        assert_eq!(seconds, [4, 5, 6, 7, 8, 9]);
        assert_eq!(kept.n_bytes(), 60);
    }

    #[test]
    fn is_bounded_in_bytes() {
        let mut kept = Kept::default();
        kept.push(unit(true, 0, MAX_BYTES - 5));
        assert!(!kept.has_room_for(&unit(false, 1, 6)));
        kept.push(unit(false, 1, 6));
        assert_eq!(kept.n_bytes(), 0, "what can't be continued is of no use");
        kept.push(unit(true, 3, 6));
        kept.push(unit(true, 4, MAX_BYTES + 1));
        assert!(kept.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn never_begins_without_a_keyframe(steps in proptest::collection::vec((proptest::bool::ANY, 0usize..1_500_000, 0i64..50), 1..100)) {
            let mut kept = Kept::default();
            for (index, (keyframe, n_bytes, until)) in steps.into_iter().enumerate() {
                kept.push(unit(keyframe, index as i64, n_bytes));
                kept.forget_before(Timestamp::from_second(until).unwrap());
                proptest::prop_assert!(kept.units().next().is_none_or(|first| first.keyframe));
                let n_bytes: usize = kept.units().map(|unit| unit.bytes.len()).sum();
                proptest::prop_assert_eq!(n_bytes, kept.n_bytes());
                proptest::prop_assert!(n_bytes <= MAX_BYTES);
            }
        }
    }
}
