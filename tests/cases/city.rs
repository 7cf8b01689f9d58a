//! A city in small: ingest, two alerting instances and Apache Kafka as separate processes; the broker goes away for a while, an
//! instance is killed, and every event is in the store exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::kafka::{Kafka, Message};
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};
use xueliang_tests::{parts, wait};

use crate::{leaks, store};

const EVENTS: &str = "xueliang.events.v1";
const BROKER_AWAY: Duration = Duration::from_secs(20);

#[test]
fn through_kafka_nothing_is_lost_and_nothing_is_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("state/alerting");
    let mut kafka = Kafka::start(&folder.path().join("kafka")).unwrap();
    let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
    let street =
        SimCam::start(0, Some(&login), Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), 3)).unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    for index in 1..=3 {
        let url = street.url(&format!("/cam/{index}"));
        deployment.add_street_camera(&format!("street-{index:02}"), &url, &login).unwrap();
    }
    let ports = [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()];
    write_settings(&deployment, &kafka, ports);

    let mut first = deployment.start("alerting", "alerting-1.toml", "alerting-1").unwrap();
    let first_client = deployment.sign_in(&mut first, ports[1], "operator").unwrap();
    let mut second = deployment.start("alerting", "alerting-2.toml", "alerting-2").unwrap();
    let second_client = deployment.sign_in(&mut second, ports[2], "operator").unwrap();
    let mut ingest = deployment.start("ingest", "ingest.toml", "ingest").unwrap();
    let ingest_client = Client::new(ports[0]).unwrap();
    wait_ready(&mut ingest, &ingest_client).unwrap();
    wait::until("an incident at the other instance", Duration::from_secs(90), || {
        let incidents = second_client.incidents(None)?;
        Ok((!incidents.is_empty() && !first_client.incidents(None)?.is_empty()).then_some(()))
    })
    .unwrap();

    kafka.stop().unwrap();
    let away_since = Instant::now();
    wait::until(
        "ingest to say that the broker is away",
        BROKER_AWAY,
        || Ok((!ingest_client.is_ready()?).then_some(())),
    )
    .unwrap();
    wait::until("events to pile up for 20 s", BROKER_AWAY * 2, || {
        let n_waiting = ingest_client.metric("xueliang_outbox_events", "")?;
        Ok((away_since.elapsed() >= BROKER_AWAY && n_waiting > 20.0).then_some(()))
    })
    .unwrap();
    kafka.resume().unwrap();
    wait::until("the outbox to empty", Duration::from_secs(60), || {
        Ok((ingest_client.is_ready()? && ingest_client.metric("xueliang_outbox_events", "")? < 5.0).then_some(()))
    })
    .unwrap();

    first.kill().unwrap();
    let known = store::event_ids(&data_dir);
    wait::until("the other instance to take over every camera", Duration::from_secs(60), || {
        second.check_running()?;
        let new = store::devices_beyond(&data_dir, &known);
        anyhow::ensure!(new.len() == 3, "new events of {new:?}");
        Ok(Some(()))
    })
    .unwrap();

    ingest.terminate(Duration::from_secs(30)).unwrap();
    let sent = kafka.read_all(EVENTS).unwrap();
    let sent_ids: BTreeSet<String> = sent.iter().map(|message| field(&message.payload, "id")).collect();
    wait::until("everything sent to be stored", Duration::from_secs(60), || {
        let stored = store::event_ids(&data_dir);
        anyhow::ensure!(stored == sent_ids, "{} of {} stored", stored.len(), sent_ids.len());
        Ok(Some(()))
    })
    .unwrap();
    assert_eq!(store::n_events(&data_dir), sent_ids.len());
    assert_eq!(store::check_sequences(&data_dir), 3, "one session a camera");
    check_incidents(&second_client);
    check_tracks(&sent);
    second.terminate(Duration::from_secs(20)).unwrap();
    for message in sent.iter().chain(&kafka.read_all("xueliang.incidents.v1").unwrap()) {
        leaks::check_bytes("a message in Kafka", &message.payload);
    }
    for log in ["ingest.log", "alerting-1.log", "alerting-2.log"] {
        leaks::check_log(&folder.path().join(log));
    }
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
