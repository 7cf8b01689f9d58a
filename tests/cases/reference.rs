//! What the numpy reference finds in the footage, per frame on average.

use std::collections::BTreeMap;

use serde_json::Value;
use xueliang_tests::{client::Client, parts};

/// Objects per frame by class, over frames spread across the whole footage, above the model's own threshold.
pub fn objects_per_frame() -> BTreeMap<String, f64> {
    let model = parts::model();
    let text = std::fs::read_to_string(parts::path(&format!("parity/{model}.json")).unwrap()).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let manifest = std::fs::read_to_string(parts::checkout().join(format!("models/{model}.toml"))).unwrap();
    let line = manifest.lines().find_map(|line| line.strip_prefix("score_threshold = ")).unwrap();
    let threshold: f64 = line.trim().parse().unwrap();
    let frames = reference["frames"].as_array().unwrap();
    let mut counts = BTreeMap::new();
    for detection in frames.iter().flat_map(|frame| frame.as_array().unwrap()) {
        if detection[1].as_f64().unwrap() >= threshold {
            *counts.entry(detection[0].as_str().unwrap().to_owned()).or_insert(0.0) += 1.0;
        }
    }
    counts.into_iter().map(|(class, n)| (class, n / frames.len() as f64)).collect()
}

/// Panics unless a running system has found, per look at a whole frame, what the reference finds, within 15 %.
pub fn check(client: &Client) {
    let n_frames = client.metric("xueliang_looks_total", "how=\"whole\"").unwrap();
    assert!(n_frames >= 150.0, "only {n_frames} frames were looked at: too few to compare");
    for (class, expected) in objects_per_frame() {
        let label = format!("class=\"{class}\"");
        let found = client.metric("xueliang_detections_total", &label).unwrap() / n_frames;
        println!("{class}: {found:.2} a frame, the reference finds {expected:.2}");
        let wrong = (found - expected).abs();
        assert!(wrong <= (0.15 * expected).max(0.1), "{class}: {found:.2} a frame, the reference finds {expected:.2}");
    }
}
