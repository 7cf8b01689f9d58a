//! How many cameras of a kind the box carries: doubling, then bisection, under one criterion that is stated with the answer.

mod search;
mod step;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Found, read_urls};
use crate::{
    Bench,
    args::CamerasArgs,
    footage::{FPS, Spec},
    progress,
    rig::{Rig, Watch},
    serve::Street,
};
use search::{Tried, search};
use step::{Asked, CRITERION, Step};

/// Searches.
pub fn run(bench: &Bench, args: &CamerasArgs) -> Result<Found> {
    let source = Source::new(bench, args)?;
    let most = source.most(args) as usize;
    let (mut steps, mut latencies) = (Vec::new(), Vec::new());
    let carried = search(args.start as usize, most, |n| {
        let (step, ages) = source.attempt(n)?;
        progress::say(&step.told());
        let tried = if step.carried { Tried::Carried } else { Tried::Refused };
        if step.carried {
            latencies = ages;
        }
        steps.push(step);
        Ok(tried)
    })?;
    let cores_each = steps.iter().rfind(|step| step.carried).map(|step| step.cores / step.cameras as f64);
    let details = json!({
        "kind": source.name, "gate": args.gate, "fps": args.fps, "criterion": CRITERION,
        "carried": carried, "at_the_bound": carried == most, "cores_per_camera": cores_each,
        "cameras_per_core": cores_each.map(|cores| 1.0 / cores), "steps": steps, "latencies_s": histogram(&latencies),
    });
    Ok(Found { details, ..Found::default() }.with("cameras_carried", &[carried as f64]))
}

/// What lets real cameras be pulled; the worker inside the bench holds to it as any other.
fn read_authorization(args: &CamerasArgs) -> Result<String> {
    let Some(file) = &args.authorization else {
        bail!(
            "--urls pulls real cameras: say what permits that with --authorization FILE, the keys of [camera.authorization], one a line"
        );
    };
    std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))
}

/// Where the cameras come from.
struct Source<'a> {
    bench: &'a Bench,
    name: String,
    watch: Watch,
    spec: Option<Spec>,
    urls: Vec<String>,
}

impl<'a> Source<'a> {
    fn new(bench: &'a Bench, args: &CamerasArgs) -> Result<Self> {
        let login = args.user.clone().zip(args.password_file.as_ref());
        let login = login.map(|(user, file)| Ok::<_, std::io::Error>((user, std::path::absolute(file)?)));
        let login = login.transpose()?.map(|(user, file)| (user, file.display().to_string()));
        let watch = Watch { gate: args.gate.clone(), fps: args.fps, login, authorization: None };
        if let Some(path) = &args.urls {
            let (name, urls) = (format!("cameras of {}", path.display()), read_urls(path)?);
            let watch = Watch { authorization: Some(read_authorization(args)?), ..watch };
            return Ok(Self { bench, name, watch, spec: None, urls });
        }
        let spec = Spec::from_args(&args.footage, &bench.common);
        Ok(Self { bench, name: spec.name(), watch, spec: Some(spec), urls: Vec::new() })
    }

    fn most(&self, args: &CamerasArgs) -> u32 {
        if self.spec.is_some() { args.max } else { u32::try_from(self.urls.len()).unwrap_or(u32::MAX).min(args.max) }
    }

    /// Runs so many cameras, simulated ones started afresh, until their gates know them, and then for a window of two halves.
    fn attempt(&self, n: usize) -> Result<(Step, Vec<f32>)> {
        let common = &self.bench.common;
        let street = match &self.spec {
            Some(spec) => Some(Street::start(&spec.file(&self.bench.place)?, spec.codec, n)?),
            None => None,
        };
        let urls = street.as_ref().map_or(&self.urls[..n.min(self.urls.len())], |street| &street.urls);
        let rig = Rig::start(self.bench, urls, &self.watch)?;
        if let Err(error) = rig.wait_until_live() {
            progress::check()?;
            return Ok((Step::refused(n, format!("{error:#}")), Vec::new()));
        }
        progress::pause(self.spec.map_or(common.warmup(), |spec| spec.settling(common)))?;
        rig.take_latencies();
        let simulator_before = street.as_ref().map(Street::cpu).transpose()?;
        let readings = [rig.read()?, self.after_half(&rig)?, self.after_half(&rig)?];
        let simulator = street.as_ref().map(Street::cpu).transpose()?.zip(simulator_before);
        let (latencies, n_live) = (rig.take_latencies(), rig.n_live()?);
        let asked = Asked {
            gate: &self.watch.gate,
            fps: f64::from(self.watch.fps),
            keyframes_every_s: self.keyframes_every_s(&readings[2]),
        };
        let mut step = Step::judge(n, n_live, &readings, &latencies, &asked);
        step.simulator_cores = simulator.map(|(after, before)| {
            after.saturating_sub(before).as_secs_f64() / readings[2].since(&readings[0]).seconds
        });
        step.memory_mb = crate::usage::memory_of_self()? as f64 / 1e6;
        Ok((step, latencies))
    }

    fn after_half(&self, rig: &Rig) -> Result<crate::rig::Reading> {
        progress::pause(self.bench.common.window() / 2)?;
        rig.read()
    }

    /// Time between keyframes: as the footage was made, or the longest of the cameras' own.
    fn keyframes_every_s(&self, reading: &crate::rig::Reading) -> f64 {
        match self.spec {
            Some(spec) => f64::from(spec.gop) / f64::from(FPS),
            None => reading.largest("xueliang_keyframe_interval_seconds"),
        }
    }
}

/// Counts of latencies by tenths of a second, the last for all above.
fn histogram(latencies: &[f32]) -> Vec<(f64, usize)> {
    let mut counts = [0usize; 13];
    for age in latencies {
        counts[((age * 10.0).max(0.0) as usize).min(12)] += 1;
    }
    counts.iter().enumerate().map(|(nth, count)| (nth as f64 / 10.0, *count)).collect()
}
