//! Alerting as one box runs it: real store, real HTTP, events through the embedded log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use xueliang_alerting::{
    AlertingError, AlertingSettings, OneBox, Running,
    audit::{Extent, FirstBad, Keys, Verified, Witness, verify},
    consume::embedded::{Delivery, channel},
    start,
    store::{
        Stored, Tx,
        connection::{Connection, Kind},
    },
};
use xueliang_events::{
    BBox, Class, Event, Payload, SessionId, Source, TrackId,
    payload::{DeviceState, DeviceStatus, ZoneEntered, ZoneOccupancy},
    values::{Counts, SnapshotRef},
};

const RULES: &str = r#"
[[rule]]
id = "yard"
version = 1
category = "zone_intrusion"
kind = "presence"
enabled = true
zone = "yard"
min_confidence = 0.5
for = "2s"
urgency = "A"
owner = "o"
legal_basis = "l"
department = "d"
assessment = "a"
deadline = "2h"

[[rule]]
id = "plaza"
version = 1
category = "crowding"
kind = "occupancy"
at_least = 3
enabled = true
zone = "plaza"
for = "2s"
owner = "o"
legal_basis = "l"
department = "d"
assessment = "a"
deadline = "2h"
"#;

#[path = "shared/databases.rs"]
mod databases;
#[path = "one_box/followers.rs"]
mod followers;
use followers::{
    a_follower_who_does_not_read_holds_up_nobody_and_misses_nothing, a_follower_who_missed_much_gets_all_of_it, cookie,
};
#[path = "one_box/grants.rs"]
mod grants;
use grants::{
    a_hold_is_placed_by_its_grant_and_listed, broken_glass_says_where_the_originals_are_and_is_reviewed,
    mistakes_in_a_request_name_their_field, p19_audit_store_down_means_no_imagery,
    two_people_open_an_export_and_its_use_is_registered,
};
#[path = "one_box/originals.rs"]
mod originals;
use originals::{
    p19_no_original_is_served_that_is_not_registered, p23_no_package_has_an_original_in_it,
    sealed_originals_are_off_by_default, two_people_open_an_original_and_nothing_of_it_is_written,
};
#[path = "one_box/people.rs"]
mod people;

use people::{
    c04_what_the_hotline_hears_is_an_incident_without_a_device, notes_and_pictures_stand_beside_an_incident,
    reports_and_nuisance_come_from_what_people_did,
};

#[path = "one_box/versions.rs"]
mod versions;

use versions::a_version_means_the_same_after_a_restart_and_can_be_read;

#[path = "shared/site.rs"]
mod site;

use site::{Site, on_both};

on_both!(
    intrusion_becomes_one_incident_that_people_take_further,
    changed_rules_fire_without_a_restart_and_mistakes_leave_the_old_ones,
    a_version_means_the_same_after_a_restart_and_can_be_read,
    p27_what_people_do_is_registered_and_a_changed_row_is_found,
    stills_need_a_purpose_a_reason_and_their_incident,
    redelivery_and_restart_change_nothing,
    crowd_fires_by_the_clock_and_the_stream_says_so,
    refused_messages_never_block_and_late_ones_change_nothing,
    nothing_is_served_before_sign_in,
    two_people_open_an_export_and_its_use_is_registered,
    mistakes_in_a_request_name_their_field,
    broken_glass_says_where_the_originals_are_and_is_reviewed,
    p19_audit_store_down_means_no_imagery,
    a_hold_is_placed_by_its_grant_and_listed,
    sealed_originals_are_off_by_default,
    two_people_open_an_original_and_nothing_of_it_is_written,
    p19_no_original_is_served_that_is_not_registered,
    p23_no_package_has_an_original_in_it,
    c04_what_the_hotline_hears_is_an_incident_without_a_device,
    notes_and_pictures_stand_beside_an_incident,
    reports_and_nuisance_come_from_what_people_did,
    p20_without_a_valid_training_record_nothing_is_served,
    a_follower_who_does_not_read_holds_up_nobody_and_misses_nothing,
    a_follower_who_missed_much_gets_all_of_it,
    no_path_leads_out_of_the_folder_that_is_meant,
);

struct Box {
    address: String,
    events: mpsc::Sender<Delivery>,
    shutdown: CancellationToken,
    running: Running,
}

impl Box {
    async fn start(site: &Site) -> Self {
        Self::start_with(site, "").await
    }

