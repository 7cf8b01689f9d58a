//! Events through the durable outbox, until acknowledged by Kafka or by a reader in the same process.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::json;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use xueliang_events::{CameraId, SessionId, Source, payload::ZoneOccupancy};
use xueliang_ingest::{
    metrics::Metrics,
    outbox::{Draft, LogReader, Outbox, Writer},
    publish::{EmbeddedBatch, EmbeddedSink, Forwarder, Health, KafkaSink, Sink},
};

use super::Found;
use crate::{Bench, args::BusArgs, progress};

/// Cameras that the events come from.
const CAMERAS: u32 = 50;
/// Longest that a run may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// Runs.
pub fn run(bench: &Bench, args: &BusArgs) -> Result<Found> {
    let kafka = into(args)?;
    let n_events = args.events.unwrap_or(if bench.common.quick { 5_000 } else { 50_000 });
    let mut rates = Vec::new();
    for run in 0..bench.common.runs() {
        let sink = match kafka {
            Some((brokers, prefix)) => {
                let kafka = KafkaSink::new(brokers).context("can't set up the Kafka producer")?;
                Sink::Kafka(kafka.with_topic_prefix(prefix))
            }
            None => Sink::Embedded(EmbeddedSink(reader(bench))),
        };
        let seconds = forward(bench, sink, n_events)?.as_secs_f64();
        let rate = f64::from(n_events) / seconds;
        progress::say(&format!("run {}: {rate:.0} events/s", run + 1));
        rates.push(rate);
    }
    let to = kafka.map_or("a reader in this process", |_| "Kafka");
    let details = json!({ "events": n_events, "to": to, "topic_prefix": args.topic_prefix, "runs": rates });
    Ok(Found { details, ..Found::default() }.with("bus_events_per_s", &rates))
}

/// Brokers and the prefix of topics, or none. What is written is made up: it goes nowhere that somebody reads for real.
fn into(args: &BusArgs) -> Result<Option<(&str, &str)>> {
    let Some(brokers) = &args.brokers else { return Ok(None) };
    match args.topic_prefix.as_deref() {
        Some(prefix) if !prefix.is_empty() => Ok(Some((brokers, prefix))),
        _ => bail!(
            "the events are made up, and with --brokers they would be written among real ones; say --topic-prefix bench. for topics of their own, and \
             delete those afterwards"
        ),
    }
}

/// From the first event handed over to the last one acknowledged.
fn forward(bench: &Bench, sink: Sink, n_events: u32) -> Result<Duration> {
    let state = tempfile::tempdir().context("no room for an outbox")?;
    let bus = Bus::start(bench, sink, state.path())?;
    let started = Instant::now();
    let session = SessionId::random();
    for nth in 0..n_events {
        if nth % 1000 == 0 {
            progress::check()?;
        }
        bus.outbox.append_blocking(draft(nth, session)?);
    }
    bus.wait_until_forwarded(u64::from(n_events))?;
    let took = started.elapsed();
    bus.stop(bench)?;
    Ok(took)
}

/// An outbox on disk and what forwards it.
pub struct Bus {
    /// Where events are handed over.
    pub outbox: Outbox,
    writer: Writer,
    registry: Registry,
    stop: CancellationToken,
    forwarding: JoinHandle<()>,
}

impl Bus {
    /// Opens the outbox in this folder; what is written goes to `sink`.
    pub fn start(bench: &Bench, sink: Sink, folder: &Path) -> Result<Self> {
        let path = folder.join("outbox.db");
        let registry = Registry::new();
        let metrics = Metrics::new(&registry)?;
        let written = Arc::new(Notify::new());
        let (outbox, writer) = Outbox::open(&path, 4 << 30, metrics.clone(), Arc::clone(&written))?;
        let log = Arc::new(Mutex::new(LogReader::open(&path)?));
        let forwarder = Forwarder { log, written, sink, health: Health::default(), metrics };
        let stop = CancellationToken::new();
        let forwarding = bench.runtime.spawn(forwarder.run(stop.clone(), Duration::ZERO));
        Ok(Self { outbox, writer, registry, stop, forwarding })
    }

    /// Waits until so many events in all were acknowledged.
    pub fn wait_until_forwarded(&self, n_events: u64) -> Result<()> {
        let forwarded = || {
            let families = self.registry.gather();
            let family = families.iter().find(|family| family.name() == "xueliang_events_forwarded_total");
            family.map_or(0.0, |family| {
                family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum::<f64>()
            })
        };
        progress::wait("the events to be acknowledged", DEADLINE, || Ok(forwarded() >= n_events as f64))
    }

    /// Ends it; what was not forwarded is lost.
    pub fn stop(self, bench: &Bench) -> Result<()> {
        self.stop.cancel();
        drop(self.outbox);
        self.writer.join();
        Ok(bench.runtime.block_on(self.forwarding)?)
    }
}

fn draft(nth: u32, session: SessionId) -> Result<Draft> {
    let camera: CameraId = format!("street-{:04}", nth % CAMERAS).parse()?;
    let payload: ZoneOccupancy =
        serde_json::from_value(json!({ "zone": "pavement", "counts": { "person": nth % 7 }, "heartbeat": false }))?;
    Ok(Draft { source: Source::Camera(camera), session, grid: None, time: Timestamp::now(), payload: payload.into() })
}

/// A reader that takes each batch at once.
pub fn reader(bench: &Bench) -> mpsc::Sender<EmbeddedBatch> {
    let (sender, mut receiver) = mpsc::channel::<EmbeddedBatch>(4);
    bench.runtime.spawn(async move {
        while let Some(batch) = receiver.recv().await {
            // The forwarder is gone only when the run is over.
            let _ = batch.done.send(());
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_events_need_topics_of_their_own() {
        let args = |brokers: Option<&str>, prefix: Option<&str>| BusArgs {
            brokers: brokers.map(str::to_owned),
            topic_prefix: prefix.map(str::to_owned),
            events: None,
        };
        assert_eq!(into(&args(None, None)).unwrap(), None);
        assert_eq!(into(&args(Some("b:1"), Some("bench."))).unwrap(), Some(("b:1", "bench.")));
        for prefix in [None, Some("")] {
            assert!(into(&args(Some("b:1"), prefix)).unwrap_err().to_string().contains("--topic-prefix bench."));
        }
    }
}
