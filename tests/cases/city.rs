//! A city in small: ingest, two alerting instances and Apache Kafka as separate processes; the broker goes away for a while, an
//! instance is killed, and every event is in the store exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::kafka::{Kafka, Message};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};
use xueliang_tests::{parts, wait};

use crate::{leaks, store};

const EVENTS: &str = "xueliang.events.v1";
const BROKER_AWAY: Duration = Duration::from_secs(20);

/// The parts of the city that tests stop and start.
pub struct City {
    /// The broker.
    pub kafka: Kafka,
    folder: tempfile::TempDir,
    deployment: Deployment,
    ports: [u16; 3],
    n_cameras: usize,
    _street: SimCam,
}

impl City {
    /// Cameras on the street, a broker, and settings for one ingest worker and two alerting instances on one store.
    pub fn new(n_cameras: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kafka = Kafka::start(&folder.path().join("kafka")).unwrap();
        let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
        let cameras = Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), n_cameras);
        let street = SimCam::start(0, Some(&login), cameras).unwrap();
        let deployment = Deployment::new(folder.path()).unwrap();
        for index in 1..=n_cameras {
            let url = street.url(&format!("/cam/{index}"));
            deployment.add_street_camera(&format!("street-{index:02}"), &url, &login).unwrap();
        }
        let ports = [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()];
        write_settings(&deployment, &kafka, ports);
        Self { kafka, folder, deployment, ports, n_cameras, _street: street }
    }

    /// Alerting's folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("state/alerting")
    }

    /// Starts one of the two alerting instances, 1 or 2, and signs in.
    pub fn alerting(&self, instance: usize) -> (Process, Client) {
        let name = format!("alerting-{instance}");
        let mut process = self.deployment.start("alerting", &format!("{name}.toml"), &name).unwrap();
        let client = self.deployment.sign_in(&mut process, self.ports[instance], "operator").unwrap();
        (process, client)
    }

    /// Starts the ingest worker.
    pub fn ingest(&self) -> (Process, Client) {
        let mut process = self.deployment.start("ingest", "ingest.toml", "ingest").unwrap();
        let client = Client::new(self.ports[0]).unwrap();
        wait_ready(&mut process, &client).unwrap();
        (process, client)
    }

    /// Waits until every camera has events in the store beside those there now.
    pub fn wait_for_new_events(&self) {
        let known = store::event_ids(&self.data_dir());
        wait::until("new events of every camera", Duration::from_secs(90), || {
            let devices = store::devices_beyond(&self.data_dir(), &known);
            anyhow::ensure!(devices.len() == self.n_cameras, "new events of {devices:?}");
            Ok(Some(()))
        })
        .unwrap();
    }

    /// After ingest has ended: all that was sent is stored, once; incidents are once each; nothing leaked. The number of
    /// camera sessions.
    pub fn check(&self, client: &Client) -> usize {
        let sent = self.kafka.read_all(EVENTS).unwrap();
        let sent_ids: BTreeSet<String> = sent.iter().map(|message| field(&message.payload, "id")).collect();
        wait::until("everything sent to be stored", Duration::from_secs(60), || {
            let stored = store::event_ids(&self.data_dir());
            anyhow::ensure!(stored == sent_ids, "{} of {} stored", stored.len(), sent_ids.len());
            Ok(Some(()))
        })
        .unwrap();
        assert_eq!(store::n_events(&self.data_dir()), sent_ids.len());
        check_incidents(client);
        check_tracks(&sent);
        for message in sent.iter().chain(&self.kafka.read_all("xueliang.incidents.v1").unwrap()) {
            leaks::check_bytes("a message in Kafka", &message.payload);
        }
        for log in ["ingest.log", "alerting-1.log", "alerting-2.log"] {
            leaks::check_log(&self.folder.path().join(log));
        }
        store::check_sequences(&self.data_dir())
    }
}

