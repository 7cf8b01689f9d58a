//! The HTTP surface: REST, the live stream, health, metrics and the console's files.
//!
//! Invariants: before sign-in nothing but the console's files, sign-in and health is served, and to processes of this machine
//! the metrics and the API's description; every answer about an incident rests on a [`crate::access::Permit`] or a scope; every
//! error is problem+json made in one place.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use prometheus::Registry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::Access, accounts::Accounts, consume::Health, deadline::Deadlines, evidence::Evidence, live::Live,
    metrics::Metrics, oidc::Oidc, originals::OriginalsKey, procedure::Procedure, rules_file::Rulebook, store::Store,
};

mod assets;
mod attachments;
mod audit;
pub(crate) mod client;
mod commands;
mod described;
mod devices;
mod grants;
mod health;
mod holds;
mod incidents;
mod notes;
mod oidc;
mod person;
mod problem;
mod reports;
mod sealed;
mod session;
pub mod shapes;
mod snapshots;
mod stream;
mod taken;

pub(crate) use health::watch;
pub use health::{Condition, Probe};
use person::Caller;
use problem::Problem;
pub use stream::Followers;

/// What the handlers work with; cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The store.
    pub store: Store,
    /// The door: who may do what where.
    pub access: Access,
    /// The accounts.
    pub accounts: Accounts,
    /// The live stream's source.
    pub live: Live,
    /// The stills.
    pub evidence: Evidence,
    /// What opens sealed originals, where this centre can.
    pub originals: Option<OriginalsKey>,
    /// The rules.
    pub rules: Rulebook,
    /// The deadlines that they name.
    pub deadlines: Arc<Deadlines>,
    /// The region of the deployment itself.
    pub region: Arc<str>,
    /// How the audit's checkpoints are.
    pub register: Health,
    /// Counts.
    pub metrics: Metrics,
    /// All metrics of the process.
    pub registry: Registry,
    /// How the source is.
    pub health: Health,
    /// Parts beside alerting in the same process.
    pub probes: Arc<[Probe]>,
    /// Who follows the live stream.
    pub followers: Followers,
    /// How all parts are, for open pages.
    pub condition: Condition,
    /// True when changes go to Kafka.
    pub publishes: bool,
    /// The identity provider, when people sign in by one.
    pub oidc: Option<Oidc>,
    /// True behind a proxy that ends TLS.
    pub behind_tls: bool,
    /// True when the listener ends TLS itself.
    pub has_tls: bool,
    /// Ends the live streams.
    pub shutdown: CancellationToken,
}

impl Api {
    /// True when people reach it by TLS.
    fn is_encrypted(&self) -> bool {
        self.behind_tls || self.has_tls
    }

    /// Rules and deadlines as they are in force now.
    fn procedure(&self) -> Procedure {
        Procedure { engine: self.rules.engine(), deadlines: Arc::clone(&self.deadlines) }
    }
}

const MAX_BODY: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(OpenApi)]
#[openapi(info(
    title = "Xueliang alerting",
    description = "Grid incidents and what people do with them. A detection is a lead, not evidence."
))]
struct Info;

/// The whole surface.
pub fn router(api: Api) -> Router {
    let (routes, _) = described().split_for_parts();
    let document = Arc::new(document().to_string());
    routes
        .layer(middleware::from_fn(within_time))
        .merge(stream::route())
        .merge(attachments::route())
        .merge(oidc::routes())
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route(
            "/openapi.json",
            get(move |_: Caller| async move { ([(header::CONTENT_TYPE, "application/json")], document.to_string()) }),
        )
        .fallback(assets::serve)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(api.has_tls, secured))
        .with_state(api)
}

/// The OpenAPI document of the surface, as it is committed.
pub fn document() -> Value {
    let (_, mut document) = described().split_for_parts();
    for apart in [stream::document(), attachments::document()] {
        document.paths.paths.extend(apart.paths.paths);
        if let (Some(components), Some(more)) = (&mut document.components, apart.components) {
            components.schemas.extend(more.schemas);
        }
    }
    let mut document = serde_json::to_value(document).unwrap_or_default();
    described::finish(&mut document);
    document
}

fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Info::openapi())
        .routes(routes!(session::sign_in, session::current, session::sign_out))
        .routes(routes!(incidents::list, notes::enter))
        .routes(routes!(incidents::one))
        .routes(routes!(commands::give))
        .routes(routes!(notes::note))
        .routes(routes!(snapshots::still))
        .routes(routes!(snapshots::attachment))
        .routes(routes!(reports::get))
        .routes(routes!(reports::nuisance))
        .routes(routes!(devices::list))
        .routes(routes!(devices::rules))
        .routes(routes!(devices::versions))
        .routes(routes!(devices::statics))
        .routes(routes!(audit::list))
        .routes(routes!(grants::request, grants::list))
        .routes(routes!(grants::decide))
        .routes(routes!(grants::break_glass))
        .routes(routes!(grants::review))
        .routes(routes!(holds::place_one, holds::list))
        .routes(routes!(sealed::export))
        .routes(routes!(sealed::release))
        .routes(routes!(sealed::sealed))
        .routes(routes!(sealed::original))
}

async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable("this took too long").into_response(),
    }
}

/// Browsers keep to TLS for so long, a year, once they have seen it.
const HSTS: &str = "max-age=31536000";

async fn secured(State(has_tls): State<bool>, request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            // The console's component library writes style elements at run time; scripts come from the origin only.
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if has_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
