//! Cameras that come, go and change in the registry while workers run, and a registry that is lost: what a record does not name is not
//! touched, and what can't be read stops nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use xueliang_tests::simcam::Play;
use xueliang_tests::wait;

use crate::city_registry::{CAMERAS, City, N_CAMERAS, START};

const SOON: Duration = Duration::from_secs(20);
/// Empty partitions are read so soon.
const READ_WITHIN: Duration = Duration::from_secs(4);
/// Longer than the group waits for its members, and they for the group.
const FORBIDDEN_FOR: Duration = Duration::from_secs(16);
/// No record names these but a bad one, of street-4.
const UNTOUCHED: [&str; 4] = ["street-1", "street-4", "street-5", "street-6"];

#[test]
fn a_record_touches_only_its_camera_and_a_lost_registry_none() {
    let city = City::new(2);
    city.settled_owners();
    let before = Seen::now(&city);
    assert!(before.refuses("bad"), "{:#?}", before.cameras);

    city.import(7..=7, "1.0");
    city.import(2..=2, "0.5");
    city.camera(&["remove".to_owned(), "street-3".to_owned()]);
    city.kafka.produce(CAMERAS, "street-4", b"no event either").unwrap();
    wait::until("the changes", SOON, || {
        let now = Seen::now(&city);
        let changed = now.is_live("street-2") && now.session("street-2") != before.session("street-2");
        let all = changed && now.is_live("street-7") && now.refuses("street-4") && now.session("street-3").is_none();
        anyhow::ensure!(all, "{:#?}", now.cameras);
        Ok(Some(()))
    })
    .unwrap();
    before.check_untouched(&city);

    let changed = Seen::now(&city);
    city.kafka.delete(CAMERAS).unwrap();
    wait_ready(&city, false);
    before.check_untouched(&city);
    let assigned = n_assigned(&city);
    city.kafka.create_compacted(CAMERAS, 64).unwrap();
    wait::until("the empty partitions to be shared", START, || {
        let now = n_assigned(&city);
        Ok(now.iter().zip(&assigned).all(|(now, before)| now > before).then_some(()))
    })
    .unwrap();
    wait_ready(&city, true);
    wait::holds("every camera, while they are read", READ_WITHIN, || {
        before.check_untouched(&city);
        Ok(Some(()))
    })
    .unwrap();
    for id in ["street-2", "street-7"] {
        assert_eq!(Seen::now(&city).session(id), changed.session(id), "an empty registry removes nothing");
    }

    city.import(1..=N_CAMERAS + 1, "1.0");
    city.camera(&["remove".to_owned(), "street-7".to_owned()]);
    city.wait_for_one_owner_each(START);
}

#[test]
fn a_registry_that_may_no_longer_be_read_stops_nothing_and_goes_on_once_it_may() {
    let city = City::new(2);
    city.settled_owners();
    let before = Seen::now(&city);
    city.kafka.forbid(CAMERAS).unwrap();
    wait_ready(&city, false);
    wait::holds("every camera, while the registry is forbidden", FORBIDDEN_FOR, || {
        before.check_untouched(&city);
        Ok(Some(()))
    })
    .unwrap();
    let told = city.workers.iter().flatten().map(|worker| worker.client.fetch("/readyz").unwrap().1);
    for told in told.map(|body| String::from_utf8(body).unwrap()) {
        assert!(told.contains("allow it Describe and Read"), "{told}");
    }

    city.kafka.allow(CAMERAS).unwrap();
    wait_ready(&city, true);
    city.settled_owners();
    city.import(2..=2, "0.5");
    wait::until("a change to be heard", SOON, || {
        let now = Seen::now(&city);
        Ok((now.is_live("street-2") && now.session("street-2") != before.session("street-2")).then_some(()))
    })
    .unwrap();
}

/// Cameras as their workers' APIs show them, and clients as the cameras themselves see them.
struct Seen {
    cameras: BTreeMap<String, Value>,
    plays: Vec<Play>,
}

impl Seen {
    fn now(city: &City) -> Self {
        Self { cameras: city.cameras(), plays: city.street.plays() }
    }

    fn session(&self, id: &str) -> Option<&Value> {
        self.cameras.get(id).map(|camera| &camera["session"])
    }

    fn is_live(&self, id: &str) -> bool {
        self.cameras.get(id).is_some_and(|camera| camera["state"] == "live")
    }

    fn refuses(&self, id: &str) -> bool {
        let cause = self.cameras.get(id).and_then(|camera| camera["refused"].as_str());
        cause.is_some_and(|cause| cause.contains("registry:"))
    }

    /// When the clients that a camera has began.
    fn clients(&self, id: &str) -> Vec<Instant> {
        let path = id.replace("street-", "/cam/");
        self.plays.iter().filter(|play| play.path == path && play.ended.is_none()).map(|play| play.began).collect()
    }

    fn check_untouched(&self, city: &City) {
        let now = Self::now(city);
        for id in UNTOUCHED {
            assert!(now.is_live(id), "{id}: {:?}", now.cameras.get(id));
            assert_eq!(now.session(id), self.session(id), "{id} began anew");
            assert_eq!((now.clients(id).len(), now.clients(id)), (1, self.clients(id)), "{id} was connected to anew");
        }
    }
}

/// How often each worker was given partitions.
fn n_assigned(city: &City) -> Vec<usize> {
    let logs = city.workers.iter().flatten().map(|worker| worker.process.log().unwrap());
    let gives = |line: &&str| line.contains("partitions of the registry assigned") && !line.contains("partitions=[]");
    logs.map(|log| log.lines().filter(gives).count()).collect()
}

/// Waits until every worker says that the registry is there, or that it is not.
fn wait_ready(city: &City, expected: bool) {
    wait::until("the workers to tell how the registry is", START, || {
        let workers = city.workers.iter().flatten();
        let ready: Result<Vec<bool>, _> = workers.map(|worker| worker.client.is_ready()).collect();
        let ready = ready?;
        anyhow::ensure!(ready.iter().all(|ready| *ready == expected), "{ready:?}");
        Ok(Some(()))
    })
    .unwrap();
}
