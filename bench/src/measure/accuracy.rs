//! How right detector and tracker are, on the frames of the recording whose persons are labelled.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use xueliang_inference::SceneSettings;

use super::{Found, detector};
use crate::{
    Bench,
    accuracy::{Accuracy, FRAMES, RateAccuracy, accuracy_run},
    footage::{self, recording::Recording},
    progress,
    rig::{self, Watch},
};

/// The figures are of this rate, which the other measurements analyse at too.
const FPS: u32 = 5;

/// Measures once: the same frames give the same boxes.
pub fn run(bench: &Bench) -> Result<Found> {
    let path = footage::find_recording(&bench.place)?;
    let recording = Recording::load(&path)?;
    ensure!(recording.len() >= FRAMES as usize, "{} is shorter than its labels", path.display());
    let mut loaded = detector::load(bench)?;
    let rates = accuracy_run(&mut loaded, &street(bench)?, |number| detector::frame(&recording, number as usize))?;
    let mut found = Found::default();
    for rate in &rates {
        say(rate);
        if rate.fps == FPS {
            found = figures(found, rate);
        }
    }
    found.details = json!({
        "model": loaded.model().name(), "provider": loaded.model().provider().as_str(), "frames": FRAMES,
        "rates": rates.iter().map(details).collect::<Vec<_>>(),
    });
    Ok(found)
}

/// The zones and the line of the bench's street.
fn street(bench: &Bench) -> Result<SceneSettings> {
    let cameras = rig::cameras(bench, &["rtsp://127.0.0.1/labelled".to_owned()], &Watch::with_gate("always"))?;
    let camera = cameras.into_iter().next().context("no camera")?;
    Ok(SceneSettings { zones: camera.zones, lines: camera.lines, heartbeat: Duration::from_secs(10) })
}

fn figures(mut found: Found, rate: &RateAccuracy) -> Found {
    let (tracks, zones) = (&rate.tracks, &rate.zones);
    let shares = [
        ("track_precision", tracks.precision()),
        ("track_recall", tracks.recall()),
        ("track_mota", tracks.mota()),
        ("track_idf1", tracks.idf1()),
        ("zone_precision", zones.precision()),
        ("zone_recall", zones.recall()),
    ];
    for (name, share) in shares {
        found = found.with(name, share.as_slice());
    }
    found
}

fn say(rate: &RateAccuracy) {
    let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{share:.3}"));
    for (what, of) in
        [("detections", &rate.detections), ("tracks", &rate.tracks), ("tracker alone", &rate.tracker_alone)]
    {
        let mut text = format!("{:>2} fps {what:<13}", rate.fps);
        text += &format!(" precision {} recall {}", share(of.precision()), share(of.recall()));
        if what != "detections" {
            text += &format!(" MOTA {} IDF1 {} switches {}", share(of.mota()), share(of.idf1()), of.n_switches);
        }
        progress::say(&text);
    }
    let zones = &rate.zones;
    progress::say(&format!(
        "{:>2} fps zones and line precision {} recall {} ({} of {} events, {} told)",
        rate.fps,
        share(zones.precision()),
        share(zones.recall()),
        zones.n_matched,
        zones.n_true,
        zones.n_told
    ));
}

fn details(rate: &RateAccuracy) -> Value {
    let boxes = |of: &Accuracy| {
        json!({
            "precision": of.precision(), "recall": of.recall(), "true_boxes": of.n_true,
            "misses": of.n_misses(), "false_alarms": of.n_false_alarms(),
        })
    };
    let tracks = |of: &Accuracy| {
        let mut told = boxes(of);
        told["mota"] = json!(of.mota());
        told["idf1"] = json!(of.idf1());
        told["switches"] = json!(of.n_switches);
        told
    };
    json!({
        "fps": rate.fps, "detections": boxes(&rate.detections), "tracks": tracks(&rate.tracks),
        "tracker_alone": tracks(&rate.tracker_alone),
        "zones": {
            "precision": rate.zones.precision(), "recall": rate.zones.recall(), "true_events": rate.zones.n_true,
            "told": rate.zones.n_told, "found": rate.zones.n_matched,
        },
    })
}
