//! The gate decides, before anything is decoded, what becomes of an access unit.

use crate::{access_unit::AccessUnit, settings::GatePolicy};

/// What becomes of an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Decoded alone by a decoder that all cameras share.
    Still,
    /// Decoded in sequence by the camera's leased decoder.
    Stream,
    /// Not decoded.
    Skip,
}

impl Decision {
    /// The name for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Still => "still",
            Decision::Stream => "stream",
            Decision::Skip => "skip",
        }
    }
}

/// One camera's gate.
#[derive(Debug)]
pub struct Gate {
    policy: GatePolicy,
}

impl Gate {
    /// A gate with this policy.
    pub fn new(policy: GatePolicy) -> Self {
        Self { policy }
    }

    /// Judges one access unit; `leased` says whether the camera has a decoder of its own.
    pub fn judge(&self, unit: &AccessUnit, leased: bool) -> Decision {
        match self.policy {
            GatePolicy::Always if leased => Decision::Stream,
            GatePolicy::Always | GatePolicy::Keyframes if unit.keyframe => Decision::Still,
            GatePolicy::Always | GatePolicy::Keyframes => Decision::Skip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::Codec;

    #[test]
    fn policies_choose_what_is_decoded() {
        let check = |policy, keyframe, leased, expected| {
            let captured_at = jiff::Timestamp::UNIX_EPOCH;
            let unit = AccessUnit { codec: Codec::H264, keyframe, captured_at, lost_packets: 0, bytes: Vec::new() };
            assert_eq!(Gate::new(policy).judge(&unit, leased), expected, "{policy:?} {keyframe} {leased}");
        };
        check(GatePolicy::Always, true, true, Decision::Stream);
        check(GatePolicy::Always, false, true, Decision::Stream);
        check(GatePolicy::Always, true, false, Decision::Still);
        check(GatePolicy::Always, false, false, Decision::Skip);
        check(GatePolicy::Keyframes, true, false, Decision::Still);
        check(GatePolicy::Keyframes, false, false, Decision::Skip);
        check(GatePolicy::Keyframes, false, true, Decision::Skip);
    }
}
