//! Health for whoever runs it and for open pages, and metrics.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use prometheus::TextEncoder;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::{Api, person::Caller};

/// How often open pages are told whether all works.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What does not answer within this time does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// A part that does not work now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trouble {
    /// `store`, `source`, `audit`, or the name of a part beside alerting.
    part: &'static str,
    /// What is wrong.
    detail: String,
}

/// What pages are told of the parts; empty while all work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct StreamHealth {
    troubles: Vec<Trouble>,
}

/// How the parts were when they were last looked at; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Condition(watch::Sender<StreamHealth>);

impl Condition {
    /// Follows it.
    pub(super) fn follow(&self) -> watch::Receiver<StreamHealth> {
        self.0.subscribe()
    }
}

/// Looks at the parts until shutdown.
pub(crate) async fn watch(api: Api) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = api.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let failing = parts(&api).await.into_iter().filter(|part| !part.ok);
        let troubles = failing.map(|part| Trouble { part: part.name, detail: part.detail }).collect();
        let now = StreamHealth { troubles };
        api.condition.0.send_if_modified(|before| {
            let is_news = *before != now;
            *before = now;
            is_news
        });
    }
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

async fn parts(api: &Api) -> Vec<Part> {
    let asked = api.store.read(|tx| tx.value::<i64>("SELECT count(*) FROM migration", &[]));
    let answers = matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)));
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
    parts
}

/// Every part that must work for incidents to appear.
pub(super) async fn ready(State(api): State<Api>) -> impl IntoResponse {
    let parts = parts(&api).await;
    let ready = parts.iter().all(|part| part.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, parts }))
}

/// All metrics of the process.
pub(super) async fn metrics(_: Caller, State(api): State<Api>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&api.registry.gather()) {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text),
        Err(error) => {
            tracing::error!(%error, "metrics can't be written");
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new())
        }
    }
}
