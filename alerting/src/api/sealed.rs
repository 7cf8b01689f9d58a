//! What a grant opens: redacted stills to hand out or to publish; what was not redacted, one sealed original at a time, or where
//! else to ask for it.
//!
//! Invariants: each use is asked of the policies with its grant and registered before anything is read; an original is opened in
//! memory, for the answer to the one request, and no package takes one (RULES P23).

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::IntoResponse,
};
use jiff::Timestamp;
use uuid::Uuid;
use xueliang_events::{IncidentId, values::Digest};

use super::{
    Api,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{
        Bilingual, ProblemBody, Still as StillBody,
        grants::{GrantQuery, KeptOriginal, OriginalQuery, Package, Sealed as SealedBody},
    },
    taken::{Named, Query},
};
use crate::{
    access::{Asker, Purpose},
    evidence::Evidence,
    export::{Handed, pack},
    grant::Sealed,
    originals::Shut,
    store::sealed::{Opened, Still, Wanted, WantedOriginal, open, open_original},
};

/// Why a centre without a key opens nothing.
const NO_KEY: &str =
    "this centre can't open sealed originals; write [alerting.sealed_originals] key_file, or ask the recorder";
/// Why there is nothing to open.
const NOT_SEALED: &str = "no sealed original of this still is kept here; ask the recorder";

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

/// Where what was not redacted is, with a grant to see it: which sealed originals can be opened here, and whose recorders have more.
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
    let originals = kept_originals(&api, &opened).await?;
    let text = if originals.is_empty() { elsewhere() } else { here() };
    Ok(Json(SealedBody {
        kept_here: !originals.is_empty(),
        originals,
        devices: opened.devices,
        from: opened.range.0,
        until: opened.range.1,
        expires_at: opened.grant.course.expires_at(),
        account: opened.grant.course.requester,
        text,
    }))
}

fn elsewhere() -> Bilingual {
    Bilingual {
        zh: "此处没有可查看的未脱敏图像。请凭本登记向所列设备的录像系统调阅。".to_owned(),
        en: "No picture that was not redacted can be seen here. Ask the recorder of these devices; this use is registered.".to_owned(),
    }
}

fn here() -> Bilingual {
    Bilingual {
        zh: "所列图像的密封原图可逐张查看，每次查看均予登记。其余请向所列设备的录像系统调阅。".to_owned(),
        en: "The sealed originals of these stills can be seen one at a time; each use is registered. Ask the recorder of these devices for more.".to_owned(),
    }
}

/// The original of one redacted still, with a grant to see originals. It was sealed by the worker and is opened for this answer only.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/originals/{sha256}", operation_id = "view_original", tag = "grants",
    params(("id" = Uuid, Path, description = "The incident."),
           ("sha256" = String, Path, description = "The redacted still."), OriginalQuery),
    responses((status = 200, content_type = "image/jpeg", body = StillBody), (status = 400, body = ProblemBody),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody))
)]
pub(super) async fn original(
    State(api): State<Api>,
    signed: Signed,
    Named((incident, sha256)): Named<(Uuid, String)>,
    Query(OriginalQuery { grant }): Query<OriginalQuery>,
) -> Answer<impl IntoResponse> {
    let still = Digest::try_from(sha256).map_err(|_| Problem::not_found())?;
    let (access, evidence, key) = (api.access.clone(), api.evidence.clone(), api.originals.clone());
    let (has_key, wanted_still) = (key.is_some(), still.clone());
    let range = api.store.write(move |tx| {
        let obstacle = obstacle(has_key, evidence.has_original(&wanted_still));
        let wanted = WantedOriginal { incident: IncidentId(incident), grant, still: wanted_still, obstacle };
        open_original(tx, Asker { access: &access, person: &signed.person }, &wanted, asked_now(&signed.person))
    });
    let range = range.await??;
    let (evidence, key) = (api.evidence.clone(), key.ok_or_else(Problem::not_found)?);
    let opened = tokio::task::spawn_blocking(move || {
        evidence.load_original(&still).map(|sealed| key.open(&sealed, &still, range))
    });
    let opened = opened.await.map_err(|_| Problem::unavailable("the original was not opened; try again"))?;
    let original = opened.ok_or_else(Problem::not_found)?.map_err(|shut| {
        tracing::warn!(error = %shut, "a sealed original stays shut");
        Problem::new(StatusCode::CONFLICT, "not possible now", shut_because(shut))
    })?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], Bytes::from_owner(original)))
}

fn obstacle(has_key: bool, is_kept: bool) -> Option<&'static str> {
    match (has_key, is_kept) {
        (false, _) => Some(NO_KEY),
        (true, false) => Some(NOT_SEALED),
        (true, true) => None,
    }
}

fn shut_because(shut: Shut) -> &'static str {
    match shut {
        Shut::Sealed => "it was sealed to another key than this centre's, or is damaged; ask the recorder",
        Shut::Foreign => "what was sealed is no original of a still; ask the recorder",
        Shut::Other => "the original was taken at another time than the grant names; ask for a grant that covers it",
    }
}

/// The stills in what was opened whose originals can be opened here.
async fn kept_originals(api: &Api, opened: &Opened) -> Answer<Vec<KeptOriginal>> {
    let is_closed = opened.grant.request.purpose == Purpose::DataSubjectAccess;
    if api.originals.is_none() || is_closed {
        return Ok(Vec::new());
    }
    let (evidence, stills) = (api.evidence.clone(), opened.stills.clone());
    let kept = tokio::task::spawn_blocking(move || with_originals(&evidence, stills)).await;
    kept.map_err(|_| Problem::unavailable("the originals were not looked at; try again"))
}

fn with_originals(evidence: &Evidence, stills: Vec<Still>) -> Vec<KeptOriginal> {
    let kept = stills.into_iter().filter(|still| evidence.has_original(&still.sha256));
    kept.map(|Still { sha256, taken_at }| KeptOriginal { sha256: sha256.as_str().to_owned(), taken_at }).collect()
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
