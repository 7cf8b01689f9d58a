//! The partitions that this worker holds: the state of each, its rows, and the cameras that follow from them.
//!
//! A partition's cameras are started once it has an epoch and was read to its end. Orphans are partitions that the group took away
//! without saying to whom; their cameras run until custody decides or the group gives them back.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use parking_lot::Mutex;
use xueliang_events::CameraId;

use crate::{
    fleet::{Change, Fleet, Origin, Wanted},
    registry::rows::{self, Row},
    settings::CameraDefaults,
};

/// All partitions of one worker.
pub(super) struct Held {
    fleet: Fleet,
    beside: PathBuf,
    defaults: CameraDefaults,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    owned: BTreeMap<i32, Partition>,
    orphans: BTreeSet<i32>,
    /// True when the group gave partitions (perhaps none) since some were lost.
    rejoined: bool,
    /// True while nothing may be pulled, because others may own all of it.
    suspended: bool,
}

/// One partition that the group gave to this worker.
#[derive(Default)]
struct Partition {
    /// The right to its cameras.
    epoch: Option<u64>,
    rows: BTreeMap<CameraId, Wanted>,
    complete: bool,
    /// True when anything at all stood in it: then what is missing was removed.
    has_records: bool,
    changed: bool,
}

impl Held {
    pub fn new(fleet: Fleet, beside: PathBuf, defaults: CameraDefaults) -> Self {
        Self { fleet, beside, defaults, state: Mutex::default() }
    }

    /// The group gave these partitions; what they hold is read from their beginning.
    pub fn assign(&self, numbers: &[i32]) {
        let mut state = self.state.lock();
        state.rejoined = true;
        for number in numbers {
            state.orphans.remove(number);
            state.owned.insert(*number, Partition::default());
        }
    }

    /// The group takes these partitions in order: their cameras stop now.
    pub fn give_up(&self, numbers: &[i32]) -> Vec<Change> {
        let mut state = self.state.lock();
        for number in numbers {
            state.owned.remove(number);
            state.orphans.remove(number);
        }
        drop(state);
        numbers.iter().map(|number| self.fleet.want(Origin::Registry(*number), Vec::new())).collect()
    }

    /// These partitions are lost; whether their cameras go on is for custody to say.
    pub fn lose(&self, numbers: &[i32]) {
        let mut state = self.state.lock();
        state.rejoined = false;
        for number in numbers {
            if state.owned.remove(number).is_some() && !self.fleet.wanted(Origin::Registry(*number)).is_empty() {
                state.orphans.insert(*number);
            }
        }
    }

    /// Everything is lost.
    pub fn lose_all(&self) {
        let owned: Vec<i32> = self.state.lock().owned.keys().copied().collect();
        self.lose(&owned);
    }

    /// Nothing may be pulled any more until the group is heard again.
    pub fn suspend(&self) {
        let mut state = self.state.lock();
        state.suspended = true;
        let mut numbers: Vec<i32> = state.owned.keys().copied().collect();
        numbers.extend(std::mem::take(&mut state.orphans));
        drop(state);
        numbers.iter().for_each(|number| drop(self.fleet.want(Origin::Registry(*number), Vec::new())));
    }

