//! All metric names of ingest. Labels are bounded: cameras of the settings, stages and types of the code.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};
use xueliang_inference::{Detections, Timings};

use crate::networks::Networks;

/// Counters of one worker; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    access_units: IntCounterVec,
    pulled_bytes: IntCounterVec,
    lost_packets: IntCounterVec,
    gate: IntCounterVec,
    decoded: IntCounterVec,
    decode_errors: IntCounterVec,
    inferred: IntCounterVec,
    inference_errors: IntCounterVec,
    detections: IntCounterVec,
    dropped: IntCounterVec,
    reconnects: IntCounterVec,
    camera_up: IntGaugeVec,
    stage_seconds: HistogramVec,
    networks: Networks,
    events: IntCounterVec,
    outbox_dropped: IntCounter,
    outbox_events: IntGauge,
    outbox_bytes: IntGauge,
    outbox_errors: IntCounter,
    forwarded: IntCounter,
    publish_errors: IntCounter,
    snapshots: IntCounterVec,
}

impl Metrics {
    /// Registers everything in `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let per_camera = |name, help| counters(registry, name, help, &["camera"]);
        Ok(Self {
            access_units: per_camera("xueliang_access_units_total", "Access units pulled.")?,
            pulled_bytes: per_camera("xueliang_pulled_bytes_total", "Bytes of access units pulled.")?,
            lost_packets: per_camera("xueliang_rtp_packets_lost_total", "RTP packets lost on the way.")?,
            gate: counters(
                registry,
                "xueliang_gate_decisions_total",
                "Access units by what the gate decided.",
                &["camera", "decision"],
            )?,
            decoded: per_camera("xueliang_frames_decoded_total", "Frames decoded.")?,
            decode_errors: per_camera("xueliang_decode_errors_total", "Errors that the decoder reported.")?,
            inferred: per_camera("xueliang_inferences_total", "Frames analysed.")?,
            inference_errors: per_camera("xueliang_inference_errors_total", "Frames that the model failed on.")?,
            detections: counters(
                registry,
                "xueliang_detections_total",
                "Objects detected in analysed frames, above the model's score threshold.",
                &["camera", "class"],
            )?,
            dropped: counters(
                registry,
                "xueliang_frames_dropped_total",
                "Access units dropped before decoding and frames before detection because newer ones came.",
                &["camera", "stage"],
            )?,
            reconnects: per_camera("xueliang_reconnects_total", "Sessions that ended and are tried again.")?,
            camera_up: registered(
                registry,
                IntGaugeVec::new(Opts::new("xueliang_camera_up", "1 while the camera delivers."), &["camera"])?,
            )?,
            stage_seconds: registered(registry, stage_histogram()?)?,
            networks: Networks::new(registered(registry, provider_info()?)?),
            events: counters(registry, "xueliang_events_total", "Events written to the outbox.", &["type"])?,
            outbox_dropped: counter(
                registry,
                "xueliang_outbox_dropped_total",
                "Occupancy events dropped because the outbox is at its bound.",
            )?,
            outbox_events: gauge(registry, "xueliang_outbox_events", "Events that wait in the outbox.")?,
            outbox_bytes: gauge(registry, "xueliang_outbox_bytes", "Bytes that wait in the outbox.")?,
            outbox_errors: counter(registry, "xueliang_outbox_errors_total", "Writes that the outbox's disk refused.")?,
            forwarded: counter(
                registry,
                "xueliang_events_forwarded_total",
                "Events acknowledged by Kafka or alerting.",
            )?,
            publish_errors: counter(registry, "xueliang_publish_errors_total", "Batches that were not acknowledged.")?,
            snapshots: counters(
                registry,
                "xueliang_snapshots_total",
                "Redacted snapshots kept, and events left without one because making it failed.",
                &["outcome"],
            )?,
        })
    }

    /// The counters of one camera.
    pub fn camera(&self, camera: &str) -> CameraMetrics {
        let of = |counters: &IntCounterVec| counters.with_label_values(&[camera]);
        CameraMetrics {
            camera: camera.to_owned(),
            access_units: of(&self.access_units),
            pulled_bytes: of(&self.pulled_bytes),
            lost_packets: of(&self.lost_packets),
            gate: self.gate.clone(),
            decoded: of(&self.decoded),
            decode_errors: of(&self.decode_errors),
            inferred: of(&self.inferred),
            inference_errors: of(&self.inference_errors),
            networks: self.networks.clone(),
            detections: self.detections.clone(),
            dropped_before_decode: self.dropped.with_label_values(&[camera, "decode"]),
            dropped_before_detection: self.dropped.with_label_values(&[camera, "detect"]),
            reconnects: of(&self.reconnects),
            up: self.camera_up.with_label_values(&[camera]),
            decode_seconds: self.stage_seconds.with_label_values(&["decode"]),
        }
    }

    pub(crate) fn detected(&self, timings: &Timings) {
        self.stage("preprocess", timings.preprocess);
        self.stage("infer", timings.infer);
        self.stage("postprocess", timings.decode);
    }

    /// The networks that run.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    pub(crate) fn analyse_timer(&self) -> HistogramTimer {
        self.stage_seconds.with_label_values(&["analyse"]).start_timer()
    }

    pub(crate) fn published(&self, n_events: usize, took: Duration) {
        self.stage("publish", took);
        self.forwarded.inc_by(n_events as u64);
    }

    pub(crate) fn publish_failed(&self) {
        self.publish_errors.inc();
    }

    pub(crate) fn event_written(&self, wire_type: &str) {
        self.events.with_label_values(&[wire_type]).inc();
    }

    pub(crate) fn outbox_depth(&self, n_events: i64, n_bytes: i64) {
        self.outbox_events.set(n_events);
        self.outbox_bytes.set(n_bytes);
    }

    pub(crate) fn outbox_dropped(&self, n_events: u64) {
        self.outbox_dropped.inc_by(n_events);
    }

    pub(crate) fn outbox_failed(&self) {
        self.outbox_errors.inc();
    }

    pub(crate) fn snapshot_kept(&self) {
        self.snapshots.with_label_values(&["kept"]).inc();
    }

    pub(crate) fn snapshot_failed(&self) {
        self.snapshots.with_label_values(&["failed"]).inc();
    }

    fn stage(&self, stage: &str, took: Duration) {
        self.stage_seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
    }
}

