//! Takes a batch of messages in: events, rule memory, firings, incidents and the log's position, in one transaction.
//!
//! What was taken in before is skipped by position, and what comes again at another position by event id, so a redelivery
//! changes nothing. The position is compared before it is set: a consumer that lost its partition to another one finds
//! it moved, stores nothing and starts again from what the store says.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use xueliang_events::{
    DEAD_LETTER_TOPIC, DeviceId, Event, Refused, SessionId, Source,
    payload::{Category, EventRefused},
    values::Digest,
};
use xueliang_rules::{Engine, Memory, Observed, RuleId};

use super::{
    StoreError, Stored, Tx,
    columns::key,
    devices::{Devices, Here},
    each::{Column, Holds::*},
    memories, outbox,
    owners::Owners,
    sql::{Row, Value, params},
};
use crate::{
    consume::Message,
    evidence::Evidence,
    group::{Grouping, Opened},
    region::RegionScheme,
    rules_file::Rulebook,
};

/// Messages of one log, in its order.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The log's name; one per Kafka partition or embedded log.
    pub log: String,
    /// The topic and partition to name in a dead letter.
    pub origin: (String, i32),
    /// The position this consumer believes to be next; `None` when it is the only one.
    pub expected: Option<u64>,
    /// The messages with their positions.
    pub messages: Vec<Message>,
}

/// How far a log has been read: of what happened until `at` nothing is left unread in it.
#[derive(Debug, Clone)]
pub struct ReadUntil {
    /// The log's name.
    pub log: String,
    /// The position that this consumer believes to be next; `None` when it is the only one.
    pub expected: Option<u64>,
    /// Until when.
    pub at: Timestamp,
}

/// What a batch or a tick brought.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// New events by type.
    pub n_new: BTreeMap<&'static str, u64>,
    /// Events that were known by id, and messages before the position.
    pub n_repeated: u64,
    /// Events that the rules had passed already.
    pub n_late: u64,
    /// Refused messages.
    pub n_refused: u64,
    /// Those of them that came from a stale owner.
    pub n_stale: u64,
    /// What fired.
    pub fired: Vec<RuleId>,
    /// Incidents opened.
    pub opened: Vec<Opened>,
    /// The log's next position.
    pub next: u64,
}

impl Effects {
    /// The categories of the incidents opened.
    pub fn categories(&self) -> impl Iterator<Item = Category> {
        self.opened.iter().map(|opened| opened.category)
    }
}

/// Applies batches and ticks; the same in every process that shares the store.
#[derive(Debug, Clone)]
pub struct Applier {
    /// The rules.
    pub rules: Rulebook,
    /// The stills.
    pub evidence: Evidence,
    /// The scheme of region codes.
    pub regions: RegionScheme,
    /// The region of what has no grid.
    pub root_region: String,
    /// True when there is a Kafka to tell.
    pub publishes: bool,
}

impl Applier {
    /// Takes a batch in.
    pub fn apply(&self, tx: &Tx<'_>, batch: &Batch, now: Timestamp) -> Stored<Effects> {
        let found = match batch.expected {
            Some(expected) => check_position(tx, &batch.log, expected)?,
            None => position(tx, &batch.log)?,
        };
        let unseen: Vec<&Message> = batch.messages.iter().filter(|message| message.position >= found).collect();
        let mut run = Run::begin(self, tx, now);
        run.effects.n_repeated = (batch.messages.len() - unseen.len()) as u64;
        run.effects.next = unseen.last().map_or(found, |message| message.position + 1);
        let events = run.admit(batch, &unseen)?;
        run.take_events(&events)?;
        tx.execute(
            "INSERT INTO position (log, next) VALUES (?1, ?2) ON CONFLICT (log) DO UPDATE SET next = excluded.next",
            params![&batch.log, run.effects.next],
        )?;
        run.finish(Some(&batch.log))
    }

    /// Lets time pass for the devices whose conditions may have held long enough, as far as their log has been read.
    pub fn tick(&self, tx: &Tx<'_>, read: &ReadUntil, now: Timestamp) -> Stored<Effects> {
        if let Some(expected) = read.expected {
            check_position(tx, &read.log, expected)?;
        }
        let mut run = Run::begin(self, tx, now);
        let devices = due(tx, &read.log, read.at)?;
        run.load_memories(devices.iter())?;
        for device in devices {
            let memory = run.memories.entry(device.clone()).or_default();
            let firings = run.engine.advance(memory, &device, read.at);
            run.take_observed(Observed { firings, ..Observed::default() })?;
        }
        run.finish(None)
    }
}

/// Where a log's next message is.
pub fn position(tx: &Tx<'_>, log: &str) -> Stored<u64> {
    let row = tx.row("SELECT next FROM position WHERE log = ?1", params![log])?;
    row.map_or(Ok(0), |row| row.first())
}

/// Another consumer may have taken the log over.
fn check_position(tx: &Tx<'_>, log: &str, expected: u64) -> Stored<u64> {
    let found = position(tx, log)?;
    if found == expected { Ok(found) } else { Err(StoreError::Fenced { log: log.to_owned(), found, expected }) }
}

