//! Boxes and scores on real footage equal those of the numpy reference (`tests/reference`).

use std::fs;

use serde_json::Value;
use xueliang_inference::{BBox, Detection, PrivacyMasks};

use crate::cache::{SIZE, cache, detector, frames, model};

const MAX_BOX_PX: f32 = 1.0;
const MAX_SCORE: f32 = 0.01;

/// The reference's detections of each frame.
pub fn reference(model: &str) -> Vec<Vec<Detection>> {
    let path = cache().join(format!("parity/{model}.json"));
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}: run tests/reference/prepare.sh", path.display()));
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let frames = document["frames"].as_array().expect("frames");
    frames.iter().map(|frame| frame.as_array().expect("rows").iter().map(detection).collect()).collect()
}

/// [class, score, x0, y0, x1, y1] in pixels.
fn detection(row: &Value) -> Detection {
    let number = |i: usize| row[i].as_f64().expect("number") as f32;
    let (w, h) = (SIZE.0 as f32, SIZE.1 as f32);
    let bbox =
        BBox { x: number(2) / w, y: number(3) / h, w: (number(4) - number(2)) / w, h: (number(5) - number(3)) / h };
    Detection { class: row[0].as_str().expect("class").parse().expect("class"), confidence: number(1), bbox }
}

/// Largest difference of an edge in pixels, and of the score.
fn difference(one: &Detection, other: &Detection) -> (f32, f32) {
    let edges = |b: &BBox| [b.x * 768.0, b.y * 576.0, (b.x + b.w) * 768.0, (b.y + b.h) * 576.0];
    let px = edges(&one.bbox).iter().zip(edges(&other.bbox)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    (px, (one.confidence - other.confidence).abs())
}

/// The least different detection of the same class.
fn counterpart(of: &Detection, among: &[Detection]) -> Option<(f32, f32)> {
    let same_class = among.iter().filter(|other| other.class == of.class);
    same_class.map(|other| difference(of, other)).min_by(|a, b| a.0.total_cmp(&b.0))
}

fn check_parity(model: &str) {
    let mut detector = detector(model);
    let settings = detector.settings();
    let (frames, reference) = (frames(&PrivacyMasks::none()), reference(model));
    assert_eq!(frames.len(), reference.len());
    let (mut n_compared, mut worst) = (0, (0.0f32, 0.0f32));
    let mut misses = Vec::new();
    for (i, (frame, expected)) in frames.iter().zip(&reference).enumerate() {
        let found = detector.detect(frame, &settings).expect("detections");
        // Each way: whatever is clearly above the threshold here must be there too.
        let clear = |detection: &&Detection| detection.confidence >= settings.score_threshold + MAX_SCORE;
        let ours = found.candidates().iter().filter(clear).map(|ours| (ours, counterpart(ours, expected)));
        let theirs = expected.iter().filter(clear).map(|theirs| (theirs, counterpart(theirs, found.candidates())));
        for (detection, difference) in ours.chain(theirs) {
            n_compared += 1;
            let (px, score) = difference.unwrap_or((f32::INFINITY, f32::INFINITY));
            worst = (worst.0.max(px), worst.1.max(score));
            if px > MAX_BOX_PX || score > MAX_SCORE {
                misses.push(format!("frame {i}: {detection:?} differs by {px} px and {score}"));
            }
        }
    }
    println!("{model}: {n_compared} compared, largest difference {} px, {}", worst.0, worst.1);
    assert!(n_compared > 100 && misses.is_empty(), "{} of {n_compared}:\n{}", misses.len(), misses.join("\n"));
}

/// Where a model's weights can't be had it is named and left out, but never the one that this machine uses.
#[test]
fn boxes_and_scores_equal_the_reference_for_every_model_at_hand() {
    let is_here = |name: &&str| cache().join(format!("models/{name}.onnx")).exists();
    let (here, absent): (Vec<&str>, Vec<&str>) =
        ["yolox_nano", "ssdlite_mobilenet_v2"].iter().partition(|name| is_here(name));
    assert!(here.contains(&model().as_str()), "{} is used here and its weights are missing", model());
    println!("weights that can't be had here: {absent:?}");
    here.into_iter().for_each(check_parity);
}
