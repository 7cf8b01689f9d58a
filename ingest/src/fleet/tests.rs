use std::{path::Path, time::Duration};

use prometheus::Registry;
use tokio::time::{Instant, sleep};
use xueliang_events::payload::DeviceState;
use xueliang_settings::Document;

use super::{
    testing::{Bed, bed},
    *,
};

/// A camera at a port where nobody listens.
fn camera(id: &str, path: &str) -> Wanted {
    let text = format!("[[camera]]\nid = \"{id}\"\nurl = \"rtsp://127.0.0.1:1/{path}\"\n");
    let mut rows = Document::from_text("x.toml", text).rows("camera", CameraSettings::read).unwrap();
    rows.remove(0).read.unwrap().into()
}

fn refused(id: &str) -> Wanted {
    Wanted { id: id.parse().unwrap(), camera: Err("x.toml:3: camera[0].url: is missing".to_owned()), epoch: None }
}

fn sessions(fleet: &Fleet) -> BTreeMap<String, SessionId> {
    fleet.cameras().into_iter().map(|view| (view.id.to_string(), view.session)).collect()
}

async fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn n_series(registry: &Registry) -> usize {
    registry.gather().iter().map(|family| family.get_metric().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_touches_only_what_it_names() {
    let bed = bed();
    bed.fleet.want(Origin::Files, vec![camera("stays", "1"), camera("goes", "1"), camera("changes", "1")]);
    let before = sessions(&bed.fleet);
    let wanted = vec![camera("stays", "1"), camera("changes", "2"), camera("comes", "1")];
    let change = bed.fleet.want(Origin::Files, wanted);
    assert_eq!(change.started.len() + change.stopped.len() + change.restarted.len(), 3);
    change.settled().await;
    let after = sessions(&bed.fleet);
    assert_eq!(after.keys().collect::<Vec<_>>(), ["changes", "comes", "stays"]);
    assert_eq!(after["stays"], before["stays"]);
    assert_ne!(after["changes"], before["changes"]);
    bed.fleet.stop().await;
    drop(bed.fleet);
    bed.writer.join();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_camera_from_a_second_source_changes_nothing() {
    let Bed { fleet, .. } = &bed();
    fleet.want(Origin::Files, vec![camera("a", "1")]);
    let before = sessions(fleet);
    assert!(fleet.want(Origin::Api, vec![camera("a", "2")]).is_none(), "files come before the API");
    let change = fleet.want(Origin::Files, Vec::new());
    assert_eq!(change.restarted.len(), 1, "now the API is heard");
    assert_ne!(sessions(fleet), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_is_one_bad_camera_and_never_stops_a_running_one() {
    let Bed { fleet, .. } = &bed();
    fleet.want(Origin::Registry(0), vec![camera("good", "1"), refused("bad")]);
    let state_of = |id: &str| {
        let view = fleet.cameras().into_iter().find(|view| view.id.as_str() == id);
        view.and_then(|view| view.status).map(|status| status.state)
    };
    wait_for("a refusal", || state_of("bad") == Some(DeviceState::Refused)).await;
    wait_for("the good one's state", || state_of("good").is_some_and(|state| state != DeviceState::Refused)).await;
    let before = sessions(fleet);
    let change = fleet.want(Origin::Registry(0), vec![refused("good"), refused("bad")]);
    assert!(change.is_none());
    assert_eq!(sessions(fleet), before);
    let good = fleet.cameras().into_iter().find(|view| view.id.as_str() == "good").unwrap();
    assert!(good.refused.is_some() && good.settings.is_some());
    let change = fleet.want(Origin::Registry(0), vec![camera("good", "1"), camera("bad", "1")]);
    assert_eq!((change.restarted.len(), change.started.len()), (1, 0));
    wait_for("the cured one's state", || state_of("bad").is_some_and(|state| state != DeviceState::Refused)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_cameras_that_came_and_went_leave_nothing_behind() {
    const ROUNDS: usize = 10;
    let Bed { fleet, registry, .. } = &bed();
    fleet.want(Origin::Start, vec![camera("stays", "1")]);
    wait_for("the one that stays", || fleet.0.board.snapshot().len() == 1).await;
    let (mut before, session) = (0, sessions(fleet));
    for round in 0..=ROUNDS {
        let cameras = (0..100).map(|index| camera(&format!("c-{round}-{index}"), "1"));
        fleet.want(Origin::Api, cameras.collect());
        wait_for("all to say something", || fleet.0.board.snapshot().len() == 101).await;
        fleet.want(Origin::Api, Vec::new()).settled().await;
        wait_for("all to be forgotten", || fleet.0.state.lock().ending.is_empty()).await;
        if round == 0 {
            before = n_series(registry);
        }
    }
    assert_eq!(fleet.0.board.snapshot().len(), 1);
    assert_eq!(n_series(registry), before);
    assert_eq!(sessions(fleet), session, "the one that stays was left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_comes_back_at_once_waits_for_its_predecessor() {
    let Bed { fleet, folder, .. } = &bed();
    for round in 0..20 {
        fleet.want(Origin::Api, vec![camera("a", &round.to_string())]);
        if round % 3 == 0 {
            fleet.want(Origin::Api, Vec::new());
        }
    }
    wait_for("its state", || fleet.0.board.snapshot().len() == 1).await;
    fleet.want(Origin::Api, Vec::new()).settled().await;
    wait_for("all to be forgotten", || fleet.0.state.lock().ending.is_empty()).await;
    let log = crate::outbox::LogReader::open(&folder.path().join("outbox.db")).unwrap();
    wait_for("the last event", || n_sessions(&log).is_some()).await;
}

/// How many sessions of one camera are in the log; `None` when they are mixed or the last has not ended.
fn n_sessions(log: &crate::outbox::LogReader) -> Option<usize> {
    let events = log.read_after(0, 1000).unwrap();
    let mut seen: Vec<SessionId> = Vec::new();
    let mut last_state = None;
    for stored in events {
        let event = xueliang_events::Event::from_json(&stored.body).unwrap();
        let xueliang_events::Payload::DeviceStatus(status) = event.payload else { continue };
        last_state = Some(status.state);
        if seen.last() == Some(&event.session) {
            continue;
        }
        assert!(!seen.contains(&event.session), "two sessions of one camera are mixed");
        seen.push(event.session);
    }
    (last_state == Some(DeviceState::Stopped)).then_some(seen.len())
}

#[test]
fn a_place_in_a_file_makes_no_other_camera() {
    let (Ok(here), Ok(mut there)) = (camera("a", "1").camera, camera("a", "1").camera) else { unreachable!() };
    (there.file, there.line) = (Path::new("other.toml").to_owned(), 99);
    assert!(here.is_same(&there));
    there.analysis_fps = 1.0;
    assert!(!here.is_same(&there));
}
