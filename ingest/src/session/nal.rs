//! What a NAL unit is, by its header and no further than the first bits behind it.

use crate::access_unit::Codec;

/// Of a NAL unit of supplemental information no more is looked at; some cameras put pages of their own into it.
const LONGEST_SEI: usize = 4096;

/// What a NAL unit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A part of a picture that needs others.
    Picture,
    /// A part of a picture that needs none.
    Keyframe,
    /// A parameter set: 0 VPS, 1 SPS, 2 PPS.
    ParameterSet(usize),
    /// Supplemental information.
    Sei,
    /// An access unit delimiter.
    Delimiter,
    /// Anything else.
    Other,
}

/// Bytes of a NAL unit's header.
pub fn header_len(codec: Codec) -> usize {
    match codec {
        Codec::H264 => 1,
        Codec::H265 => 2,
    }
}

/// The type's number.
pub fn kind(codec: Codec, first: u8) -> u8 {
    match codec {
        Codec::H264 => first & 0x1f,
        Codec::H265 => (first >> 1) & 0x3f,
    }
}

/// What a NAL unit is for, by its first byte.
pub fn role(codec: Codec, first: u8) -> Role {
    match (codec, kind(codec, first)) {
        (Codec::H264, 1..=4) | (Codec::H265, 0..=15) => Role::Picture,
        (Codec::H264, 5) | (Codec::H265, 16..=23) => Role::Keyframe,
        (Codec::H264, 6) | (Codec::H265, 39 | 40) => Role::Sei,
        (Codec::H264, 9) | (Codec::H265, 35) => Role::Delimiter,
        (Codec::H265, 32) => Role::ParameterSet(0),
        (Codec::H264, 7) | (Codec::H265, 33) => Role::ParameterSet(1),
        (Codec::H264, 8) | (Codec::H265, 34) => Role::ParameterSet(2),
        _ => Role::Other,
    }
}

/// The NAL units between start codes of three or four bytes, without them.
pub fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = skip_to_nal(bytes);
    std::iter::from_fn(move || {
        let all = rest.take()?;
        let end = all.windows(3).position(|three| three == [0, 0, 1]);
        rest = end.and_then(|end| skip_to_nal(&all[end..]));
        let nal = &all[..end.unwrap_or(all.len())];
        let n_zeros = nal.iter().rev().take_while(|byte| **byte == 0).count();
        Some(&nal[..nal.len() - n_zeros])
    })
    .filter(|nal| !nal.is_empty())
}

fn skip_to_nal(bytes: &[u8]) -> Option<&[u8]> {
    bytes.windows(3).position(|three| three == [0, 0, 1]).map(|at| &bytes[at + 3..])
}

/// True when the picture of these NAL units can be decoded without any other: an IDR or IRAP picture, or one at an H.264
/// recovery point that is exact at once.
pub fn stands_alone(codec: Codec, nals: &[&[u8]]) -> bool {
    let role_of = |nal: &&[u8]| nal.first().map(|first| role(codec, *first));
    let pictures: Vec<Role> =
        nals.iter().filter_map(role_of).filter(|role| matches!(role, Role::Picture | Role::Keyframe)).collect();
    if pictures.is_empty() || pictures.iter().all(|role| *role == Role::Keyframe) {
        return !pictures.is_empty();
    }
    codec == Codec::H264
        && nals.iter().any(|nal| is_recovery_point(nal))
        && nals.iter().filter(|nal| role_of(nal) == Some(Role::Picture)).all(|nal| is_intra_slice(nal))
}

/// True when a stream may be entered at the picture of these NAL units if nothing better comes, though what it shows first may be
/// damaged: a recovery point however far its recovery is, as periodic intra refresh has them, or an H.264 picture of intra slices.
pub fn may_be_entered(codec: Codec, nals: &[&[u8]]) -> bool {
    let pictures: Vec<&&[u8]> =
        nals.iter().filter(|nal| nal.first().is_some_and(|first| role(codec, *first) == Role::Picture)).collect();
    let recovers = || nals.iter().any(|nal| recovery_point(codec, nal).is_some());
    !pictures.is_empty() && (recovers() || codec == Codec::H264 && pictures.iter().all(|nal| is_intra_slice(nal)))
}

/// An SEI message of a recovery point with a recovery_frame_cnt of 0.
fn is_recovery_point(nal: &[u8]) -> bool {
    recovery_point(Codec::H264, nal).is_some_and(|payload| payload & 0x80 != 0)
}

/// The first byte of the payload of type 6 (H.264, D.1.8; H.265, D.2.8) among the SEI messages of a NAL unit.
fn recovery_point(codec: Codec, nal: &[u8]) -> Option<u8> {
    if role(codec, *nal.first()?) != Role::Sei {
        return None;
    }
    let bytes = unescaped(nal.get(header_len(codec)..)?.iter().take(LONGEST_SEI));
    let mut rest = &bytes[..];
    // Two bytes are the least that a message has; a shorter rest is the trailing bits.
    while rest.len() > 2 {
        let kind = sei_number(&mut rest)?;
        let size = sei_number(&mut rest)?;
        if kind == 6 {
            return rest.first().copied().filter(|_| size > 0);
        }
        rest = rest.get(size..)?;
    }
    None
}

