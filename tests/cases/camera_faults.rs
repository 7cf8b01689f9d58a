//! Cameras that fail, each in its own way: each gets its own state and cause, and the good one beside them goes on.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::faults::{Fault, FaultyCamera, Flow, Relay};
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};
use xueliang_tests::{parts, wait};

use crate::leaks;

/// A camera's settings: no zones, quick deadlines are in [`SETTINGS`].
const CAMERA: &str = "[[camera]]\n\
    id = \"@ID@\"\n\
    url = \"@URL@\"\n\
    @AUTHORIZATION@\n\
    credentials = { username = \"admin\", password_file = \"../@PASSWORD@\" }\n";

const SETTINGS: &str = "[ingest]\n\
    data_dir = \"state/ingest\"\n\
    cameras = \"cameras\"\n\
    stall_after = \"4s\"\n\
    connect_timeout = \"4s\"\n\
    @MODEL@\n\
    [alerting]\n\
    listen = \"@LISTEN@\"\n\
    data_dir = \"state/alerting\"\n\
    region = \"3402\"\n";

/// What is expected of a camera: its id, its state, and a word of the cause.
const EXPECTED: [(&str, &str, &str); 9] = [
    ("good", "live", ""),
    ("wrong-password", "auth_failed", "password"),
    ("wrong-path", "refused", "404"),
    ("nothing-listens", "unreachable", "refused"),
    ("silent-on-connect", "stalled", "no answer"),
    ("silent-after-play", "stalled", "no picture"),
    ("garbage-on-connect", "refused", "not valid RTSP"),
    ("garbage-rtp", "refused", ""),
    ("garbage-nals", "refused", ""),
];

#[test]
fn each_failure_has_its_own_cause_and_the_good_camera_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
    let street =
        SimCam::start(0, Some(&login), Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), 2)).unwrap();
    let faults = [
        Fault::SilentOnConnect,
        Fault::SilentAfterPlay,
        Fault::GarbageOnConnect,
        Fault::GarbageRtp,
        Fault::GarbageNals,
    ];
    let faulty: Vec<FaultyCamera> = faults.map(|fault| FaultyCamera::start(fault).unwrap()).into();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = Relay::start(format!("127.0.0.1:{}", street.port()).parse().unwrap()).unwrap();

    let deployment = Deployment::new(folder.path()).unwrap();
    deployment.write_password("right", &login).unwrap();
    deployment.write_password("wrong", &Login { password: "guess".to_owned(), ..login.clone() }).unwrap();
    let mut cameras = vec![
        ("good", street.url("/cam/1"), "right"),
        ("comes-and-goes", format!("rtsp://{}/cam/2", relay.address()), "right"),
        ("wrong-password", street.url("/cam/1"), "wrong"),
        ("wrong-path", street.url("/cam/99"), "right"),
        ("nothing-listens", format!("rtsp://{nobody}/cam/1"), "right"),
    ];
    let names = ["silent-on-connect", "silent-after-play", "garbage-on-connect", "garbage-rtp", "garbage-nals"];
    cameras.extend(names.iter().zip(&faulty).map(|(name, camera)| (*name, camera.url(), "right")));
    for (id, url, password) in &cameras {
        let words = [("ID", *id), ("URL", url.as_str()), ("PASSWORD", *password)];
        deployment.write(&format!("cameras/{id}.toml"), CAMERA, &words).unwrap();
    }
    let port = free_port().unwrap();
    deployment.write("xueliang.toml", SETTINGS, &[("LISTEN", &format!("127.0.0.1:{port}"))]).unwrap();
    let mut process = deployment.start("up", "xueliang.toml", "up").unwrap();
    let client = deployment.sign_in(&mut process, port, "operator").unwrap();

    wait_for(&client, "good", "live", "", Duration::from_secs(5));
    wait_for(&client, "comes-and-goes", "live", "", Duration::from_secs(5));
    for (id, state, cause) in EXPECTED {
        wait_for(&client, id, state, cause, Duration::from_secs(60));
    }

    relay.set(Flow::Cut);
    wait_for(&client, "comes-and-goes", "unreachable", "", Duration::from_secs(20));
    relay.set(Flow::Pass);
    wait_for(&client, "comes-and-goes", "live", "", Duration::from_secs(40));
    relay.set(Flow::Stall);
    wait_for(&client, "comes-and-goes", "stalled", "no picture", Duration::from_secs(20));
    relay.set(Flow::Pass);
    wait_for(&client, "comes-and-goes", "live", "", Duration::from_secs(60));

    let of_good = |metric: &str| client.metric(metric, "camera=\"good\"").unwrap();
    assert_eq!(of_good("xueliang_reconnects_total"), 0.0, "the good camera was disturbed");
    let (pulled, analysed) = (of_good("xueliang_access_units_total"), of_good("xueliang_inferences_total"));
    // Other tests share the processor, so a frame may be overtaken; a camera that is held up would lose many.
    let dropped = of_good("xueliang_frames_dropped_total");
    assert!(dropped <= 0.1 * pulled, "the good camera lost {dropped} frames of {pulled}");
    assert!((analysed - pulled / 2.0).abs() <= 0.1 * pulled, "{pulled} pulled at 10/s, {analysed} analysed at 5/s");
    process.terminate(Duration::from_secs(20)).unwrap();
    let log = fs::read_to_string(folder.path().join("up.log")).unwrap();
    assert!(!log.contains("street-password") && !log.contains("guess"), "a password is in the log");
    leaks::check_log(&folder.path().join("up.log"));
}

fn wait_for(client: &Client, id: &str, state: &str, cause: &str, within: Duration) {
    let seen = wait::until(&format!("{id} to be {state}"), within, || {
        let devices = client.devices()?;
        let device = &devices.get(id).cloned().unwrap_or_default();
        let matches = device["state"] == state && device["cause"].as_str().unwrap_or_default().contains(cause);
        anyhow::ensure!(matches, "{device}");
        Ok(Some(()))
    });
    seen.unwrap();
}
