//! One decoded picture, packed as I420 or NV12, as the decoder gave it, in memory of its own.
//!
//! RULES P06 and P11 are types here: a decoder makes a [`DecodedFrame`], whose only way on is `mask::paint`; that makes
//! a [`Frame`], whose planes only this crate's detector, redactor and `seal` read; the last gives ciphertext and nothing
//! else. Neither can be cloned, printed or serialised:
//!
//! ```compile_fail,E0277
//! fn needs_clone<T: Clone>() {}
//! needs_clone::<xueliang_inference::Frame>();
//! ```
//! ```compile_fail,E0277
//! fn needs_clone<T: Clone>() {}
//! needs_clone::<xueliang_inference::DecodedFrame>();
//! ```
//! ```compile_fail,E0277
//! fn needs_debug<T: std::fmt::Debug>() {}
//! needs_debug::<xueliang_inference::Frame>();
//! ```

mod memory;

use jiff::Timestamp;
use thiserror::Error;

use self::memory::Bytes;

/// Largest side that is accepted: 16K, beyond any camera.
const MAX_SIDE: u32 = 16_384;

/// A picture as the decoder made it, privacy masks not yet painted.
pub struct DecodedFrame {
    picture: Picture,
    captured_at: Timestamp,
}

/// A picture with its privacy masks painted.
pub struct Frame {
    picture: Picture,
    captured_at: Timestamp,
}

/// How luma and chroma become colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Colour {
    /// Which standard's coefficients.
    pub matrix: Matrix,
    /// Which values mean black and white.
    pub range: Range,
}

/// Coefficients of the conversion to RGB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601: standard definition, and what streams mean that say nothing.
    #[default]
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
}

/// Meaning of the luma values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// 16 is black, 235 is white.
    #[default]
    Limited,
    /// 0 is black, 255 is white.
    Full,
}

/// One plane of a decoder's buffer: rows of `stride` bytes.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    /// All rows; the last may be short of its padding.
    pub bytes: &'a [u8],
    /// Bytes from the start of a row to the start of the next.
    pub stride: usize,
}

/// The chroma of a decoder's buffer.
#[derive(Clone, Copy)]
pub enum Chroma<'a> {
    /// Two planes.
    I420 {
        /// Cb.
        u: Plane<'a>,
        /// Cr.
        v: Plane<'a>,
    },
    /// One plane of Cb, Cr pairs.
    Nv12 {
        /// Cb and Cr.
        uv: Plane<'a>,
    },
}

/// A decoder's buffer, borrowed.
#[derive(Clone, Copy)]
pub struct Planes<'a> {
    /// Width of the luma plane.
    pub width: u32,
    /// Height of the luma plane.
    pub height: u32,
    /// Luma.
    pub luma: Plane<'a>,
    /// Chroma.
    pub chroma: Chroma<'a>,
}

/// Why a buffer is not a picture.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// A side that is zero or absurd.
    #[error("a picture of {width}×{height} is not between 2×2 and {MAX_SIDE}×{MAX_SIDE}")]
    Size {
        /// Given width.
        width: u32,
        /// Given height.
        height: u32,
    },
    /// A plane with too few bytes, or a stride below its row.
    #[error("the {plane} plane has {bytes} bytes at stride {stride}, too few for {rows} rows of {row} bytes")]
    PlaneTooShort {
        /// Which plane.
        plane: &'static str,
        /// Bytes given.
        bytes: usize,
        /// Stride given.
        stride: usize,
        /// Rows needed.
        rows: usize,
        /// Bytes needed in each row.
        row: usize,
    },
    /// A packed buffer of another length.
    #[error("a packed I420 picture of this size has {expected} bytes, not {actual}")]
    PackedLength {
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
}

/// Luma, then chroma, rows without padding.
pub(crate) struct Picture {
    bytes: Bytes,
    width: usize,
    height: usize,
    colour: Colour,
    order: ChromaOrder,
}

/// How the chroma of a picture lies in memory.
#[derive(Clone, Copy)]
enum ChromaOrder {
    Planar,
    Paired,
}

/// The chroma of a picture, half its width and height.
#[derive(Clone, Copy)]
pub(crate) enum ChromaPlanes<'a> {
    /// A plane each.
    Planar { u: &'a [u8], v: &'a [u8] },
    /// Cb, Cr pairs.
    Paired(&'a [u8]),
}

