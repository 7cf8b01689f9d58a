//! Inputs for a part of a frame, scaled as the whole frame is: they cost their share of its area, and what lies well inside one is
//! found as in the whole, because its grid lies on the whole's.

use super::Recipe;
use super::network::Network;
use crate::geometry::BBox;
use crate::manifest::Fit;
use crate::preprocess::Window;
use crate::runtime::Provider;

/// Sides of the square inputs there are, in pixels.
const SIDES: [usize; 3] = [128, 192, 256];
/// Pixels that a network needs to see around an object.
const MARGIN: f32 = 24.0;

/// The networks for parts, made when first needed.
pub(super) struct Parts {
    step: usize,
    /// None where it could not be made.
    tried: [Option<Option<Network>>; SIDES.len()],
}

impl Parts {
    /// For grids of this step; no network yet.
    pub(super) fn new(step: usize) -> Self {
        Self { step, tried: [const { None }; SIDES.len()] }
    }

    /// Whether a part would hold this region of a frame of that size and cost less than the whole.
    pub(super) fn has(&self, recipe: &Recipe, frame: (usize, usize), region: &BBox) -> bool {
        self.place(recipe, frame, region).is_some_and(|(nth, _)| !matches!(self.tried[nth], Some(None)))
    }

    /// The smallest network whose input holds this region of a frame of that size, and where the input lies; `None` when the
    /// whole frame would cost no more.
    pub(super) fn network(
        &mut self,
        recipe: &Recipe,
        frame: (usize, usize),
        region: &BBox,
    ) -> Option<(&mut Network, Window)> {
        let (nth, window) = self.place(recipe, frame, region)?;
        let network = self.tried[nth].get_or_insert_with(|| {
            let made = recipe.network((SIDES[nth], SIDES[nth]));
            made.inspect_err(|error| tracing::warn!(%error, side = SIDES[nth], "no network for parts of frames")).ok()
        });
        network.as_mut().map(|network| (network, window))
    }

    fn place(&self, recipe: &Recipe, frame: (usize, usize), region: &BBox) -> Option<(usize, Window)> {
        // Other providers take long to set up a network.
        let is_quick = recipe.provider() == Some(Provider::Cpu);
        let input = recipe.input();
        let is_scaled_evenly = matches!(input.fit, Fit::Letterbox { .. });
        if is_quick && is_scaled_evenly { place((input.width, input.height), frame, region, self.step) } else { None }
    }

    /// All networks that were made.
    pub(super) fn made(&self) -> impl Iterator<Item = &Network> {
        self.tried.iter().flatten().flatten()
    }
}

/// Which side holds the region with its margin, and where.
fn place(whole: (usize, usize), frame: (usize, usize), region: &BBox, step: usize) -> Option<(usize, Window)> {
    let (frame_w, frame_h) = (frame.0 as f32, frame.1 as f32);
    let scale = (whole.0 as f32 / frame_w).min(whole.1 as f32 / frame_h);
    let (width, height) = (frame_w * scale, frame_h * scale);
    let region = region.clipped();
    let columns = span(region.x * width, (region.x + region.w) * width, width, step);
    let rows = span(region.y * height, (region.y + region.h) * height, height, step);
    let needed = columns.1.max(rows.1);
    let nth = SIDES.iter().position(|side| *side >= needed)?;
    let area = (width * height) as usize;
    (SIDES[nth] * SIDES[nth] < area).then_some((nth, Window { whole, origin: (columns.0, rows.0) }))
}

/// Where the window begins, on the grid, and how long it must be.
fn span(from: f32, to: f32, end: f32, step: usize) -> (usize, usize) {
    let first = (from - MARGIN).max(0.0) as usize / step * step;
    let last = (to + MARGIN).min(end).ceil() as usize;
    (first, last.saturating_sub(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_walker_in_full_hd_takes_the_smallest_input() {
        let walker = BBox { x: 0.5, y: 0.5, w: 0.03, h: 0.15 };
        let (nth, window) = place((416, 416), (1920, 1080), &walker, 32).unwrap();
        assert_eq!((SIDES[nth], window.origin), (128, (160, 64)));
    }

    #[test]
    fn what_needs_nearly_everything_is_no_part() {
        assert!(place((416, 416), (1920, 1080), &BBox { x: 0.1, y: 0.2, w: 0.8, h: 0.3 }, 32).is_none());
        assert!(place((128, 128), (352, 288), &BBox { x: 0.5, y: 0.5, w: 0.1, h: 0.1 }, 32).is_none());
    }

    proptest! {
        #[test]
        fn a_part_holds_its_region_and_the_margin(x in 0.0f32..1.0, y in 0.0f32..1.0, w in 0.0f32..0.5, h in 0.0f32..0.5) {
            let region = BBox { x, y, w, h };
            if let Some((nth, Window { origin, .. })) = place((416, 416), (1920, 1080), &region, 32) {
                let scale = 416.0;
                let held = |from: f32, to: f32, origin: usize, end: f32| {
                    (origin as f32) <= (from - MARGIN).max(0.0) && (to + MARGIN).min(end) <= (origin + SIDES[nth]) as f32
                };
                let clipped = region.clipped();
                prop_assert!(held(clipped.x * scale, (clipped.x + clipped.w) * scale, origin.0, scale));
                prop_assert!(held(clipped.y * 234.0, (clipped.y + clipped.h) * 234.0, origin.1, 234.0));
                prop_assert!(origin.0 % 32 == 0 && origin.1 % 32 == 0);
            }
        }
    }
}
