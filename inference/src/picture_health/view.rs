//! A camera's normal view, learned slowly: where its edges are, how bright its parts are, how sharp it is at which light.
//!
//! Edges are kept as signed gradients and compared by direction, cell by cell, so contrast and exposure don't matter; what moves averages
//! away. A cell that often looks different (trees, a crowd) loses its say.

use std::time::Duration;

use super::grid::Grid;
use super::sample::{Change, Sample};

/// Time after which an old view has lost two thirds of its weight.
const MEMORY: f32 = 600.0;
/// Longest time that one picture stands for.
const MAX_STEP: f32 = 30.0;
/// Pictures and seconds after which a view can be compared with.
const LEARNED: (u32, f32) = (4, 15.0);
/// Mean squared gradient from which a cell has structure.
const STRUCTURE: f32 = 0.5;
/// Correlation of gradients from which a cell is as it was.
const SAME: f32 = 0.4;
/// How often a cell must be as it was to have a say.
const STEADY: f32 = 0.6;
/// Contrast against the view's from which its edges show.
const SHOWN: f32 = 0.1;
/// Fewest cells with a say.
const MIN_STEADY_CELLS: usize = 8;

/// A slowly learned view.
pub(super) struct View {
    n: u32,
    seconds: f32,
    /// Mean gradient of each block.
    pub gradient: Vec<[f32; 2]>,
    cell_luma: Vec<f32>,
    steadiness: Vec<f32>,
    detail: f32,
    n_details: u32,
    /// Mean luma.
    pub brightness: f32,
    /// What usually changes from one picture to the next.
    pub change: Change,
    /// Share of the blocks that are burnt out.
    pub burnt_share: f32,
    /// Mean squared gradient of single pictures.
    energy: f32,
    texture: f32,
}

/// What is learned of one picture beside its sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    /// Mean luma.
    pub brightness: f32,
    /// Share of the blocks that are burnt out.
    pub burnt_share: f32,
    /// Mean squared gradient.
    pub energy: f32,
    /// Fine against coarse contrast.
    pub texture: f32,
    /// Since the picture before, if there was one of this size.
    pub change: Option<Change>,
}

/// How a picture compares with a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Likeness {
    /// Share of the cells with a say that show their structure.
    pub kept: f32,
    /// Contrast of edges against the view's.
    pub edges: f32,
    /// Contrast of large areas against the view's.
    pub areas: f32,
    /// Correlation of the brightness of large areas.
    pub areas_alike: f32,
    /// Mean squared gradient against the view's.
    pub energy: f32,
    /// Brightness above black against the view's.
    pub light: f32,
    /// Fine against coarse contrast of anything in it, against the view's.
    pub texture: f32,
    /// Fine against coarse contrast of the view's own edges, at most; where they show.
    pub sharpness: Option<f32>,
}

impl View {
    pub fn new(grid: &Grid) -> Self {
        Self {
            n: 0,
            seconds: 0.0,
            gradient: vec![[0.0; 2]; grid.n_blocks()],
            cell_luma: vec![0.0; grid.n_cells()],
            steadiness: vec![1.0; grid.n_cells()],
            detail: 0.0,
            n_details: 0,
            texture: 0.0,
            brightness: 0.0,
            change: Change::default(),
            burnt_share: 0.0,
            energy: 0.0,
        }
    }

    /// Whether enough was seen to compare with.
    pub fn is_learned(&self) -> bool {
        self.n >= LEARNED.0 && self.seconds >= LEARNED.1
    }

    /// Takes a picture as normal; `step` is the time since the one before.
    pub fn learn(&mut self, sample: &Sample, traits: Traits, grid: &Grid, step: Duration) {
        let step = step.as_secs_f32().min(MAX_STEP);
        self.n = self.n.saturating_add(1);
        self.seconds += step;
        let weight = (1.0 / self.n as f32).max(1.0 - (-step / MEMORY).exp());
        if self.is_learned() {
            for (cell, same) in self.cells_alike(sample, grid).into_iter().enumerate() {
                if let Some(same) = same {
                    blend(&mut self.steadiness[cell], f32::from(u8::from(same >= SAME)), weight);
                }
            }
        }
        for (mean, new) in self.gradient.iter_mut().zip(&sample.gradient) {
            blend(&mut mean[0], new[0], weight);
            blend(&mut mean[1], new[1], weight);
        }
        for (mean, new) in self.cell_luma.iter_mut().zip(&sample.cell_luma) {
            blend(mean, *new, weight);
        }
        blend(&mut self.brightness, traits.brightness, weight);
        if let Some(change) = traits.change {
            blend(&mut self.change.repeated, change.repeated, weight);
            blend(&mut self.change.mean, change.mean, weight);
        }
        blend(&mut self.burnt_share, traits.burnt_share, weight);
        blend(&mut self.energy, traits.energy, weight);
        blend(&mut self.texture, traits.texture, weight);
        if let Some(detail) = self.detail(sample, grid).filter(|_| self.is_learned()) {
            self.n_details += 1;
            blend(&mut self.detail, detail.likely, weight.max(1.0 / self.n_details as f32));
        }
    }

