//! What is pulled and decoded of a camera: sub-streams, the adaptive gate, and what happens when there is more than a box can do.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::faults::{Crowd, Fault, FaultyCamera, Quirk, Reel, Relay, ScriptedCamera};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Footage, Login, SimCam};
use xueliang_tests::{Kind, parts, wait};

use crate::{leaks, store};

const QUICKLY: Duration = Duration::from_secs(30);
/// The footage is thirty seconds long; this sees all of it, also on a busy machine.
pub const ONCE_AROUND: Duration = Duration::from_secs(60);

const SETTINGS: &str = "[ingest]\n\
    data_dir = \"state/ingest\"\n\
    cameras = \"cameras\"\n\
    detectors = 1\n\
    @MODEL@\n\
    [alerting]\n\
    listen = \"@LISTEN@\"\n\
    data_dir = \"state/alerting\"\n\
    region = \"3402\"\n\
    [[rule]]\n\
    id = \"dark\"\n\
    version = 1\n\
    category = \"camera_tampered\"\n\
    kind = \"picture\"\n\
    faults = [\"black\"]\n\
    for = \"5s\"\n\
    enabled = true\n\
    owner = \"o\"\n\
    legal_basis = \"l\"\n\
    department = \"d\"\n\
    assessment = \"a\"\n\
    deadline = \"1d\"\n";
/// Zones, lines and masks of the street.
const STREET: &str = include_str!("../../bench/data/street.toml");

/// Some cameras on one box.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub deployment: Deployment,
}

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let deployment = Deployment::new(folder.path()).unwrap();
        Self { folder, deployment }
    }

    /// A camera on the street; `sub` is the URL of its sub-stream and what it is for.
    pub fn add(&self, id: &str, url: &str, more: &str, sub: Option<(&str, &str)>) {
        let sub = sub.map(|(url, used_for)| format!("[camera.sub]\nurl = \"{url}\"\nuse = \"{used_for}\"\n"));
        let sub = sub.unwrap_or_default();
        let text = format!("[[camera]]\nid = \"{id}\"\nurl = \"{url}\"\n@AUTHORIZATION@\n{more}\n{STREET}\n{sub}");
        self.deployment.write(&format!("cameras/{id}.toml"), &text, &[]).unwrap();
    }

    pub fn up(&self) -> (Process, Client) {
        let port = free_port().unwrap();
        let listen = format!("127.0.0.1:{port}");
        self.deployment.write("xueliang.toml", SETTINGS, &[("LISTEN", listen.as_str())]).unwrap();
        let mut process = self.deployment.start("up", "xueliang.toml", "up").unwrap();
        let client = self.deployment.sign_in(&mut process, port, "operator").unwrap();
        (process, client)
    }

    pub fn end(&self, mut process: Process) {
        process.terminate(Duration::from_secs(20)).unwrap();
        store::check_sequences(&self.data_dir());
        leaks::check_log(&self.folder.path().join("up.log"));
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("state/alerting")
    }

    /// What people did in zones and at lines, each kind once.
    fn kinds(&self, camera: &str) -> BTreeSet<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events =
            store::events(&self.data_dir(), camera).into_iter().filter(|event| event["data"]["class"] == "person");
        events
            .map(|event| {
                let data = &event["data"];
                format!("{} {}{}", text(&event["type"]), text(&data["zone"]), text(&data["line"]))
            })
            .collect()
    }

    /// Waits until a status event says that the gate goes by one of these.
    pub fn wait_for_evidence(&self, camera: &str, any_of: &[&str]) {
        wait::until(&format!("{camera}'s gate to go by {any_of:?}"), ONCE_AROUND, || {
            let events = store::events(&self.data_dir(), camera);
            let said: Vec<&Value> = events.iter().map(|event| &event["data"]["gate"]).collect();
            let is_said = any_of.iter().any(|evidence| said.iter().any(|said| *said == evidence));
            anyhow::ensure!(is_said, "{said:?}");
            Ok(Some(()))
        })
        .unwrap();
    }
}

pub fn wait_for_state(client: &Client, camera: &str, state: &str, cause: &str) {
    wait::until(&format!("{camera} to be {state}"), QUICKLY, || {
        let device = client.devices()?.get(camera).cloned().unwrap_or_default();
        let says = device["state"] == state && device["cause"].as_str().unwrap_or_default().contains(cause);
        anyhow::ensure!(says, "{device}");
        Ok(Some(()))
    })
    .unwrap();
}

pub fn of_camera(client: &Client, metric: &str, camera: &str) -> f64 {
    client.metric(metric, &format!("camera=\"{camera}\"")).unwrap()
}

fn decided(client: &Client, camera: &str, decision: &str) -> f64 {
    let labels = format!("camera=\"{camera}\",decision=\"{decision}\"");
    client.metric("xueliang_gate_decisions_total", &labels).unwrap()
}

