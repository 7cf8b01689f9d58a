//! Which worker of a group owns a device, as its events' epochs show.
//!
//! What an earlier owner saw before the takeover may come late and counts; what it says of the time after the takeover is a stale
//! owner's word and is refused: its successor was watching then.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};
use xueliang_events::{Event, Refused};

use super::{Stored, columns::micros};

/// Takes note of the event's owner; the refusal when it is a stale one.
pub fn note(transaction: &Transaction<'_>, event: &Event) -> Stored<Option<Refused>> {
    let (Some(epoch), Some(device)) = (event.owner_epoch, event.source.device()) else { return Ok(None) };
    let known: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT epoch, since FROM owner WHERE device = ?1")?
        .query_row([device.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let newest = known.map(|(epoch, _)| epoch.unsigned_abs());
    if newest.is_none_or(|newest| epoch > newest) {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO owner (device, epoch, since) VALUES (?1, ?2, ?3)")?
            .execute((device.as_str(), epoch.cast_signed(), micros(event.time)))?;
        return Ok(None);
    }
    let is_stale = known.is_some_and(|(newest, since)| is_stale(epoch, event.time, (newest.unsigned_abs(), since)));
    Ok(is_stale.then(|| Refused {
        path: "ownerepoch".to_owned(),
        reason: format!("{epoch} is a stale owner's: {} had taken over before", newest.unwrap_or_default()),
    }))
}

fn is_stale(epoch: u64, time: Timestamp, (newest, since): (u64, i64)) -> bool {
    epoch < newest && micros(time) >= since
}

#[cfg(test)]
mod tests {
    use xueliang_events::payload::{DeviceState, DeviceStatus};

    use super::*;
    use crate::store::{Store, testing};

    fn event(device: &str, epoch: Option<u64>, second: i64) -> Event {
        let at = Timestamp::from_second(second).unwrap();
        let status = DeviceStatus { heartbeat: true, ..DeviceStatus::new(DeviceState::Live, at) };
        Event { owner_epoch: epoch, ..testing::event(device, 0, at, status.into()) }
    }

    #[test]
    fn a_stale_owner_is_recognised_and_late_history_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.sqlite")).unwrap();
        let refused = |device: &'static str, epoch: Option<u64>, second: i64| {
            store.write_blocking(move |transaction| note(transaction, &event(device, epoch, second))).unwrap().is_some()
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