/// The logs with devices for which a tick may find something.
pub fn due_logs(tx: &Tx<'_>, now: Timestamp) -> Stored<BTreeSet<String>> {
    let rows = tx.rows("SELECT DISTINCT log FROM rule_memory WHERE due_at <= ?1 AND due_until >= ?1", params![now])?;
    rows.iter().map(Row::first).collect()
}

/// Devices of a log for which a tick may find something.
fn due(tx: &Tx<'_>, log: &str, at: Timestamp) -> Stored<Vec<DeviceId>> {
    let rows = tx.rows(
        "SELECT device FROM rule_memory WHERE due_at <= ?1 AND due_until >= ?1 AND log = ?2 ORDER BY due_at LIMIT 500",
        params![at, log],
    )?;
    rows.iter().map(|row| key(row, "device", |text| text.parse().ok())).collect()
}

const EVENT: [Column; 6] =
    [("id", Text), ("type", Text), ("device", Text), ("time", Int), ("received_at", Int), ("json", Text)];

/// An event that is to be taken in, with its text.
type Admitted<'m> = (&'m Event, &'m str);

/// One transaction: what it concerns is loaded at once, changed in memory, and written back at once.
struct Run<'r> {
    applier: &'r Applier,
    /// The rules as they are when the run begins.
    engine: Arc<Engine>,
    tx: &'r Tx<'r>,
    now: Timestamp,
    memories: BTreeMap<DeviceId, Memory>,
    effects: Effects,
}

impl<'r> Run<'r> {
    fn begin(applier: &'r Applier, tx: &'r Tx<'r>, now: Timestamp) -> Self {
        let (engine, memories, effects) = (applier.rules.engine(), BTreeMap::new(), Effects::default());
        Self { applier, engine, tx, now, memories, effects }
    }

    /// Refuses what is no event or comes from a stale owner; the rest.
    fn admit<'m>(&mut self, batch: &Batch, messages: &[&'m Message]) -> Stored<Vec<Admitted<'m>>> {
        let owned = messages.iter().filter_map(|message| message.event.as_ref().ok());
        let owned =
            owned.filter(|(event, _)| event.owner_epoch.is_some()).filter_map(|(event, _)| event.source.device());
        let mut owners = Owners::load(self.tx, owned.collect::<BTreeSet<_>>().iter())?;
        let mut admitted = Vec::new();
        for message in messages {
            match &message.event {
                Ok((event, text)) => match owners.note(event) {
                    None => admitted.push((event, text.as_str())),
                    Some(refused) => {
                        self.effects.n_stale += 1;
                        self.take_refusal(batch, (message.position, text.as_bytes()), &refused)?;
                    }
                },
                Err(refused) => self.take_refusal(batch, (message.position, &message.refused_bytes), refused)?,
            }
        }
        owners.store(self.tx)?;
        Ok(admitted)
    }

    /// Stores the events and lets the rules see those that are new, in their order.
    fn take_events(&mut self, events: &[Admitted<'_>]) -> Stored<()> {
        let rows: Vec<Vec<Value>> = events.iter().map(|(event, text)| row(event, text)).collect();
        let sql = "INSERT INTO event (id, type, device, time, received_at, json) SELECT * FROM each WHERE true
             ON CONFLICT DO NOTHING RETURNING id";
        let stored = self.tx.each(&EVENT, &rows, sql)?;
        let mut stored: HashSet<String> = stored.iter().map(Row::first).collect::<Stored<_>>()?;
        // Of two with one id in a batch the first was stored.
        let mut is_new = |row: &[Value]| matches!(row.first(), Some(Value::Text(id)) if stored.remove(id));
        let new: Vec<&Event> =
            events.iter().zip(&rows).filter(|(_, row)| is_new(row)).map(|((event, _), _)| *event).collect();
        self.effects.n_repeated += (events.len() - new.len()) as u64;
        self.note_devices(&new)?;
        let devices: BTreeSet<DeviceId> = new.iter().filter_map(|event| event.source.device()).collect();
        self.load_memories(devices.iter())?;
        let mut supports = Vec::new();
        for event in new {
            *self.effects.n_new.entry(event.payload.wire_type()).or_default() += 1;
            let Some(device) = event.source.device() else { continue };
            let observed = self.engine.observe(self.memories.entry(device).or_default(), event);
            supports.extend(observed.supports.iter().map(|support| (support.firing, event)));
            self.take_observed(observed)?;
        }
        self.grouping().support(&supports)
    }

    /// Before the rules: what fires asks where its device is.
    fn note_devices(&self, events: &[&Event]) -> Stored<()> {
        let mut devices = Devices::load(self.tx, events.iter().copied())?;
        let here = Here { root: &self.applier.root_region, zone: self.engine.rules().calendar().zone(), now: self.now };
        for event in events {
            devices.note(event, here);
        }
        devices.store(self.tx)
    }

    fn load_memories<'d>(&mut self, devices: impl Iterator<Item = &'d DeviceId>) -> Stored<()> {
        self.memories.extend(memories::load(self.tx, devices)?);
        Ok(())
    }

    fn take_observed(&mut self, observed: Observed) -> Stored<()> {
        self.effects.n_late += u64::from(observed.late);
        for firing in observed.firings {
            if let Some(taken) = self.grouping().take(&firing)? {
                self.effects.fired.push(firing.rule.clone());
                self.effects.opened.extend(taken.opened);
            }
        }
        Ok(())
    }

    fn grouping(&self) -> Grouping<'_> {
        Grouping { tx: self.tx, applier: self.applier, now: self.now }
    }

    fn take_refusal(&mut self, batch: &Batch, (position, bytes): (u64, &[u8]), refused: &Refused) -> Stored<()> {
        self.effects.n_refused += 1;
        let sha256 = hex::encode(Sha256::digest(bytes));
        let n_bytes = bytes.len() as u64;
        tracing::warn!(log = batch.log, position, path = refused.path, reason = refused.reason, "message refused");
        self.tx.execute(
            "INSERT INTO refused (log, position, path, reason, sha256, bytes, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO NOTHING",
            params![&batch.log, position, &refused.path, &refused.reason, &sha256, n_bytes, self.now],
        )?;
        let (true, Ok(sha256)) = (self.applier.publishes, Digest::try_from(sha256)) else { return Ok(()) };
        let (topic, partition) = batch.origin.clone();
        let Refused { path, reason } = refused.clone();
        let offset = position.cast_signed();
        let letter = EventRefused { topic, partition, offset, path, reason, sha256, bytes: n_bytes };
        outbox::push(self.tx, DEAD_LETTER_TOPIC, &dead_letter(batch, position, letter, self.now)?)
    }

    fn finish(self, log: Option<&str>) -> Stored<Effects> {
        memories::store(self.tx, &self.engine, (&self.memories, log))?;
        Ok(self.effects)
    }
}

