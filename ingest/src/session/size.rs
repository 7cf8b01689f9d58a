//! How large a stream's pictures are, by the parameter sets of a keyframe: for cameras whose description has none.
//!
//! The library reads parameter sets only as a description writes them, so they are written so.

use std::panic::catch_unwind;

use base64::{Engine, engine::general_purpose::STANDARD};
use retina::codec::{Depacketizer, ParametersRef};

use super::{
    depacketize::LARGEST_PARAMETER_SET,
    nal::{self, Role},
};
use crate::access_unit::Codec;

/// Ticks of the RTP clock in a second, which both codings fix.
const TICKS: u32 = 90_000;

/// Width and height of the picture of a keyframe's NAL units, where its parameter sets can be read.
pub fn of_keyframe(codec: Codec, bytes: &[u8]) -> Option<(u32, u32)> {
    let described = described(codec, bytes)?;
    // The library reads a camera's bytes here; its panic must not end the camera's task.
    let read = catch_unwind(|| Depacketizer::new("video", codec.as_str(), TICKS, None, Some(&described))).ok()?;
    match read.ok()?.parameters() {
        Some(ParametersRef::Video(video)) => Some(video.pixel_dimensions()),
        _ => None,
    }
}

/// The first parameter set of each kind as a description writes it (RFC 6184, 8.1; RFC 7798, 7.1).
fn described(codec: Codec, bytes: &[u8]) -> Option<String> {
    let mut sets = [const { None }; 3];
    for nal in nal::split(bytes) {
        match nal.first().map(|first| nal::role(codec, *first)) {
            Some(Role::ParameterSet(kind)) if nal.len() <= LARGEST_PARAMETER_SET => {
                sets[kind].get_or_insert_with(|| STANDARD.encode(nal));
            }
            Some(Role::Picture | Role::Keyframe) => break,
            _ => {}
        }
    }
    match (codec, sets) {
        (Codec::H264, [_, Some(sps), Some(pps)]) => Some(format!("sprop-parameter-sets={sps},{pps}")),
        (Codec::H265, [Some(vps), Some(sps), Some(pps)]) => {
            Some(format!("sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_tells_the_size_of_its_picture() {
        let fixtures: [(Codec, &[u8], (u32, u32)); 3] = [
            (Codec::H264, include_bytes!("../../tests/fixtures/small.h264"), (64, 48)),
            (Codec::H264, include_bytes!("../../tests/fixtures/large.h264"), (96, 64)),
            (Codec::H265, include_bytes!("../../tests/fixtures/small.h265"), (160, 160)),
        ];
        for (codec, stream, expected) in fixtures {
            assert_eq!(of_keyframe(codec, stream), Some(expected));
        }
        assert_eq!(of_keyframe(Codec::H264, &[0, 0, 0, 1, 0x65, 0x88]), None, "no parameter sets");
    }

    proptest::proptest! {
        #[test]
        fn any_parameter_sets_are_read_or_not(h265: bool, sets in proptest::collection::vec(0u8.., 0..60)) {
            let (codec, heads): (Codec, &[&[u8]]) = match h265 {
                false => (Codec::H264, &[&[0x67], &[0x68]]),
                true => (Codec::H265, &[&[0x40, 1], &[0x42, 1], &[0x44, 1]]),
            };
            let bytes: Vec<u8> = heads.iter().flat_map(|head| [&[0, 0, 0, 1], *head, &sets].concat()).collect();
            let _ = of_keyframe(codec, &bytes);
        }
    }
}
