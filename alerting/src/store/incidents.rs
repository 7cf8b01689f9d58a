//! Incidents as they stand, and what belongs to them.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params_from_iter};
use xueliang_events::{
    DeviceId, GridCode, IncidentId,
    payload::Category,
    values::{Digest, SnapshotRef},
};
use xueliang_rules::{Measure, Place, RuleId};

use super::{
    StoreError, Stored,
    columns::{json, key, micros, place, timestamp},
};
use crate::{
    access::{Kind, Resource, Scope},
    workflow::{Facts, State},
};

/// One incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Its category.
    pub category: Category,
    /// Where it stands.
    pub state: State,
    /// `A`, `B` or `C`.
    pub urgency: String,
    /// Counts its changes of state from 1.
    pub version: u64,
    /// When its condition had held long enough.
    pub opened_at: Timestamp,
    /// When anything last happened to it.
    pub updated_at: Timestamp,
    /// The device.
    pub device: DeviceId,
    /// The device's name by language, when the registry gave one.
    pub device_names: (Option<String>, Option<String>),
    /// Where on the device.
    pub place: Place,
    /// Its grid.
    pub grid: Option<GridCode>,
    /// The region that decides who may see it.
    pub region: String,
    /// The rule that opened it, and its version.
    pub rule: (RuleId, u32),
    /// How many events are linked.
    pub n_events: u64,
    /// How many firings it holds.
    pub n_firings: u64,
    /// What was measured.
    pub values: Vec<Measure>,
    /// Its redacted still.
    pub snapshot: Option<SnapshotRef>,
    /// What is known of its course.
    pub facts: Facts,
}

impl Incident {
    /// What access is asked for.
    pub fn resource(&self) -> Resource<'_> {
        Resource {
            department: self.facts.department.as_deref(),
            checker: self.facts.checker.as_deref(),
            verifier: self.facts.verifier.as_deref(),
            reporter: self.facts.reporter.as_deref(),
            handler: self.facts.handler.as_deref(),
            ..Resource::new(Kind::Incident, &self.region)
        }
    }
}

/// Which incidents a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these states; empty means all.
    pub states: Vec<State>,
    /// Only these categories; empty means all.
    pub categories: Vec<Category>,
    /// Only what comes after this one.
    pub before: Option<(Timestamp, IncidentId)>,
    /// At most so many.
    pub limit: usize,
}

const COLUMNS: &str =
    "incident.*, device.name_zh, device.name_en FROM incident LEFT JOIN device ON device.id = incident.device";

/// One incident.
pub fn load(transaction: &Transaction<'_>, id: IncidentId) -> Stored<Option<Incident>> {
    let mut statement = transaction.prepare_cached(&format!("SELECT {COLUMNS} WHERE incident.id = ?1"))?;
    let mut rows = statement.query([id.to_string()])?;
    rows.next()?.map(read).transpose()
}

/// The newest incidents within the scope.
pub fn list(transaction: &Transaction<'_>, scope: &Scope, filter: &Filter) -> Stored<Vec<Incident>> {
    let mut query = Query::within(scope);
    query.one_of("incident.state", filter.states.iter().map(|state| state.as_str()));
    query.one_of("incident.category", filter.categories.iter().map(|category| category.as_str()));
    if let Some((at, id)) = filter.before {
        query.and("(incident.opened_at, incident.id) < (?, ?)", [Box::new(micros(at)), Box::new(id.to_string())]);
    }
    let sql = format!(
        "SELECT {COLUMNS} WHERE {} ORDER BY incident.opened_at DESC, incident.id DESC LIMIT {}",
        query.conditions.join(" AND "),
        filter.limit
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(query.values.iter()))?;
    let mut incidents = Vec::new();
    while let Some(row) = rows.next()? {
        incidents.push(read(row)?);
    }
    Ok(incidents)
}

/// How many incidents within the scope stand in each state.
pub fn count(transaction: &Transaction<'_>, scope: &Scope, categories: &[Category]) -> Stored<Vec<(State, u64)>> {
    let mut query = Query::within(scope);
    query.one_of("incident.category", categories.iter().map(|category| category.as_str()));
    let conditions = query.conditions.join(" AND ");
    let sql = format!("SELECT state, count(*) AS n FROM incident WHERE {conditions} GROUP BY state");
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(query.values.iter()))?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        counts.push((key(row, "state", State::parse)?, row.get::<_, i64>("n")?.unsigned_abs()));
    }
    Ok(counts)
}

