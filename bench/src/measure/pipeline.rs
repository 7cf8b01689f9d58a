//! Where the time of busy cameras goes: each stage of the worker, and the processor time of its threads.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use xueliang_inference::{Colour, DecodedFrame, PictureHealth, PictureHealthSettings, PrivacyMasks, mask};

use super::Found;
use crate::{
    Bench,
    args::{Kind, Size},
    figure::median,
    footage::Spec,
    progress,
    rig::{Rig, Watch, Window},
    serve::Street,
    usage,
};

/// Cameras that play.
const CAMERAS: usize = 2;

/// Keyframes whose health is judged.
const KEYFRAMES: u32 = 40;

/// Measures under `always` and under `adaptive`.
pub fn run(bench: &Bench) -> Result<Found> {
    let size = if bench.common.quick { Size::P576 } else { Size::P1080 };
    let spec = Spec::plain(Kind::Busy, size, &bench.common);
    let mut gates = Map::new();
    for gate in ["always", "adaptive"] {
        let street = Street::start(&spec.file(&bench.place)?, spec.codec, CAMERAS)?;
        let rig = Rig::start(bench, &street.urls, &Watch::with_gate(gate))?;
        rig.wait_until_live()?;
        progress::pause(bench.common.warmup())?;
        rig.take_latencies();
        let simulator_before = street.cpu()?;
        let window = rig.window(bench.common.window())?;
        let simulator = street.cpu()?.saturating_sub(simulator_before).as_secs_f64() / window.seconds;
        progress::say(&format!("{gate}: {:.1} % of a core a camera", 100.0 * window.cores / CAMERAS as f64));
        let mut told = told(&window);
        told["simulator_cores"] = json!(simulator);
        told["latencies_s"] = json!(rig.take_latencies());
        gates.insert(gate.to_owned(), told);
    }
    let health_ms = picture_health_ms()?;
    progress::say(&format!("picture health: {health_ms:.2} ms a keyframe of 1080p"));
    let details = json!({ "footage": spec.name(), "cameras": CAMERAS, "gates": gates, "picture_health_ms": health_ms });
    Ok(Found { details, ..Found::default() })
}

/// Milliseconds that a camera's picture health takes of each keyframe of 1080p; what is in the picture hardly matters.
fn picture_health_ms() -> Result<f64> {
    let (width, height) = (1920u32, 1080u32);
    let mut health = PictureHealth::new(PictureHealthSettings::new(PrivacyMasks::none()));
    let mut took = Vec::new();
    for nth in 0..KEYFRAMES {
        let bytes = (0..width * height * 3 / 2).map(|place| ((place + nth) % 211) as u8 + 20).collect();
        let at = Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs(2) * nth)?;
        let frame = DecodedFrame::from_i420(bytes, (width, height), Colour::default(), at)?;
        let frame = mask::paint(frame, &PrivacyMasks::none());
        let started = Instant::now();
        health.observe(&frame);
        took.push(1000.0 * started.elapsed().as_secs_f64());
    }
    median(&took).context("no keyframe was looked at")
}

/// Milliseconds of each stage each time it runs, its share of a core a camera, and the same by threads.
fn told(window: &Window) -> Value {
    let cameras = CAMERAS as f64;
    let stages: Map<String, Value> = window
        .stages()
        .into_iter()
        .map(|(stage, (seconds, n))| {
            let row = json!({
                "ms": 1000.0 * seconds / n, "per_s": n / window.seconds / cameras,
                "cores_per_camera": seconds / window.seconds / cameras,
            });
            (stage, row)
        })
        .collect();
    let threads: Map<String, Value> =
        window.threads.iter().map(|(group, cores)| ((*group).to_owned(), json!(cores / cameras))).collect();
    let pulling = window.threads.get(usage::PULLING).copied().unwrap_or(0.0);
    let units_per_s = window.grew("xueliang_access_units_total", "") / window.seconds;
    json!({
        "cores_per_camera": window.cores / cameras, "stages": stages, "threads_cores_per_camera": threads,
        "pull_gate_publish_ms_per_access_unit": 1000.0 * pulling / units_per_s,
        "decisions_per_s": window.decisions(CAMERAS),
        "analysed_per_s": window.grew("xueliang_inferences_total", "") / window.seconds / cameras,
        "decoded_per_s": window.grew("xueliang_frames_decoded_total", "") / window.seconds / cameras,
    })
}
