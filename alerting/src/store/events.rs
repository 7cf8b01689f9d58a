//! The events that a store keeps, read from beside it: in the order in which workers had them, a page at a time.
//!
//! Nothing is written and nobody waits: each page is a short transaction of its own, so alerting goes on meanwhile. Invariant:
//! memory is bounded by a page, and by what was had in one microsecond. What was had after the reading began is left out.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use xueliang_events::{Event, Refused};

use super::{
    Place, StoreError, Stored,
    connection::{Connection, Kind},
    migrate, schema,
    sql::{Row, params},
};

/// At most so many events at once.
const PAGE: usize = 1_000;
/// How far a worker may have had an event from when it happened; what was had later is as good as lost to the rules.
const HAD_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// An event, or its id and why this program can't read it.
pub type Kept = Result<Box<Event>, (String, Refused)>;

/// A reading of a store's events.
pub struct KeptEvents {
    connection: Connection,
    whole_since: Option<Timestamp>,
    /// The last row that was read; `None` when there are no more.
    last: Option<(Timestamp, String)>,
    until: Timestamp,
    /// In their order, but for those of the newest moment, of which there may be more.
    held: VecDeque<Waiting>,
}

struct Waiting {
    received_at: Timestamp,
    /// Orders what was had in one moment.
    sequence: u64,
    kept: Kept,
}

impl KeptEvents {
    /// Opens a store that is there and has this program's schema.
    pub fn open(place: &Place) -> Stored<Self> {
        let mut connection = Connection::open_to_read(place)?;
        let (whole_since, newest) = connection.run(Kind::Read, |tx| {
            if !schema::is_store(tx)? {
                return Err(StoreError::Missing(place.to_string()));
            }
            let found = migrate::applied(tx)?.len();
            match found.cmp(&migrate::SCHEMA) {
                std::cmp::Ordering::Less => return Err(StoreError::Older { found, known: migrate::SCHEMA }),
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => return Err(StoreError::Newer { found, known: migrate::SCHEMA }),
            }
            let oldest: Option<Timestamp> = tx.value("SELECT min(time) FROM event WHERE linked = 0", &[])?;
            Ok((oldest, tx.value::<Option<Timestamp>>("SELECT max(received_at) FROM event", &[])?))
        })?;
        let last = Some((Timestamp::MIN, String::new()));
        Ok(Self { connection, whole_since, last, until: newest.unwrap_or(Timestamp::MIN), held: VecDeque::new() })
    }

    /// Since when all events are there; of the time before only those of incidents are, for the others are deleted by their age.
    pub fn whole_since(&self) -> Option<Timestamp> {
        self.whole_since
    }

    /// Leaves out what was had more than a day before `from` or after `to`.
    pub fn between(&mut self, from: Timestamp, to: Timestamp) {
        let had_from = from.checked_sub(HAD_WITHIN).unwrap_or(Timestamp::MIN);
        self.last = Some((had_from, String::new()));
        self.until = self.until.min(to.checked_add(HAD_WITHIN).unwrap_or(Timestamp::MAX));
    }

    /// The next one; `None` at the end.
    pub fn take(&mut self) -> Stored<Option<Kept>> {
        while let (Some(last), true) = (&self.last, self.needs_more()) {
            let last = last.clone();
            self.read_page(last)?;
        }
        Ok(self.held.pop_front().map(|waiting| waiting.kept))
    }

    /// Whether what is held first may have to wait for another of the same moment.
    fn needs_more(&self) -> bool {
        let ends = self.held.front().zip(self.held.back());
        ends.is_none_or(|(first, newest)| first.received_at == newest.received_at)
    }

    fn read_page(&mut self, (after, id): (Timestamp, String)) -> Stored<()> {
        let sql = "SELECT id, received_at, json FROM event WHERE (received_at, id) > (?1, ?2) AND received_at <= ?3
             ORDER BY received_at, id LIMIT ?4";
        let until = self.until;
        let rows = self.connection.run(Kind::Read, |tx| tx.rows(sql, params![after, id, until, PAGE]))?;
        self.last = match rows.last().filter(|_| rows.len() == PAGE) {
            Some(row) => Some((row.get("received_at")?, row.get("id")?)),
            None => None,
        };
        for row in &rows {
            self.held.push_back(Waiting::read(row)?);
        }
        self.held.make_contiguous().sort_by_key(|waiting| (waiting.received_at, waiting.sequence));
        Ok(())
    }
}

impl Waiting {
    fn read(row: &Row) -> Stored<Self> {
        let kept = match Event::from_json(row.get::<String>("json")?.as_bytes()) {
            Ok(event) => Ok(Box::new(event)),
            Err(refused) => Err((row.get("id")?, refused)),
        };
        let sequence = kept.as_ref().map_or(0, |event| event.sequence);
        Ok(Self { received_at: row.get("received_at")?, sequence, kept })
    }
}

