//! Two alerting instances in one Kafka consumer group on one store: what one leaves the other takes, incidents are announced
//! once, and what can't be read goes to the dead letters.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use tokio_util::sync::CancellationToken;
use xueliang_alerting::{AlertingSettings, Running, start};
use xueliang_events::{
    Class, DEAD_LETTER_TOPIC, EVENTS_TOPIC, Event, INCIDENTS_TOPIC, Payload, SessionId, Source, payload::ZoneOccupancy,
    values::Counts,
};
use xueliang_settings::Document;
use xueliang_tests::kafka::Kafka;

/// Three people on the plaza for two seconds.
pub const RULE: &str = r#"
[[rule]]
id = "plaza"
version = 1
category = "crowding"
kind = "occupancy"
at_least = 3
enabled = true
zone = "plaza"
for = "2s"
owner = "o"
legal_basis = "l"
department = "d"
assessment = "a"
deadline = "2h"
"#;

const CAMERAS: u32 = 12;

async fn instance(folder: &Path, brokers: &str) -> (String, CancellationToken, Running) {
    let text = format!(
        "[alerting]\nlisten = \"127.0.0.1:0\"\ndata_dir = {folder:?}\nregion = \"340203\"\n[alerting.kafka]\nbrokers = {brokers:?}\n{RULE}"
    );
    let settings = Document::from_text("test.toml", text).read(AlertingSettings::read).unwrap();
    let shutdown = CancellationToken::new();
    let (started, running) = start(settings, None, prometheus::Registry::new(), shutdown.clone()).await.unwrap();
    (format!("http://{}", started.listen_addr), shutdown, running)
}

/// The `second`-th word of each camera; three people from the tenth second on.
async fn produce(producer: &FutureProducer, start: Timestamp, seconds: std::ops::Range<u32>) {
    for second in seconds {
        say(producer, start, second, if second >= 10 { 3 } else { 0 }).await;
    }
}

/// The `second`-th word of each camera: so many people.
async fn say(producer: &FutureProducer, start: Timestamp, second: u32, n: u32) {
    for camera in 0..CAMERAS {
        let time = start.checked_add(SignedDuration::from_secs(i64::from(second))).unwrap();
        let payload: Payload = ZoneOccupancy {
            analysed_fps: None,
            zone: "plaza".parse().unwrap(),
            counts: Counts::default().with(Class::Person, n),
            heartbeat: false,
            snapshot: None,
        }
        .into();
        let event = Event {
            source: Source::Camera(format!("cam-{camera}").parse().unwrap()),
            session: SessionId(uuid::Uuid::from_u128(u128::from(camera) + 1)),
            sequence: u64::from(second),
            time,
            received_at: time,
            grid: None,
            owner_epoch: None,
            payload,
        };
        let (key, json) = (event.source.key(), event.to_json().unwrap());
        let record = FutureRecord::to(EVENTS_TOPIC).key(&key).payload(&json);
        producer.send(record, Duration::from_secs(5)).await.unwrap();
    }
}

#[derive(Debug, Default, PartialEq)]
struct Counted {
    n_events: i64,
    n_incidents: i64,
    n_firings: i64,
    n_outbox: i64,
}

fn count(folder: &Path) -> Counted {
    let store = rusqlite::Connection::open(folder.join("alerting.sqlite")).unwrap();
    let one = |sql: &str| store.query_row(sql, [], |row| row.get(0)).unwrap();
    Counted {
        n_events: one("SELECT count(*) FROM event"),
        n_incidents: one("SELECT count(*) FROM incident"),
        n_firings: one("SELECT count(*) FROM firing"),
        n_outbox: one("SELECT count(*) FROM outbox"),
    }
}

