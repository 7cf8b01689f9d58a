//! Which incident a firing belongs to: an open one of the same category and place, at most a day old, or a new one.
//!
//! Ids follow from the firing, so that the same firing never makes two incidents. A firing that was taken before is
//! left alone. Stills are copied here, before the transaction commits.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};
use uuid::Uuid;
use xueliang_events::{Event, EventId, IncidentId, Payload, payload::Category, values::SnapshotRef};
use xueliang_rules::{Firing, Support};

use crate::{
    store::{
        StoreError, Stored,
        apply::Applier,
        changes::{self, Announcement, NewChange},
        columns::{key, micros, to_json},
        incidents,
    },
    words::{self, Bilingual},
    workflow::State,
};

/// How old an open incident may be that a firing joins (RULES C, edge 1).
pub const JOIN_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Most events linked to one incident; more add nothing that a person would read.
const MAX_LINKED: i64 = 1000;

/// The id of the incident that a firing opens; the same firing opens the same incident.
pub fn incident_id(firing: &Firing) -> IncidentId {
    const NAMESPACE: Uuid = Uuid::from_u128(0x7c55_0e19_8f3a_4d26_b1c7_5b0a_92e4_3d61);
    let name = format!("{}\n{}\n{}\n{}", firing.category.as_str(), firing.device, firing.place, firing.id);
    IncidentId(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// An incident that has just been opened, for the terminal and the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Its id.
    pub id: IncidentId,
    /// Its category.
    pub category: Category,
    /// The device.
    pub device: String,
    /// The zone's or line's id.
    pub place: Option<String>,
    /// When its condition had held long enough.
    pub at: Timestamp,
    /// What happened, in words.
    pub summary: Bilingual,
}

/// A firing that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The incident, when the firing opened one.
    pub opened: Option<Opened>,
}

/// Groups firings within one transaction.
pub struct Grouping<'g> {
    /// The transaction.
    pub transaction: &'g Transaction<'g>,
    /// Settings and stills.
    pub applier: &'g Applier,
    /// The time.
    pub now: Timestamp,
}

