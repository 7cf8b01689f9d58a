//! Notifications to real receivers on this machine: HTTP that answers, fails, hangs and floods; SMTP as a server speaks it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, Uri},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use uuid::Uuid;
use xueliang_alerting::notify::{
    Courier, Delivery, GroupKey, Item, Kind, Message, Planned, Subject,
    plan::Part,
    settings::{Channel, read_channels},
};
use xueliang_alerting::words::Bilingual;
use xueliang_events::{IncidentId, payload::Category};
use xueliang_rules::{Calendar, Urgency};
use xueliang_settings::{AllowedEndpoints, Document};

const KEY: [u8; 24] = [7; 24];

fn now() -> Timestamp {
    "2027-01-15T08:00:00Z".parse().unwrap()
}

/// A channel whose receiver is at `addr`; secrets stand in files beside the settings.
fn channel(folder: &Path, addr: SocketAddr, keys: &str) -> Channel {
    fs::write(folder.join("secret"), format!("whsec_{}", STANDARD.encode(KEY))).unwrap();
    fs::write(folder.join("token"), "t0p&s=cret").unwrap();
    fs::write(folder.join("sign"), "SECsign").unwrap();
    let port = addr.port();
    let text = format!(
        "[alerting]\npublic_url = \"https://grid.example\"\nallowed_endpoints = [\"127.0.0.1:{port}\", \"localhost:{port}\"]\n\
         [[notify]]\nassessment = \"a\"\nname = \"x\"\ntimeout = \"1s\"\n{}\n",
        keys.replace("ADDR", &format!("127.0.0.1:{port}")).replace("PORT", &port.to_string())
    );
    let read = Document::from_text(folder.join("x.toml"), text).read(|root| {
        let mut alerting = root.section("alerting");
        let channels = {
            let allowed = AllowedEndpoints::read(&mut alerting);
            read_channels(root, &mut alerting, (&allowed, &Calendar::default()))
        };
        alerting.finish();
        Some(channels)
    });
    read.unwrap_or_else(|mistakes| panic!("{mistakes}")).remove(0)
}

const WEBHOOK: &str = "channel = \"webhook\"\nurl = \"http://ADDR/hook\"\nsecret_file = \"secret\"";
const DINGTALK: &str =
    "channel = \"dingtalk\"\nurl = \"http://ADDR/robot/send\"\ntoken_file = \"token\"\nsecret_file = \"sign\"";
const WECOM: &str = "channel = \"wecom\"\nurl = \"http://ADDR/cgi-bin/webhook/send\"\ntoken_file = \"token\"";
const EMAIL: &str = "channel = \"email\"\nhost = \"127.0.0.1\"\nport = PORT\ntls = \"none\"\n\
    from = \"雪亮 <x@city.example>\"\nto = [\"duty@city.example\", \"chief@city.example\"]";

fn incident() -> IncidentId {
    IncidentId(Uuid::from_u128(0x1234))
}

fn message() -> Message {
    let key = GroupKey { region: "340203001002003".to_owned(), category: Category::Crowding };
    let item = Item { incident: incident(), kind: Kind::Opened, urgency: Urgency::A };
    let part = Part { key, due_at: now(), items: vec![item], n_beyond: 2 };
    let planned = Planned { id: Uuid::from_u128(9), at: now(), is_digest: false, parts: vec![part] };
    let device = Bilingual { zh: "东门\r\nBcc: x@evil.example".to_owned(), en: "East gate".to_owned() };
    assert_eq!(planned.to_name().collect::<Vec<_>>(), [incident()]);
    Message::new(&planned, &BTreeMap::from([(incident(), Subject { opened_at: now(), device })]))
}

/// A request as the receiver saw it.
#[derive(Debug, Clone)]
struct Seen {
    uri: Uri,
    headers: HeaderMap,
    body: String,
}

type Answer = Arc<dyn Fn() -> Response<Body> + Send + Sync>;

