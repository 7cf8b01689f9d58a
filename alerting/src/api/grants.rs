//! Grants of four eyes and broken glass: asked for, decided, reviewed.

use axum::{Json, extract::State, http::HeaderMap};
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Api,
    person::{Signed, asked_now, check_in_force},
    problem::{Answer, Problem},
    shapes::{
        ProblemBody,
        grants::{
            BreakGlassRequest, Grant, GrantDocument, GrantList, GrantOfficer, GrantRequest, GrantReview, ReviewRequest,
            StepRequest,
        },
    },
    snapshots::key,
    taken::{Body, MAX_REASON, Named, read_key, read_text},
};
use crate::{
    access::{Action, Asker, Context},
    grant::{Document, Officer, Request, Sealed, State as GrantState, Step, Terms},
    store::{break_glass, grants},
};

/// Ask for a grant.
#[utoipa::path(
    post, path = "/api/v1/grants", operation_id = "request_grant", tag = "grants", request_body = GrantRequest,
    params(("idempotency-key" = String, Header, description = "The same for each repetition of one request.")),
    responses((status = 200, body = Grant), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody))
)]
pub(super) async fn request(
    State(api): State<Api>,
    signed: Signed,
    headers: HeaderMap,
    Body(body): Body<GrantRequest>,
) -> Answer<Json<Grant>> {
    let given = read(read_key(&headers)?, body)?;
    let (person, access) = (signed.person.clone(), api.access.clone());
    let made = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &person };
        grants::request(tx, asker, &given, asked_now(&person))
    });
    let id = made.await??;
    one(&api, &signed, id).await.map(Json)
}

/// One's own grants, and those one may decide on.
#[utoipa::path(
    get, path = "/api/v1/grants", operation_id = "list_grants", tag = "grants",
    responses((status = 200, body = GrantList), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody))
)]
pub(super) async fn list(State(api): State<Api>, signed: Signed) -> Answer<Json<GrantList>> {
    check_in_force(&signed.person)?;
    let context = asked_now(&signed.person);
    let found = api.store.read(move |tx| grants::newest(tx, context.now)).await?;
    let asker = Asker { access: &api.access, person: &signed.person };
    let items = found.into_iter().filter_map(|grant| shown(asker, grant, context)).collect();
    Ok(Json(GrantList { items }))
}

/// Approve, refuse or withdraw a request.
#[utoipa::path(
    post, path = "/api/v1/grants/{id}/{step}", operation_id = "decide_grant", tag = "grants", request_body = StepRequest,
    params(("id" = Uuid, Path, description = "The grant."),
           ("step" = String, Path, description = "`approve`, `refuse` or `withdraw`."),
           ("idempotency-key" = String, Header, description = "The same for each repetition of one request.")),
    responses((status = 200, body = Grant), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody))
)]
pub(super) async fn decide(
    State(api): State<Api>,
    signed: Signed,
    Named(path): Named<(Uuid, String)>,
    headers: HeaderMap,
    Body(body): Body<StepRequest>,
) -> Answer<Json<Grant>> {
    let (grant, step) = path;
    let Some(step) = Step::parse(&step) else { return Err(Problem::not_found()) };
    let (key, StepRequest { version, note }) = (read_key(&headers)?, body);
    let note = note.map(|note| read_text("note", note, MAX_REASON)).transpose()?;
    let given = grants::GivenStep { grant, key, version, step, note };
    let (person, access) = (signed.person.clone(), api.access.clone());
    let taken = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &person };
        grants::take_step(tx, asker, &given, asked_now(&person))
    });
    taken.await??;
    one(&api, &signed, grant).await.map(Json)
}

/// Break the glass: a short grant alone, in an emergency, that is reviewed afterwards.
#[utoipa::path(
    post, path = "/api/v1/break-glass", operation_id = "break_glass", tag = "grants", request_body = BreakGlassRequest,
    params(("idempotency-key" = String, Header, description = "The same for each repetition of one request.")),
    responses((status = 200, body = Grant), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody))
)]
pub(super) async fn break_glass(
    State(api): State<Api>,
    signed: Signed,
    headers: HeaderMap,
    Body(body): Body<BreakGlassRequest>,
) -> Answer<Json<Grant>> {
    let (key, BreakGlassRequest { incident, reason, minutes }) = (read_key(&headers)?, body);
    let reason = read_text("reason", reason, MAX_REASON)?;
    let given = break_glass::Given { incident: IncidentId(incident), key, reason, minutes };
    given.check().map_err(grants::Rejection::from)?;
    let (person, access) = (signed.person.clone(), api.access.clone());
    let broken = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &person };
        break_glass::break_glass(tx, asker, &given, asked_now(&person))
    });
    let id = broken.await??;
    api.live.wake();
    one(&api, &signed, id).await.map(Json)
}

/// Say whether breaking the glass was right.
#[utoipa::path(
    post, path = "/api/v1/grants/{id}/review", operation_id = "review_break_glass", tag = "grants",
    request_body = ReviewRequest,
    params(("id" = Uuid, Path, description = "The grant."),
           ("idempotency-key" = String, Header, description = "The same for each repetition of one request.")),
    responses((status = 200, body = Grant), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
              (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody))
)]
pub(super) async fn review(
    State(api): State<Api>,
    signed: Signed,
    Named(path): Named<Uuid>,
    headers: HeaderMap,
    Body(body): Body<ReviewRequest>,
) -> Answer<Json<Grant>> {
    let (grant, key) = (path, read_key(&headers)?);
    let ReviewRequest { version, justified: is_justified, note } = body;
    let note = read_text("note", note, MAX_REASON)?;
    let given = break_glass::GivenReview { grant, key, version, is_justified, note };
    let (person, access) = (signed.person.clone(), api.access.clone());
    let reviewed = api.store.write(move |tx| {
        let asker = Asker { access: &access, person: &person };
        break_glass::review(tx, asker, &given, asked_now(&person))
    });
    reviewed.await??;
    one(&api, &signed, grant).await.map(Json)
}

