//! An hour without a broker, as fast as the disk takes it: the outbox stays within its bound and memory flat, and afterwards every
//! event arrives, each camera's in order, but for the oldest occupancy that the bound cost, which is counted.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{Registry, TextEncoder};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use xueliang_events::{
    Event, Payload, SessionId, Source,
    payload::{DeviceState, DeviceStatus, ZoneOccupancy},
    values::Counts,
};
use xueliang_ingest::{
    metrics::Metrics,
    outbox::{Draft, LogReader, Outbox},
    publish::{EmbeddedBatch, EmbeddedSink, Forwarder, Health, Sink},
};

const CAMERAS: u64 = 10;
/// One occupancy a second and one status each ten seconds, of each camera, for an hour.
const SECONDS: u64 = 3600;
const STATUS_EVERY: u64 = 10;
/// Events in one batch of the forwarder.
const IN_HAND: u64 = 500;
const MAX_GROWTH_BYTES: u64 = 48 << 20;

struct Arrived {
    n_statuses: u64,
    n_occupancies: u64,
}

fn draft(camera: u64, second: u64, session: SessionId) -> Draft {
    let at = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
    let payload: Payload = if second.is_multiple_of(STATUS_EVERY) {
        DeviceStatus { heartbeat: true, ..DeviceStatus::new(DeviceState::Live, at) }.into()
    } else {
        let counts = Counts::default();
        ZoneOccupancy { zone: "plaza".parse().unwrap(), counts, heartbeat: true, snapshot: None, analysed_fps: None }
            .into()
    };
    Draft { source: Source::Camera(format!("cam-{camera}").parse().unwrap()), session, grid: None, time: at, payload }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn counter(registry: &Registry, name: &str) -> u64 {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().parse().unwrap()
}

/// Lives through the hour and takes in what arrives afterwards.
async fn hour(max_bytes: u64) -> (Arrived, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let written = Arc::default();
    let (outbox, writer) = Outbox::open(&path, max_bytes, metrics.clone(), Arc::clone(&written)).unwrap();
    let (sender, mut received) = mpsc::channel::<EmbeddedBatch>(1);
    let log = Arc::new(Mutex::new(LogReader::open(&path).unwrap()));
    let sink = Sink::Embedded(EmbeddedSink(sender));
    let forwarder = Forwarder { log, written, sink, health: Health::default(), metrics };
    let stop = CancellationToken::new();
    let forwarding = tokio::spawn(forwarder.run(stop.clone(), Duration::from_secs(5)));

    let held = LogReader::open(&path).unwrap();
    let mut resident = 0;
    for second in 0..SECONDS {
        for camera in 0..CAMERAS {
            outbox.append(draft(camera, second, SessionId(uuid::Uuid::from_u128(u128::from(camera) + 1)))).await;
        }
        if second == SECONDS / 10 {
            resident = resident_bytes();
        }
        if second.is_multiple_of(600) {
            let (_, n_bytes) = held.held().unwrap();
            assert!(u64::try_from(n_bytes).unwrap() <= max_bytes, "{n_bytes} bytes are held, at most {max_bytes}");
        }
    }
    let grown = resident_bytes().saturating_sub(resident);
    assert!(grown <= MAX_GROWTH_BYTES, "{grown} bytes more after an hour");
    drop(outbox);
    tokio::task::spawn_blocking(move || writer.join()).await.unwrap();
    let arrived = take_all(&mut received, &held).await;
    stop.cancel();
    forwarding.await.unwrap();
    (arrived, counter(&registry, "xueliang_outbox_dropped_total"))
}

/// The broker is back: each camera's events must come in order, statuses without a gap.
async fn take_all(received: &mut mpsc::Receiver<EmbeddedBatch>, held: &LogReader) -> Arrived {
    let mut arrived = Arrived { n_statuses: 0, n_occupancies: 0 };
    let mut last: HashMap<String, u64> = HashMap::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while held.held().unwrap().0 > 0 {
        assert!(Instant::now() < deadline, "{:?} still wait", held.held().unwrap());
        let Ok(Some(batch)) = tokio::time::timeout(Duration::from_millis(100), received.recv()).await else { continue };
        for (_, body) in &batch.events {
            let event = Event::from_json(body).unwrap();
            let camera = event.source.key();
            let before = last.insert(camera.clone(), event.sequence);
            assert!(
                before.is_none_or(|before| event.sequence > before),
                "{camera}: {} after {before:?}",
                event.sequence
            );
            match event.payload {
                Payload::DeviceStatus(_) => arrived.n_statuses += 1,
                _ => arrived.n_occupancies += 1,
            }
        }
        // The forwarder waits for the answer.
        batch.done.send(()).unwrap();
    }
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_an_hour_arrives_in_order() {
    let (arrived, n_dropped) = hour(1 << 30).await;
    assert_eq!(n_dropped, 0);
    assert_eq!(arrived.n_statuses, CAMERAS * SECONDS / STATUS_EVERY);
    assert_eq!(arrived.n_statuses + arrived.n_occupancies, CAMERAS * SECONDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_bound_only_occupancy_goes_and_is_counted() {
    let (arrived, n_dropped) = hour(4 << 20).await;
    assert_eq!(arrived.n_statuses, CAMERAS * SECONDS / STATUS_EVERY);
    assert!(n_dropped > 0);
    // What was in the forwarder's hands when the outbox let go of it has arrived all the same.
    let told = arrived.n_statuses + arrived.n_occupancies + n_dropped;
    assert!((CAMERAS * SECONDS..=CAMERAS * SECONDS + IN_HAND).contains(&told), "{told}");
}
