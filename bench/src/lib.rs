//! What a box carries, measured: footage, simulated cameras that play it, measurements beside the pipeline of today, and the report.
//!
//! The same simulated cameras serve the end-to-end tests and the demo. What runs is the real worker, never a copy of it. Ratios are taken in pairs within
//! one run, so that they hold on a noisy box.

pub mod accuracy;
pub mod args;

pub mod footage;
pub mod simcam;

mod child;
mod place;
mod progress;
mod reference;
mod rig;
mod serve;
mod usage;

mod measure;

mod figure;
mod machine;
mod report;

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    args::{BenchArgs, Common, What},
    place::Place,
    report::Report,
};
pub use figure::{FIGURES, Figure, Goal};
pub use progress::interrupt;

/// What every measurement works with.
struct Bench {
    common: Common,
    place: Place,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// Flags that let a child find the same parts.
    fn arguments(&self) -> Vec<String> {
        let Place { manifest, weights, onnxruntime, .. } = &self.place;
        let path = |flag: &str, path: &Path| [flag.to_owned(), path.display().to_string()];
        let mut arguments = [path("--model", manifest), path("--weights", weights)].concat();
        if let Some(library) = onnxruntime {
            arguments.extend(path("--onnxruntime", library));
        }
        arguments.extend(["--provider".to_owned(), self.common.provider.clone()]);
        arguments.extend(["--threads".to_owned(), self.common.threads.to_string()]);
        arguments
    }
}

/// Runs what the flags ask for, and writes the reports. An error when a measurement failed.
pub fn run(args: BenchArgs) -> Result<()> {
    xueliang_ingest::files::raise_limit(args::MOST_SESSIONS as usize);
    match &args.what {
        What::Compare { a, b } => return report::compare(a, b),
        What::Serve(serve) => return serve::run(serve),
        _ => {}
    }
    report::check_places(&args.common)?;
    let place = Place::find(&args.common)?;
    let runtime = tokio::runtime::Runtime::new().context("no threads for sessions")?;
    let bench = Bench { common: args.common, place, runtime };
    if let What::Pull(pull) = &args.what {
        return measure::pull(&bench, pull);
    }
    if let What::Soak(soak) = &args.what {
        return measure::soak(&bench, soak);
    }
    let mut report = Report::new(&bench);
    let failed = measure::run(&bench, &args.what, &mut report);
    report.finish(&bench.common)?;
    failed
}
