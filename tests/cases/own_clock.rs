//! The machine's own clock is set an hour ahead and back again while cameras and a sensor are live: each camera says so and begins anew in
//! the new time, as `wall_clock` has it, nothing stalls or is silent, no event is lost, and events are of the new time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};
use xueliang_tests::{parts, wait};

use crate::reload::{Api, TOKEN};
use crate::store;

const IDS: [&str; 2] = ["street-1", "street-2"];
const HOUR: i64 = 3600;
const SOON: Duration = Duration::from_secs(60);
/// How far an event's time may be from the clock's.
const NEAR: SignedDuration = SignedDuration::from_secs(15);
const SETTINGS: &str = r#"
[ingest]
data_dir = "state/ingest"
listen = "@OPS@"
cameras = "cameras"
[ingest.api]
token_file = "token"
@MODEL@
[ingest.push]
listen = "@PUSH@"
token_file = "token"
[alerting]
listen = "@LISTEN@"
data_dir = "state/alerting"
region = "3402"
[[sensor]]
id = "gas-1"
kind = "gas"
unit = "%LEL"
silent_after = "5s"
"#;

/// A box whose clock can be set.
struct Stage {
    process: Process,
    api: Api,
    client: Client,
    folder: tempfile::TempDir,
    clock: PathBuf,
    gateway: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    _street: SimCam,
}

impl Stage {
    fn new(library: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
        let cameras = Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), IDS.len());
        let street = SimCam::start(0, Some(&login), cameras).unwrap();
        let deployment = Deployment::new(folder.path()).unwrap();
        for (id, number) in IDS.iter().zip(1..) {
            deployment.add_street_camera(id, &street.url(&format!("/cam/{number}")), &login).unwrap();
        }
        fs::write(folder.path().join("token"), TOKEN).unwrap();
        let ports = [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()];
        let [listen, ops, push] = ports.map(|port| format!("127.0.0.1:{port}"));
        let words = [("LISTEN", listen.as_str()), ("OPS", &ops), ("PUSH", &push)];
        deployment.write("xueliang.toml", SETTINGS, &words).unwrap();
        let clock = folder.path().join("clock");
        set(&clock, 0);
        let (log, settings) = (folder.path().join("up.log"), folder.path().join("xueliang.toml"));
        let mut process = Process::spawn("up", &parts::program("xueliang").unwrap(), &log, |command| {
            command.arg("up").arg("--config").arg(settings).env("LD_PRELOAD", library);
            command.env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1").env("NO_FAKE_STAT", "1");
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        })
        .unwrap();
        let client = Client::new(ports[1]).unwrap();
        wait_ready(&mut process, &client).unwrap();
        let gateway = Some(gateway(ports[2]));
        Self { process, api: Api::new(ports[1]), client, folder, clock, gateway, _street: street }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("state/alerting")
    }

    /// The events of a device so far, in the order in which they were said.
    fn events(&self, device: &str) -> Vec<Value> {
        let mut events = store::events(&self.data_dir(), device);
        events.sort_by_key(|event| event["sequence"].as_u64());
        events
    }

    /// Waits until every device has said something of now by a clock that is so many seconds ahead.
    fn wait_for_events_at(&self, ahead: i64) {
        for device in [IDS[0], IDS[1], "gas-1"] {
            let what = format!("events of {device} with the clock at {ahead:+} s");
            wait::until(&what, SOON, || {
                let now = Timestamp::now() + SignedDuration::from_secs(ahead);
                let events = self.events(device);
                let observed = events.iter().rfind(|event| is_observed(event));
                let at = observed.map(time).unwrap_or_default();
                anyhow::ensure!(now.duration_since(at).abs() < NEAR, "the last is of {at}, it is {now}");
                Ok(Some(()))
            })
            .unwrap();
        }
    }

    /// Sets the clock, and waits until each camera has begun anew because of it and is live.
    fn step(&self, ahead: i64, nth: usize) {
        set(&self.clock, ahead);
        for id in IDS {
            wait::until(&format!("{id} to begin anew"), SOON, || {
                let camera = self.api.camera(id);
                let stepped = self.failures(id, "clock_stepped") == nth as f64;
                let delivers = matches!(camera["state"].as_str(), Some("live" | "degraded"));
                anyhow::ensure!(stepped && delivers, "{camera}");
                Ok(Some(()))
            })
            .unwrap();
        }
        self.wait_for_events_at(ahead);
    }

    fn failures(&self, id: &str, cause: &str) -> f64 {
        let labels = format!("camera=\"{id}\",cause=\"{cause}");
        self.client.metric("xueliang_session_failures_total", &labels).unwrap()
    }
}

#[test]
#[cfg_attr(not(faketime), ignore = "libfaketime is not there: apt-get install faketime")]
fn a_clock_that_is_set_loses_nothing_and_accuses_nobody() {
    let mut stage = Stage::new(option_env!("FAKETIME_LIBRARY").map(Path::new).unwrap());
    stage.wait_for_events_at(0);
    stage.step(HOUR, 1);
    stage.step(0, 2);
    let (ends, gateway) = stage.gateway.take().unwrap();
    ends.store(true, Ordering::SeqCst);
    gateway.join().unwrap();
    for id in IDS {
        assert_eq!(stage.failures(id, ""), 2.0, "{id} failed otherwise too: {}", stage.api.camera(id));
    }
    stage.process.terminate(SOON).unwrap();

    store::check_sequences(&stage.data_dir());
    for device in [IDS[0], IDS[1], "gas-1"] {
        let events = stage.events(device);
        for event in events.iter().filter(|event| !is_observed(event)) {
            let state = event["data"]["state"].as_str().unwrap();
            assert!(["connecting", "live", "degraded", "stopped"].contains(&state), "{event}");
        }
        let times: Vec<Timestamp> = events.iter().filter(|event| is_observed(event)).map(time).collect();
        let steps = times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs());
        let jumps: Vec<i64> = steps.filter(|step| step.abs() > HOUR / 2).map(i64::signum).collect();
        assert_eq!(jumps, [1, -1], "{device}: time is set once ahead and once back");
    }
}

/// Pushes a reading again and again until it is told to end.
fn gateway(port: u16) -> (Arc<AtomicBool>, JoinHandle<()>) {
    let ends = Arc::new(AtomicBool::new(false));
    let pushing = std::thread::spawn({
        let ends = Arc::clone(&ends);
        move || {
            let client = reqwest::blocking::Client::new();
            for nth in 0.. {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let reading = json!({ "sensor": "gas-1", "value": nth % 10 });
                let push = client.post(format!("http://127.0.0.1:{port}/v1/readings")).bearer_auth(TOKEN);
                assert_eq!(push.json(&reading).send().unwrap().status(), 200);
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    });
    (ends, pushing)
}

/// In one piece: the clock is read all the time.
fn set(clock: &Path, ahead: i64) {
    let fresh = clock.with_extension("new");
    fs::write(&fresh, format!("{ahead:+}\n")).unwrap();
    fs::rename(fresh, clock).unwrap();
}

/// Of the time at which it was seen or measured; a status is of the time at which it is said.
fn is_observed(event: &Value) -> bool {
    event["type"] != "xueliang.device.status.v1"
}

fn time(event: &Value) -> Timestamp {
    event["time"].as_str().unwrap().parse().unwrap()
}
