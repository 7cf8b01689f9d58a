use std::path::Path;

use serde_json::json;
use xueliang_inference::{Class, Colour, DecodedFrame, Point, Polygon, PrivacyMasks, Tracker, TrackerSettings, mask};

use super::*;

/// Five pictures a second.
fn at(nth: i64) -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_000 + nth * 200).unwrap()
}

/// A textured street with dark figures.
fn picture(nth: i64, figures: &[BBox]) -> Frame {
    masked_picture(nth, figures, &PrivacyMasks::none())
}

fn masked_picture(nth: i64, figures: &[BBox], masks: &PrivacyMasks) -> Frame {
    let (width, height) = (384usize, 216usize);
    let mut bytes = vec![128u8; width * height * 3 / 2];
    for (index, luma) in bytes[..width * height].iter_mut().enumerate() {
        let (x, y) = ((index % width) as f32 / width as f32, (index / width) as f32 / height as f32);
        let is_figure = figures.iter().any(|b| (b.x..b.x + b.w).contains(&x) && (b.y..b.y + b.h).contains(&y));
        let street = 80.0 + 80.0 * x + 20.0 * y;
        *luma = if is_figure { 30.0 } else { street } as u8;
    }
    let size = (width as u32, height as u32);
    let decoded = DecodedFrame::from_i420(bytes, size, Colour::default(), at(nth)).unwrap();
    mask::paint(decoded, masks)
}

fn person(x: f32) -> BBox {
    BBox { x, y: 0.4, w: 0.06, h: 0.3 }
}

fn seen(bbox: BBox) -> Detection {
    Detection { class: Class::Person, confidence: 0.9, bbox }
}

/// A camera's attention and the tracker beside it.
struct Camera {
    attention: Attention,
    tracker: Tracker,
}

impl Camera {
    fn new() -> Self {
        Self::with(
            json!({ "id": "gate", "url": "rtsp://127.0.0.1/gate", "authorization": crate::authorization::testing::json() }),
        )
    }

    fn with(settings: serde_json::Value) -> Self {
        let settings =
            crate::settings::read_json_camera(settings.as_object().unwrap(), Path::new("."), &Default::default())
                .unwrap();
        Self { attention: Attention::new(&settings), tracker: Tracker::new(TrackerSettings::default()) }
    }

    /// Looks at all of each of these pictures, with these figures in them, all of which are found.
    fn look(&mut self, pictures: std::ops::Range<i64>, figures: &[BBox]) {
        let found: Vec<_> = figures.iter().copied().map(seen).collect();
        pictures.for_each(|nth| self.look_at(&picture(nth, figures), &found));
    }

    /// Looks at all of each of these pictures of the empty street.
    fn look_through(&mut self, masks: &PrivacyMasks, pictures: std::ops::Range<i64>) {
        pictures.for_each(|nth| self.look_at(&masked_picture(nth, &[], masks), &[]));
    }

    fn look_at(&mut self, picture: &Frame, found: &[Detection]) {
        let sight = self.attention.see(picture);
        let looked = Looked { found, part: None };
        let completed = self.attention.complete(&sight, looked);
        let tracks = self.tracker.update(picture.captured_at(), &completed);
        self.attention.follow(&sight, &tracks, looked);
    }
}

#[test]
fn who_has_become_background_stays_although_the_detector_blinks_and_not_for_ever() {
    let mut camera = Camera::new();
    camera.look(0..100, &[person(0.5)]);
    let sight = camera.attention.see(&picture(100, &[person(0.5)]));
    let blink = Looked { found: &[], part: None };
    for n_missed in 0..GONE_AFTER {
        assert_eq!(camera.attention.region(&sight).is_some(), n_missed > MISSES, "is looked for after {n_missed}");
        assert_eq!(camera.attention.complete(&sight, blink).len(), 1);
    }
    assert!(camera.attention.complete(&sight, blink).is_empty());
}

#[test]
fn who_stands_for_half_an_hour_stays_counted_although_the_detector_finds_them_every_other_time() {
    let mut camera = Camera::new();
    camera.look(0..100, &[person(0.5)]);
    let (mut seed, mut n_opened) = (7u32, 0);
    let mut blinks = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 31 == 1
    };
    let handle = camera.attention.visible[0].handle;
    for nth in (100..9100).step_by(10) {
        let figures = [person(0.5)];
        let found = |blinks: bool| if blinks { Vec::new() } else { vec![seen(figures[0])] };
        let sight = camera.attention.see(&picture(nth, &figures));
        let checked = found(blinks());
        let tracks = match camera.attention.check(&sight, Looked { found: &checked, part: None }) {
            Checked::AsBefore(there) => {
                let tracks = camera.tracker.update(at(nth), &there);
                camera.attention.confirm(&tracks);
                tracks
            }
            Checked::New => {
                n_opened += 1;
                for nth in nth..nth + 5 {
                    let found = found(blinks());
                    let sight = camera.attention.see(&picture(nth, &figures));
                    let looked = Looked { found: &found, part: None };
                    let completed = camera.attention.complete(&sight, looked);
                    let tracks = camera.tracker.update(at(nth), &completed);
                    camera.attention.follow(&sight, &tracks, looked);
                }
                camera.tracker.update(at(nth + 5), &camera.attention.standing())
            }
        };
        assert!(tracks.iter().any(|track| track.handle == handle), "lost after {} s", nth / 5);
    }
    assert!(n_opened < 200, "the gate opened {n_opened} times");
}

