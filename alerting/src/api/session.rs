//! Signing in and out.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use jiff::Timestamp;

use super::{
    Api,
    person::{COOKIE, Signed},
    problem::{Answer, Problem},
    shapes::{Credentials, ProblemBody, RoleGrant, Session},
    taken::Body,
};
use crate::{
    access::Person,
    accounts::{AccountError, SESSION_FOR},
    audit::Decision,
    store::{
        audit::{self, Asked},
        people,
    },
};

/// Sign in.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "sign_in", tag = "session", request_body = Credentials,
    responses((status = 200, body = Session), (status = 401, body = ProblemBody), (status = 429, body = ProblemBody))
)]
pub(super) async fn sign_in(State(api): State<Api>, Body(credentials): Body<Credentials>) -> Answer<impl IntoResponse> {
    let Credentials { account, password } = credentials;
    if account.len() > 64 || password.len() > 256 {
        return Err(Problem::field("password", "account or password is too long"));
    }
    let begun = match api.accounts.sign_in(&account, password).await {
        Ok(begun) => begun,
        Err(error) => {
            if matches!(error, AccountError::Wrong) {
                note(&api, &account, "sign_in", Decision::Deny).await?;
            }
            return Err(error.into());
        }
    };
    note(&api, &account, "sign_in", Decision::Permit).await?;
    tracing::info!(account, "signed in");
    let cookie = cookie(&begun.token, SESSION_FOR.as_secs(), api.behind_tls);
    Ok(([(header::SET_COOKIE, cookie)], Json(shape(begun.person, begun.session.csrf_token))))
}

/// Who is signed in.
#[utoipa::path(
    get, path = "/api/v1/session", operation_id = "current_session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = ProblemBody))
)]
pub(super) async fn current(signed: Signed) -> Json<Session> {
    Json(shape(signed.person, signed.session.csrf_token))
}

/// Sign out.
#[utoipa::path(
    delete, path = "/api/v1/session", operation_id = "sign_out", tag = "session",
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(super) async fn sign_out(State(api): State<Api>, signed: Signed) -> Answer<impl IntoResponse> {
    api.accounts.sign_out(&signed.session).await?;
    note(&api, &signed.person.account, "sign_out", Decision::Permit).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie("", 0, api.behind_tls))]))
}

/// Registers what an account did; a name that is no account's is not kept, for anybody could write anything.
async fn note(api: &Api, account: &str, action: &'static str, decision: Decision) -> Answer<()> {
    let (account, access) = (account.to_owned(), api.access.clone());
    let noted = api.store.write(move |tx| {
        let Some(person) = people::load(tx, &account)? else { return Ok(()) };
        let (at, resource) = (Timestamp::now(), "session");
        let asked = Asked { person: &person, at, purpose: None, reason: None, action, resource };
        audit::note(tx, &access, asked, decision)
    });
    Ok(noted.await?)
}

fn cookie(token: &str, max_age_s: u64, behind_tls: bool) -> String {
    let secure = if behind_tls { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}")
}

fn shape(person: Person, csrf_token: String) -> Session {
    let Person { account, display_name, assignments, .. } = person;
    let grants = assignments.into_iter().map(|assignment| RoleGrant {
        role: assignment.role.as_str().to_owned(),
        region: assignment.region,
        valid_until: assignment.valid_until,
    });
    Session { account, display_name, roles: grants.collect(), csrf_token, language: None }
}
