//! RULES P06, P12 and P13 on real footage.

use xueliang_inference::redact::{self, RedactSettings};
use xueliang_inference::{BBox, Class, Detection, Point, Polygon, PrivacyMasks};

use crate::cache::{detector, frames, model};
use crate::parity::reference;

fn persons(of: &[Detection]) -> impl Iterator<Item = &Detection> {
    of.iter().filter(|found| found.class == Class::Person)
}

fn mask_over(bbox: &BBox) -> PrivacyMasks {
    let area = bbox.dilated(0.3).clipped();
    let (right, bottom) = (area.x + area.w, area.y + area.h);
    let corners = [(area.x, area.y), (right, area.y), (right, bottom), (area.x, bottom)];
    let polygon = Polygon::new(corners.map(|(x, y)| Point { x: x.min(1.0), y: y.min(1.0) }).to_vec());
    PrivacyMasks::new(vec![polygon.expect("polygon")])
}

#[test]
fn p06_a_person_inside_a_mask_is_not_detected() {
    let mut detector = detector(&model());
    let settings = detector.settings();
    let unmasked = detector.detect(&frames(&PrivacyMasks::none())[0], &settings).expect("detections");
    let person = persons(unmasked.confident()).next().expect("a person on the footage");
    let masked = detector.detect(&frames(&mask_over(&person.bbox))[0], &settings).expect("detections");
    let there = masked.candidates().iter().filter(|found| found.bbox.iou(&person.bbox) > 0.3);
    assert_eq!(there.count(), 0);
    assert!(!masked.confident().is_empty(), "the rest of the street is still seen");
}

#[test]
fn p13_heads_of_people_nobody_detected_are_below_the_limit() {
    let mut detector = detector(&model());
    let (settings, redact_settings) = (detector.settings(), RedactSettings::default());
    let everything = BBox { x: 0.0, y: 0.0, w: 1.0, h: 1.0 };
    let blind = detector.detect(&frames(&mask_over(&everything))[0], &settings).expect("detections");
    assert!(blind.unsuppressed().is_empty());
    for (frame, people) in frames(&PrivacyMasks::none()).iter().zip(reference(&model())) {
        let snapshot = redact::snapshot(frame, &blind, &[], &redact_settings).expect("snapshot");
        for person in persons(&people).filter(|person| person.confidence >= settings.score_threshold) {
            let head_px = person.bbox.h * snapshot.height as f32 / 7.0;
            assert!(head_px <= redact_settings.max_head_px as f32, "a head of {head_px} px");
        }
    }
}

#[test]
fn p12_every_person_of_the_reference_is_filled() {
    let mut detector = detector(&model());
    let settings = detector.settings();
    for (frame, people) in frames(&PrivacyMasks::none()).iter().zip(reference(&model())) {
        let found = detector.detect(frame, &settings).expect("detections");
        let snapshot = redact::snapshot(frame, &found, &[], &RedactSettings::default()).expect("snapshot");
        let picture = image::load_from_memory(snapshot.jpeg()).expect("JPEG").to_luma8();
        for person in persons(&people) {
            let centre = (person.bbox.x + person.bbox.w / 2.0, person.bbox.y + person.bbox.h / 4.0);
            let (x, y) = (centre.0 * picture.width() as f32, centre.1 * picture.height() as f32);
            let luma = picture.get_pixel(x as u32, y as u32).0[0];
            assert!(luma < 24, "luma {luma} where {person:?} stands");
        }
    }
}
