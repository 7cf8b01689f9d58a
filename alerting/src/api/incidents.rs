//! Incidents: the list, and one with all that belongs to it.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use xueliang_events::{BBox, Class, Event, IncidentId, Payload, payload::Category, values::SnapshotRef};
use xueliang_rules::Calendar;

use super::{
    Api,
    person::{Caller, asked_now, nothing_in_scope},
    problem::{Answer, Problem},
    shapes::{
        Actor, AllowedCommand, AllowedNote, Attachment, Bbox, CommandField, Deadline, DeviceRef, EventRow, FiredRow,
        Incident, IncidentPage, IncidentSummary, ListQuery, MeasuredValue, ProblemBody, ReasonOption, RuleRef,
        Snapshot, TimelineRow, Urgency,
    },
    taken::{Named, Query, read_code, read_limit},
};
use crate::{
    access::{Access, Action, Context, Person, Purpose},
    deadline::ClockState,
    group::snapshot_of,
    store::{
        changes::{self, Change, Fired},
        incidents::{self, Filter},
        notes::{self, Attached},
    },
    words,
    workflow::{self, ClockName, Command, Kind, Note, State as Stand},
};

/// Finished incidents are counted when they were opened within this time.
const COUNTED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The incidents in scope, newest first.
#[utoipa::path(
    get, path = "/api/v1/incidents", operation_id = "list_incidents", tag = "incidents", params(ListQuery),
    responses((status = 200, body = IncidentPage), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody))
)]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Answer<Json<IncidentPage>> {
    let scope = api.access.scope(&caller.person, Action::ReadIncident, handling(&caller.person));
    if scope.0.is_empty() {
        return Err(nothing_in_scope(&caller.person).into());
    }
    let limit = read_limit(query.limit)?;
    let filter = Filter {
        states: keys("state", query.state.as_deref(), Stand::parse)?,
        categories: keys("category", query.category.as_deref(), Category::parse)?,
        urgencies: keys("urgency", query.urgency.as_deref(), |key| {
            ["A", "B", "C"].contains(&key).then(|| key.to_owned())
        })?,
        region: query.region.map(|region| read_code("region", region)).transpose()?,
        device: query.device.map(|device| read_code("device", device)).transpose()?,
        code: query.code.map(|code| read_code("code", code)).transpose()?,
        before: query.before.as_deref().map(read_cursor).transpose()?,
        limit: limit + 1,
    };
    let since = Timestamp::now().checked_sub(COUNTED_FOR).unwrap_or(Timestamp::MIN);
    let found = api.store.read(move |transaction| {
        let counts = incidents::count(transaction, &scope, &filter, since)?;
        Ok((incidents::list(transaction, &scope, &filter)?, counts))
    });
    let (mut items, counts) = found.await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| format!("{}_{}", last.opened_at.as_microsecond(), last.id));
    let counts = counts.into_iter().map(|(state, n)| (state.as_str().to_owned(), n)).collect();
    let procedure = api.procedure();
    let items = items.iter().map(|incident| summary(incident, procedure.calendar())).collect();
    Ok(Json(IncidentPage { items, next, counts }))
}

/// One incident.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", operation_id = "get_incident", tag = "incidents", params(("id" = String, Path, description = "The incident.")),
    responses((status = 200, body = Incident), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody))
)]
pub(super) async fn one(State(api): State<Api>, caller: Caller, Named(id): Named<Uuid>) -> Answer<Json<Incident>> {
    detail(&api, &caller.person, IncidentId(id)).await.map(Json)
}

/// An incident as this person may see it.
pub(super) async fn detail(api: &Api, person: &Person, id: IncidentId) -> Answer<Incident> {
    let found = api.store.read(move |transaction| {
        let Some(incident) = incidents::load(transaction, id)? else { return Ok(None) };
        let stills: BTreeSet<String> = incidents::stills(transaction, id)?.into_iter().collect();
        let told = (incidents::events(transaction, id)?, changes::timeline(transaction, id)?);
        Ok(Some((incident, told, stills, notes::attachments(transaction, id)?)))
    });
    let (incident, (events, timeline), stills, attachments) = found.await?.ok_or_else(Problem::not_found)?;
    let (asked, procedure) = (handling(person), api.procedure());
    let calendar = procedure.calendar();
    api.access.authorize(person, Action::ReadIncident, incident.resource(), asked)?;
    let events = events.iter().filter_map(|text| Event::from_json(text.as_bytes()).ok());
    Ok(Incident {
        summary: summary(&incident, calendar),
        values: incident.values.iter().cloned().map(value).collect(),
        events: events.map(|event| event_row(&event, &stills)).collect(),
        timeline: timeline.into_iter().map(timeline_row).collect(),
        deadlines: deadlines(&incident, asked.now, calendar),
        commands: allowed(&api.access, person, &incident, asked),
        notes: allowed_notes(&api.access, person, &incident, asked),
        attachments: attachments.into_iter().map(attachment).collect(),
        attempts: incident.facts.attempt,
    })
}

