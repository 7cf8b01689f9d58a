//! Sign-in with the city's own identity provider (OpenID Connect): it says who somebody is, and nothing more.
//!
//! In: settings, then what a browser brings back from the provider. Out: where to send the browser, and the subject that the
//! provider vouches for. Invariants: authorization code with PKCE, and no other flow; state, nonce and verifier stay in the
//! browser's own cookie for ten minutes; only allowed endpoints are spoken to, also where the provider names others (RULES
//! P26). Roles stay here: a subject without an account is nobody.

use std::{
    error::Error as StdError,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, TokenResponse as _,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use url::Url;
use xueliang_settings::{AllowedEndpoints, Reader};

use crate::{
    notify::way::endpoint_of,
    secret::{Secret, required_secret},
};

/// Where the provider sends browsers back to, below the public URL.
pub const CALLBACK: &str = "/sign-in/oidc/callback";
/// How long what the provider says of itself is believed.
const KNOWN_FOR: Duration = Duration::from_secs(300);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 1024 * 1024;
const MAX_PATH: usize = 200;

/// Who vouches for people.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// The provider's issuer.
    pub issuer: String,
    client_id: String,
    client_secret: Secret,
    redirect: String,
    allowed: AllowedEndpoints,
}

impl OidcSettings {
    /// Reads `[alerting.oidc]`; `None` means that a mistake was reported.
    pub fn read(section: &mut Reader<'_>, allowed: AllowedEndpoints, public_url: Option<String>) -> Option<Self> {
        let issuer: Option<String> = section.required("issuer");
        let client_id = section.required("client_id");
        let client_secret = required_secret(section, ["client_secret_file", "client_secret_env"]);
        let issuer = issuer?;
        let url = Url::parse(&issuer).ok().filter(is_protected);
        let endpoint = url.as_ref().and_then(endpoint_of);
        match endpoint {
            Some(endpoint) => allowed.check(section, "issuer", &endpoint),
            None => {
                let cure = "write https://… as the provider does; plain http only to this machine itself";
                section.refuse("issuer", format!("{issuer:?} is no protected address"), cure);
                return None;
            }
        }
        let Some(public_url) = public_url else {
            let cure = "add public_url = \"https://…\" under [alerting]: the provider sends people back there";
            section.refuse("issuer", "needs public_url", cure);
            return None;
        };
        let redirect = format!("{public_url}{CALLBACK}");
        Some(Self { issuer, client_id: client_id?, client_secret: client_secret?, redirect, allowed })
    }
}

/// Why nobody was vouched for.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It is not there.
    #[error("the identity provider can't be asked")]
    Away(#[source] Box<dyn StdError + Send + Sync>),
    /// What it said does not hold.
    #[error("what the identity provider said does not hold")]
    Invalid(#[source] Box<dyn StdError + Send + Sync>),
    /// Another browser, another tab, or too late.
    #[error("this sign-in was not begun here, or too long ago; begin again")]
    NotBegun,
}

/// What the browser keeps until it comes back.
#[derive(Debug, Serialize, Deserialize)]
pub struct Begun {
    state: String,
    nonce: String,
    verifier: String,
    /// Where on our own pages to go afterwards.
    pub to: String,
}

/// The provider; cheap to clone.
#[derive(Clone)]
pub struct Oidc(Arc<Inner>);

struct Inner {
    settings: OidcSettings,
    http: reqwest::Client,
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oidc({})", self.0.settings.issuer)
    }
}

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

