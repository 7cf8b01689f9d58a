//! The detector alone: frames a second beside Python ONNX Runtime on the same pictures, in turns, and what surrounds inference. Ours runs twice: as in
//! the worker, where the model's input follows the shape of the frames, and on the manifest's own square, as Python does.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use xueliang_inference::{
    Chroma, Colour, DecodedFrame, Detector, Frame, Manifest, Model, Plane, Planes, PrivacyMasks, Timings, init_runtime,
    mask,
};
use xueliang_ingest::IngestSettings;
use xueliang_settings::Document;

use super::Found;
use crate::{
    Bench,
    figure::{Figure, median},
    footage::{self, recording},
    progress,
    reference::Reference,
    rig,
};

/// Pictures that both sides look at, over and over.
const PICTURES: usize = 20;
/// Turns that each side takes in a run, so that other work on the box meets both.
const TURNS: u32 = 4;

/// Measures, beside Python where it is installed.
pub fn run(bench: &Bench) -> Result<Found> {
    let recording = footage::find_recording(&bench.place)?;
    let frames = frames(&recording)?;
    let mut sides = Sides { as_run: load(bench)?, square: load_square(bench)?, python: python(bench, &recording)? };
    for detector in [&mut sides.as_run, &mut sides.square] {
        look(detector, &frames, Duration::from_millis(500))?;
    }
    let length = Duration::from_secs(if bench.common.quick { 2 } else { 5 });
    let rounds = (0..bench.common.runs()).map(|_| sides.round(&frames, length / TURNS));
    let rounds = rounds.collect::<Result<Vec<_>>>()?;
    let all = |of: fn(&Round) -> Option<f64>| rounds.iter().filter_map(of).collect::<Vec<f64>>();
    let doubt = sides.python.as_ref().and_then(|python| Reference::doubt(&python.about));
    let square_ratios = all(|round| round.ratio(&round.square));
    let details = json!({
        "model": sides.as_run.model().name(), "provider": sides.as_run.model().provider().as_str(),
        "threads": bench.common.threads, "pictures": format!("{}x{}", recording::SIZE.0, recording::SIZE.1),
        "detector_ratio_on_the_square": median(&square_ratios), "prepost_share_as_run": median(&all(|round| Some(round.as_run.share))),
        "runs": rounds.iter().map(Round::told).collect::<Vec<_>>(), "python": sides.python.map(|python| python.about),
    });
    let mut found = Found { details, ..Found::default() }.with("prepost_share", &all(|round| Some(round.square.share)));
    let ratio = Figure::of("detector_ratio", &all(|round| round.ratio(&round.as_run)));
    found.figures.extend(ratio.map(|ratio| match &doubt {
        Some(doubt) => ratio.unproven(doubt),
        None => ratio,
    }));
    Ok(found)
}

/// Python, or none where it can't be had and the reference was not asked for.
fn python(bench: &Bench, recording: &Path) -> Result<Option<Reference>> {
    let (width, height) = recording::SIZE;
    let python = Reference::throughput(bench, recording, (width as u32, height as u32));
    if let Err(error) = &python {
        ensure!(!bench.common.reference, "{error:#}");
        progress::say(&format!("without detector_ratio: {error:#}"));
    }
    Ok(python.ok())
}

/// Who looks at the same pictures in turns.
struct Sides {
    /// Its input follows the shape of the frames, as in the worker.
    as_run: Detector,
    /// Its input is the manifest's own, as Python's is.
    square: Detector,
    python: Option<Reference>,
}

/// What each side did in one run.
struct Round {
    as_run: Ours,
    square: Ours,
    python: Option<Theirs>,
}

struct Theirs {
    rate: f64,
    infer_ms: f64,
    objects_per_frame: f64,
}

impl Sides {
    fn round(&mut self, frames: &[Frame], turn: Duration) -> Result<Round> {
        let (mut as_run, mut square, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            as_run.extend(look(&mut self.as_run, frames, turn)?);
            square.extend(look(&mut self.square, frames, turn)?);
            if let Some(python) = &mut self.python {
                told.push(python.run(turn)?);
            }
        }
        let [as_run, square] = [(as_run, &self.as_run), (square, &self.square)].map(|(all, of)| Ours::of(&all, of));
        let round = Round { as_run, square, python: Theirs::of(&told) };
        progress::say(&round.in_words());
        Ok(round)
    }
}

impl Round {
    fn ratio(&self, ours: &Ours) -> Option<f64> {
        Some(ours.rate / self.python.as_ref()?.rate)
    }

    fn told(&self) -> Value {
        let mut row = json!({ "as_run": self.as_run.told(), "square": self.square.told() });
        if let Some(Theirs { rate, infer_ms, objects_per_frame }) = &self.python {
            row["python"] =
                json!({ "frames_per_s": rate, "infer_ms": infer_ms, "objects_per_frame": objects_per_frame });
        }
        row
    }

    fn in_words(&self) -> String {
        let python = self.python.as_ref().map_or(String::new(), |python| {
            format!("; Python {:.1} frames/s, {:.1} ms inference", python.rate, python.infer_ms)
        });
        format!("{}; {}{python}", self.as_run.in_words(), self.square.in_words())
    }
}

