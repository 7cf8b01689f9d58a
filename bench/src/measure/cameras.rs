//! How many cameras of a kind the box carries: doubling, then bisection, under one criterion that is stated with the answer.

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::{Found, read_urls};
use crate::{
    Bench,
    args::CamerasArgs,
    figure::quantile,
    footage::Spec,
    progress,
    rig::{Rig, Watch, Window},
    serve::Street,
};

/// Share of the asked analyses that must be done.
const MIN_ANALYSED: f64 = 0.95;
/// Seconds from capture to events that this share of the pictures of now may take; what a gate had kept is late by its nature.
const MAX_AGE: (f64, f64) = (1.0, 0.99);
/// Drops above this share of the frames are growth.
const MAX_DROPPED: f64 = 0.01;
/// The criterion in words.
const CRITERION: &str = "all cameras deliver, analysed >= 95 % of the asked, p99 from capture to event <= 1 s for pictures analysed as they come, drops <= 1 % in the window";

/// One number of cameras, tried.
#[derive(Debug, Clone, Serialize)]
struct Step {
    cameras: usize,
    carried: bool,
    why: String,
    analysed_per_s: f64,
    analysed_share: f64,
    dropped_share: f64,
    /// Share of the pictures analysed as they came whose events were out within a second.
    in_time_share: Option<f64>,
    /// Of all events, those of pictures that a gate had kept included.
    p50_s: Option<f64>,
    p99_s: Option<f64>,
    n_events: usize,
    cores: f64,
    simulator_cores: Option<f64>,
    memory_mb: f64,
}

/// Searches.
pub fn run(bench: &Bench, args: &CamerasArgs) -> Result<Found> {
    let source = Source::new(bench, args)?;
    let (mut steps, mut latencies) = (Vec::new(), Vec::new());
    let most = source.most(args) as usize;
    let (mut carried, mut failed) = (0, most + 1);
    let mut next = (args.start as usize).min(most);
    while carried + step_width(carried) < failed {
        let (step, ages) = source.attempt(next)?;
        progress::say(&told(&step));
        if step.carried {
            (carried, latencies) = (next, ages);
        } else {
            failed = next;
        }
        steps.push(step);
        next = if failed > most { (carried * 2).min(most) } else { (carried + failed) / 2 };
    }
    let cores_each = steps.iter().rfind(|step| step.carried).map(|step| step.cores / step.cameras as f64);
    let details = json!({
        "kind": source.name, "gate": args.gate, "fps": args.fps, "criterion": CRITERION,
        "carried": carried, "at_the_bound": carried == most, "cores_per_camera": cores_each,
        "cameras_per_core": cores_each.map(|cores| 1.0 / cores), "steps": steps, "latencies_s": histogram(&latencies),
    });
    Ok(Found { details, ..Found::default() }.with("cameras_carried", &[carried as f64]))
}

/// Numbers of cameras are told apart by a sixteenth.
fn step_width(carried: usize) -> usize {
    (carried / 16).max(1)
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
        let watch = Watch { gate: args.gate.clone(), fps: args.fps, login };
        let (name, spec, urls) = match &args.urls {
            Some(path) => (format!("cameras of {}", path.display()), None, read_urls(path)?),
            None => {
                let spec = Spec::from_args(&args.footage, &bench.common);
                (spec.name(), Some(spec), Vec::new())
            }
        };
        Ok(Self { bench, name, watch, spec, urls })
    }

    fn most(&self, args: &CamerasArgs) -> u32 {
        if self.spec.is_some() { args.max } else { u32::try_from(self.urls.len()).unwrap_or(u32::MAX).min(args.max) }
    }

    /// Runs so many cameras, simulated ones started afresh.
    fn attempt(&self, n: usize) -> Result<(Step, Vec<f32>)> {
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
        progress::pause(self.bench.common.warmup())?;
        rig.take_latencies();
        let simulator_before = street.as_ref().map(Street::cpu).transpose()?;
        let window = rig.window(self.bench.common.window())?;
        let simulator = street.as_ref().map(Street::cpu).transpose()?.zip(simulator_before);
        let latencies = rig.take_latencies();
        let asked = (self.watch.gate == "always").then(|| n as f64 * f64::from(self.watch.fps));
        let mut step = Step::judge(n, &window, &latencies, asked)?;
        step.simulator_cores =
            simulator.map(|(after, before)| after.saturating_sub(before).as_secs_f64() / window.seconds);
        Ok((step, latencies))
    }
}

