//! Pictures that people attach: taken from a body of bytes, and shown like stills.
//!
//! Who may not attach is refused before the body is read. Two pictures are decoded at a time, for each may take 400 MB; who
//! has waited ten seconds for it is asked to come again.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Api,
    incidents::detail,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{Incident, ProblemBody, Still},
    taken::{Named, read_key},
};
use crate::{
    access::{Action, Asker},
    attachment::{self, Attachment, MAX_BYTES},
    store::{
        audit::{Asked, register},
        incidents,
        notes::{Attached, Given, attach, make},
    },
    workflow::Note,
};

/// How long a picture may take to come and be decoded; a phone on a weak line sends slowly.
const WITHIN: Duration = Duration::from_secs(120);
const WAIT_FOR: Duration = Duration::from_secs(10);
static DECODING: Semaphore = Semaphore::const_new(2);
/// Pictures that are in memory at once.
static UPLOADING: Semaphore = Semaphore::const_new(16);

#[derive(OpenApi)]
#[openapi(paths(take))]
struct Described;

pub(super) fn document() -> Document {
    Described::openapi()
}

/// With its own limits of time and length.
pub(super) fn route() -> Router<Api> {
    Router::new().route("/api/v1/incidents/{id}/attachments", post(take)).layer(DefaultBodyLimit::max(MAX_BYTES + 1))
}

/// Attach a picture: a JPEG, PNG or WebP of at most 10 MB. Nothing of the file but its pixels is kept.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/attachments", operation_id = "attach_picture", tag = "incidents",
    request_body(content((Still = "image/jpeg"), (Still = "image/png"), (Still = "image/webp"))),
    params(("id" = String, Path, description = "The incident."),
           ("idempotency-key" = String, Header, description = "The same for each repetition of one picture.", min_length = 8, max_length = 128)),
    responses((status = 201, body = Incident), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
              (status = 503, body = ProblemBody))
)]
async fn take(
    State(api): State<Api>,
    signed: Signed,
    Named(id): Named<Uuid>,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<Incident>)> {
    let (id, key) = (IncidentId(id), read_key(&headers)?);
    may_attach(&api, &signed, id).await?;
    let picture = tokio::time::timeout(WITHIN, read(body)).await;
    let picture = picture.map_err(|_| Problem::unavailable("the picture took too long to come"))??;
    keep(&api, &signed, (id, key), picture).await?;
    api.live.wake();
    Ok((StatusCode::CREATED, Json(detail(&api, &signed.person, id).await?)))
}

async fn may_attach(api: &Api, signed: &Signed, id: IncidentId) -> Answer<()> {
    let (person, access) = (signed.person.clone(), api.access.clone());
    let may = api.store.write(move |tx| {
        let Some(incident) = incidents::load(tx, id)? else { return Ok(None) };
        let asked = asked_now(&person);
        let permit = access.authorize(&person, Action::Attach, incident.resource(), asked);
        if permit.is_err() {
            let (action, resource) = (Action::Attach.as_str(), format!("incident/{id}"));
            let asked =
                Asked { person: &person, at: asked.now, purpose: None, reason: None, action, resource: &resource };
            register(tx, &access, asked, permit.as_ref())?;
        }
        Ok(Some(permit.map(|_| ())))
    });
    Ok(may.await?.ok_or_else(Problem::not_found)??)
}

async fn turn(places: &'static Semaphore) -> Answer<SemaphorePermit<'static>> {
    let busy = || Problem::unavailable("other pictures are being taken; try again");
    tokio::time::timeout(WAIT_FOR, places.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())
}

async fn read(body: Body) -> Answer<Attachment> {
    let too_long = || Problem::field("body", format!("send a picture of at most {MAX_BYTES} bytes"));
    // Before the body, so that what waits is not in memory.
    let place = turn(&UPLOADING).await?;
    let bytes = to_bytes(body, MAX_BYTES).await.map_err(|_| too_long())?;
    let decoding = turn(&DECODING).await?;
    let checked = tokio::task::spawn_blocking(move || attachment::check(&bytes)).await;
    drop((decoding, place));
    let checked = checked.map_err(|_| Problem::field("body", "the picture can't be decoded"))?;
    checked.map_err(|refusal| Problem::field("body", refusal.to_string()))
}

/// The bytes first: a picture that nothing names is found by the next sweep, one that is named and not there by nobody.
async fn keep(api: &Api, signed: &Signed, (id, key): (IncidentId, String), picture: Attachment) -> Answer<()> {
    let Attachment { sha256, width, height, bytes } = picture;
    let (evidence, named) = (api.evidence.clone(), sha256.clone());
    let kept = tokio::task::spawn_blocking(move || evidence.put(&named, &bytes)).await;
    if !matches!(kept, Ok(Ok(()))) {
        tracing::error!(?kept, "a picture can't be kept");
        return Err(Problem::unavailable("pictures can't be kept now; try again"));
    }
    let (person, access, procedure) = (signed.person.clone(), api.access.clone(), api.procedure());
    let made = api.store.write(move |tx| {
        let asked = asked_now(&person);
        let fields = BTreeMap::from([("sha256".to_owned(), sha256.as_str().to_owned())]);
        let given = Given { incident: id, key, note: Note::Attach, text: None, fields };
        let made = make(tx, (Asker { access: &access, person: &person }, &procedure), &given, asked)?;
        if made == Ok(true) {
            attach(tx, id, &Attached { sha256, account: person.account, at: asked.now, width, height })?;
        }
        Ok(made)
    });
    made.await??;
    Ok(())
}
