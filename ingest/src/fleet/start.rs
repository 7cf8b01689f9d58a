//! Wires one camera together: its events, its slot before the detectors, its lane through the decoders, its status.

use std::sync::Arc;

use jiff::Timestamp;
use xueliang_events::{
    SessionId, Source,
    payload::{CameraRegistered, Transport},
};

use crate::{
    backoff::Admission,
    camera::{CameraEvents, CameraTask},
    decode::{DecoderPool, Lane, LaneSettings},
    gate::Gate,
    metrics::Metrics,
    outbox::{Draft, Outbox},
    scheduler::{Scheduler, SlotSink},
    session::Deadlines,
    settings::{CameraSettings, StreamTransport},
    snapshots::SnapshotStore,
    status::{StatusBoard, StatusReporter},
};

/// What all cameras share; cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// Every camera's deadlines.
    pub deadlines: Deadlines,
    /// Spreads their connections.
    pub admission: Admission,
    /// The decoders.
    pub decoders: Arc<DecoderPool>,
    /// The detectors.
    pub scheduler: Arc<Scheduler>,
    /// Where events go.
    pub outbox: Outbox,
    /// Where redacted snapshots go.
    pub snapshots: SnapshotStore,
    /// How each camera is.
    pub board: StatusBoard,
    /// The counters.
    pub metrics: Metrics,
}

/// The camera's task, and its entry for the registry.
pub(super) fn start_camera(parts: &Parts, camera: CameraSettings, session: SessionId) -> (CameraTask, Draft) {
    let metrics = parts.metrics.camera(camera.id.as_str());
    let (outbox, snapshots) = (parts.outbox.clone(), parts.snapshots.clone());
    let (events, verdicts) = CameraEvents::new(camera.clone(), session, outbox, snapshots);
    let events = Arc::new(events);
    let slot = parts.scheduler.slot(Arc::clone(&events) as _, camera.analysis_fps, metrics.clone());
    let new_lane = || {
        let (masks, metrics) = (camera.privacy_masks(), metrics.clone());
        let settings = LaneSettings { masks, analysis_fps: camera.analysis_fps, metrics };
        Arc::new(Lane::new(settings, Arc::new(SlotSink(Arc::clone(&slot)))))
    };
    let (lane, sub_lane) = (new_lane(), camera.sub.as_ref().map(|_| new_lane()));
    let status = StatusReporter::new(&camera, session, parts.board.clone(), parts.outbox.clone(), metrics.clone());
    let registration = registration(&camera, session);
    let (deadlines, admission, decoders) = (parts.deadlines, parts.admission.clone(), Arc::clone(&parts.decoders));
    let gate = Gate::new(camera.gate);
    let task =
        CameraTask { camera, deadlines, admission, decoders, lane, sub_lane, gate, events, verdicts, status, metrics };
    (task, registration)
}

/// The camera's entry for the registry: names and transport, never its address.
pub(super) fn registration(camera: &CameraSettings, session: SessionId) -> Draft {
    let transport = match camera.transport {
        StreamTransport::Tcp => Transport::Tcp,
        StreamTransport::Udp => Transport::Udp,
    };
    Draft {
        source: Source::Registry(camera.id.clone().into()),
        session,
        grid: camera.grid.clone(),
        time: Timestamp::now(),
        payload: CameraRegistered { names: camera.names.clone(), position: camera.position, transport }.into(),
    }
}
