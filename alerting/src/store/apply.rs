//! Takes a batch of messages in: events, rule memory, firings, incidents and the log's position, in one transaction.
//!
//! What was taken in before is skipped by position, and what comes again at another position by event id, so a redelivery
//! changes nothing. The position is compared before it is set: a consumer that lost its partition to another one finds
//! it moved, stores nothing and starts again from what the store says.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};
use sha2::{Digest as _, Sha256};
use xueliang_events::{
    DEAD_LETTER_TOPIC, DeviceId, Event, Refused, SessionId, Source,
    payload::{Category, EventRefused},
    values::Digest,
};
use xueliang_rules::{Engine, Memory, Observed, RuleId};

use super::{
    StoreError, Stored,
    columns::{json, micros, to_json},
    devices, outbox, owners,
};
use crate::{
    consume::Message,
    evidence::Evidence,
    group::{self, Opened},
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
    /// The region of what has no grid.
    pub root_region: String,
    /// True when there is a Kafka to tell.
    pub publishes: bool,
}

impl Applier {
    /// Takes a batch in.
    pub fn apply(&self, transaction: &Transaction<'_>, batch: &Batch, now: Timestamp) -> Stored<Effects> {
        let found = position(transaction, &batch.log)?;
        if let Some(expected) = batch.expected.filter(|expected| *expected != found) {
            return Err(StoreError::Fenced { log: batch.log.clone(), found, expected });
        }
        let mut run = Run::new(self, transaction, now);
        run.effects.next = found;
        for message in &batch.messages {
            if message.position < found {
                run.effects.n_repeated += 1;
                continue;
            }
            match &message.event {
                Ok((event, text)) => match owners::note(transaction, event)? {
                    None => run.take_event(event, text)?,
                    Some(refused) => run.take_stale(batch, message, (text, &refused))?,
                },
                Err(refused) => run.take_refusal(batch, message, refused)?,
            }
            run.effects.next = message.position + 1;
        }
        let next = run.effects.next.cast_signed();
        transaction
            .prepare_cached("INSERT OR REPLACE INTO position (log, next) VALUES (?1, ?2)")?
            .execute((&batch.log, next))?;
        run.finish()
    }

    /// Lets time pass for the devices whose conditions may have held long enough.
    pub fn tick(&self, transaction: &Transaction<'_>, now: Timestamp) -> Stored<Effects> {
        let mut run = Run::new(self, transaction, now);
        for device in due(transaction, now)? {
            let mut memory = run.take_memory(&device)?;
            let firings = run.engine.advance(&mut memory, &device, now);
            run.memories.insert(device, memory);
            run.take_observed(Observed { firings, ..Observed::default() })?;
        }
        run.finish()
    }
}

/// Where a log's next message is.
pub fn position(transaction: &Transaction<'_>, log: &str) -> Stored<u64> {
    let mut statement = transaction.prepare_cached("SELECT next FROM position WHERE log = ?1")?;
    let next: Option<i64> = statement.query_row([log], |row| row.get(0)).optional()?;
    Ok(next.unwrap_or(0).unsigned_abs())
}

/// Devices for which a tick may find something.
pub fn due(transaction: &Transaction<'_>, now: Timestamp) -> Stored<Vec<DeviceId>> {
    let mut statement = transaction
        .prepare_cached("SELECT device FROM rule_memory WHERE due_at <= ?1 AND due_until >= ?1 LIMIT 500")?;
    let rows = statement.query_map([micros(now)], |row| row.get::<_, String>(0))?;
    let ids: Vec<String> = rows.collect::<Result<_, _>>()?;
    Ok(ids.into_iter().filter_map(|id| id.parse().ok()).collect())
}

struct Run<'r> {
    applier: &'r Applier,
    /// The rules as they are when the run begins.
    engine: Arc<Engine>,
    transaction: &'r Transaction<'r>,
    now: Timestamp,
    memories: HashMap<DeviceId, Memory>,
    effects: Effects,
}

impl<'r> Run<'r> {
    fn new(applier: &'r Applier, transaction: &'r Transaction<'r>, now: Timestamp) -> Self {
        let (engine, memories, effects) = (applier.rules.engine(), HashMap::new(), Effects::default());
        Self { applier, engine, transaction, now, memories, effects }
    }

