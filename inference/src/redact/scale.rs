//! A frame scaled down to RGB: each pixel is the mean of the area it stands for. Rows are added up whole, which compilers
//! turn into vector instructions, and only their sums are divided among the pixels.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::colour;
use crate::frame::{ChromaPlanes, Frame, Picture};

/// An RGB copy of a frame.
pub(super) struct Scaled {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Scaled {
    /// The frame at this height, which is at most its own.
    pub(super) fn of(frame: &Frame, height: u32) -> Self {
        let picture = frame.picture();
        let source = (picture.width(), picture.height());
        let height = (height as usize).clamp(1, source.1);
        let width = (source.0 * height / source.1).max(1);
        let luma = Means::new(source, (width, height));
        let chroma = [0, 1].map(|_| Means::new(picture.chroma_size(), (width, height)));
        let mut rgb = vec![0; width * height * 3];
        Arch::new().dispatch(Scale { picture, luma, chroma, rgb: &mut rgb });
        Self { width, height, rgb }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn height(&self) -> usize {
        self.height
    }

    pub(super) fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Fills columns and rows, given as start and end inside the picture.
    pub(super) fn fill(&mut self, (left, right): (usize, usize), (top, bottom): (usize, usize), colour: [u8; 3]) {
        for row in self.rgb.chunks_exact_mut(3 * self.width).take(bottom).skip(top) {
            for pixel in row.chunks_exact_mut(3).take(right).skip(left) {
                pixel.copy_from_slice(&colour);
            }
        }
    }
}

/// One picture's way into its copy.
struct Scale<'a> {
    picture: &'a Picture,
    luma: Means,
    chroma: [Means; 2],
    rgb: &'a mut [u8],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    /// Compiled once for each instruction set; all that it calls must be inlined to be part of that.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { picture, mut luma, mut chroma, rgb } = self;
        let channels = colour::rgb(picture.colour());
        for (y, row) in rgb.chunks_exact_mut(3 * luma.row.len()).enumerate() {
            luma.take_row(y, picture.luma(), 1, 0);
            match picture.chroma() {
                ChromaPlanes::Planar { u, v } => {
                    chroma[0].take_row(y, u, 1, 0);
                    chroma[1].take_row(y, v, 1, 0);
                }
                ChromaPlanes::Paired(uv) => {
                    chroma[0].take_row(y, uv, 2, 0);
                    chroma[1].take_row(y, uv, 2, 1);
                }
            }
            let [u, v] = &chroma;
            let values = luma.row.iter().zip(&u.row).zip(&v.row);
            for (pixel, ((&y, &u), &v)) in row.chunks_exact_mut(3).zip(values) {
                // The conversion saturates, so this rounds and clamps.
                pixel.copy_from_slice(&channels.map(|channel| (channel.of(y, u, v) + 0.5) as u8));
            }
        }
    }
}

/// The means of one plane, an output row at a time.
struct Means {
    source: (usize, usize),
    height: usize,
    columns: Vec<Range<usize>>,
    /// Of each source column, over the rows of the output row.
    sums: Vec<u32>,
    row: Vec<f32>,
}

impl Means {
    fn new(source: (usize, usize), (width, height): (usize, usize)) -> Self {
        let columns = (0..width).map(|x| part(x, width, source.0)).collect();
        Self { source, height, columns, sums: vec![0; source.0], row: vec![0.0; width] }
    }

    /// Computes output row `y` of the plane whose values are every `step`th byte from `first` on.
    #[inline(always)]
    fn take_row(&mut self, y: usize, plane: &[u8], step: usize, first: usize) {
        let rows = part(y, self.height, self.source.1);
        let n_rows = rows.len();
        let width = self.source.0 * step;
        self.sums.fill(0);
        for values in plane[rows.start * width..rows.end * width].chunks_exact(width) {
            if step == 1 {
                self.sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += u32::from(value));
            } else {
                let values = values.iter().skip(first).step_by(step);
                self.sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += u32::from(value));
            }
        }
        for (mean, columns) in self.row.iter_mut().zip(&self.columns) {
            let sum: u32 = self.sums[columns.clone()].iter().sum();
            *mean = sum as f32 / (n_rows * columns.len()) as f32;
        }
    }
}

/// Which source places output place `i` of `n` stands for; at least one.
fn part(i: usize, n: usize, source: usize) -> Range<usize> {
    let start = i * source / n;
    let end = ((i + 1) * source / n).max(start + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_source_without_gaps() {
        for (n, source) in [(1, 1), (3, 7), (280, 576), (5, 5), (4, 3)] {
            let parts: Vec<_> = (0..n).map(|i| part(i, n, source)).collect();
            assert_eq!((parts[0].start, parts[n - 1].end), (0, source));
            assert!(parts.windows(2).all(|pair| pair[1].start <= pair[0].end && !pair[0].is_empty()));
        }
    }

    #[test]
    fn rows_and_pairs_have_the_means_of_their_areas() {
        let plane: Vec<u8> = (0..24).collect();
        let mut means = Means::new((6, 4), (2, 2));
        means.take_row(1, &plane, 1, 0);
        assert_eq!(means.row, [16.0, 19.0]);
        let mut pairs = Means::new((3, 4), (1, 2));
        pairs.take_row(0, &plane, 2, 1);
        assert_eq!(pairs.row, [6.0]);
    }
}
