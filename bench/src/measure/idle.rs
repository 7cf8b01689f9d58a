//! An idle camera: its processor time beside demuxing only, and the memory of one more of them.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Found,
    pull::{self, Pullers},
};
use crate::{
    Bench,
    args::{Kind, Size},
    footage::Spec,
    progress,
    rig::{Rig, Watch},
    serve::Street,
};

/// Cameras of the smaller process: what its worker, model and decoders hold does not count for the others.
const FEW: usize = 5;

/// Measures both in turns; footage has a keyframe every two seconds and shows nobody.
pub fn run(bench: &Bench) -> Result<Found> {
    let n = if bench.common.quick { 15 } else { 25 };
    let spec = Spec::plain(Kind::Idle, Size::P1080, &bench.common);
    let street = Street::start(&spec.file(&bench.place)?, spec.codec, n)?;
    let (mut ratios, mut megabytes, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..bench.common.runs() {
        let demux = demux_cores(bench, &street)?;
        let idle = {
            let rig = Rig::start(bench, &street.urls, &Watch::with_gate("adaptive"))?;
            rig.wait_until_live()?;
            progress::pause(bench.common.warmup())?;
            rig.wait_until_idle()?;
            rig.window(bench.common.window())?
        };
        let (few, many) = (resident(bench, &street.urls[..FEW])?, resident(bench, &street.urls)?);
        let each = (many - few) / (n - FEW) as f64 / 1e6;
        progress::say(&format!(
            "run {}: idle {:.2} % of a core a camera, demuxing {:.2} %, ratio {:.1}, {each:.1} MB each",
            run + 1,
            100.0 * idle.cores / n as f64,
            100.0 * demux / n as f64,
            idle.cores / demux
        ));
        ratios.push(idle.cores / demux);
        megabytes.push(each);
        runs.push(json!({
            "idle_cores_per_camera": idle.cores / n as f64, "demux_cores_per_camera": demux / n as f64,
            "decoded_per_s": idle.grew("xueliang_frames_decoded_total", "") / idle.seconds / n as f64,
            "decisions_per_s": idle.decisions(n), "looks_per_s": idle.looks(n), "threads": idle.threads, "memory_of_few_mb": few / 1e6, "memory_mb": many / 1e6,
        }));
    }
    let details = json!({ "footage": spec.name(), "cameras": n, "few_cameras": FEW, "runs": runs });
    Ok(Found { details, ..Found::default() }.with("idle_demux_ratio", &ratios).with("session_mb", &megabytes))
}

/// Cores that sessions without any gate or decoder use.
fn demux_cores(bench: &Bench, street: &Street) -> Result<f64> {
    let pullers = Pullers::start(bench, &street.urls)?;
    pullers.wait_until_live()?;
    progress::pause(std::time::Duration::from_secs(3))?;
    Ok(pullers.window(bench.common.window())?.cores)
}

/// Bytes that a fresh process with a worker on these cameras holds.
fn resident(bench: &Bench, urls: &[String]) -> Result<f64> {
    let told: Value = pull::in_child(bench, urls, Some("adaptive"))?;
    told["memory_bytes"].as_f64().context("the pulling child told no memory")
}
