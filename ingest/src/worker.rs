//! One ingest worker: wires the parts together, starts every camera at once, and stops them in the order of the data.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use xueliang_events::{
    SessionId, Source,
    payload::{CameraRegistered, Transport},
};
use xueliang_inference::{
    Detector, Manifest, ManifestError, Model, ModelError, Provider, Runtime, RuntimeError, init_runtime,
};

use crate::{
    access_unit::Codec,
    camera::{CameraEvents, CameraTask},
    decode::{
        DecoderPool, Lane, LaneSettings,
        chain::{Chain, ChainError},
    },
    metrics::Metrics,
    networks::Networks,
    outbox::{Draft, LogError, LogReader, Outbox, Trouble, Writer},
    publish::{Forwarder, Health, Sink},
    scheduler::{Scheduler, SlotSink},
    session::Deadlines,
    settings::{CameraSettings, IngestSettings, ModelSettings, StreamTransport},
    snapshots::SnapshotStore,
    status::{StatusBoard, StatusReporter},
};

/// Time for events that still wait at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
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
    /// A thread can't be started.
    #[error("a thread can't be started")]
    Thread(#[from] std::io::Error),
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
    /// Which networks run, and on what.
    pub networks: Networks,
    outbox: Outbox,
    writer: Writer,
    cameras: JoinSet<()>,
    stop_cameras: CancellationToken,
    forwarding: tokio::task::JoinHandle<()>,
    stop_forwarding: CancellationToken,
    sweeping: tokio::task::JoinHandle<()>,
    decoders: Arc<DecoderPool>,
    scheduler: Scheduler,
}

impl Worker {
    /// Loads the model, opens the outbox, starts all cameras. Events go to `sink`. Must be called within a tokio runtime.
    pub fn start(settings: IngestSettings, sink: Sink, registry: &Registry) -> Result<Self, WorkerError> {
        let metrics = Metrics::new(registry)?;
        check_decoders()?;
        let (detectors, provider) = load_detectors(&settings)?;
        let networks = metrics.networks().clone();
        detectors.iter().flat_map(|detector| detector.model().networks()).for_each(|facts| networks.saw(&facts));
        let scheduler = Scheduler::start(detectors, &metrics)?;
        let decoders = Arc::new(DecoderPool::start(settings.n_decode_threads, settings.n_stream_decoders)?);
        let written = Arc::new(Notify::new());
        let log_path = settings.data_dir.join("outbox.db");
        let (outbox, writer) = Outbox::open(&log_path, settings.outbox_bytes, metrics.clone(), Arc::clone(&written))?;
        let publishing = Health::default();
        let log = Arc::new(Mutex::new(LogReader::open(&log_path)?));
        let forwarder = Forwarder { log, written, sink, health: publishing.clone(), metrics: metrics.clone() };
        let stop_forwarding = CancellationToken::new();
        let forwarding = tokio::spawn(forwarder.run(stop_forwarding.clone(), SHUTDOWN_GRACE));
        let folder = settings.data_dir.join("snapshots");
        let snapshots = SnapshotStore::new(folder, settings.snapshot_bytes, metrics.clone());
        let mut worker = Self {
            board: StatusBoard::default(),
            publishing,
            provider,
            networks,
            outbox,
            writer,
            cameras: JoinSet::new(),
            stop_cameras: CancellationToken::new(),
            forwarding,
            stop_forwarding,
            sweeping: tokio::spawn(sweep(snapshots.clone())),
            decoders,
            scheduler,
        };
        let deadlines = Deadlines { connect: settings.connect_timeout, stall: settings.stall_after };
        for camera in settings.cameras {
            worker.start_camera(camera, deadlines, &snapshots, &metrics);
        }
        Ok(worker)
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
    pub async fn stop(mut self) {
        self.stop_cameras.cancel();
        while self.cameras.join_next().await.is_some() {}
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

    fn start_camera(
        &mut self,
        camera: CameraSettings,
        deadlines: Deadlines,
        snapshots: &SnapshotStore,
        metrics: &Metrics,
    ) {
        let session = SessionId::random();
        let camera_metrics = metrics.camera(camera.id.as_str());
        let events = Arc::new(CameraEvents::new(camera.clone(), session, self.outbox.clone(), snapshots.clone()));
        let slot = self.scheduler.slot(Arc::clone(&events) as _, camera_metrics.clone());
        let lane_settings = LaneSettings {
            masks: camera.privacy_masks(),
            analysis_fps: camera.analysis_fps,
            metrics: camera_metrics.clone(),
        };
        let lane = Arc::new(Lane::new(lane_settings, Arc::new(SlotSink(slot))));
        let status =
            StatusReporter::new(&camera, session, self.board.clone(), self.outbox.clone(), camera_metrics.clone());
        let registration = registration(&camera, session);
        let outbox = self.outbox.clone();
        let decoders = Arc::clone(&self.decoders);
        let task = CameraTask { camera, deadlines, decoders, lane, events, status, metrics: camera_metrics };
        let stop = self.stop_cameras.clone();
        self.cameras.spawn(async move {
            outbox.append(registration).await;
            drop(outbox);
            task.run(stop).await;
        });
    }
}

/// The camera's entry for the registry: names and transport, never its address.
fn registration(camera: &CameraSettings, session: SessionId) -> Draft {
    let transport = match camera.transport {
        StreamTransport::Tcp => Transport::Tcp,
        StreamTransport::Udp => Transport::Udp,
    };
    Draft {
        source: Source::Registry(camera.id.clone().into()),
        session,
        grid: camera.grid.clone(),
        time: Timestamp::now(),
        payload: CameraRegistered { names: camera.names.clone(), position: None, transport }.into(),
    }
}

fn check_decoders() -> Result<(), WorkerError> {
    gstreamer::init().map_err(|error| WorkerError::GStreamer(error.to_string()))?;
    for codec in [Codec::H264, Codec::H265] {
        Chain::new(codec)?;
    }
    Ok(())
}

fn load_detectors(settings: &IngestSettings) -> Result<(Vec<Detector>, Provider), WorkerError> {
    let ModelSettings { manifest, folder, onnxruntime, session } = &settings.model;
    let runtime: Runtime = init_runtime(onnxruntime.as_deref())?;
    let manifest = Manifest::read(manifest)?;
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