impl DecodedFrame {
    /// Copies a decoder's buffer once, so that the decoder has it back at once.
    pub fn copy_from(planes: &Planes<'_>, colour: Colour, captured_at: Timestamp) -> Result<Self, FrameError> {
        check_size(planes.width, planes.height)?;
        let (width, height) = (planes.width as usize, planes.height as usize);
        let (chroma_w, n_chroma) = (width.div_ceil(2), width.div_ceil(2) * height.div_ceil(2));
        let mut bytes = Bytes::any(packed_len(width, height));
        let (luma, chroma) = bytes.split_at_mut(width * height);
        copy_rows(luma, width, planes.luma, "luma")?;
        let order = match planes.chroma {
            Chroma::I420 { u, v } => {
                let (to_u, to_v) = chroma.split_at_mut(n_chroma);
                copy_rows(to_u, chroma_w, u, "Cb")?;
                copy_rows(to_v, chroma_w, v, "Cr")?;
                ChromaOrder::Planar
            }
            Chroma::Nv12 { uv } => {
                copy_rows(chroma, 2 * chroma_w, uv, "CbCr")?;
                ChromaOrder::Paired
            }
        };
        Ok(Self { picture: Picture { bytes, width, height, colour, order }, captured_at })
    }

    /// Takes a packed I420 buffer as it is.
    pub fn from_i420(
        bytes: Vec<u8>,
        (width, height): (u32, u32),
        colour: Colour,
        captured_at: Timestamp,
    ) -> Result<Self, FrameError> {
        check_size(width, height)?;
        let (width, height) = (width as usize, height as usize);
        let expected = packed_len(width, height);
        if bytes.len() != expected {
            return Err(FrameError::PackedLength { expected, actual: bytes.len() });
        }
        let picture = Picture { bytes: bytes.into(), width, height, colour, order: ChromaOrder::Planar };
        Ok(Self { picture, captured_at })
    }

    pub(crate) fn into_frame(mut self, paint: impl FnOnce(&mut Picture)) -> Frame {
        paint(&mut self.picture);
        Frame { picture: self.picture, captured_at: self.captured_at }
    }
}

impl Frame {
    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.picture.width as u32
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.picture.height as u32
    }

    /// When the camera took it.
    pub fn captured_at(&self) -> Timestamp {
        self.captured_at
    }

    pub(crate) fn picture(&self) -> &Picture {
        &self.picture
    }
}

impl Picture {
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    pub(crate) fn colour(&self) -> Colour {
        self.colour
    }

    /// Width and height of the chroma planes.
    pub(crate) fn chroma_size(&self) -> (usize, usize) {
        (self.width.div_ceil(2), self.height.div_ceil(2))
    }

    pub(crate) fn luma(&self) -> &[u8] {
        &self.bytes[..self.width * self.height]
    }

    pub(crate) fn chroma(&self) -> ChromaPlanes<'_> {
        let chroma = &self.bytes[self.width * self.height..];
        match self.order {
            ChromaOrder::Planar => {
                let (u, v) = chroma.split_at(chroma.len() / 2);
                ChromaPlanes::Planar { u, v }
            }
            ChromaOrder::Paired => ChromaPlanes::Paired(chroma),
        }
    }

    /// Gives columns `start..end` of a row of luma this value.
    pub(crate) fn fill_luma(&mut self, row: usize, (start, end): (usize, usize), luma: u8) {
        self.bytes[row * self.width..][start..end].fill(luma);
    }

    /// Gives chroma columns `start..end` of a chroma row these values.
    pub(crate) fn fill_chroma(&mut self, row: usize, (start, end): (usize, usize), [u, v]: [u8; 2]) {
        let (chroma_w, chroma_h) = self.chroma_size();
        let chroma = &mut self.bytes[self.width * self.height..];
        match self.order {
            ChromaOrder::Planar => {
                let (of_u, of_v) = chroma.split_at_mut(chroma_w * chroma_h);
                of_u[row * chroma_w..][start..end].fill(u);
                of_v[row * chroma_w..][start..end].fill(v);
            }
            ChromaOrder::Paired => {
                let pairs = chroma[2 * row * chroma_w..][2 * start..2 * end].chunks_exact_mut(2);
                pairs.for_each(|pair| pair.copy_from_slice(&[u, v]));
            }
        }
    }
}

#[cfg(test)]
impl ChromaPlanes<'_> {
    /// Cb and Cr of one place.
    pub(crate) fn at(self, place: usize) -> [u8; 2] {
        match self {
            Self::Planar { u, v } => [u[place], v[place]],
            Self::Paired(uv) => [uv[2 * place], uv[2 * place + 1]],
        }
    }
}

