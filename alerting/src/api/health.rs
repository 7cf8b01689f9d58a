//! Health for whoever runs it, and metrics.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use prometheus::TextEncoder;
use serde::Serialize;

use super::Api;

/// A part beside alerting in the same process: its name, and what is wrong with it now, if anything.
#[derive(Clone)]
pub struct Probe {
    /// The name.
    pub name: &'static str,
    /// Asked anew each time.
    pub trouble: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// What to say of it while nothing is wrong.
    pub working: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Probe({})", self.name)
    }
}

#[derive(Serialize)]
struct Part {
    name: &'static str,
    ok: bool,
    detail: String,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    parts: Vec<Part>,
}

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Every part that must work for incidents to appear.
pub(super) async fn ready(State(api): State<Api>) -> impl IntoResponse {
    let answers = api.store.read(|tx| tx.value::<i64>("SELECT count(*) FROM migration", &[])).await.is_ok();
    let store = if answers { "answers" } else { "does not answer" };
    let (source_ok, source) = api.health.get();
    let (register_ok, register) = api.register.get();
    let mut parts = vec![
        Part { name: "store", ok: answers, detail: store.to_owned() },
        Part { name: "source", ok: source_ok, detail: source },
        Part { name: "audit", ok: register_ok, detail: register },
        // A file with mistakes leaves the old rules in force, so alerting is as ready as before.
        Part { name: "rules", ok: true, detail: api.rules.describe() },
    ];
    parts.extend(api.probes.iter().map(|probe| {
        let trouble = (probe.trouble)();
        let working = || probe.working.as_ref().map_or_else(|| "works".to_owned(), |working| working());
        Part { name: probe.name, ok: trouble.is_none(), detail: trouble.unwrap_or_else(working) }
    }));
    let ready = parts.iter().all(|part| part.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, parts }))
}

/// All metrics of the process.
pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&api.registry.gather()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(error) => {
            tracing::error!(%error, "metrics can't be written");
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new())
        }
    }
}
