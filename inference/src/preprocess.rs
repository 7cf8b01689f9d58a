//! Frame → input tensor in one pass, straight from the planes: 8-bit colour at the four source pixels around each output
//! pixel, chroma replicated, then bilinear with half-pixel centres, rounded to 8 bits. That is what models were trained
//! on: a picture that became 8-bit colour first. No such picture is made; two rows of it are held at a time.
//!
//! The taps of each picture size are computed once, and all memory is reused. The loops are compiled for AVX2 as well and
//! run so where the processor has it.

mod columns;
mod row;

use pulp::{Arch, Simd, WithSimd};

use self::columns::{Block, LANES, Lanes, Tap, blocks, taps};
use self::row::{Conversion, Fetched, Row, rounded};
use crate::colour;
use crate::frame::{Frame, Picture};
use crate::manifest::{ColourOrder, Fit, InputSpec, Layout};

/// Picture sizes whose taps are kept: cameras that share a detector come in few sizes.
const MAX_PLANS: usize = 16;

/// Fills one reused tensor.
pub(crate) struct Preprocessor {
    arch: Arch,
    spec: InputSpec,
    tensor: Vec<f32>,
    plans: Vec<Plan>,
    /// How much of the tensor the picture covers; the rest is padding.
    covered: Option<(usize, usize)>,
    scratch: Scratch,
}

/// The way back from model space: a pixel counts from `origin` on and is so wide and high in normalised frame coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FrameFromModel {
    pub(crate) x: f32,
    pub(crate) y: f32,
    /// Pixels of model space that lie left of and above the input; zero when it holds the whole frame.
    pub(crate) origin: (usize, usize),
}

/// Part of a frame that was scaled as if all of it were to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Width and height that the whole frame would have to fit into.
    pub(crate) whole: (usize, usize),
    /// Columns and rows before the window.
    pub(crate) origin: (usize, usize),
}

/// How one size of picture is resized.
struct Plan {
    source: (usize, usize),
    window: Window,
    out: (usize, usize),
    rows: Vec<Tap>,
    columns: Vec<Block>,
    frame_from_model: FrameFromModel,
}

/// The two source rows around an output row, and what they are made from.
#[derive(Default)]
struct Scratch {
    fetched: Fetched,
    rows: [Row; 2],
}

impl Preprocessor {
    pub(crate) fn new(spec: InputSpec) -> Self {
        let tensor = vec![0.0; 3 * spec.width * spec.height];
        Self { arch: Arch::new(), spec, tensor, plans: Vec::new(), covered: None, scratch: Scratch::default() }
    }

    /// An input tensor without a frame.
    pub(crate) fn blank(&mut self) -> (&[f32], FrameFromModel) {
        self.covered = None;
        self.tensor.fill(self.spec.offset);
        (&self.tensor, FrameFromModel { x: 1.0, y: 1.0, origin: (0, 0) })
    }

    /// The input tensor of this frame, and the way back from model space.
    pub(crate) fn fill(&mut self, frame: &Frame) -> (&[f32], FrameFromModel) {
        self.fill_window(frame, Window { whole: (self.spec.width, self.spec.height), origin: (0, 0) })
    }

    /// The same with as much of the frame as the input holds from the window's origin on.
    pub(crate) fn fill_window(&mut self, frame: &Frame, window: Window) -> (&[f32], FrameFromModel) {
        let picture = frame.picture();
        self.prepare_plan((picture.width(), picture.height()), window);
        let Self { arch, spec, tensor, plans, scratch, .. } = self;
        let plan = &plans[0];
        let output = Output { spec, tensor, width: plan.out.0 };
        arch.dispatch(Resize { picture, plan, scratch, output });
        (tensor, plan.frame_from_model)
    }

    /// Brings the plan of this size to the front, and pads anew where it covers another part of the tensor.
    fn prepare_plan(&mut self, source: (usize, usize), window: Window) {
        let known = self.plans.iter().position(|plan| plan.source == source && plan.window == window);
        match known {
            Some(known) => self.plans[..=known].rotate_right(1),
            None => {
                self.plans.truncate(MAX_PLANS - 1);
                self.plans.insert(0, Plan::new(&self.spec, source, window));
            }
        }
        let covered = Some(self.plans[0].out);
        if let (Fit::Letterbox { pad }, true) = (self.spec.fit, self.covered != covered) {
            self.tensor.fill(f32::from(pad) * self.spec.scale + self.spec.offset);
        }
        self.covered = covered;
    }
}