    /// With more tables of settings.
    async fn start_with(site: &Site, more: &str) -> Self {
        Self::try_start(site, &format!("{more}{RULES}")).await.unwrap()
    }

    async fn try_start(site: &Site, tables: &str) -> Result<Self, AlertingError> {
        let text = format!(
            "[alerting]\nlisten = \"127.0.0.1:0\"\ndata_dir = {:?}\nsnapshot_dir = {:?}\nregion = \"340203\"\n{}{tables}",
            site.path().join("data"),
            site.path().join("stills"),
            site.store_settings(),
        );
        let file = site.path().join("xueliang.toml");
        fs::write(&file, text).unwrap();
        let settings = AlertingSettings::load(&file).unwrap();
        let (events, source) = channel(4);
        let shutdown = CancellationToken::new();
        let registry = prometheus::Registry::new();
        let (started, running) =
            start(settings, Some(OneBox { source, probes: Vec::new() }), registry, shutdown.clone()).await?;
        Ok(Self { address: format!("http://{}", started.listen_addr), events, shutdown, running })
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.ended().await;
    }

    async fn deliver(&self, from: u64, events: &[Event]) {
        let events = events.iter().enumerate().map(|(i, event)| (from + i as u64, event.to_json().unwrap())).collect();
        self.deliver_bytes(events).await;
    }

    async fn deliver_bytes(&self, events: Vec<(u64, Vec<u8>)>) {
        let (done, stored) = oneshot::channel();
        self.events.send(Delivery { log_id: "box".to_owned(), events, done }).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), stored).await.expect("stored in time").expect("stored");
    }

    async fn sign_in(&self, folder: &Path, account: &str) -> Desk {
        let passwords = fs::read_to_string(folder.join("data/initial-passwords.txt")).unwrap();
        let password = passwords.lines().find_map(|line| line.strip_prefix(&format!("{account} "))).unwrap();
        let http = Client::builder().cookie_store(true).build().unwrap();
        let answer = http.post(format!("{}/api/v1/session", self.address));
        let answer = answer.json(&json!({ "account": account, "password": password })).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let session: Value = answer.json().await.unwrap();
        let csrf = session["csrf_token"].as_str().unwrap().to_owned();
        Desk { address: self.address.clone(), http, csrf }
    }
}

/// Somebody at a desk, signed in.
struct Desk {
    address: String,
    http: Client,
    csrf: String,
}

impl Desk {
    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.http.get(format!("{}/api/v1{path}", self.address)).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn metrics(&self) -> String {
        self.http.get(format!("{}/metrics", self.address)).send().await.unwrap().text().await.unwrap()
    }

