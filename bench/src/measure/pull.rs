//! Cameras pulled for their own sake: access units counted and dropped, or a whole worker, in this process or in a child whose memory is then its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use xueliang_ingest::{
    session::{Deadlines, Session},
    settings::CameraSettings,
};

use super::read_urls;
use crate::{
    Bench,
    args::PullArgs,
    child::Talker,
    footage, progress,
    rig::{self, Rig, Watch},
    usage,
};

/// Finest unevenness that is told apart, and how many steps of it.
const BIN: Duration = Duration::from_millis(1);
const BINS: usize = 2000;
/// Longest until all sessions play.
const CONNECT: Duration = Duration::from_secs(120);
/// Sessions that connect at once.
const AT_ONCE: usize = 32;

/// Sessions that nobody decodes.
pub struct Pullers {
    bench_runtime: tokio::runtime::Handle,
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
    n: usize,
}

struct Counts {
    live: AtomicU64,
    units: AtomicU64,
    failures: AtomicU64,
    /// How far arrivals were from even, by `BIN`.
    uneven: Vec<AtomicU64>,
}

/// What sessions cost in a window.
pub struct Pulled {
    /// Cores used.
    pub cores: f64,
    /// Access units a second of all.
    pub units_per_s: f64,
    /// Unevenness of arrival in milliseconds: half of them, 99 of 100, the largest.
    pub jitter_ms: [f64; 3],
}

impl Pullers {
    /// Starts one session for each address.
    pub fn start(bench: &Bench, urls: &[String]) -> Result<Self> {
        let cameras = rig::cameras(bench, urls, &Watch::with_gate("always"))?;
        let bins = (0..BINS).map(|_| AtomicU64::new(0)).collect();
        let zero = || AtomicU64::new(0);
        let counts = Arc::new(Counts { live: zero(), units: zero(), failures: zero(), uneven: bins });
        let gate = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        let n = cameras.len();
        for camera in cameras {
            tasks.spawn_on(pull_one(camera, Arc::clone(&counts), Arc::clone(&gate)), bench.runtime.handle());
        }
        Ok(Self { bench_runtime: bench.runtime.handle().clone(), tasks, counts, n })
    }

    /// Waits until all play; an error says how many do.
    pub fn wait_until_live(&self) -> Result<()> {
        let live = || self.counts.live.load(Ordering::Relaxed) as usize;
        progress::wait("the sessions to play", CONNECT, || Ok(live() >= self.n)).with_context(|| {
            format!("{} of {} sessions play, {} failed", live(), self.n, self.counts.failures.load(Ordering::Relaxed))
        })
    }

    /// How many play now.
    pub fn n_live(&self) -> u64 {
        self.counts.live.load(Ordering::Relaxed)
    }

    /// Lets them run.
    pub fn window(&self, length: Duration) -> Result<Pulled> {
        for bin in &self.counts.uneven {
            bin.store(0, Ordering::Relaxed);
        }
        let (cpu, units, started) = (usage::cpu_of_self(), self.counts.units.load(Ordering::Relaxed), Instant::now());
        progress::pause(length)?;
        let seconds = started.elapsed().as_secs_f64();
        let bins: Vec<u64> = self.counts.uneven.iter().map(|bin| bin.load(Ordering::Relaxed)).collect();
        Ok(Pulled {
            cores: usage::cpu_of_self().saturating_sub(cpu).as_secs_f64() / seconds,
            units_per_s: (self.counts.units.load(Ordering::Relaxed) - units) as f64 / seconds,
            jitter_ms: [0.5, 0.99, 1.0].map(|share| quantile_of_bins(&bins, share)),
        })
    }
}

impl Drop for Pullers {
    fn drop(&mut self) {
        self.bench_runtime.block_on(self.tasks.shutdown());
    }
}

