//! `xueliang up`: both halves in one process, events handed over through a bounded channel.

use std::path::Path;

use anyhow::Context;
use prometheus::Registry;
use tokio::sync::mpsc;
use xueliang_alerting::consume::embedded::{self, Delivery};
use xueliang_ingest::publish::{EmbeddedBatch, EmbeddedSink, Sink};

use crate::{alerting, config, ingest, shutdown};

/// Batches that may wait between the halves.
const MAX_WAITING_BATCHES: usize = 4;

/// Runs everything until a signal.
pub async fn run(file: &Path) -> anyhow::Result<()> {
    let (ingest_settings, alerting_settings) = config::one_box(file)?;
    let shutdown = shutdown::on_signal()?;
    let registry = Registry::new();
    let (to_alerting, source) = embedded::channel(MAX_WAITING_BATCHES);
    let (batches, received) = mpsc::channel(MAX_WAITING_BATCHES);
    // Alerting goes on until ingest has handed over what it still held.
    let stop_alerting = tokio_util::sync::CancellationToken::new();
    let started = xueliang_alerting::start(alerting_settings, Some(source), registry.clone(), stop_alerting.clone());
    let (started, running) = started.await.context("alerting can't start")?;
    tokio::spawn(hand_over(received, to_alerting));
    let sink = Sink::Embedded(EmbeddedSink(batches));
    // The model takes a moment to load, and its file is hashed: not on an async thread.
    let worker = tokio::task::block_in_place(|| ingest::start(ingest_settings, sink, &registry))?;
    alerting::tell(started);
    shutdown.cancelled().await;
    worker.stop().await;
    stop_alerting.cancel();
    running.ended().await;
    Ok(())
}

/// Turns ingest's batches into alerting's deliveries: neither half knows the other.
async fn hand_over(mut received: mpsc::Receiver<EmbeddedBatch>, to_alerting: mpsc::Sender<Delivery>) {
    while let Some(EmbeddedBatch { log_id, events, done }) = received.recv().await {
        if to_alerting.send(Delivery { log_id, events, done }).await.is_err() {
            return;
        }
    }
}