#[test]
fn through_kafka_nothing_is_lost_and_nothing_is_twice() {
    let mut city = City::new(3);
    let (mut first, first_client) = city.alerting(1);
    let (mut second, second_client) = city.alerting(2);
    let (mut ingest, ingest_client) = city.ingest();
    wait::until("an incident at both instances", Duration::from_secs(90), || {
        let incidents = second_client.incidents(None)?;
        Ok((!incidents.is_empty() && !first_client.incidents(None)?.is_empty()).then_some(()))
    })
    .unwrap();
    let ready = String::from_utf8(ingest_client.fetch("/readyz").unwrap().1).unwrap();
    assert!(ready.contains(" on cpu"), "what runs is told: {ready}");

    city.kafka.stop().unwrap();
    let away_since = Instant::now();
    let says_so = || Ok((!ingest_client.is_ready()?).then_some(()));
    wait::until("ingest to say that the broker is away", BROKER_AWAY, says_so).unwrap();
    wait::until("events to pile up for 20 s", BROKER_AWAY * 2, || {
        let n_waiting = ingest_client.metric("xueliang_outbox_events", "")?;
        Ok((away_since.elapsed() >= BROKER_AWAY && n_waiting > 20.0).then_some(()))
    })
    .unwrap();
    city.kafka.resume().unwrap();
    wait::until("the outbox to empty", Duration::from_secs(60), || {
        Ok((ingest_client.is_ready()? && ingest_client.metric("xueliang_outbox_events", "")? < 5.0).then_some(()))
    })
    .unwrap();

    first.kill().unwrap();
    city.wait_for_new_events();
    second.check_running().unwrap();
    ingest.terminate(Duration::from_secs(30)).unwrap();
    assert_eq!(city.check(&second_client), 3, "one session a camera");
    second.terminate(Duration::from_secs(20)).unwrap();
}

/// The long drill of `./check --full`: for some minutes every part is killed or stopped in turn, again and again.
#[test]
#[ignore = "takes minutes; ./check --full runs it"]
fn drill_every_part_dies_in_turn_and_nothing_is_lost() {
    const ROUNDS: usize = 5;
    let mut city = City::new(4);
    let (mut first, _) = city.alerting(1);
    let (mut second, mut client) = city.alerting(2);
    let (mut ingest, _) = city.ingest();
    for round in 0..ROUNDS {
        println!("round {round}");
        city.wait_for_new_events();
        ingest.kill().unwrap();
        (ingest, _) = city.ingest();
        city.wait_for_new_events();
        first.kill().unwrap();
        city.wait_for_new_events();
        (first, _) = city.alerting(1);
        city.kafka.stop().unwrap();
        second.kill().unwrap();
        city.kafka.resume().unwrap();
        city.wait_for_new_events();
        (second, client) = city.alerting(2);
    }
    ingest.terminate(Duration::from_secs(30)).unwrap();
    let n_sessions = city.check(&client);
    assert_eq!(n_sessions, 4 * (ROUNDS + 1), "each start of ingest is one session a camera");
    first.terminate(Duration::from_secs(20)).unwrap();
    second.terminate(Duration::from_secs(20)).unwrap();
}

/// RULES P10: a track id says nothing outside its camera and session.
fn check_tracks(sent: &[Message]) {
    let mut seen: BTreeMap<String, (String, String)> = BTreeMap::new();
    for message in sent {
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        let Some(track) = event["data"]["track"].as_str() else { continue };
        let place = (event["source"].to_string(), event["session"].to_string());
        let first = seen.entry(track.to_owned()).or_insert_with(|| place.clone());
        assert_eq!(*first, place, "track {track} joins two cameras or sessions");
    }
    assert!(seen.len() > 10, "only {} tracks", seen.len());
}

/// One incident at most for each category and camera.
fn check_incidents(client: &Client) {
    let incidents = client.incidents(None).unwrap();
    assert!(incidents.len() >= 3, "{incidents:#?}");
    let mut places = BTreeSet::new();
    for incident in &incidents {
        let place = (incident["category"].to_string(), incident["device"]["id"].to_string());
        assert!(places.insert(place), "twice: {incident:#}");
    }
}

fn write_settings(deployment: &Deployment, kafka: &Kafka, [ingest, first, second]: [u16; 3]) {
    let demo = fs::read_to_string(parts::checkout().join("deploy/samples/demo.toml")).unwrap();
    let (ingest_part, alerting_part) = demo.split_once("[alerting]").unwrap();
    let brokers = kafka.brokers();
    let ingest_settings = format!("{ingest_part}[ingest.kafka]\nbrokers = \"{brokers}\"\n")
        .replace("[ingest]\n", &format!("[ingest]\nlisten = \"127.0.0.1:{ingest}\"\n"));
    deployment.write("ingest.toml", &ingest_settings, &[]).unwrap();
    for (file, port) in [("alerting-1.toml", first), ("alerting-2.toml", second)] {
        let settings = format!("[alerting]{alerting_part}\n[alerting.kafka]\nbrokers = \"{brokers}\"\n");
        deployment.write(file, &settings, &[("LISTEN", &format!("127.0.0.1:{port}"))]).unwrap();
    }
}

fn field(payload: &[u8], name: &str) -> String {
    let event: Value = serde_json::from_slice(payload).unwrap();
    event[name].as_str().unwrap().to_owned()
}