fn row(event: &Event, text: &str) -> Vec<Value> {
    let device = event.source.device().map_or_else(|| event.source.key(), |device| device.to_string());
    params![event.id().to_string(), event.payload.wire_type(), device, event.time, event.received_at, text].to_vec()
}

/// The log is the session and the position the sequence, so that a repetition has the same id.
fn dead_letter(batch: &Batch, position: u64, letter: EventRefused, now: Timestamp) -> Stored<Event> {
    let corrupt = |_| StoreError::Corrupt { what: "a consumer's name", value: CONSUMER.to_owned() };
    Ok(Event {
        source: Source::Consumer(CONSUMER.parse().map_err(corrupt)?),
        session: SessionId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, batch.log.as_bytes())),
        sequence: position,
        time: now,
        received_at: now,
        grid: None,
        owner_epoch: None,
        payload: letter.into(),
    })
}

const CONSUMER: &str = "alerting";

#[cfg(test)]
mod tests {
    use xueliang_events::payload::{DeviceState, DeviceStatus};
    use xueliang_rules::RuleSet;

    use super::*;
    use crate::store::{Store, testing};

    fn message(position: u64) -> Message {
        let at = Timestamp::UNIX_EPOCH;
        let status = DeviceStatus { heartbeat: true, ..DeviceStatus::new(DeviceState::Live, at) };
        let event = testing::event("c", position, at, status.into());
        Message::read(position, event.to_json().unwrap())
    }

    fn apply(store: &Store, expected: u64, positions: std::ops::Range<u64>) -> Stored<Effects> {
        let applier = testing::applier(RuleSet::default());
        let messages = positions.map(message).collect();
        let (log, origin) = ("log".to_owned(), ("topic".to_owned(), 0));
        let batch = Batch { log, origin, expected: Some(expected), messages };
        store.write_blocking(move |tx| applier.apply(tx, &batch, Timestamp::UNIX_EPOCH))
    }

    fn n_events(store: &Store) -> i64 {
        store.write_blocking(|tx| tx.value("SELECT count(*) FROM event", &[])).unwrap()
    }

    #[test]
    fn consumer_that_lost_its_partition_stores_nothing() {
        testing::on_both(|place| {
            let (old, new) = (Store::open(place).unwrap(), Store::open(place).unwrap());
            assert_eq!(apply(&old, 0, 0..3).unwrap().next, 3);
            assert_eq!(apply(&new, 3, 3..8).unwrap().next, 8);
            let fenced = apply(&old, 3, 3..9);
            assert!(matches!(fenced, Err(StoreError::Fenced { found: 8, expected: 3, .. })), "{fenced:?}");
            assert_eq!(n_events(&new), 8);
        });
    }

    #[test]
    fn position_and_id_both_stop_repetitions() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            assert_eq!(apply(&store, 0, 0..4).unwrap().n_repeated, 0);
            assert_eq!(apply(&store, 4, 2..6).unwrap().n_repeated, 2);
            assert_eq!(n_events(&store), 6);
        });
    }
}