impl Oidc {
    /// The provider of these settings; nobody is asked yet.
    pub fn new(settings: OidcSettings) -> Result<Self, reqwest::Error> {
        // A redirect would lead past the list of allowed endpoints.
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).redirect(reqwest::redirect::Policy::none());
        Ok(Self(Arc::new(Inner { settings, http: http.build()?, known: Mutex::new(None) })))
    }

    /// The provider's issuer.
    pub fn issuer(&self) -> &str {
        &self.0.settings.issuer
    }

    /// Begins: where the browser goes, and what it keeps.
    pub async fn begin(&self, to: &str) -> Result<(Url, Begun), OidcError> {
        let client = self.client().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let asked =
            client.authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random);
        let (url, state, nonce) = asked.set_pkce_challenge(challenge).url();
        let begun = Begun {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            to: own_path(to).to_owned(),
        };
        Ok((url, begun))
    }

    /// The subject that the provider vouches for, when this browser began and the code is good.
    pub async fn finish(&self, begun: Begun, (code, state): (String, String)) -> Result<String, OidcError> {
        if !crate::accounts::same_secret(&begun.state, &state) {
            return Err(OidcError::NotBegun);
        }
        let client = self.client().await?;
        let inner = Arc::clone(&self.0);
        let http = move |request: HttpRequest| call(Arc::clone(&inner), request);
        let exchange = client.exchange_code(AuthorizationCode::new(code)).map_err(invalid)?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(begun.verifier));
        let answer = exchange.request_async(&http).await.map_err(invalid)?;
        let token = answer.id_token().ok_or_else(|| invalid(CallError::NoToken))?;
        // RS256, which every provider has (OpenID Connect Core, 15.1); audience, issuer, end and nonce are checked with it.
        let claims = token.claims(&client.id_token_verifier(), &Nonce::new(begun.nonce)).map_err(invalid)?;
        Ok(claims.subject().to_string())
    }

    async fn client(&self) -> Result<Client, OidcError> {
        let OidcSettings { client_id, client_secret, redirect, .. } = &self.0.settings;
        let secret = Some(ClientSecret::new(client_secret.reveal().to_owned()));
        let client =
            CoreClient::from_provider_metadata(self.metadata().await?, ClientId::new(client_id.clone()), secret);
        Ok(client.set_redirect_uri(RedirectUrl::new(redirect.clone()).map_err(invalid)?))
    }

    async fn metadata(&self) -> Result<CoreProviderMetadata, OidcError> {
        if let Some((since, known)) = &*self.0.known.lock()
            && since.elapsed() < KNOWN_FOR
        {
            return Ok(known.clone());
        }
        let issuer = IssuerUrl::new(self.0.settings.issuer.clone()).map_err(invalid)?;
        let inner = Arc::clone(&self.0);
        let http = move |request: HttpRequest| call(Arc::clone(&inner), request);
        let found = CoreProviderMetadata::discover_async(issuer, &http).await;
        let found = found.map_err(|error| OidcError::Away(Box::new(error)))?;
        *self.0.known.lock() = Some((Instant::now(), found.clone()));
        Ok(found)
    }
}

fn invalid(error: impl StdError + Send + Sync + 'static) -> OidcError {
    OidcError::Invalid(Box::new(error))
}

/// Why the provider was not asked.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("{0} is no allowed endpoint")]
    NotAllowed(String),
    #[error("the answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    #[error("there is no id token in the answer")]
    NoToken,
    #[error("no answer")]
    Http(#[from] reqwest::Error),
    #[error("the request can't be made")]
    Request(#[from] openidconnect::http::Error),
}

async fn call(inner: Arc<Inner>, request: HttpRequest) -> Result<HttpResponse, CallError> {
    let (parts, body) = request.into_parts();
    let url = allowed(&inner.settings.allowed, &parts.uri)?;
    let mut answer = inner.http.request(parts.method, url).headers(parts.headers).body(body).send().await?;
    let mut response = openidconnect::http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(CallError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(response.body(bytes)?)
}

/// The address, when it may be spoken to.
fn allowed(allowed: &AllowedEndpoints, uri: &openidconnect::http::Uri) -> Result<Url, CallError> {
    let is_allowed = |url: &Url| endpoint_of(url).is_some_and(|endpoint| allowed.allows(&endpoint));
    let url = Url::parse(&uri.to_string()).ok().filter(is_protected).filter(is_allowed);
    url.ok_or_else(|| CallError::NotAllowed(uri.authority().map(ToString::to_string).unwrap_or_default()))
}

/// Encrypted, or within this machine.
fn is_protected(url: &Url) -> bool {
    let is_here = endpoint_of(url).is_some_and(|endpoint| endpoint.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// A path of our own pages, or their beginning: nobody is sent elsewhere.
fn own_path(path: &str) -> &str {
    let is_own = path.starts_with('/') && !path.starts_with("//") && path.len() <= MAX_PATH;
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own && is_plain { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_sent_to_our_own_pages_only() {
        let check = |path: &str, expected: &str| assert_eq!(own_path(path), expected, "{path}");
        check("/incidents/1?tab=events#top", "/incidents/1?tab=events#top");
        for elsewhere in [
            "",
            "incidents",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/\t/evil.example",
        ] {
            check(elsewhere, "/");
        }
        check(&format!("/{}", "a".repeat(200)), "/");
    }

    #[test]
    fn p26_plain_http_is_for_this_machine_alone() {
        let check = |url: &str, expected: bool| assert_eq!(is_protected(&Url::parse(url).unwrap()), expected, "{url}");
        check("https://id.example/realm", true);
        check("http://[::1]:5556/dex", true);
        check("http://id.example/realm", false);
        check("ftp://[::1]/", false);
    }
}
