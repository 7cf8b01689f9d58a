//! Boxes and scores on real footage equal those of the numpy reference (`tests/reference`).

use std::fs;

use serde_json::Value;
use xueliang_inference::{BBox, Detection, Detector, PrivacyMasks};

use crate::cache::{SIZE, cache, detector, detector_of, frames, manifest, model};

const MAX_BOX_PX: f32 = 1.0;
const MAX_SCORE: f32 = 0.01;
const MAX_SHAPE_PX: f32 = 6.0;
const MAX_SHAPE_SCORE: f32 = 0.05;

/// The reference's detections of each frame, at the input size that the model takes for them.
pub fn reference(model: &str) -> Vec<Vec<Detection>> {
    if manifest(model).input.rectangular { read(&format!("{model}.rectangular")) } else { read(model) }
}

fn read(name: &str) -> Vec<Vec<Detection>> {
    let path = cache().join(format!("parity/{name}.json"));
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

/// Two runs over the same frames, and what counts as the same in them.
struct Comparison<'a> {
    name: String,
    score_threshold: f32,
    one: Vec<Vec<Detection>>,
    other: &'a [Vec<Detection>],
    max_px: f32,
    max_score: f32,
}

impl Comparison<'_> {
    /// Each way: whatever is clearly above the threshold in one must be in the other too.
    fn check(&self) {
        assert_eq!(self.one.len(), self.other.len());
        let (mut n_compared, mut worst, mut misses) = (0, (0.0f32, 0.0f32), Vec::new());
        let clear = |found: &&Detection| found.confidence >= self.score_threshold + self.max_score;
        for (i, (one, other)) in self.one.iter().zip(self.other).enumerate() {
            let ours = one.iter().filter(clear).map(|ours| (ours, counterpart(ours, other)));
            let theirs = other.iter().filter(clear).map(|theirs| (theirs, counterpart(theirs, one)));
            for (detection, difference) in ours.chain(theirs) {
                n_compared += 1;
                let (px, score) = difference.unwrap_or((f32::INFINITY, f32::INFINITY));
                worst = (worst.0.max(px), worst.1.max(score));
                if px > self.max_px || score > self.max_score {
                    misses.push(format!("frame {i}: {detection:?} differs by {px} px and {score}"));
                }
            }
        }
        println!("{}: {n_compared} compared, largest difference {} px, {}", self.name, worst.0, worst.1);
        assert!(n_compared > 100 && misses.is_empty(), "{} of {n_compared}:\n{}", misses.len(), misses.join("\n"));
    }
}

/// What our detector finds in the footage.
fn found(detector: &mut Detector) -> Vec<Vec<Detection>> {
    let settings = detector.settings();
    let frames = frames(&PrivacyMasks::none());
    let found = frames.iter().map(|frame| detector.detect(frame, &settings).expect("detections").candidates().to_vec());
    found.collect()
}

fn check_parity(mut detector: Detector, reference: &[Vec<Detection>]) {
    let one = found(&mut detector);
    let size = detector.model().sizes().pop().expect("a size");
    Comparison {
        name: format!("{} at {size:?}", detector.model().name()),
        score_threshold: detector.settings().score_threshold,
        one,
        other: reference,
        max_px: MAX_BOX_PX,
        max_score: MAX_SCORE,
    }
    .check();
}

/// Where a model's weights can't be had it is named and left out, but never the one that this machine uses.
#[test]
fn boxes_and_scores_equal_the_reference_for_every_model_at_hand() {
    let is_here = |name: &&str| cache().join(format!("models/{name}.onnx")).exists();
    let (here, absent): (Vec<&str>, Vec<&str>) =
        ["yolox_nano", "ssdlite_mobilenet_v2"].iter().partition(|name| is_here(name));
    assert!(here.contains(&model().as_str()), "{} is used here and its weights are missing", model());
    println!("weights that can't be had here: {absent:?}");
    for name in here {
        check_parity(detector(name), &reference(name));
        let mut manifest = manifest(name);
        if std::mem::take(&mut manifest.input.rectangular) {
            check_parity(detector_of(&manifest), &read(name));
        }
    }
}

/// Not the same network any more: what convolutions see of the border differs, so scores move a little.
#[test]
fn an_input_of_the_cameras_shape_finds_what_the_square_finds() {
    let mut square = manifest(&model());
    if !square.input.rectangular {
        println!("skipped: {} takes one input size only", model());
        return;
    }
    let mut follows = detector(&model());
    let one = found(&mut follows);
    assert_eq!(follows.model().sizes(), [(416, 416), (416, 320)]);
    square.input.rectangular = false;
    let other = found(&mut detector_of(&square));
    let (score_threshold, name) = (follows.settings().score_threshold, "416×320 and 416×416".to_owned());
    Comparison { name, score_threshold, one, other: &other, max_px: MAX_SHAPE_PX, max_score: MAX_SHAPE_SCORE }.check();
}
