//! Where the time of one frame goes, on one thread: prints median milliseconds of each stage for each model, with the
//! share of everything that is not the model itself. Inputs as for the tests, from the folder XUELIANG_CACHE names.
//!
//! `XUELIANG_CACHE=… cargo run --release -p xueliang-inference --example stages -- yolox_nano ssdlite_mobilenet_v2`

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use xueliang_inference::redact::{self, RedactSettings};
use xueliang_inference::{
    Colour, DecodedFrame, Detector, Frame, Manifest, Model, PrivacyMasks, SessionSettings, Timings, Tracker,
    TrackerSettings, init_runtime, mask,
};

const SIZE: (u32, u32) = (768, 576);
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let cache = PathBuf::from(env::var_os("XUELIANG_CACHE").ok_or("XUELIANG_CACHE is not set")?);
    let small = frames(&cache, SIZE)?;
    let hd = frames(&cache, (1920, 1080))?;
    let sizes = [frames(&cache, (1280, 960))?, frames(&cache, (1920, 1080))?];
    println!(
        "{:<22} {:>10} {:>11} {:>8} {:>8} {:>8} {:>8}",
        "model", "frame", "preprocess", "infer", "decode", "share", "objects"
    );
    for model in env::args().skip(1) {
        let mut detector = detector(&cache, &model)?;
        for frames in std::iter::once(&small).chain(&sizes) {
            report(&model, &mut detector, frames)?;
        }
    }
    report_rest(&cache, &hd)?;
    report_rest(&cache, &small)
}

fn report(model: &str, detector: &mut Detector, frames: &[Frame]) -> Result<(), Box<dyn Error>> {
    let settings = detector.settings();
    let (mut timings, mut n_objects): (Vec<Timings>, usize) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        for frame in frames {
            let found = detector.detect(frame, &settings)?;
            timings.push(found.timings);
            n_objects += found.confident().len();
        }
    }
    let of = |stage: fn(&Timings) -> Duration| median(timings.iter().map(stage).collect());
    let (preprocess, infer, decode) = (of(|t| t.preprocess), of(|t| t.infer), of(|t| t.decode));
    let share = 100.0 * (preprocess + decode) / infer;
    let size = format!("{}x{}", frames[0].width(), frames[0].height());
    let per_frame = n_objects as f64 / timings.len() as f64;
    println!("{model:<22} {size:>10} {preprocess:>11.3} {infer:>8.3} {decode:>8.3} {share:>7.1}% {per_frame:>8.1}");
    Ok(())
}

/// Tracking and redaction, which every model shares.
fn report_rest(cache: &Path, frames: &[Frame]) -> Result<(), Box<dyn Error>> {
    let mut detector = detector(cache, "yolox_nano")?;
    let (settings, mut tracker) = (detector.settings(), Tracker::new(TrackerSettings::default()));
    let (mut tracking, mut redaction, mut n_bytes) = (Vec::new(), Vec::new(), 0);
    for (i, frame) in frames.iter().enumerate() {
        let found = detector.detect(frame, &settings)?;
        let started = Instant::now();
        let tracks = tracker.update(Timestamp::from_millisecond(i as i64 * 200)?, found.candidates());
        tracking.push(started.elapsed());
        let started = Instant::now();
        let snapshot = redact::snapshot(frame, &found, &tracks, &RedactSettings::default())?;
        redaction.push(started.elapsed());
        n_bytes += snapshot.jpeg().len();
    }
    println!(
        "{}x{}: track {:.3} ms, snapshot {:.3} ms and {} bytes",
        frames[0].width(),
        frames[0].height(),
        median(tracking),
        median(redaction),
        n_bytes / frames.len()
    );
    Ok(())
}

fn detector(cache: &Path, model: &str) -> Result<Detector, Box<dyn Error>> {
    let runtime = init_runtime(Some(&cache.join("onnxruntime/libonnxruntime.so")))?;
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let manifest = Manifest::read(&manifests.join(format!("{model}.toml")))?;
    Ok(Detector::new(Model::load(&runtime, &manifest, &cache.join("models"), &SessionSettings::default())?))
}

fn frames(cache: &Path, size: (u32, u32)) -> Result<Vec<Frame>, Box<dyn Error>> {
    let raw = fs::read(cache.join("parity/frames_768x576.i420"))?;
    let mut frames = Vec::new();
    for bytes in raw.chunks_exact((SIZE.0 * SIZE.1 * 3 / 2) as usize) {
        let decoded = DecodedFrame::from_i420(stretched(bytes, size), size, Colour::default(), Timestamp::UNIX_EPOCH)?;
        frames.push(mask::paint(decoded, &PrivacyMasks::none()));
    }
    Ok(frames)
}

/// The footage at another size, each pixel the nearest one's.
fn stretched(bytes: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
    let plane = |plane: &[u8], from: (u32, u32), to: (u32, u32)| {
        let nearest = |place: u32, from: u32, to: u32| (u64::from(place) * u64::from(from) / u64::from(to)) as usize;
        let row = |y| &plane[nearest(y, from.1, to.1) * from.0 as usize..][..from.0 as usize];
        (0..to.1).flat_map(|y| (0..to.0).map(move |x| row(y)[nearest(x, from.0, to.0)])).collect::<Vec<u8>>()
    };
    let halved = |(width, height): (u32, u32)| (width.div_ceil(2), height.div_ceil(2));
    let (luma, chroma) = bytes.split_at((SIZE.0 * SIZE.1) as usize);
    let mut stretched = plane(luma, SIZE, (width, height));
    for chroma in chroma.chunks_exact(chroma.len() / 2) {
        stretched.extend(plane(chroma, halved(SIZE), halved((width, height))));
    }
    stretched
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
