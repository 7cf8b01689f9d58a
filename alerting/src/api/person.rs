//! Who is asking: the session behind the cookie, and the proof that a changing request comes from our own pages.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};

use jiff::Timestamp;

use super::{Api, problem::Problem};
use crate::{
    access::{Context, Denied, Person},
    accounts::{Presence, same_secret},
    store::people::Session,
};

pub(super) const COOKIE: &str = "xueliang_session";
/// The policy that asks for training.
pub(super) const UNTRAINED: &str = "P20-training";
const CSRF_HEADER: &str = "x-csrf-token";

/// Somebody signed in.
pub(super) struct Signed {
    pub person: Person,
    pub session: Session,
}

impl FromRequestParts<Api> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Self::here(parts, api, Presence::Active).await
    }
}

impl Signed {
    async fn here(parts: &Parts, api: &Api, presence: Presence) -> Result<Self, Problem> {
        let token = cookie(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let whose = api.accounts.whose(token, presence).await?;
        let (session, person) = whose.ok_or_else(Problem::unauthorized)?;
        if parts.method != Method::GET && parts.method != Method::HEAD {
            let given = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !same_secret(given, &session.csrf_token) {
                return Err(Problem::forbidden("the header x-csrf-token is missing or not this session's"));
            }
        }
        Ok(Self { person, session })
    }
}

/// Somebody signed in whose page follows by itself, which keeps no session alive.
pub(super) struct Following(pub Signed);

impl FromRequestParts<Api> for Following {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Signed::here(parts, api, Presence::Following).await.map(Self)
    }
}

/// What is known of a request by somebody signed in: the time, and until when they are trained.
pub(super) fn asked_now(person: &Person) -> Context<'static> {
    Context::new(Timestamp::now(), person.training_valid_until)
}

/// Why nothing is in somebody's scope: no role permits it, or none does without a valid training record (RULES P20).
pub(super) fn nothing_in_scope(person: &Person) -> Denied {
    let is_trained = person.training_valid_until.is_some_and(|until| Timestamp::now() < until);
    if is_trained || person.is_service() {
        return Denied::NotPermitted;
    }
    Denied::Forbidden(vec![UNTRAINED.to_owned()])
}

pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}
