//! Two alerting instances on PostgreSQL and Kafka, killed again and again, and the database with them: nothing is lost, nothing
//! counts twice, the incidents are those that a pure run of the rules over the same events opens, and each is told of once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use xueliang_alerting::group::incident_id;
use xueliang_events::{
    Class, DEAD_LETTER_TOPIC, EVENTS_TOPIC, Event, INCIDENTS_TOPIC, Payload, SessionId, Source, payload::ZoneOccupancy,
    values::Counts,
};
use xueliang_rules::{Engine, Memory, RuleSet};
use xueliang_settings::Document;
use xueliang_tests::{
    deployment::free_port, kafka::Kafka, parts, postgres::Postgres, process::Process, receiver::Receiver, wait,
};

use crate::two_instances::RULE;

const CAMERAS: u64 = 60;

/// One camera's count goes up and down at random, so that the rule fires now and then; an hour ago, so that only events decide.
fn events(n_events: u64, seed: u64) -> Vec<Event> {
    let mut chance = StdRng::seed_from_u64(seed);
    let start = Timestamp::now().checked_sub(SignedDuration::from_hours(20)).unwrap();
    let mut counts = vec![0u32; CAMERAS as usize];
    let mut say = |nth: u64| {
        let (camera, step) = (nth % CAMERAS, nth / CAMERAS);
        let count = &mut counts[camera as usize];
        *count = if chance.random_ratio(1, 40) {
            3
        } else if chance.random_ratio(1, 4) {
            0
        } else {
            *count
        };
        let zone = "plaza".parse().unwrap();
        let counts = Counts::default().with(Class::Person, *count);
        let payload: Payload =
            ZoneOccupancy { zone, counts, heartbeat: false, snapshot: None, analysed_fps: None }.into();
        let time = start.checked_add(SignedDuration::from_secs(step.cast_signed())).unwrap();
        Event {
            source: Source::Camera(format!("cam-{camera}").parse().unwrap()),
            session: SessionId(uuid::Uuid::from_u128(u128::from(camera) + 1)),
            sequence: step,
            time,
            received_at: time,
            grid: Some(format!("34020300100{:04}", 1000 + camera).parse().unwrap()),
            owner_epoch: None,
            payload,
        }
    };
    (0..n_events).map(&mut say).collect()
}

/// What the rules make of the events, without a store: each place's first firing opens, the others join.
fn expected(events: &[Event]) -> (BTreeSet<String>, u64) {
    let read = |reader: &mut xueliang_settings::Reader<'_>| Some(RuleSet::read(reader));
    let engine = Engine::new(Document::from_text("rules.toml", RULE.to_owned()).read(read).unwrap());
    let mut memories: BTreeMap<String, Memory> = BTreeMap::new();
    let (mut opened, mut n_firings) = (BTreeMap::new(), 0);
    for event in events {
        let memory = memories.entry(event.source.key()).or_default();
        for firing in engine.observe(memory, event).firings {
            n_firings += 1;
            opened.entry((firing.device.clone(), firing.place.to_string())).or_insert_with(|| incident_id(&firing));
        }
    }
    (opened.into_values().map(|id| id.to_string()).collect(), n_firings)
}

/// What both instances speak to.
struct Around {
    brokers: String,
    database: Postgres,
    receiver: Receiver,
}

impl Around {
    /// The settings that name it; every incident gets a message of its own, for each camera stands in its own grid.
    fn settings(&self) -> String {
        let (brokers, database, url) = (&self.brokers, self.database.settings(), self.receiver.url());
        format!(
            "[alerting.kafka]\nbrokers = {brokers:?}\n{database}[[notify]]\nname = \"duty\"\nchannel = \"webhook\"\n\
             url = {url:?}\nsecret_file = \"secret\"\nassessment = \"a\"\nkinds = [\"opened\"]\ngroup_wait = \"1s\"\nper_minute = 600\n"
        )
    }
}

struct Instance {
    process: Process,
}

impl Instance {
    fn start(folder: &Path, name: &str, around: &Around) -> Result<Self> {
        let file = folder.join(format!("{name}.toml"));
        let port = free_port()?;
        let text = format!(
            "[alerting]\nlisten = \"127.0.0.1:{port}\"\ndata_dir = {:?}\nregion = \"340203\"\npublic_url = \"https://grid.example\"\nallowed_endpoints = [{:?}]\n{}{RULE}",
            folder.join(name),
            around.receiver.addr().to_string(),
            around.settings()
        );
        std::fs::write(&file, text)?;
        let log = folder.join(format!("{name}.log"));
        let process = Process::spawn(name, &parts::program("xueliang")?, &log, |command| {
            command.arg("alerting").arg("--config").arg(&file);
        })?;
        Ok(Self { process })
    }
}

