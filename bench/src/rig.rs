//! A whole ingest worker inside the bench: real sessions, gate, decoders, detector and outbox; its events end in a sink that notes how long after
//! capture each came.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{Registry, proto::MetricType};
use tempfile::TempDir;
use tokio::sync::mpsc;
use xueliang_events::{Event, Payload};
use xueliang_ingest::{
    IngestSettings, Worker,
    publish::{EmbeddedBatch, EmbeddedSink, Sink},
    settings::CameraSettings,
};
use xueliang_settings::Document;

use crate::{Bench, progress, simcam, usage};

/// Zones and lines of every camera of the bench.
const STREET: &str = include_str!("../data/street.toml");
/// Longest until every camera delivers.
const CONNECT: Duration = Duration::from_secs(60);
/// Longest until the gates of an idle street have settled, and how long each look takes.
const SETTLE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(4));
/// Pictures decoded a second by a camera whose gate is closed: keyframes, every two seconds at most, and a little room.
const DECODED_WHEN_IDLE: f64 = 0.6;

/// How the cameras of a rig are watched.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The gate's policy.
    pub gate: String,
    /// Frames analysed a second.
    pub fps: f32,
    /// User name and the file with the password.
    pub login: Option<(String, String)>,
    /// The keys of `[camera.authorization]` of real cameras; `None`: they are simulated.
    pub authorization: Option<String>,
}

impl Watch {
    /// Five frames a second under this gate.
    pub fn with_gate(gate: &str) -> Self {
        Self { gate: gate.to_owned(), fps: 5.0, login: None, authorization: None }
    }
}

/// A running worker.
pub struct Rig<'a> {
    bench: &'a Bench,
    worker: Option<Worker>,
    registry: Registry,
    latencies: Arc<Mutex<Vec<f32>>>,
    n_cameras: usize,
    _state: TempDir,
}

/// What was counted and spent up to a moment.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Instant,
    cpu: Duration,
    threads: BTreeMap<&'static str, Duration>,
    counters: BTreeMap<String, f64>,
}

/// What happened between two readings.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its length in seconds.
    pub seconds: f64,
    /// Cores that this process used.
    pub cores: f64,
    /// Cores by what the threads are for.
    pub threads: BTreeMap<&'static str, f64>,
    counters: BTreeMap<String, f64>,
}

impl Window {
    /// How much a counter grew, over all its labels that contain `label`.
    pub fn grew(&self, name: &str, label: &str) -> f64 {
        let of_name = self.counters.range(name.to_owned()..).take_while(|(key, _)| key.starts_with(name));
        of_name.filter(|(key, _)| key.contains(label)).map(|(_, value)| value).sum()
    }

    /// Share of a histogram's observations under this label that were no larger than one of its bounds; `None` without any.
    pub fn share_within(&self, name: &str, label: &str, bound: f64) -> Option<f64> {
        let of = |part: &str| self.counters.get(&format!("{name}_{part} {label}")).copied().unwrap_or(0.0);
        let n = of("count");
        (n > 0.0).then(|| of(&format!("le_{bound:?}")) / n)
    }

    /// The smallest bound of a histogram under this label that at least this share of the observations keep to; infinite when the
    /// largest does not do; `None` without any observation.
    pub fn kept_to(&self, name: &str, label: &str, share: f64) -> Option<f64> {
        let n = self.counters.get(&format!("{name}_count {label}")).copied().filter(|n| *n > 0.0)?;
        let prefix = format!("{name}_le_");
        let buckets = self.counters.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        let bounds = buckets.filter_map(|(key, count)| {
            let (bound, of) = key.strip_prefix(&prefix)?.split_once(' ')?;
            (of == label && count / n >= share).then(|| bound.parse::<f64>().ok()).flatten()
        });
        Some(bounds.fold(f64::INFINITY, f64::min))
    }

    /// What the gate decided, a second and camera.
    pub fn decisions(&self, n_cameras: usize) -> BTreeMap<String, f64> {
        self.by_last_label("xueliang_gate_decisions_total", n_cameras)
    }

    /// How pictures were analysed, a second and camera.
    pub fn looks(&self, n_cameras: usize) -> BTreeMap<String, f64> {
        self.by_last_label("xueliang_looks_total", n_cameras)
    }

