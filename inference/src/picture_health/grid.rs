//! Where a picture is looked at: a coarse grid of square blocks about [`LONG_SIDE`] long, in cells of 8 × 8 blocks.
//!
//! Blocks that a privacy mask touches, and gradients that would reach into one, don't count. Made once per picture size.

use jiff::Timestamp;

use crate::frame::{Colour, DecodedFrame};
use crate::mask::{self, PrivacyMasks};

/// Blocks along the longer side, about.
const LONG_SIDE: usize = 128;
/// Blocks along each side of a cell.
const CELL: usize = 8;
/// Fewest blocks along a side that make a picture worth judging.
const MIN_SIDE: usize = 16;
/// Fewest cells with enough unmasked blocks.
const MIN_CELLS: usize = 4;
/// A value that painting changes.
const UNPAINTED: u8 = 200;

/// How a picture of one size is divided.
pub(super) struct Grid {
    /// Size of the pictures.
    pub frame: (usize, usize),
    /// Pixels along each side of a block.
    pub block: usize,
    /// Blocks across.
    pub columns: usize,
    /// Blocks down.
    pub rows: usize,
    /// For each block: no mask touches it.
    pub open: Vec<bool>,
    /// For each block: neither it nor a neighbour is masked or outside.
    pub inner: Vec<bool>,
    /// For each block: which cell it belongs to.
    pub cell_of: Vec<usize>,
    /// For each cell: how many inner blocks it has.
    pub n_inner: Vec<usize>,
}

impl Grid {
    /// `None` when the picture is too small or too little of it is unmasked to say anything about it.
    pub fn new(frame: (usize, usize), masks: &PrivacyMasks) -> Option<Self> {
        let (width, height) = frame;
        let block = ((width.max(height) + LONG_SIDE / 2) / LONG_SIDE).max(1);
        let (columns, rows) = (width / block, height / block);
        if columns < MIN_SIDE || rows < MIN_SIDE {
            return None;
        }
        let open = open_blocks(frame, block, masks)?;
        let inner = inner_blocks(&open, columns);
        let cells_across = columns.div_ceil(CELL);
        let cell_of: Vec<usize> = (0..columns * rows)
            .map(|index| (index / columns) / CELL * cells_across + (index % columns) / CELL)
            .collect();
        let mut n_inner = vec![0; cells_across * rows.div_ceil(CELL)];
        for (&cell, _) in cell_of.iter().zip(&inner).filter(|(_, inner)| **inner) {
            n_inner[cell] += 1;
        }
        let grid = Self { frame, block, columns, rows, open, inner, cell_of, n_inner };
        let n_cells = (0..grid.n_cells()).filter(|&cell| grid.is_usable(cell)).count();
        (n_cells >= MIN_CELLS).then_some(grid)
    }

    pub fn n_blocks(&self) -> usize {
        self.columns * self.rows
    }

    pub fn n_cells(&self) -> usize {
        self.n_inner.len()
    }

    /// Whether enough of the cell is unmasked.
    pub fn is_usable(&self, cell: usize) -> bool {
        self.n_inner[cell] >= CELL * CELL / 3
    }
}

/// Paints the masks on a plain picture and looks where they came.
fn open_blocks((width, height): (usize, usize), block: usize, masks: &PrivacyMasks) -> Option<Vec<bool>> {
    let n_bytes = width * height + 2 * width.div_ceil(2) * height.div_ceil(2);
    let size = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    let plain =
        DecodedFrame::from_i420(vec![UNPAINTED; n_bytes], size, Colour::default(), Timestamp::UNIX_EPOCH).ok()?;
    let painted = mask::paint(plain, masks);
    let luma = painted.picture().luma();
    let (columns, rows) = (width / block, height / block);
    let is_open = |index: usize| {
        let (left, top) = (index % columns * block, index / columns * block);
        (top..top + block).all(|y| luma[y * width + left..][..block].iter().all(|&value| value == UNPAINTED))
    };
    Some((0..columns * rows).map(is_open).collect())
}

fn inner_blocks(open: &[bool], columns: usize) -> Vec<bool> {
    let rows = open.len() / columns;
    let is_inner = |index: usize| {
        let (x, y) = (index % columns, index / columns);
        let has_neighbours = x > 0 && y > 0 && x + 1 < columns && y + 1 < rows;
        has_neighbours && (y - 1..=y + 1).all(|y| (x - 1..=x + 1).all(|x| open[y * columns + x]))
    };
    (0..open.len()).map(is_inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Point, Polygon};

    fn masks(left: f32, right: f32) -> PrivacyMasks {
        let corners = [(left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)];
        PrivacyMasks::new(vec![Polygon::new(corners.map(|(x, y)| Point { x, y }).to_vec()).unwrap()])
    }

    #[test]
    fn grids_of_all_sizes_are_about_as_fine() {
        for frame in [(1920, 1080), (768, 576), (384, 288), (352, 240), (1080, 1920), (4096, 2160)] {
            let grid = Grid::new(frame, &PrivacyMasks::none()).unwrap();
            let long_side = grid.columns.max(grid.rows);
            assert!((110..=150).contains(&long_side), "{frame:?}: {long_side}");
        }
    }

    #[test]
    fn masked_blocks_and_their_neighbours_don_t_count() {
        let grid = Grid::new((256, 192), &masks(0.0, 0.5)).unwrap();
        assert_eq!((grid.block, grid.columns, grid.rows), (2, 128, 96));
        let row = 40 * grid.columns;
        assert!(!grid.open[row + 63] && grid.open[row + 66]);
        assert!(!grid.inner[row + 64] && grid.inner[row + 67]);
    }

    #[test]
    fn tiny_and_fully_masked_pictures_have_no_grid() {
        assert!(Grid::new((8, 600), &PrivacyMasks::none()).is_none());
        assert!(Grid::new((640, 480), &masks(0.0, 1.0)).is_none());
    }
}
