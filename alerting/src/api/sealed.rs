//! What a grant opens: redacted stills to hand out or to publish, and where to ask for what was not redacted.
//!
//! Invariant: each use is asked of the policies with its grant and registered before anything is read.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
};
use jiff::Timestamp;
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Api,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{
        Bilingual, ProblemBody,
        grants::{GrantQuery, Package, Sealed as SealedBody},
    },
    taken::{Named, Query},
};
use crate::{
    access::Asker,
    export::{Handed, pack},
    grant::Sealed,
    store::sealed::{Opened, Wanted, open},
};

/// An incident's redacted stills with a manifest, as a ZIP file; with a grant to export.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/export", operation_id = "export_stills", tag = "grants",
    params(("id" = Uuid, Path, description = "The incident."), GrantQuery),
    responses((status = 200, content_type = "application/zip", body = Package), (status = 400, body = ProblemBody),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(super) async fn export(
    State(api): State<Api>,
    signed: Signed,
    Named(path): Named<Uuid>,
    Query(query): Query<GrantQuery>,
) -> Answer<impl IntoResponse> {
    package(&api, signed, wanted(Sealed::Export, path, query)).await
}

/// The same to be published; with a grant to release.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/release", operation_id = "release_stills", tag = "grants",
    params(("id" = Uuid, Path, description = "The incident."), GrantQuery),
    responses((status = 200, content_type = "application/zip", body = Package), (status = 400, body = ProblemBody),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(super) async fn release(
    State(api): State<Api>,
    signed: Signed,
    Named(path): Named<Uuid>,
    Query(query): Query<GrantQuery>,
) -> Answer<impl IntoResponse> {
    package(&api, signed, wanted(Sealed::Release, path, query)).await
}

/// Where what was not redacted is, with a grant to see it: nothing of it is kept here.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/sealed", operation_id = "open_sealed", tag = "grants",
    params(("id" = Uuid, Path, description = "The incident."), GrantQuery),
    responses((status = 200, body = SealedBody), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(super) async fn sealed(
    State(api): State<Api>,
    signed: Signed,
    Named(path): Named<Uuid>,
    Query(query): Query<GrantQuery>,
) -> Answer<Json<SealedBody>> {
    let opened = opened(&api, signed, wanted(Sealed::ViewOriginal, path, query)).await?;
    Ok(Json(SealedBody {
        kept_here: false,
        devices: opened.devices,
        from: opened.range.0,
        until: opened.range.1,
        expires_at: opened.grant.course.expires_at(),
        account: opened.grant.course.requester,
        text: Bilingual {
            zh: "本系统不保存未脱敏图像。请凭本登记向所列设备的录像系统调阅。".to_owned(),
            en: "No picture that was not redacted is kept here. Ask the recorder of these devices; this use is registered.".to_owned(),
        },
    }))
}

fn wanted(action: Sealed, incident: Uuid, query: GrantQuery) -> Wanted {
    let GrantQuery { grant, from, until } = query;
    Wanted { incident: IncidentId(incident), grant, action, range: (from, until) }
}

async fn opened(api: &Api, signed: Signed, wanted: Wanted) -> Answer<Opened> {
    let access = api.access.clone();
    let opened = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &signed.person };
        open(tx, asker, &wanted, asked_now(&signed.person))
    });
    Ok(opened.await??)
}

async fn package(api: &Api, signed: Signed, wanted: Wanted) -> Answer<impl IntoResponse + use<>> {
    let (evidence, name) = (api.evidence.clone(), format!("{}.zip", wanted.incident));
    let opened = opened(api, signed, wanted).await?;
    let handed = Handed { at: Timestamp::now(), opened };
    let packed = tokio::task::spawn_blocking(move || pack(&handed, |still| evidence.load(still))).await;
    let packed = packed.map_err(|_| Problem::unavailable("the package was not finished; try again"))?;
    let bytes = packed.map_err(|error| Problem::field("until", error.to_string()))?;
    let headers: [(HeaderName, String); 2] = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, bytes))
}
