//! The register, for auditors: search, and whether it holds. Reading it is registered too.

use axum::{Json, extract::State};

use super::{
    Api,
    person::{Signed, asked_now},
    problem::{Answer, Problem},
    shapes::{AuditPage, AuditQuery, AuditRow, ProblemBody},
    taken::{Query, read_limit},
};
use crate::{
    access::{Action, Kind, Purpose, Resource},
    audit::{self, Decision},
    store::audit::{Asked, Search, register, search},
};

/// Rows of the audit, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "list_audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = AuditPage), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody))
)]
pub(super) async fn list(
    State(api): State<Api>,
    signed: Signed,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<AuditPage>> {
    let AuditQuery { actor, action, resource, before, limit } = query;
    for (field, text) in [("actor", &actor), ("action", &action), ("resource", &resource)] {
        if text
            .as_ref()
            .is_some_and(|text| text.is_empty() || text.chars().count() > 256 || text.chars().any(char::is_control))
        {
            return Err(Problem::field(field, "must have 1 to 256 characters, none of them a control character"));
        }
    }
    let limit = read_limit(limit)?;
    let wanted = Search { actor, action, resource, before, limit: limit + 1 };
    let (person, access, region) = (signed.person, api.access.clone(), api.region.clone());
    let found = api.store.write(move |tx| {
        let context = asked_now(&person).for_purpose(Purpose::ComplianceAudit);
        let permit = access.authorize(&person, Action::ReadAudit, Resource::new(Kind::Audit, &region), context);
        let (action, resource) = (Action::ReadAudit.as_str(), "audit");
        let asked =
            Asked { person: &person, at: context.now, purpose: context.purpose, reason: None, action, resource };
        register(tx, &access, asked, permit.as_ref())?;
        match permit {
            Ok(_) => search(tx, &wanted).map(Ok),
            Err(denied) => Ok(Err(denied)),
        }
    });
    let mut rows = found.await??;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(row, _)| row.seq);
    Ok(Json(AuditPage { items: rows.into_iter().map(|(row, reason)| shape(row, reason)).collect(), next }))
}

fn shape(row: audit::AuditRow, reason: Option<String>) -> AuditRow {
    let entry = row.entry;
    AuditRow {
        seq: row.seq,
        at: entry.utc,
        actor: entry.actor,
        unit: entry.unit,
        assignment: entry.assignment,
        purpose: entry.purpose,
        reason,
        action: entry.action,
        resource: entry.resource,
        permitted: entry.decision == Decision::Permit,
        rule_ids: entry.rule_ids,
        hash: row.hash.to_string(),
    }
}
