//! Sensors on one box: real Mosquitto with TLS and a password, HTTP push, faults on the way, and what people see of it.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::faults::{Flow, Relay};
use xueliang_tests::mosquitto::Mosquitto;
use xueliang_tests::process::Process;
use xueliang_tests::simcam::Login;
use xueliang_tests::wait;

use crate::{leaks, store};

const TOKEN: &str = "gateway-of-the-fire-station-7f3a";
const SOON: Duration = Duration::from_secs(20);

const SETTINGS: &str = r#"
[ingest]
data_dir = "state/ingest"
@MODEL@
[ingest.mqtt]
address = "@BROKER@"
client_id = "xueliang-test"
credentials = { username = "xueliang", password_file = "mqtt-password" }
tls = { ca_file = "@CA@" }
[ingest.push]
listen = "@PUSH@"
token_file = "push-tokens"
[alerting]
listen = "@LISTEN@"
data_dir = "state/alerting"
snapshot_dir = "state/ingest/snapshots"
region = "3402"
[[sensor_group]]
ids = ["w-1", "w-2"]
name = { zh = "水位计 {sensor}", en = "Gauge {sensor}" }
kind = "water_level"
unit = "cm"
topic = "city/water/{sensor}/reading"
value_at = "/data/level"
time_at = "/at"
range = [-50, 500]
silent_after = "3s"
max_per_minute = 6000
[[sensor]]
id = "gas-1"
kind = "gas"
unit = "%LEL"
[[rule]]
id = "underpass"
version = 1
category = "underpass_flood"
enabled = true
kind = "threshold"
quantity = "water_level"
above = 0.3
for = "1s"
urgency = "A"
owner = "o"
legal_basis = "l"
department = "d"
assessment = "a"
deadline = "2h"
"#;

struct Stage {
    folder: tempfile::TempDir,
    deployment: Deployment,
    broker: Mosquitto,
    port: u16,
    push_port: u16,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = Login { user: "xueliang".to_owned(), password: "water-password".to_owned() };
        let broker = Mosquitto::start(&folder.path().join("mosquitto"), &login).unwrap();
        let deployment = Deployment::new(folder.path()).unwrap();
        deployment.write_password("mqtt-password", &login).unwrap();
        fs::write(folder.path().join("push-tokens"), format!("# fire station\n{TOKEN}\n")).unwrap();
        let (port, push_port) = (free_port().unwrap(), free_port().unwrap());
        let (listen, push) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{push_port}"));
        let (address, ca) = (broker.tls_address(), broker.ca_file().display().to_string());
        let words = [("LISTEN", listen.as_str()), ("PUSH", &push), ("BROKER", &address), ("CA", &ca)];
        deployment.write("xueliang.toml", SETTINGS, &words).unwrap();
        Self { folder, deployment, broker, port, push_port }
    }

    /// Starts the program and waits until it listens to the broker.
    fn up(&self) -> (Process, Client) {
        let mut process = self.deployment.start("up", "xueliang.toml", "up").unwrap();
        let client = self.deployment.sign_in(&mut process, self.port, "operator").unwrap();
        wait::until("the broker's connection", SOON, || {
            Ok((client.metric("xueliang_mqtt_connected", "")? == 1.0).then_some(()))
        })
        .unwrap();
        (process, client)
    }

    /// Publishes levels in centimetres with their own time.
    fn publish(&self, sensor: &str, levels: &[f64]) {
        let topic = format!("city/water/{sensor}/reading");
        let now = jiff::Timestamp::now();
        let messages: Vec<_> = levels.iter().map(|level| (topic.as_str(), reading(*level, Some(now)))).collect();
        self.broker.publish(&messages, false).unwrap();
    }

    fn push(&self, token: Option<&str>, body: &Value) -> (u16, Value) {
        let request = reqwest::blocking::Client::new().post(format!("http://127.0.0.1:{}/v1/readings", self.push_port));
        let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
        let response = request.json(body).send().unwrap();
        (response.status().as_u16(), response.json().unwrap())
    }

    /// All stored values of a sensor in hundredths, sorted.
    fn stored(&self, sensor: &str) -> Vec<i64> {
        let values = store::readings(&self.folder.path().join("state/alerting"), sensor);
        let mut values: Vec<i64> = values.into_iter().map(|value| (value * 100.0).round() as i64).collect();
        values.sort_unstable();
        values
    }

    fn wait_stored(&self, sensor: &str, expected: &[i64]) {
        let what = format!("{} readings of {sensor}", expected.len());
        wait::until(&what, Duration::from_secs(60), || {
            let stored = self.stored(sensor);
            anyhow::ensure!(stored.len() >= expected.len(), "{} are there", stored.len());
            Ok(Some(()))
        })
        .unwrap();
        assert_eq!(self.stored(sensor), expected, "{sensor}");
    }
}

