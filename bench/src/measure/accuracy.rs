//! How right detector and tracker are, on the frames of the recording whose persons are labelled.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use prometheus::Registry;
use serde_json::{Map, Value, json};
use xueliang_inference::{Detector, PrivacyMasks, SceneSettings};
use xueliang_ingest::{analyse::How, metrics::Metrics, settings::CameraSettings, snapshots::SnapshotStore};

use super::{Found, detector};
use crate::{
    Bench,
    accuracy::{Accuracy, AsRun, FRAMES, RateAccuracy, ZoneAccuracy, accuracy_run, as_run},
    footage::{self, recording::Recording},
    progress,
    rig::{self, Watch},
};

/// The figures are of this rate, which the other measurements analyse at too.
const FPS: u32 = 5;
/// Room for redacted snapshots.
const SNAPSHOT_BYTES: u64 = 64 << 20;

/// Measures once: the same frames give the same boxes.
pub fn run(bench: &Bench) -> Result<Found> {
    let path = footage::find_recording(&bench.place)?;
    let recording = Recording::load(&path)?;
    ensure!(recording.len() >= FRAMES as usize, "{} is shorter than its labels", path.display());
    let mut loaded = detector::load(bench)?;
    let nothing_masked = (Timestamp::UNIX_EPOCH, &PrivacyMasks::none());
    let rates = accuracy_run(&mut loaded, &scene(&camera(bench, "always")?), |number| {
        detector::masked_frame(&recording, number as usize, nothing_masked)
    })?;
    let mut found = Found::default();
    for rate in &rates {
        say(rate);
        if rate.fps == FPS {
            found = figures(found, "", &rate.tracks, &rate.zones);
        }
    }
    let as_run = under_adaptive(bench, &mut loaded, &recording)?;
    say_tracks(FPS, "as run", &as_run.tracks);
    say_zones(FPS, &as_run.zones);
    let ways = How::ALL.iter().zip(as_run.ways).map(|(how, n)| (how.as_str().to_owned(), json!(n)));
    let ways: Map<String, Value> = ways.collect();
    progress::say(&format!(
        "as run: {}",
        ways.iter().map(|(how, n)| format!("{how} {n}")).collect::<Vec<_>>().join(", ")
    ));
    found = figures(found, "_as_run", &as_run.tracks, &as_run.zones);
    found.details = json!({
        "model": loaded.model().name(), "provider": loaded.model().provider().as_str(), "frames": FRAMES,
        "rates": rates.iter().map(details).collect::<Vec<_>>(),
        "as_run": { "gate": "adaptive", "fps": FPS, "tracks": tracks(&as_run.tracks), "zones": zones(&as_run.zones), "frames_by_way": ways },
    });
    Ok(found)
}

/// The analysis of one camera under `adaptive`, whose gate is open all the time: somebody always walks.
fn under_adaptive(bench: &Bench, detector: &mut Detector, recording: &Recording) -> Result<AsRun> {
    let camera = camera(bench, "adaptive")?;
    let state = tempfile::tempdir().context("no room for snapshots")?;
    let snapshots = SnapshotStore::new(state.path().to_owned(), SNAPSHOT_BYTES, Metrics::new(&Registry::new())?);
    let masks = camera.privacy_masks();
    as_run(FPS, (&camera, detector), &snapshots, |number, at| {
        detector::masked_frame(recording, number as usize, (at, &masks))
    })
}

/// A camera on the bench's street.
fn camera(bench: &Bench, gate: &str) -> Result<CameraSettings> {
    let cameras = rig::cameras(bench, &["rtsp://127.0.0.1/labelled".to_owned()], &Watch::with_gate(gate))?;
    cameras.into_iter().next().context("no camera")
}

/// Its zones and its line.
fn scene(camera: &CameraSettings) -> SceneSettings {
    SceneSettings { zones: camera.zones.clone(), lines: camera.lines.clone(), heartbeat: Duration::from_secs(10) }
}

/// What comes `after` is the end of the figures' names.
fn figures(mut found: Found, after: &str, tracks: &Accuracy, zones: &ZoneAccuracy) -> Found {
    let shares = [
        ("track_precision", tracks.precision()),
        ("track_recall", tracks.recall()),
        ("track_mota", tracks.mota()),
        ("track_idf1", tracks.idf1()),
        ("zone_precision", zones.precision()),
        ("zone_recall", zones.recall()),
    ];
    for (name, share) in shares {
        found = found.with(&format!("{name}{after}"), share.as_slice());
    }
    found
}

fn say(rate: &RateAccuracy) {
    let of = &rate.detections;
    let [precision, recall] = [of.precision(), of.recall()].map(in_words);
    progress::say(&format!("{:>2} fps {:<13} precision {precision} recall {recall}", rate.fps, "detections"));
    say_tracks(rate.fps, "tracks", &rate.tracks);
    say_tracks(rate.fps, "tracker alone", &rate.tracker_alone);
    say_zones(rate.fps, &rate.zones);
}

fn say_tracks(fps: u32, what: &str, of: &Accuracy) {
    let [precision, recall, mota, idf1] = [of.precision(), of.recall(), of.mota(), of.idf1()].map(in_words);
    progress::say(&format!(
        "{fps:>2} fps {what:<13} precision {precision} recall {recall} MOTA {mota} IDF1 {idf1} switches {}",
        of.n_switches
    ));
}

fn say_zones(fps: u32, zones: &ZoneAccuracy) {
    let [precision, recall] = [zones.precision(), zones.recall()].map(in_words);
    progress::say(&format!(
        "{fps:>2} fps zones and line precision {precision} recall {recall} ({} of {} events, {} told)",
        zones.n_matched, zones.n_true, zones.n_told
    ));
}

fn in_words(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{share:.3}"))
}

fn details(rate: &RateAccuracy) -> Value {
    json!({
        "fps": rate.fps, "detections": boxes(&rate.detections), "tracks": tracks(&rate.tracks),
        "tracker_alone": tracks(&rate.tracker_alone), "zones": zones(&rate.zones),
    })
}

fn boxes(of: &Accuracy) -> Value {
    json!({
        "precision": of.precision(), "recall": of.recall(), "true_boxes": of.n_true,
        "misses": of.n_misses(), "false_alarms": of.n_false_alarms(),
    })
}

fn tracks(of: &Accuracy) -> Value {
    let mut told = boxes(of);
    told["mota"] = json!(of.mota());
    told["idf1"] = json!(of.idf1());
    told["switches"] = json!(of.n_switches);
    told
}

fn zones(of: &ZoneAccuracy) -> Value {
    json!({
        "precision": of.precision(), "recall": of.recall(), "true_events": of.n_true, "told": of.n_told, "found": of.n_matched,
    })
}
