//! One source row in the model's width, as red, green and blue: each column's two pixels become 8-bit colour first, then
//! their weighted mean. Plain loops over blocks of columns; the caller chooses the instructions they are compiled for,
//! which is why everything here is inlined.

use std::borrow::Cow;

use super::columns::{Block, LANES, Lanes};
use crate::colour::Channel;
use crate::frame::{ChromaPlanes, Picture};

/// Adding and subtracting this rounds a small f32 to the nearest integer, in one vector instruction each.
const ROUNDING: f32 = 12_582_912.0;

/// A source row at the model's width; kept while output rows need it.
#[derive(Default)]
pub(super) struct Row {
    pub(super) source: Option<usize>,
    /// Red, green and blue of each block.
    pub(super) blocks: Vec<[Lanes<f32>; 3]>,
}

/// Scratch: what was fetched for each block of columns.
#[derive(Default)]
pub(super) struct Fetched {
    blocks: Vec<Pairs>,
}

/// Two pixels of each column, side by side in the source.
#[derive(Clone)]
struct Pairs {
    /// First luma in the low byte, second above it.
    luma: Lanes<u16>,
    /// Two chroma places, in the order of the picture's memory.
    chroma: Lanes<u32>,
}

/// Where a fetched word holds what.
#[derive(Clone, Copy)]
struct ChromaBits {
    /// From the first Cb to the second, as a power of two.
    log2_step: u32,
    /// From Cb to its Cr.
    cr: u32,
}

/// Linear coefficients of the conversion.
#[derive(Clone, Copy)]
pub(super) struct Conversion {
    red: Channel,
    green: Channel,
    blue: Channel,
}

impl Conversion {
    pub(super) fn new([red, green, blue]: [Channel; 3]) -> Self {
        Self { red, green, blue }
    }

    /// 8-bit levels.
    #[inline(always)]
    fn levels(self, y: f32, u: f32, v: f32) -> [f32; 3] {
        let grey = y * self.red.y;
        let red = grey + v * self.red.v + self.red.constant;
        let green = grey + u * self.green.u + v * self.green.v + self.green.constant;
        let blue = grey + u * self.blue.u + self.blue.constant;
        [level(red), level(green), level(blue)]
    }
}

impl Row {
    /// Makes it this row of the picture.
    #[inline(always)]
    pub(super) fn make(
        &mut self,
        fetched: &mut Fetched,
        (picture, source): (&Picture, usize),
        columns: &[Block],
        conversion: Conversion,
    ) {
        let bits = fetched.fetch(picture, source, columns);
        self.source = Some(source);
        self.blocks.resize(columns.len(), [[0.0; LANES]; 3]);
        for ((to, pairs), block) in self.blocks.iter_mut().zip(&fetched.blocks).zip(columns) {
            pairs.resize(block, bits, conversion, to);
        }
    }
}

impl Fetched {
    #[inline(always)]
    fn fetch(&mut self, picture: &Picture, source: usize, columns: &[Block]) -> ChromaBits {
        self.blocks.resize(columns.len(), Pairs { luma: [0; LANES], chroma: [0; LANES] });
        let (width, (chroma_w, _)) = (picture.width(), picture.chroma_size());
        let luma = &picture.luma()[source * width..][..width];
        match picture.chroma() {
            ChromaPlanes::Planar { u, v } => {
                let (u, v) = (chroma_row(u, source / 2, chroma_w, 1), chroma_row(v, source / 2, chroma_w, 1));
                self.fetch_blocks(luma, columns, |place| {
                    let [u0, u1] = bytes(&u, place);
                    let [v0, v1] = bytes(&v, place);
                    [u0, u1, v0, v1]
                });
                ChromaBits { log2_step: 3, cr: 16 }
            }
            ChromaPlanes::Paired(uv) => {
                let uv = chroma_row(uv, source / 2, chroma_w, 2);
                self.fetch_blocks(luma, columns, |place| bytes(&uv, 2 * place));
                ChromaBits { log2_step: 4, cr: 8 }
            }
        }
    }

    #[inline(always)]
    fn fetch_blocks(&mut self, luma: &[u8], columns: &[Block], chroma: impl Fn(usize) -> [u8; 4]) {
        for (to, block) in self.blocks.iter_mut().zip(columns) {
            for lane in 0..LANES {
                to.luma[lane] = u16::from_le_bytes(bytes(luma, block.luma[lane] as usize));
                to.chroma[lane] = u32::from_le_bytes(chroma(block.chroma[lane] as usize));
            }
        }
    }
}

impl Pairs {
    #[inline(always)]
    fn resize(&self, block: &Block, bits: ChromaBits, conversion: Conversion, to: &mut [Lanes<f32>; 3]) {
        let [red, green, blue] = to;
        for lane in 0..LANES {
            let (luma, chroma) = (u32::from(self.luma[lane]), self.chroma[lane]);
            let of_first = chroma >> (block.first[lane] << bits.log2_step);
            let of_second = chroma >> (block.second[lane] << bits.log2_step);
            let first = conversion.levels(byte(luma), byte(of_first), byte(of_first >> bits.cr));
            let second = conversion.levels(byte(luma >> 8), byte(of_second), byte(of_second >> bits.cr));
            let weight = block.weight[lane];
            red[lane] = first[0] + (second[0] - first[0]) * weight;
            green[lane] = first[1] + (second[1] - first[1]) * weight;
            blue[lane] = first[2] + (second[2] - first[2]) * weight;
        }
    }
}

/// One row of chroma; a lone sample is doubled, so that each place has a neighbour.
#[inline(always)]
fn chroma_row(plane: &[u8], row: usize, samples: usize, bytes_each: usize) -> Cow<'_, [u8]> {
    let length = samples * bytes_each;
    let row = &plane[row * length..][..length];
    if samples == 1 { [row, row].concat().into() } else { row.into() }
}

#[inline(always)]
fn bytes<const N: usize>(row: &[u8], place: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&row[place..place + N]);
    bytes
}

/// The low byte. By way of i32, which vector units convert directly.
#[inline(always)]
fn byte(word: u32) -> f32 {
    (word & 0xff) as i32 as f32
}

#[inline(always)]
fn level(value: f32) -> f32 {
    rounded(value.clamp(0.0, 255.0))
}

/// To the nearest integer, for values of 0..255.
#[inline(always)]
pub(super) fn rounded(level: f32) -> f32 {
    (level + ROUNDING) - ROUNDING
}