/// A receiver that keeps what it saw and answers as told.
async fn receiver(answer: Answer) -> (SocketAddr, Arc<Mutex<Vec<Seen>>>) {
    type Shared = (Answer, Arc<Mutex<Vec<Seen>>>);
    async fn take(State((answer, seen)): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
        let body = String::from_utf8(body.to_vec()).unwrap();
        seen.lock().unwrap().push(Seen { uri, headers, body });
        answer()
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let router = Router::new().fallback(take).with_state((answer, Arc::clone(&seen)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (addr, seen)
}

fn answering(status: u16, header: Option<(&'static str, &'static str)>, body: &'static str) -> Answer {
    Arc::new(move || {
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = header {
            response = response.header(name, value);
        }
        response.body(Body::from(body)).unwrap()
    })
}

/// Sends the message by a channel to a receiver that answers so.
async fn deliver(keys: &str, answer: Answer) -> (Delivery, Vec<Seen>) {
    let folder = tempfile::tempdir().unwrap();
    let (addr, seen) = receiver(answer).await;
    let courier = Courier::new(channel(folder.path(), addr, keys)).unwrap();
    let delivery = courier.deliver(&message(), now()).await;
    let seen = seen.lock().unwrap().clone();
    (delivery, seen)
}

fn hmac(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn retry(after: Option<u64>, reason: &str) -> Delivery {
    Delivery::Retry { after: after.map(Duration::from_secs), reason: reason.to_owned() }
}

fn dead(reason: &str) -> Delivery {
    Delivery::Dead { reason: reason.to_owned() }
}

#[tokio::test]
async fn a_webhook_receives_signed_facts_and_nothing_else() {
    let (delivery, seen) = deliver(WEBHOOK, answering(204, None, "")).await;
    assert_eq!(delivery, Delivery::Delivered);
    let Seen { uri, headers, body } = &seen[0];
    assert_eq!((uri.path(), &headers["content-type"]), ("/hook", &"application/json".parse().unwrap()));
    let (id, at) = (headers["webhook-id"].to_str().unwrap(), headers["webhook-timestamp"].to_str().unwrap());
    assert_eq!((id, at), (Uuid::from_u128(9).to_string().as_str(), "1800000000"));
    assert_eq!(
        headers["webhook-signature"].to_str().unwrap(),
        format!("v1,{}", hmac(&KEY, &format!("{id}.{at}.{body}")))
    );
    let expected = json!({
        "type": "xueliang.notification.v1",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "kind": "opened",
            "title": { "zh": "雪亮 新事件：人员聚集，区域 340203001002003，3 起",
                       "en": "Xueliang New: Crowding, region 340203001002003, 3 incidents" },
            "category": "crowding",
            "category_name": { "zh": "人员聚集", "en": "Crowding" },
            "region": "340203001002003",
            "n_more": 2,
            "incidents": [{
                "id": incident(), "kind": "opened", "urgency": "A", "opened_at": "2027-01-15T08:00:00Z",
                "device_name": { "zh": "东门  Bcc: x@evil.example", "en": "East gate" },
                "link": format!("https://grid.example/incidents/{}", incident()),
            }],
        },
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn http_answers_decide_whether_it_is_tried_again() {
    let check = async |status, header, expected: Delivery| {
        let (delivery, _) = deliver(WEBHOOK, answering(status, header, "")).await;
        assert_eq!(delivery, expected, "{status}");
    };
    for status in [200, 202] {
        check(status, None, Delivery::Delivered).await;
    }
    for status in [400, 401, 403, 404, 410, 413, 422] {
        check(status, None, dead(&format!("answered {status}"))).await;
    }
    for status in [408, 409, 425, 429, 500, 502, 503, 504] {
        check(status, None, retry(None, &format!("answered {status}"))).await;
    }
    check(429, Some(("retry-after", "90")), retry(Some(90), "answered 429")).await;
    check(503, Some(("retry-after", "Fri, 15 Jan 2027 08:02:00 GMT")), retry(Some(120), "answered 503")).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (other, seen) = receiver(answering(200, None, "")).await;
    let location: &'static str = Box::leak(format!("http://{other}/").into_boxed_str());
    for status in [301, 307, 308] {
        let (delivery, _) = deliver(WEBHOOK, answering(status, Some(("location", location)), "")).await;
        assert_eq!(delivery, retry(None, &format!("answered {status}")));
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_absent_or_hanging_receiver_costs_its_patience_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    for keys in [WEBHOOK, DINGTALK, WECOM, EMAIL] {
        let courier = Courier::new(channel(folder.path(), addr, keys)).unwrap();
        let began = Instant::now();
        let Delivery::Retry { reason, .. } = courier.deliver(&message(), now()).await else { panic!("{keys}") };
        assert!(began.elapsed() < Duration::from_secs(3), "{keys}");
        assert!(!reason.contains("t0p") && !reason.contains("SECsign"), "{reason}");
    }
    drop(listener);
    for keys in [WEBHOOK, DINGTALK, EMAIL] {
        let courier = Courier::new(channel(folder.path(), addr, keys)).unwrap();
        let Delivery::Retry { reason, .. } = courier.deliver(&message(), now()).await else { panic!("{keys}") };
        assert!(reason.contains("refused") && !reason.contains("t0p"), "{reason}");
    }
}

/// Bytes without end.
fn flood(status: u16) -> Answer {
    Arc::new(move || {
        let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 4096])));
        Response::builder().status(status).body(Body::from_stream(tokio_stream::iter(chunks))).unwrap()
    })
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let began = Instant::now();
    assert_eq!(deliver(WEBHOOK, flood(200)).await.0, Delivery::Delivered);
    assert_eq!(deliver(WEBHOOK, flood(500)).await.0, retry(None, "answered 500"));
    let no_errcode = retry(None, "answered with something else than an errcode");
    assert_eq!(deliver(WECOM, flood(200)).await.0, no_errcode);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_dingtalk_robot_receives_markdown_and_a_signature() {
    let (delivery, seen) = deliver(DINGTALK, answering(200, None, "{\"errcode\":0,\"errmsg\":\"ok\"}")).await;
    assert_eq!(delivery, Delivery::Delivered);
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(seen[0].uri.query().unwrap().as_bytes()).into_owned().collect();
    let sign = hmac(b"SECsign", "1800000000000\nSECsign");
    let expected = [("access_token", "t0p&s=cret"), ("sign", sign.as_str()), ("timestamp", "1800000000000")];
    assert_eq!(query, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!((&body["msgtype"], body.as_object().unwrap().len()), (&json!("markdown"), 2));
    assert_eq!(body["markdown"]["title"], "雪亮 新事件：人员聚集，区域 340203001002003，3 起");
    let text = body["markdown"]["text"].as_str().unwrap();
    assert!(text.contains("2027-01-15 16:00:00，紧急程度 A") && text.contains("另有 2 起"), "{text}");
}

#[tokio::test]
async fn a_wecom_robot_receives_markdown_or_text() {
    let ok = || answering(200, None, "{\"errcode\":0,\"errmsg\":\"ok\"}");
    let (delivery, seen) = deliver(WECOM, ok()).await;
    assert_eq!(delivery, Delivery::Delivered);
    assert_eq!(seen[0].uri, "/cgi-bin/webhook/send?key=t0p%26s%3Dcret");
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert!(body["msgtype"] == "markdown" && body["markdown"]["content"].as_str().unwrap().starts_with("#### 雪亮"));
    let (_, seen) = deliver(&format!("{WECOM}\nformat = \"text\"\nlanguage = \"en\""), ok()).await;
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    let text = body["text"]["content"].as_str().unwrap();
    assert!(body["msgtype"] == "text" && text.starts_with("Xueliang New: Crowding"), "{body}");
    assert!(text.contains("- East gate, 2027-01-15 16:00:00, urgency A\n  https://grid.example/incidents/"), "{text}");
}

#[tokio::test]
async fn a_robots_errcode_is_a_failure_behind_http_200() {
    let check = async |keys: &str, body: &'static str, expected: Delivery| {
        let (delivery, _) = deliver(keys, answering(200, None, body)).await;
        assert_eq!(delivery, expected, "{body}");
    };
    let too_fast = "{\"errcode\":130101,\"errmsg\":\"send too fast\"}";
    check(DINGTALK, too_fast, retry(Some(600), "errcode 130101: send too fast")).await;
    let too_fast = "{\"errcode\":45009,\"errmsg\":\"api freq out of limit\"}";
    check(WECOM, too_fast, retry(Some(60), "errcode 45009: api freq out of limit")).await;
    check(
        DINGTALK,
        "{\"errcode\":310000,\"errmsg\":\"sign not match SECsign\"}",
        dead("errcode 310000: sign not match …"),
    )
    .await;
    check(WECOM, "{\"errcode\":93000,\"errmsg\":\"no t0p&s=cret\"}", dead("errcode 93000: no …")).await;
    check(WECOM, "{\"errcode\":-1,\"errmsg\":\"busy\"}", retry(None, "errcode -1: busy")).await;
    let no_errcode = "answered with something else than an errcode";
    check(WECOM, "<html>maintenance</html>", retry(None, no_errcode)).await;
    check(DINGTALK, "{}", retry(None, no_errcode)).await;
    assert_eq!(deliver(WECOM, answering(502, None, "")).await.0, retry(None, "answered 502"));
    assert_eq!(deliver(DINGTALK, answering(404, None, "")).await.0, dead("answered 404"));
}

/// A conversation as RFC 5321 has it: answers to the greeting and to each command that begins so; returns what was said.
async fn smtp(stream: impl AsyncRead + AsyncWrite + Unpin, answers: &[(&str, &str)]) -> Vec<String> {
    let mut stream = BufReader::new(stream);
    let mut said = Vec::new();
    stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return said;
        }
        let line = line.trim_end_matches("\r\n").to_owned();
        said.push(line.clone());
        let ends_data = in_data && line == ".";
        if in_data && !ends_data {
            continue;
        }
        let verb = if ends_data { "." } else { line.split(' ').next().unwrap() };
        let told = answers.iter().find(|(to, _)| *to == verb).map(|(_, answer)| *answer);
        let answer = told.unwrap_or(match verb {
            "EHLO" => "250-mail.example\r\n250-AUTH PLAIN\r\n250 8BITMIME",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        });
        in_data = verb == "DATA" && answer.starts_with('3');
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

async fn mail(keys: &str, answers: &'static [(&'static str, &'static str)]) -> (Delivery, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        smtp(stream, answers).await
    });
    let courier = Courier::new(channel(folder.path(), addr, keys)).unwrap();
    let delivery = courier.deliver(&message(), now()).await;
    (delivery, tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap())
}

#[tokio::test]
async fn a_mail_names_its_message_and_goes_to_all_receivers() {
    let credentials = "credentials = { username = \"x\", password_file = \"token\" }";
    let (delivery, said) = mail(&format!("{EMAIL}\n{credentials}"), &[]).await;
    assert_eq!(delivery, Delivery::Delivered);
    let login = format!("AUTH PLAIN {}", STANDARD.encode("\0x\0t0p&s=cret"));
    for line in [
        "EHLO city.example",
        login.as_str(),
        "RCPT TO:<duty@city.example>",
        "RCPT TO:<chief@city.example>",
        &format!("Message-ID: <{}@city.example>", Uuid::from_u128(9)),
        "Date: Fri, 15 Jan 2027 08:00:00 +0000",
    ] {
        assert!(said.iter().any(|said| said == line), "{line}: {said:#?}");
    }
    assert!(!said.iter().any(|line| line.starts_with("Bcc")), "{said:#?}");
    let from = said.iter().position(|line| line.is_empty()).unwrap() + 1;
    let lines: Vec<&str> = said[from..].iter().map(String::as_str).take_while(|line| *line != ".").collect();
    assert!(said.contains(&"Content-Transfer-Encoding: quoted-printable".to_owned()), "{said:#?}");
    let body = quoted_printable(&lines);
    assert!(body.contains("- 东门") && body.contains("https://grid.example/incidents/"), "{body}");
}

/// Decodes RFC 2045, 6.7.
fn quoted_printable(lines: &[&str]) -> String {
    let text: String =
        lines.iter().map(|line| line.strip_suffix('=').map_or(format!("{line}\n"), str::to_owned)).collect();
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_mail_servers_no_is_final_and_its_not_now_is_not() {
    let check = async |answers: &'static [(&'static str, &'static str)], expected: Delivery| {
        assert_eq!(mail(EMAIL, answers).await.0, expected, "{answers:?}");
    };
    check(&[("RCPT", "550 no such user")], dead("answered 550")).await;
    check(&[(".", "554 refused")], dead("answered 554")).await;
    check(&[("RCPT", "450 greylisted")], retry(None, "answered 450")).await;
    check(&[("MAIL", "421 closing")], retry(None, "answered 421")).await;
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let keys = EMAIL.replace("tls = \"none\"", "tls = \"starttls\"");
    let (delivery, said) = mail(&keys, &[]).await;
    assert!(matches!(delivery, Delivery::Retry { .. }), "{delivery:?}");
    assert!(!said.iter().any(|line| line.starts_with("MAIL") || line.starts_with("AUTH")), "{said:#?}");
}

/// A throw-away CA and a certificate of it for this machine.
fn make_certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let output = run.expect("openssl is missing; deploy/dev/apt.sh installs it");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 -days 2 -subj /CN=Test {key} -keyout ca.key -out ca.pem"));
    openssl(&format!("req -subj /CN=localhost {key} -keyout server.key -out server.csr"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl("x509 -req -days 2 -CAcreateserial -extfile names -in server.csr -CA ca.pem -CAkey ca.key -out server.pem");
}

fn tls(folder: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// Serves each connection by TLS, one after the other.
async fn tls_receiver(folder: &Path) -> SocketAddr {
    let (listener, tls) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), tls(folder));
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut first = [0; 5];
            let is_http = matches!(
                tokio::time::timeout(Duration::from_millis(200), stream.read_exact(&mut first)).await,
                Ok(Ok(_)) if &first == b"POST "
            );
            if is_http {
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
                stream.shutdown().await.unwrap();
            } else {
                smtp(stream, &[]).await;
            }
        }
    });
    addr
}

#[tokio::test]
async fn tls_is_trusted_by_the_channels_own_ca_only() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let addr = tls_receiver(folder.path()).await;
    let deliver = async |keys: &str| {
        let courier = Courier::new(channel(folder.path(), addr, keys)).unwrap();
        courier.deliver(&message(), now()).await
    };
    let webhook = |host: &str| WEBHOOK.replace("http://ADDR", &format!("https://{host}:PORT"));
    let mail = EMAIL.replace("127.0.0.1", "localhost").replace("tls = \"none\"", "tls = \"implicit\"");
    for keys in [webhook("localhost"), mail] {
        assert_eq!(deliver(&format!("{keys}\nca_file = \"ca.pem\"")).await, Delivery::Delivered, "{keys}");
        let Delivery::Retry { reason, .. } = deliver(&keys).await else { panic!("an unknown CA is trusted") };
        assert!(reason.contains("certificate"), "{reason}");
    }
    let other_name = deliver(&format!("{}\nca_file = \"ca.pem\"", webhook("127.0.0.1"))).await;
    assert!(matches!(other_name, Delivery::Retry { .. }), "{other_name:?}");
}
