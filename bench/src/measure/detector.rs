//! The detector alone: frames a second beside Python ONNX Runtime on the same pictures, in turns, and what surrounds inference.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use jiff::Timestamp;
use serde_json::json;
use xueliang_inference::{
    Chroma, Colour, DecodedFrame, Detector, Frame, Manifest, Model, Plane, Planes, PrivacyMasks, Timings, init_runtime,
    mask,
};
use xueliang_ingest::IngestSettings;
use xueliang_settings::Document;

use super::Found;
use crate::{
    Bench,
    figure::median,
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
    let mut detector = load(bench)?;
    let (width, height) = recording::SIZE;
    let mut python = Reference::throughput(bench, &recording, (width as u32, height as u32));
    if let Err(error) = &python {
        ensure!(!bench.common.reference, "{error:#}");
        progress::say(&format!("without detector_ratio: {error:#}"));
    }
    let length = Duration::from_secs(if bench.common.quick { 2 } else { 5 });
    look(&mut detector, &frames, Duration::from_millis(500))?;
    let (mut shares, mut ratios, mut infer_ratios, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..bench.common.runs() {
        let (mut looked, mut told) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            looked.extend(look(&mut detector, &frames, length / TURNS)?);
            if let Ok(python) = &mut python {
                told.push(python.run(length / TURNS)?);
            }
        }
        let ours = Ours::of(&looked);
        shares.push(ours.share);
        let mut row = json!({
            "ours_frames_per_s": ours.rate, "prepost_share": ours.share, "preprocess_ms": ours.preprocess_ms,
            "infer_ms": ours.infer_ms, "postprocess_ms": ours.decode_ms, "objects_per_frame": ours.objects_per_frame,
        });
        let mut text = format!("run {}: ours {:.1} frames/s, {:.1} ms inference", run + 1, ours.rate, ours.infer_ms);
        if !told.is_empty() {
            let sum = |key: &str| told.iter().filter_map(|turn| turn[key].as_f64()).sum::<f64>();
            let (rate, infer_ms) = (sum("frames") / sum("seconds"), 1000.0 * sum("infer_seconds") / sum("frames"));
            ratios.push(ours.rate / rate);
            infer_ratios.push(infer_ms / ours.infer_ms);
            row["python_frames_per_s"] = json!(rate);
            row["python_infer_ms"] = json!(infer_ms);
            row["python_objects_per_frame"] = json!(sum("objects") / sum("frames"));
            text += &format!("; Python {rate:.1}, {infer_ms:.1} ms");
        }
        progress::say(&text);
        runs.push(row);
    }
    let details = json!({
        "model": detector.model().name(), "provider": detector.model().provider().as_str(), "threads": bench.common.threads,
        "pictures": format!("{width}x{height}"), "infer_ratio": median(&infer_ratios), "runs": runs,
        "python": python.ok().map(|python| python.about),
    });
    Ok(Found { details, ..Found::default() }.with("prepost_share", &shares).with("detector_ratio", &ratios))
}

struct Ours {
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
    fn of(all: &[Looked]) -> Self {
        let n = all.len() as f64;
        let ms = |stage: fn(&Looked) -> Duration| {
            median(&all.iter().map(|looked| 1000.0 * stage(looked).as_secs_f64()).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        let preprocess_ms = ms(|looked| looked.timings.preprocess);
        let infer_ms = ms(|looked| looked.timings.infer);
        let decode_ms = ms(|looked| looked.timings.decode);
        Self {
            rate: n / all.iter().map(|looked| looked.took.as_secs_f64()).sum::<f64>(),
            share: (preprocess_ms + decode_ms) / infer_ms,
            preprocess_ms,
            infer_ms,
            decode_ms,
            objects_per_frame: all.iter().map(|looked| looked.n_objects as f64).sum::<f64>() / n,
        }
    }
}

/// The detector as the worker loads it.
pub fn load(bench: &Bench) -> Result<Detector> {
    let text = format!("[ingest]\ndata_dir = \"/unused\"\n{}", rig::model(bench));
    let document = Document::from_text(std::env::temp_dir().join("bench.toml"), text);
    let settings = document.read(IngestSettings::read).map_err(|mistakes| anyhow!("refused:\n{mistakes}"))?;
    let runtime = init_runtime(settings.model.onnxruntime.as_deref())?;
    let manifest = Manifest::read(&settings.model.manifest)?;
    Ok(Detector::new(Model::load(&runtime, &manifest, &settings.model.folder, &settings.model.session)?))
}

/// Pictures spread over the recording, one a second as the reference takes them.
fn frames(recording: &std::path::Path) -> Result<Vec<Frame>> {
    let recording = recording::Recording::load(recording)?;
    (0..PICTURES).map(|nth| frame(&recording, nth * recording::FPS as usize)).collect()
}

/// One picture of the recording, as a decoder gives it.
pub fn frame(recording: &recording::Recording, index: usize) -> Result<Frame> {
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
    let decoded = DecodedFrame::copy_from(&planes, Colour::default(), Timestamp::UNIX_EPOCH)?;
    Ok(mask::paint(decoded, &PrivacyMasks::none()))
}
