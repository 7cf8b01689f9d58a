//! Redacted stills, through their incident only: purpose and reason first, written down before anything is served.

use axum::{
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::header,
    response::IntoResponse,
};
use uuid::Uuid;
use xueliang_events::{IncidentId, values::Digest};

use super::{
    Api,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{ProblemBody, Purpose, Still, ViewQuery},
};
use crate::{
    access::{self, Action, Context},
    store::{
        audit::{Asked, register},
        incidents,
    },
};

/// A redacted still of an incident.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/snapshots/{sha256}", operation_id = "get_snapshot", tag = "incidents",
    params(("id" = String, Path, description = "The incident."), ("sha256" = String, Path, description = "The still."),
           ViewQuery),
    responses((status = 200, content_type = "image/jpeg", body = Still), (status = 400, body = ProblemBody),
              (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(super) async fn serve(
    State(api): State<Api>,
    signed: Signed,
    path: Result<Path<(Uuid, String)>, PathRejection>,
    query: Result<Query<ViewQuery>, QueryRejection>,
) -> Answer<impl IntoResponse> {
    let (Path((id, sha256)), Query(ViewQuery { purpose, reason })) = (path?, query?);
    let id = IncidentId(id);
    let sha256 = Digest::try_from(sha256).map_err(|_| Problem::not_found())?;
    if reason.trim().is_empty() || reason.chars().count() > 200 {
        return Err(Problem::field("reason", "say why, in 1 to 200 characters"));
    }
    let asked = Context { has_reason: true, ..asked_now(&signed.person).for_purpose(key(purpose)) };
    let (person, access, still) = (signed.person, api.access.clone(), sha256.clone());
    let permit = api.store.write(move |tx| {
        let Some(incident) = incidents::load(tx, id)? else { return Ok(None) };
        if !incidents::shows(tx, id, &still)? {
            return Ok(None);
        }
        let permit = access.authorize(&person, Action::ViewStill, incident.resource(), asked);
        let viewed = Asked {
            person: &person,
            at: asked.now,
            purpose: asked.purpose,
            reason: Some(&reason),
            action: Action::ViewStill.as_str(),
            resource: &format!("incident/{id}/still/{}", still.as_str()),
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

fn key(purpose: Purpose) -> access::Purpose {
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