/// Sends events while instances and the database die; what is in the store afterwards is what the rules say.
fn drill(n_events: u64, n_kills: u32) -> Result<()> {
    let seed = rand::rng().random();
    eprintln!("seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let kafka = Kafka::start(&folder.path().join("kafka"))?;
    std::fs::write(folder.path().join("secret"), format!("whsec_{}", STANDARD.encode([7; 24])))?;
    let mut around = Around { brokers: kafka.brokers(), database: Postgres::start()?, receiver: Receiver::start()? };
    make_topics(&around.brokers)?;
    let events = events(n_events, seed);
    let sending = send(&around.brokers, events.clone());
    let start = |name: &str, around: &Around| Instance::start(folder.path(), name, around);
    let mut instances = [start("one", &around)?, start("two", &around)?];
    for nth in 0..n_kills {
        std::thread::sleep(Duration::from_millis(chance.random_range(500..4000)));
        let victim = chance.random_range(0..2);
        instances[victim].process.check_running()?;
        instances[victim].process.kill()?;
        if nth % 3 == 2 {
            around.database.kill()?;
            std::thread::sleep(Duration::from_millis(chance.random_range(0..2000)));
            around.database.resume()?;
        }
        std::thread::sleep(Duration::from_millis(chance.random_range(0..1500)));
        instances[victim] = start(["one", "two"][victim], &around)?;
    }
    let Around { database, receiver, .. } = &around;
    sending.join().map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    wait::until("all events to be stored", Duration::from_secs(300), || {
        for instance in &mut instances {
            instance.process.check_running()?;
        }
        let n_stored = database.count("SELECT count(*) FROM event")?;
        ensure!(n_stored >= n_events, "{n_stored} of {n_events} are stored");
        Ok(Some(()))
    })?;
    let (incidents, n_firings) = expected(&events);
    ensure!(!incidents.is_empty(), "the events should make something fire");
    let found: BTreeSet<String> = database.query("SELECT id FROM incident")?.into_iter().collect();
    assert_eq!(found, incidents, "seed {seed}");
    assert_eq!(database.count("SELECT count(*) FROM event")?, n_events);
    assert_eq!(database.count("SELECT count(*) FROM firing")?, n_firings);
    assert_eq!(database.count("SELECT sum(n_firings)::bigint FROM incident")?, n_firings);
    wait::until("each incident to be announced", Duration::from_secs(60), || {
        Ok((database.count("SELECT count(*) FROM outbox")? == 0).then_some(()))
    })?;
    let announced = kafka.read_all(INCIDENTS_TOPIC)?;
    let ids: Result<BTreeSet<String>> = announced
        .iter()
        .map(|message| Ok(Event::from_json(&message.payload).ok().context("no event")?.id().to_string()))
        .collect();
    assert_eq!(ids?.len(), incidents.len(), "each incident under one id, however often it was sent");
    told_once(database, receiver, &incidents)
}

/// Each incident stands in one message; one that was on its way when an instance was killed may come again, under the same id.
fn told_once(database: &Postgres, receiver: &Receiver, incidents: &BTreeSet<String>) -> Result<()> {
    wait::until("each incident to be told of", Duration::from_secs(240), || {
        let n_told = database.count("SELECT count(*) FROM notification WHERE outcome = 'delivered'")?;
        ensure!(n_told == incidents.len() as u64, "{n_told} messages of {} are delivered", incidents.len());
        Ok(Some(()))
    })?;
    assert_eq!(database.count("SELECT count(*) FROM notification")?, incidents.len() as u64);
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for message in receiver.messages() {
        let named = message.body["data"]["incidents"].as_array().context("a message without incidents")?;
        assert_eq!((named.len(), &message.body["data"]["n_more"]), (1, &serde_json::json!(0)));
        let incident = named[0]["id"].as_str().context("an incident without an id")?;
        told.entry(incident.to_owned()).or_default().insert(message.id);
    }
    assert_eq!(told.keys().cloned().collect::<BTreeSet<String>>(), *incidents);
    assert!(told.values().all(|messages| messages.len() == 1), "{told:?}");
    Ok(())
}

fn make_topics(brokers: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let topic = |name| NewTopic::new(name, 6, TopicReplication::Fixed(1));
    let topics = [EVENTS_TOPIC, INCIDENTS_TOPIC, DEAD_LETTER_TOPIC].map(topic);
    let made = tokio::runtime::Runtime::new()?.block_on(admin.create_topics(&topics, &AdminOptions::new()))?;
    for topic in made {
        topic.map_err(|(name, error)| anyhow::anyhow!("{name}: {error}"))?;
    }
    Ok(())
}

/// Sends them in their order, as fast as the broker takes them.
fn send(brokers: &str, events: Vec<Event>) -> std::thread::JoinHandle<Result<()>> {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.messages", "10000");
    std::thread::spawn(move || {
        let producer: BaseProducer = client.create()?;
        for event in events {
            let (key, json) = (event.source.key(), event.to_json()?);
            while producer.send(BaseRecord::to(EVENTS_TOPIC).key(&key).payload(&json)).is_err() {
                producer.poll(Duration::from_millis(10));
            }
            producer.poll(Duration::ZERO);
        }
        Ok(producer.flush(Duration::from_secs(60))?)
    })
}

#[test]
fn nothing_is_lost_or_counted_twice_when_instances_and_the_database_die() {
    drill(6_000, 6).unwrap();
}

#[test]
#[ignore = "takes minutes; ./check --full runs it"]
fn nothing_is_lost_or_counted_twice_in_a_hundred_thousand_events() {
    drill(120_000, 40).unwrap();
}
