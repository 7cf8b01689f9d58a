//! `/healthz`, `/readyz` and `/metrics` of an ingest worker that runs alone, beside the routes of its cameras.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio_util::sync::CancellationToken;

/// One part of the process.
#[derive(Clone)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it now, if anything; asked anew each time.
    pub trouble: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// What to say of it while nothing is wrong.
    pub working: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl Part {
    /// A part with nothing to say while nothing is wrong.
    pub fn new(name: &'static str, trouble: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { name, trouble: Arc::new(trouble), working: None }
    }
}

/// What the endpoints ask.
#[derive(Clone)]
pub struct Probes {
    /// All metrics.
    pub registry: Registry,
    /// All parts.
    pub parts: Arc<[Part]>,
    /// What is worth knowing although the process is ready.
    pub notes: Arc<[Part]>,
}

/// Serves until `shutdown`, with `more` routes.
pub async fn serve(
    listen: SocketAddr,
    probes: Probes,
    more: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await;
    let listener = listener.with_context(|| format!("can't listen on {listen}; choose another ingest.listen"))?;
    tracing::info!(address = %listener.local_addr()?, "health and metrics");
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(probes)
        .merge(more);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}

async fn ready(State(probes): State<Probes>) -> impl IntoResponse {
    let troubles: Vec<_> = probes.parts.iter().map(|part| (part, (part.trouble)())).collect();
    let is_ready = troubles.iter().all(|(_, trouble)| trouble.is_none());
    let mut rows: Vec<_> = troubles
        .into_iter()
        .map(|(part, trouble)| {
            let ok = trouble.is_none();
            let detail = trouble.or_else(|| part.working.as_ref().map(|working| working()));
            serde_json::json!({ "name": part.name, "ok": ok, "detail": detail })
        })
        .collect();
    let notes = probes.notes.iter();
    rows.extend(notes.map(|note| serde_json::json!({ "name": note.name, "ok": true, "detail": (note.trouble)() })));
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": is_ready, "parts": rows })))
}

async fn metrics(State(probes): State<Probes>) -> impl IntoResponse {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&probes.registry.gather(), &mut text) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