async fn pull_one(camera: CameraSettings, counts: Arc<Counts>, gate: Arc<tokio::sync::Semaphore>) {
    let deadlines = Deadlines { connect: Duration::from_secs(30), stall: Duration::from_secs(30) };
    loop {
        let opened = {
            let _turn = gate.acquire().await;
            Session::open(&camera.endpoint(), deadlines).await
        };
        if let Ok(mut session) = opened {
            counts.live.fetch_add(1, Ordering::Relaxed);
            let even = Duration::from_secs(1) / footage::FPS;
            let mut last: Option<Instant> = None;
            while session.next().await.is_ok() {
                let now = Instant::now();
                if let Some(last) = last.replace(now) {
                    let uneven = (now - last).abs_diff(even);
                    let bin = (uneven.as_nanos() / BIN.as_nanos()) as usize;
                    counts.uneven[bin.min(BINS - 1)].fetch_add(1, Ordering::Relaxed);
                }
                counts.units.fetch_add(1, Ordering::Relaxed);
            }
            counts.live.fetch_sub(1, Ordering::Relaxed);
        }
        counts.failures.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn quantile_of_bins(bins: &[u64], share: f64) -> f64 {
    let wanted = bins.iter().sum::<u64>() as f64 * share;
    let mut seen = 0.0;
    for (nth, count) in bins.iter().enumerate() {
        seen += *count as f64;
        if seen >= wanted {
            return (nth as f64 + 0.5) * BIN.as_secs_f64() * 1000.0;
        }
    }
    bins.len() as f64 * BIN.as_secs_f64() * 1000.0
}

/// The child's whole work: pulls, measures, tells.
pub fn pull(bench: &Bench, args: &PullArgs) -> Result<()> {
    progress::interrupt_when_input_closes();
    let urls = read_urls(&args.urls)?;
    let (settle, length) = (Duration::from_secs(args.settle), Duration::from_secs(args.seconds));
    let told = match &args.gate {
        Some(gate) => {
            let rig = Rig::start(bench, &urls, &Watch::with_gate(gate))?;
            rig.wait_until_live()?;
            progress::pause(settle)?;
            rig.wait_until_idle()?;
            let window = rig.window(length)?;
            json!({ "cores": window.cores, "memory_bytes": usage::memory_of_self()? })
        }
        None => {
            let before = usage::memory_of_self()?;
            let pullers = Pullers::start(bench, &urls)?;
            let played = pullers.wait_until_live().err().map(|error| format!("{error:#}"));
            progress::pause(settle)?;
            let Pulled { cores, units_per_s, jitter_ms } = pullers.window(length)?;
            json!({
                "cores": cores, "units_per_s": units_per_s, "jitter_ms": jitter_ms, "live": pullers.n_live(), "trouble": played,
                "memory_before_bytes": before, "memory_bytes": usage::memory_of_self()?,
            })
        }
    };
    println!("{told}");
    Ok(())
}

/// Pulls these cameras in a fresh child of this program, and hears what it cost. With a gate the street must be idle.
pub fn in_child(bench: &Bench, urls: &[String], gate: Option<&str>) -> Result<Value> {
    let list = tempfile::NamedTempFile::new().context("no room for a list of addresses")?;
    std::fs::write(list.path(), urls.join("\n"))?;
    let common = &bench.common;
    let (settle, length) = (common.warmup().as_secs(), common.window().as_secs().min(10));
    let mut arguments: Vec<String> = ["pull", "--urls"].map(str::to_owned).to_vec();
    arguments.push(list.path().display().to_string());
    arguments.extend(["--settle".to_owned(), settle.to_string(), "--seconds".to_owned(), length.to_string()]);
    if let Some(gate) = gate {
        arguments.extend(["--gate".to_owned(), gate.to_owned()]);
    }
    arguments.extend(bench.arguments());
    let mut child = Talker::of_this_program("the pulling child", &arguments)?;
    child.hear(CONNECT + Duration::from_secs(120 + settle + length))
}
