//! The input size follows the camera's shape, for as many shapes as are bound, and for models that allow it.

use std::fs;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use xueliang_inference::{Colour, DecodedFrame, Detector, Frame, Model, PrivacyMasks, Provider, SessionSettings, mask};

use crate::cache::{detector, frames, manifest, model, runtime};
use crate::refusal;

fn black(width: u32, height: u32) -> Frame {
    let chroma = width.div_ceil(2) * height.div_ceil(2);
    let mut bytes = vec![16; (width * height) as usize];
    bytes.resize(bytes.len() + 2 * chroma as usize, 128);
    let decoded = DecodedFrame::from_i420(bytes, (width, height), Colour::default(), Timestamp::UNIX_EPOCH);
    mask::paint(decoded.expect("frame"), &PrivacyMasks::none())
}

fn sizes_after(detector: &mut Detector, frames: &[(u32, u32)]) -> Vec<(usize, usize)> {
    let settings = detector.settings();
    for &(width, height) in frames {
        detector.detect(&black(width, height), &settings).expect("detections");
    }
    detector.model().sizes()
}

#[test]
fn cameras_of_one_shape_share_a_network_and_shapes_are_bounded() {
    if !manifest(&model()).input.rectangular {
        println!("skipped: {} takes one input size only", model());
        return;
    }
    let mut detector = detector(&model());
    let same_shape = [(768, 576), (1280, 960), (640, 480)];
    assert_eq!(sizes_after(&mut detector, &same_shape), [(416, 416), (416, 320)]);
    let every_shape = [(1920, 1080), (1080, 1920), (352, 288), (600, 600), (2560, 1080), (320, 1080), (704, 576)];
    let bounded = [(416, 416), (416, 320), (416, 256), (256, 416), (416, 352)];
    assert_eq!(sizes_after(&mut detector, &every_shape), bounded);
}

#[test]
fn a_graph_that_can_not_follow_a_shape_runs_padded() {
    let bytes = fs::read(refusal::fixtures().join("detector.onnx")).expect("fixture");
    let mut manifest = refusal::manifest("detector", "output", &hex::encode(Sha256::digest(&bytes)));
    manifest.input.rectangular = true;
    let model = Model::load(&runtime(), &manifest, &refusal::fixtures(), &SessionSettings::default());
    let mut detector = Detector::new(model.expect("loads"));
    assert_eq!(sizes_after(&mut detector, &[(64, 32), (64, 32)]), [(64, 64)]);
}

/// A part is not the same network input: what convolutions see around it differs, so scores move a little.
#[test]
fn a_part_of_the_picture_finds_who_the_whole_finds_there() {
    if !manifest(&model()).input.rectangular {
        println!("skipped: {} takes one input size only", model());
        return;
    }
    let mut detector = detector(&model());
    if detector.model().provider() != Provider::Cpu {
        println!("skipped: {} looks at whole pictures only", detector.model().provider());
        return;
    }
    let settings = detector.settings();
    let (mut n_parts, mut n_same) = (0, 0);
    for frame in &frames(&PrivacyMasks::none()) {
        let whole = detector.detect(frame, &settings).expect("detections");
        for wanted in whole.confident().iter().filter(|found| found.confidence >= 0.6) {
            if !detector.has_part(frame, &wanted.bbox) {
                continue;
            }
            let part = detector.detect_part(frame, &wanted.bbox, &settings).expect("detections");
            assert!(part.part().is_some_and(|part| part.holds(&wanted.bbox)), "{:?}", part.part());
            n_parts += 1;
            let same = |found: &&xueliang_inference::Detection| {
                found.bbox.iou(&wanted.bbox) >= 0.7 && (found.confidence - wanted.confidence).abs() < 0.2
            };
            n_same += usize::from(part.confident().iter().find(same).is_some());
        }
    }
    println!("{n_same} of {n_parts} found in a part as in the whole");
    assert!(n_parts > 50 && n_same * 100 >= n_parts * 97, "{n_same} of {n_parts}");
}