    fn by_last_label(&self, name: &str, n_cameras: usize) -> BTreeMap<String, f64> {
        let mut rates = BTreeMap::new();
        for (key, grown) in &self.counters {
            if let Some(labels) = key.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')) {
                let last = labels.split(' ').next_back().unwrap_or_default();
                *rates.entry(last.to_owned()).or_insert(0.0) += grown / self.seconds / n_cameras as f64;
            }
        }
        rates
    }

    /// Each stage's time in seconds and how often it ran.
    pub fn stages(&self) -> BTreeMap<String, (f64, f64)> {
        let mut stages: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (key, value) in &self.counters {
            let Some(rest) = key.strip_prefix("xueliang_stage_seconds_") else { continue };
            let Some((part, stage)) = rest.split_once(' ') else { continue };
            let entry = stages.entry(stage.to_owned()).or_default();
            match part {
                "sum" => entry.0 += value,
                "count" => entry.1 += value,
                // The buckets are cumulative: how the times are spread, not how many there were.
                _ => {}
            }
        }
        stages.retain(|_, (_, n)| *n > 0.0);
        stages
    }
}

impl<'a> Rig<'a> {
    /// Starts a worker on these cameras.
    pub fn start(bench: &'a Bench, urls: &[String], watch: &Watch) -> Result<Self> {
        let state = tempfile::tempdir().context("no room for the worker's state")?;
        let settings = settings(bench, urls, watch, state.path())?;
        let (sender, receiver) = mpsc::channel(4);
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let registry = Registry::new();
        let _context = bench.runtime.enter();
        bench.runtime.spawn(receive(receiver, Arc::clone(&latencies)));
        let worker = Worker::start(settings, Sink::Embedded(EmbeddedSink(sender)), &registry)
            .map_err(|error| anyhow!(error).context("the worker can't start"))?;
        Ok(Self { bench, worker: Some(worker), registry, latencies, n_cameras: urls.len(), _state: state })
    }

    /// Waits until every camera delivers; an error says how many do not.
    pub fn wait_until_live(&self) -> Result<()> {
        progress::wait("the cameras to deliver", CONNECT, || Ok(self.n_live()? >= self.n_cameras))
            .with_context(|| format!("{} of {} cameras deliver", self.n_live().unwrap_or(0), self.n_cameras))
    }

    /// Waits until every gate on an idle street is closed; an error says what is still decoded.
    pub fn wait_until_idle(&self) -> Result<()> {
        let mut decoded = 0.0;
        let settled = progress::wait("the gates to close on an idle street", SETTLE.0, || {
            let window = self.window(SETTLE.1)?;
            decoded = window.grew("xueliang_frames_decoded_total", "") / window.seconds / self.n_cameras as f64;
            Ok(decoded <= DECODED_WHEN_IDLE)
        });
        settled.with_context(|| format!("{decoded:.1} pictures a second are decoded of each camera"))
    }

    /// How many cameras deliver now.
    pub fn n_live(&self) -> Result<usize> {
        Ok(self.read()?.total("xueliang_camera_up") as usize)
    }

    /// Lets it run and tells what happened.
    pub fn window(&self, length: Duration) -> Result<Window> {
        let before = self.read()?;
        progress::pause(length)?;
        Ok(self.read()?.since(&before))
    }

    /// Seconds from capture to event of all zone events since the last call.
    pub fn take_latencies(&self) -> Vec<f32> {
        std::mem::take(&mut *self.latencies.lock())
    }

    /// What was counted and spent so far.
    pub fn read(&self) -> Result<Reading> {
        let mut counters = BTreeMap::new();
        for family in self.registry.gather() {
            for metric in family.get_metric() {
                let labels: Vec<&str> = metric.get_label().iter().map(|pair| pair.value()).collect();
                let mut add = |suffix: &str, value: f64| {
                    *counters.entry(format!("{}{suffix} {}", family.name(), labels.join(" "))).or_insert(0.0) += value;
                };
                if family.get_field_type() == MetricType::HISTOGRAM {
                    add("_sum", metric.get_histogram().get_sample_sum());
                    add("_count", metric.get_histogram().get_sample_count() as f64);
                    for bucket in metric.get_histogram().get_bucket() {
                        add(&format!("_le_{:?}", bucket.upper_bound()), bucket.cumulative_count() as f64);
                    }
                } else {
                    add("", metric.get_counter().get_value() + metric.get_gauge().get_value());
                }
            }
        }
        let (cpu, threads) = (usage::cpu_of_self(), usage::cpu_of_threads()?);
        Ok(Reading { at: Instant::now(), cpu, threads, counters })
    }
}

