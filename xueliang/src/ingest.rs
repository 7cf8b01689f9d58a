//! `xueliang ingest`: cameras in, events out to Kafka.

use std::{path::Path, sync::Arc};

use anyhow::{Context, bail};
use prometheus::Registry;
use xueliang_ingest::{
    IngestSettings, Worker,
    publish::{KafkaSink, Sink},
};

use crate::{
    config,
    ops::{self, Part, Probes},
    shutdown,
};

/// Runs a worker until a signal.
pub async fn run(config: &Path) -> anyhow::Result<()> {
    let settings = config::ingest(config)?;
    let Some(brokers) = settings.brokers.clone() else {
        bail!("{}: [ingest.kafka] brokers is missing; add it, or run `xueliang up` for one box", config.display());
    };
    let shutdown = shutdown::on_signal()?;
    let registry = Registry::new();
    let listen = settings.listen;
    let kafka = KafkaSink::new(&brokers).context("can't set up the Kafka producer")?;
    let worker = start(settings, Sink::Kafka(kafka), &registry)?;
    let probes = Probes { registry, parts: probes(&worker).into() };
    ops::serve(listen, probes, shutdown).await?;
    worker.stop().await;
    Ok(())
}

/// Starts a worker and says so.
pub fn start(settings: IngestSettings, sink: Sink, registry: &Registry) -> anyhow::Result<Worker> {
    let n_cameras = settings.cameras.len();
    let worker = Worker::start(settings, sink, registry).context("ingest can't start")?;
    tracing::info!(n_cameras, provider = %worker.provider, "ingest started");
    Ok(worker)
}

/// A worker's parts for readiness. A camera that is away is the camera's state, not the worker's.
pub fn probes(worker: &Worker) -> [Part; 3] {
    let (publishing, writing, networks) = (worker.publishing.clone(), worker.writing(), worker.networks.clone());
    let running: Option<Arc<dyn Fn() -> String + Send + Sync>> = Some(Arc::new(move || networks.describe()));
    [
        Part { name: "analysis", trouble: Arc::new(worker.analysing()), working: running },
        Part { name: "outbox", trouble: Arc::new(move || writing.now()), working: None },
        Part { name: "publisher", trouble: Arc::new(move || publishing.trouble()), working: None },
    ]
}
