//! A frame scaled down to what a JPEG is made of: luma, Cb and Cr of ITU-R BT.601, full range (JFIF). Each value is the mean of the
//! area it stands for.

use std::error::Error;

use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images};
use jpeg_encoder::{ImageBuffer, JpegColorType};
use pulp::{Arch, Simd, WithSimd};
use zeroize::Zeroize;

use crate::colour::{self, Channel};
use crate::frame::{ChromaPlanes, Frame};

/// A copy of a frame.
pub(crate) struct Scaled {
    size: (u16, u16),
    luma: Vec<u8>,
    /// Cb and Cr, of half the width and height.
    chroma: [Vec<u8>; 2],
}

impl Scaled {
    /// The frame at this width and height.
    pub(crate) fn of(frame: &Frame, size: (u16, u16)) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let picture = frame.picture();
        let mut resizer = Resizer::new();
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box)).use_alpha(false);
        let mut scale = |bytes: &[u8], from: (usize, usize), to: (u16, u16), pixel: PixelType| {
            let from = images::ImageRef::new(from.0 as u32, from.1 as u32, bytes, pixel)?;
            // Rows first: that leaves few of them to add up along.
            let mut flat = images::Image::new(from.width(), to.1.into(), pixel);
            resizer.resize(&from, &mut flat, &options)?;
            let mut scaled = images::Image::new(to.0.into(), to.1.into(), pixel);
            resizer.resize(&flat, &mut scaled, &options)?;
            Ok::<_, Box<dyn Error + Send + Sync>>(scaled.into_vec())
        };
        let mut luma = scale(picture.luma(), (picture.width(), picture.height()), size, PixelType::U8)?;
        let (from, to) = (picture.chroma_size(), (size.0.div_ceil(2), size.1.div_ceil(2)));
        let mut chroma = match picture.chroma() {
            ChromaPlanes::Planar { u, v } => [scale(u, from, to, PixelType::U8)?, scale(v, from, to, PixelType::U8)?],
            ChromaPlanes::Paired(uv) => {
                let pairs = scale(uv, from, to, PixelType::U8x2)?;
                [0, 1].map(|first| pairs.iter().skip(first).step_by(2).copied().collect())
            }
        };
        let [to_luma, to_cb, to_cr] = colour::jfif(picture.colour()).map(Weights::of);
        let width = usize::from(size.0);
        Arch::new().dispatch(Convert {
            luma: &mut luma,
            chroma: &mut chroma,
            width,
            to_luma,
            to_chroma: [to_cb, to_cr],
        });
        Ok(Self { size, luma, chroma })
    }

    pub(super) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Fills columns and rows, given as start and end inside the picture, with luma, Cb and Cr.
    pub(super) fn fill(&mut self, columns: (usize, usize), rows: (usize, usize), [y, cb, cr]: [u8; 3]) {
        let half = |(start, end): (usize, usize)| (start / 2, end.div_ceil(2));
        let width = usize::from(self.size.0);
        fill(&mut self.luma, width, columns, rows, y);
        for (plane, value) in self.chroma.iter_mut().zip([cb, cr]) {
            fill(plane, width.div_ceil(2), half(columns), half(rows), value);
        }
    }
}

fn fill(plane: &mut [u8], width: usize, (left, right): (usize, usize), (top, bottom): (usize, usize), value: u8) {
    for row in plane.chunks_exact_mut(width).take(bottom).skip(top) {
        row.iter_mut().take(right).skip(left).for_each(|pixel| *pixel = value);
    }
}

/// For a copy that was not redacted.
impl Zeroize for Scaled {
    fn zeroize(&mut self) {
        self.luma.zeroize();
        self.chroma.zeroize();
    }
}

impl ImageBuffer for &Scaled {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size.0
    }

    fn height(&self) -> u16 {
        self.size.1
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (y, width) = (usize::from(y), usize::from(self.size.0));
        let [luma, chroma @ .., _] = buffers;
        luma.extend_from_slice(&self.luma[y * width..][..width]);
        for (buffer, plane) in chroma.iter_mut().zip(&self.chroma) {
            let row = &plane[y / 2 * width.div_ceil(2)..][..width.div_ceil(2)];
            buffer.extend(row.iter().flat_map(|&value| [value; 2]).take(width));
        }
    }
}

/// A linear function of luma, Cb and Cr, in units of 2⁻¹⁴.
#[derive(Clone, Copy)]
struct Weights {
    y: i32,
    u: i32,
    v: i32,
    /// Rounds as well.
    constant: i32,
}

