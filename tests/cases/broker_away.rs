//! Kafka is away for as long as it takes to say an hour of a district's events, and then until the outbox is full: memory stays flat, the
//! outbox keeps its bound and says so, and afterwards everything that it kept comes, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::kafka::{Kafka, Message};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};
use xueliang_tests::{parts, wait};

const EVENTS: &str = "xueliang.events.v1";
const TOKEN: &str = "gateway-of-the-fire-station-7f3a";
const N_CAMERAS: usize = 2;
const N_SENSORS: usize = 20;
/// A reading a second of each sensor.
const READINGS_OF_AN_HOUR: usize = N_SENSORS * 3600;
const READINGS_AT_FIRST: usize = 8000;
const PUSHED_AT_ONCE: usize = 1000;
/// So many bytes before the bound pushes become small, so that what occupancy makes room for is more than one of them.
const NEARLY: f64 = 1e6;
const PUSHED_AT_LAST: usize = 10;
const OUTBOX_BYTES: f64 = 40e6;
const MOST_GROWTH: u64 = 48 << 20;
const SOON: Duration = Duration::from_secs(60);

const SETTINGS: &str = r#"
[ingest]
data_dir = "state/ingest"
listen = "@LISTEN@"
cameras = "cameras"
outbox_bytes = 40000000
[ingest.kafka]
brokers = "@BROKERS@"
@MODEL@
[ingest.push]
listen = "@PUSH@"
token_file = "push-tokens"
[[sensor_group]]
ids = [@IDS@]
kind = "water_level"
unit = "cm"
silent_after = "1h"
max_per_minute = 10000000
"#;

/// A worker with cameras and sensors, and its broker.
struct District {
    process: Process,
    client: Client,
    push_port: u16,
    kafka: Kafka,
    folder: tempfile::TempDir,
    _street: SimCam,
}

impl District {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kafka = Kafka::start(&folder.path().join("kafka")).unwrap();
        let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
        let cameras = Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), N_CAMERAS);
        let street = SimCam::start(0, Some(&login), cameras).unwrap();
        let deployment = Deployment::new(folder.path()).unwrap();
        for index in 1..=N_CAMERAS {
            let url = street.url(&format!("/cam/{index}"));
            deployment.add_street_camera(&format!("street-{index}"), &url, &login).unwrap();
        }
        std::fs::write(folder.path().join("push-tokens"), TOKEN).unwrap();
        let (port, push_port) = (free_port().unwrap(), free_port().unwrap());
        let (listen, push) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{push_port}"));
        let ids: Vec<String> = (0..N_SENSORS).map(|nth| format!("\"w-{nth}\"")).collect();
        let (ids, brokers) = (ids.join(", "), kafka.brokers());
        let words = [("LISTEN", listen.as_str()), ("PUSH", &push), ("IDS", &ids), ("BROKERS", &brokers)];
        deployment.write("ingest.toml", SETTINGS, &words).unwrap();
        let mut process = deployment.start("ingest", "ingest.toml", "ingest").unwrap();
        let client = Client::new(port).unwrap();
        wait_ready(&mut process, &client).unwrap();
        Self { process, client, push_port, kafka, folder, _street: street }
    }

    fn metric(&self, name: &str) -> f64 {
        self.client.metric(name, "").unwrap()
    }

    /// Pushes so many readings of all sensors in turn, each once it is known to be on disk.
    fn push(&self, n_readings: usize) {
        for _ in 0..n_readings / PUSHED_AT_ONCE {
            assert_eq!(push_once(self.push_port, PUSHED_AT_ONCE), 200);
        }
    }

    /// What the worker says that it is not ready for, if anything.
    fn trouble(&self) -> String {
        let (status, body) = self.client.fetch("/readyz").unwrap();
        if status.is_success() { String::new() } else { String::from_utf8(body).unwrap() }
    }

    fn outbox(&self) -> Connection {
        let file = self.folder.path().join("state/ingest/outbox.db");
        let outbox = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        outbox.busy_timeout(Duration::from_secs(10)).unwrap();
        outbox
    }

    /// Occupancies that wait in the outbox.
    fn n_droppable(&self) -> usize {
        self.outbox().query_row("SELECT count(*) FROM event WHERE droppable", [], |row| row.get(0)).unwrap()
    }

    /// The ids of all events in the outbox that go to Kafka's topic of events, in order, by key.
    fn kept(&self) -> BTreeMap<String, Vec<String>> {
        let outbox = self.outbox();
        let mut select = outbox.prepare("SELECT key, body FROM event WHERE topic = ?1 ORDER BY position").unwrap();
        let rows = select.query_map([EVENTS], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
        let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, body) in rows.map(Result::unwrap) {
            kept.entry(key).or_default().push(id(&body));
        }
        kept
    }
}

fn push_once(port: u16, n_readings: usize) -> u16 {
    let reading = |nth: usize| json!({ "sensor": format!("w-{}", nth % N_SENSORS), "value": 10 + nth / N_SENSORS });
    let readings: Vec<Value> = (0..n_readings).map(reading).collect();
    let client = reqwest::blocking::Client::builder().timeout(SOON).build().unwrap();
    let request = client.post(format!("http://127.0.0.1:{port}/v1/readings")).bearer_auth(TOKEN);
    request.json(&readings).send().unwrap().status().as_u16()
}