async fn one(api: &Api, signed: &Signed, id: Uuid) -> Answer<Grant> {
    let grant = api.store.read(move |tx| grants::load(tx, id)).await?.ok_or_else(Problem::not_found)?;
    let context = asked_now(&signed.person);
    let may = may(Asker { access: &api.access, person: &signed.person }, &grant, context);
    Ok(shape(grant, may, context))
}

fn read(key: String, body: GrantRequest) -> Answer<grants::Given> {
    let Some(action) = Sealed::parse(&body.action) else {
        let known: Vec<&str> = Sealed::ALL.iter().map(|sealed| sealed.as_str()).collect();
        return Err(Problem::field("action", format!("write {}", known.join(", "))));
    };
    let optional = |field: &str, text: Option<String>| text.map(|text| read_text(field, text, MAX_REASON)).transpose();
    let terms = Terms {
        document: body.document.map(read_document).transpose()?,
        consent: optional("consent", body.consent)?,
        case: optional("case", body.case)?,
        days: body.days,
    };
    let (purpose, range) = (self::key(body.purpose), (body.from, body.until));
    let reason = read_text("reason", body.reason, MAX_REASON)?;
    let request = Request { action, purpose, reason, range, minutes: body.minutes, terms };
    Ok(grants::Given { incident: IncidentId(body.incident), key, request })
}

fn read_document(document: GrantDocument) -> Answer<Document> {
    let GrantDocument { basis, number, from, until, officers } = document;
    let officer = |GrantOfficer { unit, document }: GrantOfficer| {
        let unit = read_text("document.officers.unit", unit, MAX_REASON)?;
        Ok(Officer { unit, document: read_text("document.officers.document", document, MAX_REASON)? })
    };
    Ok(Document {
        basis: read_text("document.basis", basis, MAX_REASON)?,
        number: read_text("document.number", number, MAX_REASON)?,
        range: (from, until),
        officers: officers.into_iter().map(officer).collect::<Answer<_>>()?,
    })
}

/// A grant, when this session may see it.
fn shown(asker: Asker<'_>, grant: grants::Grant, context: Context<'_>) -> Option<Grant> {
    let me = &asker.person.account;
    let (is_own, signed) = (grant.course.requester == *me, grant.course.approvers().contains(me));
    let is_reviewer = grant.is_break_glass && allows(asker, &grant, Action::ReviewBreakGlass, context);
    let may = may(asker, &grant, context);
    (is_own || signed || is_reviewer || !may.is_empty()).then(|| shape(grant, may, context))
}

fn allows(asker: Asker<'_>, grant: &grants::Grant, action: Action, context: Context<'_>) -> bool {
    grant.allows(asker, action, Context { has_reason: true, ..context }).is_ok()
}

fn may(asker: Asker<'_>, grant: &grants::Grant, context: Context<'_>) -> Vec<String> {
    let state = grant.course.state(context.now);
    let is_pending = matches!(state, GrantState::Requested | GrantState::Approved);
    let mut may = Vec::new();
    if is_pending && allows(asker, grant, Action::ApproveGrant, context) {
        may.extend([Step::Approve.as_str(), Step::Refuse.as_str()]);
    }
    if grant.course.requester == asker.person.account && (is_pending || state == GrantState::Granted) {
        may.push(Step::Withdraw.as_str());
    }
    if grant.is_break_glass && grant.review.is_none() && allows(asker, grant, Action::ReviewBreakGlass, context) {
        may.push("review");
    }
    may.into_iter().map(str::to_owned).collect()
}

fn shape(grant: grants::Grant, may: Vec<String>, context: Context<'_>) -> Grant {
    let review_due_at = break_glass::review_due_at(&grant);
    let state = grant.course.state(context.now).as_str().to_owned();
    let expires_at = grant.course.expires_at();
    let grants::Grant { id, incident, request, course, version, is_break_glass, review, .. } = grant;
    let Terms { document, consent, case, days } = request.terms;
    let (ended_by, ended_note) = course.ended.map(|ended| (ended.by, ended.note)).unzip();
    Grant {
        id: id.to_string(),
        incident: incident.to_string(),
        action: request.action.as_str().to_owned(),
        purpose: request.purpose.as_str().to_owned(),
        reason: request.reason,
        from: request.range.0,
        until: request.range.1,
        minutes: request.minutes,
        document: document.map(shape_document),
        consent,
        case,
        days,
        requester: course.requester,
        requested_at: course.requested_at,
        version,
        state,
        supervisor: course.supervisor,
        privacy_officer: course.privacy_officer,
        granted_at: course.granted_at,
        expires_at,
        ended_by,
        ended_note: ended_note.flatten(),
        break_glass: is_break_glass,
        review_due_at,
        review: review.map(|review| GrantReview {
            by: review.by,
            at: review.at,
            justified: review.is_justified,
            note: review.note,
        }),
        may,
    }
}

fn shape_document(document: Document) -> GrantDocument {
    let Document { basis, number, range: (from, until), officers } = document;
    let officers = officers.into_iter().map(|Officer { unit, document }| GrantOfficer { unit, document }).collect();
    GrantDocument { basis, number, from, until, officers }
}