#[cfg(test)]
mod tests {
    use xueliang_events::payload::{DeviceState, DeviceStatus};

    use super::*;
    use crate::{
        consume::Message,
        store::{Store, apply::Batch, testing},
    };

    const DAY: i64 = 86_400;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + s).unwrap()
    }

    /// One event of a camera that happened at a second and was had at another.
    fn event(sequence: u64, happened: i64, had: i64) -> Event {
        let status = DeviceStatus { heartbeat: true, ..DeviceStatus::new(DeviceState::Live, at(happened)) };
        Event { received_at: at(had), ..testing::event("c", sequence, at(happened), status.into()) }
    }

    /// A store that alerting has open, with these events.
    fn filled(place: &Place, events: &[Event]) -> Store {
        let store = Store::open(place).unwrap();
        let message = |(position, event): (usize, &Event)| Message::read(position as u64, event.to_json().unwrap());
        let messages = events.iter().enumerate().map(message).collect();
        let (log, origin) = ("log".to_owned(), ("topic".to_owned(), 0));
        let batch = Batch { log, origin, expected: None, messages };
        let applier = testing::applier(xueliang_rules::RuleSet::default());
        store.write_blocking(move |tx| applier.apply(tx, &batch, at(0))).unwrap();
        store
    }

    fn read(kept: &mut KeptEvents) -> Vec<u64> {
        std::iter::from_fn(|| kept.take().unwrap()).map(|kept| kept.unwrap().sequence).collect()
    }

    #[test]
    fn events_come_as_workers_had_them_while_alerting_has_the_store() {
        testing::on_both(|place| {
            // Far more than a page, eight in each moment, delivered from the last to the first.
            let n_events = 2 * PAGE as u64 + 77;
            let events: Vec<Event> = (0..n_events).rev().map(|n| event(n, n as i64 / 8, n as i64 / 8)).collect();
            let store = filled(place, &events);
            let mut kept = KeptEvents::open(place).unwrap();
            assert_eq!(kept.whole_since(), Some(at(0)));
            let write = |tx: &crate::store::Tx<'_>| tx.execute("UPDATE event SET linked = 1", &[]).map(|_| ());
            assert!(kept.take().unwrap().is_some());
            store.write_blocking(write).unwrap();
            assert_eq!(read(&mut kept), (1..n_events).collect::<Vec<_>>(), "alerting wrote meanwhile");
            assert_eq!(KeptEvents::open(place).unwrap().whole_since(), None, "all belong to incidents");
        });
    }

    #[test]
    fn what_was_had_far_from_the_span_is_not_read() {
        testing::on_both(|place| {
            let (last, far) = (10 * DAY, 11 * DAY + 2);
            let had = [(0, 0), (1, last - DAY - 1), (2, last - DAY + 1), (3, last), (4, last + DAY), (5, far)];
            filled(place, &had.map(|(sequence, had)| event(sequence, had, had)));
            let mut kept = KeptEvents::open(place).unwrap();
            kept.between(at(last), at(last + 1));
            assert_eq!(read(&mut kept), [2, 3, 4]);
        });
    }

    #[test]
    fn what_this_program_cant_read_is_told_and_passed_over() {
        testing::on_both(|place| {
            let store = filled(place, &[event(0, 0, 0), event(1, 1, 1), event(2, 2, 2)]);
            let spoil = format!("UPDATE event SET json = '{{}}' WHERE received_at = {}", at(1).as_microsecond());
            store.write_blocking(move |tx| tx.batch(&spoil)).unwrap();
            let mut kept = KeptEvents::open(place).unwrap();
            let found: Vec<Option<u64>> =
                std::iter::from_fn(|| kept.take().unwrap()).map(|kept| kept.ok().map(|event| event.sequence)).collect();
            assert_eq!(found, [Some(0), None, Some(2)]);
        });
    }

    #[test]
    fn nothing_is_made_or_brought_forward() {
        testing::on_both(|place| {
            assert!(matches!(KeptEvents::open(place), Err(StoreError::Missing(_))));
            if let Place::File(file) = place {
                assert!(!file.exists());
            }
            let mut connection = Connection::open(place).unwrap();
            connection.run(Kind::Write, |tx| migrate::up_to(tx, migrate::SCHEMA - 1)).unwrap();
            let older = KeptEvents::open(place).map(|_| ()).unwrap_err();
            assert!(matches!(older, StoreError::Older { .. }), "{older}");
            let mut reading = Connection::open_to_read(place).unwrap();
            let written = reading.run(Kind::Read, |tx| tx.execute("DELETE FROM event", &[]));
            assert!(written.is_err(), "it could be written");
        });
    }
}
