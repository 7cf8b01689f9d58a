//! What one picture looks like on the grid, from one pass over its luma: brightness, coarse gradients, fine detail.
//!
//! Averaging over blocks leaves little of sensor noise; detail is measured between columns that were averaged over a
//! block's height for the same reason. Plain loops over bytes, so that the compiler vectorises them.

use super::grid::Grid;

/// One picture on the grid.
pub(super) struct Sample {
    /// For each block: sum of its luma, exact, to tell repeated pictures.
    pub sums: Vec<u32>,
    /// For each block: mean luma.
    pub luma: Vec<f32>,
    /// For each block: mean squared difference of columns a short step apart.
    pub fine: Vec<f32>,
    /// For each block: horizontal and vertical gradient of the block means, zero where the grid says not inner.
    pub gradient: Vec<[f32; 2]>,
    /// For each cell: mean luma of its open blocks.
    pub cell_luma: Vec<f32>,
}

/// What changed from one picture to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    /// Share of the open blocks that are exactly as they were.
    pub repeated: f32,
    /// Mean difference of the blocks' luma.
    pub mean: f32,
}

impl Sample {
    /// Looks at a packed luma plane of the grid's size.
    pub fn take(plane: &[u8], grid: &Grid) -> Self {
        let n_blocks = grid.n_blocks();
        let (mut sums, mut fine) = (Vec::with_capacity(n_blocks), Vec::with_capacity(n_blocks));
        let mut columns = vec![0u16; grid.frame.0];
        for band in plane.chunks_exact(grid.frame.0 * grid.block).take(grid.rows) {
            add_rows(&mut columns, band);
            reduce(&columns, grid, &mut sums, &mut fine);
        }
        let n_pixels = (grid.block * grid.block) as f32;
        let luma: Vec<f32> = sums.iter().map(|&sum| sum as f32 / n_pixels).collect();
        let gradient = gradients(&luma, grid);
        let cell_luma = cell_means(&luma, grid);
        Self { sums, luma, fine, gradient, cell_luma }
    }

    /// What changed since the picture before.
    pub fn change(&self, before: &Self, grid: &Grid) -> Change {
        let (mut n_same, mut n_open, mut sum) = (0u32, 0u32, 0u64);
        for ((now, before), _) in self.sums.iter().zip(&before.sums).zip(&grid.open).filter(|(_, open)| **open) {
            n_open += 1;
            n_same += u32::from(now == before);
            sum += u64::from(now.abs_diff(*before));
        }
        let n = n_open.max(1) as f32;
        Change { repeated: n_same as f32 / n, mean: sum as f32 / n / (grid.block * grid.block) as f32 }
    }

    /// Mean product of local contrast in this picture and in the one before. Noise, which is new in each, has no part in it, and
    /// shading, which is even over a cell, has none either.
    pub fn lasting_structure(&self, before: &Self, grid: &Grid) -> f32 {
        let mut cells = vec![[[0.0f32; 3]; 2]; grid.n_cells()];
        for (index, &cell) in grid.cell_of.iter().enumerate().filter(|(index, _)| grid.inner[*index]) {
            for (axis, [both, now, then]) in cells[cell].iter_mut().enumerate() {
                *both += self.gradient[index][axis] * before.gradient[index][axis];
                *now += self.gradient[index][axis];
                *then += before.gradient[index][axis];
            }
        }
        let n_inner: usize = grid.n_inner.iter().sum();
        let of_cell = |(axes, n): (&[[f32; 3]; 2], &usize)| -> f32 {
            axes.iter().map(|[both, now, then]| both - now * then / (*n).max(1) as f32).sum()
        };
        cells.iter().zip(&grid.n_inner).map(of_cell).sum::<f32>() / n_inner.max(1) as f32
    }

    /// Mean luma, and the luma that the given share of the open blocks stays below.
    pub fn brightness(&self, grid: &Grid, share: f32) -> (f32, f32) {
        let mut values: Vec<f32> = open_values(&self.luma, grid);
        let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
        (mean, quantile(&mut values, share))
    }

    /// Share of the open blocks that are at least so bright.
    pub fn bright_share(&self, grid: &Grid, at_least: f32) -> f32 {
        let values = open_values(&self.luma, grid);
        values.iter().filter(|&&value| value >= at_least).count() as f32 / values.len().max(1) as f32
    }

    /// Mean squared gradient.
    pub fn energy(&self, grid: &Grid) -> f32 {
        let n_inner: usize = grid.n_inner.iter().sum();
        self.gradient.iter().map(|[x, y]| x * x + y * y).sum::<f32>() / n_inner.max(1) as f32
    }

    /// Mean of fine detail.
    pub fn fine_energy(&self, grid: &Grid) -> f32 {
        let values = open_values(&self.fine, grid);
        values.iter().sum::<f32>() / values.len().max(1) as f32
    }
}

fn add_rows(columns: &mut [u16], band: &[u8]) {
    columns.fill(0);
    for row in band.chunks_exact(columns.len()) {
        for (sum, &value) in columns.iter_mut().zip(row) {
            *sum += u16::from(value);
        }
    }
}

/// From the sums of columns to blocks.
fn reduce(columns: &[u16], grid: &Grid, sums: &mut Vec<u32>, fine: &mut Vec<f32>) {
    let step = (grid.block / 5).max(1);
    let n_differences = (grid.block * grid.block * grid.block) as f32;
    for left in (0..grid.columns).map(|column| column * grid.block) {
        let block = &columns[left..left + grid.block];
        sums.push(block.iter().map(|&sum| u32::from(sum)).sum());
        let start = left.min(columns.len() - grid.block - step);
        let (from, to) = (&columns[start..start + grid.block], &columns[start + step..start + step + grid.block]);
        let squares = from.iter().zip(to).map(|(&from, &to)| {
            let difference = f32::from(from) - f32::from(to);
            difference * difference
        });
        fine.push(squares.sum::<f32>() / n_differences);
    }
}

/// Sobel's operator, in luma per block.
fn gradients(luma: &[f32], grid: &Grid) -> Vec<[f32; 2]> {
    let columns = grid.columns;
    let mut gradients = vec![[0.0; 2]; luma.len()];
    for index in (0..luma.len()).filter(|&index| grid.inner[index]) {
        let [above, here, below] = [index - columns, index, index + columns];
        let (left, right) = (
            luma[above - 1] + 2.0 * luma[here - 1] + luma[below - 1],
            luma[above + 1] + 2.0 * luma[here + 1] + luma[below + 1],
        );
        let (up, down) = (
            luma[above - 1] + 2.0 * luma[above] + luma[above + 1],
            luma[below - 1] + 2.0 * luma[below] + luma[below + 1],
        );
        gradients[index] = [(right - left) / 8.0, (down - up) / 8.0];
    }
    gradients
}

fn cell_means(luma: &[f32], grid: &Grid) -> Vec<f32> {
    let mut sums = vec![(0.0f32, 0u32); grid.n_cells()];
    for ((&value, &cell), _) in luma.iter().zip(&grid.cell_of).zip(&grid.open).filter(|(_, open)| **open) {
        sums[cell].0 += value;
        sums[cell].1 += 1;
    }
    sums.into_iter().map(|(sum, n)| sum / n.max(1) as f32).collect()
}

fn open_values(values: &[f32], grid: &Grid) -> Vec<f32> {
    values.iter().zip(&grid.open).filter(|(_, open)| **open).map(|(&value, _)| value).collect()
}

fn quantile(values: &mut [f32], share: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = ((values.len() - 1) as f32 * share) as usize;
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}
