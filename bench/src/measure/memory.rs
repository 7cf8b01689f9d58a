//! Memory over long footage time: one camera's pipeline in a fresh child, a quiet street over and over, as fast as the box can. What it tells goes through a real
//! outbox to a reader, and its snapshots are swept by footage time. Not here: sessions, lanes and the scheduler, which need real time.

use std::{
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use prometheus::Registry;
use serde_json::{Value, json};
use xueliang_events::{CameraId, SessionId, Source};
use xueliang_ingest::{
    analyse::Fact,
    metrics::Metrics,
    offline::Decided,
    outbox::Draft,
    publish::{EmbeddedSink, Sink},
    snapshots::SnapshotStore,
};

use super::{
    Found,
    bus::{self, Bus},
    gate,
};
use crate::{
    Bench,
    args::{Kind, MemoryArgs, Size, SoakArgs},
    child::Talker,
    footage::{self, Spec, word},
    progress,
    simcam::Footage,
    usage,
};

/// Samples of each run.
const SAMPLES: u32 = 200;
/// What is left out at the beginning.
const FIRST: f64 = 0.1;
/// Longest from one sample to the next.
const SAMPLE_DEADLINE: Duration = Duration::from_secs(600);
/// Access units between two sweeps of the snapshots: ten minutes of footage.
const SWEPT_EVERY: usize = 600 * footage::FPS as usize;
/// Footage time from which a run shows whether the goal is met.
const DAY_HOURS: f64 = 24.0;

/// Plays the asked hours in each run. Memory does not care for noise, so runs go beside each other, one to a core.
pub fn run(bench: &Bench, args: &MemoryArgs) -> Result<Found> {
    let hours = args.hours.unwrap_or(usual_hours(bench));
    ensure!(hours > 0.0, "--hours must be above 0");
    let spec = Spec::plain(Kind::Quiet, Size::P576, &bench.common);
    let file = spec.file(&bench.place)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let n_runs = bench.common.runs() as usize;
    let (mut growths, mut rows) = (Vec::new(), Vec::new());
    while growths.len() < n_runs {
        let started = Instant::now();
        let children = (growths.len()..n_runs).take(cores).map(|_| start(bench, &file, &spec, hours));
        for mut child in children.collect::<Result<Vec<_>>>()? {
            let samples = hear(&mut child, growths.len() + 1)?;
            let growth = growth(&samples).context("too few samples")?;
            let speed = hours * 3600.0 / started.elapsed().as_secs_f64();
            growths.push(growth);
            let run = growths.len();
            progress::say(&format!(
                "run {run}: {hours} h of footage at {speed:.0} × its speed, memory grows by {:.2} % after the first tenth",
                100.0 * growth
            ));
            rows.push(json!({ "hours": hours, "speed": speed, "growth": growth, "samples": samples }));
        }
    }
    let details = json!({
        "footage": spec.name(), "hours_of_footage_a_run": hours, "hours_of_footage_played": hours * growths.len() as f64, "runs": rows,
    });
    let found = Found { details, ..Found::default() }.with("rss_growth", &growths);
    if hours < DAY_HOURS {
        let why = format!(
            "{hours} h of footage a run; only 24 h (bench memory --hours 24, or --thorough) say whether the goal is met"
        );
        return Ok(found.unproven(&why));
    }
    Ok(found)
}

fn usual_hours(bench: &Bench) -> f64 {
    match (bench.common.quick, bench.common.thorough) {
        (true, _) => 0.05,
        (_, true) => DAY_HOURS,
        _ => 1.0,
    }
}

/// Growth after the first tenth, as a share of the memory then: the slope of a straight line through the samples.
fn growth(samples: &[(f64, f64)]) -> Option<f64> {
    let end = samples.last()?.0;
    let settled: Vec<(f64, f64)> = samples.iter().copied().filter(|(hour, _)| *hour >= FIRST * end).collect();
    let n = settled.len() as f64;
    let mean = settled.iter().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x / n, sum.1 + y / n));
    let (covariance, variance) = settled
        .iter()
        .fold((0.0, 0.0), |sum, (x, y)| (sum.0 + (x - mean.0) * (y - mean.1), sum.1 + (x - mean.0).powi(2)));
    let slope = covariance / variance;
    let at_first = mean.1 + slope * (FIRST * end - mean.0);
    let growth = slope * end * (1.0 - FIRST) / at_first;
    (settled.len() > 2 && growth.is_finite()).then_some(growth)
}