fn reading(level: f64, at: Option<jiff::Timestamp>) -> String {
    json!({ "data": { "level": level }, "at": at.map(|at| at.to_string()) }).to_string()
}

fn state_of(client: &Client, sensor: &str) -> (String, String) {
    let devices = client.devices().unwrap();
    let text =
        |field: &str| devices.get(sensor).and_then(|device| device[field].as_str()).unwrap_or_default().to_owned();
    (text("state"), text("cause"))
}

fn wait_state(client: &Client, sensor: &str, state: &str) -> String {
    let reached = wait::until(&format!("{sensor} to be {state}"), SOON, || {
        let (now, cause) = state_of(client, sensor);
        anyhow::ensure!(now == state, "it is {now:?} {cause:?}");
        Ok(Some(cause))
    });
    reached.unwrap()
}

#[test]
fn a_water_level_becomes_an_incident_and_silence_a_status() {
    let mut stage = Stage::new();
    let (mut process, client) = stage.up();
    let cause = wait_state(&client, "w-1", "stalled");
    assert!(cause.contains("nothing new came for 3 s"), "{cause}");
    let mut level = 40.0;
    let incident = wait::until("the flood", SOON, || {
        level += 1.0;
        stage.publish("w-1", &[level]);
        Ok(client.incidents(Some("underpass_flood"))?.first().cloned())
    });
    let incident = client.incident(incident.unwrap()["id"].as_str().unwrap()).unwrap();
    assert!(incident.to_string().contains("w-1"), "{incident:#}");
    wait_state(&client, "w-1", "live");
    assert_eq!(client.devices().unwrap()["w-1"]["name"]["en"], "Gauge w-1");
    wait_state(&client, "w-1", "stalled");

    // Refused readings: each counted by its reason, and the sensor's state says why.
    let faulty = [reading(900.0, None), "{}".to_owned(), reading(901.0, None), reading(902.0, None)];
    let messages: Vec<_> = faulty.iter().map(|payload| ("city/water/w-2/reading", payload.clone())).collect();
    stage.broker.publish(&messages, false).unwrap();
    stage.broker.publish(&[("city/water/w-99/reading", reading(1.0, None))], false).unwrap();
    let cause = wait_state(&client, "w-2", "degraded");
    assert!(cause.contains("outside -0.5 to 5 m"), "{cause}");
    for (reason, n) in [("range", 3.0), ("unreadable", 1.0), ("unknown_sensor", 1.0)] {
        let counted = || client.metric("xueliang_readings_refused_total", &format!("reason=\"{reason}\""));
        wait::until(reason, SOON, || Ok((counted()? == n).then_some(()))).unwrap();
    }

    stage.broker.stop().unwrap();
    let part = |client: &Client| -> anyhow::Result<Value> {
        let ready: Value = serde_json::from_slice(&client.fetch("/readyz")?.1)?;
        let parts = ready["parts"].as_array().cloned().unwrap_or_default();
        Ok(parts.into_iter().find(|part| part["name"] == "mqtt").unwrap_or_default())
    };
    let away = wait::until("the broker's state", SOON, || Ok(Some(part(&client)?).filter(|part| part["ok"] == false)));
    assert!(away.unwrap()["detail"].as_str().unwrap().contains("no connection"));
    assert_eq!(client.metric("xueliang_mqtt_connected", "").unwrap(), 0.0);
    wait::until("silence that blames the broker", SOON, || {
        Ok(state_of(&client, "w-1").1.contains("nothing can come: the MQTT broker").then_some(()))
    })
    .unwrap();
    stage.broker.resume().unwrap();
    wait::until("the broker's return", Duration::from_secs(60), || {
        Ok(Some(part(&client)?).filter(|part| part["ok"] == true))
    })
    .unwrap();
    process.terminate(SOON).unwrap();
    assert_eq!(fs::read_to_string(stage.folder.path().join("up.log")).unwrap().matches("water-password").count(), 0);
    leaks::check_log(&stage.folder.path().join("up.log"));
}

#[test]
fn a_sensor_that_an_open_group_found_is_missed_after_a_kill() {
    let stage = Stage::new();
    let settings = fs::read_to_string(stage.folder.path().join("xueliang.toml")).unwrap();
    let open = settings.replace("ids = [\"w-1\", \"w-2\"]\n", "");
    fs::write(stage.folder.path().join("xueliang.toml"), open).unwrap();
    let (mut process, client) = stage.up();
    // In the middle of being live, so that only the next process can say that it fell silent.
    wait::until("w-7 to be live", SOON, || {
        stage.publish("w-7", &[7.0]);
        Ok((state_of(&client, "w-7").0 == "live").then_some(()))
    })
    .unwrap();
    process.kill().unwrap();
    let (mut process, client) = stage.up();
    let cause = wait_state(&client, "w-7", "stalled");
    assert!(cause.contains("nothing new came for 3 s"), "{cause}");
    process.terminate(SOON).unwrap();
}

