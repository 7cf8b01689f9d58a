//! Who is asking: the session behind the cookie, and the proof that a changing request comes from our own pages.

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{HeaderMap, Method, header, request::Parts},
};

use jiff::Timestamp;

use super::{Api, problem::Problem};
use crate::{
    access::{Context, Denied, Person},
    accounts::{Presence, same_secret, tokens::Wanted},
    store::people::Session,
};

pub(super) const COOKIE: &str = "xueliang_session";
/// The policy that asks for training.
pub(super) const UNTRAINED: &str = "P20-training";
/// So much of a path is registered.
const MAX_PATH: usize = 200;
const CSRF_HEADER: &str = "x-csrf-token";
/// What a page asks for by itself says so, with the value 1: that keeps no session alive.
const BACKGROUND_HEADER: &str = "x-xueliang-background";

/// Somebody signed in.
pub(super) struct Signed {
    pub person: Person,
    pub session: Session,
}

impl FromRequestParts<Api> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Self::no_machine(parts, api, presence(parts)).await
    }
}

/// Somebody signed in, whose page shows a picture. Pages fetch pictures by themselves, and an `<img>` can't say that it does, so
/// they keep no session alive: what they belong to was asked for first.
pub(super) struct Viewer {
    pub person: Person,
}

impl FromRequestParts<Api> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Signed { person, .. } = Signed::no_machine(parts, api, Presence::Following).await?;
        Ok(Self { person })
    }
}

/// Somebody signed in, or a machine with its token: for the routes that machines have.
pub(super) struct Caller {
    pub person: Person,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let person = match bearer(&parts.headers) {
            Some(token) => machine(parts, api, token, true).await?,
            None => Signed::here(parts, api, presence(parts)).await?.person,
        };
        Ok(Self { person })
    }
}

/// Whether a person caused this request, as far as the page says.
fn presence(parts: &Parts) -> Presence {
    let by_itself = parts.headers.get(BACKGROUND_HEADER).is_some_and(|value| value == "1");
    if by_itself && parts.method == Method::GET { Presence::Following } else { Presence::Active }
}

impl Signed {
    async fn no_machine(parts: &Parts, api: &Api, presence: Presence) -> Result<Self, Problem> {
        if let Some(token) = bearer(&parts.headers) {
            // No route of people's is a machine's; that one tried is registered.
            machine(parts, api, token, false).await?;
            return Err(Problem::unauthorized());
        }
        Self::here(parts, api, presence).await
    }

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

/// What a follower has shown of itself, to be asked again later.
pub(super) enum Proof {
    Session(String),
    Machine(String),
}

/// Somebody whose page follows by itself, which keeps no session alive, or a machine that does.
pub(super) struct Follower {
    pub person: Person,
    proof: Proof,
}

impl FromRequestParts<Api> for Follower {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if let Some(token) = bearer(&parts.headers) {
            let person = machine(parts, api, token, true).await?;
            return Ok(Self { person, proof: Proof::Machine(token.to_owned()) });
        }
        let person = Signed::here(parts, api, Presence::Following).await?.person;
        let token = cookie(&parts.headers).ok_or_else(Problem::unauthorized)?;
        Ok(Self { person, proof: Proof::Session(token.to_owned()) })
    }
}

impl Follower {
    /// Asks again who this is; false when the session or the token has ended. A store that is away ends nothing.
    pub async fn is_still_there(&mut self, api: &Api) -> bool {
        let found = match &self.proof {
            Proof::Session(token) => {
                let whose = api.accounts.whose(token, Presence::Following).await;
                whose.ok().map(|found| found.map(|(_, person)| person))
            }
            Proof::Machine(token) => api.accounts.still_machine(token).await.ok(),
        };
        match found {
            Some(Some(person)) => self.person = person,
            Some(None) => return false,
            None => {}
        }
        true
    }
}

/// Lets a machine in, when the route is one of its purpose's.
async fn machine(parts: &Parts, api: &Api, token: &str, is_open: bool) -> Result<Person, Problem> {
    let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let path: String = parts.uri.path().chars().take(MAX_PATH).collect();
    let request = format!("{} {path}", parts.method);
    let is_open = is_open && parts.method == Method::GET;
    Ok(api.accounts.machine(token, Wanted { route, request: &request, is_open }).await?)
}

/// The token of a machine. Other schemes are a proxy's own affair.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What is known of a request by somebody signed in: the time, and until when they are trained.
pub(super) fn asked_now(person: &Person) -> Context<'static> {
    Context::new(Timestamp::now(), person.training_valid_until)
}

/// Refuses whoever has no valid training record or no assignment in force: not even of what is one's own is anything shown.
pub(super) fn check_in_force(person: &Person) -> Result<(), Denied> {
    let now = Timestamp::now();
    let holds = |until: Option<Timestamp>| until.is_none_or(|until| now < until);
    let is_assigned = person.assignments.iter().any(|assignment| holds(assignment.valid_until));
    if person.is_service() || is_assigned && is_trained(person, now) { Ok(()) } else { Err(nothing_in_scope(person)) }
}

/// Why nothing is in somebody's scope: no role permits it, or none does without a valid training record (RULES P20).
pub(super) fn nothing_in_scope(person: &Person) -> Denied {
    if is_trained(person, Timestamp::now()) || person.is_service() {
        return Denied::NotPermitted;
    }
    Denied::Forbidden(vec![UNTRAINED.to_owned()])
}

fn is_trained(person: &Person, now: Timestamp) -> bool {
    person.training_valid_until.is_some_and(|until| now < until)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    cookie_of(headers, COOKIE)
}

/// The value of a cookie.
pub(super) fn cookie_of<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == wanted).then_some(value)
    })
}