    async fn incidents(&self) -> Vec<Value> {
        let (status, page) = self.get("/incidents").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    async fn command(&self, id: &str, key: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}/api/v1/incidents/{id}/commands", self.address));
        let request = request.header("x-csrf-token", &self.csrf).header("idempotency-key", key).json(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

/// A camera that tells its events one after the other.
struct Camera {
    id: &'static str,
    session: SessionId,
    sequence: u64,
    start: Timestamp,
}

impl Camera {
    fn new(id: &'static str, start: Timestamp) -> Self {
        Self { id, session: SessionId::random(), sequence: 0, start }
    }

    fn says(&mut self, at_ms: i64, payload: impl Into<Payload>) -> Event {
        let time = self.start.checked_add(SignedDuration::from_millis(at_ms)).unwrap();
        let event = Event {
            source: Source::Camera(self.id.parse().unwrap()),
            session: self.session,
            sequence: self.sequence,
            time,
            received_at: time,
            grid: Some("340203001002003".parse().unwrap()),
            owner_epoch: None,
            payload: payload.into(),
        };
        self.sequence += 1;
        event
    }
}

fn entered(snapshot: Option<SnapshotRef>) -> ZoneEntered {
    ZoneEntered {
        analysed_fps: None,
        zone: "yard".parse().unwrap(),
        class: Class::Person,
        track: TrackId(7),
        bbox: BBox::new(0.1, 0.2, 0.1, 0.3).unwrap(),
        confidence: 0.8f32.try_into().unwrap(),
        snapshot,
    }
}

fn occupancy(zone: &str, persons: u32) -> ZoneOccupancy {
    let counts = Counts::default().with(Class::Person, persons);
    ZoneOccupancy { analysed_fps: None, zone: zone.parse().unwrap(), counts, heartbeat: false, snapshot: None }
}

fn an_hour_ago() -> Timestamp {
    Timestamp::now().checked_sub(SignedDuration::from_hours(1)).unwrap()
}

/// An intrusion of five seconds with a still.
fn intrusion(camera: &mut Camera, still: Option<SnapshotRef>) -> Vec<Event> {
    vec![
        camera.says(0, entered(still)),
        camera.says(100, occupancy("yard", 1)),
        camera.says(2500, occupancy("yard", 1)),
        camera.says(5000, occupancy("yard", 1)),
    ]
}

fn put_still(folder: &Path, bytes: &[u8]) -> SnapshotRef {
    let sha256 = hex::encode(Sha256::digest(bytes));
    let shelf = folder.join("stills").join(&sha256[..2]);
    fs::create_dir_all(&shelf).unwrap();
    fs::write(shelf.join(format!("{}.jpg", &sha256[2..])), bytes).unwrap();
    SnapshotRef { sha256: sha256.try_into().unwrap(), width: 640, height: 360 }
}

async fn intrusion_becomes_one_incident_that_people_take_further(site: &Site) {
    let alerting = Box::start(site).await;
    let still = put_still(site.path(), b"jpeg");
    let mut camera = Camera::new("gate-1", an_hour_ago());
    alerting.deliver(0, &intrusion(&mut camera, Some(still.clone()))).await;

    let operator = alerting.sign_in(site.path(), "operator").await;
    let incidents = operator.incidents().await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let incident = &incidents[0];
    assert_eq!(incident["state"], "suspected");
    assert_eq!(incident["category"], "zone_intrusion");
    assert_eq!(incident["evidentiary"], false);
    assert_eq!(incident["snapshot"]["sha256"], still.sha256.as_str());
    let id = incident["id"].as_str().unwrap();

    let (_, one) = operator.get(&format!("/incidents/{id}")).await;
    let commands: Vec<&str> =
        one["commands"].as_array().unwrap().iter().map(|c| c["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["discard", "report"]);
    assert!(
        one["events"].as_array().unwrap().iter().any(|event| event["type"] == "xueliang.zone.entered.v1"),
        "{one:#}"
    );

    let report = json!({ "command": "report", "version": 1, "comment": "seen" });
    let (status, moved) = operator.command(id, "key-00000001", &report).await;
    assert_eq!((status, &moved["state"]), (StatusCode::OK, &json!("reported")), "{moved}");
    let (status, again) = operator.command(id, "key-00000001", &report).await;
    assert_eq!((status, &again["version"]), (StatusCode::OK, &json!(2)), "a repetition moves nothing");
    let (status, _) = operator.command(id, "key-00000001", &json!({ "command": "discard", "version": 2 })).await;
    assert_eq!(status, StatusCode::CONFLICT, "a key stands for one command");
    let (status, _) = operator.command(id, "key-00000002", &report).await;
    assert_eq!(status, StatusCode::CONFLICT, "an old version");
    let (status, _) = operator.command(id, "key-00000003", &json!({ "command": "close", "version": 2 })).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "not an operator's");

    let dispatcher = alerting.sign_in(site.path(), "dispatcher").await;
    let (status, _) = dispatcher.command(id, "key-00000004", &json!({ "command": "file", "version": 2 })).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) =
        dispatcher.command(id, "key-00000005", &json!({ "command": "dispatch", "version": 3 })).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("fields.department")));
    let dispatch = json!({ "command": "dispatch", "version": 3, "fields": { "department": "urban-management" } });
    let (status, moved) = dispatcher.command(id, "key-00000006", &dispatch).await;
    assert_eq!((status, &moved["state"]), (StatusCode::OK, &json!("dispatched")));
    let actions: Vec<&str> =
        moved["timeline"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["open", "report", "file", "dispatch"]);
    let fired = &moved["timeline"][0]["fired"];
    assert_eq!((&fired["version"], &fired["device"], &fired["place"]), (&json!(1), &json!("gate-1"), &json!("yard")));
    assert_eq!(fired["values"], moved["values"]);
    assert_eq!(moved["timeline"][1]["fired"], Value::Null);
    alerting.stop().await;
}

async fn stills_need_a_purpose_a_reason_and_their_incident(site: &Site) {
    let alerting = Box::start(site).await;
    let still = put_still(site.path(), b"jpeg");
    let mut camera = Camera::new("gate-1", an_hour_ago());
    alerting.deliver(0, &intrusion(&mut camera, Some(still.clone()))).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let id = operator.incidents().await[0]["id"].as_str().unwrap().to_owned();
    let other = hex::encode(Sha256::digest(b"other"));
    let check = async |sha256: &str, query: &str, expected: StatusCode| {
        let url = format!("{}/api/v1/incidents/{id}/snapshots/{sha256}{query}", alerting.address);
        let answer = operator.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{query}");
        answer.bytes().await.unwrap()
    };
    let sha256 = still.sha256.as_str();
    let bytes = check(sha256, "?purpose=incident_handling&reason=look", StatusCode::OK).await;
    assert_eq!(&bytes[..], b"jpeg");
    check(sha256, "", StatusCode::BAD_REQUEST).await;
    check(sha256, "?purpose=curiosity&reason=look", StatusCode::BAD_REQUEST).await;
    check(sha256, "?purpose=incident_handling&reason=%20", StatusCode::BAD_REQUEST).await;
    check(sha256, "?purpose=aggregate_statistics&reason=look", StatusCode::FORBIDDEN).await;
    check(&other, "?purpose=incident_handling&reason=look", StatusCode::NOT_FOUND).await;
    check("..%2F..%2Fetc%2Fpasswd", "?purpose=incident_handling&reason=look", StatusCode::NOT_FOUND).await;
    let place = site.place.clone();
    let views = tokio::task::spawn_blocking(move || {
        let read = |tx: &Tx<'_>| -> Stored<Vec<(String, String, String)>> {
            let rows = tx.rows("SELECT * FROM audit WHERE action = 'view_still' ORDER BY seq", &[])?;
            rows.iter().map(|row| Ok((row.get("actor")?, row.get("purpose")?, row.get("decision")?))).collect()
        };
        Connection::open(&place).unwrap().run(Kind::Read, read).unwrap()
    });
    let views = views.await.unwrap();
    let row = |purpose: &str, decision: &str| ("operator".to_owned(), purpose.to_owned(), decision.to_owned());
    assert_eq!(views, [row("incident_handling", "permit"), row("aggregate_statistics", "deny")]);
    alerting.stop().await;
}