#[test]
fn nothing_is_lost_or_doubled_across_kill_and_broker_restart() {
    let mut stage = Stage::new();
    let levels = |from: usize, to: usize| (from..to).map(|n| n as f64).collect::<Vec<_>>();
    let all = |to: i64| (0..to).collect::<Vec<_>>();
    let timeless = |stage: &Stage, from: usize, to: usize| {
        let payloads = (from..to).map(|n| reading(n as f64, None));
        let messages: Vec<_> = payloads.map(|payload| ("city/water/w-2/reading", payload)).collect();
        stage.broker.publish(&messages, false).unwrap();
    };
    let (mut process, _) = stage.up();
    stage.publish("w-1", &levels(0, 50));
    timeless(&stage, 0, 50);
    // In the middle of taking them: some are on disk and not acknowledged, some neither.
    process.kill().unwrap();
    stage.publish("w-1", &levels(50, 100));
    timeless(&stage, 50, 100);
    let (mut process, _) = stage.up();
    process.kill().unwrap();
    stage.broker.stop().unwrap();
    stage.broker.resume().unwrap();
    let (mut process, client) = stage.up();
    stage.wait_stored("w-1", &all(100));
    stage.wait_stored("w-2", &all(100));
    stage.broker.stop().unwrap();
    stage.broker.resume().unwrap();
    stage.publish("w-1", &levels(100, 150));
    timeless(&stage, 100, 150);
    stage.wait_stored("w-1", &all(150));
    stage.wait_stored("w-2", &all(150));
    assert_eq!(client.metric("xueliang_readings_refused_total", "").unwrap(), 0.0);
    process.terminate(SOON).unwrap();
    store::check_sequences(&stage.folder.path().join("state/alerting"));
}

#[test]
fn what_is_on_disk_but_not_acknowledged_counts_once() {
    let stage = Stage::new();
    let relay = Relay::start(stage.broker.tls_socket()).unwrap();
    let settings = fs::read_to_string(stage.folder.path().join("xueliang.toml")).unwrap();
    let through_relay = settings.replace(&stage.broker.tls_address(), &format!("localhost:{}", relay.address().port()));
    fs::write(stage.folder.path().join("xueliang.toml"), through_relay).unwrap();
    let (mut process, client) = stage.up();
    relay.set(Flow::Mute);
    let connected = || Ok((client.metric("xueliang_mqtt_connected", "")? == 1.0).then_some(()));
    wait::holds("the connection, while the relay turns", Duration::from_millis(300), connected).unwrap();
    stage.publish("w-1", &[1.0, 2.0, 3.0]);
    let timeless: Vec<_> = (1..=3).map(|n| ("city/water/w-2/reading", reading(f64::from(n), None))).collect();
    stage.broker.publish(&timeless, false).unwrap();
    stage.wait_stored("w-1", &[1, 2, 3]);
    stage.wait_stored("w-2", &[1, 2, 3]);
    process.kill().unwrap();
    // The acknowledgements that the relay holds go down with the connection.
    relay.set(Flow::Cut);
    wait::holds("the cut", Duration::from_millis(300), || Ok(Some(()))).unwrap();
    relay.set(Flow::Pass);
    let (mut process, client) = stage.up();
    wait::until("all to be recognised", SOON, || {
        let n = client.metric("xueliang_readings_repeated_total", "")?;
        anyhow::ensure!(n >= 6.0, "{n} were");
        Ok(Some(()))
    })
    .unwrap();
    stage.wait_stored("w-1", &[1, 2, 3]);
    stage.wait_stored("w-2", &[1, 2, 3]);
    assert_eq!(client.metric("xueliang_readings_total", "").unwrap(), 0.0);
    process.terminate(SOON).unwrap();
}

