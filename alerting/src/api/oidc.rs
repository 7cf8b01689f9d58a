//! Sign-in by the identity provider: the browser goes there and comes back. Pages, not API: they answer by sending on.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{
    Api,
    client::Client,
    person::cookie_of,
    problem::{Answer, Problem},
    session,
    taken::Query,
};
use crate::{
    accounts::{AccountError, SESSION_FOR},
    error_chain,
    oidc::{Begun, CALLBACK, Oidc, OidcError},
};

const COOKIE: &str = "xueliang_oidc";
const PATH: &str = "/sign-in/oidc";
/// How long somebody may take at the provider.
const BEGUN_FOR_S: u64 = 600;
const MAX_CODE: usize = 4096;

pub(super) fn routes() -> Router<Api> {
    Router::new().route(PATH, get(begin)).route(CALLBACK, get(finish))
}

#[derive(Deserialize)]
struct BeginQuery {
    #[serde(default)]
    to: String,
}

/// Sends the browser to the provider.
async fn begin(State(api): State<Api>, Query(BeginQuery { to }): Query<BeginQuery>) -> Answer<Response> {
    let (url, begun) = provider(&api)?.begin(&to).await?;
    let kept = serde_json::to_vec(&begun).map_err(|_| Problem::unavailable("sign-in can't begin"))?;
    let kept = keep(&BASE64_URL_SAFE_NO_PAD.encode(kept), BEGUN_FOR_S, api.is_encrypted());
    let headers = [(header::LOCATION, url.to_string()), (header::SET_COOKIE, kept)];
    Ok((StatusCode::SEE_OTHER, headers, [(header::CACHE_CONTROL, "no-store")]).into_response())
}

#[derive(Deserialize)]
struct FinishQuery {
    code: Option<String>,
    state: Option<String>,
}

/// Takes the browser back from the provider, signed in.
async fn finish(
    State(api): State<Api>,
    Client(client): Client,
    headers: HeaderMap,
    Query(FinishQuery { code, state }): Query<FinishQuery>,
) -> Answer<Response> {
    let oidc = provider(&api)?;
    let (Some(code), Some(state)) = (code.filter(|code| code.len() <= MAX_CODE), state) else {
        return Err(Problem::signed_out("the identity provider did not let you in"));
    };
    let begun = cookie_of(&headers, COOKIE).and_then(read).ok_or(OidcError::NotBegun)?;
    let to = begun.to.clone();
    api.accounts.check_client(client)?;
    let subject = oidc.finish(begun, (code, state)).await?;
    let begun = match api.accounts.sign_in_subject((oidc.issuer().to_owned(), subject.clone()), client).await {
        Err(AccountError::Wrong) => {
            let known: String = subject.chars().filter(|char| !char.is_control()).take(100).collect();
            let detail = format!("no account is linked to {known:?}, as the provider knows you; ask an administrator");
            return Err(Problem::signed_out(&detail));
        }
        begun => begun?,
    };
    let is_encrypted = api.is_encrypted();
    let cookies = AppendHeaders([
        (header::SET_COOKIE, session::cookie(&begun.token, SESSION_FOR.as_secs(), is_encrypted)),
        (header::SET_COOKIE, keep("", 0, is_encrypted)),
    ]);
    let sent_on = [(header::LOCATION, to), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::SEE_OTHER, cookies, sent_on).into_response())
}

fn provider(api: &Api) -> Answer<&Oidc> {
    api.oidc.as_ref().ok_or_else(Problem::not_found)
}

/// Lax, for the browser comes back from another site.
fn keep(value: &str, max_age_s: u64, is_encrypted: bool) -> String {
    let secure = if is_encrypted { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path={PATH}; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}")
}

fn read(value: &str) -> Option<Begun> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(value).ok()?).ok()
}

impl From<OidcError> for Problem {
    fn from(error: OidcError) -> Self {
        match &error {
            OidcError::Away(_) => {
                tracing::error!(error = error_chain(&error), "the identity provider can't be asked");
                Self::unavailable("the identity provider does not answer; try again")
            }
            OidcError::Invalid(_) => {
                tracing::warn!(error = error_chain(&error), "sign-in by the identity provider failed");
                Self::signed_out(&error.to_string())
            }
            OidcError::NotBegun => Self::signed_out(&error.to_string()),
        }
    }
}
