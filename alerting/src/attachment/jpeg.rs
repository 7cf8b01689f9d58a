//! What a JPEG consists of, by its markers (ITU-T T.81, annex B), without decoding anything.

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// What matters before decoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// Passes over the picture.
    pub n_scans: usize,
    /// Its end is there.
    pub is_whole: bool,
}

/// Reads the markers up to the picture's end; what stands behind it (a film, a second picture) doesn't matter.
pub(super) fn outline(bytes: &[u8]) -> Outline {
    let (mut n_scans, mut is_whole) = (0, false);
    for (marker, _) in segments(bytes) {
        n_scans += usize::from(marker == SCAN);
        is_whole = marker == END;
    }
    Outline { n_scans, is_whole }
}

/// Markers with what belongs to them, in order; ends behind the end marker or where bytes are missing.
pub(super) fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let (mut rest, mut is_over) = (bytes, false);
    std::iter::from_fn(move || {
        while !is_over && let Some((&[lead, marker], after)) = rest.split_first_chunk::<2>() {
            // Coded data: 00 is stuffing, ff is fill, d0 to d7 restart the coder, 01 means nothing.
            if lead != 0xff || matches!(marker, 0x00 | 0x01 | 0xd0..=0xd7 | 0xff) {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            if matches!(marker, START | END) {
                (rest, is_over) = (after, marker == END);
                return Some((marker, &after[..0]));
            }
            let n_bytes = usize::from(u16::from_be_bytes(*after.first_chunk::<2>()?));
            let payload = after.get(2..n_bytes.max(2))?;
            rest = after.get(n_bytes.max(2)..)?;
            return Some((marker, payload));
        }
        None
    })
}