#[test]
fn retained_repeated_and_pushed_readings_count_once() {
    let stage = Stage::new();
    let (mut process, client) = stage.up();
    let repeated = |client: &Client, at_least: f64| {
        wait::until("repetitions", SOON, || {
            let n = client.metric("xueliang_readings_repeated_total", "")?;
            anyhow::ensure!(n >= at_least, "{n} repetitions");
            Ok(Some(()))
        })
        .unwrap();
    };
    let message = [("city/water/w-1/reading", reading(7.0, Some(jiff::Timestamp::now())))];
    stage.broker.publish(&message, true).unwrap();
    stage.wait_stored("w-1", &[7]);
    stage.broker.publish(&message, false).unwrap();
    repeated(&client, 1.0);
    stage.broker.publish(&[("city/water/w-2/reading", reading(8.0, None))], true).unwrap();
    stage.wait_stored("w-2", &[8]);
    process.terminate(SOON).unwrap();

    // The broker shows what it retained again.
    let (mut process, client) = stage.up();
    repeated(&client, 1.0);
    let retained = || client.metric("xueliang_readings_refused_total", "reason=\"retained_without_time\"");
    wait::until("the retained message without a time", SOON, || Ok((retained()? >= 1.0).then_some(()))).unwrap();

    let push = json!({ "sensor": "gas-1", "value": 12.5, "measured_at": jiff::Timestamp::now().to_string() });
    for token in [None, Some("wrong-token-of-some-length"), Some("")] {
        assert_eq!(stage.push(token, &push).0, 401, "{token:?}");
    }
    let outcomes = |answer: &Value| {
        let rows = answer["readings"].as_array().unwrap();
        rows.iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (status, answer) = stage.push(Some(TOKEN), &push);
    assert_eq!((status, outcomes(&answer)), (200, vec!["accepted".to_owned()]));
    let too_much = json!({ "sensor": "gas-1", "value": 120 });
    let (status, answer) = stage.push(Some(TOKEN), &json!([push, too_much, { "sensor": "gas-2", "value": 1 }]));
    assert_eq!((status, outcomes(&answer)), (200, ["repeated", "refused", "refused"].map(str::to_owned).to_vec()));
    assert_eq!(answer["readings"][1]["reason"], "range", "{answer:#}");
    let (status, _) = stage.push(Some(TOKEN), &too_much);
    assert_eq!(status, 422);
    assert_eq!(stage.push(Some(TOKEN), &json!("x".repeat(300 << 10))).0, 413);
    assert_eq!(stage.push(Some(TOKEN), &json!(7)).0, 400);
    assert_eq!(client.metric("xueliang_push_requests_total", "status=\"401\"").unwrap(), 3.0);
    stage.wait_stored("gas-1", &[1250]);
    assert_eq!(stage.stored("w-1"), [7]);
    assert_eq!(stage.stored("w-2"), [8]);
    process.terminate(SOON).unwrap();
    assert!(!fs::read_to_string(stage.folder.path().join("up.log")).unwrap().contains(TOKEN));
}

#[test]
fn what_keeps_the_broker_away_is_told() {
    let stage = Stage::new();
    let settings = fs::read_to_string(stage.folder.path().join("xueliang.toml")).unwrap();
    let foreign = stage.folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    xueliang_tests::mosquitto::make_certificates(&foreign).unwrap();
    let ca = stage.broker.ca_file().display().to_string();
    let faults = [
        (settings.replace(&ca, &foreign.join("ca.pem").display().to_string()), "TLS failed"),
        (settings.replace("username = \"xueliang\"", "username = \"nobody\""), "the broker refused the account"),
    ];
    for (faulty, expected) in faults {
        fs::write(stage.folder.path().join("xueliang.toml"), faulty).unwrap();
        let mut process = stage.deployment.start("up", "xueliang.toml", "up").unwrap();
        let client = Client::new(stage.port).unwrap();
        wait::until(expected, Duration::from_secs(40), || {
            let ready = String::from_utf8(client.fetch("/readyz")?.1)?;
            anyhow::ensure!(ready.contains(expected), "{ready}");
            Ok(Some(()))
        })
        .unwrap();
        process.terminate(SOON).unwrap();
    }
    assert!(!fs::read_to_string(stage.folder.path().join("up.log")).unwrap().contains("water-password"));
}

#[test]
fn the_probe_shows_what_each_message_would_become() {
    let stage = Stage::new();
    let settings = stage.folder.path().join("xueliang.toml");
    let program = xueliang_tests::parts::program("xueliang").unwrap();
    let log = stage.folder.path().join("probe.log");
    let mut probe = Process::spawn("probe", &program, &log, |command| {
        command.args(["sensor", "probe", "--seconds", "60", "--config"]).arg(&settings);
    })
    .unwrap();
    wait::until("the probe", SOON, || Ok(probe.log()?.contains("listening to city/water/+/reading").then_some(())))
        .unwrap();
    stage.broker.publish(&[("city/water/w-1/reading", reading(40.0, None))], false).unwrap();
    stage.broker.publish(&[("city/water/w-2/reading", reading(4000.0, None))], false).unwrap();
    for expected in ["w-1  water_level 0.4 m at", "w-2  refused, range: 40 m is outside -0.5 to 5 m"] {
        wait::until(expected, SOON, || Ok(probe.log()?.contains(expected).then_some(()))).unwrap();
    }
    probe.kill().unwrap();
}
