//! What a snapshot shows and what it can't show, read back from the JPEG.

use super::*;
use crate::frame::{Colour, DecodedFrame, Range};
use crate::mask::{self, PrivacyMasks};
use crate::track::{Tracker, TrackerSettings};
use image::RgbImage;
use jiff::Timestamp;
use std::time::Duration;

const SIZE: (u32, u32) = (1280, 720);

/// All white, so that whatever is covered shows.
fn white() -> Frame {
    let n_luma = (SIZE.0 * SIZE.1) as usize;
    let mut bytes = vec![255; n_luma];
    bytes.resize(n_luma * 3 / 2, 128);
    let colour = Colour { range: Range::Full, ..Colour::default() };
    mask::paint(DecodedFrame::from_i420(bytes, SIZE, colour, Timestamp::UNIX_EPOCH).unwrap(), &PrivacyMasks::none())
}

fn found(class: Class, confidence: f32, bbox: BBox) -> Detection {
    Detection { class, confidence, bbox }
}

fn shown(detections: &[Detection], tracks: &[Track]) -> RgbImage {
    let detections = Detections::for_test(detections);
    let snapshot = snapshot(&white(), &detections, tracks, &RedactSettings::default()).unwrap();
    assert_eq!(snapshot.digest, hex::encode(Sha256::digest(snapshot.jpeg())));
    let picture = image::load_from_memory(snapshot.jpeg()).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (snapshot.width, snapshot.height));
    picture
}

fn assert_covered(picture: &RgbImage, bbox: &BBox) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    for (x, y, pixel) in picture.enumerate_pixels() {
        let (x, y) = ((x as f32 + 0.5) / width, (y as f32 + 0.5) / height);
        if (bbox.x..=bbox.x + bbox.w).contains(&x) && (bbox.y..=bbox.y + bbox.h).contains(&y) {
            assert!(pixel.0.iter().all(|&value| value < 110), "({x}, {y}) shows {pixel:?}");
        }
    }
}

#[test]
fn doubtful_persons_are_covered_whole() {
    let bbox = BBox { x: 0.4, y: 0.3, w: 0.05, h: 0.3 };
    let picture = shown(&[found(Class::Person, 0.11, bbox)], &[]);
    assert_covered(&picture, &bbox);
    assert!(picture.get_pixel(5, 5).0.iter().all(|&value| value > 240));
}

#[test]
fn hidden_tracks_are_covered_where_they_are_believed_to_be() {
    let bbox = BBox { x: 0.4, y: 0.3, w: 0.05, h: 0.3 };
    let mut tracker = Tracker::new(TrackerSettings::default());
    let at = |ms| Timestamp::from_millisecond(ms).unwrap();
    tracker.update(at(0), &[found(Class::Person, 0.9, bbox)]);
    tracker.update(at(200), &[found(Class::Person, 0.9, bbox)]);
    let tracks = tracker.update(at(400), &[]);
    assert!(!tracks[0].visible);
    assert_covered(&shown(&[], &tracks), &bbox);
}

#[test]
fn plate_band_is_covered_and_the_roof_is_not() {
    let car = BBox { x: 0.2, y: 0.4, w: 0.3, h: 0.4 };
    let picture = shown(&[found(Class::Car, 0.6, car)], &[]);
    assert_covered(&picture, &plate_band(&car));
    let roof = picture.get_pixel((0.35 * picture.width() as f32) as u32, (0.45 * picture.height() as f32) as u32);
    assert!(roof.0.iter().all(|&value| value > 240));
}

#[test]
fn heads_of_undetected_people_stay_below_the_limit() {
    let settings = RedactSettings::default();
    let head_px = |height: u32, person: f32| height as f32 * person / HEADS_PER_BODY;
    let nobody = snapshot(&white(), &Detections::for_test(&[]), &[], &settings).unwrap();
    assert!(head_px(nobody.height, settings.largest_person) <= settings.max_head_px as f32);
    let close_up = found(Class::Person, 0.9, BBox { x: 0.1, y: 0.05, w: 0.3, h: 0.9 });
    let near = snapshot(&white(), &Detections::for_test(&[close_up]), &[], &settings).unwrap();
    assert!(near.height < nobody.height && head_px(near.height, 0.9) <= settings.max_head_px as f32);
}

#[test]
fn no_picture_when_anything_is_wrong() {
    let broken = found(Class::Person, 0.9, BBox { x: f32::NAN, y: 0.0, w: 0.1, h: 0.1 });
    let settings = RedactSettings::default();
    let made = snapshot(&white(), &Detections::for_test(&[broken]), &[], &settings);
    assert!(matches!(made.err(), Some(RedactError::BoxNotFinite)));
    for wrong in [
        RedactSettings { largest_person: 0.0, ..settings },
        RedactSettings { largest_person: f32::NAN, ..settings },
        RedactSettings { jpeg_quality: 0, ..settings },
        RedactSettings { max_head_px: 1, ..settings },
    ] {
        assert!(snapshot(&white(), &Detections::for_test(&[]), &[], &wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn predictions_far_outside_the_frame_do_no_harm() {
    let settings = TrackerSettings { lost_after: Duration::from_secs(60), ..TrackerSettings::default() };
    let mut tracker = Tracker::new(settings);
    for frame in 0..10 {
        let x = 0.5 + 0.05 * frame as f32;
        let walker = found(Class::Person, 0.9, BBox { x, y: 0.3, w: 0.05, h: 0.3 });
        tracker.update(Timestamp::from_millisecond(frame * 200).unwrap(), &[walker]);
    }
    let tracks = tracker.update(Timestamp::from_second(50).unwrap(), &[]);
    shown(&[], &tracks);
}