    fn take_event(&mut self, event: &Event, text: &str) -> Stored<()> {
        let device = event.source.device().map_or_else(|| event.source.key(), |device| device.to_string());
        let n_new = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO event (id, type, device, time, received_at, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute((
                event.id().to_string(),
                event.payload.wire_type(),
                device,
                micros(event.time),
                micros(event.received_at),
                text,
            ))?;
        if n_new == 0 {
            self.effects.n_repeated += 1;
            return Ok(());
        }
        *self.effects.n_new.entry(event.payload.wire_type()).or_default() += 1;
        devices::note(self.transaction, event, &self.applier.root_region, self.now)?;
        let Some(device) = event.source.device() else { return Ok(()) };
        let mut memory = self.take_memory(&device)?;
        let observed = self.engine.observe(&mut memory, event);
        self.memories.insert(device, memory);
        self.take_observed(observed)
    }

    fn take_memory(&mut self, device: &DeviceId) -> Stored<Memory> {
        if let Some(memory) = self.memories.remove(device) {
            return Ok(memory);
        }
        let mut statement = self.transaction.prepare_cached("SELECT json FROM rule_memory WHERE device = ?1")?;
        let text: Option<String> = statement.query_row([device.as_str()], |row| row.get(0)).optional()?;
        text.map_or_else(|| Ok(Memory::default()), |text| json("rule memory", &text))
    }

    fn take_observed(&mut self, observed: Observed) -> Stored<()> {
        self.effects.n_late += u64::from(observed.late);
        for firing in observed.firings {
            let grouping = group::Grouping { transaction: self.transaction, applier: self.applier, now: self.now };
            if let Some(taken) = grouping.take(&firing)? {
                self.effects.fired.push(firing.rule.clone());
                self.effects.opened.extend(taken.opened);
            }
        }
        for support in observed.supports {
            let grouping = group::Grouping { transaction: self.transaction, applier: self.applier, now: self.now };
            grouping.support(support)?;
        }
        Ok(())
    }

    /// A stale owner's event is refused like any other, with its own count.
    fn take_stale(&mut self, batch: &Batch, message: &Message, (text, refused): (&str, &Refused)) -> Stored<()> {
        self.effects.n_stale += 1;
        let refused_bytes = text.as_bytes().to_vec();
        let message = Message { position: message.position, event: Err(refused.clone()), refused_bytes };
        self.take_refusal(batch, &message, refused)
    }

    fn take_refusal(&mut self, batch: &Batch, message: &Message, refused: &Refused) -> Stored<()> {
        self.effects.n_refused += 1;
        let sha256 = hex::encode(Sha256::digest(&message.refused_bytes));
        let bytes = message.refused_bytes.len() as u64;
        let position = message.position.cast_signed();
        tracing::warn!(log = batch.log, position, path = refused.path, reason = refused.reason, "message refused");
        self.transaction.prepare_cached("INSERT OR IGNORE INTO refused VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            (&batch.log, position, &refused.path, &refused.reason, &sha256, bytes.cast_signed(), micros(self.now)),
        )?;
        let (true, Ok(sha256)) = (self.applier.publishes, Digest::try_from(sha256)) else { return Ok(()) };
        let (topic, partition) = batch.origin.clone();
        let Refused { path, reason } = refused.clone();
        let letter = EventRefused { topic, partition, offset: position, path, reason, sha256, bytes };
        outbox::push(self.transaction, DEAD_LETTER_TOPIC, &dead_letter(batch, message.position, letter, self.now)?)
    }

    /// Writes the memories back, with the time when each may fire by itself.
    fn finish(self) -> Stored<Effects> {
        for (device, memory) in &self.memories {
            let due = self.engine.due(memory, device);
            self.transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO rule_memory (device, json, due_at, due_until) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((
                    device.as_str(),
                    to_json("rule memory", memory)?,
                    due.map(|due| micros(due.at)),
                    due.map(|due| micros(due.until)),
                ))?;
        }
        Ok(self.effects)
    }
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
        let applier = Applier {
            rules: Rulebook::new(RuleSet::default()),
            evidence: Evidence::new(None, "evidence".into()),
            root_region: "3402".to_owned(),
            publishes: false,
        };
        let messages = positions.map(message).collect();
        let (log, origin) = ("log".to_owned(), ("topic".to_owned(), 0));
        let batch = Batch { log, origin, expected: Some(expected), messages };
        store.write_blocking(move |transaction| applier.apply(transaction, &batch, Timestamp::UNIX_EPOCH))
    }

    fn n_events(store: &Store) -> i64 {
        let count =
            |transaction: &Transaction<'_>| Ok(transaction.query_row("SELECT count(*) FROM event", [], |r| r.get(0))?);
        store.write_blocking(count).unwrap()
    }

    #[test]
    fn consumer_that_lost_its_partition_stores_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.sqlite");
        let (old, new) = (Store::open(&file).unwrap(), Store::open(&file).unwrap());
        assert_eq!(apply(&old, 0, 0..3).unwrap().next, 3);
        assert_eq!(apply(&new, 3, 3..8).unwrap().next, 8);
        let fenced = apply(&old, 3, 3..9);
        assert!(matches!(fenced, Err(StoreError::Fenced { found: 8, expected: 3, .. })), "{fenced:?}");
        assert_eq!(n_events(&new), 8);
    }

    #[test]
    fn position_and_id_both_stop_repetitions() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.sqlite")).unwrap();
        assert_eq!(apply(&store, 0, 0..4).unwrap().n_repeated, 0);
        assert_eq!(apply(&store, 4, 2..6).unwrap().n_repeated, 2);
        assert_eq!(n_events(&store), 6);
    }
}
