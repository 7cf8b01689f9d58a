//! Redacted stills and what people attached, through their incident only: purpose and reason first, written down before anything
//! is served.

use axum::{extract::State, http::header, response::IntoResponse};
use uuid::Uuid;
use xueliang_events::{IncidentId, values::Digest};

use super::{
    Api,
    person::{Signed, Viewer, asked_now},
    problem::{Answer, Problem},
    shapes::{ProblemBody, Purpose, Still, ViewQuery},
    taken::{MAX_REASON, Named, Query, read_text},
};
use crate::{
    access::{self, Action, Context, Kind, Person, Resource},
    store::{
        audit::{Asked, register},
        incidents, notes,
    },
};

/// What kind of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Picture {
    Still,
    Attachment,
}

impl Picture {
    fn action(self) -> Action {
        match self {
            Picture::Still => Action::ViewStill,
            Picture::Attachment => Action::ReadAttachment,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Picture::Still => Kind::Incident,
            Picture::Attachment => Kind::Attachment,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Picture::Still => "still",
            Picture::Attachment => "attachment",
        }
    }
}

/// A redacted still of an incident.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/snapshots/{sha256}", operation_id = "get_snapshot", tag = "incidents",
    params(("id" = String, Path, description = "The incident."), ("sha256" = String, Path, description = "The still."),
           ViewQuery),
    responses((status = 200, content_type = "image/jpeg", body = Still), (status = 400, body = ProblemBody),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(super) async fn still(
    State(api): State<Api>,
    viewer: Viewer,
    Named(path): Named<(Uuid, String)>,
    Query(query): Query<ViewQuery>,
) -> Answer<impl IntoResponse> {
    serve(api, viewer.person, (Picture::Still, path), query).await
}

/// A picture that somebody attached to an incident.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/attachments/{sha256}", operation_id = "get_attachment", tag = "incidents",
    params(("id" = String, Path, description = "The incident."), ("sha256" = String, Path, description = "The picture."),
           ViewQuery),
    responses((status = 200, content_type = "image/jpeg", body = Still), (status = 400, body = ProblemBody),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(super) async fn attachment(
    State(api): State<Api>,
    signed: Signed,
    Named(path): Named<(Uuid, String)>,
    Query(query): Query<ViewQuery>,
) -> Answer<impl IntoResponse> {
    serve(api, signed.person, (Picture::Attachment, path), query).await
}

async fn serve(
    api: Api,
    person: Person,
    (picture, (id, sha256)): (Picture, (Uuid, String)),
    ViewQuery { purpose, reason }: ViewQuery,
) -> Answer<impl IntoResponse + use<>> {
    let id = IncidentId(id);
    let sha256 = Digest::try_from(sha256).map_err(|_| Problem::not_found())?;
    let reason = read_text("reason", reason, MAX_REASON)?;
    let asked = Context { has_reason: true, ..asked_now(&person).for_purpose(key(purpose)) };
    let (access, still) = (api.access.clone(), sha256.clone());
    let permit = api.store.write(move |tx| {
        let Some(incident) = incidents::load(tx, id)? else { return Ok(None) };
        let shows = match picture {
            Picture::Still => incidents::shows(tx, id, &still)?,
            Picture::Attachment => notes::attachments(tx, id)?.iter().any(|attached| attached.sha256 == still),
        };
        if !shows {
            return Ok(None);
        }
        let resource = Resource { kind: picture.kind(), ..incident.resource() };
        let permit = access.authorize(&person, picture.action(), resource, asked);
        let viewed = Asked {
            person: &person,
            at: asked.now,
            purpose: asked.purpose,
            reason: Some(&reason),
            action: picture.action().as_str(),
            resource: &format!("incident/{id}/{}/{}", picture.as_str(), still.as_str()),
        };
        register(tx, &access, viewed, permit.as_ref())?;
        Ok(Some(permit))
    });
    let _permit = permit.await?.ok_or_else(Problem::not_found)??;
    let evidence = api.evidence.clone();
    let bytes = tokio::task::spawn_blocking(move || evidence.load(&sha256)).await;
    let bytes = bytes.ok().flatten().ok_or_else(Problem::not_found)?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], bytes))
}

/// A purpose as the policies know it.
pub(super) fn key(purpose: Purpose) -> access::Purpose {
    match purpose {
        Purpose::PublicSafetyWatch => access::Purpose::PublicSafetyWatch,
        Purpose::IncidentHandling => access::Purpose::IncidentHandling,
        Purpose::EmergencyResponse => access::Purpose::EmergencyResponse,
        Purpose::StatutoryRequest => access::Purpose::StatutoryRequest,
        Purpose::DataSubjectAccess => access::Purpose::DataSubjectAccess,
        Purpose::DeviceMaintenance => access::Purpose::DeviceMaintenance,
        Purpose::ComplianceAudit => access::Purpose::ComplianceAudit,
        Purpose::AggregateStatistics => access::Purpose::AggregateStatistics,
    }
}
