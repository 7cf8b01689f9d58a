//! Machines with tokens: one purpose each, and nothing else.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use xueliang_alerting::accounts::{
    administration::{Administration, AdministrationError},
    tokens::{TokenPurpose, TokenTerms},
};

use crate::{Box, Site, on_both};

on_both!(
    a_token_does_its_one_thing_and_nothing_else_over_all_routes,
    a_token_sees_its_region_only_and_ends,
    a_token_that_asks_too_often_waits,
    p30_no_token_is_made_without_its_assessment,
);

async fn administration(site: &Site) -> Administration {
    Administration::open(&site.settings(""), "local:tester", None).await.unwrap()
}

fn terms(purpose: TokenPurpose, region: &str, assessment: &str) -> TokenTerms {
    TokenTerms { purpose, region: region.to_owned(), assessment: assessment.to_owned(), days: 1 }
}

async fn token(site: &Site, name: &str, purpose: TokenPurpose, region: &str) -> String {
    administration(site).await.add_token(name.to_owned(), terms(purpose, region, "PIA-3")).await.unwrap()
}

fn request(alerting: &Box, method: &Method, path: &str, token: &str) -> RequestBuilder {
    Client::new().request(method.clone(), format!("{}{path}", alerting.address)).bearer_auth(token)
}

/// Every operation of the API, and what is served beside it: method and path's pattern.
fn operations() -> Vec<(Method, String)> {
    let description = serde_json::to_value(xueliang_alerting::api::document()).unwrap();
    let paths = description["paths"].as_object().unwrap().iter();
    let each = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase().parse().unwrap(), path.clone())).collect::<Vec<_>>()
    });
    let beside = ["/metrics", "/openapi.json"].map(|path| (Method::GET, path.to_owned()));
    each.chain(beside).collect()
}

async fn a_token_does_its_one_thing_and_nothing_else_over_all_routes(site: &Site) {
    let alerting = Box::start(site).await;
    for purpose in TokenPurpose::ALL {
        let name = purpose.as_str().replace('_', "-");
        let token = token(site, &name, *purpose, "340203").await;
        let mut n_served = 0;
        let mut expected = Vec::new();
        for (method, pattern) in operations() {
            if (&method, pattern.as_str()) == (&Method::POST, "/api/v1/session") {
                continue;
            }
            let path = pattern
                .replace("{id}", &uuid::Uuid::nil().to_string())
                .replace("{sha256}", &"0".repeat(64))
                .replace("{step}", "approve")
                .replace("{rule}", "crowd")
                .replace("{period}", "2026-W40")
                .split('{')
                .next()
                .unwrap()
                .to_owned();
            let query = if pattern.contains("snapshots") { "?purpose=incident_handling&reason=look" } else { "" };
            let answer = request(&alerting, &method, &format!("{path}{query}"), &token).send().await.unwrap();
            assert!(!answer.headers().contains_key("set-cookie"), "{method} {path}");
            let is_served = method == Method::GET && purpose.routes().contains(&pattern.as_str());
            let status = answer.status();
            if is_served {
                n_served += 1;
                // There is no incident yet; that it was looked for is enough.
                assert!(
                    status == StatusCode::OK || (pattern.contains("{id}") && status == StatusCode::NOT_FOUND),
                    "{path}"
                );
            } else {
                assert_eq!(status, StatusCode::FORBIDDEN, "{purpose:?} {method} {path}");
            }
            let action = if *purpose == TokenPurpose::ReadIncidents { "read_incident" } else { "read_devices" };
            let decision = if is_served { "permit" } else { "deny" };
            expected.push(format!("token:{name} {action} {method} {path} {decision}"));
        }
        assert_eq!(n_served, purpose.routes().len(), "a route of {purpose:?} is none of the API's");
        let audit = site.audit().await;
        let prefix = format!("token:{name} ");
        let registered: Vec<&String> = audit.iter().filter(|row| row.starts_with(&prefix)).collect();
        assert_eq!(registered, expected.iter().collect::<Vec<_>>(), "each use is registered");
        // It is no account, and no password either.
        let http = Client::new();
        for account in [name.as_str(), &format!("token:{name}")] {
            assert_eq!(alerting.try_sign_in(&http, account, &token).await.status(), StatusCode::UNAUTHORIZED);
        }
    }
    let wrong = request(&alerting, &Method::GET, "/api/v1/incidents", "xueliang_wrong").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    alerting.stop().await;
}