#[test]
fn who_walks_by_hardly_seen_is_no_background() {
    let mut camera = Camera::new();
    camera.look(0..100, &[]);
    let mut found = Vec::new();
    for step in 0..10 {
        let unseen = picture(100 + step, &[]);
        found = vec![seen(person(0.3 + 0.01 * step as f32))];
        let sight = camera.attention.see(&unseen);
        let looked = Looked { found: &found, part: None };
        let completed = camera.attention.complete(&sight, looked);
        let tracks = camera.tracker.update(at(100 + step), &completed);
        camera.attention.follow(&sight, &tracks, looked);
    }
    assert_eq!(found.len(), 1);
    let sight = camera.attention.see(&picture(110, &[]));
    assert!(sight.change.is_empty());
    assert!(camera.attention.unchanged(&sight, Purpose::Live).is_none(), "only a detector can tell where they are");
}

#[test]
fn who_went_without_having_become_background_is_not_carried_on() {
    let mut camera = Camera::new();
    camera.look(0..50, &[]);
    camera.look(50..55, &[person(0.5)]);
    let sight = camera.attention.see(&picture(55, &[]));
    assert!(sight.change.is_empty(), "the street is as it was before");
    assert!(camera.attention.unchanged(&sight, Purpose::Live).is_none(), "but somebody must look who went");
    assert!(camera.attention.complete(&sight, Looked { found: &[], part: None }).is_empty());
    assert!(matches!(camera.attention.check(&sight, Looked { found: &[], part: None }), Checked::New));
}

#[test]
fn an_unchanged_picture_needs_no_look_and_shows_who_stands_there() {
    let mut camera = Camera::new();
    camera.look(0..100, &[person(0.5)]);
    let sight = camera.attention.see(&picture(101, &[person(0.5)]));
    let still_there = camera.attention.unchanged(&sight, Purpose::Live).unwrap();
    assert_eq!(still_there.len(), 1);
    assert!(still_there[0].bbox.iou(&person(0.5)) > 0.8);
}

#[test]
fn everything_is_looked_at_until_the_street_is_known() {
    let mut camera = Camera::new();
    camera.look(0..5, &[]);
    let sight = camera.attention.see(&picture(6, &[person(0.2)]));
    assert!(camera.attention.region(&sight).is_none());
}

#[test]
fn what_moves_outside_zones_or_beneath_a_mask_needs_no_look() {
    let left = json!([[0.0, 0.3], [0.3, 0.3], [0.3, 0.9], [0.0, 0.9]]);
    let zone = json!([{ "id": "lawn", "points": left, "classes": ["person"] }]);
    let mut zoned = Camera::with(
        json!({ "id": "gate", "url": "rtsp://127.0.0.1/gate", "zone": zone, "authorization": crate::authorization::testing::json() }),
    );
    zoned.look(0..100, &[]);
    let corners = [(0.55, 0.2), (1.0, 0.2), (1.0, 0.9), (0.55, 0.9)];
    let right = Polygon::new(corners.map(|(x, y)| Point { x, y }).to_vec()).unwrap();
    let masks = PrivacyMasks::new(vec![right]);
    let mut masked = Camera::new();
    masked.look_through(&masks, 0..100);
    for nth in 100..190 {
        let walker = [person(0.6 + 0.3 * ((nth % 20) as f32 / 20.0))];
        let sight = zoned.attention.see(&picture(nth, &walker));
        assert!(zoned.attention.unchanged(&sight, Purpose::Check).is_some(), "outside the zone, {nth}");
        let sight = masked.attention.see(&masked_picture(nth, &walker, &masks));
        assert!(masked.attention.unchanged(&sight, Purpose::Check).is_some(), "beneath the mask, {nth}");
    }
    let inside = [person(0.1)];
    let sight = zoned.attention.see(&picture(190, &inside));
    assert!(zoned.attention.unchanged(&sight, Purpose::Check).is_none());
    let sight = masked.attention.see(&masked_picture(190, &inside, &masks));
    assert!(masked.attention.unchanged(&sight, Purpose::Check).is_none());
}

#[test]
fn the_region_holds_what_changed_and_whoever_it_touches() {
    let mut camera = Camera::new();
    camera.look(0..100, &[person(0.5)]);
    let walker = person(0.45);
    let sight = camera.attention.see(&picture(101, &[person(0.5), walker]));
    let region = camera.attention.region(&sight).unwrap();
    assert!(region.holds(&person(0.5)), "who stands beside the walker is not cut: {region:?}");
    assert!(region.w < 0.3 && region.h < 0.6, "{region:?}");
}

#[test]
fn who_stands_outside_the_part_that_was_looked_at_is_still_there() {
    let mut camera = Camera::new();
    camera.look(0..100, &[person(0.8)]);
    let sight = camera.attention.see(&picture(101, &[person(0.8), person(0.1)]));
    let part = BBox { x: 0.0, y: 0.3, w: 0.4, h: 0.6 };
    let found = [seen(person(0.1))];
    let completed = camera.attention.complete(&sight, Looked { found: &found, part: Some(&part) });
    assert_eq!(completed.len(), 2);
}