    /// Compares; `None` when the view has too little structure that stays to say anything.
    pub fn compare(&self, sample: &Sample, traits: Traits, grid: &Grid, black: f32) -> Option<Likeness> {
        let alike = self.cells_alike(sample, grid);
        let steady: Vec<f32> = alike
            .iter()
            .zip(&self.steadiness)
            .filter_map(|(same, steadiness)| same.filter(|_| *steadiness >= STEADY))
            .collect();
        if steady.len() < MIN_STEADY_CELLS {
            return None;
        }
        let kept = steady.iter().filter(|same| **same >= SAME).count() as f32 / steady.len() as f32;
        let (areas, areas_alike) = self.areas(sample, grid);
        let light = (traits.brightness - black).max(1.0) / (self.brightness - black).max(1.0);
        let usual = self.detail;
        let sharpness = self.detail(sample, grid).filter(|_| usual > 0.0).map(|now| (now.at_most() / usual).sqrt());
        Some(Likeness {
            kept,
            edges: self.edges(sample),
            areas,
            areas_alike,
            light,
            energy: traits.energy / self.energy.max(1e-3),
            texture: traits.texture / self.texture.max(1e-3),
            sharpness,
        })
    }

    /// For each cell with structure: correlation of its gradients with the view's.
    fn cells_alike(&self, sample: &Sample, grid: &Grid) -> Vec<Option<f32>> {
        let mut sums = vec![[0.0f32; 3]; grid.n_cells()];
        for ((&cell, view), now) in grid.cell_of.iter().zip(&self.gradient).zip(&sample.gradient) {
            let sum = &mut sums[cell];
            sum[0] += view[0] * now[0] + view[1] * now[1];
            sum[1] += view[0] * view[0] + view[1] * view[1];
            sum[2] += now[0] * now[0] + now[1] * now[1];
        }
        let alike = |(cell, [both, view, now]): (usize, [f32; 3])| {
            let has_structure = grid.is_usable(cell) && view >= STRUCTURE * grid.n_inner[cell] as f32;
            has_structure.then(|| both / (view * now).sqrt().max(1e-3))
        };
        sums.into_iter().enumerate().map(alike).collect()
    }

    /// Regression of the picture's gradients on the view's.
    fn edges(&self, sample: &Sample) -> f32 {
        let (mut both, mut view) = (0.0, 0.0);
        for (mean, now) in self.gradient.iter().zip(&sample.gradient) {
            both += mean[0] * now[0] + mean[1] * now[1];
            view += mean[0] * mean[0] + mean[1] * mean[1];
        }
        both / f32::max(view, 1e-3)
    }

    /// Regression and correlation of the cells' brightness with the view's.
    fn areas(&self, sample: &Sample, grid: &Grid) -> (f32, f32) {
        let pairs: Vec<(f32, f32)> = (0..grid.n_cells())
            .filter(|&cell| grid.is_usable(cell))
            .map(|cell| (self.cell_luma[cell], sample.cell_luma[cell]))
            .collect();
        let n = pairs.len().max(1) as f32;
        let view_mean = pairs.iter().map(|pair| pair.0).sum::<f32>() / n;
        let now_mean = pairs.iter().map(|pair| pair.1).sum::<f32>() / n;
        let (mut both, mut view, mut now) = (0.0, 0.0, 0.0);
        for (before, after) in pairs {
            let (before, after) = (before - view_mean, after - now_mean);
            both += before * after;
            view += before * before;
            now += after * after;
        }
        (both / f32::max(view, 1e-3), both / f32::max((view * now).sqrt(), 1e-3))
    }

    /// How much detail comes with the view's edges, for their contrast. Noise and rain come everywhere, so they have no part in
    /// it but its error; `None` when hardly an edge shows.
    fn detail(&self, sample: &Sample, grid: &Grid) -> Option<Detail> {
        let counts = |index: &usize| grid.inner[*index] && self.steadiness[grid.cell_of[*index]] >= STEADY;
        let strength = |index: usize| {
            let [x, y] = self.gradient[index];
            x * x + y * y
        };
        let pairs = || (0..grid.n_blocks()).filter(counts).map(|index| (strength(index), sample.fine[index]));
        let (mut n, mut strengths, mut details) = (0u32, 0.0, 0.0);
        for (strength, detail) in pairs() {
            n += 1;
            strengths += strength;
            details += detail;
        }
        let (strength_mean, detail_mean) = (strengths / n.max(1) as f32, details / n.max(1) as f32);
        let (mut both, mut alone, mut scatter) = (0.0, 0.0, 0.0);
        for (strength, detail) in pairs() {
            let product = (strength - strength_mean) * (detail - detail_mean);
            both += product;
            alone += (strength - strength_mean) * (strength - strength_mean);
            scatter += product * product;
        }
        let edges = self.edges(sample);
        let scale = alone * edges * edges;
        (edges >= SHOWN && scale > 0.0).then(|| Detail { likely: both / scale, error: f32::sqrt(scatter) / scale })
    }
}

/// Detail of a view's edges, for their contrast.
struct Detail {
    likely: f32,
    error: f32,
}

impl Detail {
    fn at_most(&self) -> f32 {
        (self.likely + 2.0 * self.error).max(0.0)
    }
}

fn blend(mean: &mut f32, new: f32, weight: f32) {
    *mean += (new - *mean) * weight;
}
