//! One ingest worker: wires the parts together, lets the fleet start its cameras, and stops them in the order of the data.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use xueliang_inference::{
    Detector, Manifest, ManifestError, Model, ModelError, Provider, Runtime, RuntimeError, init_runtime,
};
use xueliang_settings::Mistakes;

use crate::{
    access_unit::Codec,
    authorization::today,
    backoff::Admission,
    decode::{
        DecoderPool, DecoderSettings,
        chain::{Chain, ChainError},
    },
    files,
    fleet::{
        Fleet, Origin, Parts, Wanted,
        files::{FileSource, Reload, Watcher},
        kept::Kept,
    },
    metrics::{Metrics, SensorMetrics},
    networks::Networks,
    outbox::{LogError, LogReader, Outbox, Trouble, Writer},
    publish::{Forwarder, Health, Sink},
    registry::{Contact, follow},
    scheduler::Scheduler,
    sensor::{Sensors, SensorsError},
    session::Deadlines,
    settings::{CameraFiles, IngestSettings, ModelSettings, SealedOriginals},
    snapshots::SnapshotStore,
    status::StatusBoard,
};

/// Cameras come and go while the worker runs: so many can come without a higher limit of open files.
const ROOM_FOR_CAMERAS: usize = 1000;
/// Time for events that still wait at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether a new day has begun.
const LOOK_AT_DAY: Duration = Duration::from_secs(10);
/// How often the snapshot folder is swept.
const SWEEP_INTERVAL: Duration = Duration::from_secs(600);