fn wait_for_people(client: &Client, camera: &str) {
    let labels = format!("camera=\"{camera}\",class=\"person\"");
    wait::until(&format!("people at {camera}"), QUICKLY, || {
        Ok((client.metric("xueliang_detections_total", &labels)? > 0.0).then_some(()))
    })
    .unwrap();
}

pub fn street(path: &str) -> Camera {
    Camera { path: path.to_owned(), footage: parts::street(Codec::H264).unwrap(), offset: Duration::ZERO }
}

#[test]
fn a_large_sub_stream_is_all_that_is_pulled_and_a_failing_one_leaves_the_main_stream() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    nobody.set_nonblocking(true).unwrap();
    let mains = SimCam::start(0, None, ["/wrong", "/gated", "/alone"].map(street).into()).unwrap();
    let subs = start_subs(0);
    let stage = Stage::new();
    let unused = format!("rtsp://{}/main", nobody.local_addr().unwrap());
    stage.add("large", &unused, "", Some((&subs.url("/large"), "auto")));
    stage.add("wrong", &mains.url("/wrong"), "", Some((&subs.url("/nowhere"), "auto")));
    stage.add("gated", &mains.url("/gated"), "", Some((&subs.url("/gated"), "gate")));
    stage.add("alone", &mains.url("/alone"), "", Some((&subs.url("/alone"), "detect")));
    let (process, client) = stage.up();

    ["large", "wrong", "gated", "alone"].iter().for_each(|camera| wait_for_people(&client, camera));
    wait_for_state(&client, "large", "live", "");
    wait_for_state(&client, "wrong", "degraded", "the sub-stream is not used");
    wait_for_state(&client, "gated", "live", "");
    stage.wait_for_evidence("gated", &["sub_keyframes", "sub_sizes"]);
    assert!(nobody.accept().is_err(), "a main stream that nothing needs is not even connected to");
    sub_streams_go_and_come_back(&client, mains, subs);
    stage.end(process);
}

/// Meanwhile the main streams are decoded without a break; in the end the camera that needs only its sub-stream has only that.
fn sub_streams_go_and_come_back(client: &Client, mains: SimCam, subs: SimCam) {
    let reconnects = |camera| of_camera(client, "xueliang_reconnects_total", camera);
    let port = subs.port();
    drop(subs);
    for camera in ["gated", "alone"] {
        wait_for_state(client, camera, "degraded", "the sub-stream is not used");
    }
    let of_alone = reconnects("alone");
    let _subs = start_subs(port);
    ["gated", "alone"].iter().for_each(|camera| wait_for_state(client, camera, "live", ""));
    assert_eq!(["wrong", "gated"].map(reconnects), [0.0, 0.0]);

    drop(mains);
    wait_for_state(client, "wrong", "unreachable", "");
    let n_decoded = || of_camera(client, "xueliang_frames_decoded_total", "alone");
    let before = n_decoded();
    wait::until("its sub-stream to be decoded", QUICKLY, || Ok((n_decoded() > before + 25.0).then_some(()))).unwrap();
    assert_eq!(reconnects("alone"), of_alone);
}

fn start_subs(port: u16) -> SimCam {
    SimCam::start(port, None, ["/large", "/gated", "/alone"].map(street).into()).unwrap()
}