/// A number of an SEI message's head: bytes of 255 add up until one is smaller.
fn sei_number(rest: &mut &[u8]) -> Option<usize> {
    let n_full = rest.iter().take_while(|byte| **byte == 255).count();
    let last = *rest.get(n_full)?;
    *rest = &rest[n_full + 1..];
    Some(255 * n_full + usize::from(last))
}

/// Without the bytes that keep a start code from appearing (H.264, 7.3.1).
fn unescaped<'a>(bytes: impl Iterator<Item = &'a u8>) -> Vec<u8> {
    let (mut plain, mut n_zeros) = (Vec::new(), 0);
    for byte in bytes {
        if n_zeros >= 2 && *byte == 3 {
            n_zeros = 0;
            continue;
        }
        n_zeros = if *byte == 0 { n_zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    plain
}

/// slice_type I or SI behind first_mb_in_slice (H.264, 7.3.3).
fn is_intra_slice(nal: &[u8]) -> bool {
    let mut bits = Bits { bytes: nal.get(1..).unwrap_or_default(), at: 0 };
    let slice_type = bits.exp_golomb().and_then(|_| bits.exp_golomb());
    slice_type.is_some_and(|slice_type| matches!(slice_type % 5, 2 | 4) && slice_type < 10)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = (byte >> (7 - self.at % 8)) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    fn exp_golomb(&mut self) -> Option<u32> {
        let mut n_zeros = 0;
        while self.bit()? == 0 {
            n_zeros += 1;
            if n_zeros > 20 {
                return None;
            }
        }
        let mut value = 1;
        for _ in 0..n_zeros {
            value = (value << 1) | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_both_lengths_split() {
        let bytes = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 1, 0x65, 3];
        assert_eq!(split(&bytes).collect::<Vec<_>>(), [&[0x67, 1][..], &[0x68, 2], &[0x65, 3]]);
        assert_eq!(split(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn idr_and_irap_pictures_stand_alone() {
        assert!(stands_alone(Codec::H264, &[&[0x67], &[0x65, 0x88]]));
        assert!(!stands_alone(Codec::H264, &[&[0x41, 0x9a]]));
        assert!(stands_alone(Codec::H265, &[&[0x2a, 1, 0]]));
        assert!(!stands_alone(Codec::H265, &[&[0x02, 1, 0]]));
        assert!(!stands_alone(Codec::H264, &[&[0x67], &[0x68]]), "no picture at all");
    }

    #[test]
    fn a_recovery_point_stands_alone_when_it_is_exact_at_once_and_intra() {
        // ue(0) = 1, ue(7) = 0001000: an I slice; ue(5) = 00110: a P slice.
        let (intra, predicted): (&[u8], &[u8]) = (&[0x41, 0b1000_1000, 0], &[0x41, 0b1001_1000, 0]);
        let (at_once, after_frames): (&[u8], &[u8]) = (&[6, 6, 1, 0b1100_0100], &[6, 6, 1, 0b0100_0100]);
        assert!(stands_alone(Codec::H264, &[at_once, intra]));
        assert!(!stands_alone(Codec::H264, &[at_once, predicted]));
        assert!(!stands_alone(Codec::H264, &[after_frames, intra]));
        assert!(!stands_alone(Codec::H264, &[intra]));
    }

    #[test]
    fn a_recovery_point_is_found_behind_other_messages() {
        let intra: &[u8] = &[0x41, 0b1000_1000, 0];
        // A message of 300 bytes (255 + 45), one with an emulation prevention byte that its size of 4 does not count, then the point.
        let long = [&[6, 5, 255, 45][..], &[0x55; 300]].concat();
        let escaped: &[u8] = &[1, 4, 0, 0, 3, 1, 9];
        for payload in [0b1100_0100, 0b0100_0100] {
            let nal = [&long[..], escaped, &[6, 1, payload, 0x80]].concat();
            assert_eq!(stands_alone(Codec::H264, &[&nal, intra]), payload & 0x80 != 0);
        }
    }

    #[test]
    fn streams_are_entered_at_recovery_points_and_intra_pictures() {
        let (intra, predicted): (&[u8], &[u8]) = (&[0x41, 0b1000_1000, 0], &[0x41, 0b1001_1000, 0]);
        let after_frames: &[u8] = &[6, 6, 1, 0b0100_0100, 0x80];
        assert!(may_be_entered(Codec::H264, &[after_frames, predicted]));
        assert!(may_be_entered(Codec::H264, &[intra]));
        assert!(!may_be_entered(Codec::H264, &[predicted]));
        assert!(!may_be_entered(Codec::H264, &[after_frames]), "no picture at all");
        assert!(may_be_entered(Codec::H265, &[&[0x4e, 1, 6, 1, 0x50, 0x80], &[0x02, 1, 0]]));
        assert!(!may_be_entered(Codec::H265, &[&[0x4e, 1, 5, 1, 0x50, 0x80], &[0x02, 1, 0]]));
    }

    proptest::proptest! {
        #[test]
        fn any_supplemental_information_is_read_to_its_end(bytes: Vec<u8>) {
            for (codec, head) in [(Codec::H264, &[6][..]), (Codec::H265, &[0x4e, 1])] {
                let _ = recovery_point(codec, &[head, &bytes].concat());
            }
        }

        #[test]
        fn any_bytes_split_without_start_codes(bytes: Vec<u8>) {
            for nal in split(&bytes) {
                proptest::prop_assert!(!nal.windows(3).any(|three| three == [0, 0, 1]));
            }
        }
    }
}