async fn redelivery_and_restart_change_nothing(site: &Site) {
    let alerting = Box::start(site).await;
    let mut camera = Camera::new("gate-1", an_hour_ago());
    let events = intrusion(&mut camera, None);
    alerting.deliver(0, &events).await;
    alerting.deliver(0, &events).await;
    alerting.deliver(100, &events).await;
    alerting.stop().await;

    let alerting = Box::start(site).await;
    alerting.deliver(0, &events).await;
    alerting.deliver(200, &events).await;
    let mut restarted = Camera::new("gate-1", camera.start);
    let more: Vec<Event> = (0..5).map(|i| restarted.says(8000 + i * 1000, occupancy("yard", 1))).collect();
    alerting.deliver(300, &more).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let incidents = operator.incidents().await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    assert_eq!(incidents[0]["n_firings"], 1);
    let metrics = operator.metrics().await;
    assert!(metrics.contains("xueliang_repeated_events_total 8"), "{metrics}");
    alerting.stop().await;
}

async fn crowd_fires_by_the_clock_and_the_stream_says_so(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let url = format!("{}/api/v1/stream", alerting.address);
    let mut stream = operator.http.get(&url).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let mut camera = Camera::new("plaza-1", Timestamp::now());
    let status = DeviceStatus::new(DeviceState::Live, camera.start);
    let began = Instant::now();
    alerting.deliver(0, &[camera.says(0, status), camera.says(1, occupancy("plaza", 4))]).await;
    let seen = read_until(&mut stream, "event: incident").await;
    let waited = began.elapsed();
    assert!(seen.contains("event: device") && seen.contains("plaza-1"), "{seen}");
    assert!(seen.contains("\"category\":\"crowding\""), "{seen}");
    assert!(waited < Duration::from_millis(2000 + 1000), "{waited:?} for a T of 2 s");

    let more: Vec<Event> = (0..30).map(|n| camera.says(2500 + n * 10, occupancy("plaza", 5))).collect();
    alerting.deliver(2, &more).await;
    let grown = read_until(&mut stream, "\"n_events\":3").await;
    assert!(!grown.contains("\"state\":\"reported\""), "nothing but its count changed: {grown}");
    drop(stream);

    let mut resumed = operator.http.get(&url).header("last-event-id", "0").send().await.unwrap();
    assert!(read_until(&mut resumed, "event: incident").await.contains("crowding"));
    alerting.stop().await;
}