impl Weights {
    const BITS: u32 = 14;

    fn of(channel: Channel) -> Self {
        let units = |value: f32| (value * (1 << Self::BITS) as f32).round() as i32;
        Self { y: units(channel.y), u: units(channel.u), v: units(channel.v), constant: units(channel.constant + 0.5) }
    }

    /// What is left to add luma to.
    #[inline(always)]
    fn of_chroma(self, u: u8, v: u8) -> i32 {
        self.u * i32::from(u) + self.v * i32::from(v) + self.constant
    }
}

#[inline(always)]
fn level(units: i32) -> u8 {
    (units >> Weights::BITS).clamp(0, 255) as u8
}

/// Each place's values become linear functions of them. No new chroma depends on luma, for grey is grey in all standards.
struct Convert<'a> {
    luma: &'a mut [u8],
    chroma: &'a mut [Vec<u8>; 2],
    width: usize,
    to_luma: Weights,
    to_chroma: [Weights; 2],
}

impl WithSimd for Convert<'_> {
    type Output = ();

    /// Compiled once for each instruction set; all that it calls must be inlined to be part of that.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { luma, chroma: [cb, cr], width, to_luma, to_chroma: [to_cb, to_cr] } = self;
        let half = width.div_ceil(2);
        let mut offsets = vec![0; half];
        for (rows, (cb, cr)) in luma.chunks_mut(2 * width).zip(cb.chunks_mut(half).zip(cr.chunks_mut(half))) {
            for ((offset, cb), cr) in offsets.iter_mut().zip(cb).zip(cr) {
                let (u, v) = (*cb, *cr);
                *offset = to_luma.of_chroma(u, v);
                *cb = level(to_cb.of_chroma(u, v));
                *cr = level(to_cr.of_chroma(u, v));
            }
            for row in rows.chunks_mut(width) {
                for (pair, offset) in row.chunks_mut(2).zip(&offsets) {
                    pair.iter_mut().for_each(|y| *y = level(to_luma.y * i32::from(*y) + offset));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Chroma, Colour, DecodedFrame, Matrix, Plane, Planes, Range};
    use crate::mask::{self, PrivacyMasks};
    use jiff::Timestamp;

    #[test]
    fn each_value_is_the_mean_of_its_area() {
        let luma = (0..24u8).map(|place| place % 6 * 10);
        let bytes: Vec<u8> = luma.chain([90; 6]).chain([200; 6]).collect();
        let pairs = bytes[..24].iter().copied().chain([90, 200].repeat(6));
        let colour = Colour { range: Range::Full, ..Colour::default() };
        let planar = DecodedFrame::from_i420(bytes.clone(), (6, 4), colour, Timestamp::UNIX_EPOCH);
        let paired: Vec<u8> = pairs.collect();
        let uv = Chroma::Nv12 { uv: Plane { bytes: &paired[24..], stride: 6 } };
        let planes = Planes { width: 6, height: 4, luma: Plane { bytes: &paired[..24], stride: 6 }, chroma: uv };
        for frame in [planar, DecodedFrame::copy_from(&planes, colour, Timestamp::UNIX_EPOCH)] {
            let scaled = Scaled::of(&mask::paint(frame.unwrap(), &PrivacyMasks::none()), (2, 2)).unwrap();
            assert_eq!((scaled.luma, scaled.chroma), (vec![10, 40, 10, 40], [vec![90], vec![200]]));
        }
    }

    #[test]
    fn only_what_is_to_be_filled_is_and_the_chroma_beneath_it() {
        let mut scaled = Scaled { size: (3, 2), luma: vec![1; 6], chroma: [vec![2; 2], vec![3; 2]] };
        scaled.fill((2, 9), (1, 2), [7, 8, 9]);
        assert_eq!((&scaled.luma[..], &scaled.chroma), (&[1, 1, 1, 1, 1, 7][..], &[vec![2, 8], vec![3, 9]]));
        let mut buffers = [vec![], vec![], vec![], vec![]];
        (&scaled).fill_buffers(1, &mut buffers);
        assert_eq!(buffers, [vec![1, 1, 7], vec![2, 2, 8], vec![3, 3, 9], vec![]]);
    }

    #[test]
    fn chroma_never_depends_on_luma() {
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            for range in [Range::Limited, Range::Full] {
                let [_, cb, cr] = colour::jfif(Colour { matrix, range }).map(Weights::of);
                assert!(cb.y.abs() <= 1 && cr.y.abs() <= 1, "{matrix:?} {range:?}");
            }
        }
    }
}