async fn wait_for(folder: &Path, expected: &Counted) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while count(folder) != *expected {
        assert!(Instant::now() < deadline, "{:?}, wanted {expected:?}", count(folder));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A broker with the topics, and a producer on it.
async fn city(folder: &Path) -> (Kafka, FutureProducer) {
    let kafka = Kafka::start(&folder.join("kafka")).unwrap();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka.brokers());
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let topics =
        [EVENTS_TOPIC, INCIDENTS_TOPIC, DEAD_LETTER_TOPIC].map(|t| NewTopic::new(t, 4, TopicReplication::Fixed(1)));
    admin.create_topics(&topics, &AdminOptions::new()).await.unwrap();
    (kafka, client.create().unwrap())
}

/// The crowds would be complete when the next instance starts, but for an event that nobody has read yet.
#[tokio::test(flavor = "multi_thread")]
async fn time_passes_only_as_far_as_the_log_has_been_read() {
    let folder = tempfile::tempdir().unwrap();
    let (kafka, producer) = city(folder.path()).await;
    let cameras = i64::from(CAMERAS);
    let (_, shutdown, first) = instance(folder.path(), &kafka.brokers()).await;
    let start = Timestamp::now().checked_add(SignedDuration::from_secs(5)).unwrap();
    say(&producer, start, 0, 3).await;
    wait_for(folder.path(), &Counted { n_events: cameras, ..Counted::default() }).await;
    shutdown.cancel();
    first.ended().await;
    say(&producer, start, 1, 0).await;
    let complete = start.checked_add(SignedDuration::from_secs(3)).unwrap();
    tokio::time::sleep(complete.duration_since(Timestamp::now()).unsigned_abs()).await;

    let (_, shutdown, second) = instance(folder.path(), &kafka.brokers()).await;
    wait_for(folder.path(), &Counted { n_events: 2 * cameras, ..Counted::default() }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count(folder.path()), Counted { n_events: 2 * cameras, ..Counted::default() });

    let now = Timestamp::now().duration_since(start).as_secs();
    say(&producer, start, u32::try_from(now).unwrap(), 3).await;
    let expected = Counted { n_events: 3 * cameras, n_incidents: cameras, n_firings: cameras, n_outbox: 0 };
    wait_for(folder.path(), &expected).await;
    shutdown.cancel();
    second.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_instance_takes_over_and_each_incident_comes_once() {
    let folder = tempfile::tempdir().unwrap();
    let (kafka, producer) = city(folder.path()).await;
    let brokers = kafka.brokers();
    let begin = Timestamp::now().checked_sub(SignedDuration::from_hours(1)).unwrap();

    let (_, first_shutdown, first) = instance(folder.path(), &brokers).await;
    produce(&producer, begin, 0..11).await;
    wait_for(folder.path(), &Counted { n_events: 11 * i64::from(CAMERAS), ..Counted::default() }).await;
    let (address, second_shutdown, second) = instance(folder.path(), &brokers).await;
    let refused = FutureRecord::to(EVENTS_TOPIC).key("x").payload("no event");
    producer.send(refused, Duration::from_secs(5)).await.unwrap();
    let more = tokio::spawn({
        let producer = producer.clone();
        async move { produce(&producer, begin, 11..30).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    first_shutdown.cancel();
    first.ended().await;
    more.await.unwrap();
    let cameras = i64::from(CAMERAS);
    let expected = Counted { n_events: 30 * cameras, n_incidents: cameras, n_firings: cameras, n_outbox: 0 };
    wait_for(folder.path(), &expected).await;
    let ready = reqwest::get(format!("{address}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200, "{}", ready.text().await.unwrap());
    for (topic, n_expected) in [(INCIDENTS_TOPIC, CAMERAS as usize), (DEAD_LETTER_TOPIC, 1)] {
        let messages = kafka.read_all(topic).unwrap();
        assert_eq!(messages.len(), n_expected, "{topic}");
        for message in messages {
            Event::from_json(&message.payload).unwrap();
        }
    }
    second_shutdown.cancel();
    second.ended().await;
}
