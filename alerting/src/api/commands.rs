//! Commands: what a person does with an incident.

use axum::{
    Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::HeaderMap,
};
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Api,
    incidents::detail,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{CommandRequest, Incident, ProblemBody},
};
use crate::{
    access::Asker,
    store::{
        changes,
        commands::{Given, carry_out},
    },
    workflow::Command,
};

const KEY_HEADER: &str = "idempotency-key";

/// Move an incident.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/commands", operation_id = "give_command", tag = "incidents", request_body = CommandRequest,
    params(("id" = String, Path, description = "The incident."),
           ("idempotency-key" = String, Header, description = "The same for each repetition of one command.")),
    responses((status = 200, body = Incident), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody))
)]
pub(super) async fn give(
    State(api): State<Api>,
    signed: Signed,
    id: Result<Path<Uuid>, PathRejection>,
    headers: HeaderMap,
    request: Result<Json<CommandRequest>, JsonRejection>,
) -> Answer<Json<Incident>> {
    let Path(id) = id?;
    let given = read(IncidentId(id), &headers, request?.0)?;
    let (person, access, publishes) = (signed.person.clone(), api.access.clone(), api.publishes);
    let procedure = api.procedure();
    let carried_out = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &person };
        let carried_out = carry_out(tx, (asker, &procedure), &given, asked_now(&person))?;
        if let (Ok(Some(announcement)), true) = (&carried_out, publishes) {
            changes::announce(tx, announcement.clone())?;
        }
        Ok(carried_out.map(|_| ()))
    });
    let carried_out = carried_out.await?;
    let outcome = if carried_out.is_ok() { "done" } else { "refused" };
    api.metrics.commands.with_label_values(&[outcome]).inc();
    carried_out?;
    api.live.wake();
    detail(&api, &signed.person, IncidentId(id)).await.map(Json)
}

fn read(incident: IncidentId, headers: &HeaderMap, request: CommandRequest) -> Answer<Given> {
    let key = headers.get(KEY_HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    if !(8..=128).contains(&key.len()) {
        return Err(Problem::field(KEY_HEADER, "send the header idempotency-key with 8 to 128 characters"));
    }
    let CommandRequest { command, version, reason, comment, fields } = request;
    let Some(command) = Command::parse(&command) else {
        return Err(Problem::field(
            "command",
            format!("{:?} is not known", command.chars().take(40).collect::<String>()),
        ));
    };
    let known = |name: &String| command.fields().iter().any(|field| field.name == name);
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        return Err(Problem::field(&format!("fields.{name}"), "is not known for this command"));
    }
    if fields.values().any(|value| value.chars().count() > 500) {
        return Err(Problem::field("fields", "a field has at most 500 characters"));
    }
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > 2000) {
        return Err(Problem::field("comment", "at most 2000 characters"));
    }
    Ok(Given { incident, key, command, version, reason, comment, fields })
}