impl Theirs {
    fn of(told: &[Value]) -> Option<Self> {
        let sum = |key: &str| told.iter().filter_map(|turn| turn[key].as_f64()).sum::<f64>();
        let (n, seconds) = (sum("frames"), sum("seconds"));
        let infer_ms = 1000.0 * sum("infer_seconds") / n;
        (n > 0.0).then(|| Self { rate: n / seconds, infer_ms, objects_per_frame: sum("objects") / n })
    }
}

struct Ours {
    /// Width and height of the model's input.
    input: (usize, usize),
    rate: f64,
    share: f64,
    preprocess_ms: f64,
    infer_ms: f64,
    decode_ms: f64,
    objects_per_frame: f64,
}

/// One frame: how long each stage took, how long all of it, and how many objects were found.
struct Looked {
    timings: Timings,
    took: Duration,
    n_objects: usize,
}

fn look(detector: &mut Detector, frames: &[Frame], length: Duration) -> Result<Vec<Looked>> {
    let settings = detector.settings();
    let mut all = Vec::new();
    let started = Instant::now();
    while started.elapsed() < length {
        progress::check()?;
        let began = Instant::now();
        let found = detector.detect(&frames[all.len() % frames.len()], &settings)?;
        all.push(Looked { timings: found.timings, took: began.elapsed(), n_objects: found.confident().len() });
    }
    Ok(all)
}

impl Ours {
    fn of(all: &[Looked], detector: &Detector) -> Self {
        let n = all.len() as f64;
        let ms = |stage: fn(&Looked) -> Duration| {
            median(&all.iter().map(|looked| 1000.0 * stage(looked).as_secs_f64()).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        let preprocess_ms = ms(|looked| looked.timings.preprocess);
        let infer_ms = ms(|looked| looked.timings.infer);
        let decode_ms = ms(|looked| looked.timings.decode);
        Self {
            input: detector.model().sizes().last().copied().unwrap_or_default(),
            rate: n / all.iter().map(|looked| looked.took.as_secs_f64()).sum::<f64>(),
            share: (preprocess_ms + decode_ms) / infer_ms,
            preprocess_ms,
            infer_ms,
            decode_ms,
            objects_per_frame: all.iter().map(|looked| looked.n_objects as f64).sum::<f64>() / n,
        }
    }

    fn told(&self) -> Value {
        json!({
            "input": format!("{}x{}", self.input.0, self.input.1), "frames_per_s": self.rate, "prepost_share": self.share,
            "preprocess_ms": self.preprocess_ms, "infer_ms": self.infer_ms, "postprocess_ms": self.decode_ms,
            "objects_per_frame": self.objects_per_frame,
        })
    }

    fn in_words(&self) -> String {
        format!("{}×{}: {:.1} frames/s, {:.1} ms inference", self.input.0, self.input.1, self.rate, self.infer_ms)
    }
}

/// The detector as the worker loads it: its input follows the shape of the frames.
pub fn load(bench: &Bench) -> Result<Detector> {
    load_as(bench, |_| ())
}

/// The same at the manifest's own input size, whatever the shape of the frames.
fn load_square(bench: &Bench) -> Result<Detector> {
    load_as(bench, |manifest| manifest.input.rectangular = false)
}

fn load_as(bench: &Bench, change: impl FnOnce(&mut Manifest)) -> Result<Detector> {
    let text = format!("[ingest]\ndata_dir = \"/unused\"\n{}", rig::model(bench));
    let document = Document::from_text(std::env::temp_dir().join("bench.toml"), text);
    let settings = document.read(IngestSettings::read).map_err(|mistakes| anyhow!("refused:\n{mistakes}"))?;
    let runtime = init_runtime(settings.model.onnxruntime.as_deref())?;
    let mut manifest = Manifest::read(&settings.model.manifest)?;
    change(&mut manifest);
    Ok(Detector::new(Model::load(&runtime, &manifest, &settings.model.folder, &settings.model.session)?))
}

/// Pictures spread over the recording, one a second as the reference takes them.
fn frames(recording: &Path) -> Result<Vec<Frame>> {
    let recording = recording::Recording::load(recording)?;
    (0..PICTURES).map(|nth| frame(&recording, nth * recording::FPS as usize)).collect()
}

/// One picture of the recording, as a decoder gives it.
fn frame(recording: &recording::Recording, index: usize) -> Result<Frame> {
    masked_frame(recording, index, (Timestamp::UNIX_EPOCH, &PrivacyMasks::none()))
}

/// The same at this time, with these masks painted.
pub fn masked_frame(
    recording: &recording::Recording,
    index: usize,
    (at, masks): (Timestamp, &PrivacyMasks),
) -> Result<Frame> {
    let (width, height) = recording::SIZE;
    let (luma, chroma) = (width * height, width * height / 4);
    let bytes = recording.picture(index);
    let plane = |start: usize, length: usize, stride: usize| Plane { bytes: &bytes[start..start + length], stride };
    let planes = Planes {
        width: width as u32,
        height: height as u32,
        luma: plane(0, luma, width),
        chroma: Chroma::I420 { u: plane(luma, chroma, width / 2), v: plane(luma + chroma, chroma, width / 2) },
    };
    let decoded = DecodedFrame::copy_from(&planes, Colour::default(), at)?;
    Ok(mask::paint(decoded, masks))
}
