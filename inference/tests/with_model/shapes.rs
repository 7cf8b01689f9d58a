//! The input size follows the camera's shape, for as many shapes as are bound, and for models that allow it.

use std::fs;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use xueliang_inference::{Colour, DecodedFrame, Detector, Frame, Model, PrivacyMasks, SessionSettings, mask};

use crate::cache::{detector, manifest, model, runtime};
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