fn deadlines(incident: &incidents::Incident, now: Timestamp, calendar: &Calendar) -> Vec<Deadline> {
    let named = |name: &ClockName| {
        let clock = incident.clocks.of(*name)?;
        let told = clock.told();
        Some(Deadline {
            clock: name.as_str().to_owned(),
            state: match clock.state() {
                ClockState::Running => "running",
                ClockState::Paused => "paused",
                ClockState::Stopped => "stopped",
            }
            .to_owned(),
            limit: clock.limit().to_string(),
            used_s: clock.used(now, calendar).as_secs_f64(),
            due_at: clock.due_at(calendar),
            told: told.reached.map(|milestone| milestone.to_string()),
            acknowledged: told.reached.is_some() && !told.is_unanswered(),
        })
    };
    ClockName::ALL.iter().filter_map(named).collect()
}

/// An incident as a list shows it.
pub(super) fn summary(incident: &incidents::Incident, calendar: &Calendar) -> IncidentSummary {
    let place = incident.place.id();
    let name = match &incident.device {
        Some(device) => words::device(device.as_str(), &incident.device_names),
        None => words::reporter(incident.entry),
    };
    let rule = incident.rule.as_ref();
    IncidentSummary {
        id: incident.id.to_string(),
        category: incident.category.as_str().to_owned(),
        state: incident.state.as_str().to_owned(),
        urgency: match incident.urgency.as_str() {
            "A" => Urgency::A,
            "B" => Urgency::B,
            _ => Urgency::C,
        },
        version: incident.version,
        opened_at: incident.opened_at,
        updated_at: incident.updated_at,
        entry: incident.entry.as_str().to_owned(),
        code: incident.code.clone(),
        device: incident.device.as_ref().map(|id| DeviceRef { id: id.to_string(), name: name.clone().into() }),
        place: place.map(str::to_owned),
        grid: incident.grid.as_ref().map(ToString::to_string),
        rule: rule.map(|(id, version)| RuleRef { id: id.to_string(), version: *version }),
        n_events: incident.n_events,
        n_firings: incident.n_firings,
        n_devices: incident.n_devices,
        supervised: incident.supervised,
        n_escalated: incident.n_escalated,
        due_at: ClockName::ALL.iter().filter_map(|name| incident.clocks.of(*name)?.due_at(calendar)).min(),
        summary: words::incident(
            incident.category,
            &words::devices(&name, incident.n_devices),
            place,
            &incident.values,
        )
        .into(),
        has_snapshot: incident.snapshot.is_some(),
        snapshot: incident.snapshot.as_ref().map(snapshot),
        evidentiary: false,
    }
}

/// Incidents are read to be handled.
fn handling(person: &Person) -> Context<'static> {
    asked_now(person).for_purpose(Purpose::IncidentHandling)
}

fn allowed(
    access: &Access,
    person: &Person,
    incident: &incidents::Incident,
    asked: Context<'_>,
) -> Vec<AllowedCommand> {
    let mut commands = Vec::new();
    for command in Command::ALL {
        let permit = access.authorize(person, Action::Command(*command), incident.resource(), asked);
        let Ok(permit) = permit else { continue };
        let actor = workflow::Actor { kind: Kind::Person, name: &person.account, roles: permit.roles() };
        let possible = workflow::allowed(incident.state, &incident.facts, actor, asked.now);
        let Some((_, to)) = possible.into_iter().find(|(possible, _)| possible == command) else { continue };
        let reason = |code: &&str| ReasonOption { code: (*code).to_owned(), label: words::reason(code).into() };
        let fields = command.fields().iter();
        commands.push(AllowedCommand {
            command: command.as_str().to_owned(),
            to: to.as_str().to_owned(),
            needs_reason: !command.reasons().is_empty(),
            reasons: command.reasons().iter().map(reason).collect(),
            label: words::command(*command).into(),
            fields: fields.map(|f| CommandField { name: f.name.to_owned(), required: f.required }).collect(),
        });
    }
    commands
}

