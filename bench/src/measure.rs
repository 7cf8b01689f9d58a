//! The measurements: each gives runs of figures and details for the report. One that fails is named in the report and the others go on.

mod accuracy;
mod alerting;
mod bus;
mod cameras;
mod detector;
mod gate;
mod idle;
mod memory;
mod pipeline;
mod pull;
mod ratio;
mod sessions;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    Bench,
    args::{CamerasArgs, FootageArgs, Kind, Size, What},
    figure::Figure,
    progress,
    report::Report,
};
pub use memory::soak;
pub use pull::pull;

/// What one measurement found.
#[derive(Default)]
pub struct Found {
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Everything else, for the report.
    pub details: Value,
}

impl Found {
    /// Details with a figure's runs.
    fn with(mut self, name: &str, runs: &[f64]) -> Self {
        self.figures.extend(Figure::of(name, runs));
        self
    }

    /// The same without a verdict, and why.
    fn unproven(mut self, why: &str) -> Self {
        self.figures = self.figures.into_iter().map(|figure| figure.unproven(why)).collect();
        self
    }
}

/// What to do without a model or what runs it.
const MODEL_CURE: &str = "the model can't be used; ./check and ./demo fetch it and ONNX Runtime where this looks for them, or name them with \
     --model, --weights and --onnxruntime";

/// Runs what is asked for; what fails is told at the end.
pub fn run(bench: &Bench, what: &What, report: &mut Report) -> Result<()> {
    if let What::Cameras(args) = what
        && bench.common.reference
    {
        ratio::check(args)?;
    }
    if what.needs_model() {
        detector::load(bench).context(MODEL_CURE)?;
    }
    let mut failed = Vec::new();
    let chosen = chosen(bench, what);
    let n_chosen = chosen.len();
    for (nth, (name, measurement)) in chosen.into_iter().enumerate() {
        progress::say(&format!("── {name} ({} of {n_chosen})", nth + 1));
        let started = Instant::now();
        match measurement(bench) {
            Ok(found) => {
                progress::say(&format!("   took {:.0} s", started.elapsed().as_secs_f64()));
                report.add(name, found);
            }
            Err(error) => {
                progress::check()?;
                progress::say(&format!("{name} failed: {error:#}"));
                report.fail(name, &format!("{error:#}"));
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("not measured: {}; the causes stand above", failed.join(", "));
    }
    Ok(())
}

type Measurement<'a> = Box<dyn Fn(&Bench) -> Result<Found> + 'a>;

fn chosen<'a>(bench: &Bench, what: &'a What) -> Vec<(&'static str, Measurement<'a>)> {
    match what {
        What::Cameras(args) => cameras_of(bench, args),
        What::Detector => vec![("detector", Box::new(detector::run))],
        What::Accuracy => vec![("accuracy", Box::new(accuracy::run))],
        What::Pipeline => vec![("pipeline", Box::new(pipeline::run)), ("idle", Box::new(idle::run))],
        What::Alerting(args) => vec![("alerting", Box::new(|bench| alerting::run(bench, args)))],
        What::Bus(args) => vec![("bus", Box::new(|bench| bus::run(bench, args)))],
        What::Sessions(args) => vec![("sessions", Box::new(|bench| sessions::run(bench, args)))],
        What::Gate(args) => vec![("gate", Box::new(|bench| gate::run(bench, args)))],
        What::Memory(args) => vec![("memory", Box::new(|bench| memory::run(bench, args)))],
        What::All => all(bench),
        What::Compare { .. } | What::Serve(_) | What::Pull(_) | What::Soak(_) => Vec::new(),
    }
}

fn cameras_of<'a>(bench: &Bench, args: &'a CamerasArgs) -> Vec<(&'static str, Measurement<'a>)> {
    let mut chosen: Vec<(&'static str, Measurement<'a>)> =
        vec![("cameras", Box::new(|bench| cameras::run(bench, args)))];
    if bench.common.reference {
        chosen.push(("ratio", Box::new(|bench| ratio::run(bench, args.footage.kind))));
    }
    chosen
}

fn all(bench: &Bench) -> Vec<(&'static str, Measurement<'static>)> {
    let mut all: Vec<(&'static str, Measurement<'static>)> = vec![
        ("detector", Box::new(detector::run)),
        ("accuracy", Box::new(accuracy::run)),
        ("pipeline", Box::new(pipeline::run)),
        ("gate", Box::new(|bench| gate::run(bench, &Default::default()))),
        ("idle", Box::new(idle::run)),
        ("sessions", Box::new(|bench| sessions::run(bench, &Default::default()))),
        ("bus", Box::new(|bench| bus::run(bench, &Default::default()))),
        ("alerting", Box::new(|bench| alerting::run(bench, &Default::default()))),
    ];
    if bench.common.reference {
        all.push(("quiet ratio", Box::new(|bench| ratio::run(bench, Kind::Quiet))));
        all.push(("busy ratio", Box::new(|bench| ratio::run(bench, Kind::Busy))));
    }
    all.push(("memory", Box::new(|bench| memory::run(bench, &Default::default()))));
    all.push(("cameras", Box::new(|bench| cameras::run(bench, &usual_cameras(bench)))));
    all
}

/// Mostly quiet 1080p cameras; small ones and few in a quick run.
fn usual_cameras(bench: &Bench) -> CamerasArgs {
    let usual = CamerasArgs::usual();
    if !bench.common.quick {
        return usual;
    }
    CamerasArgs { footage: FootageArgs { size: Size::P576, ..usual.footage.clone() }, start: 8, max: 16, ..usual }
}

/// One address a line; empty lines and lines that begin with # do not count.
fn read_urls(path: &std::path::Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let urls: Vec<String> = lines.map(str::to_owned).collect();
    if urls.is_empty() {
        bail!("{} names no camera; write one RTSP address a line", path.display());
    }
    Ok(urls)
}
