//! Frame → input tensor, straight from the planes: bilinear with half-pixel centres, chroma replicated, then colour,
//! rounded to 8 bits as a resized picture would be. The taps of each picture size are computed once.

use crate::colour::{self, Channel};
use crate::frame::{Frame, Picture};
use crate::manifest::{ColourOrder, Fit, InputSpec, Layout};

/// Picture sizes whose taps are kept: cameras that share a detector come in few sizes.
const MAX_PLANS: usize = 16;

/// Adding and subtracting this rounds a small f32 to the nearest integer, in one vector instruction each.
const ROUNDING: f32 = 12_582_912.0;

/// Fills one reused tensor.
pub(crate) struct Preprocessor {
    spec: InputSpec,
    tensor: Vec<f32>,
    plans: Vec<Plan>,
    rows: Rows,
}

/// Normalised frame coordinates of a pixel of model space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FrameFromModel {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

/// How one size of picture is resized.
struct Plan {
    source: (usize, usize),
    rows: Vec<Tap>,
    columns: Vec<Tap>,
    frame_from_model: FrameFromModel,
}

/// Two neighbours and the weight of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

/// Scratch: rows blended vertically, then sampled horizontally.
#[derive(Default)]
struct Rows {
    blended: [Vec<f32>; 3],
    sampled: [Vec<f32>; 3],
}

impl Preprocessor {
    pub(crate) fn new(spec: InputSpec) -> Self {
        let tensor = vec![0.0; 3 * spec.width * spec.height];
        Self { spec, tensor, plans: Vec::new(), rows: Rows::default() }
    }

    /// The input tensor of this frame, and the way back from model space.
    pub(crate) fn fill(&mut self, frame: &Frame) -> (&[f32], FrameFromModel) {
        let picture = frame.picture();
        self.prepare_plan((picture.width(), picture.height()));
        let Self { spec, tensor, plans, rows } = self;
        let plan = &plans[0];
        let channels = channels(spec, picture);
        for (y, tap) in plan.rows.iter().enumerate() {
            rows.blend(picture, *tap);
            rows.sample(&plan.columns);
            for (c, channel) in channels.iter().enumerate() {
                write_channel(spec, tensor, (c, y), &rows.sampled, *channel);
            }
        }
        (tensor, plan.frame_from_model)
    }

    /// Brings the plan of this size to the front; the padding belongs to the plan that was used last.
    fn prepare_plan(&mut self, source: (usize, usize)) {
        if self.plans.first().is_some_and(|plan| plan.source == source) {
            return;
        }
        let plan = match self.plans.iter().position(|plan| plan.source == source) {
            Some(known) => self.plans.remove(known),
            None => Plan::new(&self.spec, source),
        };
        self.plans.insert(0, plan);
        self.plans.truncate(MAX_PLANS);
        if let Fit::Letterbox { pad } = self.spec.fit {
            self.tensor.fill(f32::from(pad) * self.spec.scale + self.spec.offset);
        }
    }
}

impl Plan {
    fn new(spec: &InputSpec, source: (usize, usize)) -> Self {
        let (frame_w, frame_h) = (source.0 as f64, source.1 as f64);
        let (model_w, model_h) = (spec.width as f64, spec.height as f64);
        let (out_w, out_h, frame_from_model) = match spec.fit {
            Fit::Stretch => (spec.width, spec.height, (1.0 / model_w, 1.0 / model_h)),
            Fit::Letterbox { .. } => {
                let scale = (model_w / frame_w).min(model_h / frame_h);
                let whole = |side: f64| ((side * scale + 1e-6) as usize).max(1);
                (whole(frame_w), whole(frame_h), (1.0 / (scale * frame_w), 1.0 / (scale * frame_h)))
            }
        };
        Self {
            source,
            rows: taps(source.1, out_h),
            columns: taps(source.0, out_w),
            frame_from_model: FrameFromModel { x: frame_from_model.0 as f32, y: frame_from_model.1 as f32 },
        }
    }
}

/// For each output place the two source places beside its centre.
fn taps(source: usize, out: usize) -> Vec<Tap> {
    let scale = source as f64 / out as f64;
    let last = source - 1;
    let tap = |place: usize| {
        let centre = (place as f64 + 0.5) * scale - 0.5;
        let first = (centre.max(0.0) as usize).min(last);
        let weight = (centre - first as f64).clamp(0.0, 1.0) as f32;
        Tap { first, second: (first + 1).min(last), weight }
    };
    (0..out).map(tap).collect()
}

/// The model's channels in its order, as functions of luma and chroma.
fn channels(spec: &InputSpec, picture: &Picture) -> [Channel; 3] {
    let [r, g, b] = colour::rgb(picture.colour());
    match spec.colour {
        ColourOrder::Rgb => [r, g, b],
        ColourOrder::Bgr => [b, g, r],
    }
}

impl Rows {
    fn blend(&mut self, picture: &Picture, tap: Tap) {
        let [luma, u, v] = picture.planes();
        let (chroma_w, _) = picture.chroma_size();
        let chroma_tap = tap.of_chroma();
        let [to_luma, to_u, to_v] = &mut self.blended;
        blend_rows(to_luma, luma, picture.width(), tap);
        blend_rows(to_u, u, chroma_w, chroma_tap);
        blend_rows(to_v, v, chroma_w, chroma_tap);
    }