/// The newest linked events, as they came.
pub fn events(transaction: &Transaction<'_>, id: IncidentId) -> Stored<Vec<String>> {
    let mut statement = transaction.prepare_cached(
        "SELECT event.json FROM incident_event JOIN event ON event.id = incident_event.event
         WHERE incident_event.incident = ?1 ORDER BY event.time DESC LIMIT 200",
    )?;
    let rows = statement.query_map([id.to_string()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// True when the incident may show this still.
pub fn shows(transaction: &Transaction<'_>, id: IncidentId, sha256: &Digest) -> Stored<bool> {
    let linked = transaction.query_row(
        "SELECT 1 FROM incident_snapshot WHERE incident = ?1 AND sha256 = ?2",
        (id.to_string(), sha256.as_str()),
        |_| Ok(()),
    );
    Ok(linked.optional()?.is_some())
}

/// The stills that the incident may show.
pub fn stills(transaction: &Transaction<'_>, id: IncidentId) -> Stored<Vec<String>> {
    let mut statement = transaction.prepare_cached("SELECT sha256 FROM incident_snapshot WHERE incident = ?1")?;
    let rows = statement.query_map([id.to_string()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

struct Query {
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    /// Only what the scope covers; an empty scope covers nothing.
    fn within(scope: &Scope) -> Self {
        let mut query = Self { conditions: Vec::new(), values: Vec::new() };
        let mut grants = vec!["0".to_owned()];
        for grant in &scope.0 {
            let mut parts = vec!["substr(incident.region, 1, length(?)) = ?"];
            query.values.extend([Box::new(grant.region.clone()) as Box<dyn ToSql>, Box::new(grant.region.clone())]);
            for (part, value) in [
                ("incident.department = ?", &grant.department),
                ("incident.checker = ?", &grant.checker),
                ("incident.verifier = ?", &grant.verifier),
                ("incident.reporter = ?", &grant.reporter),
            ] {
                if let Some(value) = value {
                    parts.push(part);
                    query.values.push(Box::new(value.clone()));
                }
            }
            grants.push(format!("({})", parts.join(" AND ")));
        }
        query.conditions.push(format!("({})", grants.join(" OR ")));
        query
    }

    fn and<const N: usize>(&mut self, condition: &str, values: [Box<dyn ToSql>; N]) {
        self.conditions.push(condition.to_owned());
        self.values.extend(values);
    }

    fn one_of<'k>(&mut self, column: &str, keys: impl Iterator<Item = &'k str>) {
        let keys: Vec<Box<dyn ToSql>> = keys.map(|key| Box::new(key.to_owned()) as Box<dyn ToSql>).collect();
        if !keys.is_empty() {
            self.conditions.push(format!("{column} IN ({})", vec!["?"; keys.len()].join(", ")));
            self.values.extend(keys);
        }
    }
}

fn read(row: &Row<'_>) -> Stored<Incident> {
    let grid: Option<String> = row.get("grid")?;
    let values: String = row.get("measures")?;
    let snapshot: Option<String> = row.get("snapshot")?;
    Ok(Incident {
        id: key(row, "id", |text| text.parse().ok())?,
        category: key(row, "category", Category::parse)?,
        state: key(row, "state", State::parse)?,
        urgency: row.get("urgency")?,
        version: row.get::<_, i64>("version")?.unsigned_abs(),
        opened_at: timestamp(row.get("opened_at")?)?,
        updated_at: timestamp(row.get("updated_at")?)?,
        device: key(row, "device", |text| text.parse().ok())?,
        device_names: (row.get("name_zh")?, row.get("name_en")?),
        place: key(row, "place", place)?,
        grid: grid.and_then(|grid| grid.parse().ok()),
        region: row.get("region")?,
        rule: (key(row, "rule", |text| text.parse().ok())?, row.get("rule_version")?),
        n_events: row.get::<_, i64>("n_events")?.unsigned_abs(),
        n_firings: row.get::<_, i64>("n_firings")?.unsigned_abs(),
        values: json("measures", &values)?,
        snapshot: snapshot.map(|snapshot| json("snapshot", &snapshot)).transpose()?,
        facts: read_facts(row)?,
    })
}

fn read_facts(row: &Row<'_>) -> Stored<Facts> {
    let time = |column: &'static str| -> Stored<Option<Timestamp>> {
        row.get::<_, Option<i64>>(column).map_err(StoreError::from)?.map(timestamp).transpose()
    };
    Ok(Facts {
        reporter: row.get("reporter")?,
        checker: row.get("checker")?,
        department: row.get("department")?,
        handler: row.get("handler")?,
        verifier: row.get("verifier")?,
        n_returns: row.get("n_returns")?,
        arbitrated: row.get("arbitrated")?,
        attempt: row.get("attempt")?,
        closed_at: time("closed_at")?,
        suspended_until: time("suspended_until")?,
    })
}
