//! Edge 4: a grid worker or the hotline reports an incident. Permit, register, incident and timeline in one transaction.

use jiff::Timestamp;
use uuid::Uuid;
use xueliang_events::{GridCode, IncidentId, payload::Category};
use xueliang_rules::{Place, Urgency};

use super::{
    Stored, Tx,
    audit::{self, Asked},
    changes::{self, Announcement, NewChange},
    commands::Rejection,
    idempotency::{Keyed, Used},
    incidents::{self, Incident},
    sql::params,
};
use crate::{
    access::{Action, Asker, Context, Kind as Thing, Permit, Purpose, Resource},
    procedure::Procedure,
    text::FreeText,
    workflow::{Actor, Clocks, Entry, Facts, Kind, State, enter},
};

/// What a person saw, or was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Chosen by the client; a repetition of the same report carries the same one.
    pub key: String,
    /// How it came.
    pub entry: Entry,
    /// What it is about.
    pub category: Category,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Where it is.
    pub grid: GridCode,
    /// Where exactly: longitude and latitude, WGS-84 degrees.
    pub position: Option<[f64; 2]>,
    /// In words.
    pub text: FreeText,
}

/// Enters it, or says why not, and registers which. The same report again gives the same incident, and tells nobody.
pub fn report(
    tx: &Tx<'_>,
    (asker, procedure): (Asker<'_>, &Procedure),
    seen: &Seen,
    asked: Context<'_>,
) -> Stored<Result<(IncidentId, Option<Announcement>), Rejection>> {
    let Asker { access, person } = asker;
    let id = incident_id(&person.account, &seen.key);
    let place = Resource::new(Thing::Incident, seen.grid.as_str());
    let permit = access.authorize(person, Action::ReportIncident, place, asked);
    let registered = Asked {
        person,
        at: asked.now,
        purpose: Some(Purpose::IncidentHandling),
        reason: None,
        action: Action::ReportIncident.as_str(),
        resource: &format!("incident/{id}"),
    };
    let keyed = Keyed::new(&person.account, &seen.key, &words_of(seen))?;
    match keyed.used(tx)? {
        Used::ForThis => return Ok(Ok((id, None))),
        Used::ForAnother => return Ok(Err(Rejection::KeyReused)),
        // Its key was forgotten meanwhile, and what it reported is there.
        Used::Never if incidents::load(tx, id)?.is_some() => return Ok(Err(Rejection::KeyReused)),
        Used::Never => audit::register(tx, access, registered, permit.as_ref())?,
    }
    let permit = match permit {
        Ok(permit) => permit,
        Err(denied) => return Ok(Err(denied.into())),
    };
    match entered(procedure, (person.account.as_str(), &permit), (id, seen), asked.now) {
        Ok(incident) => {
            keyed.remember(tx, asked.now)?;
            write(tx, (&incident, seen, &person.account), procedure).map(|told| Ok((id, Some(told))))
        }
        Err(refused) => Ok(Err(refused)),
    }
}

/// The id of what somebody reports under a key.
fn incident_id(account: &str, key: &str) -> IncidentId {
    const NAMESPACE: Uuid = Uuid::from_u128(0x2f0f_6a51_93c4_4c0e_8a55_6c1d_77f1_b0e9);
    IncidentId(Uuid::new_v5(&NAMESPACE, format!("{account}\n{key}").as_bytes()))
}

fn words_of(seen: &Seen) -> impl serde::Serialize {
    let Seen { key: _, entry, category, urgency, grid, position, text } = seen;
    (entry.as_str(), category.as_str(), urgency.as_str(), grid.as_str(), *position, text.as_str())
}

fn entered(
    procedure: &Procedure,
    (account, permit): (&str, &Permit),
    (id, seen): (IncidentId, &Seen),
    now: Timestamp,
) -> Result<Incident, Rejection> {
    let mut incident = Incident {
        id,
        category: seen.category,
        state: State::Reported,
        urgency: seen.urgency.as_str().to_owned(),
        version: 1,
        opened_at: now,
        updated_at: now,
        entry: seen.entry,
        code: None,
        device: None,
        device_names: (None, None),
        place: Place::Device,
        grid: Some(seen.grid.clone()),
        region: seen.grid.to_string(),
        rule: None,
        n_events: 0,
        n_firings: 0,
        n_devices: 0,
        values: Vec::new(),
        snapshot: None,
        facts: Facts::default(),
        clocks: Clocks::default(),
        supervised: false,
        n_escalated: 0,
    };
    let deadline = procedure.deadline(&incident);
    let actor = Actor { kind: Kind::Person, name: account, roles: permit.roles() };
    let step = enter(seen.entry, actor, now, procedure.terms(&deadline, &incident))?;
    (incident.state, incident.facts, incident.clocks) = (step.course.state, step.course.facts, step.course.clocks);
    Ok(incident)
}

fn write(
    tx: &Tx<'_>,
    (incident, seen, account): (&Incident, &Seen, &str),
    procedure: &Procedure,
) -> Stored<Announcement> {
    let (longitude, latitude) = seen.position.map(|[longitude, latitude]| (longitude, latitude)).unzip();
    tx.execute(
        "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
         grid, region, rule, rule_version, n_firings, n_devices, measures, longitude, latitude, entry)
         VALUES (?1, ?2, ?3, 1, ?4, 1, ?5, ?5, '', ?6, ?7, ?7, '', 0, 0, 0, '[]', ?8, ?9, ?10)",
        params![
            incident.id.to_string(),
            incident.category.as_str(),
            incident.state.as_str(),
            &incident.urgency,
            incident.opened_at,
            incident.place.to_string(),
            &incident.region,
            longitude,
            latitude,
            incident.entry.as_str(),
        ],
    )?;
    incidents::update(tx, incident, procedure.calendar())?;
    let change = NewChange {
        incident: incident.id,
        version: 1,
        at: incident.opened_at,
        actor: ("person", account),
        action: incident.entry.as_str(),
        from: None,
        to: incident.state,
        reason: None,
        comment: Some(seen.text.as_str()),
        fields: None,
    };
    changes::append(tx, change)?;
    Ok(Announcement::new(incident))
}
