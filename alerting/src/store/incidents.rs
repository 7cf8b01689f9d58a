//! Incidents as they stand, and what belongs to them.

use std::time::Duration;

use jiff::Timestamp;
use xueliang_events::{
    DeviceId, GridCode, IncidentId,
    payload::Category,
    values::{Digest, SnapshotRef},
};
use xueliang_rules::{Calendar, Measure, Place, RuleId};

use super::{
    Stored, Tx,
    columns::{json, key, place, to_json},
    sql::{Row, Value, params},
};
use crate::{
    access::{Kind, Resource, Scope},
    workflow::{Clocks, Course, Entry, Facts, REOPEN_WITHIN, State},
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
    /// Where it comes from.
    pub entry: Entry,
    /// Its code, once it is a case.
    pub code: Option<String>,
    /// The device; `None` when a person reported it.
    pub device: Option<DeviceId>,
    /// The device's name by language, when the registry gave one.
    pub device_names: (Option<String>, Option<String>),
    /// Where on the device.
    pub place: Place,
    /// Its grid.
    pub grid: Option<GridCode>,
    /// The region that decides who may see it.
    pub region: String,
    /// The rule that opened it, and its version; `None` when a person reported it.
    pub rule: Option<(RuleId, u32)>,
    /// How many events are linked.
    pub n_events: u64,
    /// How many firings it holds.
    pub n_firings: u64,
    /// How many devices it is about: several of one place or one cause.
    pub n_devices: u64,
    /// What was measured.
    pub values: Vec<Measure>,
    /// Its redacted still.
    pub snapshot: Option<SnapshotRef>,
    /// What is known of its course.
    pub facts: Facts,
    /// How its clocks run.
    pub clocks: Clocks,
    /// 督办: somebody above wants it done.
    pub supervised: bool,
    /// How many region levels up it was passed.
    pub n_escalated: u32,
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

impl Incident {
    /// Where it stands, for the workflow.
    pub fn course(&self) -> Course {
        Course { state: self.state, facts: self.facts.clone(), clocks: self.clocks.clone() }
    }

    /// Takes over a course that was moved on.
    pub fn follow(&mut self, course: Course, now: Timestamp) {
        let Course { state, facts, clocks } = course;
        (self.state, self.facts, self.clocks) = (state, facts, clocks);
        self.version += 1;
        self.updated_at = now;
    }

    /// When a closed one can't be reopened any more and is counted.
    pub fn evaluate_at(&self) -> Option<Timestamp> {
        let closed_at = self.facts.closed_at.filter(|_| self.state == State::Closed)?;
        closed_at.checked_add(REOPEN_WITHIN).ok()?.checked_add(Duration::from_micros(1)).ok()
    }
}

/// Writes down where an incident stands, and when time next brings something.
pub fn update(tx: &Tx<'_>, incident: &Incident, calendar: &Calendar) -> Stored<()> {
    let Incident { state, facts, .. } = incident;
    let next_at = incident.course().next_at(calendar).into_iter().chain(incident.evaluate_at()).min();
    tx.execute(
        "UPDATE incident SET state = ?2, is_open = ?3, version = ?4, updated_at = ?5, reporter = ?6, checker = ?7,
             department = ?8, handler = ?9, verifier = ?10, n_returns = ?11, arbitrated = ?12, attempt = ?13,
             closed_at = ?14, suspended_until = ?15, clocks = ?16, next_at = ?17, supervised = ?18, n_escalated = ?19,
             code = ?20 WHERE id = ?1",
        params![
            incident.id.to_string(),
            State::as_str(*state),
            state.is_open(),
            incident.version,
            incident.updated_at,
            &facts.reporter,
            &facts.checker,
            &facts.department,
            &facts.handler,
            &facts.verifier,
            facts.n_returns,
            facts.arbitrated,
            facts.attempt,
            facts.closed_at,
            facts.suspended_until,
            to_json("clocks", &incident.clocks)?,
            next_at,
            incident.supervised,
            incident.n_escalated,
            &incident.code,
        ],
    )?;
    Ok(())
}

/// Which incidents a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these states; empty means all.
    pub states: Vec<State>,
    /// Only these categories; empty means all.
    pub categories: Vec<Category>,
    /// Only these urgencies; empty means all.
    pub urgencies: Vec<String>,
    /// Only what lies in this region.
    pub region: Option<String>,
    /// Only what is named for this device.
    pub device: Option<String>,
    /// Only the case with this code.
    pub code: Option<String>,
    /// Only what comes after this one.
    pub before: Option<(Timestamp, IncidentId)>,
    /// At most so many.
    pub limit: usize,
}

const COLUMNS: &str =
    "incident.*, device.name_zh, device.name_en FROM incident LEFT JOIN device ON device.id = incident.device";

/// One incident.
pub fn load(tx: &Tx<'_>, id: IncidentId) -> Stored<Option<Incident>> {
    let row = tx.row(&format!("SELECT {COLUMNS} WHERE incident.id = ?1"), params![id.to_string()])?;
    row.as_ref().map(read).transpose()
}