impl Grouping<'_> {
    /// Takes a firing; `None` when it was taken before.
    pub fn take(&self, firing: &Firing) -> Stored<Option<Taken>> {
        if self.incident_of(&firing.id.to_string())?.is_some() {
            return Ok(None);
        }
        let (incident, opened) = match self.find_open(firing)? {
            Some((incident, state, version)) => {
                self.join(incident, firing)?;
                self.note(incident, firing, ("fired", Some(state), state, version))?;
                (incident, None)
            }
            None => {
                let incident = self.open(firing)?;
                self.note(incident, firing, ("open", None, State::Suspected, 1))?;
                (incident, Some(opened(incident, firing)))
            }
        };
        self.transaction.prepare_cached("INSERT INTO firing (id, incident, at) VALUES (?1, ?2, ?3)")?.execute((
            firing.id.to_string(),
            incident.to_string(),
            micros(firing.at),
        ))?;
        if let Some(snapshot) = &firing.snapshot {
            self.keep_still(incident, snapshot)?;
        }
        for event in &firing.events {
            self.link(incident, *event)?;
        }
        if opened.is_some()
            && self.applier.publishes
            && let Some(incident) = incidents::load(self.transaction, incident)?
        {
            changes::announce(self.transaction, Announcement::new(&incident))?;
        }
        Ok(Some(Taken { opened }))
    }

    /// Links an event to the incident of an earlier firing while that is open.
    pub fn support(&self, support: Support) -> Stored<()> {
        let Some(incident) = self.incident_of(&support.firing.to_string())? else { return Ok(()) };
        let is_open: Option<bool> = self
            .transaction
            .prepare_cached("SELECT is_open FROM incident WHERE id = ?1")?
            .query_row([incident.to_string()], |row| row.get(0))
            .optional()?;
        if is_open == Some(true) { self.link(incident, support.event) } else { Ok(()) }
    }

    fn incident_of(&self, firing: &str) -> Stored<Option<IncidentId>> {
        let mut statement = self.transaction.prepare_cached("SELECT incident FROM firing WHERE id = ?1")?;
        let mut rows = statement.query([firing])?;
        rows.next()?.map(|row| key(row, "incident", |text| text.parse().ok())).transpose()
    }

    fn find_open(&self, firing: &Firing) -> Stored<Option<(IncidentId, State, u64)>> {
        let oldest = micros(firing.at.checked_sub(JOIN_WITHIN).unwrap_or(Timestamp::MIN));
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, state, version FROM incident WHERE category = ?1 AND device = ?2 AND place = ?3 AND is_open = 1
             AND opened_at >= ?4 ORDER BY opened_at DESC LIMIT 1",
        )?;
        let place = firing.place.to_string();
        let mut rows = statement.query((firing.category.as_str(), firing.device.as_str(), place, oldest))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let id = key(row, "id", |text| text.parse().ok())?;
        Ok(Some((id, key(row, "state", State::parse)?, row.get::<_, i64>("version")?.unsigned_abs())))
    }

    fn open(&self, firing: &Firing) -> Stored<IncidentId> {
        let id = incident_id(firing);
        let region = firing.grid.as_ref().map_or(self.applier.root_region.as_str(), |grid| grid.as_str());
        self.transaction
            .prepare_cached(
                "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device,
                 place, grid, region, rule, rule_version, measures)
                 VALUES (?1, ?2, ?3, 1, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(rusqlite::params![
                id.to_string(),
                firing.category.as_str(),
                State::Suspected.as_str(),
                firing.urgency.as_str(),
                micros(firing.at),
                micros(self.now),
                firing.device.as_str(),
                firing.place.to_string(),
                firing.grid.as_ref().map(|grid| grid.as_str()),
                region,
                firing.rule.as_str(),
                firing.version,
                to_json("measures", &firing.values)?,
            ])?;
        Ok(id)
    }

    fn join(&self, incident: IncidentId, firing: &Firing) -> Stored<()> {
        self.transaction
            .prepare_cached(
                "UPDATE incident SET n_firings = n_firings + 1, updated_at = ?2, measures = ?3 WHERE id = ?1",
            )?
            .execute((incident.to_string(), micros(self.now), to_json("measures", &firing.values)?))?;
        Ok(())
    }

    fn note(
        &self,
        incident: IncidentId,
        firing: &Firing,
        (action, from, to, version): (&str, Option<State>, State, u64),
    ) -> Stored<()> {
        let actor = ("rule", firing.rule.as_str());
        let (at, reason, comment, fields) = (self.now, None, None, None);
        let change = NewChange { incident, version, at, actor, action, from, to, reason, comment, fields };
        changes::append(self.transaction, change)
    }

    fn link(&self, incident: IncidentId, event: EventId) -> Stored<()> {
        let (incident_key, event_key) = (incident.to_string(), event.to_string());
        let mut statement = self.transaction.prepare_cached("SELECT json FROM event WHERE id = ?1")?;
        let text: Option<String> = statement.query_row([&event_key], |row| row.get(0)).optional()?;
        let Some(text) = text else { return Ok(()) };
        let n_linked: i64 = self
            .transaction
            .prepare_cached("SELECT n_events FROM incident WHERE id = ?1")?
            .query_row([&incident_key], |row| row.get(0))?;
        if n_linked >= MAX_LINKED {
            return Ok(());
        }
        let n_new = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO incident_event (incident, event) VALUES (?1, ?2)")?
            .execute((&incident_key, &event_key))?;
        if n_new == 0 {
            return Ok(());
        }
        self.transaction.prepare_cached("UPDATE event SET linked = 1 WHERE id = ?1")?.execute([&event_key])?;
        self.transaction
            .prepare_cached("UPDATE incident SET n_events = n_events + 1 WHERE id = ?1")?
            .execute([&incident_key])?;
        let event = Event::from_json(text.as_bytes())
            .map_err(|refused| StoreError::Corrupt { what: "an event", value: refused.to_string() })?;
        snapshot_of(&event.payload).map_or(Ok(()), |snapshot| self.keep_still(incident, snapshot))
    }

    /// The first still that can be kept becomes the incident's own.
    fn keep_still(&self, incident: IncidentId, snapshot: &SnapshotRef) -> Stored<()> {
        if !self.applier.evidence.keep(&snapshot.sha256) {
            return Ok(());
        }
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO incident_snapshot (incident, sha256) VALUES (?1, ?2)")?
            .execute((incident.to_string(), snapshot.sha256.as_str()))?;
        self.transaction
            .prepare_cached("UPDATE incident SET snapshot = ?2 WHERE id = ?1 AND snapshot IS NULL")?
            .execute((incident.to_string(), to_json("snapshot", snapshot)?))?;
        Ok(())
    }
}

/// The still that an event refers to.
pub fn snapshot_of(payload: &Payload) -> Option<&SnapshotRef> {
    match payload {
        Payload::ZoneEntered(entered) => entered.snapshot.as_ref(),
        Payload::ZoneOccupancy(seen) => seen.snapshot.as_ref(),
        Payload::ZoneDwelled(dwelled) => dwelled.snapshot.as_ref(),
        Payload::LineCrossed(crossed) => crossed.snapshot.as_ref(),
        _ => None,
    }
}

fn opened(id: IncidentId, firing: &Firing) -> Opened {
    let place = firing.place.id().map(str::to_owned);
    let summary = words::incident(
        firing.category,
        &words::device(firing.device.as_str(), &(None, None)),
        place.as_deref(),
        &firing.values,
    );
    Opened { id, category: firing.category, device: firing.device.to_string(), place, at: firing.at, summary }
}
