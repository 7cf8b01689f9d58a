//! What people enter: an incident that they saw (edge 4), and notes beside one.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use uuid::Uuid;
use xueliang_events::{IncidentId, payload::Category};
use xueliang_rules::Urgency;

use super::{
    Api,
    incidents::detail,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{Incident, NoteRequest, ProblemBody, ReportRequest},
    taken::{Body, Named, read_free_text, read_key, unknown},
};
use crate::{
    access::Asker,
    store::{
        changes,
        entries::{Seen, report},
        notes::{Given, make},
    },
    workflow::{Entry, Note},
};

/// Report an incident that a person saw.
#[utoipa::path(
    post, path = "/api/v1/incidents", operation_id = "report_incident", tag = "incidents", request_body = ReportRequest,
    params(("idempotency-key" = String, Header, description = "The same for each repetition of one report.", min_length = 8, max_length = 128)),
    responses((status = 201, body = Incident), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 415, body = ProblemBody),
              (status = 422, body = ProblemBody))
)]
pub(super) async fn enter(
    State(api): State<Api>,
    signed: Signed,
    headers: HeaderMap,
    Body(request): Body<ReportRequest>,
) -> Answer<(StatusCode, Json<Incident>)> {
    let seen = read_report(read_key(&headers)?, request)?;
    let (person, access, publishes) = (signed.person.clone(), api.access.clone(), api.publishes);
    let procedure = api.procedure();
    let entered = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &person };
        let entered = report(tx, (asker, &procedure), &seen, asked_now(&person))?;
        if let (Ok((_, Some(announcement))), true) = (&entered, publishes) {
            changes::announce(tx, announcement.clone())?;
        }
        Ok(entered.map(|(id, _)| id))
    });
    let id = entered.await??;
    api.live.wake();
    Ok((StatusCode::CREATED, Json(detail(&api, &signed.person, id).await?)))
}

fn read_report(key: String, request: ReportRequest) -> Answer<Seen> {
    let ReportRequest { entry, category, urgency, grid, position, text } = request;
    let by_people = Entry::parse(&entry).filter(|entry| *entry != Entry::Rule);
    let position = position.map(|position| [position.longitude, position.latitude]);
    if position.is_some_and(|[longitude, latitude]| longitude.abs() > 180.0 || latitude.abs() > 90.0) {
        return Err(Problem::field("position", "must be longitude and latitude in degrees"));
    }
    Ok(Seen {
        key,
        entry: by_people.ok_or_else(|| unknown("entry", &entry))?,
        category: Category::parse(&category).ok_or_else(|| unknown("category", &category))?,
        urgency: match urgency {
            None => Urgency::B,
            Some(urgency) => Urgency::parse(&urgency).ok_or_else(|| unknown("urgency", &urgency))?,
        },
        grid: grid.parse().map_err(|_| Problem::field("grid", "must be 4 to 20 digits"))?,
        position,
        text: read_free_text("text", text)?,
    })
}

/// Write beside an incident: supervise it, acknowledge that it is due, comment on it.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/notes", operation_id = "make_note", tag = "incidents", request_body = NoteRequest,
    params(("id" = String, Path, description = "The incident."),
           ("idempotency-key" = String, Header, description = "The same for each repetition of one note.", min_length = 8, max_length = 128)),
    responses((status = 200, body = Incident), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
              (status = 415, body = ProblemBody), (status = 422, body = ProblemBody))
)]
pub(super) async fn note(
    State(api): State<Api>,
    signed: Signed,
    Named(id): Named<Uuid>,
    headers: HeaderMap,
    Body(request): Body<NoteRequest>,
) -> Answer<Json<Incident>> {
    let given = read_note(IncidentId(id), read_key(&headers)?, request)?;
    let (person, access, procedure) = (signed.person.clone(), api.access.clone(), api.procedure());
    let made = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &person };
        make(tx, (asker, &procedure), &given, asked_now(&person))
    });
    made.await??;
    api.live.wake();
    detail(&api, &signed.person, IncidentId(id)).await.map(Json)
}

fn read_note(incident: IncidentId, key: String, request: NoteRequest) -> Answer<Given> {
    let NoteRequest { note, text, fields } = request;
    // A picture comes by itself, as its bytes.
    let Some(note) = Note::parse(&note).filter(|note| *note != Note::Attach) else {
        return Err(Problem::field("note", "must be supervise, acknowledge or comment"));
    };
    let text = text.map(|text| read_free_text("text", text)).transpose()?;
    if text.is_none() && note != Note::Acknowledge {
        return Err(Problem::field("text", "say something"));
    }
    let known = |name: &&String| note == Note::Acknowledge && *name == "clock";
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        return Err(Problem::field(
            &format!("fields.{}", name.chars().take(40).collect::<String>()),
            "is not known for this note",
        ));
    }
    Ok(Given { incident, key, note, text, fields })
}