/// All incidents that were opened in a span, oldest first.
pub fn opened_within(tx: &Tx<'_>, (from, until): (Timestamp, Timestamp)) -> Stored<Vec<Incident>> {
    let condition = "incident.opened_at >= ?1 AND incident.opened_at < ?2 ORDER BY incident.opened_at, incident.id";
    tx.rows(&format!("SELECT {COLUMNS} WHERE {condition}"), params![from, until])?.iter().map(read).collect()
}

/// The newest incidents within the scope.
///
/// Each state is asked for by itself, so that its index gives the newest of it without a look at the others; not so for a device,
/// which has few incidents.
pub fn list(tx: &Tx<'_>, scope: &Scope, filter: &Filter) -> Stored<Vec<Incident>> {
    let mut query = Query::within(scope, filter);
    if filter.device.is_some() {
        query.one_of("state", filter.states.iter().map(|state| state.as_str()));
    }
    let rest = query.conditions.join(" AND ");
    let limit = filter.limit;
    let newest = |condition: String| {
        format!(
            "SELECT id FROM (SELECT id FROM incident WHERE {condition} ORDER BY opened_at DESC, id DESC LIMIT {limit}) \
             AS newest"
        )
    };
    let ids = if filter.states.is_empty() || filter.device.is_some() {
        newest(rest)
    } else {
        let each =
            filter.states.iter().map(|state| newest(format!("state = {} AND {rest}", query.add(state.as_str()))));
        each.collect::<Vec<_>>().join(" UNION ALL ")
    };
    let sql = format!(
        "SELECT {COLUMNS} WHERE incident.id IN ({ids}) ORDER BY incident.opened_at DESC, incident.id DESC LIMIT {limit}"
    );
    tx.rows(&sql, &query.values)?.iter().map(read).collect()
}

/// The open incidents that counted more events after a moment, each with when, the longest ago first.
pub fn grown(tx: &Tx<'_>, after: Timestamp) -> Stored<Vec<(Timestamp, Incident)>> {
    let ids = "SELECT id FROM incident WHERE is_open = 1 AND counted_at > ?1 ORDER BY counted_at LIMIT 2000";
    let sql = format!("SELECT {COLUMNS} WHERE incident.id IN ({ids}) ORDER BY incident.counted_at");
    tx.rows(&sql, params![after])?.iter().map(|row| Ok((row.get("counted_at")?, read(row)?))).collect()
}

/// When an incident last counted more events.
pub fn newest_count(tx: &Tx<'_>) -> Stored<Timestamp> {
    tx.value("SELECT coalesce(max(counted_at), 0) FROM incident WHERE is_open = 1", &[])
}

/// Most closed ones that are counted.
const MOST_COUNTED: u32 = 100_000;

/// How many incidents within the scope stand in each open state, and in each other one of those opened after `since`.
pub fn count(tx: &Tx<'_>, scope: &Scope, filter: &Filter, since: Timestamp) -> Stored<Vec<(State, u64)>> {
    let mut counts = Vec::new();
    for is_open in [true, false] {
        let mut query = Query::within(scope, &Filter { before: None, ..filter.clone() });
        let states = if is_open {
            query.conditions.push("is_open = 1".to_owned());
            format!("SELECT state FROM incident WHERE {}", query.conditions.join(" AND "))
        } else {
            let over = State::ALL.iter().filter(|state| !state.is_open()).map(|state| state.as_str());
            query.one_of("state", over);
            let recent = format!("opened_at >= {}", query.add(since));
            query.conditions.push(recent);
            // Newest first, so that the planner goes by time and not through all there ever was.
            let conditions = query.conditions.join(" AND ");
            format!(
                "SELECT state FROM incident WHERE {conditions} ORDER BY opened_at DESC, id DESC LIMIT {MOST_COUNTED}"
            )
        };
        let sql = format!("SELECT state, count(*) AS n FROM ({states}) AS counted GROUP BY state");
        for row in tx.rows(&sql, &query.values)? {
            counts.push((key(&row, "state", State::parse)?, row.get("n")?));
        }
    }
    Ok(counts)
}

/// The newest linked events, as they came.
pub fn events(tx: &Tx<'_>, id: IncidentId) -> Stored<Vec<String>> {
    let rows = tx.rows(
        "SELECT event.json FROM incident_event JOIN event ON event.id = incident_event.event
         WHERE incident_event.incident = ?1 ORDER BY event.time DESC LIMIT 200",
        params![id.to_string()],
    )?;
    rows.iter().map(Row::first).collect()
}

/// True when the incident may show this still.
pub fn shows(tx: &Tx<'_>, id: IncidentId, sha256: &Digest) -> Stored<bool> {
    let linked = tx.row(
        "SELECT incident FROM incident_snapshot WHERE incident = ?1 AND sha256 = ?2",
        params![id.to_string(), sha256.as_str()],
    )?;
    Ok(linked.is_some())
}

/// The stills that the incident may show.
pub fn stills(tx: &Tx<'_>, id: IncidentId) -> Stored<Vec<String>> {
    let rows = tx.rows("SELECT sha256 FROM incident_snapshot WHERE incident = ?1", params![id.to_string()])?;
    rows.iter().map(Row::first).collect()
}