fn check_size(width: u32, height: u32) -> Result<(), FrameError> {
    let side = 2..=MAX_SIDE;
    if side.contains(&width) && side.contains(&height) { Ok(()) } else { Err(FrameError::Size { width, height }) }
}

fn packed_len(width: usize, height: usize) -> usize {
    width * height + 2 * width.div_ceil(2) * height.div_ceil(2)
}

/// The rows of a borrowed plane, each of `row` bytes, or the error that says what is missing.
fn rows<'a>(
    plane: Plane<'a>,
    row: usize,
    rows: usize,
    name: &'static str,
) -> Result<impl Iterator<Item = &'a [u8]>, FrameError> {
    let last_row_starts = (rows - 1).checked_mul(plane.stride);
    let needed = last_row_starts.and_then(|start| start.checked_add(row));
    if plane.stride < row || needed.is_none_or(|needed| plane.bytes.len() < needed) {
        let (bytes, stride) = (plane.bytes.len(), plane.stride);
        return Err(FrameError::PlaneTooShort { plane: name, bytes, stride, rows, row });
    }
    Ok(plane.bytes.chunks(plane.stride).take(rows).map(move |chunk| &chunk[..row]))
}

fn copy_rows(to: &mut [u8], row: usize, from: Plane<'_>, name: &'static str) -> Result<(), FrameError> {
    let from_rows = rows(from, row, to.len() / row, name)?;
    for (to_row, from_row) in to.chunks_exact_mut(row).zip(from_rows) {
        to_row.copy_from_slice(from_row);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(bytes: &[u8], stride: usize) -> Plane<'_> {
        Plane { bytes, stride }
    }

    fn copy(planes: &Planes<'_>) -> Result<DecodedFrame, FrameError> {
        DecodedFrame::copy_from(planes, Colour::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn strided_i420_and_nv12_of_one_picture_are_equal() {
        let luma: Vec<u8> = (0..4).flat_map(|row| [row * 10, row * 10 + 1, row * 10 + 2, 99, 99]).collect();
        let luma = plane(&luma[..4 * 5 - 2], 5);
        let (u, v) = ([1, 2, 99, 3, 4], [5, 6, 99, 7, 8]);
        let uv = [1, 5, 2, 6, 99, 99, 3, 7, 4, 8];
        let i420 = Chroma::I420 { u: plane(&u, 3), v: plane(&v, 3) };
        let nv12 = Chroma::Nv12 { uv: plane(&uv, 6) };
        for chroma in [i420, nv12] {
            let mut picture = copy(&Planes { width: 3, height: 4, luma, chroma }).unwrap().picture;
            let chroma_of = |picture: &Picture| (0..4).map(|place| picture.chroma().at(place)).collect::<Vec<_>>();
            assert_eq!(picture.luma(), [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32]);
            assert_eq!(chroma_of(&picture), [[1, 5], [2, 6], [3, 7], [4, 8]]);
            picture.fill_luma(2, (1, 3), 77);
            picture.fill_chroma(1, (1, 2), [88, 99]);
            assert_eq!(picture.luma()[6..9], [20, 77, 77]);
            assert_eq!(chroma_of(&picture), [[1, 5], [2, 6], [3, 7], [88, 99]]);
        }
    }

    #[test]
    fn short_planes_and_bad_sizes_are_errors() {
        let chroma = Chroma::Nv12 { uv: plane(&[0; 8], 4) };
        let short = Planes { width: 4, height: 4, luma: plane(&[0; 15], 4), chroma };
        assert!(matches!(copy(&short), Err(FrameError::PlaneTooShort { plane: "luma", .. })));
        let narrow = Planes { width: 4, height: 4, luma: plane(&[0; 16], 3), chroma };
        assert!(matches!(copy(&narrow), Err(FrameError::PlaneTooShort { plane: "luma", .. })));
        let overflow = Planes { width: 4, height: 4, luma: plane(&[0; 16], usize::MAX), chroma };
        assert!(copy(&overflow).is_err());
        let empty = Planes { width: 0, height: 4, luma: plane(&[], 0), chroma };
        assert!(matches!(copy(&empty), Err(FrameError::Size { .. })));
        let packed = DecodedFrame::from_i420(vec![0; 23], (4, 4), Colour::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(packed.err(), Some(FrameError::PackedLength { expected: 24, actual: 23 }));
    }
}