#[test]
fn an_hour_of_events_without_a_broker_costs_no_memory_and_comes_in_order() {
    let mut district = District::new();
    wait::until("events of both cameras", SOON, || {
        Ok((district.client.metric("xueliang_events_total", "occupancy")? > 4.0).then_some(()))
    })
    .unwrap();
    district.push(PUSHED_AT_ONCE);

    district.kafka.stop().unwrap();
    district.push(READINGS_AT_FIRST);
    let (resident, pulled) =
        (district.process.resident_bytes().unwrap(), district.metric("xueliang_access_units_total"));
    let started = Instant::now();
    district.push(READINGS_OF_AN_HOUR - READINGS_AT_FIRST);
    println!("an hour of readings in {:?}", started.elapsed());
    assert_eq!(district.metric("xueliang_outbox_dropped_total"), 0.0, "an hour fits");
    wait::until("the worker to say that Kafka is away", SOON, || {
        Ok(district.trouble().contains("kafka").then_some(()))
    })
    .unwrap();

    wait::until("occupancies that can make room", SOON, || Ok((district.n_droppable() >= 20).then_some(()))).unwrap();
    let (n_more, waiting) = fill(&district);
    let grown = district.process.resident_bytes().unwrap().saturating_sub(resident);
    let (n_bytes, n_dropped) =
        (district.metric("xueliang_outbox_bytes"), district.metric("xueliang_outbox_dropped_total"));
    println!("{grown} bytes grown, {n_bytes} in the outbox, {n_dropped} occupancies dropped");
    assert!(grown < MOST_GROWTH, "{grown} bytes more while the broker was away");
    assert!(n_bytes <= OUTBOX_BYTES, "the outbox holds {n_bytes} bytes");
    assert!(n_dropped > 0.0, "occupancy goes before anybody waits");
    assert!(district.metric("xueliang_access_units_total") > pulled, "cameras go on");
    assert!(!waiting.is_finished(), "who finds the outbox full waits");

    let kept = district.kept();
    district.kafka.resume().unwrap();
    // Whether it was in time for its answer or not, what it handed over comes.
    assert!(matches!(waiting.join().unwrap(), 200 | 503));
    wait::until("the outbox to empty", SOON * 2, || {
        anyhow::ensure!(district.trouble().is_empty(), "{}", district.trouble());
        Ok((district.metric("xueliang_outbox_events") < 5.0).then_some(()))
    })
    .unwrap();
    let n_dropped = district.metric("xueliang_outbox_dropped_total");
    district.process.terminate(SOON).unwrap();
    let messages = first_of_each(district.kafka.read_all(EVENTS).unwrap());
    check_kept(&messages, &kept);
    let n_readings = PUSHED_AT_ONCE + READINGS_OF_AN_HOUR + n_more;
    check_sequences(&messages, (n_readings, n_dropped as u64));
}

/// Pushes until the outbox is full, which it says; how many readings those were, and the push that has to wait.
fn fill(district: &District) -> (usize, JoinHandle<u16>) {
    let mut n_more = 0;
    loop {
        let port = district.push_port;
        let is_near = district.metric("xueliang_outbox_bytes") > OUTBOX_BYTES - NEARLY;
        let n_readings = if is_near { PUSHED_AT_LAST } else { PUSHED_AT_ONCE };
        let push = std::thread::spawn(move || push_once(port, n_readings));
        n_more += n_readings;
        let is_full = wait::until("a push to be answered or the outbox to be full", SOON, || {
            let is_full = district.trouble().contains("raise ingest.outbox_bytes");
            Ok((is_full || push.is_finished()).then_some(is_full))
        });
        if is_full.unwrap() {
            // Occupancies that came meanwhile may still make room for it.
            std::thread::sleep(Duration::from_secs(1));
            if !push.is_finished() {
                return (n_more, push);
            }
        }
        assert_eq!(push.join().unwrap(), 200);
    }
}

/// Without those that came again: a batch that was under way when its worker ended is sent once more, and recognised by its ids.
fn first_of_each(messages: Vec<Message>) -> Vec<Message> {
    let (n_messages, mut seen) = (messages.len(), BTreeSet::new());
    let first: Vec<Message> = messages.into_iter().filter(|message| seen.insert(id(&message.payload))).collect();
    println!("{} came again", n_messages - first.len());
    first
}

/// Each event that the outbox held came, and those of one key in their order.
fn check_kept(messages: &[Message], kept: &BTreeMap<String, Vec<String>>) {
    let held: BTreeSet<&String> = kept.values().flatten().collect();
    let mut came: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        let id = id(&message.payload);
        if held.contains(&id) {
            came.entry(String::from_utf8(message.key.clone()).unwrap()).or_default().push(id);
        }
    }
    for (key, ids) in kept {
        assert!(came.get(key) == Some(ids), "{key}: {} kept, {:?} came", ids.len(), came.get(key).map(Vec::len));
    }
}

/// Sequences only grow; what is missing was dropped, and no reading is. What was under way to Kafka when it was dropped comes all the same.
fn check_sequences(messages: &[Message], (n_readings, n_dropped): (usize, u64)) {
    let mut next: BTreeMap<(String, String), u64> = BTreeMap::new();
    let (mut n_missing, mut n_came) = (0, 0);
    for message in messages {
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        let expected = next.entry((event["source"].to_string(), event["session"].to_string())).or_default();
        let sequence = event["sequence"].as_u64().unwrap();
        assert!(sequence >= *expected, "{event} came behind {expected}");
        n_missing += sequence - *expected;
        assert!(sequence == *expected || event["source"].as_str().unwrap().starts_with("/cameras/"), "{event}");
        *expected = sequence + 1;
        n_came += usize::from(event["type"] == "xueliang.sensor.reading.v1");
    }
    assert_eq!(n_came, n_readings, "readings");
    assert!((1..=n_dropped).contains(&n_missing), "{n_missing} missing, {n_dropped} counted as dropped");
}

fn id(body: &[u8]) -> String {
    let event: Value = serde_json::from_slice(body).unwrap();
    event["id"].as_str().unwrap().to_owned()
}
