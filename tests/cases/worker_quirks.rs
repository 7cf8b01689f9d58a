//! Cameras with quirks at a whole worker: what their status says, and what its gate and its detector make of their pictures.

use serde_json::Value;
use xueliang_tests::client::Client;
use xueliang_tests::faults::{PASSWORD, Quirk, Reel, ScriptedCamera, USER};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Codec, Footage, Login, SimCam};
use xueliang_tests::{parts, wait};

use crate::session_quirks::camera;
use crate::store;
use crate::streams::{ONCE_AROUND, Stage, of_camera, street, wait_for_state};

/// The library that pulls keeps the answer to itself, so the status can't quote it; see the quirks.
#[test]
fn a_session_that_the_camera_ends_behind_an_open_socket_is_told_and_begun_again() {
    let cameras = [
        ("unauthorized", camera(Quirk::UnauthorizedLeftOpen)),
        ("not-found", camera(Quirk::SessionNotFoundLeftOpen)),
        ("new-account", camera(Quirk::AccountChanges)),
        ("plays-on", camera(Quirk::RefusesKeepalive)),
    ];
    let stage = Stage::new();
    let login = Login { user: USER.to_owned(), password: PASSWORD.to_owned() };
    stage.deployment.write_password("password", &login).unwrap();
    let account = format!("credentials = {{ username = \"{USER}\", password_file = \"../password\" }}");
    cameras.iter().for_each(|(id, camera)| stage.add(id, &camera.url(), &account, None));
    let (process, client) = stage.up();

    for id in ["unauthorized", "not-found"] {
        wait::until(&format!("{id} to come back"), ONCE_AROUND, || {
            let told = told(&stage, id);
            let states: Vec<&str> = told.iter().map(|(state, _)| state.as_str()).collect();
            let fell = states.iter().position(|state| *state == "stalled");
            let is_back = fell.is_some_and(|at| states[..at].contains(&"live") && states[at..].contains(&"live"));
            anyhow::ensure!(is_back, "{told:?}");
            assert!(told.iter().any(|(_, cause)| cause.contains("perhaps because the camera ended the session")));
            assert!(!states.contains(&"auth_failed"), "the account is right, but {id} was {told:?}");
            Ok(Some(()))
        })
        .unwrap();
    }
    wait_for_state(&client, "new-account", "auth_failed", "refused the account");
    wait_for_state(&client, "plays-on", "live", "");
    assert!(cameras[3].1.n_keepalives() >= 3, "{} keepalives", cameras[3].1.n_keepalives());
    assert_eq!(of_camera(&client, "xueliang_reconnects_total", "plays-on"), 0.0);
    end(&stage, process);
}

/// Each state of a camera with its cause, in their order.
fn told(stage: &Stage, camera: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut events = store::events(&stage.data_dir(), camera);
    events.retain(|event| event["type"] == "xueliang.device.status.v1");
    events.sort_by_key(|event| event["sequence"].as_u64());
    let mut told: Vec<_> =
        events.iter().map(|event| (text(&event["data"]["state"]), text(&event["data"]["cause"]))).collect();
    told.dedup();
    told
}

#[test]
fn a_large_sub_stream_whose_description_lacks_its_size_is_all_that_is_pulled_from_its_first_keyframe_on() {
    let stage = Stage::new();
    let mains = SimCam::start(0, None, ["/adaptive", "/always", "/small"].map(street).into()).unwrap();
    let file = parts::path("footage/vtest_h264.mp4").unwrap();
    let small = Footage::read(&parts::small(&file, stage.folder.path()).unwrap(), Codec::H264).unwrap();
    let small = Reel::of(&small).unwrap();
    let large = camera(Quirk::NoParameterSets);
    let small = ScriptedCamera::start(Quirk::NoParameterSets, &small, &small).unwrap();
    stage.add("adaptive", &mains.url("/adaptive"), "gate = \"adaptive\"", Some((&large.url(), "auto")));
    stage.add("always", &mains.url("/always"), "gate = \"always\"", Some((&large.url(), "auto")));
    stage.add("small", &mains.url("/small"), "gate = \"adaptive\"", Some((&small.url(), "auto")));
    let (process, client) = stage.up();

    let are_left = || {
        let plays = mains.plays();
        let is_left = |path: &str| {
            let mut of_it = plays.iter().filter(|play| play.path == path).peekable();
            of_it.peek().is_some() && of_it.all(|play| play.ended.is_some())
        };
        ["/adaptive", "/always"].into_iter().all(is_left)
    };
    wait::until("the main streams to be left", ONCE_AROUND, || Ok(are_left().then_some(()))).unwrap();
    for camera in ["adaptive", "always"] {
        wait_for_growth(&client, camera, 25.0, 5.0);
        wait_for_state(&client, camera, "live", "");
        assert_eq!(of_camera(&client, "xueliang_reconnects_total", camera), 0.0);
    }
    stage.wait_for_evidence("small", &["sub_keyframes", "sub_sizes"]);
    assert!(are_left(), "a main stream is pulled again");
    let of_small: Vec<_> = mains.plays().into_iter().filter(|play| play.path == "/small").collect();
    assert!(of_small.len() == 1 && of_small[0].ended.is_none(), "{of_small:?}");
    end(&stage, process);
}

#[test]
fn an_adaptive_gate_analyses_streams_that_are_split_anywhere_come_too_fast_or_switch_their_resolution() {
    let quirks = [
        ("split", Quirk::SplitAnywhere, "live", ""),
        ("fast", Quirk::HundredfoldSpeed, "degraded", "held back"),
        ("switches", Quirk::ResolutionSwitches, "live", ""),
    ];
    let cameras = quirks.map(|(id, quirk, ..)| (id, camera(quirk)));
    let stage = Stage::new();
    cameras.iter().for_each(|(id, camera)| stage.add(id, &camera.url(), "gate = \"adaptive\"", None));
    let (process, client) = stage.up();

    for (id, ..) in quirks {
        // The resolution switches after two seconds, at ten pictures a second.
        wait::until(&format!("{id} to be pulled"), ONCE_AROUND, || {
            Ok((of_camera(&client, "xueliang_access_units_total", id) > 40.0).then_some(()))
        })
        .unwrap();
        wait_for_growth(&client, id, 10.0, 2.0);
    }
    for (id, _, state, cause) in quirks {
        wait_for_state(&client, id, state, cause);
        assert_eq!(of_camera(&client, "xueliang_reconnects_total", id), 0.0, "{id}");
    }
    end(&stage, process);
}

/// Waits until so many more pictures of a camera are decoded, and so many more looked at, than now.
fn wait_for_growth(client: &Client, camera: &str, n_decoded: f64, n_analysed: f64) {
    let metrics = ["xueliang_frames_decoded_total", "xueliang_inferences_total"];
    let before = metrics.map(|metric| of_camera(client, metric, camera));
    wait::until(&format!("pictures of {camera} to be analysed"), ONCE_AROUND, || {
        let now = metrics.map(|metric| of_camera(client, metric, camera));
        let [decoded, analysed] = [now[0] - before[0], now[1] - before[1]];
        anyhow::ensure!(decoded >= n_decoded && analysed >= n_analysed, "{decoded} decoded, {analysed} analysed");
        Ok(Some(()))
    })
    .unwrap();
}

fn end(stage: &Stage, process: Process) {
    assert!(!process.log().unwrap().contains("panicked"), "{}", process.log().unwrap());
    stage.end(process);
}
