//! One box on real footage: what is seen, what becomes an incident, and that kill -9 makes none of it twice.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};
use xueliang_tests::{parts, wait};

use crate::{leaks, reference, store};

const CAMERA: &str = "street-01";

struct Stage {
    folder: tempfile::TempDir,
    deployment: Deployment,
    _street: SimCam,
    port: u16,
}

impl Stage {
    /// One camera on the street, from the beginning of its footage, and the demo's rules.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
        let cameras = Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), 1);
        let street = SimCam::start(0, Some(&login), cameras).unwrap();
        let deployment = Deployment::new(folder.path()).unwrap();
        deployment.add_street_camera(CAMERA, &street.url("/cam/1"), &login).unwrap();
        let port = free_port().unwrap();
        let template = fs::read_to_string(parts::checkout().join("deploy/samples/demo.toml")).unwrap();
        deployment.write("xueliang.toml", &template, &[("LISTEN", &format!("127.0.0.1:{port}"))]).unwrap();
        Self { folder, deployment, _street: street, port }
    }

    fn up(&self) -> (Process, Client) {
        let mut process = self.deployment.start("up", "xueliang.toml", "up").unwrap();
        let client = self.deployment.sign_in(&mut process, self.port, "operator").unwrap();
        (process, client)
    }
}

fn wait_for_incident(client: &Client, category: &str, within: Duration) -> Value {
    let first = wait::until(category, within, || Ok(client.incidents(Some(category))?.first().cloned()));
    first.unwrap()
}

#[test]
fn incidents_come_once_each_also_across_kill_and_restart() {
    let stage = Stage::new();
    let (mut process, client) = stage.up();
    wait_for_incident(&client, "crowding", Duration::from_secs(40));
    process.kill().unwrap();

    let (mut process, client) = stage.up();
    let resumed = Instant::now();
    let intrusion = wait_for_incident(&client, "zone_intrusion", Duration::from_secs(90));
    process.kill().unwrap();

    // The person is still on the lawn, the crowd on the pavement: both go on, neither may open a second incident.
    let (mut process, client) = stage.up();
    wait::until("analysis to go on", Duration::from_secs(40), || {
        Ok((client.metric("xueliang_inferences_total", "")? >= 100.0).then_some(()))
    })
    .unwrap();
    for category in ["crowding", "zone_intrusion"] {
        let incidents = client.incidents(Some(category)).unwrap();
        assert_eq!(incidents.len(), 1, "{category}: {incidents:#?}");
    }
    println!("intrusion {:.1} s after the restart", resumed.elapsed().as_secs_f64());
    check_incident(&client, intrusion["id"].as_str().unwrap());
    process.terminate(Duration::from_secs(20)).unwrap();
    // Three runs of one camera are three sessions; kill -9 may cut the end of a session off, never its middle.
    assert_eq!(store::check_sequences(&stage.folder.path().join("state/alerting")), 3);
    leaks::check_log(&stage.folder.path().join("up.log"));
}

/// An operator sees a redacted picture, the reason, the events, and the two things to do next; confirming moves it on.
fn check_incident(client: &Client, id: &str) {
    let incident = client.incident(id).unwrap();
    assert_eq!(incident["evidentiary"], false);
    assert_eq!(incident["state"], "suspected");
    assert!(!incident["events"].as_array().unwrap().is_empty(), "{incident:#}");
    assert!(!incident["values"].as_array().unwrap().is_empty(), "{incident:#}");
    let commands: Vec<&str> =
        incident["commands"].as_array().unwrap().iter().map(|row| row["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["discard", "report"]);
    let digest = incident["snapshot"]["sha256"].as_str().unwrap();
    let path = format!("/api/v1/incidents/{id}/snapshots/{digest}?purpose=incident_handling&reason=duty");
    let (status, jpeg) = client.fetch(&path).unwrap();
    assert_eq!(status, 200);
    assert_eq!(&jpeg[..3], &[0xff, 0xd8, 0xff]);
    let (status, _) = client.fetch(&path.replace("incident_handling", "curiosity")).unwrap();
    assert_eq!(status, 400, "P07: an unknown purpose is refused");
    let reported = client.command(&incident, "report", None).unwrap();
    assert_eq!(reported["state"], "reported");
    assert!(client.command(&incident, "report", None).is_ok(), "the same command with the same key is answered again");
    assert!(client.command(&reported, "dispatch", None).is_err(), "P32: an operator can't dispatch");
}

#[test]
fn people_and_vehicles_are_found_as_the_reference_finds_them() {
    let stage = Stage::new();
    let (mut process, client) = stage.up();
    // One whole loop of the footage is 79.5 s, 397 frames at five a second.
    wait::until("a whole loop", Duration::from_secs(150), || {
        process.check_running()?;
        Ok((client.metric("xueliang_inferences_total", "")? >= 397.0).then_some(()))
    })
    .unwrap();
    reference::check(&client);
    assert_eq!(client.metric("xueliang_decode_errors_total", "").unwrap(), 0.0);
    process.terminate(Duration::from_secs(20)).unwrap();
}

#[test]
fn p12_events_go_without_a_picture_when_none_can_be_kept() {
    let stage = Stage::new();
    let ingest = stage.folder.path().join("state/ingest");
    fs::create_dir_all(&ingest).unwrap();
    fs::write(ingest.join("snapshots"), "a file where the folder should be").unwrap();
    let (mut process, client) = stage.up();
    let incident = wait_for_incident(&client, "crowding", Duration::from_secs(40));
    assert_eq!(incident["has_snapshot"], false, "{incident:#}");
    assert!(client.metric("xueliang_snapshots_total", "outcome=\"failed\"").unwrap() > 0.0);
    assert_eq!(client.metric("xueliang_snapshots_total", "outcome=\"kept\"").unwrap(), 0.0);
    process.terminate(Duration::from_secs(20)).unwrap();
}

#[test]
fn nothing_is_served_before_sign_in() {
    let stage = Stage::new();
    let (mut process, _) = stage.up();
    let stranger = Client::new(stage.port).unwrap();
    for path in
        ["/api/v1/incidents", "/api/v1/devices", "/api/v1/rules", "/api/v1/stream", "/api/v1/incidents/x/snapshots/y"]
    {
        let (status, _) = stranger.fetch(path).unwrap();
        assert_eq!(status, 401, "{path}");
    }
    process.terminate(Duration::from_secs(20)).unwrap();
}