/// Counters of one camera; cheap to clone.
#[derive(Clone)]
pub struct CameraMetrics {
    camera: String,
    access_units: IntCounter,
    pulled_bytes: IntCounter,
    lost_packets: IntCounter,
    gate: IntCounterVec,
    decoded: IntCounter,
    decode_errors: IntCounter,
    inferred: IntCounter,
    inference_errors: IntCounter,
    networks: Networks,
    detections: IntCounterVec,
    dropped_before_decode: IntCounter,
    dropped_before_detection: IntCounter,
    reconnects: IntCounter,
    up: IntGauge,
    decode_seconds: Histogram,
}

impl CameraMetrics {
    /// The camera's id, for logs.
    pub fn camera(&self) -> &str {
        &self.camera
    }

    pub(crate) fn pulled(&self, n_bytes: usize, lost_packets: u16, decision: &str) {
        self.access_units.inc();
        self.pulled_bytes.inc_by(n_bytes as u64);
        self.lost_packets.inc_by(u64::from(lost_packets));
        self.gate.with_label_values(&[self.camera.as_str(), decision]).inc();
    }

    pub(crate) fn decode_timer(&self) -> HistogramTimer {
        self.decode_seconds.start_timer()
    }

    pub(crate) fn decoded(&self) {
        self.decoded.inc();
    }

    pub(crate) fn decode_errors(&self, n_errors: u64) {
        self.decode_errors.inc_by(n_errors);
    }

    pub(crate) fn inferred(&self, detections: &Detections) {
        self.inferred.inc();
        if let Some(facts) = detections.network() {
            self.networks.saw(facts);
        }
        for detection in detections.confident() {
            self.detections.with_label_values(&[self.camera.as_str(), detection.class.as_str()]).inc();
        }
    }

    pub(crate) fn inference_failed(&self) {
        self.inference_errors.inc();
    }

    pub(crate) fn dropped_before_decode(&self, n_units: u64) {
        self.dropped_before_decode.inc_by(n_units);
    }

    pub(crate) fn dropped_before_detection(&self) {
        self.dropped_before_detection.inc();
    }

    pub(crate) fn reconnected(&self) {
        self.reconnects.inc();
    }

    pub(crate) fn up(&self, delivers: bool) {
        self.up.set(i64::from(delivers));
    }
}

fn provider_info() -> prometheus::Result<IntGaugeVec> {
    let options =
        Opts::new("xueliang_inference_provider_info", "1 for each network that runs, by what really runs it.");
    IntGaugeVec::new(options, &["provider", "model", "shape"])
}

fn stage_histogram() -> prometheus::Result<HistogramVec> {
    let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
    let options = HistogramOpts::new("xueliang_stage_seconds", "Time that one unit of work took in each stage.");
    HistogramVec::new(options.buckets(buckets), &["stage"])
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    registered(registry, IntCounter::new(name, help)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    registered(registry, IntGauge::new(name, help)?)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
