use std::path::Path;

use serde_json::json;
use xueliang_inference::{BBox, Class, Colour, DecodedFrame, PrivacyMasks, mask};

use super::*;
use crate::attention;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_000 + ms).unwrap()
}

fn person(x: f32) -> Detection {
    Detection { class: Class::Person, confidence: 0.9, bbox: BBox { x, y: 0.4, w: 0.06, h: 0.3 } }
}

/// A camera's analysis that looked at somebody every 200 ms until `ms`, and carried time on to a second later.
fn carried_on(ms: i64) -> Analysis {
    let everywhere = json!([[0, 0], [1, 0], [1, 1], [0, 1]]);
    let zone = json!([{ "id": "lawn", "points": everywhere, "classes": ["person"] }]);
    let settings = json!({ "id": "gate", "url": "rtsp://127.0.0.1/gate", "zone": zone, "authorization": crate::authorization::testing::json() });
    let camera =
        crate::settings::read_json_camera(settings.as_object().unwrap(), Path::new("."), &Default::default()).unwrap();
    let mut analysis = Analysis::new(&camera, 16.0 / 9.0).unwrap();
    for ms in (0..=ms).step_by(200) {
        let tracks = analysis.tracker.update(at(ms), &[person(0.3)]);
        analysis.scene.observe(at(ms), &tracks);
        (analysis.looked_at, analysis.reached) = (Some(at(ms)), Some(at(ms)));
    }
    assert!(!analysis.scene.is_settled(), "somebody is on the way in");
    [ms + 500, ms + 1000].into_iter().for_each(|ms| drop(analysis.carry(at(ms))));
    analysis
}

/// A picture of an empty street.
fn street(ms: i64) -> Frame {
    let (width, height) = (384usize, 216usize);
    let mut bytes = vec![128u8; width * height * 3 / 2];
    bytes[..width * height].iter_mut().enumerate().for_each(|(index, luma)| *luma = 80 + (index % width / 4) as u8);
    let decoded = DecodedFrame::from_i420(bytes, (width as u32, height as u32), Colour::default(), at(ms)).unwrap();
    mask::paint(decoded, &PrivacyMasks::none())
}

#[test]
fn a_dwell_that_is_due_while_nothing_changed_needs_no_look_where_a_picture_of_late_shows_it() {
    let everywhere = json!([[0, 0], [1, 0], [1, 1], [0, 1]]);
    let zone = json!([{ "id": "lawn", "points": everywhere, "classes": ["person"], "dwell_every": "5s" }]);
    let settings = json!({ "id": "gate", "url": "rtsp://127.0.0.1/gate", "zone": zone, "authorization": crate::authorization::testing::json() });
    let camera =
        crate::settings::read_json_camera(settings.as_object().unwrap(), Path::new("."), &Default::default()).unwrap();
    let mut analysis = Analysis::new(&camera, 16.0 / 9.0).unwrap();
    for ms in (0..8000).step_by(200) {
        let sight = analysis.attention.see(&street(ms));
        let found = [person(0.3)];
        let tracks = analysis.tracker.update(at(ms), &found);
        analysis.scene.observe(at(ms), &tracks);
        let looked = attention::Looked { found: &found, part: None };
        analysis.attention.complete(&sight, looked);
        analysis.attention.follow(&sight, &tracks, looked);
        analysis.advance(at(ms));
    }
    assert!(
        analysis.scene.is_dwell_due(at(12_000)) && analysis.glance(&street(12_000)).is_none(),
        "no picture shows it"
    );
    let snapshot = SnapshotRef { sha256: "0".repeat(64).try_into().unwrap(), width: 640, height: 360 };
    analysis.pictured = Some((at(7000), snapshot.clone()));
    let seen = analysis.glance(&street(12_200)).expect("settled without a look");
    let shown = seen.facts.iter().find_map(|fact| match &fact.payload {
        Payload::ZoneDwelled(dwelled) => Some(dwelled.snapshot.clone()),
        _ => None,
    });
    assert_eq!(shown, Some(Some(snapshot)));
    assert!(analysis.glance(&street(27_000)).is_none(), "the picture is too old");
}

#[test]
fn what_was_kept_meanwhile_is_analysed_although_time_was_carried_on() {
    let mut analysis = carried_on(400);
    assert_eq!(analysis.reached, Some(at(1400)));
    assert!(analysis.begin(at(600), Purpose::CatchUp).is_some(), "a picture between the last look and now");
    assert_eq!(analysis.reached, Some(at(600)));
    assert!(analysis.begin(at(500), Purpose::CatchUp).is_none(), "but none twice");
    assert_eq!(analysis.tracker.tracks().len(), 1);
}

#[test]
fn pictures_of_now_go_on_from_the_time_that_was_carried_to() {
    let mut analysis = carried_on(400);
    assert!(analysis.begin(at(600), Purpose::Live).is_none());
    assert!(analysis.begin(at(1600), Purpose::Live).is_some());
    assert!(analysis.begin(at(800), Purpose::CatchUp).is_none(), "what is of before was told as it seemed then");
}
