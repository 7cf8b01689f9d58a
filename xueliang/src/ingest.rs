//! `xueliang ingest`: cameras in, events out to Kafka.

use std::{path::Path, sync::Arc};

use anyhow::{Context, bail};
use prometheus::Registry;
use xueliang_ingest::{
    IngestSettings, Worker,
    fleet::files::{Reload, Reloaded},
    publish::{KafkaSink, Sink},
};

use crate::{
    config, fleet_api,
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
    let (listen, token) = (settings.listen, settings.api.clone());
    let kafka = KafkaSink::new(&brokers).context("can't set up the Kafka producer")?;
    let worker = start(settings, Sink::Kafka(kafka), &registry)?;
    let probes = Probes { registry, parts: probes(&worker).into(), notes: notes(&worker).into() };
    ops::serve(listen, probes, fleet_api::routes(&worker, token), shutdown).await?;
    worker.stop().await;
    Ok(())
}

/// Starts a worker and says so.
pub fn start(settings: IngestSettings, sink: Sink, registry: &Registry) -> anyhow::Result<Worker> {
    let worker = Worker::start(settings, sink, registry).context("ingest can't start")?;
    let n_cameras = worker.fleet.cameras().len();
    tracing::info!(n_cameras, provider = %worker.provider, "ingest started");
    if let Some(reload) = worker.reload.clone() {
        shutdown::on_hangup(move || {
            let reload = reload.clone();
            async move { tell(reload.now().await) }
        })?;
    }
    Ok(worker)
}

/// What a worker says of its settings: mistakes that were refused leave it ready.
pub fn notes(worker: &Worker) -> Vec<Part> {
    let note = |reload: Reload| {
        let told = move || {
            let mistakes = reload.mistakes();
            let first = mistakes.first()?;
            Some(format!("{} mistakes were refused, what ran goes on; the first: {first}", mistakes.len()))
        };
        Part::new("settings", told)
    };
    worker.reload.clone().map(note).into_iter().collect()
}

fn tell(reloaded: Option<Reloaded>) {
    if let Some(Reloaded { n_started, n_stopped, n_restarted, mistakes }) = reloaded {
        tracing::info!(n_started, n_stopped, n_restarted, n_mistakes = mistakes.len(), "cameras read again");
    }
}

/// A worker's parts for readiness. A camera that is away is the camera's state, not the worker's.
pub fn probes(worker: &Worker) -> Vec<Part> {
    let (publishing, writing, networks) = (worker.publishing.clone(), worker.writing(), worker.networks.clone());
    let running: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(move || networks.describe());
    let registry = worker.registry.clone().map(|contact| Part::new("registry", move || contact.trouble_now()));
    let parts = [
        Part { working: Some(running), ..Part::new("analysis", worker.analysing()) },
        Part::new("mqtt", worker.sensors.connecting()),
        Part::new("outbox", move || writing.now()),
        Part::new("publisher", move || publishing.trouble()),
    ];
    parts.into_iter().chain(registry).collect()
}