impl Drop for Rig<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.bench.runtime.block_on(worker.stop());
        }
    }
}

impl Reading {
    /// What happened since an earlier reading.
    pub fn since(&self, before: &Self) -> Window {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let cores = |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() / seconds;
        let threads = self
            .threads
            .iter()
            .map(|(group, spent)| (*group, cores(*spent, before.threads.get(group).copied().unwrap_or_default())));
        let counters = self
            .counters
            .iter()
            .map(|(key, value)| (key.clone(), value - before.counters.get(key).copied().unwrap_or(0.0)));
        Window { seconds, cores: cores(self.cpu, before.cpu), threads: threads.collect(), counters: counters.collect() }
    }

    /// The largest value of a gauge over all labels; 0 without any.
    pub fn largest(&self, name: &str) -> f64 {
        let of_name = self.counters.iter().filter(|(key, _)| key.split(' ').next() == Some(name));
        of_name.map(|(_, value)| *value).fold(0.0, f64::max)
    }

    /// A counter's or gauge's value over all labels.
    pub fn total(&self, name: &str) -> f64 {
        self.counters.iter().filter(|(key, _)| key.split(' ').next() == Some(name)).map(|(_, value)| value).sum()
    }
}

/// Answers each batch at once and notes the age of its zone events.
async fn receive(mut batches: mpsc::Receiver<EmbeddedBatch>, latencies: Arc<Mutex<Vec<f32>>>) {
    while let Some(EmbeddedBatch { events, done, .. }) = batches.recv().await {
        let now = Timestamp::now();
        let ages = events.iter().filter_map(|(_, body)| age(body, now));
        latencies.lock().extend(ages);
        // The forwarder is gone only when the worker is being stopped.
        let _ = done.send(());
    }
}

fn age(body: &[u8], now: Timestamp) -> Option<f32> {
    let event = Event::from_json(body).ok()?;
    let from_camera = match event.payload {
        Payload::ZoneEntered(_) | Payload::ZoneExited(_) | Payload::LineCrossed(_) | Payload::ZoneDwelled(_) => true,
        Payload::ZoneOccupancy(occupancy) => !occupancy.heartbeat,
        _ => false,
    };
    from_camera.then(|| now.duration_since(event.time).as_secs_f32())
}

/// Settings as a file of a user would hold them.
fn settings(bench: &Bench, urls: &[String], watch: &Watch, state: &Path) -> Result<IngestSettings> {
    let mut text = format!("[ingest]\ndata_dir = {}\n{}", quoted(state), model(bench));
    for (index, url) in urls.iter().enumerate() {
        text += &camera(&format!("street-{:04}", index + 1), url, watch);
    }
    let document = Document::from_text(state.join("bench.toml"), text);
    let read = document.read(IngestSettings::read).and_then(IngestSettings::with_camera_files);
    read.map_err(|mistakes| anyhow!("the bench's settings are refused:\n{mistakes}"))
}

/// The cameras alone, as the worker would read them.
pub fn cameras(bench: &Bench, urls: &[String], watch: &Watch) -> Result<Vec<CameraSettings>> {
    Ok(settings(bench, urls, watch, &std::env::temp_dir())?.cameras)
}

/// `[ingest.model]` as the flags say.
pub fn model(bench: &Bench) -> String {
    let (place, common) = (&bench.place, &bench.common);
    let mut text = format!(
        "[ingest.model]\nmanifest = {}\nassessment = \"bench\"\nfolder = {}\nproviders = [{:?}]\nrequire = true\nthreads = {}\n",
        quoted(&place.manifest),
        quoted(&place.weights),
        common.provider,
        common.threads
    );
    if let Some(library) = &place.onnxruntime {
        // Writing to a string can't fail.
        let _ = writeln!(text, "onnxruntime = {}", quoted(library));
    }
    text
}