fn allowed_notes(
    access: &Access,
    person: &Person,
    incident: &incidents::Incident,
    asked: Context<'_>,
) -> Vec<AllowedNote> {
    let asked = Context { has_reason: true, ..asked };
    let may = |note: &Note| {
        let permit = access.authorize(person, notes::action(*note), incident.resource(), asked);
        permit.is_ok_and(|permit| {
            let actor = workflow::Actor { kind: Kind::Person, name: &person.account, roles: permit.roles() };
            workflow::notes_allowed(incident.state, actor).contains(note)
        })
    };
    let is_answerable = |note: &Note| {
        let mut clocks = ClockName::ALL.iter().filter_map(|name| incident.clocks.of(*name));
        *note != Note::Acknowledge || clocks.any(|clock| clock.told().is_unanswered())
    };
    let possible = Note::ALL.iter().filter(|note| is_answerable(note) && may(note));
    let shown = possible.map(|note| AllowedNote {
        note: note.as_str().to_owned(),
        label: words::note(*note).into(),
        needs_text: matches!(note, Note::Supervise | Note::Comment),
    });
    shown.collect()
}

fn attachment(attached: Attached) -> Attachment {
    let Attached { sha256, account, at, width, height } = attached;
    Attachment { sha256: sha256.as_str().to_owned(), account, at, width, height }
}

fn value(measure: xueliang_rules::Measure) -> MeasuredValue {
    let xueliang_rules::Measure { name, value, unit } = measure;
    MeasuredValue { name, value, unit }
}

fn snapshot(snapshot: &SnapshotRef) -> Snapshot {
    Snapshot { sha256: snapshot.sha256.as_str().to_owned(), width: snapshot.width, height: snapshot.height }
}

/// A still is named only when this incident keeps it, so that the console never asks for what it can't get.
fn event_row(event: &Event, stills: &BTreeSet<String>) -> EventRow {
    let (zone, line) = match &event.payload {
        Payload::ZoneEntered(seen) => (Some(&seen.zone), None),
        Payload::ZoneExited(seen) => (Some(&seen.zone), None),
        Payload::ZoneOccupancy(seen) => (Some(&seen.zone), None),
        Payload::ZoneDwelled(seen) => (Some(&seen.zone), None),
        Payload::LineCrossed(seen) => (None, Some(&seen.line)),
        _ => (None, None),
    };
    let (class, bbox): (Option<Class>, Option<BBox>) = match &event.payload {
        Payload::ZoneEntered(seen) => (Some(seen.class), Some(seen.bbox)),
        Payload::ZoneExited(seen) => (Some(seen.class), None),
        Payload::ZoneDwelled(seen) => (Some(seen.class), Some(seen.bbox)),
        Payload::LineCrossed(seen) => (Some(seen.class), Some(seen.bbox)),
        _ => (None, None),
    };
    let still = snapshot_of(&event.payload).filter(|still| stills.contains(still.sha256.as_str()));
    EventRow {
        id: event.id().to_string(),
        r#type: event.payload.wire_type().to_owned(),
        time: event.time,
        received_at: event.received_at,
        zone: zone.map(ToString::to_string),
        line: line.map(ToString::to_string),
        class: class.map(|class| class.as_str().to_owned()),
        bbox: bbox.map(|bbox| {
            let [x, y, w, h] = bbox.xywh();
            Bbox { x, y, w, h }
        }),
        text: words::event(&event.payload).into(),
        snapshot: still.map(snapshot),
    }
}

fn timeline_row(change: Change) -> TimelineRow {
    let Change { seq, at, actor_kind, actor, action, from, to, reason, comment, fired } = change;
    let from = from.map(|from| from.as_str().to_owned());
    let actor = Actor { kind: actor_kind, name: actor };
    TimelineRow {
        seq,
        at,
        actor,
        action,
        from,
        to: to.as_str().to_owned(),
        reason,
        comment,
        fired: fired.map(fired_row),
    }
}

fn fired_row(fired: Fired) -> FiredRow {
    let Fired { version, device, place, at, values } = fired;
    let place = place.split_once('/').map(|(_, id)| id.to_owned());
    FiredRow { version, device: device.to_string(), place, at, values: values.into_iter().map(value).collect() }
}

/// The keys of a list, each once.
fn keys<T>(field: &str, list: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Answer<Vec<T>> {
    let keys: BTreeSet<&str> = list.into_iter().flat_map(|list| list.split(',')).collect();
    keys.into_iter()
        .map(|key| parse(key).ok_or_else(|| Problem::field(field, format!("{key:?} is not known"))))
        .collect()
}

fn read_cursor(cursor: &str) -> Answer<(Timestamp, IncidentId)> {
    let read = || {
        let (micros, id) = cursor.split_once('_')?;
        let at = Timestamp::from_microsecond(micros.parse().ok()?).ok()?;
        Some((at, id.parse().ok()?))
    };
    read().ok_or_else(|| Problem::field("before", "must be the next of a page"))
}