impl Step {
    fn refused(cameras: usize, why: String) -> Self {
        Self {
            cameras,
            carried: false,
            why,
            analysed_per_s: 0.0,
            analysed_share: 0.0,
            dropped_share: 0.0,
            in_time_share: None,
            p50_s: None,
            p99_s: None,
            n_events: 0,
            cores: 0.0,
            simulator_cores: None,
            memory_mb: 0.0,
        }
    }

    /// `asked`: analyses a second that the gate asks for, where that is known beforehand; else those that it let through count.
    fn judge(cameras: usize, window: &Window, latencies: &[f32], asked: Option<f64>) -> Result<Self> {
        let analysed = window.grew("xueliang_inferences_total", "");
        let dropped = window.grew("xueliang_frames_dropped_total", "");
        let before_detection = window.grew("xueliang_frames_dropped_total", "detect");
        let let_through = analysed + before_detection;
        let asked = asked.map_or(let_through, |rate| let_through.max(rate * window.seconds));
        let share = if asked > 0.0 { analysed / asked } else { 1.0 };
        let units = window.grew("xueliang_access_units_total", "").max(1.0);
        let ages: Vec<f64> = latencies.iter().map(|age| f64::from(*age)).collect();
        let (p50, p99) = (quantile(&ages, 0.5), quantile(&ages, 0.99));
        let in_time = window.share_within("xueliang_picture_age_seconds", "live", MAX_AGE.0);
        let why = if share < MIN_ANALYSED {
            format!("only {:.0} % of the asked were analysed", 100.0 * share)
        } else if let Some(late) = in_time.filter(|share| *share < MAX_AGE.1).map(|share| 1.0 - share) {
            format!("{:.1} % of the pictures took more than a second to their events", 100.0 * late)
        } else if dropped / units > MAX_DROPPED {
            format!("{:.1} % of the access units were dropped", 100.0 * dropped / units)
        } else {
            String::new()
        };
        Ok(Self {
            cameras,
            carried: why.is_empty(),
            why,
            analysed_per_s: analysed / window.seconds,
            analysed_share: share,
            dropped_share: dropped / units,
            in_time_share: in_time,
            p50_s: p50,
            p99_s: p99,
            n_events: latencies.len(),
            cores: window.cores,
            simulator_cores: None,
            memory_mb: crate::usage::memory_of_self()? as f64 / 1e6,
        })
    }
}

fn told(step: &Step) -> String {
    let Step { cameras, cores, analysed_per_s, .. } = step;
    let verdict = if step.carried { "carried".to_owned() } else { format!("too many: {}", step.why) };
    let p99 = step.p99_s.map_or("no events".to_owned(), |p99| format!("p99 {:.0} ms", 1000.0 * p99));
    let simulator = step.simulator_cores.map_or(String::new(), |cores| format!(" (simulator {cores:.2})"));
    format!("{cameras:4} cameras  {cores:.2} cores{simulator}  {analysed_per_s:.1} analysed/s  {p99}  {verdict}")
}

/// Counts of latencies by tenths of a second, the last for all above.
fn histogram(latencies: &[f32]) -> Vec<(f64, usize)> {
    let mut counts = [0usize; 13];
    for age in latencies {
        counts[((age * 10.0).max(0.0) as usize).min(12)] += 1;
    }
    counts.iter().enumerate().map(|(nth, count)| (nth as f64 / 10.0, *count)).collect()
}
