use std::{path::Path, time::Duration};

use prometheus::Registry;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use xueliang_events::payload::{DeviceState, Suspension};
use xueliang_settings::Document;

use super::{
    testing::{Bed, TODAY, bed},
    *,
};
use crate::authorization::testing::TOML;

/// A camera at a port where nobody listens.
fn camera(id: &str, path: &str) -> Wanted {
    let text = format!("[[camera]]\nid = \"{id}\"\nurl = \"rtsp://127.0.0.1:1/{path}\"\n{TOML}");
    read(&text)
}

fn read(text: &str) -> Wanted {
    let mut rows = Document::from_text("x.toml", text)
        .rows("camera", |camera| CameraSettings::read(camera, &Default::default()))
        .unwrap();
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

/// A camera at this address whose sign's proof is valid until a day.
fn signed(address: &str, valid_until: &str) -> Wanted {
    let authorization =
        TOML.replace("signage_valid_until = \"2999-12-31\"", &format!("signage_valid_until = {valid_until:?}"));
    read(&format!("[[camera]]\nid = \"a\"\nurl = \"rtsp://{address}/1\"\n{authorization}"))
}

/// State and reason of the only camera.
fn standing(fleet: &Fleet) -> Option<(DeviceState, Option<Suspension>)> {
    fleet.cameras().first()?.status.as_ref().map(|status| (status.state, status.suspended))
}

async fn is_pulled(listener: &TcpListener) -> Option<TcpStream> {
    timeout(Duration::from_secs(5), listener.accept()).await.ok().map(|accepted| accepted.unwrap().0)
}

#[tokio::test(flavor = "multi_thread")]
async fn p03_an_expired_sign_stops_the_stream_and_a_new_one_starts_it() {
    let Bed { fleet, folder, .. } = &bed();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    fleet.want(Origin::Files, vec![signed(&address, "2026-11-27")]);
    let mut pulled = is_pulled(&listener).await.expect("the last day counts");
    let before = sessions(fleet);
    assert!(fleet.day_is(TODAY).is_none());
    assert!(fleet.want(Origin::Files, vec![refused("a")]).is_none(), "a row with mistakes changes nothing");
    assert_eq!(sessions(fleet), before);

    let tomorrow = TODAY.tomorrow().unwrap();
    let change = fleet.day_is(tomorrow);
    assert_eq!(change.restarted.len(), 1);
    change.settled().await;
    let mut request = Vec::new();
    timeout(Duration::from_secs(5), pulled.read_to_end(&mut request)).await.expect("the stream ends").unwrap();
    let lapsed = Some((DeviceState::Stopped, Some(Suspension::SignageLapsed)));
    wait_for("its reason", || standing(fleet) == lapsed).await;
    assert!(fleet.cameras()[0].refused.is_some());
    assert!(timeout(Duration::from_millis(300), listener.accept()).await.is_err(), "it is not pulled any more");
    let log = crate::outbox::LogReader::open(&folder.path().join("outbox.db")).unwrap();
    let told = || log.read_after(0, 1000).unwrap().iter().any(|stored| is_told(&stored.body));
    wait_for("the event", told).await;

    fleet.want(Origin::Files, vec![signed(&address, "2027-11-27")]);
    let _pulled = is_pulled(&listener).await.expect("renewed");
    let renewed = sessions(fleet);
    assert!(fleet.want(Origin::Files, vec![signed(&address, "2028-11-27")]).is_none(), "renewed while it runs");
    assert_eq!(sessions(fleet), renewed);
    let until = jiff::civil::date(2028, 11, 27);
    assert_eq!(fleet.cameras()[0].standing, Some(authorization::State::Active { last_day: until }));
}

fn is_told(body: &[u8]) -> bool {
    match xueliang_events::Event::from_json(body).unwrap().payload {
        xueliang_events::Payload::DeviceStatus(status) => {
            status.state == DeviceState::Stopped
                && status.suspended == Some(Suspension::SignageLapsed)
                && status.cause.is_some_and(|cause| cause.contains("signage_valid_until"))
        }
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p02_a_running_camera_whose_place_turns_out_prohibited_stops_at_once() {
    let Bed { fleet, .. } = &bed();
    let at = |place: &str| {
        let authorization = TOML.replace("\"simulated\"", &format!("{place:?}"));
        read(&format!("[[camera]]\nid = \"a\"\nurl = \"rtsp://127.0.0.1:1/1\"\n{authorization}"))
    };
    fleet.want(Origin::Api, vec![at("park")]);
    assert_eq!(fleet.want(Origin::Api, vec![at("changing_room")]).restarted.len(), 1);
    let prohibited = Some((DeviceState::Stopped, Some(Suspension::ProhibitedPlace)));
    wait_for("its reason", || standing(fleet) == prohibited).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p05_an_unfiled_camera_stops_on_day_31_and_starts_when_it_is_filed() {
    let Bed { fleet, .. } = &bed();
    let unfiled = format!("{} }}\n", TOML.split(", filing").next().unwrap())
        .replace("first_used_on = \"2026-11-01\"", "first_used_on = \"2026-10-28\"");
    let text = |authorization: &str| format!("[[camera]]\nid = \"a\"\nurl = \"rtsp://127.0.0.1:1/1\"\n{authorization}");
    fleet.want(Origin::Files, vec![read(&text(&unfiled))]);
    let is_active = || matches!(fleet.cameras()[0].standing, Some(authorization::State::Active { .. }));
    assert!(is_active(), "day 30");
    assert_eq!(fleet.day_is(TODAY.tomorrow().unwrap()).restarted.len(), 1);
    assert!(!is_active(), "day 31");
    assert_eq!(fleet.want(Origin::Files, vec![read(&text(TOML))]).restarted.len(), 1);
    assert!(is_active());
}