/// One street as four cameras have it: all decoded, gated, gated by a small sub-stream, and by one of noise.
#[test]
fn an_adaptive_gate_closes_on_a_quiet_street_and_finds_the_same_as_decoding_all() {
    let stage = Stage::new();
    let file = parts::made(Kind::Quiet).unwrap();
    let (large, small) = (&file, &parts::small(&file, stage.folder.path()).unwrap());
    let cameras = [("/always", large), ("/gated", large), ("/main", large), ("/sub", small), ("/noise", large)].map(
        |(path, file)| {
            let footage = Footage::read(file, Codec::H264).unwrap();
            Camera { path: path.to_owned(), footage, offset: Duration::ZERO }
        },
    );
    let street = SimCam::start(0, None, cameras.into()).unwrap();
    stage.add("always", &street.url("/always"), "gate = \"always\"", None);
    stage.add("gated", &street.url("/gated"), "gate = \"adaptive\"", None);
    let noise = FaultyCamera::start(Fault::GarbageNals).unwrap();
    stage.add("noise", &street.url("/noise"), "gate = \"adaptive\"", Some((&noise.url(), "gate")));
    stage.add("by-sub", &street.url("/main"), "gate = \"adaptive\"", Some((&street.url("/sub"), "auto")));
    let (process, client) = stage.up();

    for camera in ["gated", "by-sub"] {
        wait_until_closed(&client, camera);
    }
    wait::until("only the camera that is always decoded to own a decoder", ONCE_AROUND, || {
        Ok((client.metric("xueliang_stream_decoders", "")? == 1.0).then_some(()))
    })
    .unwrap();
    stage.wait_for_evidence("gated", &["keyframes", "sizes"]);
    stage.wait_for_evidence("by-sub", &["sub_keyframes", "sub_sizes"]);
    wait_for_state(&client, "noise", "degraded", "none could be decoded");
    wait::until("the walker to be found by all", ONCE_AROUND * 2, || {
        let [always, others @ ..] = ["always", "gated", "by-sub", "noise"].map(|camera| stage.kinds(camera));
        let is_whole = always.iter().any(|kind| kind.contains("exited"));
        anyhow::ensure!(is_whole && others.iter().all(|found| *found == always), "{always:#?}\n{others:#?}");
        println!("{always:#?}");
        Ok(Some(()))
    })
    .unwrap();

    for camera in ["gated", "by-sub"] {
        for decision in ["keep", "check", "stream", "catch_up"] {
            let n_units = decided(&client, camera, decision);
            println!("{camera}: {decision} {n_units}");
            assert!(n_units > 0.0, "{camera} never had {decision}");
        }
    }
    let [always, gated] = ["always", "gated"].map(|camera| of_camera(&client, "xueliang_frames_decoded_total", camera));
    println!("decoded {always} and {gated}");
    assert!(gated < 0.7 * always, "the gate decoded {gated} of {always} pictures");
    stage.end(process);
}

/// For a second's worth of access units, nothing is decoded in sequence.
fn wait_until_closed(client: &Client, camera: &str) {
    let mut since = (f64::MAX, 0.0);
    wait::until(&format!("{camera}'s gate to close"), QUICKLY, || {
        let (stream, keep) = (decided(client, camera, "stream"), decided(client, camera, "keep"));
        if stream != since.0 {
            since = (stream, keep);
        }
        Ok((keep - since.1 >= 25.0).then_some(()))
    })
    .unwrap();
}

/// Eight cameras want two hundred pictures a second from one detector.
#[test]
fn too_many_cameras_are_all_analysed_more_slowly_and_say_so() {
    const N_CAMERAS: usize = 8;
    let footage = Footage::read(&parts::made(Kind::Busy).unwrap(), Codec::H264).unwrap();
    let street = SimCam::start(0, None, Camera::spread("/cam", &footage, N_CAMERAS)).unwrap();
    let stage = Stage::new();
    let ids: Vec<String> = (1..=N_CAMERAS).map(|number| format!("cam-{number}")).collect();
    for (id, number) in ids.iter().zip(1..) {
        stage.add(id, &street.url(&format!("/cam/{number}")), "gate = \"always\"\nanalysis_fps = 25.0", None);
    }
    let (process, client) = stage.up();

    let analysed = || ids.iter().map(|id| of_camera(&client, "xueliang_inferences_total", id)).collect::<Vec<_>>();
    wait::until("all to be analysed", QUICKLY, || Ok(analysed().iter().all(|n| *n > 0.0).then_some(()))).unwrap();
    let before = analysed();
    let grown = wait::until("forty pictures of one camera", ONCE_AROUND, || {
        let grown: Vec<f64> = analysed().iter().zip(&before).map(|(now, before)| now - before).collect();
        Ok(grown.iter().any(|n| *n >= 40.0).then_some(grown))
    })
    .unwrap();
    println!("analysed meanwhile: {grown:?}");
    let (least, most) = grown.iter().fold((f64::MAX, 0.0f64), |(least, most), n| (least.min(*n), most.max(*n)));
    assert!(most <= 1.5 * least, "{grown:?}");

    for id in &ids {
        assert!(of_camera(&client, "xueliang_frames_dropped_total", id) > 0.0, "{id} dropped nothing");
        let rates = wait::until(&format!("events of {id} with their rate"), QUICKLY, || {
            let events = store::events(&stage.data_dir(), id);
            let rates: Vec<f64> = events.iter().filter_map(|event| event["data"]["analysed_fps"].as_f64()).collect();
            Ok((!rates.is_empty()).then_some(rates))
        })
        .unwrap();
        println!("{id}: {rates:?}");
        assert!(rates.iter().all(|rate| *rate < 20.0), "{id}: {rates:?}");
    }
    stage.end(process);
}

