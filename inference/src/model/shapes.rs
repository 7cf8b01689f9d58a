//! Which input size a frame gets. A fully convolutional model takes any multiple of its largest stride, so its letterbox
//! follows the camera's shape and no time goes into padding: 4:3 needs 0.77 of the square's, 16:9 needs 0.63.
//!
//! Cameras of one shape share a network, which is made when the first frame of that shape comes. Their number is
//! bounded: a shape beyond the bound, or one that can't be made, runs at the smallest size there is that holds it.

use super::network::Network;
use super::parts::Parts;
use super::{ModelError, Recipe};
use crate::geometry::BBox;
use crate::manifest::{Decoder, Fit, InputSpec};
use crate::preprocess::Window;

/// Sizes beside the manifest's own.
const MAX_SHAPES: usize = 4;

/// Width and height.
pub(crate) type Size = (usize, usize);

/// A model's networks.
pub(super) struct Shapes {
    full: Network,
    rectangular: Option<Rectangular>,
}

/// The networks of other sizes than the manifest's.
struct Rectangular {
    recipe: Recipe,
    step: usize,
    /// Each size that was asked for; none where it could not be made.
    tried: Vec<(Size, Option<Network>)>,
    parts: Parts,
    said_full: bool,
}

impl Shapes {
    /// Of a model whose manifest says that it is fully convolutional, or of one that has a single size.
    pub(super) fn new(full: Network, recipe: Recipe) -> Self {
        let rectangular = step(&recipe).map(|step| {
            let parts = Parts::new(step);
            Rectangular { recipe, step, tried: Vec::new(), parts, said_full: false }
        });
        Self { full, rectangular }
    }

    /// The network for frames of this width and height.
    pub(super) fn network(&mut self, frame: Size) -> &mut Network {
        let Self { full, rectangular } = self;
        match rectangular {
            Some(rectangular) => rectangular.network(frame, full),
            None => full,
        }
    }

    /// The network for a region of frames of this width and height, and what of them it takes in; `None`: the whole frame must do.
    pub(super) fn part(&mut self, frame: Size, region: &BBox) -> Option<(&mut Network, Window)> {
        let Rectangular { recipe, parts, .. } = self.rectangular.as_mut()?;
        parts.network(recipe, frame, region)
    }

    /// Whether a part of frames of this width and height holds the region and costs less than the whole.
    pub(super) fn has_part(&self, frame: Size, region: &BBox) -> bool {
        let rectangular = self.rectangular.as_ref();
        rectangular.is_some_and(|Rectangular { recipe, parts, .. }| parts.has(recipe, frame, region))
    }

    /// All networks for whole frames that were made.
    pub(super) fn made(&self) -> impl Iterator<Item = &Network> {
        let others = self.rectangular.iter().flat_map(|rectangular| &rectangular.tried);
        std::iter::once(&self.full).chain(others.filter_map(|(_, network)| network.as_ref()))
    }

    /// All networks for parts of frames that were made.
    pub(super) fn made_for_parts(&self) -> impl Iterator<Item = &Network> {
        self.rectangular.iter().flat_map(|rectangular| rectangular.parts.made())
    }
}

impl Rectangular {
    fn network<'a>(&'a mut self, frame: Size, full: &'a mut Network) -> &'a mut Network {
        let wanted = size_for(frame, self.recipe.input(), self.step);
        if wanted == full.size() {
            return full;
        }
        let known = self.tried.iter().position(|(size, _)| *size == wanted);
        let index = known.or_else(|| self.make(wanted)).or_else(|| self.smallest_that_holds(wanted));
        index.and_then(|index| self.tried[index].1.as_mut()).unwrap_or(full)
    }

    fn make(&mut self, size: Size) -> Option<usize> {
        let (width, height) = size;
        if self.tried.len() == MAX_SHAPES {
            if !self.said_full {
                tracing::warn!(width, height, MAX_SHAPES, "too many shapes of camera; this one is padded");
                self.said_full = true;
            }
            return None;
        }
        let network = self.recipe.network(size).inspect_err(|error| self.say_failed(size, error)).ok();
        self.tried.push((size, network));
        Some(self.tried.len() - 1)
    }

    fn say_failed(&self, (width, height): Size, error: &ModelError) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(width, height, %error, cause, "the model can't follow this shape; frames are padded");
    }

    fn smallest_that_holds(&self, (width, height): Size) -> Option<usize> {
        let holds = |network: &Network| network.size().0 >= width && network.size().1 >= height;
        let made = self.tried.iter().enumerate().filter(|(_, (_, network))| network.as_ref().is_some_and(holds));
        made.min_by_key(|(_, ((width, height), _))| width * height).map(|(index, _)| index)
    }
}

/// Sides are multiples of this, where the manifest lets the size follow the frame.
fn step(recipe: &Recipe) -> Option<usize> {
    match &recipe.manifest().output.decoder {
        Decoder::Yolox { strides, .. } if recipe.input().rectangular => strides.iter().max().copied(),
        _ => None,
    }
}

/// The smallest size that holds a frame scaled as the manifest's own size would.
fn size_for((frame_w, frame_h): Size, input: &InputSpec, step: usize) -> Size {
    let Fit::Letterbox { .. } = input.fit else { return (input.width, input.height) };
    let (frame_w, frame_h) = (frame_w as f64, frame_h as f64);
    let scale = (input.width as f64 / frame_w).min(input.height as f64 / frame_h);
    let stepped = |side: f64, most: usize| (((side * scale) as usize).max(1).div_ceil(step) * step).min(most);
    (stepped(frame_w, input.width), stepped(frame_h, input.height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{ColourOrder, Layout};
    use proptest::prelude::*;

    fn nano() -> InputSpec {
        InputSpec {
            tensor: "images".to_owned(),
            width: 416,
            height: 416,
            layout: Layout::Nchw,
            colour: ColourOrder::Bgr,
            scale: 1.0,
            offset: 0.0,
            fit: Fit::Letterbox { pad: 114 },
            rectangular: true,
        }
    }

    #[test]
    fn the_size_follows_the_cameras_shape() {
        for (frame, expected) in [
            ((768, 576), (416, 320)),
            ((1280, 960), (416, 320)),
            ((1920, 1080), (416, 256)),
            ((1080, 1920), (256, 416)),
            ((704, 576), (416, 352)),
            ((1000, 1000), (416, 416)),
            ((16_384, 2), (416, 32)),
            ((2, 16_384), (32, 416)),
        ] {
            assert_eq!(size_for(frame, &nano(), 32), expected, "{frame:?}");
        }
    }

    proptest! {
        #[test]
        fn every_frame_fits_without_a_whole_step_of_padding(width in 2usize..16_384, height in 2usize..16_384) {
            let (model_w, model_h) = size_for((width, height), &nano(), 32);
            prop_assert!(model_w % 32 == 0 && model_h % 32 == 0 && model_w.max(model_h) == 416);
            let scale = 416.0 / width.max(height) as f64;
            let (scaled_w, scaled_h) = (width as f64 * scale, height as f64 * scale);
            prop_assert!(scaled_w < model_w as f64 + 1.0 && scaled_w > model_w as f64 - 33.0);
            prop_assert!(scaled_h < model_h as f64 + 1.0 && scaled_h > model_h as f64 - 33.0);
        }
    }
}