struct Query {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    /// Only what the scope covers and the filter asks for, but for its states; an empty scope covers nothing.
    fn within(scope: &Scope, filter: &Filter) -> Self {
        let mut query = Self { conditions: Vec::new(), values: Vec::new() };
        let mut grants = vec!["1 = 0".to_owned()];
        for grant in &scope.0 {
            // A region beside the grant's is not looked for: nothing would be found after a look at all there ever was.
            let asked = filter.region.as_deref().unwrap_or_default();
            let Some(region) = narrower(&grant.region, asked) else { continue };
            let mut parts = vec![query.in_region(region)];
            for (column, value) in [
                ("department", &grant.department),
                ("checker", &grant.checker),
                ("verifier", &grant.verifier),
                ("reporter", &grant.reporter),
            ] {
                if let Some(value) = value {
                    parts.push(format!("{column} = {}", query.add(value)));
                }
            }
            grants.push(format!("({})", parts.join(" AND ")));
        }
        query.conditions.push(format!("({})", grants.join(" OR ")));
        query.narrow(filter);
        query
    }

    fn narrow(&mut self, filter: &Filter) {
        self.one_of("category", filter.categories.iter().map(|category| category.as_str()));
        self.one_of("urgency", filter.urgencies.iter().map(String::as_str));
        if let Some(device) = &filter.device {
            let device = self.add(device);
            self.conditions.push(format!("device = {device}"));
        }
        if let Some(code) = &filter.code {
            let code = self.add(code);
            self.conditions.push(format!("code = {code}"));
        }
        if let Some((at, id)) = filter.before {
            let (at, id) = (self.add(at), self.add(id.to_string()));
            self.conditions.push(format!("(opened_at, id) < ({at}, {id})"));
        }
    }

    fn in_region(&mut self, region: &str) -> String {
        let (from, to) = (self.add(region), self.add(format!("{region}{}", char::MAX)));
        format!("region >= {from} AND region < {to}")
    }

    /// The name of a new parameter.
    fn add(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn one_of<'k>(&mut self, column: &str, keys: impl Iterator<Item = &'k str>) {
        let keys: Vec<String> = keys.map(|key| self.add(key)).collect();
        if !keys.is_empty() {
            self.conditions.push(format!("{column} IN ({})", keys.join(", ")));
        }
    }
}

/// Of two regions the one that lies in the other; `None` when neither does.
fn narrower<'r>(one: &'r str, other: &'r str) -> Option<&'r str> {
    let (wide, narrow) = if one.len() < other.len() { (one, other) } else { (other, one) };
    narrow.starts_with(wide).then_some(narrow)
}

fn read(row: &Row) -> Stored<Incident> {
    let grid: Option<String> = row.get("grid")?;
    let values: String = row.get("measures")?;
    let snapshot: Option<String> = row.get("snapshot")?;
    Ok(Incident {
        id: key(row, "id", |text| text.parse().ok())?,
        category: key(row, "category", Category::parse)?,
        state: key(row, "state", State::parse)?,
        urgency: row.get("urgency")?,
        version: row.get("version")?,
        opened_at: row.get("opened_at")?,
        updated_at: row.get("updated_at")?,
        entry: key(row, "entry", Entry::parse)?,
        code: row.get("code")?,
        device: named(row, "device")?,
        device_names: (row.get("name_zh")?, row.get("name_en")?),
        place: key(row, "place", place)?,
        grid: grid.and_then(|grid| grid.parse().ok()),
        region: row.get("region")?,
        rule: match named(row, "rule")? {
            Some(rule) => Some((rule, row.get("rule_version")?)),
            None => None,
        },
        n_events: row.get("n_events")?,
        n_firings: row.get("n_firings")?,
        n_devices: row.get("n_devices")?,
        values: json("measures", &values)?,
        snapshot: snapshot.map(|snapshot| json("snapshot", &snapshot)).transpose()?,
        facts: read_facts(row)?,
        clocks: json("clocks", &row.get::<String>("clocks")?)?,
        supervised: row.get("supervised")?,
        n_escalated: row.get("n_escalated")?,
    })
}

/// An id; `None` for the empty text.
fn named<T: std::str::FromStr>(row: &Row, column: &'static str) -> Stored<Option<T>> {
    match row.get::<String>(column)?.as_str() {
        "" => Ok(None),
        _ => key(row, column, |text| text.parse().ok()).map(Some),
    }
}

fn read_facts(row: &Row) -> Stored<Facts> {
    Ok(Facts {
        reporter: row.get("reporter")?,
        checker: row.get("checker")?,
        department: row.get("department")?,
        handler: row.get("handler")?,
        verifier: row.get("verifier")?,
        n_returns: row.get("n_returns")?,
        arbitrated: row.get("arbitrated")?,
        attempt: row.get("attempt")?,
        closed_at: row.get("closed_at")?,
        suspended_until: row.get("suspended_until")?,
    })
}