/// Joined in the middle of a stream that has no keyframe, and one whose resolution switches.
#[test]
fn a_stream_without_keyframes_and_one_that_switches_are_analysed() {
    let file = parts::path("footage/vtest_h264.mp4").unwrap();
    let (refreshed, street) =
        (Reel::refreshed_bit_by_bit(&file).unwrap(), Reel::of(&parts::street(Codec::H264).unwrap()));
    let large = Reel::read(include_bytes!("../../ingest/tests/fixtures/large.h264")).unwrap();
    let without = ScriptedCamera::start(Quirk::Plain, &refreshed, &refreshed).unwrap();
    let switches = ScriptedCamera::start(Quirk::ResolutionSwitches, &street.unwrap(), &large).unwrap();
    let stage = Stage::new();
    stage.add("always", &without.url(), "gate = \"always\"", None);
    stage.add("adaptive", &without.url(), "gate = \"adaptive\"", None);
    stage.add("keyframes", &without.url(), "gate = \"keyframes\"", None);
    stage.add("switches", &switches.url(), "gate = \"always\"", None);
    let (process, client) = stage.up();

    let analysed = |camera| of_camera(&client, "xueliang_inferences_total", camera);
    for (camera, n_pictures) in [("switches", 40.0), ("always", 10.0), ("adaptive", 1.0)] {
        wait::until(&format!("{camera} to be analysed"), ONCE_AROUND, || {
            let n_analysed = analysed(camera);
            anyhow::ensure!(n_analysed >= n_pictures, "{n_analysed} pictures");
            Ok(Some(()))
        })
        .unwrap();
    }
    wait_for_state(&client, "switches", "live", "");
    for camera in ["always", "adaptive", "keyframes"] {
        wait_for_state(&client, camera, "degraded", "intra refresh");
    }
    for camera in ["switches", "always", "adaptive", "keyframes"] {
        println!("{camera}: {} analysed", analysed(camera));
        assert_eq!(of_camera(&client, "xueliang_reconnects_total", camera), 0.0, "{camera}");
    }
    stage.end(process);
}

/// The lens is covered while the camera runs: the duty page must say so within a minute, under every gate.
#[test]
fn a_camera_whose_picture_turns_black_is_told() {
    let stage = Stage::new();
    let file =
        parts::black_after_a_while(&parts::path("footage/vtest_h264.mp4").unwrap(), stage.folder.path()).unwrap();
    let footage = Footage::read(&file, Codec::H264).unwrap();
    let street = SimCam::start(0, None, Camera::spread("/cam", &footage, 1)).unwrap();
    for gate in ["adaptive", "always", "keyframes"] {
        stage.add(gate, &street.url("/cam/1"), &format!("gate = \"{gate}\""), None);
    }
    let (process, client) = stage.up();
    for gate in ["adaptive", "always", "keyframes"] {
        wait_for_state(&client, gate, "live", "");
    }
    for gate in ["adaptive", "always", "keyframes"] {
        wait::until(&format!("{gate} to be black"), Duration::from_secs(80), || {
            let devices = client.devices()?;
            let device = &devices.get(gate).cloned().unwrap_or_default();
            let is_told =
                device["state"] == "degraded" && device["cause"].as_str().unwrap_or_default().contains("black");
            anyhow::ensure!(is_told, "{device}");
            Ok(Some(()))
        })
        .unwrap();
    }
    wait::until("an incident of each camera", QUICKLY, || {
        let incidents = client.incidents(Some("camera_tampered"))?;
        let of: BTreeSet<&str> = incidents.iter().filter_map(|incident| incident["device"]["id"].as_str()).collect();
        anyhow::ensure!(of == BTreeSet::from(["adaptive", "always", "keyframes"]), "{incidents:?}");
        Ok((incidents.len() == 3).then_some(()))
    })
    .unwrap();
    stage.end(process);
}

/// Each has an account, so each session is two connections: one that asks, and one that plays.
#[test]
fn two_hundred_cameras_do_not_connect_within_one_second() {
    let crowd = Crowd::start(1).unwrap();
    let relay = Relay::start(crowd.address()).unwrap();
    let stage = Stage::new();
    let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
    stage.deployment.write_password("right", &login).unwrap();
    for nth in 0..200 {
        let url = format!("rtsp://{}/cam", relay.address());
        let account = "credentials = { username = \"admin\", password_file = \"../right\" }\ngate = \"keyframes\"";
        stage.add(&format!("cam-{nth}"), &url, account, None);
    }
    let (process, _) = stage.up();
    let accepted = wait::until("all to be connected", ONCE_AROUND, || {
        let accepted = relay.accepted();
        anyhow::ensure!(accepted.len() >= 400, "{} connections", accepted.len());
        Ok(Some(accepted))
    })
    .unwrap();
    let within =
        |at: usize| accepted[at..].iter().filter(|other| **other - accepted[at] < Duration::from_secs(1)).count();
    let most = (0..accepted.len()).map(within).max().unwrap_or_default();
    println!("{} connections, at most {most} within one second", accepted.len());
    assert!(most <= 85, "{most} connections within one second");
    stage.end(process);
}
