//! A small identity provider: real codes, PKCE and signed tokens, and a lie where a test wants one.

use std::{
    collections::HashMap,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use openidconnect::{
    JsonWebKeyId, PrivateSigningKey as _,
    core::{CoreJwsSigningAlgorithm, CoreRsaPrivateSigningKey},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    Nothing,
    Nonce,
    Audience,
    Issuer,
    Ended,
    Key,
    Unsigned,
    NoToken,
}

/// The provider; it vouches for `subject-7`.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    issuer: String,
    keys: [CoreRsaPrivateSigningKey; 2],
    lie: Mutex<Lie>,
    /// Nonce and challenge of each code that was not used yet.
    codes: Mutex<HashMap<String, (String, String)>>,
}

type Params = HashMap<String, String>;

impl Provider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner { issuer, keys: [key(), key()], lie: Mutex::new(Lie::Nothing), codes: Mutex::default() };
        let provider = Self(Arc::new(inner));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(described))
            .route("/keys", get(keys))
            .route("/auth", get(authorize))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        provider
    }

    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    pub fn tell(&self, lie: Lie) {
        *self.0.lie.lock().unwrap() = lie;
    }

    fn signed(&self, nonce: &str) -> String {
        let (lie, now) = (*self.0.lie.lock().unwrap(), jiff::Timestamp::now().as_second());
        let either = |of: Lie, wrong: &str, right: &str| if lie == of { wrong } else { right }.to_owned();
        let claims = json!({
            "iss": either(Lie::Issuer, "https://other.example", &self.0.issuer),
            "sub": "subject-7",
            "aud": either(Lie::Audience, "another", "xueliang"),
            "nonce": either(Lie::Nonce, "another", nonce),
            "iat": now - 600,
            "exp": if lie == Lie::Ended { now - 300 } else { now + 300 },
        });
        let head = json!({ "alg": either(Lie::Unsigned, "none", "RS256"), "kid": "k" });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let key = &self.0.keys[usize::from(lie == Lie::Key)];
        let signature = key.sign(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, signed.as_bytes()).unwrap();
        let signature = if lie == Lie::Unsigned { Vec::new() } else { signature };
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn key() -> CoreRsaPrivateSigningKey {
    let made = Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output().unwrap();
    let pem = String::from_utf8(made.stdout).unwrap();
    CoreRsaPrivateSigningKey::from_pem(&pem, Some(JsonWebKeyId::new("k".to_owned()))).unwrap()
}

async fn described(State(Provider(inner)): State<Provider>) -> Json<Value> {
    let issuer = &inner.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn keys(State(Provider(inner)): State<Provider>) -> Json<Value> {
    Json(json!({ "keys": [inner.keys[0].as_verification_key()] }))
}

/// Everybody is let in at once.
async fn authorize(State(Provider(inner)): State<Provider>, Query(asked): Query<Params>) -> Response {
    let of = |name: &str| asked[name].clone();
    assert_eq!((of("response_type"), of("client_id")), ("code".to_owned(), "xueliang".to_owned()));
    assert_eq!((of("code_challenge_method"), of("scope")), ("S256".to_owned(), "openid".to_owned()));
    let code = uuid::Uuid::new_v4().to_string();
    inner.codes.lock().unwrap().insert(code.clone(), (of("nonce"), of("code_challenge")));
    let to = format!("{}?code={code}&state={}", of("redirect_uri"), of("state"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, body: String) -> Response {
    let asked: Params = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let basic = format!("Basic {}", BASE64_STANDARD.encode("xueliang:hidden"));
    let found = provider.0.codes.lock().unwrap().remove(&asked["code"]);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"]));
    let nonce = found.filter(|(_, expected)| *expected == challenge && headers[header::AUTHORIZATION] == basic);
    let Some((nonce, _)) = nonce else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    };
    let mut answer = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60 });
    if *provider.0.lie.lock().unwrap() != Lie::NoToken {
        answer["id_token"] = provider.signed(&nonce).into();
    }
    Json(answer).into_response()
}
