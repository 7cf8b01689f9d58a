//! Cameras per core beside the pipeline that users have today: the same simulated cameras, the same model, the same threads, in turns.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Found;
use crate::{
    Bench,
    args::{Kind, Size},
    footage::Spec,
    progress,
    reference::{Reference, Spent},
    rig::{Rig, Watch, Window},
    serve::Street,
};

/// Cameras on each side.
const CAMERAS: usize = 4;
/// Analysed frames a second on each side.
const FPS: f64 = 5.0;

/// Measures both sides in turns on this kind of street.
pub fn run(bench: &Bench, kind: Kind) -> Result<Found> {
    let name = if kind == Kind::Busy { "cameras_busy_ratio" } else { "cameras_quiet_ratio" };
    let spec = Spec::plain(kind, Size::P1080, &bench.common);
    spec.file(&bench.place)?;
    let (mut ratios, mut runs, mut about) = (Vec::new(), Vec::new(), Value::Null);
    for run in 0..bench.common.runs() {
        let ours = ours(bench, &spec)?;
        let (reference, told) = reference(bench, &spec)?;
        about = told;
        let ours_each = ours.cores / CAMERAS as f64;
        // A reference that falls behind is charged only for what it analysed.
        let reference_each = (reference.ffmpeg + reference.python) / (reference.frames / FPS);
        let ratio = reference_each / ours_each;
        progress::say(&format!(
            "run {}: ours {:.2} % of a core a camera, reference {:.2} %, ratio {ratio:.1}",
            run + 1,
            100.0 * ours_each,
            100.0 * reference_each
        ));
        ratios.push(ratio);
        runs.push(json!({
            "ours_cores_per_camera": ours_each, "reference_cores_per_camera": reference_each, "ratio": ratio,
            "ours_decisions_per_s": ours.decisions(CAMERAS), "ours_threads": ours.threads, "ours_analysed_per_s": ours.grew("xueliang_inferences_total", "") / ours.seconds,
            "ours_decoded_per_s": ours.grew("xueliang_frames_decoded_total", "") / ours.seconds,
            "reference_ffmpeg_cores": reference.ffmpeg / (reference.frames / FPS),
            "reference_python_cores": reference.python / (reference.frames / FPS),
            "reference_analysed_per_s": reference.frames / length(bench, &spec).as_secs_f64(),
        }));
    }
    let details = json!({ "footage": spec.name(), "cameras": CAMERAS, "fps": FPS, "reference": about, "runs": runs });
    Ok(Found { details, ..Found::default() }.with(name, &ratios))
}

/// Together the cameras play every part of the loop at least once in a window.
fn length(bench: &Bench, spec: &Spec) -> std::time::Duration {
    let whole = std::time::Duration::from_secs(u64::from(spec.seconds));
    bench.common.window().max(whole / CAMERAS as u32)
}

/// A camera's gate knows it once it has seen all that goes on there: where little does, that takes the whole loop.
fn settling(bench: &Bench, spec: &Spec) -> std::time::Duration {
    let whole = std::time::Duration::from_secs(u64::from(spec.seconds));
    if spec.kind == Kind::Busy { bench.common.warmup() } else { bench.common.warmup().max(whole) }
}

fn ours(bench: &Bench, spec: &Spec) -> Result<Window> {
    let street = Street::start(&spec.file(&bench.place)?, spec.codec, CAMERAS)?;
    let rig = Rig::start(bench, &street.urls, &Watch { fps: FPS as f32, ..Watch::with_gate("adaptive") })?;
    rig.wait_until_live()?;
    progress::pause(settling(bench, spec))?;
    rig.window(length(bench, spec))
}

fn reference(bench: &Bench, spec: &Spec) -> Result<(Spent, Value)> {
    let street = Street::start(&spec.file(&bench.place)?, spec.codec, CAMERAS)?;
    let mut reference = Reference::pipeline(bench, &street.urls, spec.pixels())?;
    reference.wait_for_frames()?;
    progress::pause(bench.common.warmup().min(std::time::Duration::from_secs(5)))?;
    let spent = reference.window(length(bench, spec))?;
    ensure!(spent.frames > 0.0, "the reference analysed nothing");
    Ok((spent, reference.about.clone()))
}
