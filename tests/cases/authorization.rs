//! A camera is pulled only while its authorization holds: real streams through `xueliang up`.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::simcam::{Camera, Codec, SimCam, authorization_line};
use xueliang_tests::{parts, wait};

use crate::leaks;
use crate::reload::{Api, TOKEN};

const QUICKLY: Duration = Duration::from_secs(20);

const SETTINGS: &str = "[ingest]\n\
    data_dir = \"state/ingest\"\n\
    listen = \"@OPS@\"\n\
    cameras = \"cameras\"\n\
    [ingest.api]\n\
    token_file = \"token\"\n\
    @MODEL@\n\
    [alerting]\n\
    listen = \"@LISTEN@\"\n\
    data_dir = \"state/alerting\"\n\
    region = \"3402\"\n";

/// A day that is over, and one that is not.
const OVER: &str = "2026-11-01";
const AHEAD: &str = "2999-12-31";

/// A camera whose authorization says this of a key instead of what is usual.
fn camera(id: &str, url: &str, key: &str, value: &str) -> String {
    let keys = xueliang_tests::simcam::authorization().into_iter().filter(|(other, _)| *other != key);
    let keys: String = keys.map(|(key, value)| format!("{key} = {value:?}\n")).collect();
    format!(
        "[[camera]]\nid = {id:?}\nurl = {url:?}\ngate = \"keyframes\"\n[camera.authorization]\n{keys}{key} = {value:?}\n"
    )
}

#[test]
fn p03_an_expired_sign_stops_the_stream_until_it_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let street = SimCam::start(0, None, Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), 3)).unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    let signed = |id: &str, path: &str, day: &str| {
        let text = camera(id, &street.url(path), "signage_valid_until", day);
        deployment.write(&format!("cameras/{id}.toml"), &text, &[]).unwrap();
    };
    signed("lapses", "/cam/1", AHEAD);
    signed("stays", "/cam/2", AHEAD);
    let bath = camera("bath", &street.url("/cam/3"), "place", "bath");
    deployment.write("cameras/bath.toml", &bath, &[]).unwrap();
    let unsaid = format!("[[camera]]\nid = \"unsaid\"\nurl = {:?}\n", street.url("/cam/3"));
    deployment.write("cameras/unsaid.toml", &unsaid, &[]).unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let (port, ops) = (free_port().unwrap(), free_port().unwrap());
    let (listen, ops_listen) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{ops}"));
    deployment.write("xueliang.toml", SETTINGS, &[("LISTEN", &listen), ("OPS", &ops_listen)]).unwrap();
    let mut process = deployment.start("up", "xueliang.toml", "up").unwrap();
    let console = deployment.sign_in(&mut process, port, "operator").unwrap();
    let api = Api::new(ops);

    ["lapses", "stays"].iter().for_each(|id| api.wait_for(id, "live"));
    api.wait_for("bath", "stopped");
    assert_eq!(api.camera("bath")["suspended"], json!(["prohibited_place"]));
    api.wait_for("unsaid", "refused");
    assert!(api.camera("unsaid")["refused"].as_str().unwrap().contains("authorization.legal_class: is missing"));
    let stays = api.session("stays");

    signed("lapses", "/cam/1", OVER);
    api.wait_for("lapses", "stopped");
    let lapsed = api.camera("lapses");
    assert_eq!((&lapsed["suspended"], &lapsed["active_until"]), (&json!(["signage_lapsed"]), &Value::Null));
    let is_played = |path: &str| street.plays().iter().any(|play| play.path == path && play.ended.is_none());
    wait::until("the stream to end", QUICKLY, || Ok((!is_played("/cam/1")).then_some(()))).unwrap();
    assert!(is_played("/cam/2") && street.plays().iter().all(|play| play.path != "/cam/3"));
    wait::until("the console to know", QUICKLY, || {
        let device = console.devices()?.get("lapses").cloned().unwrap_or_default();
        let cause = device["cause"].as_str().unwrap_or_default();
        Ok((device["state"] == "stopped" && cause.contains("the proof of its sign is over")).then_some(()))
    })
    .unwrap();
    let told = validate(folder.path());
    assert!(told.contains("lapses.toml:1: camera lapses: suspended: the proof of its sign is over"), "{told}");

    signed("lapses", "/cam/1", AHEAD);
    api.wait_for("lapses", "live");
    assert!(is_played("/cam/1"));
    assert_eq!(api.session("stays"), stays, "nothing named it");
    process.terminate(QUICKLY).unwrap();
    leaks::check_log(&folder.path().join("up.log"));
}

/// What `xueliang validate` says once no row has a mistake.
fn validate(folder: &std::path::Path) -> String {
    std::fs::remove_file(folder.join("cameras/unsaid.toml")).unwrap();
    let mut command = Command::new(parts::program("xueliang").unwrap());
    let output = command.arg("validate").arg("--config").arg(folder.join("xueliang.toml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn p34_a_camera_outside_the_declared_networks_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    let camera = format!("[[camera]]\nid = \"far\"\nurl = \"rtsp://203.0.113.9/1\"\n{}\n", authorization_line());
    deployment.write("cameras/far.toml", &camera, &[]).unwrap();
    let check = |declared: &str, expected: &str| {
        let settings = format!("[ingest]\ndata_dir = \"state\"\ncameras = \"cameras\"\n{declared}\n@MODEL@\n");
        deployment.write("xueliang.toml", &settings, &[]).unwrap();
        let mut command = Command::new(parts::program("xueliang").unwrap());
        let output = command.arg("validate").arg("--config").arg(folder.path().join("xueliang.toml")).output().unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(told.contains(expected), "{expected:?} is not in {told}");
    };
    check("", "far.toml:3: camera[0].url: lies in no declared network");
    check("declared_networks = [\"203.0.113.0/24\"]", "no mistakes");
}
