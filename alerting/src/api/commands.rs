//! Commands: what a person does with an incident.

use std::collections::BTreeMap;

use axum::{Json, extract::State, http::HeaderMap};
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Api,
    incidents::detail,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{CommandRequest, Incident, ProblemBody},
    taken::{Body, Named, read_free_text, read_key, read_text, unknown},
};
use crate::{
    access::Asker,
    store::{
        changes,
        commands::{Given, carry_out},
    },
    workflow::Command,
};

/// Longest field, characters.
pub(super) const MAX_FIELD: usize = 500;

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

fn read(incident: IncidentId, headers: &HeaderMap, request: CommandRequest) -> Answer<Given> {
    let key = read_key(headers)?;
    let CommandRequest { command, version, reason, comment, fields } = request;
    let command = Command::parse(&command).ok_or_else(|| unknown("command", &command))?;
    let known = |name: &String| command.fields().iter().any(|field| field.name == name);
    if let Some(name) = fields.keys().find(|name| !known(name)) {
        return Err(Problem::field(&format!("fields.{name}"), "is not known for this command"));
    }
    if reason.as_ref().is_some_and(|reason| !command.reasons().contains(&reason.as_str())) {
        return Err(Problem::field("reason", format!("must be one of {}", command.reasons().join(", "))));
    }
    let of = |(name, value): (String, String)| {
        let value = if value.is_empty() { value } else { read_text(&format!("fields.{name}"), value, MAX_FIELD)? };
        Ok((name, value))
    };
    let fields = fields.into_iter().map(of).collect::<Answer<BTreeMap<String, String>>>()?;
    let comment = comment.map(|comment| read_free_text("comment", comment)).transpose()?.map(String::from);
    Ok(Given { incident, key, command, version, reason, comment, fields })
}
