//! Three workers share the cameras of a registry: each camera is pulled by one of them, whoever is killed, stopped or cut off.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::faults::Flow;
use xueliang_tests::kafka::Kafka;
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Login, Play, SimCam};
use xueliang_tests::{parts, wait};

use crate::leaks;
use crate::reload::{Api, TOKEN};

/// The registry's topic.
pub const CAMERAS: &str = "xueliang.cameras.v1";
const EVENTS: &str = "xueliang.events.v1";
/// Cameras of the registry; on the street stands one more.
pub const N_CAMERAS: usize = 6;
const N_WORKERS: usize = 3;
const TAKE_OVER: Duration = Duration::from_secs(15);
/// Time for workers to start and to share the cameras.
pub const START: Duration = Duration::from_secs(60);
/// Owners that stayed for so long stay.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
const SESSION: Duration = Duration::from_secs(6);

const CAMERA: &str = "[[camera]]\n\
    id = \"@ID@\"\n\
    url = \"@URL@\"\n\
    @AUTHORIZATION@\n\
    credentials = { username = \"admin\", password_file = \"camera-password\" }\n\
    gate = \"keyframes\"\n\
    analysis_fps = @FPS@\n";

const SETTINGS: &str = "[ingest]\n\
    data_dir = \"state/@NAME@\"\n\
    listen = \"@LISTEN@\"\n\
    [ingest.api]\n\
    token_file = \"token\"\n\
    [ingest.kafka]\n\
    brokers = \"@BROKERS@\"\n\
    [ingest.registry]\n\
    @MODEL@\n";

/// One worker and the ways into it.
pub struct Worker {
    /// Its process and log.
    pub process: Process,
    /// Its health and metrics.
    pub client: Client,
    api: Api,
}

/// A registry, a street and the workers that share it.
pub struct City {
    /// Those that were not killed.
    pub workers: Vec<Option<Worker>>,
    /// The broker.
    pub kafka: Kafka,
    /// The cameras, which know who plays them.
    pub street: SimCam,
    deployment: Deployment,
    folder: tempfile::TempDir,
}

