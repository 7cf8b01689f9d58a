//! `/v1/cameras`, `/v1/reload` and `/v1/group` on a worker's own listener.
//!
//! Changes need the bearer token of `[ingest.api]`; without one these routes don't exist. Errors are RFC 9457 problems with every
//! mistake. `/v1/group` needs none: it tells other workers how long ago this one heard of their group, and nothing else.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Map, Value, json};
use xueliang_ingest::{
    Worker,
    authorization::State as Standing,
    fleet::{
        Fleet, View,
        files::Reload,
        kept::{KeepError, Kept},
    },
    settings::ApiToken,
};

/// Longest camera that is taken.
const MAX_BODY_BYTES: usize = 64 * 1024;

#[derive(Clone)]
struct Api {
    fleet: Fleet,
    kept: Kept,
    reload: Option<Reload>,
    token: Arc<ApiToken>,
}

/// The routes of a worker.
pub fn routes(worker: &Worker, token: Option<ApiToken>) -> Router {
    let mut router = Router::new();
    if let Some(contact) = worker.registry.clone() {
        router = router.route("/v1/group", get(move || async move { Json(contact.tell()) }));
    }
    let Some(token) = token else { return router };
    let (fleet, kept, reload) = (worker.fleet.clone(), worker.kept.clone(), worker.reload.clone());
    let api = Api { fleet, kept, reload, token: Arc::new(token) };
    let guarded = Router::new()
        .route("/v1/cameras", get(list))
        .route("/v1/cameras/{id}", get(one).put(put).delete(remove))
        .route("/v1/reload", post(read_again))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(api.clone(), authorize))
        .with_state(api);
    router.merge(guarded)
}

async fn authorize(State(api): State<Api>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|token| api.token.is(token)) {
        return next.run(request).await;
    }
    let mut response = problem(StatusCode::UNAUTHORIZED, "the token of [ingest.api] is missing or wrong", Vec::new());
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}

async fn list(State(api): State<Api>) -> Response {
    let cameras: Vec<Value> = api.fleet.cameras().iter().map(shown).collect();
    let mistakes: Vec<String> =
        api.reload.map(|reload| reload.mistakes().iter().map(ToString::to_string).collect()).unwrap_or_default();
    Json(json!({ "cameras": cameras, "mistakes": mistakes })).into_response()
}

async fn one(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let camera = api.fleet.cameras().into_iter().find(|view| view.id.as_str() == id);
    camera.map_or_else(
        || problem(StatusCode::NOT_FOUND, "there is no such camera", Vec::new()),
        |view| Json(shown(&view)).into_response(),
    )
}

async fn put(State(api): State<Api>, Path(id): Path<String>, body: Bytes) -> Response {
    let id = match id.parse() {
        Ok(id) => id,
        Err(error) => return problem(StatusCode::BAD_REQUEST, format!("{error}"), Vec::new()),
    };
    let settings: Map<String, Value> = match serde_json::from_slice(&body) {
        Ok(settings) => settings,
        Err(error) => return problem(StatusCode::BAD_REQUEST, format!("no JSON object: {error}"), Vec::new()),
    };
    changed(tokio::task::spawn_blocking(move || api.kept.put(&id, settings)).await)
}

async fn remove(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let id = match id.parse() {
        Ok(id) => id,
        Err(error) => return problem(StatusCode::BAD_REQUEST, format!("{error}"), Vec::new()),
    };
    changed(tokio::task::spawn_blocking(move || api.kept.remove(&id)).await)
}

async fn read_again(State(api): State<Api>) -> Response {
    let Some(reload) = api.reload else {
        return problem(StatusCode::CONFLICT, "this worker reads no camera files", Vec::new());
    };
    let Some(reloaded) = reload.now().await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the worker is stopping", Vec::new());
    };
    let counts =
        json!({ "started": reloaded.n_started, "stopped": reloaded.n_stopped, "restarted": reloaded.n_restarted });
    if reloaded.mistakes.is_empty() {
        return Json(counts).into_response();
    }
    let detail = format!("what has mistakes was left as it was; applied: {counts}");
    problem(StatusCode::UNPROCESSABLE_ENTITY, detail, reloaded.mistakes.iter().map(mistake).collect())
}

fn changed(outcome: Result<Result<(), KeepError>, tokio::task::JoinError>) -> Response {
    let error = match outcome {
        Ok(Ok(())) => return StatusCode::NO_CONTENT.into_response(),
        Ok(Err(error)) => error,
        Err(error) => {
            tracing::error!(%error, "a change of the cameras ended badly");
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "the worker failed; see its log", Vec::new());
        }
    };
    let detail = error.to_string();
    match error {
        KeepError::Mistakes(mistakes) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, detail, mistakes.0.iter().map(mistake).collect())
        }
        KeepError::Elsewhere { .. } => problem(StatusCode::CONFLICT, detail, Vec::new()),
        KeepError::Unknown(_) => problem(StatusCode::NOT_FOUND, detail, Vec::new()),
        KeepError::Disk { .. } => {
            tracing::error!(error = detail, "a camera can't be kept");
            problem(StatusCode::SERVICE_UNAVAILABLE, "the camera can't be kept; see the worker's log", Vec::new())
        }
    }
}

/// A camera without anything secret: its address carries no account, and the account is not shown.
fn shown(view: &View) -> Value {
    let settings = view.settings.as_ref();
    let (active_until, suspended) = match &view.standing {
        Some(Standing::Active { last_day }) => (Some(last_day.to_string()), Vec::new()),
        Some(Standing::Suspended { why }) => (None, why.iter().map(|why| why.as_str()).collect()),
        None => (None, Vec::new()),
    };
    let failure = view.status.as_ref().and_then(|status| status.last_failure.as_ref());
    json!({
        "id": view.id.as_str(),
        "origin": view.origin.to_string(),
        "place": settings.map(|settings| format!("{}:{}", settings.file.display(), settings.line)),
        "url": settings.map(|settings| settings.url.as_str()),
        "session": view.session.to_string(),
        "owner_epoch": view.epoch,
        "refused": view.refused,
        "active_until": active_until,
        "suspended": suspended,
        "state": view.status.as_ref().map(|status| status.state),
        "gate": view.status.as_ref().and_then(|status| status.gate),
        "cause": view.status.as_ref().and_then(|status| status.cause.clone()),
        "since": view.status.as_ref().map(|status| status.since.to_string()),
        "last_failure": failure.map(|(at, cause)| json!({ "at": at.to_string(), "cause": cause })),
    })
}

fn mistake(mistake: &xueliang_settings::Mistake) -> Value {
    json!({
        "file": mistake.file.display().to_string(),
        "line": mistake.line,
        "key": mistake.key,
        "problem": mistake.problem,
        "cure": mistake.cure,
    })
}

fn problem(status: StatusCode, detail: impl Into<String>, errors: Vec<Value>) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail.into(),
        "errors": errors,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
