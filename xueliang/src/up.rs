//! `xueliang up`: both halves in one process, events handed over through a bounded channel.

use std::path::Path;

use anyhow::Context;
use prometheus::Registry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use xueliang_alerting::{
    OneBox, Probe,
    consume::embedded::{self, Delivery},
};
use xueliang_ingest::publish::{EmbeddedBatch, EmbeddedSink, Sink};

use crate::{
    alerting, config, fleet_api, ingest,
    ops::{self, Part, Probes},
    shutdown,
};

/// Batches that may wait between the halves.
const MAX_WAITING_BATCHES: usize = 4;

/// Runs everything until a signal.
pub async fn run(file: &Path) -> anyhow::Result<()> {
    let (ingest_settings, alerting_settings) = config::one_box(file)?;
    let (listen, token) = (ingest_settings.listen, ingest_settings.api.clone());
    let shutdown = shutdown::on_signal()?;
    let registry = Registry::new();
    let (to_alerting, source) = embedded::channel(MAX_WAITING_BATCHES);
    let (batches, received) = mpsc::channel(MAX_WAITING_BATCHES);
    tokio::spawn(hand_over(received, to_alerting));
    let sink = Sink::Embedded(EmbeddedSink(batches));
    // The model takes a moment to load, and its file is hashed: not on an async thread.
    let worker = tokio::task::block_in_place(|| ingest::start(ingest_settings, sink, &registry))?;
    let (parts, ops_registry) = (ingest::probes(&worker), registry.clone());
    let one_box = OneBox { source, probes: parts.iter().cloned().map(probe).collect() };
    // Alerting goes on until ingest has handed over what it still held.
    let stop_alerting = CancellationToken::new();
    let started = xueliang_alerting::start(alerting_settings, Some(one_box), registry, stop_alerting.clone()).await;
    let (started, running) = match started {
        Ok(started) => started,
        Err(error) => {
            worker.stop().await;
            return Err(error).context("alerting can't start");
        }
    };
    alerting::tell(started);
    if token.is_some() {
        let probes = Probes { registry: ops_registry, parts: parts.into(), notes: ingest::notes(&worker).into() };
        let routes = fleet_api::routes(&worker, token);
        let served = ops::serve(listen, probes, routes, shutdown.clone());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(error = format!("{error:#}"), "the cameras' API ended");
            }
        });
    }
    shutdown.cancelled().await;
    worker.stop().await;
    stop_alerting.cancel();
    running.ended().await;
    Ok(())
}

fn probe(part: Part) -> Probe {
    Probe { name: part.name, trouble: part.trouble, working: part.working }
}

/// Turns ingest's batches into alerting's deliveries: neither half knows the other.
async fn hand_over(mut received: mpsc::Receiver<EmbeddedBatch>, to_alerting: mpsc::Sender<Delivery>) {
    while let Some(EmbeddedBatch { log_id, events, done }) = received.recv().await {
        if to_alerting.send(Delivery { log_id, events, done }).await.is_err() {
            return;
        }
    }
}
