//! The detector alone: frames a second beside Python ONNX Runtime on the same pictures, in turns, and what surrounds inference.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
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
    ours(&mut detector, &frames, Duration::from_millis(500))?;
    let (mut shares, mut ratios, mut infer_ratios, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..bench.common.runs() {
        let ours = ours(&mut detector, &frames, length)?;
        shares.push(ours.share);
        let mut row = json!({
            "ours_frames_per_s": ours.rate, "prepost_share": ours.share, "preprocess_ms": ours.preprocess_ms,
            "infer_ms": ours.infer_ms, "postprocess_ms": ours.decode_ms, "objects_per_frame": ours.objects_per_frame,
        });
        let mut text = format!("run {}: ours {:.1} frames/s, {:.1} ms inference", run + 1, ours.rate, ours.infer_ms);
        if let Ok(python) = &mut python {
            let told = python.run(length)?;
            let number = |key: &str| told[key].as_f64().with_context(|| format!("the reference told no {key}"));
            let (n_frames, seconds, infer) = (number("frames")?, number("seconds")?, number("infer_seconds")?);
            let rate = n_frames / seconds;
            ratios.push(ours.rate / rate);
            infer_ratios.push(infer / n_frames * 1000.0 / ours.infer_ms);
            row["python_frames_per_s"] = json!(rate);
            row["python_infer_ms"] = json!(1000.0 * infer / n_frames);
            row["python_objects_per_frame"] = json!(number("objects")? / n_frames);
            text += &format!("; Python {rate:.1}, {:.1} ms", 1000.0 * infer / n_frames);
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

fn ours(detector: &mut Detector, frames: &[Frame], length: Duration) -> Result<Ours> {
    let settings = detector.settings();
    let (mut timings, mut n_objects): (Vec<Timings>, usize) = (Vec::new(), 0);
    let started = Instant::now();
    while started.elapsed() < length {
        progress::check()?;
        let frame = &frames[timings.len() % frames.len()];
        let found = detector.detect(frame, &settings)?;
        n_objects += found.confident().len();
        timings.push(found.timings);
    }
    let took = started.elapsed().as_secs_f64();
    let of = |stage: fn(&Timings) -> Duration| {
        median(&timings.iter().map(|timings| stage(timings).as_secs_f64() * 1000.0).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    let (preprocess_ms, infer_ms, decode_ms) = (of(|t| t.preprocess), of(|t| t.infer), of(|t| t.decode));
    let n = timings.len() as f64;
    let share = (preprocess_ms + decode_ms) / infer_ms;
    Ok(Ours { rate: n / took, share, preprocess_ms, infer_ms, decode_ms, objects_per_frame: n_objects as f64 / n })
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