/// Why a worker can't start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// ONNX Runtime can't be used.
    #[error("ONNX Runtime can't be used")]
    Runtime(#[from] RuntimeError),
    /// The manifest can't be used.
    #[error("the model's manifest can't be used")]
    Manifest(#[from] ManifestError),
    /// The model can't be used.
    #[error("the model can't be used")]
    Model(#[from] ModelError),
    /// GStreamer can't be used.
    #[error("GStreamer can't be used: {0}")]
    GStreamer(String),
    /// A decoder is missing.
    #[error("a decoder can't be used")]
    Decoder(#[from] ChainError),
    /// The outbox can't be opened.
    #[error("the outbox can't be opened")]
    Outbox(#[from] LogError),
    /// Sensors can't be listened to.
    #[error("sensors can't be listened to")]
    Sensors(#[from] SensorsError),
    /// A thread can't be started.
    #[error("a thread can't be started")]
    Thread(#[from] std::io::Error),
    /// No camera can be read.
    #[error("no camera can be read")]
    Cameras(#[source] Mistakes),
    /// Metrics can't be registered.
    #[error("metrics can't be registered")]
    Metrics(#[from] prometheus::Error),
}

/// A running worker.
pub struct Worker {
    /// How each camera is.
    pub board: StatusBoard,
    /// What keeps events from being forwarded, if anything.
    pub publishing: Health,
    /// What the model runs on.
    pub provider: Provider,
    /// The cameras.
    pub fleet: Fleet,
    /// Reads the camera files again, where there are any.
    pub reload: Option<Reload>,
    /// The cameras that were added by API.
    pub kept: Kept,
    /// Contact with the registry, where there is one.
    pub registry: Option<Contact>,
    following: Option<tokio::task::JoinHandle<()>>,
    /// Brokers, HTTP push and their sensors.
    pub sensors: Sensors,
    /// Which networks run, and on what.
    pub networks: Networks,
    outbox: Outbox,
    writer: Writer,
    stop_sources: CancellationToken,
    forwarding: tokio::task::JoinHandle<()>,
    stop_forwarding: CancellationToken,
    sweeping: tokio::task::JoinHandle<()>,
    decoders: Arc<DecoderPool>,
    scheduler: Arc<Scheduler>,
}

impl Worker {
    /// Loads the model, opens the outbox, starts all cameras. Events go to `sink`. Must be called within a tokio runtime.
    pub fn start(settings: IngestSettings, sink: Sink, registry: &Registry) -> Result<Self, WorkerError> {
        let metrics = Metrics::new(registry)?;
        files::raise_limit(ROOM_FOR_CAMERAS.max(settings.cameras.len()));
        check_decoders(settings.decoder)?;
        let (detectors, provider) = load_detectors(&settings)?;
        let networks = metrics.networks().clone();
        detectors.iter().flat_map(|detector| detector.model().networks()).for_each(|facts| networks.saw(&facts));
        let scheduler = Arc::new(Scheduler::start(detectors, &metrics)?);
        let (n_threads, n_leases) = (settings.n_decode_threads, settings.n_stream_decoders);
        let decoders = Arc::new(DecoderPool::start(n_threads, n_leases, settings.decoder, &metrics)?);
        let written = Arc::new(Notify::new());
        let log_path = settings.data_dir.join("outbox.db");
        let (outbox, writer) = Outbox::open(&log_path, settings.outbox_bytes, metrics.clone(), Arc::clone(&written))?;
        let publishing = Health::default();
        let log = LogReader::open(&log_path)?;
        let remembered = log.remembered()?;
        let sensors = Sensors::start(settings.intake, outbox.clone(), SensorMetrics::new(registry)?, remembered)?;
        let log = Arc::new(Mutex::new(log));
        let forwarder = Forwarder { log, written, sink, health: publishing.clone(), metrics: metrics.clone() };
        let stop_forwarding = CancellationToken::new();
        let forwarding = tokio::spawn(forwarder.run(stop_forwarding.clone(), SHUTDOWN_GRACE));
        let folder = settings.data_dir.join("snapshots");
        let snapshots = SnapshotStore::new(folder, settings.snapshot_bytes, metrics.clone());
        if let Some(SealedOriginals { recipient, assessment, keep }) = &settings.sealed_originals {
            tracing::info!(?recipient, assessment, ?keep, "originals are sealed");
        }
        let snapshots = snapshots.with_originals(settings.sealed_originals);
        let deadlines = Deadlines { connect: settings.connect_timeout, stall: settings.stall_after };
        let board = StatusBoard::default();
        let parts = Parts {
            deadlines,
            admission: Admission::default(),
            decoders: Arc::clone(&decoders),
            scheduler: Arc::clone(&scheduler),
            outbox: outbox.clone(),
            snapshots: snapshots.clone(),
            board: board.clone(),
            metrics: metrics.clone(),
        };
        let fleet = Fleet::new(parts, today(Timestamp::now()));
        fleet.want(Origin::Start, settings.cameras.into_iter().map(Wanted::from).collect());
        let stop_sources = CancellationToken::new();
        tokio::spawn(keep_days(fleet.clone(), stop_sources.clone()));
        let beside = settings.camera_files.as_ref().map(|files| files.settings.clone()).unwrap_or_default();
        let kept = Kept::open(&settings.data_dir, &beside, settings.camera_defaults.networks_only(), fleet.clone());
        let reload = match settings.camera_files {
            Some(files) => {
                let (watcher, reload) = read_files(files, &fleet, &metrics);
                if settings.registry.is_none() && fleet.cameras().is_empty() && !reload.mistakes().is_empty() {
                    return Err(WorkerError::Cameras(Mistakes(reload.mistakes())));
                }
                tokio::spawn(watcher.run(stop_sources.clone()));
                Some(reload)
            }
            None => None,
        };
        let (registry, following) = match settings.registry {
            Some(settings) => {
                let contact = Contact::default();
                let (fleet, stop, told) = (fleet.clone(), stop_sources.clone(), contact.clone());
                let following = tokio::task::spawn_blocking(move || follow(&settings, &fleet, &told, &stop));
                (Some(contact), Some(following))
            }
            None => (None, None),
        };
        Ok(Self {
            board,
            publishing,
            provider,
            fleet,
            reload,
            kept,
            registry,
            following,
            sensors,
            networks,
            outbox,
            writer,
            stop_sources,
            forwarding,
            stop_forwarding,
            sweeping: tokio::spawn(sweep(snapshots)),
            decoders,
            scheduler,
        })
    }

    /// What keeps pictures from being analysed, if anything: threads that were lost.
    pub fn analysing(&self) -> impl Fn() -> Option<String> + Send + Sync + use<> {
        let (decoders, detectors) = (self.decoders.threads(), self.scheduler.threads());
        move || {
            let n_lost = decoders.n_lost() + detectors.n_lost();
            (n_lost > 0).then(|| format!("{n_lost} threads were lost to a defect; restart and report it"))
        }
    }

    /// What keeps the outbox from being written, if anything.
    pub fn writing(&self) -> Trouble {
        self.outbox.trouble()
    }

    /// Stops pulling, finishes what is in hand, and forwards for a few seconds what still waits.
    pub async fn stop(self) {
        self.stop_sources.cancel();
        if let Some(following) = self.following
            && following.await.is_err()
        {
            tracing::error!("the registry's thread had panicked");
        }
        self.fleet.stop().await;
        self.sensors.stop().await;
        let Self { outbox, writer, decoders, scheduler, .. } = self;
        let drained = tokio::task::spawn_blocking(move || {
            decoders.stop();
            scheduler.stop();
            drop(scheduler);
            drop(outbox);
            writer.join();
        });
        if drained.await.is_err() {
            tracing::error!("shutdown was cut short");
        }
        self.stop_forwarding.cancel();
        if self.forwarding.await.is_err() {
            tracing::error!("the forwarder had panicked");
        }
        self.sweeping.abort();
    }
}

/// Starts the cameras of the files.
fn read_files(files: CameraFiles, fleet: &Fleet, metrics: &Metrics) -> (Watcher, Reload) {
    let mut source = FileSource::new(files);
    let reading = source.read();
    let (watcher, reload) = Watcher::new(source, fleet.clone(), metrics.clone());
    watcher.apply(reading);
    (watcher, reload)
}

/// Tells the fleet of each new day.
async fn keep_days(fleet: Fleet, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_AT_DAY);
    loop {
        tokio::select! {
            _ = look.tick() => drop(fleet.day_is(today(Timestamp::now()))),
            () = stop.cancelled() => return,
        }
    }
}

fn check_decoders(decoder: DecoderSettings) -> Result<(), WorkerError> {
    gstreamer::init().map_err(|error| WorkerError::GStreamer(error.to_string()))?;
    for codec in [Codec::H264, Codec::H265] {
        Chain::new(codec, decoder)?;
    }
    Ok(())
}

fn load_detectors(settings: &IngestSettings) -> Result<(Vec<Detector>, Provider), WorkerError> {
    let ModelSettings { manifest, assessment, folder, onnxruntime, session } = &settings.model;
    let runtime: Runtime = init_runtime(onnxruntime.as_deref())?;
    let manifest = Manifest::read(manifest)?;
    tracing::info!(model = manifest.name, assessment, "this model is to look");
    let folder: &Path = folder;
    let mut detectors = Vec::with_capacity(settings.n_detectors);
    let mut provider = Provider::Cpu;
    for _ in 0..settings.n_detectors {
        let model = Model::load(&runtime, &manifest, folder, session)?;
        provider = model.provider();
        detectors.push(Detector::new(model));
    }
    Ok((detectors, provider))
}

async fn sweep(snapshots: SnapshotStore) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        let store = snapshots.clone();
        match tokio::task::spawn_blocking(move || store.sweep(SystemTime::now())).await {
            Ok(Ok(0)) => {}
            Ok(Ok(n_files)) => tracing::info!(n_files, "swept old snapshots"),
            Ok(Err(error)) => tracing::warn!(%error, "can't sweep the snapshot folder"),
            Err(error) => tracing::error!(%error, "the sweep ended badly"),
        }
    }
}
