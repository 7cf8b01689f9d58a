//! Which worker of a group owns a device, as its events' epochs show.
//!
//! What an earlier owner saw before the takeover may come late and counts; what it says of the time after the takeover is a stale
//! owner's word and is refused: its successor was watching then.

use std::collections::{BTreeSet, HashMap};

use xueliang_events::{DeviceId, Event, Refused};

use super::{
    Stored, Tx,
    columns::{key, micros},
    each::{Column, Holds::*},
    sql::params,
};

const COLUMNS: [Column; 3] = [("device", Text), ("epoch", Int), ("since", Int)];

/// The owners of the devices of one batch.
#[derive(Debug, Default)]
pub struct Owners {
    /// The newest owner's epoch and since when; changed ones are written back.
    known: HashMap<DeviceId, (u64, i64)>,
    changed: BTreeSet<DeviceId>,
}

impl Owners {
    /// What is known of these devices.
    pub fn load<'d>(tx: &Tx<'_>, devices: impl Iterator<Item = &'d DeviceId>) -> Stored<Self> {
        let keys: Vec<_> = devices.map(|device| params![device.as_str()].to_vec()).collect();
        let sql = "SELECT owner.device, epoch, since FROM each JOIN owner ON owner.device = each.device";
        let rows = tx.each(&COLUMNS[..1], &keys, sql)?;
        let known = rows.iter().map(|row| {
            let device = key(row, "device", |text| text.parse().ok())?;
            Ok((device, (row.get("epoch")?, row.get("since")?)))
        });
        Ok(Self { known: known.collect::<Stored<_>>()?, changed: BTreeSet::new() })
    }

    /// Takes note of the event's owner; the refusal when it is a stale one.
    pub fn note(&mut self, event: &Event) -> Option<Refused> {
        let (epoch, device) = (event.owner_epoch?, event.source.device()?);
        let time = micros(event.time);
        match self.known.get(&device) {
            Some((newest, since)) if epoch < *newest && time >= *since => Some(Refused {
                path: "ownerepoch".to_owned(),
                reason: format!("{epoch} is a stale owner's: {newest} had taken over before"),
            }),
            Some((newest, _)) if epoch <= *newest => None,
            Some(_) | None => {
                self.known.insert(device.clone(), (epoch, time));
                self.changed.insert(device);
                None
            }
        }
    }

    /// Writes down who has taken over.
    pub fn store(&self, tx: &Tx<'_>) -> Stored<()> {
        let rows = self.changed.iter().filter_map(|device| {
            let (epoch, since) = self.known.get(device)?;
            Some(params![device.as_str(), *epoch, *since].to_vec())
        });
        let sql = "INSERT INTO owner (device, epoch, since) SELECT * FROM each WHERE true
             ON CONFLICT (device) DO UPDATE SET epoch = excluded.epoch, since = excluded.since";
        tx.each(&COLUMNS, &rows.collect::<Vec<_>>(), sql).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use xueliang_events::payload::{DeviceState, DeviceStatus};

    use super::*;
    use crate::store::testing;

    fn event(device: &str, epoch: Option<u64>, second: i64) -> Event {
        let at = Timestamp::from_second(second).unwrap();
        let status = DeviceStatus { heartbeat: true, ..DeviceStatus::new(DeviceState::Live, at) };
        Event { owner_epoch: epoch, ..testing::event(device, 0, at, status.into()) }
    }

    #[test]
    fn a_stale_owner_is_recognised_and_late_history_is_kept() {
        let (_folder, store) = testing::sqlite();
        let refused = |device: &'static str, epoch: Option<u64>, second: i64| {
            let noted = store.write_blocking(move |tx| {
                let event = event(device, epoch, second);
                let mut owners = Owners::load(tx, event.source.device().iter())?;
                let refused = owners.note(&event);
                owners.store(tx).map(|()| refused)
            });
            noted.unwrap().is_some()
        };
        assert!(!refused("a", Some(5), 100));
        assert!(!refused("a", Some(7), 200), "the successor");
        assert!(!refused("a", Some(5), 199), "seen before the takeover, delivered late");
        assert!(refused("a", Some(5), 200), "seen when the successor was watching");
        assert!(refused("a", Some(6), 300));
        assert!(!refused("a", Some(7), 150) && !refused("a", Some(8), 300));
        assert!(refused("a", Some(7), 301), "the successor was succeeded");
        assert!(!refused("b", Some(1), 300), "another device");
        assert!(!refused("a", None, 300), "a camera of a settings file has one owner for good");
    }
}