async fn read_until(stream: &mut reqwest::Response, wanted: &str) -> String {
    let mut seen = String::new();
    let read = async {
        while !(seen.contains(wanted) && seen.ends_with("\n\n")) {
            seen.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().expect("stream goes on")));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("in time");
    seen
}

async fn refused_messages_never_block_and_late_ones_change_nothing(site: &Site) {
    let alerting = Box::start(site).await;
    let mut camera = Camera::new("gate-1", an_hour_ago());
    let events = intrusion(&mut camera, None);
    let mut messages: Vec<(u64, Vec<u8>)> = vec![(0, b"no event".to_vec()), (1, vec![0xff, 0xfe])];
    messages.extend(events.iter().enumerate().map(|(i, event)| (2 + i as u64, event.to_json().unwrap())));
    alerting.deliver_bytes(messages).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    assert_eq!(operator.incidents().await.len(), 1);
    let metrics = operator.metrics().await;
    assert!(metrics.contains("xueliang_refused_events_total 2"), "{metrics}");
    alerting.stop().await;
}

async fn nothing_is_served_before_sign_in(site: &Site) {
    let alerting = Box::start(site).await;
    let description: Value = serde_json::from_str(&xueliang_alerting::api::document().to_string()).unwrap();
    let zero = uuid::Uuid::nil();
    let open = [("/api/v1/session", "post")];
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|method| !open.contains(&(path, method))) {
            let url =
                format!("{}{}", alerting.address, path.replace("{id}", &zero.to_string()).replace("{sha256}", "00"));
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let answer = Client::new().request(method.clone(), url).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            assert_eq!(answer.headers()["x-frame-options"], "DENY");
        }
    }
    let ready =
        async || -> Value { reqwest::get(format!("{}/readyz", alerting.address)).await.unwrap().json().await.unwrap() };
    // Its parts begin beside each other.
    let deadline = Instant::now() + Duration::from_secs(20);
    while ready().await["ready"] != true {
        assert!(Instant::now() < deadline, "{}", ready().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for path in ["/metrics", "/openapi.json"] {
        let answer = reqwest::get(format!("{}{path}", alerting.address)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let wrong = json!({ "account": "operator", "password": "wrong" });
    let unknown = json!({ "account": "nobody", "password": "wrong" });
    let mut answers = BTreeMap::new();
    for (name, body) in [("wrong", wrong), ("unknown", unknown)] {
        let answer =
            Client::new().post(format!("{}/api/v1/session", alerting.address)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        answers.insert(name, answer.text().await.unwrap());
    }
    assert_eq!(answers["wrong"], answers["unknown"]);

    let operator = alerting.sign_in(site.path(), "operator").await;
    let without_token = operator.http.delete(format!("{}/api/v1/session", alerting.address)).send().await.unwrap();
    assert_eq!(without_token.status(), StatusCode::FORBIDDEN, "no x-csrf-token");
    alerting.stop().await;
}

async fn no_path_leads_out_of_the_folder_that_is_meant(site: &Site) {
    const SECRET: &str = "what lies beside the stills";
    let alerting = Box::start(site).await;
    fs::create_dir_all(site.path().join("stills/ab")).unwrap();
    for place in ["secret.jpg", "stills/secret.jpg", "stills/ab/secret.jpg", "data/secret.jpg"] {
        fs::write(site.path().join(place), SECRET).unwrap();
    }
    let cookie = cookie(&alerting, site, "operator").await;
    let id = uuid::Uuid::nil();
    let ways = ["..", "../..", "%2e%2e", "..%2f..", "%2e%2e%2f%2e%2e", "..%5c..", "%252e%252e", "/", "%2f", "ab/.."];
    let roots = [
        String::new(),
        "/assets".to_owned(),
        "/api/v1/incidents".to_owned(),
        format!("/api/v1/incidents/{id}/snapshots"),
        format!("/api/v1/incidents/{id}/attachments"),
    ];
    let files = ["secret.jpg", "data/alerting.sqlite", "xueliang.toml", "data/initial-passwords.txt", "etc/passwd"];
    for root in &roots {
        for (way, file) in ways.iter().flat_map(|way| files.map(|file| (way, file))) {
            // A client library would tidy the path up.
            let path = format!("{root}/{way}/{file}?purpose=incident_handling&reason=duty");
            let told = raw_get(&alerting, &cookie, &path).await;
            let is_page = told.contains("<!doctype html>");
            assert!(told.starts_with("HTTP/1.1 4") || is_page, "{path}: {told}");
            assert!(
                !told.contains(SECRET) && !told.contains("root:") && !told.contains("[alerting]"),
                "{path}: {told}"
            );
        }
    }
    alerting.stop().await;
}

/// The answer to a request whose path stays as it is written.
async fn raw_get(alerting: &Box, cookie: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = alerting.address.trim_start_matches("http://");
    let mut connection = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Changes the store behind the program's back.
async fn change(site: &Site, sql: &'static str) {
    let place = site.place.clone();
    let changed = tokio::task::spawn_blocking(move || {
        Connection::open(&place).unwrap().run(Kind::Write, |tx| tx.batch(sql)).unwrap();
    });
    changed.await.unwrap();
}

async fn p20_without_a_valid_training_record_nothing_is_served(site: &Site) {
    let alerting = Box::start(site).await;
    let still = put_still(site.path(), b"jpeg");
    let mut camera = Camera::new("gate-1", an_hour_ago());
    alerting.deliver(0, &intrusion(&mut camera, Some(still.clone()))).await;
    let passwords = fs::read_to_string(site.path().join("data/initial-passwords.txt")).unwrap();
    assert!(passwords.contains("they work until ") && passwords.contains("account train NAME"), "{passwords}");
    let operator = alerting.sign_in(site.path(), "operator").await;
    let id = operator.incidents().await[0]["id"].as_str().unwrap().to_owned();
    let image = format!("/incidents/{id}/snapshots/{}?purpose=incident_handling&reason=look", still.sha256.as_str());
    let check_all = async |expected: StatusCode| {
        let one = format!("/incidents/{id}");
        for path in [image.as_str(), "/incidents", &one, "/devices", "/rules", "/grants", "/holds", "/stream"] {
            let url = format!("{}/api/v1{path}", alerting.address);
            let answer = operator.http.get(url).send().await.unwrap();
            assert_eq!(answer.status(), expected, "{path}");
            if expected == StatusCode::FORBIDDEN {
                let problem: Value = answer.json().await.unwrap();
                assert!(problem["detail"].as_str().unwrap().contains("P20-training"), "{path}: {problem}");
            }
        }
    };
    check_all(StatusCode::OK).await;
    let ends = ["UPDATE account SET training_valid_until = 1", "UPDATE account SET training_valid_until = NULL"];
    for end in ends {
        change(site, end).await;
        check_all(StatusCode::FORBIDDEN).await;
        let report = json!({ "command": "report", "version": 1, "comment": "seen" });
        assert_eq!(operator.command(&id, "key-00000001", &report).await.0, StatusCode::FORBIDDEN);
        let (status, session) = operator.get("/session").await;
        assert_eq!((status, &session["account"]), (StatusCode::OK, &json!("operator")), "one sees who one is");
    }
    change(site, "UPDATE account SET training_valid_until = 4102444800000000").await;
    check_all(StatusCode::OK).await;
    alerting.stop().await;
}

async fn p27_what_people_do_is_registered_and_a_changed_row_is_found(site: &Site) {
    let alerting = Box::start(site).await;
    let mut camera = Camera::new("gate-1", an_hour_ago());
    alerting.deliver(0, &intrusion(&mut camera, None)).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let incident = operator.incidents().await.remove(0);
    let id = incident["id"].as_str().unwrap();
    let body = json!({ "command": "discard", "version": 1, "reason": "test", "comment": "a drill" });
    assert_eq!(operator.command(id, "a-drill-once", &body).await.0, StatusCode::OK);
    let audit = format!("{}/api/v1/audit", alerting.address);
    assert_eq!(operator.http.get(&audit).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let auditor = alerting.sign_in(site.path(), "auditor").await;
    let page: Value = auditor.http.get(&audit).send().await.unwrap().json().await.unwrap();
    let row = |row: &Value| [&row["actor"], &row["action"]].map(|text| text.as_str().unwrap().to_owned()).join(" ");
    let rows: Vec<String> = page["items"].as_array().unwrap().iter().map(row).collect();
    let said = ["auditor read_audit", "auditor sign_in", "operator read_audit", "operator discard", "operator sign_in"];
    assert_eq!(rows, said);
    let discarded = &page["items"][3];
    assert_eq!((&discarded["reason"], &discarded["permitted"]), (&json!("a drill"), &json!(true)));
    assert_eq!(discarded["resource"], format!("incident/{id}"));
    alerting.stop().await;

    let place = site.place.clone();
    let verified = tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(&place).unwrap();
        let before = verify_stored(&mut connection);
        let forge = "UPDATE audit SET actor = 'nobody' WHERE seq = 2";
        connection.run(Kind::Write, |tx| tx.execute(forge, &[])).unwrap();
        (before, verify_stored(&mut connection))
    });
    let (before, forged) = verified.await.unwrap();
    assert_eq!(before.unwrap().n_rows, 5);
    assert_eq!(forged.unwrap_err().seq, 2);
}

fn verify_stored(connection: &mut Connection) -> Result<Verified, FirstBad> {
    let rows = connection.run(Kind::Read, |tx| xueliang_alerting::store::audit::after(tx, 0, 1000)).unwrap();
    let witness = Witness { checkpoints: std::iter::empty(), keys: &Keys(Vec::new()) };
    verify(rows.into_iter().map(Ok), std::iter::empty(), witness, Extent::Live { hot_from: Timestamp::MIN })
}

/// Waits until `/readyz` says this of the rules.
async fn rules_are(alerting: &Box, wanted: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let ready: Value = reqwest::get(format!("{}/readyz", alerting.address)).await.unwrap().json().await.unwrap();
        let rules = ready["parts"].as_array().unwrap().iter().find(|part| part["name"] == "rules").unwrap();
        if rules["detail"].as_str().unwrap().contains(wanted) {
            return ready;
        }
        assert!(Instant::now() < until, "{ready} lacks {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn changed_rules_fire_without_a_restart_and_mistakes_leave_the_old_ones(site: &Site) {
    let alerting = Box::start(site).await;
    let file = site.path().join("xueliang.toml");
    let settings = fs::read_to_string(&file).unwrap();
    let operator = alerting.sign_in(site.path(), "operator").await;
    rules_are(&alerting, "2 in force").await;

    // A crowd of two is nothing to the rule that asks for three.
    let mut square = Camera::new("plaza-1", an_hour_ago());
    let mut pair = |from: i64| -> Vec<Event> {
        (0..4).map(|second| square.says((from + second) * 1000, occupancy("plaza", 2))).collect()
    };
    alerting.deliver(0, &pair(0)).await;
    assert_eq!(operator.incidents().await.len(), 0);

    fs::write(&file, settings.replace("at_least = 3", "at_least = 2")).unwrap();
    let ready = rules_are(&alerting, "2 in force as before; 1 mistake in the file").await;
    assert_eq!(ready["ready"], true, "the old rules are in force: {ready}");
    rules_are(&alerting, "raise version to 2").await;
    alerting.deliver(100, &pair(10)).await;
    assert_eq!(operator.incidents().await.len(), 0, "not without a raised version");

    let pairs = RULES
        .replace("at_least = 3", "at_least = 2")
        .replace("id = \"plaza\"\nversion = 1", "id = \"pairs\"\nversion = 1");
    let added = format!("{settings}{}", pairs.split("\n\n").last().unwrap());
    fs::write(&file, added).unwrap();
    rules_are(&alerting, "3 in force").await;
    alerting.deliver(200, &pair(20)).await;
    let incidents = operator.incidents().await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let (_, listed) = operator.get("/rules").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "{listed}");

    fs::write(&file, "[[rule]\n").unwrap();
    rules_are(&alerting, "3 in force as before").await;
    let metrics = operator.metrics().await;
    assert!(metrics.contains("xueliang_rule_reloads_total{outcome=\"refused\"} 2"), "{metrics}");
    assert!(metrics.contains("xueliang_rule_reloads_total{outcome=\"applied\"} 1"), "{metrics}");
    assert!(metrics.contains("xueliang_rule_mistakes 1"), "{metrics}");
    let mut gate = Camera::new("gate-1", an_hour_ago());
    alerting.deliver(300, &intrusion(&mut gate, None)).await;
    assert_eq!(operator.incidents().await.len(), 2, "the old rules still fire");
    alerting.stop().await;
}