async fn p30_no_token_is_made_without_its_assessment(site: &Site) {
    let (alerting, admin) = (Box::start(site).await, administration(site).await);
    for purpose in TokenPurpose::ALL {
        for absent in ["", " ", "\n"] {
            let made = admin.add_token("platform".to_owned(), terms(*purpose, "3402", absent)).await;
            assert!(matches!(made, Err(AdministrationError::Text(_))), "{purpose:?} {absent:?}: {made:?}");
        }
    }
    assert_eq!(admin.tokens().await.unwrap(), []);
    token(site, "platform", TokenPurpose::ReadDevices, "3402").await;
    assert_eq!(admin.tokens().await.unwrap()[0].assessment, "PIA-3");
    alerting.stop().await;
}

async fn a_token_sees_its_region_only_and_ends(site: &Site) {
    let alerting = Box::start(site).await;
    site.change(
        "INSERT INTO device (id, kind, state, since, last_seen, region, revision)
             VALUES ('here', 'camera', 'live', 1, 2, '340203001', 1), ('there', 'camera', 'live', 1, 2, '340203002', 2)",
    )
    .await;
    let token = token(site, "platform", TokenPurpose::ReadDevices, "340203001").await;
    assert!(token.starts_with("xueliang_") && token.len() > 50, "{token}");
    let get = || request(&alerting, &Method::GET, "/api/v1/devices", &token).send();
    let seen: Value = get().await.unwrap().json().await.unwrap();
    let seen: Vec<&str> = seen["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(seen, ["here"]);

    let admin = administration(site).await;
    let again = admin.add_token("platform".to_owned(), terms(TokenPurpose::ReadDevices, "3402", "PIA-3")).await;
    assert!(matches!(again, Err(AdministrationError::Taken(_))), "{again:?}");
    let tokens = admin.tokens().await.unwrap();
    assert!(tokens[0].used_at.is_some() && !format!("{tokens:?}").contains(&token), "{tokens:?}");
    site.change("UPDATE machine_token SET expires_at = 1").await;
    assert_eq!(get().await.unwrap().status(), StatusCode::UNAUTHORIZED, "ended");
    site.change("UPDATE machine_token SET expires_at = 4102444800000000").await;
    assert_eq!(get().await.unwrap().status(), StatusCode::OK);
    admin.revoke_token("platform".to_owned()).await.unwrap();
    assert_eq!(get().await.unwrap().status(), StatusCode::UNAUTHORIZED, "revoked");
    let again = admin.revoke_token("platform".to_owned()).await;
    assert!(matches!(again, Err(AdministrationError::UnknownToken(_))), "{again:?}");
    let audit = site.audit().await;
    for row in ["add_token token/platform/read_devices@340203001", "revoke_token token/platform"] {
        assert!(audit.contains(&format!("local:tester {row} permit")), "{audit:#?}");
    }
    let kept =
        |tx: &xueliang_alerting::store::Tx<'_>| tx.value::<String>("SELECT token_sha256 FROM machine_token", &[]);
    let kept = site.on_store(xueliang_alerting::store::connection::Kind::Read, kept).await;
    use sha2::Digest as _;
    assert_eq!(kept, hex::encode(sha2::Sha256::digest(&token)), "only the digest is kept");
    alerting.stop().await;
}

async fn a_token_that_asks_too_often_waits(site: &Site) {
    let alerting = Box::start(site).await;
    let token = token(site, "hasty", TokenPurpose::ReadDevices, "340203").await;
    let http = Client::new();
    let get = || http.get(format!("{}/api/v1/devices", alerting.address)).bearer_auth(&token).send();
    for nth in 1..=120 {
        assert_eq!(get().await.unwrap().status(), StatusCode::OK, "{nth}");
    }
    let refused = get().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    alerting.stop().await;
}
