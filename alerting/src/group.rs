//! Which incident a firing belongs to: an open one of the same category and place, at most a day old, or a new one.
//!
//! Ids follow from the firing, so that the same firing never makes two incidents. A firing that was taken before is
//! left alone. Stills are copied here, before the transaction commits.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;
use xueliang_events::{Event, EventId, IncidentId, Payload, payload::Category, values::SnapshotRef};
use xueliang_rules::{Firing, FiringId};

use crate::{
    store::{
        StoreError, Stored, Tx,
        apply::Applier,
        changes::{self, Announcement, Fired, NewChange},
        columns::{key, to_json},
        each::{Column, Holds::*},
        incidents,
        sql::{Value, params},
    },
    words::{self, Bilingual},
    workflow::State,
};

mod find;

use find::{Found, find_open, position_of, region_of};
pub use find::{JOIN_WITHIN, JOIN_WITHIN_M, SAME_CAUSE_WITHIN};

/// Most events linked to one incident; more are counted and add nothing that a person would read.
const MAX_LINKED: i64 = 1000;
/// An incident and one of its events.
type Link = (String, String);
const LINK: [Column; 2] = [("incident", Text), ("event", Text)];

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
    pub tx: &'g Tx<'g>,
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
        let (incident, opened) = match find_open(self.tx, firing, self.applier)? {
            Some(found) => {
                self.join(&found, firing)?;
                self.note(found.incident, firing, ("fired", Some(found.state), found.state, found.version))?;
                (found.incident, None)
            }
            None => {
                let incident = self.open(firing)?;
                self.note(incident, firing, ("open", None, State::Suspected, 1))?;
                (incident, Some(opened(incident, firing)))
            }
        };
        self.tx.execute(
            "INSERT INTO firing (id, incident, at) VALUES (?1, ?2, ?3)",
            params![firing.id.to_string(), incident.to_string(), firing.at],
        )?;
        if let Some(snapshot) = &firing.snapshot {
            self.keep_still(&incident.to_string(), snapshot, firing.at)?;
        }
        for event in &firing.events {
            self.link(incident, *event)?;
        }
        if opened.is_some()
            && self.applier.publishes
            && let Some(incident) = incidents::load(self.tx, incident)?
        {
            changes::announce(self.tx, Announcement::new(&incident))?;
        }
        Ok(Some(Taken { opened }))
    }

    /// Counts events with the incidents of earlier firings that are still open, and links those that a person would read.
    pub fn support(&self, supports: &[(FiringId, &Event)]) -> Stored<()> {
        let (incidents, mut n_events) = self.open_of(supports.iter().map(|(firing, _)| *firing).collect())?;
        let (mut supported, mut grown): (Vec<(Link, &Event)>, BTreeMap<String, i64>) = Default::default();
        for (firing, event) in supports {
            let Some(incident) = incidents.get(&firing.to_string()) else { continue };
            let n_events = n_events.entry(incident.clone()).or_default();
            *n_events += 1;
            if *n_events <= MAX_LINKED {
                supported.push(((incident.clone(), event.id().to_string()), event));
            } else {
                *grown.entry(incident.clone()).or_default() += 1;
            }
        }
        let mut new = self.link_new(supported.iter().map(|(link, _)| link))?;
        for (link, event) in supported.into_iter().filter(|(link, _)| new.remove(link)) {
            let (incident, _) = link;
            if let Some(snapshot) = snapshot_of(&event.payload) {
                self.keep_still(&incident, snapshot, event.time)?;
            }
            *grown.entry(incident).or_default() += 1;
        }
        self.count(grown)
    }

    /// The open incidents of firings, and how many events each has.
    fn open_of(&self, firings: BTreeSet<FiringId>) -> Stored<(HashMap<String, String>, HashMap<String, i64>)> {
        let keys: Vec<Vec<Value>> = firings.iter().map(|firing| params![firing.to_string()].to_vec()).collect();
        let sql = "SELECT firing.id AS firing, incident.id AS incident, n_events FROM each
             JOIN firing ON firing.id = each.firing JOIN incident ON incident.id = firing.incident WHERE is_open = 1";
        let rows = self.tx.each(&[("firing", Text)], &keys, sql)?;
        let incidents = rows.iter().map(|row| Ok((row.get("firing")?, row.get("incident")?))).collect::<Stored<_>>()?;
        let n_events =
            rows.iter().map(|row| Ok((row.get("incident")?, row.get("n_events")?))).collect::<Stored<_>>()?;
        Ok((incidents, n_events))
    }

    /// Links events to incidents; those that were not linked before.
    fn link_new<'l>(&self, links: impl Iterator<Item = &'l Link>) -> Stored<HashSet<Link>> {
        let rows: Vec<Vec<Value>> = links.map(|(incident, event)| params![incident, event].to_vec()).collect();
        let sql = "INSERT INTO incident_event (incident, event) SELECT * FROM each WHERE true ON CONFLICT DO NOTHING
             RETURNING incident, event";
        let new = self.tx.each(&LINK, &rows, sql)?;
        let new: HashSet<Link> =
            new.iter().map(|row| Ok((row.get("incident")?, row.get("event")?))).collect::<Stored<_>>()?;
        let events: Vec<Vec<Value>> = new.iter().map(|(_, event)| params![event].to_vec()).collect();
        let sql = "UPDATE event SET linked = 1 FROM each WHERE event.id = each.event";
        self.tx.each(&LINK[1..], &events, sql)?;
        Ok(new)
    }

    fn count(&self, grown: BTreeMap<String, i64>) -> Stored<()> {
        let rows: Vec<Vec<Value>> =
            grown.into_iter().map(|(incident, n)| params![incident, n, self.now].to_vec()).collect();
        let sql = "UPDATE incident SET n_events = incident.n_events + each.n, counted_at = each.at FROM each
             WHERE incident.id = each.incident";
        self.tx.each(&[("incident", Text), ("n", Int), ("at", Int)], &rows, sql).map(|_| ())
    }

    fn incident_of(&self, firing: &str) -> Stored<Option<IncidentId>> {
        let row = self.tx.row("SELECT incident FROM firing WHERE id = ?1", params![firing])?;
        row.map(|row| key(&row, "incident", |text| text.parse().ok())).transpose()
    }

    fn open(&self, firing: &Firing) -> Stored<IncidentId> {
        let id = incident_id(firing);
        let region = region_of(firing, &self.applier.root_region);
        let (longitude, latitude) = position_of(self.tx, firing)?.unzip();
        self.tx.execute(
            "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
             grid, region, rule, rule_version, measures, longitude, latitude, last_fired_at)
             VALUES (?1, ?2, ?3, 1, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?5)",
            params![
                id.to_string(),
                firing.category.as_str(),
                State::Suspected.as_str(),
                firing.urgency.as_str(),
                firing.at,
                self.now,
                firing.device.as_str(),
                firing.place.to_string(),
                firing.grid.as_ref().map(|grid| grid.as_str()),
                region,
                firing.rule.as_str(),
                firing.version,
                to_json("measures", &firing.values)?,
                longitude,
                latitude,
            ],
        )?;
        self.add_device(id, firing)?;
        Ok(id)
    }

    /// The newest measures are those of the device that the incident is named for.
    fn join(&self, found: &Found, firing: &Firing) -> Stored<()> {
        let incident = found.incident.to_string();
        self.add_device(found.incident, firing)?;
        self.tx.execute(
            "UPDATE incident SET n_firings = n_firings + 1, updated_at = ?2,
             last_fired_at = CASE WHEN last_fired_at < ?3 THEN ?3 ELSE last_fired_at END, region = ?4,
             n_devices = (SELECT count(DISTINCT device) FROM incident_device WHERE incident = ?1) WHERE id = ?1",
            params![&incident, self.now, firing.at, &found.region],
        )?;
        if found.device == firing.device.as_str() {
            let measures = to_json("measures", &firing.values)?;
            self.tx.execute("UPDATE incident SET measures = ?2 WHERE id = ?1", params![&incident, measures])?;
        }
        Ok(())
    }

    fn add_device(&self, incident: IncidentId, firing: &Firing) -> Stored<()> {
        self.tx.execute(
            "INSERT INTO incident_device (incident, device, place) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![incident.to_string(), firing.device.as_str(), firing.place.to_string()],
        )?;
        Ok(())
    }

    fn note(
        &self,
        incident: IncidentId,
        firing: &Firing,
        (action, from, to, version): (&str, Option<State>, State, u64),
    ) -> Stored<()> {
        let actor = ("rule", firing.rule.as_str());
        let (at, reason, comment) = (self.now, None, None);
        let told = to_json("a firing", &Fired::from(firing))?;
        let fields = Some(told.as_str());
        let change = NewChange { incident, version, at, actor, action, from, to, reason, comment, fields };
        changes::append(self.tx, change)
    }

    /// Links what a firing rests on.
    fn link(&self, incident: IncidentId, event: EventId) -> Stored<()> {
        let link = (incident.to_string(), event.to_string());
        let Some(row) = self.tx.row("SELECT json FROM event WHERE id = ?1", params![&link.1])? else { return Ok(()) };
        if self.link_new(std::iter::once(&link))?.is_empty() {
            return Ok(());
        }
        let (incident, _) = link;
        self.count(BTreeMap::from([(incident.clone(), 1)]))?;
        let event = Event::from_json(row.first::<String>()?.as_bytes())
            .map_err(|refused| StoreError::Corrupt { what: "an event", value: refused.to_string() })?;
        snapshot_of(&event.payload).map_or(Ok(()), |snapshot| self.keep_still(&incident, snapshot, event.time))
    }

    /// The first still that can be kept becomes the incident's own.
    fn keep_still(&self, incident: &str, snapshot: &SnapshotRef, taken_at: Timestamp) -> Stored<()> {
        if !self.applier.evidence.keep(&snapshot.sha256) {
            return Ok(());
        }
        self.tx.execute(
            "INSERT INTO incident_snapshot (incident, sha256, taken_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![incident, snapshot.sha256.as_str(), taken_at],
        )?;
        self.tx.execute(
            "UPDATE incident SET snapshot = ?2 WHERE id = ?1 AND snapshot IS NULL",
            params![incident, to_json("snapshot", snapshot)?],
        )?;
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
