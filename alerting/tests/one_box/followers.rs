//! Followers of the live stream that read slowly or not at all.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use reqwest::{Client, StatusCode, header::SET_COOKIE};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use xueliang_events::{
    Event,
    payload::{DeviceState, DeviceStatus},
};

use crate::{Box, Camera, Desk, Site, change, occupancy, read_until};

const CAMERAS: usize = 200;
/// So many suffice for any machine to have its buffers full.
const MAX_ROUNDS: i64 = 600;
const SOON: Duration = Duration::from_secs(30);

/// A connection that has asked for the stream and reads only when told to; its machine keeps little for it.
async fn follow_slowly(alerting: &Box, cookie: &str, last_event_id: &str) -> TcpStream {
    let address = alerting.address.trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nconnection: close\r\nlast-event-id: {last_event_id}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The cookie of somebody who has signed in.
pub async fn cookie(alerting: &Box, site: &Site, account: &str) -> String {
    let passwords = std::fs::read_to_string(site.path().join("data/initial-passwords.txt")).unwrap();
    let password = passwords.lines().find_map(|line| line.strip_prefix(&format!("{account} "))).unwrap();
    let body = json!({ "account": account, "password": password });
    let answer = Client::new().post(format!("{}/api/v1/session", alerting.address)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// All that still comes until the server ends the stream.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await;
    read.expect("it is cut off").unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn stream_clients(desk: &Desk) -> String {
    let metrics = desk.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix("xueliang_stream_clients ")).unwrap().to_owned()
}

pub async fn a_follower_who_does_not_read_holds_up_nobody_and_misses_nothing(site: &Site) {
    let alerting = Box::start(site).await;
    let slow = cookie(&alerting, site, "operator").await;
    let mut stuck = follow_slowly(&alerting, &slow, "0").await;
    let dispatcher = alerting.sign_in(site.path(), "dispatcher").await;
    let url = format!("{}/api/v1/stream", alerting.address);
    let mut prompt = dispatcher.http.get(&url).send().await.unwrap();
    read_until(&mut prompt, "event: health").await;

    assert_eq!(stream_clients(&dispatcher).await, "2");
    let start = Timestamp::now();
    let ids = (0..CAMERAS).map(|nth| &*format!("street-{nth}").leak());
    let mut cameras: Vec<Camera> = ids.map(|id| Camera::new(id, start)).collect();
    let (mut position, mut round) = (0, 0);
    while stream_clients(&dispatcher).await != "1" {
        assert!(round < MAX_ROUNDS, "who does not read is cut off");
        round += 1;
        let state = if round % 2 == 0 { DeviceState::Live } else { DeviceState::Stalled };
        let say = |camera: &mut Camera| camera.says(round, DeviceStatus::new(state, camera.start));
        let events: Vec<Event> = cameras.iter_mut().map(say).collect();
        alerting.deliver(position, &events).await;
        position += events.len() as u64;
        let last = format!("street-{}", CAMERAS - 1);
        read_until(&mut prompt, &last).await;
    }
    let mut plaza = Camera::new("plaza-1", Timestamp::now());
    alerting.deliver(position, &[plaza.says(0, occupancy("plaza", 4))]).await;
    let seen = read_until(&mut prompt, "event: incident").await;
    assert!(seen.contains("\"category\":\"crowding\""), "{seen}");

    let told = read_to_end(&mut stuck).await;
    assert!(told.contains("event: device"), "{told}");
    assert!(!told.contains("event: incident"), "it was cut off before");
    let mut back = follow_slowly(&alerting, &slow, "0").await;
    let mut told = String::new();
    while !told.contains("event: incident") {
        let mut bytes = [0; 4096];
        let n_bytes = tokio::time::timeout(SOON, back.read(&mut bytes)).await.expect("in time").unwrap();
        assert_ne!(n_bytes, 0, "it goes on: {told}");
        told.push_str(&String::from_utf8_lossy(&bytes[..n_bytes]));
    }
    alerting.stop().await;
}

/// Incidents whose ids end in 1 to 2500, each with a change.
const MANY: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
    INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place, grid, region, rule,
    rule_version, measures) SELECT '00000000-0000-7000-8000-' || (100000000000 + i), 'crowding', 'suspected', 1, 'B', 1, i, i, 'c',
    'zone/z', NULL, '340203', 'r', 1, '[]' FROM n;
    INSERT INTO change (incident, version, at, actor_kind, actor, action, to_state)
    SELECT id, 1, opened_at, 'rule', 'r', 'open', 'suspected' FROM incident ORDER BY opened_at";

pub async fn a_follower_who_missed_much_gets_all_of_it(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    change(site, MANY).await;
    let url = format!("{}/api/v1/stream", alerting.address);
    let mut stream = operator.http.get(&url).header("last-event-id", "0").send().await.unwrap();
    let (mut seen, mut text) = (BTreeSet::new(), String::new());
    while seen.len() < 2500 {
        let chunk = tokio::time::timeout(SOON, stream.chunk()).await.expect("in time").unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk.expect("it goes on")));
        let whole = text.rfind("\n\n").unwrap_or_default();
        let events: String = text.drain(..whole).collect();
        let ids = events.split("\"id\":\"00000000-0000-7000-8000-").skip(1).filter_map(|rest| rest.get(..12));
        seen.extend(ids.map(str::to_owned));
    }
    alerting.stop().await;
}
