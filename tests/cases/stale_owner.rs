//! A camera has a new owner, and what its former one says arrives afterwards: what it saw before the takeover is kept, what it says of
//! the time after is refused, counted and told, and neither opens an incident nor counts in one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use xueliang_events::payload::{DeviceState, DeviceStatus, ZoneOccupancy};
use xueliang_events::values::Counts;
use xueliang_events::{Class, DEAD_LETTER_TOPIC, EVENTS_TOPIC, Event, Payload, SessionId, Source};
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::kafka::Kafka;
use xueliang_tests::wait;

use crate::store;
use crate::two_instances::RULE;

const SOON: Duration = Duration::from_secs(30);
/// The second at which the new owner begins.
const TAKEOVER: u32 = 10;
const SETTINGS: &str = r#"
[alerting]
listen = "@LISTEN@"
data_dir = "state/alerting"
region = "340203"
[alerting.kafka]
brokers = "@BROKERS@"
"#;

/// One worker's run as a camera's owner.
struct Owner<'k> {
    kafka: &'k Kafka,
    camera: &'static str,
    epoch: u64,
    session: SessionId,
    begin: Timestamp,
    n_said: u64,
}

impl<'k> Owner<'k> {
    fn new(kafka: &'k Kafka, camera: &'static str, epoch: u64, begin: Timestamp) -> Self {
        Self { kafka, camera, epoch, session: SessionId::random(), begin, n_said: 0 }
    }

    /// Says in each of these seconds how many people stand on the plaza.
    fn count(&mut self, seconds: std::ops::Range<u32>, n_people: u32) {
        for second in seconds {
            let counts = Counts::default().with(Class::Person, n_people);
            let zone = "plaza".parse().unwrap();
            self.say(
                second,
                ZoneOccupancy { zone, counts, heartbeat: false, snapshot: None, analysed_fps: None }.into(),
            );
        }
    }

    fn is(&mut self, second: u32, state: DeviceState) {
        let since = self.at(second);
        self.say(second, DeviceStatus::new(state, since).into());
    }

    fn say(&mut self, second: u32, payload: Payload) {
        let time = self.at(second);
        let event = Event {
            source: Source::Camera(self.camera.parse().unwrap()),
            session: self.session,
            sequence: self.n_said,
            time,
            received_at: time,
            grid: None,
            owner_epoch: Some(self.epoch),
            payload,
        };
        self.n_said += 1;
        self.kafka.produce(EVENTS_TOPIC, self.camera, &event.to_json().unwrap()).unwrap();
    }

    fn at(&self, second: u32) -> Timestamp {
        self.begin + SignedDuration::from_secs(i64::from(second))
    }
}

#[test]
fn what_a_stale_owner_says_late_is_refused_and_counts_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(&folder.path().join("kafka")).unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    let (port, brokers) = (free_port().unwrap(), kafka.brokers());
    let words = [("LISTEN", format!("127.0.0.1:{port}")), ("BROKERS", brokers)];
    let words = words.each_ref().map(|(word, value)| (*word, value.as_str()));
    deployment.write("alerting.toml", &format!("{SETTINGS}{RULE}"), &words).unwrap();
    let mut process = deployment.start("alerting", "alerting.toml", "alerting").unwrap();
    let client = deployment.sign_in(&mut process, port, "operator").unwrap();
    let data_dir = folder.path().join("state/alerting");
    let wait_stored = |n_events: usize| {
        wait::until("the events to be taken in", SOON, || {
            let n_stored = store::n_events(&data_dir);
            anyhow::ensure!(n_stored == n_events, "{n_stored} of {n_events}");
            Ok(Some(()))
        })
        .unwrap();
    };

    let begin = Timestamp::now() - SignedDuration::from_mins(2);
    let [mut quiet_before, mut busy_before] = ["quiet", "busy"].map(|camera| Owner::new(&kafka, camera, 5, begin));
    let [mut quiet, mut busy] = ["quiet", "busy"].map(|camera| Owner::new(&kafka, camera, 7, begin));
    quiet_before.count(0..5, 0);
    busy_before.count(0..5, 0);
    quiet.is(TAKEOVER, DeviceState::Live);
    quiet.count(TAKEOVER..TAKEOVER + 10, 0);
    busy.is(TAKEOVER, DeviceState::Live);
    busy.count(TAKEOVER..TAKEOVER + 10, 4);
    wait_stored(32);
    let incidents = wait::until("the new owner's incident", SOON, || {
        let incidents = client.incidents(None)?;
        Ok((!incidents.is_empty()).then_some(incidents))
    })
    .unwrap();
    assert_eq!(devices_of(&incidents), ["busy"]);
    let incident = whole(&client, &incidents[0]);
    let devices = client.devices().unwrap();

    // Seen before the takeover: late, and true.
    quiet_before.count(5..9, 0);
    wait_stored(36);
    // Said of the time after it, when the successor was watching.
    quiet_before.is(TAKEOVER + 1, DeviceState::Unreachable);
    quiet_before.count(TAKEOVER + 1..TAKEOVER + 20, 6);
    busy_before.count(TAKEOVER + 1..TAKEOVER + 20, 0);
    wait::until("the stale owner's events to be refused", SOON, || {
        let n_stale = client.metric("xueliang_stale_owner_events_total", "")?;
        anyhow::ensure!(n_stale == 39.0, "{n_stale} of 39 are counted");
        let letters = kafka.read_all(DEAD_LETTER_TOPIC)?;
        anyhow::ensure!(letters.len() == 39, "{} of 39 are dead letters", letters.len());
        Ok(Some(letters))
    })
    .unwrap()
    .iter()
    .for_each(|letter| {
        let letter: Value = serde_json::from_slice(&letter.payload).unwrap();
        assert_eq!(letter["data"]["path"], "ownerepoch", "{letter}");
    });
    assert_eq!(store::n_events(&data_dir), 36, "a refused event is not stored");
    assert_eq!(devices_of(&client.incidents(None).unwrap()), ["busy"]);
    assert_eq!(whole(&client, &incidents[0]), incident, "the incident goes on as its camera's owner has it");
    for camera in ["quiet", "busy"] {
        assert_eq!(client.devices().unwrap()[camera]["state"], devices[camera]["state"]);
    }

    // The owner itself goes on to be heard.
    quiet.count(TAKEOVER + 10..TAKEOVER + 20, 5);
    wait::until("the owner's own incident", SOON, || Ok((client.incidents(None)?.len() == 2).then_some(()))).unwrap();
    process.terminate(SOON).unwrap();
}

fn devices_of(incidents: &[Value]) -> Vec<&str> {
    incidents.iter().map(|incident| incident["device"]["id"].as_str().unwrap()).collect()
}

fn whole(client: &Client, incident: &Value) -> Value {
    client.incident(incident["id"].as_str().unwrap()).unwrap()
}
