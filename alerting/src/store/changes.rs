//! What happened to incidents, in order: the timeline of one, and the tail that the live stream follows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xueliang_events::{
    DeviceId, Event, GridCode, INCIDENTS_TOPIC, IncidentId, SessionId, Source, payload::IncidentChanged,
};
use xueliang_rules::{Firing, Measure};

use super::{
    Stored, Tx,
    columns::{json, key},
    outbox,
    sql::{Row, params},
};
use crate::workflow::State;

/// One row of a timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its place in the order of all changes.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// `person`, `rule` or `job`.
    pub actor_kind: String,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// Where it stood.
    pub from: Option<State>,
    /// Where it stands.
    pub to: State,
    /// The reason's code.
    pub reason: Option<String>,
    /// In words.
    pub comment: Option<String>,
    /// What a rule said; `None` where a person or a job did something.
    pub fired: Option<Fired>,
}

/// What fired, as a timeline keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fired {
    /// The rule's version.
    pub version: u32,
    /// The device.
    pub device: DeviceId,
    /// Where on it: `zone/…`, `line/…` or `device`.
    pub place: String,
    /// When the condition had held for its T.
    pub at: Timestamp,
    /// What was measured.
    pub values: Vec<Measure>,
}

impl From<&Firing> for Fired {
    fn from(firing: &Firing) -> Self {
        let Firing { version, device, place, at, values, .. } = firing;
        Self { version: *version, device: device.clone(), place: place.to_string(), at: *at, values: values.clone() }
    }
}

/// A change to be written down.
#[derive(Debug, Clone, Copy)]
pub struct NewChange<'a> {
    /// The incident.
    pub incident: IncidentId,
    /// Its version afterwards.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// `person`, `rule` or `job`, and who.
    pub actor: (&'a str, &'a str),
    /// What was done.
    pub action: &'a str,
    /// Where it stood.
    pub from: Option<State>,
    /// Where it stands.
    pub to: State,
    /// The reason's code.
    pub reason: Option<&'a str>,
    /// In words.
    pub comment: Option<&'a str>,
    /// What came with the command, or what [fired](Fired), as JSON.
    pub fields: Option<&'a str>,
}

/// Writes a change down.
pub fn append(tx: &Tx<'_>, change: NewChange<'_>) -> Stored<()> {
    let NewChange { incident, version, at, actor, action, from, to, reason, comment, fields } = change;
    tx.execute(
        "INSERT INTO change (incident, version, at, actor_kind, actor, action, from_state, to_state, reason, comment,
             fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            incident.to_string(),
            version,
            at,
            actor.0,
            actor.1,
            action,
            from.map(State::as_str),
            to.as_str(),
            reason,
            comment,
            fields,
        ],
    )?;
    Ok(())
}

/// The newest thousand changes of one incident, oldest first.
pub fn timeline(tx: &Tx<'_>, id: IncidentId) -> Stored<Vec<Change>> {
    let sql = "SELECT * FROM change WHERE incident = ?1 ORDER BY seq DESC LIMIT 1000";
    tx.rows(sql, params![id.to_string()])?.iter().rev().map(read).collect()
}

/// The incidents that changed after `seq`, each with its newest change, oldest first.
pub fn since(tx: &Tx<'_>, seq: i64) -> Stored<Vec<(i64, IncidentId)>> {
    let rows = tx.rows(
        "SELECT max(seq) AS newest, incident FROM change WHERE seq > ?1 GROUP BY incident ORDER BY newest LIMIT 1000",
        params![seq],
    )?;
    rows.iter().map(|row| Ok((row.get("newest")?, key(row, "incident", |text| text.parse().ok())?))).collect()
}

/// The newest change.
pub fn newest(tx: &Tx<'_>) -> Stored<i64> {
    tx.value("SELECT coalesce(max(seq), 0) FROM change", &[])
}

/// What an incident's new state looks like to the rest of the city.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// What changed.
    pub changed: IncidentChanged,
    /// When.
    pub at: Timestamp,
    /// Where.
    pub grid: Option<GridCode>,
}

impl Announcement {
    /// An announcement of where an incident stands now.
    pub fn new(incident: &super::incidents::Incident) -> Self {
        let changed = IncidentChanged {
            incident: incident.id,
            category: incident.category,
            state: incident.state.as_str().to_owned(),
            version: incident.version,
            device: incident.device.clone(),
            evidentiary: false,
        };
        Self { changed, at: incident.updated_at, grid: incident.grid.clone() }
    }
}

/// Puts an announcement into the outbox; the incident is its own session, so that a repetition has the same id.
pub fn announce(tx: &Tx<'_>, announcement: Announcement) -> Stored<()> {
    let Announcement { changed, at, grid } = announcement;
    let event = Event {
        source: Source::Incident(changed.incident),
        session: SessionId(changed.incident.0),
        sequence: changed.version - 1,
        time: at,
        received_at: at,
        grid,
        owner_epoch: None,
        payload: changed.into(),
    };
    outbox::push(tx, INCIDENTS_TOPIC, &event)
}

fn read(row: &Row) -> Stored<Change> {
    let from: Option<String> = row.get("from_state")?;
    let (actor_kind, fields): (String, Option<String>) = (row.get("actor_kind")?, row.get("fields")?);
    let fired = fields.filter(|_| actor_kind == "rule").map(|fired| json("a firing", &fired)).transpose()?;
    Ok(Change {
        seq: row.get("seq")?,
        at: row.get("at")?,
        actor_kind,
        actor: row.get("actor")?,
        action: row.get("action")?,
        from: from.and_then(|from| State::parse(&from)),
        to: key(row, "to_state", State::parse)?,
        reason: row.get("reason")?,
        comment: row.get("comment")?,
        fired,
    })
}
