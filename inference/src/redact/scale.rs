//! A frame scaled down to RGB: each pixel is the mean of the area it stands for.

use std::ops::Range;

use crate::colour;
use crate::frame::Frame;

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
        let (source_w, source_h) = (picture.width(), picture.height());
        let height = (height as usize).clamp(1, source_h);
        let width = (source_w * height / source_h).max(1);
        let (luma, chroma) = (picture.luma(), picture.chroma());
        let (chroma_w, chroma_h) = picture.chroma_size();
        let channels = colour::rgb(picture.colour());
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            let (rows, chroma_rows) = (part(y, height, source_h), part(y, height, chroma_h));
            for x in 0..width {
                let chroma_columns = part(x, width, chroma_w);
                let [y] = mean(|place| [luma[place]], source_w, &rows, &part(x, width, source_w));
                let [u, v] = mean(|place| chroma.at(place), chroma_w, &chroma_rows, &chroma_columns);
                rgb.extend(channels.map(|channel| channel.of(y, u, v).round().clamp(0.0, 255.0) as u8));
            }
        }
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

/// Which source places output place `i` of `n` stands for; at least one.
fn part(i: usize, n: usize, source: usize) -> Range<usize> {
    let start = i * source / n;
    let end = ((i + 1) * source / n).max(start + 1);
    start..end
}

fn mean<const N: usize>(
    at: impl Fn(usize) -> [u8; N],
    width: usize,
    rows: &Range<usize>,
    columns: &Range<usize>,
) -> [f32; N] {
    let mut sums = [0u32; N];
    for row in rows.clone() {
        for column in columns.clone() {
            let values = at(row * width + column);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += u32::from(value));
        }
    }
    sums.map(|sum| sum as f32 / (rows.len() * columns.len()) as f32)
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
}