fn start(bench: &Bench, file: &Path, spec: &Spec, hours: f64) -> Result<Talker> {
    let mut arguments: Vec<String> = ["soak", "--file"].map(str::to_owned).to_vec();
    arguments.extend([file.display().to_string(), "--codec".to_owned(), word(spec.codec)]);
    arguments.extend(["--hours".to_owned(), hours.to_string()]);
    arguments.extend(bench.arguments());
    Talker::of_this_program("the playing child", &arguments)
}

/// Its samples; each tenth is told. Runs beside each other are told one after the other.
fn hear(child: &mut Talker, run: usize) -> Result<Vec<(f64, f64)>> {
    let (mut samples, started) = (Vec::new(), Instant::now());
    while samples.len() < SAMPLES as usize {
        let told: Value = child.hear(SAMPLE_DEADLINE)?;
        let number = |key: &str| told[key].as_f64().with_context(|| format!("the playing child told no {key}"));
        let (hour, mb) = (number("hour")?, number("mb")?);
        samples.push((hour, mb));
        let percent = 100 * samples.len() / SAMPLES as usize;
        if samples.len().is_multiple_of(SAMPLES as usize / 10) {
            let took = started.elapsed().as_secs_f64();
            progress::say(&format!("run {run}: {percent} %, {hour:.2} h of footage in {took:.0} s, {mb:.0} MB"));
        }
    }
    Ok(samples)
}

/// The child's whole work: plays and tells its memory.
pub fn soak(bench: &Bench, args: &SoakArgs) -> Result<()> {
    progress::interrupt_when_input_closes();
    let footage = Footage::read(&args.file, args.codec.into())?;
    let state = tempfile::tempdir().context("no room for snapshots")?;
    let mut offline = gate::offline(bench, "adaptive", state.path())?;
    let bus = Bus::start(bench, Sink::Embedded(EmbeddedSink(bus::reader(bench))), state.path())?;
    let snapshots = SnapshotStore::new(state.path().to_owned(), gate::SNAPSHOT_BYTES, Metrics::new(&Registry::new())?);
    let (source, session) = (Source::Camera("soaked".parse::<CameraId>()?), SessionId::random());
    let mut n_told = 0;
    let n_units = (args.hours * 3600.0 * f64::from(footage::FPS)) as usize;
    let every = (n_units / SAMPLES as usize).max(1);
    let start = Timestamp::now();
    let n_played = every * SAMPLES as usize;
    for index in 0..n_played {
        progress::check()?;
        let unit = gate::unit(&footage, index, start);
        let now = unit.captured_at;
        for Decided { fact: Fact { at: time, payload }, .. } in offline.push(unit)? {
            bus.outbox.append_blocking(Draft { source: source.clone(), session, grid: None, time, payload });
            n_told += 1;
        }
        if index % SWEPT_EVERY == 0 {
            snapshots.sweep(now.into())?;
        }
        if index + 1 == n_played {
            // Whoever listens ends this process after the last sample.
            bus.wait_until_forwarded(n_told)?;
        }
        if (index + 1) % every == 0 {
            let hour = (index + 1) as f64 / f64::from(footage::FPS) / 3600.0;
            println!("{}", json!({ "hour": hour, "mb": usage::memory_of_self()? as f64 / 1e6 }));
            std::io::stdout().flush()?;
        }
    }
    bus.stop(bench)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(of: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (1..=240).map(|tenth| f64::from(tenth) / 10.0).map(|hour| (hour, of(hour))).collect()
    }

    #[test]
    fn the_first_tenth_does_not_count() {
        let flat = growth(&line(|hour| if hour < 2.4 { 50.0 + 20.0 * hour } else { 100.0 })).unwrap();
        assert!(flat.abs() < 1e-9, "{flat}");
    }

    #[test]
    fn a_leak_is_told_for_what_was_played_after_the_first_tenth() {
        let leak = growth(&line(|hour| 97.6 + hour)).unwrap();
        assert!((leak - 0.216).abs() < 1e-6, "{leak}");
        let short: Vec<(f64, f64)> = line(|hour| 97.6 + hour).into_iter().take(24).collect();
        assert!((growth(&short).unwrap() - 2.16 / 97.84).abs() < 1e-6);
    }

    #[test]
    fn too_few_samples_give_no_growth() {
        assert_eq!(growth(&[(1.0, 100.0)]), None);
    }
}
