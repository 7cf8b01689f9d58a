//! Signing in and out.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use super::{
    Api,
    client::Client,
    person::{COOKIE, Signed},
    problem::{Answer, Problem},
    shapes::{Credentials, ProblemBody, RoleGrant, Session},
    taken::Body,
};
use crate::{access::Person, accounts::SESSION_FOR};

/// Sign in.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "sign_in", tag = "session", request_body = Credentials,
    responses((status = 200, body = Session), (status = 401, body = ProblemBody), (status = 429, body = ProblemBody))
)]
pub(super) async fn sign_in(
    State(api): State<Api>,
    Client(client): Client,
    Body(credentials): Body<Credentials>,
) -> Answer<impl IntoResponse> {
    let Credentials { account, password } = credentials;
    for (field, text, most) in [("account", &account, 64), ("password", &password, 256)] {
        if text.chars().count() > most || text.chars().any(char::is_control) {
            return Err(Problem::field(
                field,
                format!("has at most {most} characters, none of them a control character"),
            ));
        }
    }
    let begun = api.accounts.sign_in(&account, password, client).await?;
    tracing::info!(account, "signed in");
    let cookie = cookie(&begun.token, SESSION_FOR.as_secs(), api.is_encrypted());
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
    api.accounts.sign_out(&signed.session, &signed.person).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie("", 0, api.is_encrypted()))]))
}

pub(super) fn cookie(token: &str, max_age_s: u64, is_encrypted: bool) -> String {
    let secure = if is_encrypted { "; Secure" } else { "" };
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