impl Plan {
    fn new(spec: &InputSpec, source: (usize, usize), window: Window) -> Self {
        let (frame_w, frame_h) = (source.0 as f64, source.1 as f64);
        let (model_w, model_h) = (window.whole.0 as f64, window.whole.1 as f64);
        let (whole, (x, y)) = match spec.fit {
            Fit::Stretch => (window.whole, (1.0 / model_w, 1.0 / model_h)),
            Fit::Letterbox { .. } => {
                let scale = (model_w / frame_w).min(model_h / frame_h);
                let whole = |side: f64| ((side * scale + 1e-6) as usize).max(1);
                ((whole(frame_w), whole(frame_h)), (1.0 / (scale * frame_w), 1.0 / (scale * frame_h)))
            }
        };
        let held = |whole: usize, origin: usize, most: usize| {
            let origin = origin.min(whole - 1);
            origin..whole.min(origin + most)
        };
        let columns = held(whole.0, window.origin.0, spec.width);
        let rows = held(whole.1, window.origin.1, spec.height);
        Self {
            source,
            window,
            out: (columns.len(), rows.len()),
            frame_from_model: FrameFromModel { x: x as f32, y: y as f32, origin: (columns.start, rows.start) },
            rows: taps(source.1, whole.1).skip(rows.start).take(rows.len()).collect(),
            columns: blocks((source.0, whole.0), columns),
        }
    }
}

/// One picture's way into the tensor.
struct Resize<'a> {
    picture: &'a Picture,
    plan: &'a Plan,
    scratch: &'a mut Scratch,
    output: Output<'a>,
}

impl WithSimd for Resize<'_> {
    type Output = ();

    /// Compiled once for each instruction set; all that it calls must be inlined to be part of that.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { picture, plan, scratch, mut output } = self;
        let Scratch { fetched, rows } = scratch;
        for row in &mut *rows {
            row.source = None;
        }
        let conversion = Conversion::new(colour::rgb(picture.colour()));
        for (y, tap) in plan.rows.iter().enumerate() {
            // What was the second row above is often the first one here.
            if rows[1].source == Some(tap.first) {
                rows.swap(0, 1);
            }
            for (row, source) in rows.iter_mut().zip([tap.first, tap.first + 1]) {
                if row.source != Some(source) {
                    row.make(fetched, (picture, source), &plan.columns, conversion);
                }
            }
            output.write(y, rows, tap.weight);
        }
    }
}

/// The covered part of the tensor.
struct Output<'a> {
    spec: &'a InputSpec,
    tensor: &'a mut [f32],
    width: usize,
}

impl Output<'_> {
    /// Writes the weighted mean of two rows as one row of the model's input.
    #[inline(always)]
    fn write(&mut self, y: usize, [first, second]: &[Row; 2], weight: f32) {
        let Self { spec, tensor, width } = self;
        let from_rgb = match spec.colour {
            ColourOrder::Rgb => [0, 1, 2],
            ColourOrder::Bgr => [2, 1, 0],
        };
        for (to, from) in from_rgb.into_iter().enumerate() {
            match spec.layout {
                Layout::Nchw => {
                    let row = &mut tensor[(to * spec.height + y) * spec.width..][..*width];
                    let (whole, rest) = row.as_chunks_mut::<LANES>();
                    for (values, (first, second)) in whole.iter_mut().zip(first.blocks.iter().zip(&second.blocks)) {
                        *values = mean(spec, (&first[from], &second[from]), weight);
                    }
                    if !rest.is_empty() {
                        let last = whole.len();
                        let values = mean(spec, (&first.blocks[last][from], &second.blocks[last][from]), weight);
                        rest.copy_from_slice(&values[..rest.len()]);
                    }
                }
                Layout::Nhwc => {
                    let row = &mut tensor[y * spec.width * 3..][..*width * 3];
                    let blocks = first.blocks.iter().zip(&second.blocks);
                    for (pixels, (first, second)) in row.chunks_mut(3 * LANES).zip(blocks) {
                        let values = mean(spec, (&first[from], &second[from]), weight);
                        pixels.iter_mut().skip(to).step_by(3).zip(values).for_each(|(to, value)| *to = value);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn mean(spec: &InputSpec, (first, second): (&Lanes<f32>, &Lanes<f32>), weight: f32) -> Lanes<f32> {
    let mut values = [0.0; LANES];
    for (value, (first, second)) in values.iter_mut().zip(first.iter().zip(second)) {
        *value = rounded(first + (second - first) * weight) * spec.scale + spec.offset;
    }
    values
}

#[cfg(test)]
mod tests;