    fn sample(&mut self, columns: &[Tap]) {
        let [luma, u, v] = &self.blended;
        let [to_luma, to_u, to_v] = &mut self.sampled;
        to_luma.clear();
        to_luma.extend(columns.iter().map(|tap| tap.between(luma)));
        to_u.clear();
        to_u.extend(columns.iter().map(|tap| tap.of_chroma().between(u)));
        to_v.clear();
        to_v.extend(columns.iter().map(|tap| tap.of_chroma().between(v)));
    }
}

impl Tap {
    /// Chroma is replicated: luma places 2n and 2n + 1 share chroma place n.
    fn of_chroma(self) -> Self {
        Self { first: self.first / 2, second: self.second / 2, weight: self.weight }
    }

    fn between(self, row: &[f32]) -> f32 {
        let (first, second) = (row[self.first], row[self.second]);
        first + (second - first) * self.weight
    }
}

fn blend_rows(to: &mut Vec<f32>, plane: &[u8], width: usize, tap: Tap) {
    let first = &plane[tap.first * width..][..width];
    let second = &plane[tap.second * width..][..width];
    to.clear();
    to.extend(first.iter().zip(second).map(|(&a, &b)| {
        let (a, b) = (f32::from(a), f32::from(b));
        a + (b - a) * tap.weight
    }));
}

fn write_channel(
    spec: &InputSpec,
    tensor: &mut [f32],
    (c, y): (usize, usize),
    [luma, u, v]: &[Vec<f32>; 3],
    channel: Channel,
) {
    let (scale, offset) = (spec.scale, spec.offset);
    let value = |((&y, &u), &v): ((&f32, &f32), &f32)| {
        let level = channel.of(y, u, v).clamp(0.0, 255.0);
        ((level + ROUNDING) - ROUNDING) * scale + offset
    };
    let values = luma.iter().zip(u).zip(v).map(value);
    match spec.layout {
        Layout::Nchw => {
            let start = (c * spec.height + y) * spec.width;
            tensor[start..start + luma.len()].iter_mut().zip(values).for_each(|(to, value)| *to = value);
        }
        Layout::Nhwc => {
            let row = &mut tensor[y * spec.width * 3..][..luma.len() * 3];
            row.iter_mut().skip(c).step_by(3).zip(values).for_each(|(to, value)| *to = value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, DecodedFrame, Range};
    use crate::mask::{self, PrivacyMasks};
    use jiff::Timestamp;

    fn spec(fit: Fit, layout: Layout) -> InputSpec {
        let tensor = "images".to_owned();
        InputSpec { tensor, width: 32, height: 32, layout, colour: ColourOrder::Bgr, scale: 1.0, offset: 0.0, fit }
    }

    /// Luma from a function of x and y, no colour.
    fn grey(width: usize, height: usize, luma: impl Fn(usize, usize) -> u8) -> Frame {
        let mut bytes: Vec<u8> = (0..width * height).map(|i| luma(i % width, i / width)).collect();
        bytes.resize(width * height + 2 * width.div_ceil(2) * height.div_ceil(2), 128);
        let colour = Colour { range: Range::Full, ..Colour::default() };
        let size = (width as u32, height as u32);
        let decoded = DecodedFrame::from_i420(bytes, size, colour, Timestamp::UNIX_EPOCH).unwrap();
        mask::paint(decoded, &PrivacyMasks::none())
    }

    #[test]
    fn letterbox_pads_below_and_maps_back() {
        let mut preprocessor = Preprocessor::new(spec(Fit::Letterbox { pad: 114 }, Layout::Nchw));
        let (tensor, frame_from_model) = preprocessor.fill(&grey(64, 32, |_, _| 50));
        assert_eq!((tensor[0], tensor[15 * 32 + 31], tensor[16 * 32]), (50.0, 50.0, 114.0));
        assert_eq!(frame_from_model, FrameFromModel { x: 1.0 / 32.0, y: 1.0 / 16.0 });
    }

    #[test]
    fn padding_follows_the_size_of_each_frame() {
        let mut preprocessor = Preprocessor::new(spec(Fit::Letterbox { pad: 114 }, Layout::Nchw));
        preprocessor.fill(&grey(64, 64, |_, _| 50));
        let (tensor, _) = preprocessor.fill(&grey(64, 32, |_, _| 50));
        assert_eq!(tensor[31 * 32], 114.0);
        let (tensor, _) = preprocessor.fill(&grey(64, 64, |_, _| 50));
        assert_eq!(tensor[31 * 32], 50.0);
    }

    #[test]
    fn halving_takes_the_mean_of_four() {
        let mut preprocessor = Preprocessor::new(spec(Fit::Stretch, Layout::Nhwc));
        let (tensor, _) = preprocessor.fill(&grey(64, 64, |x, y| (10 * (x % 2) + 20 * (y % 2)) as u8));
        assert!(tensor.iter().all(|&value| value == 15.0));
    }

    #[test]
    fn odd_and_tiny_frames_fit_too() {
        for fit in [Fit::Stretch, Fit::Letterbox { pad: 0 }] {
            for (width, height) in [(2, 2), (3, 5), (33, 2), (2, 301), (1919, 7)] {
                let mut preprocessor = Preprocessor::new(spec(fit, Layout::Nchw));
                let (tensor, _) = preprocessor.fill(&grey(width, height, |_, _| 77));
                assert_eq!(tensor[0], 77.0);
            }
        }
    }
}
