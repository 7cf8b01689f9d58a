//! What a box carries, measured: footage, simulated cameras that play it, measurements beside the pipeline of today, and the report.
//!
//! The same simulated cameras serve the end-to-end tests and the demo. What runs is the real worker, never a copy of it. Ratios are taken in pairs within
//! one run, so that they hold on a noisy box.

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

/// Runs what the flags ask for, and writes the reports. An error when a measurement failed.
pub fn run(args: BenchArgs) -> Result<()> {
    match &args.what {
        What::Compare { a, b } => return report::compare(a, b),
        What::Serve(serve) => return serve::run(serve),
        _ => {}
    }
    let place = Place::find(&args.common)?;
    let runtime = tokio::runtime::Runtime::new().context("no threads for sessions")?;
    let bench = Bench { common: args.common, place, runtime };
    if let What::Pull(pull) = &args.what {
        return measure::pull(&bench, pull);
    }
    let mut report = Report::new(&bench);
    let failed = measure::run(&bench, &args.what, &mut report);
    report.finish(&bench.common)?;
    failed
}
