//! Frame → input tensor, straight from the planes: 8-bit colour at the four source pixels around each output pixel,
//! chroma replicated, then bilinear with half-pixel centres, rounded to 8 bits. That is what models were trained on: a
//! picture that became 8-bit colour first. The taps of each picture size are computed once.

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

/// Scratch: the two source rows around an output row, each already resized to its width.
#[derive(Default)]
struct Rows {
    gathered: [Gathered; 2],
    resized: [ResizedRow; 2],
}

/// Luma and chroma of one source row at the first, or at the second, place of every column's tap.
#[derive(Default)]
struct Gathered {
    luma: Vec<f32>,
    u: Vec<f32>,
    v: Vec<f32>,
}

/// One source row in the model's colours and width.
#[derive(Default)]
struct ResizedRow {
    source_row: Option<usize>,
    channels: [Vec<f32>; 3],
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
        rows.forget();
        for (y, tap) in plan.rows.iter().enumerate() {
            rows.prepare(picture, *tap, &plan.columns, &channels);
            let [first, second] = &rows.resized;
            for (c, (first, second)) in first.channels.iter().zip(&second.channels).enumerate() {
                write_row(spec, tensor, (c, y), first.iter().zip(second).map(|(a, b)| a + (b - a) * tap.weight));
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
    /// Another frame begins.
    fn forget(&mut self) {
        self.resized.iter_mut().for_each(|row| row.source_row = None);
    }

    /// Makes the two source rows of a tap, unless the row before needed them too.
    fn prepare(&mut self, picture: &Picture, tap: Tap, columns: &[Tap], channels: &[Channel; 3]) {
        if self.resized[1].source_row == Some(tap.first) {
            self.resized.swap(0, 1);
        }
        for (resized, source_row) in self.resized.iter_mut().zip([tap.first, tap.second]) {
            if resized.source_row != Some(source_row) {
                gather(&mut self.gathered, picture, source_row, columns);
                resized.resize(&self.gathered, columns, channels);
                resized.source_row = Some(source_row);
            }
        }
    }
}

impl ResizedRow {
    fn resize(&mut self, [first, second]: &[Gathered; 2], columns: &[Tap], channels: &[Channel; 3]) {
        for (to, channel) in self.channels.iter_mut().zip(channels) {
            to.clear();
            to.extend(
                columns
                    .iter()
                    .zip(first.levels(*channel))
                    .zip(second.levels(*channel))
                    .map(|((tap, first), second)| first + (second - first) * tap.weight),
            );
        }
    }
}

impl Gathered {
    /// One channel's 8-bit values.
    fn levels(&self, channel: Channel) -> impl Iterator<Item = f32> + '_ {
        let places = self.luma.iter().zip(&self.u).zip(&self.v);
        places.map(move |((&y, &u), &v)| rounded(channel.of(y, u, v).clamp(0.0, 255.0)))
    }
}

/// Chroma is replicated: luma places 2n and 2n + 1 share chroma place n.
fn gather([first, second]: &mut [Gathered; 2], picture: &Picture, source_row: usize, columns: &[Tap]) {
    let [luma, u, v] = picture.planes();
    let (width, (chroma_w, _)) = (picture.width(), picture.chroma_size());
    let luma = &luma[source_row * width..][..width];
    let u = &u[source_row / 2 * chroma_w..][..chroma_w];
    let v = &v[source_row / 2 * chroma_w..][..chroma_w];
    pick(&mut first.luma, luma, columns.iter().map(|tap| tap.first));
    pick(&mut second.luma, luma, columns.iter().map(|tap| tap.second));
    for (to, plane) in [(&mut first.u, u), (&mut first.v, v)] {
        pick(to, plane, columns.iter().map(|tap| tap.first / 2));
    }
    for (to, plane) in [(&mut second.u, u), (&mut second.v, v)] {
        pick(to, plane, columns.iter().map(|tap| tap.second / 2));
    }
}

fn pick(to: &mut Vec<f32>, row: &[u8], places: impl Iterator<Item = usize>) {
    to.clear();
    to.extend(places.map(|place| f32::from(row[place])));
}

fn write_row(spec: &InputSpec, tensor: &mut [f32], (c, y): (usize, usize), levels: impl Iterator<Item = f32>) {
    let values = levels.map(|level| rounded(level) * spec.scale + spec.offset);
    match spec.layout {
        Layout::Nchw => {
            let row = &mut tensor[(c * spec.height + y) * spec.width..][..spec.width];
            row.iter_mut().zip(values).for_each(|(to, value)| *to = value);
        }
        Layout::Nhwc => {
            let row = &mut tensor[y * spec.width * 3..][..spec.width * 3];
            row.iter_mut().skip(c).step_by(3).zip(values).for_each(|(to, value)| *to = value);
        }
    }
}

/// To the nearest integer, for values of 0..255.
fn rounded(level: f32) -> f32 {
    (level + ROUNDING) - ROUNDING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, DecodedFrame, Range};
    use crate::mask::{self, PrivacyMasks};
    use jiff::Timestamp;

    fn spec(fit: Fit, layout: Layout) -> InputSpec {
        let tensor = "images".to_owned();
        let (width, height, colour) = (32, 32, ColourOrder::Bgr);
        InputSpec { tensor, width, height, layout, colour, scale: 1.0, offset: 0.0, fit, rectangular: false }
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
