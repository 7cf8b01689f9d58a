//! Commands: what a person does with an incident.

use axum::{Json, extract::State, http::HeaderMap};
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Api,
    incidents::detail,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{CommandRequest, Incident, ProblemBody},
    taken::{Body, Named},
};
use crate::{
    access::Asker,
    store::{
        changes,
        commands::{Given, carry_out},
    },
    text::FreeText,
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
    Named(id): Named<Uuid>,
    headers: HeaderMap,
    Body(request): Body<CommandRequest>,
) -> Answer<Json<Incident>> {
    let given = read(IncidentId(id), &headers, request)?;
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

/// The key under which a changing request may be repeated.
pub(super) fn read_key(headers: &HeaderMap) -> Answer<String> {
    let key = headers.get(KEY_HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default();
    if (8..=128).contains(&key.len()) {
        return Ok(key.to_owned());
    }
    Err(Problem::field(KEY_HEADER, "send the header idempotency-key with 8 to 128 characters"))
}

fn read(incident: IncidentId, headers: &HeaderMap, request: CommandRequest) -> Answer<Given> {
    let key = read_key(headers)?;
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
    if reason.as_ref().is_some_and(|reason| !command.reasons().contains(&reason.as_str())) {
        return Err(Problem::field("reason", format!("must be one of {}", command.reasons().join(", "))));
    }
    if fields.values().any(|value| value.chars().count() > 500) {
        return Err(Problem::field("fields", "a field has at most 500 characters"));
    }
    let comment = comment.map(FreeText::try_from).transpose();
    let comment = comment.map_err(|invalid| Problem::field("comment", invalid.to_string()))?.map(String::from);
    Ok(Given { incident, key, command, version, reason, comment, fields })
}
