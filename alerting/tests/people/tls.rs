//! TLS on the listener itself, with a real client.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client, StatusCode};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use xueliang_alerting::AlertingSettings;

use crate::{Box, Site};

const SETTINGS: &str = "[alerting.tls]\ncert_file = \"console.pem\"\nkey_file = \"console.key\"";

/// Puts a new certificate beside the settings; gives it as PEM.
fn put_certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.join("console.key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("console.pem"), made.cert.pem()).unwrap();
    made.cert.pem()
}

/// A client that trusts this certificate and no other.
fn trusting(pem: &str) -> Client {
    let builder = Client::builder().tls_built_in_root_certs(false).cookie_store(true);
    builder.add_root_certificate(Certificate::from_pem(pem.as_bytes()).unwrap()).build().unwrap()
}

#[tokio::test]
async fn people_sign_in_over_tls_and_browsers_are_told_to_stay_there() {
    let site = Site::file();
    let http = trusting(&put_certificate(site.path()));
    let alerting = Box::with(&site, SETTINGS).await;
    let address = alerting.address.strip_prefix("https://").unwrap();
    // Whoever connects and says nothing keeps nobody waiting.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let request = http.post(format!("{}/api/v1/session", alerting.address));
    let body = json!({ "account": "operator", "password": site.first_password("operator") });
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("; Secure") && cookie.contains("; HttpOnly"), "{cookie}");
    assert_eq!(alerting.get(&http, "/api/v1/incidents").await, StatusCode::OK);
    assert!(Client::new().get(format!("http://{address}/healthz")).send().await.is_err(), "nothing in plain words");
    let untrusting = Client::builder().build().unwrap();
    assert!(untrusting.get(format!("{}/healthz", alerting.address)).send().await.is_err(), "nobody vouches for it");
    alerting.stop().await;
    for stream in &mut silent {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0])).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "the silent are cut off: {read:?}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over_and_a_broken_one_changes_nothing() {
    let site = Site::file();
    let first = put_certificate(site.path());
    let alerting = Box::with(&site, SETTINGS).await;
    let health = format!("{}/healthz", alerting.address);
    assert!(trusting(&first).get(&health).send().await.is_ok());
    fs::write(site.path().join("console.pem"), "broken").unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert!(trusting(&first).get(&health).send().await.is_ok(), "the one before stays");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let renewed = put_certificate(site.path());
    let until = Instant::now() + Duration::from_secs(20);
    // A new client each time: one that is connected would not shake hands again.
    while trusting(&renewed).get(&health).send().await.is_err() {
        assert!(Instant::now() < until, "not taken over");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    alerting.stop().await;
}

#[test]
fn what_can_not_be_used_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("xueliang.toml");
    let check = |tls: &str, expected: &str| {
        fs::write(&file, format!("[alerting]\ndata_dir = \"d\"\nregion = \"340203\"\n{tls}\n")).unwrap();
        let mistakes = AlertingSettings::load(&file).unwrap_err().to_string();
        assert!(mistakes.contains(expected), "{mistakes}");
    };
    check(SETTINGS, "console.pem");
    put_certificate(folder.path());
    check("[alerting.tls]\ncert_file = \"console.pem\"", "alerting.tls.key_file: is missing");
    check("[alerting.tls]\nkey_file = \"console.key\"", "alerting.tls.cert_file: is missing");
    check(&format!("{SETTINGS}\nca_file = \"x\""), "ca_file");
    let other = tempfile::tempdir().unwrap();
    put_certificate(other.path());
    fs::copy(other.path().join("console.key"), folder.path().join("console.key")).unwrap();
    check(SETTINGS, "alerting.tls.key_file: ");
    fs::write(folder.path().join("console.pem"), "").unwrap();
    check(SETTINGS, "holds no certificate");
}
