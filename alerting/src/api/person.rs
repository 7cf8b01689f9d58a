//! Who is asking: the session behind the cookie, and the proof that a changing request comes from our own pages.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};

use jiff::Timestamp;

use super::{Api, problem::Problem};
use crate::{
    access::{Context, Person, TRAINING_NOT_RECORDED},
    accounts::same_secret,
    store::people::Session,
};

pub(super) const COOKIE: &str = "xueliang_session";
const CSRF_HEADER: &str = "x-csrf-token";

/// Somebody signed in.
pub(super) struct Signed {
    pub person: Person,
    pub session: Session,
}

impl FromRequestParts<Api> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = cookie(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let (session, person) = api.accounts.whose(token).await?.ok_or_else(Problem::unauthorized)?;
        if parts.method != Method::GET && parts.method != Method::HEAD {
            let given = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !same_secret(given, &session.csrf_token) {
                return Err(Problem::forbidden("the header x-csrf-token is missing or not this session's"));
            }
        }
        Ok(Self { person, session })
    }
}

/// What is known of a request by somebody signed in: the time, and no more.
pub(super) fn asked_now() -> Context<'static> {
    Context::new(Timestamp::now(), TRAINING_NOT_RECORDED)
}

pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}
