//! Where each output place of a resized row or column lies between two source places.

use std::ops::Range;

/// Columns are worked on in blocks of this many, which compilers turn into vector instructions.
pub(super) const LANES: usize = 16;

/// One value for each column of a block.
pub(super) type Lanes<T> = [T; LANES];

/// Two neighbours and the weight of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tap {
    pub(super) first: usize,
    pub(super) weight: f32,
}

/// The taps of a block of columns, as the rows' loops need them.
pub(super) struct Block {
    /// The first of two luma places side by side.
    pub(super) luma: Lanes<u32>,
    /// The first of two chroma places side by side.
    pub(super) chroma: Lanes<u32>,
    /// Whether the first luma place has the second chroma place, 0 or 1.
    pub(super) first: Lanes<u32>,
    /// The same for the second luma place.
    pub(super) second: Lanes<u32>,
    /// Weight of the second luma place.
    pub(super) weight: Lanes<f32>,
}

/// For each output place the two source places beside its centre. At the far edge the pair is the last one and all
/// weight is on its second place. `source` is at least 2.
pub(super) fn taps(source: usize, out: usize) -> impl Iterator<Item = Tap> {
    let (scale, last) = (source as f64 / out as f64, source - 2);
    (0..out).map(move |place| {
        let centre = ((place as f64 + 0.5) * scale - 0.5).max(0.0);
        let first = (centre as usize).min(last);
        Tap { first, weight: (centre - first as f64).min(1.0) as f32 }
    })
}

/// The blocks of these columns of a row that is `out` wide; the last is filled up with its last column.
pub(super) fn blocks((source, out): (usize, usize), columns: Range<usize>) -> Vec<Block> {
    let taps: Vec<Tap> = taps(source, out).skip(columns.start).take(columns.len()).collect();
    taps.chunks(LANES).map(|taps| Block::new(taps, source.div_ceil(2))).collect()
}

impl Block {
    /// Luma places 2n and 2n + 1 share chroma place n.
    fn new(taps: &[Tap], chroma_width: usize) -> Self {
        let tap = |lane: usize| taps[lane.min(taps.len() - 1)];
        let chroma = |lane: usize| (tap(lane).first / 2).min(chroma_width.max(2) - 2);
        let is_second = |lane: usize, luma: usize| u32::from(luma / 2 > chroma(lane));
        Self {
            luma: std::array::from_fn(|lane| tap(lane).first as u32),
            chroma: std::array::from_fn(|lane| chroma(lane) as u32),
            first: std::array::from_fn(|lane| is_second(lane, tap(lane).first)),
            second: std::array::from_fn(|lane| is_second(lane, tap(lane).first + 1)),
            weight: std::array::from_fn(|lane| tap(lane).weight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn same_size_takes_each_place_as_it_is() {
        let taps: Vec<_> = taps(4, 4).map(|tap| (tap.first, tap.weight)).collect();
        assert_eq!(taps, [(0, 0.0), (1, 0.0), (2, 0.0), (2, 1.0)]);
    }

    proptest! {
        #[test]
        fn pairs_lie_inside_and_share_chroma_as_luma_does(source in 2usize..3000, out in 1usize..700) {
            let chroma_width = source.div_ceil(2);
            for (block, taps) in blocks((source, out), 0..out).iter().zip(taps(source, out).collect::<Vec<_>>().chunks(LANES)) {
                for (lane, tap) in taps.iter().enumerate() {
                    prop_assert!(tap.first + 1 < source && (0.0..=1.0).contains(&tap.weight));
                    let places = [(tap.first, block.first[lane]), (tap.first + 1, block.second[lane])];
                    for (luma, is_second) in places {
                        prop_assert_eq!((block.chroma[lane] + is_second) as usize, luma / 2);
                        prop_assert!(luma / 2 < chroma_width);
                    }
                }
            }
        }
    }
}