impl City {
    /// A broker, a registry with all cameras and one bad record, and so many workers.
    pub fn new(n_workers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kafka = Kafka::start(&folder.path().join("kafka")).unwrap();
        let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
        let cameras = Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), N_CAMERAS + 1);
        let street = SimCam::start(0, Some(&login), cameras).unwrap();
        let deployment = Deployment::new(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("import")).unwrap();
        deployment.write_password("camera-password", &login).unwrap();
        std::fs::write(folder.path().join("token"), TOKEN).unwrap();
        let city = Self { workers: Vec::new(), kafka, street, deployment, folder };
        city.import(1..=N_CAMERAS, "1.0");
        city.kafka.produce(CAMERAS, "bad", b"no event").unwrap();
        let workers = (1..=n_workers).map(|index| Some(city.worker(index))).collect();
        Self { workers, ..city }
    }

    /// Puts these cameras into the registry, analysed so many times a second.
    pub fn import(&self, numbers: RangeInclusive<usize>, fps: &str) {
        let file = |index: usize| format!("import/{index}.toml");
        for index in numbers.clone() {
            let (id, url) = (format!("street-{index}"), self.street.url(&format!("/cam/{index}")));
            let words = [("ID", id.as_str()), ("URL", &url), ("FPS", fps)];
            self.deployment.write(&file(index), CAMERA, &words).unwrap();
        }
        self.camera(&[vec!["import".to_owned()], numbers.map(file).collect()].concat());
    }

    /// `xueliang camera …` on the registry.
    pub fn camera(&self, arguments: &[String]) {
        let mut command = Command::new(parts::program("xueliang").unwrap());
        command.arg("camera").args(arguments).current_dir(self.folder.path());
        let output = command.args(["--brokers", &self.kafka.brokers()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn worker(&self, index: usize) -> Worker {
        let (name, port) = (format!("worker-{index}"), free_port().unwrap());
        // The first goes its own way to the broker, so that it can be cut off alone.
        let brokers = if index == 1 { self.kafka.relay().address().to_string() } else { self.kafka.brokers() };
        let words = [("NAME", name.clone()), ("LISTEN", format!("127.0.0.1:{port}")), ("BROKERS", brokers)];
        let words = words.each_ref().map(|(word, value)| (*word, value.as_str()));
        self.deployment.write(&format!("{name}.toml"), SETTINGS, &words).unwrap();
        let process = self.deployment.start("ingest", &format!("{name}.toml"), &name).unwrap();
        Worker { process, client: Client::new(port).unwrap(), api: Api::new(port) }
    }

    /// Each camera as the API of its worker shows it.
    pub fn cameras(&self) -> BTreeMap<String, Value> {
        let lists = self.workers.iter().flatten().map(|worker| worker.api.call("GET", "/v1/cameras", None).1);
        let cameras = lists.flat_map(|list| list["cameras"].as_array().cloned().unwrap_or_default());
        cameras.map(|camera| (camera["id"].as_str().unwrap().to_owned(), camera)).collect()
    }

    /// For how long at most any camera had two clients at once, as the cameras saw it.
    fn longest_overlap(&self) -> Duration {
        let (plays, now) = (self.street.plays(), Instant::now());
        let overlap = |(nth, first): (usize, &Play)| {
            let others = plays[nth + 1..].iter().filter(|other| other.path == first.path);
            let both_ended = |other: &Play| first.ended.unwrap_or(now).min(other.ended.unwrap_or(now));
            others.map(|other| both_ended(other).saturating_duration_since(other.began)).max().unwrap_or_default()
        };
        plays.iter().enumerate().map(overlap).max().unwrap_or_default()
    }

    /// Which workers pull each camera now.
    fn owners(&self) -> BTreeMap<String, Vec<usize>> {
        let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, worker) in self.workers.iter().enumerate() {
            let Some((_, body)) = worker.as_ref().and_then(|worker| worker.client.fetch("/metrics").ok()) else {
                continue;
            };
            let text = String::from_utf8(body).unwrap();
            for line in text.lines().filter(|line| line.ends_with(" 1")) {
                let Some(rest) = line.strip_prefix("xueliang_camera_up{camera=\"") else { continue };
                owners.entry(rest.split('"').next().unwrap().to_owned()).or_default().push(index);
            }
        }
        owners
    }

    /// Waits until every camera is live at exactly one worker.
    pub fn wait_for_one_owner_each(&self, within: Duration) -> BTreeMap<String, usize> {
        wait::until("one owner for each camera", within, || {
            let owners = self.owners();
            let each_has_one = owners.len() == N_CAMERAS && owners.values().all(|workers| workers.len() == 1);
            anyhow::ensure!(each_has_one, "{owners:?}");
            Ok(Some(owners.into_iter().map(|(camera, workers)| (camera, workers[0])).collect()))
        })
        .unwrap()
    }

    /// The same, once it has not changed for a few seconds: workers that join one after the other share anew each time.
    pub fn settled_owners(&self) -> BTreeMap<String, usize> {
        let (mut known, mut since) = (self.wait_for_one_owner_each(START), Instant::now());
        wait::until("owners that stay", START, || {
            let now = self.wait_for_one_owner_each(START);
            if now != known {
                (known, since) = (now, Instant::now());
            }
            Ok((since.elapsed() > SETTLED_AFTER).then(|| known.clone()))
        })
        .unwrap()
    }

    /// The highest epoch of each camera in Kafka; checks that each session's events stand in order.
    fn epochs(&self) -> BTreeMap<String, u64> {
        let mut epochs: BTreeMap<String, u64> = BTreeMap::new();
        let mut sequences: BTreeMap<(String, String), u64> = BTreeMap::new();
        for message in self.kafka.read_all(EVENTS).unwrap() {
            leaks::check_bytes("a message in Kafka", &message.payload);
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            let session = (event["source"].to_string(), event["session"].to_string());
            let next = sequences.entry(session).or_default();
            let sequence = event["sequence"].as_u64().unwrap();
            assert!(sequence <= *next, "{event} came before {next}");
            *next = (*next).max(sequence + 1);
            let epoch = event["ownerepoch"].as_u64().unwrap();
            let camera = String::from_utf8(message.key).unwrap();
            let highest = epochs.entry(camera).or_default();
            *highest = epoch.max(*highest);
        }
        epochs
    }
}

#[test]
fn a_killed_workers_cameras_live_elsewhere_and_a_lost_broker_stops_nobody() {
    let mut city = City::new(N_WORKERS);
    let owners = city.settled_owners();
    let counts = (0..N_WORKERS).map(|index| owners.values().filter(|owner| **owner == index).count());
    println!("cameras per worker: {:?}", counts.collect::<Vec<_>>());
    let victim = owners["street-1"];
    wait::until("events of each", START, || Ok((city.epochs().len() > N_CAMERAS).then_some(()))).unwrap();
    let before = city.epochs();

    city.workers[victim].take().unwrap().process.kill().unwrap();
    let killed_at = Instant::now();
    let after = city.wait_for_one_owner_each(TAKE_OVER);
    println!("live elsewhere after {:?}, two pulled one camera for {:?}", killed_at.elapsed(), city.longest_overlap());
    assert!(city.longest_overlap() <= SESSION, "as the cameras saw it: {:?}", city.longest_overlap());
    for (camera, owner) in owners.iter().filter(|(_, owner)| **owner != victim) {
        assert_eq!(after[camera], *owner, "{camera} moved although its worker lives");
    }
    let moved = |camera: &&String| owners[*camera] == victim;
    wait::until("greater epochs", START, || {
        let epochs = city.epochs();
        Ok(after.keys().filter(moved).all(|camera| epochs[camera] > before[camera]).then_some(()))
    })
    .unwrap();

    broker_away(&mut city);
    city.camera(&["remove".to_owned(), "street-1".to_owned()]);
    let gone = || Ok((!city.owners().contains_key("street-1")).then_some(()));
    wait::until("the removed camera to stop", TAKE_OVER, gone).unwrap();
    for worker in city.workers.iter_mut().flatten() {
        worker.process.terminate(Duration::from_secs(30)).unwrap();
    }
    city.epochs();
}

/// One worker's way to the broker stalls: its cameras live elsewhere soon, and it stops pulling them in time.
#[test]
fn a_worker_that_is_cut_off_alone_gives_up_its_cameras() {
    let mut city = City::new(N_WORKERS);
    let mut owners = city.settled_owners();
    if owners.values().all(|owner| *owner != 0) {
        // Partitions are shared evenly, cameras are not: the first takes over some of what the last had.
        city.workers[N_WORKERS - 1] = None;
        owners = city.settled_owners();
    }
    assert!(owners.values().any(|owner| *owner == 0), "the first worker has cameras: {owners:?}");
    city.kafka.relay().set(Flow::Stall);
    let cut_at = Instant::now();
    let (mut elsewhere_after, mut stopped_after) = (None, None);
    wait::until("the first worker to stop and the others to take over", TAKE_OVER * 2, || {
        let owners = city.owners();
        let is_elsewhere = |workers: &Vec<usize>| workers.iter().any(|worker| *worker != 0);
        if owners.len() == N_CAMERAS && owners.values().all(is_elsewhere) {
            elsewhere_after.get_or_insert(cut_at.elapsed());
        }
        if owners.values().flatten().all(|worker| *worker != 0) {
            stopped_after.get_or_insert(cut_at.elapsed());
        }
        anyhow::ensure!(elsewhere_after.is_some() && stopped_after.is_some(), "{owners:?}");
        Ok(Some(()))
    })
    .unwrap();
    let overlap = city.longest_overlap();
    println!("elsewhere after {elsewhere_after:?}, stopped after {stopped_after:?}, pulled by two for {overlap:?}");
    assert!(elsewhere_after.unwrap() <= TAKE_OVER, "{elsewhere_after:?}");
    assert!(overlap <= SESSION, "a camera was pulled by two for {overlap:?}");
    city.kafka.relay().set(Flow::Pass);
    city.wait_for_one_owner_each(START);
}

/// The broker is away for three session times: every camera goes on where it is, and its events come afterwards, in order.
fn broker_away(city: &mut City) {
    let pulled = |city: &City| -> f64 {
        let workers = city.workers.iter().flatten();
        workers.map(|worker| worker.client.metric("xueliang_access_units_total", "").unwrap()).sum()
    };
    city.kafka.stop().unwrap();
    let away_since = Instant::now();
    let resident: Vec<u64> =
        city.workers.iter().flatten().map(|worker| worker.process.resident_bytes().unwrap()).collect();
    let mut pulled_late = None;
    wait::until("three session times to pass", SESSION * 5, || {
        if away_since.elapsed() > SESSION * 2 && pulled_late.is_none() {
            pulled_late = Some(pulled(city));
        }
        Ok((away_since.elapsed() > SESSION * 3).then_some(()))
    })
    .unwrap();
    assert!(pulled(city) > pulled_late.unwrap() + 10.0, "cameras go on while the broker is away");
    assert_eq!(city.owners().len(), N_CAMERAS);
    for (worker, before) in city.workers.iter().flatten().zip(resident) {
        let grown = worker.process.resident_bytes().unwrap().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more while the broker was away");
    }
    city.kafka.resume().unwrap();
    city.wait_for_one_owner_each(START);
    for worker in city.workers.iter_mut().flatten() {
        wait_ready(&mut worker.process, &worker.client).unwrap();
        wait::until("the outbox to empty", START, || {
            Ok((worker.client.metric("xueliang_outbox_events", "")? < 5.0).then_some(()))
        })
        .unwrap();
    }
}

/// A worker that is stopped for longer than its session time, as by a pause of its machine, gives up what others took.
#[test]
#[ignore = "takes a minute; ./check --full runs it"]
fn drill_a_worker_that_slept_gives_up_what_others_took() {
    let city = City::new(N_WORKERS);
    let owners = city.wait_for_one_owner_each(START);
    let sleeper = owners["street-1"];
    let pid = city.workers[sleeper].as_ref().unwrap().process.id();
    let signal = |signal| kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    signal(Signal::STOP);
    let awake = |owners: &BTreeMap<String, Vec<usize>>| owners.values().flatten().all(|owner| *owner != sleeper);
    wait::until("the others to take over", TAKE_OVER * 2, || {
        let owners = city.owners();
        Ok((owners.len() == N_CAMERAS && awake(&owners)).then_some(()))
    })
    .unwrap();
    signal(Signal::CONT);
    city.wait_for_one_owner_each(SESSION);
    wait::until("the sleeper's late events", START, || {
        let mut highest: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let stale = city.kafka.read_all(EVENTS)?.into_iter().any(|message| {
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            let epoch = event["ownerepoch"].as_u64().unwrap();
            let highest = highest.entry(message.key).or_default();
            *highest = epoch.max(*highest);
            epoch < *highest
        });
        Ok(stale.then_some(()))
    })
    .unwrap();
}