    /// The group is heard: what it still counts as this worker's is claimed anew.
    pub fn resume(&self) {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.suspended) {
            for partition in state.owned.values_mut() {
                (partition.epoch, partition.changed) = (None, true);
            }
        }
    }

    /// True while cameras of the registry run here.
    pub fn pulls(&self) -> bool {
        let state = self.state.lock();
        let mut numbers = state.owned.keys().chain(&state.orphans);
        numbers.any(|number| !self.fleet.wanted(Origin::Registry(*number)).is_empty())
    }

    /// Orphans that the group has had the chance to give back.
    pub fn left_orphans(&self) -> Vec<i32> {
        let state = self.state.lock();
        if state.rejoined { state.orphans.iter().copied().collect() } else { Vec::new() }
    }

    pub fn n_owned(&self) -> usize {
        self.state.lock().owned.len()
    }

    /// Partitions whose cameras can't be started for want of an epoch.
    pub fn unclaimed(&self) -> Vec<i32> {
        let state = self.state.lock();
        let unclaimed = state.owned.iter().filter(|(_, partition)| partition.epoch.is_none());
        unclaimed.map(|(number, _)| *number).collect()
    }

    /// The right to a partition's cameras.
    pub fn grant(&self, number: i32, epoch: u64) {
        if let Some(partition) = self.state.lock().owned.get_mut(&number) {
            (partition.epoch, partition.changed) = (Some(epoch), true);
        }
    }

    /// A record of the topic; no payload removes the camera.
    pub fn take(&self, number: i32, key: &[u8], payload: Option<&[u8]>) {
        let mut state = self.state.lock();
        let Some(partition) = state.owned.get_mut(&number) else { return };
        partition.has_records = true;
        partition.changed = true;
        match rows::read((key, payload), &self.beside, &self.defaults) {
            Row::Camera(wanted) => drop(partition.rows.insert(wanted.id.clone(), *wanted)),
            Row::Removed(id) => drop(partition.rows.remove(&id)),
            Row::Other(cause) => tracing::warn!(partition = number, cause, "a record of the registry is refused"),
        }
    }

    /// The partition was read to its end.
    pub fn complete(&self, number: i32) {
        if let Some(partition) = self.state.lock().owned.get_mut(&number).filter(|partition| !partition.complete) {
            (partition.complete, partition.changed) = (true, true);
        }
    }

    /// Brings what changed to the fleet.
    pub fn apply(&self) {
        let mut state = self.state.lock();
        if state.suspended {
            return;
        }
        for (number, partition) in &mut state.owned {
            let Some(epoch) = partition.epoch else { continue };
            if !partition.complete || !std::mem::take(&mut partition.changed) {
                continue;
            }
            let origin = Origin::Registry(*number);
            let mut cameras: Vec<Wanted> = partition.rows.values().cloned().collect();
            if !partition.has_records {
                cameras = self.fleet.wanted(origin);
                if !cameras.is_empty() {
                    let n_cameras = cameras.len();
                    tracing::warn!(partition = number, n_cameras, "the registry is suddenly empty; its cameras go on");
                }
            }
            let cameras = cameras.into_iter().map(|wanted| Wanted { epoch: Some(epoch), ..wanted });
            self.fleet.want(origin, cameras.collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authorization, fleet::testing};

    fn record(id: &str) -> Vec<u8> {
        rows::testing::record(
            id,
            serde_json::json!({ "id": id, "url": "rtsp://127.0.0.1:1/1", "authorization": authorization::testing::json() }),
        )
    }

    /// Ids and epochs of the cameras that run.
    fn running(fleet: &Fleet) -> Vec<(String, Option<u64>)> {
        fleet.cameras().into_iter().map(|view| (view.id.to_string(), view.epoch)).collect()
    }

    fn own(held: &Held, number: i32, epoch: u64) {
        held.assign(&[number]);
        held.grant(number, epoch);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn cameras_start_when_the_partition_is_claimed_and_read() {
        let bed = testing::bed();
        let held = Held::new(bed.fleet.clone(), PathBuf::new(), CameraDefaults::default());
        held.assign(&[3]);
        held.take(3, b"a", Some(&record("a")));
        held.complete(3);
        held.apply();
        assert!(running(&bed.fleet).is_empty(), "there is no epoch yet");
        held.grant(3, 7);
        held.apply();
        assert_eq!(running(&bed.fleet), [("a".to_owned(), Some(7))]);
        held.take(3, b"b", Some(&record("b")));
        held.take(3, b"a", None);
        held.apply();
        assert_eq!(running(&bed.fleet), [("b".to_owned(), Some(7))]);
        held.give_up(&[3]);
        assert!(running(&bed.fleet).is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lost_partition_goes_on_and_comes_back_without_a_restart() {
        let bed = testing::bed();
        let held = Held::new(bed.fleet.clone(), PathBuf::new(), CameraDefaults::default());
        own(&held, 0, 1);
        held.take(0, b"a", Some(&record("a")));
        held.complete(0);
        held.apply();
        let session = bed.fleet.cameras()[0].session;
        held.lose_all();
        assert!(held.left_orphans().is_empty(), "the group has not answered yet");
        held.assign(&[]);
        assert_eq!(held.left_orphans(), [0]);
        own(&held, 0, 2);
        held.complete(0);
        held.apply();
        assert_eq!(running(&bed.fleet), [("a".to_owned(), Some(2))], "an empty registry stops nothing");
        assert_eq!(bed.fleet.cameras()[0].session, session);
        own(&held, 0, 3);
        held.take(0, b"other", Some(&record("other")));
        held.complete(0);
        held.apply();
        assert_eq!(running(&bed.fleet), [("other".to_owned(), Some(3))], "a registry with records says what is gone");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_suspended_worker_pulls_nothing_and_claims_anew() {
        let bed = testing::bed();
        let held = Held::new(bed.fleet.clone(), PathBuf::new(), CameraDefaults::default());
        own(&held, 0, 1);
        held.take(0, b"a", Some(&record("a")));
        held.complete(0);
        held.apply();
        assert!(held.pulls());
        held.suspend();
        held.take(0, b"b", Some(&record("b")));
        held.apply();
        assert!(!held.pulls() && running(&bed.fleet).is_empty());
        held.resume();
        held.apply();
        assert_eq!(held.unclaimed(), [0]);
        assert!(!held.pulls(), "not before its new epoch");
        held.grant(0, 2);
        held.apply();
        assert_eq!(running(&bed.fleet), [("a".to_owned(), Some(2)), ("b".to_owned(), Some(2))]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_bad_record_is_one_bad_camera() {
        let bed = testing::bed();
        let held = Held::new(bed.fleet.clone(), PathBuf::new(), CameraDefaults::default());
        own(&held, 0, 1);
        held.take(0, b"a", Some(&record("a")));
        held.take(0, b"b", Some(b"no event"));
        held.take(0, b"no id", Some(&record("c")));
        held.complete(0);
        held.apply();
        assert_eq!(running(&bed.fleet), [("a".to_owned(), Some(1)), ("b".to_owned(), Some(1))]);
        let bad = bed.fleet.cameras().into_iter().find(|view| view.id.as_str() == "b").unwrap();
        assert!(bad.refused.is_some() && bad.settings.is_none());
    }
}