/// One `[[camera]]` on the bench's street.
pub fn camera(id: &str, url: &str, watch: &Watch) -> String {
    let Watch { gate, fps, login, authorization } = watch;
    let mut text = format!("[[camera]]\nid = {id:?}\nurl = {url:?}\ngate = {gate:?}\nanalysis_fps = {fps:?}\n");
    if let Some((user, file)) = login {
        let _ = writeln!(text, "credentials = {{ username = {user:?}, password_file = {file:?} }}");
    }
    match authorization {
        Some(keys) => text + STREET + "\n[camera.authorization]\n" + keys,
        None => text + &simcam::authorization_line() + "\n" + STREET,
    }
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

#[cfg(test)]
pub mod testing {
    use std::sync::OnceLock;

    use super::*;

    /// A window of so many seconds with these counters, each named with its labels.
    pub fn window(seconds: f64, counters: &[(&str, f64)]) -> Window {
        Window { seconds, cores: 1.0, threads: BTreeMap::new(), counters: named(counters) }
    }

    /// A reading so many seconds after the first one of this process.
    pub fn reading(second: f64, counters: &[(&str, f64)]) -> Reading {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        let at = *FIRST.get_or_init(Instant::now) + Duration::from_secs_f64(second);
        Reading { at, cpu: Duration::ZERO, threads: BTreeMap::new(), counters: named(counters) }
    }

    /// The last of one name counts.
    fn named(counters: &[(&str, f64)]) -> BTreeMap<String, f64> {
        counters.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::window, *};

    #[test]
    fn a_stage_ran_as_often_as_it_was_counted_whatever_its_buckets_hold() {
        let counters = [
            ("xueliang_stage_seconds_sum decode", 2.0),
            ("xueliang_stage_seconds_count decode", 100.0),
            ("xueliang_stage_seconds_le_0.01 decode", 40.0),
            ("xueliang_stage_seconds_le_2.5 decode", 100.0),
            ("xueliang_stage_seconds_sum infer", 0.0),
            ("xueliang_stage_seconds_count infer", 0.0),
        ];
        let stages = window(10.0, &counters).stages();
        assert_eq!(stages, BTreeMap::from([("decode".to_owned(), (2.0, 100.0))]));
    }

    fn ages() -> Window {
        let counters = [
            ("xueliang_picture_age_seconds_sum live", 60.0),
            ("xueliang_picture_age_seconds_count live", 200.0),
            ("xueliang_picture_age_seconds_le_0.5 live", 150.0),
            ("xueliang_picture_age_seconds_le_1.0 live", 199.0),
            ("xueliang_picture_age_seconds_le_10.0 live", 199.0),
            ("xueliang_picture_age_seconds_count catch_up", 4.0),
            ("xueliang_picture_age_seconds_le_0.5 catch_up", 0.0),
            ("xueliang_picture_age_seconds_le_1.0 catch_up", 1.0),
            ("xueliang_picture_age_seconds_le_10.0 catch_up", 4.0),
        ];
        window(10.0, &counters)
    }

    #[test]
    fn the_share_within_a_bound_is_of_one_label_alone() {
        let share = |label, bound| ages().share_within("xueliang_picture_age_seconds", label, bound);
        assert_eq!(share("live", 0.5), Some(0.75));
        assert_eq!(share("live", 1.0), Some(0.995));
        assert_eq!(share("catch_up", 1.0), Some(0.25));
        assert_eq!(share("check", 1.0), None);
    }

    #[test]
    fn a_quantile_is_told_as_the_bound_that_holds_it() {
        let bound = |label, share| ages().kept_to("xueliang_picture_age_seconds", label, share);
        assert_eq!(bound("live", 0.99), Some(1.0));
        assert_eq!(bound("live", 0.999), Some(f64::INFINITY));
        assert_eq!(bound("catch_up", 0.99), Some(10.0));
        assert_eq!(bound("check", 0.99), None);
    }

    #[test]
    fn what_grew_is_summed_over_the_labels_that_match() {
        let counters =
            [("xueliang_frames_dropped_total a decode", 3.0), ("xueliang_frames_dropped_total b detect", 4.0)];
        let window = window(1.0, &counters);
        assert_eq!(window.grew("xueliang_frames_dropped_total", ""), 7.0);
        assert_eq!(window.grew("xueliang_frames_dropped_total", "detect"), 4.0);
        assert_eq!(window.grew("xueliang_frames", "nothing"), 0.0);
    }
}
