//! All metric names of ingest. Labels are bounded: cameras of the settings, stages and types of the code.

mod sensor;
mod stream;

use std::{collections::HashMap, time::Duration};

use prometheus::{
    Histogram, HistogramOpts, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
    core::{Collector, MetricVec, MetricVecBuilder},
};
use xueliang_inference::{Detections, Timings};

use crate::{
    analyse::How,
    gate::{Evidence, Job, Mode, Purpose},
    networks::Networks,
};

pub use sensor::SensorMetrics;
use stream::StreamGauges;

/// Counters of one worker; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    access_units: IntCounterVec,
    pulled_bytes: IntCounterVec,
    lost_packets: IntCounterVec,
    gate: IntCounterVec,
    gate_evidence: IntGaugeVec,
    stream_decoders: IntGauge,
    decoded: IntCounterVec,
    spared: IntCounterVec,
    decode_errors: IntCounterVec,
    inferred: IntCounterVec,
    looks: IntCounterVec,
    inference_errors: IntCounterVec,
    detections: IntCounterVec,
    dropped: IntCounterVec,
    reconnects: IntCounterVec,
    failures: IntCounterVec,
    camera_up: IntGaugeVec,
    cameras: IntGauge,
    cameras_refused: IntGauge,
    cameras_suspended: IntGauge,
    reloads: IntCounterVec,
    stream: StreamGauges,
    stage_seconds: HistogramVec,
    picture_age: HistogramVec,
    networks: Networks,
    events: IntCounterVec,
    outbox_dropped: IntCounter,
    outbox_events: IntGauge,
    outbox_bytes: IntGauge,
    outbox_errors: IntCounter,
    forwarded: IntCounter,
    publish_errors: IntCounter,
    snapshots: IntCounterVec,
    originals: IntCounterVec,
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
            gate_evidence: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new("xueliang_gate_evidence", "1 for what the camera's gate goes by now."),
                    &["camera", "evidence"],
                )?,
            )?,
            stream_decoders: gauge(
                registry,
                "xueliang_stream_decoders",
                "Decoders that cameras with an open gate own now; a camera whose gate is closed owns none.",
            )?,
            decoded: per_camera("xueliang_frames_decoded_total", "Frames decoded.")?,
            spared: per_camera(
                "xueliang_access_units_spared_total",
                "Access units of an open gate that never were decoded, because no picture that is looked at needs them.",
            )?,
            decode_errors: per_camera("xueliang_decode_errors_total", "Errors that the decoder reported.")?,
            inferred: per_camera("xueliang_inferences_total", "Frames analysed, with or without a detector.")?,
            looks: counters(
                registry,
                "xueliang_looks_total",
                "Looks of the detector at all or a part of a frame, and frames analysed without: unchanged, or tracks carried.",
                &["camera", "how"],
            )?,
            inference_errors: per_camera("xueliang_inference_errors_total", "Frames that the model failed on.")?,
            detections: counters(
                registry,
                "xueliang_detections_total",
                "Objects detected in looks at all of a frame, above the model's score threshold.",
                &["camera", "class"],
            )?,
            dropped: counters(
                registry,
                "xueliang_frames_dropped_total",
                "Access units dropped before decoding and frames before detection because newer ones came.",
                &["camera", "stage"],
            )?,
            reconnects: per_camera("xueliang_reconnects_total", "Sessions that ended and are tried again.")?,
            failures: counters(
                registry,
                "xueliang_session_failures_total",
                "Camera sessions that ended or could not begin, by cause.",
                &["camera", "cause"],
            )?,
            camera_up: registered(
                registry,
                IntGaugeVec::new(Opts::new("xueliang_camera_up", "1 while the camera delivers."), &["camera"])?,
            )?,
            cameras: gauge(registry, "xueliang_cameras", "Cameras that this worker pulls.")?,
            cameras_suspended: gauge(
                registry,
                "xueliang_cameras_suspended",
                "Cameras that are not pulled because their authorization does not hold.",
            )?,
            cameras_refused: gauge(
                registry,
                "xueliang_cameras_refused",
                "Cameras that this worker was given with mistakes and does not pull.",
            )?,
            reloads: counters(
                registry,
                "xueliang_reloads_total",
                "Changes of the cameras by what became of them; a refused one leaves what runs as it is.",
                &["outcome"],
            )?,
            stream: StreamGauges::new(registry)?,
            stage_seconds: registered(registry, stage_histogram()?)?,
            picture_age: registered(registry, age_histogram()?)?,
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
            originals: counters(
                registry,
                "xueliang_sealed_originals_total",
                "Sealed originals kept beside their snapshots, and snapshots left without one because sealing failed.",
                &["outcome"],
            )?,
        })
    }

    /// How many cameras own a decoder.
    pub fn stream_decoders(&self) -> IntGauge {
        self.stream_decoders.clone()
    }

    /// The counters of one camera.
    pub fn camera(&self, camera: &str) -> CameraMetrics {
        let of = |counters: &IntCounterVec| counters.with_label_values(&[camera]);
        CameraMetrics {
            camera: camera.to_owned(),
            access_units: of(&self.access_units),
            pulled_bytes: of(&self.pulled_bytes),
            lost_packets: of(&self.lost_packets),
            gate: DECISIONS.map(|decision| self.gate.with_label_values(&[camera, decision])),
            evidence: Evidence::ALL.map(|evidence| self.gate_evidence.with_label_values(&[camera, evidence.as_str()])),
            decoded: of(&self.decoded),
            spared: of(&self.spared),
            decode_errors: of(&self.decode_errors),
            inferred: of(&self.inferred),
            looks: How::ALL.map(|how| self.looks.with_label_values(&[camera, how.as_str()])),
            inference_errors: of(&self.inference_errors),
            networks: self.networks.clone(),
            detections: self.detections.clone(),
            dropped_before_decode: self.dropped.with_label_values(&[camera, "decode"]),
            dropped_before_detection: self.dropped.with_label_values(&[camera, "detect"]),
            reconnects: of(&self.reconnects),
            failures: self.failures.clone(),
            up: self.camera_up.with_label_values(&[camera]),
            stream: self.stream.clone(),
            decode_seconds: self.stage_seconds.with_label_values(&["decode"]),
        }
    }

    /// Removes every series of a camera that is gone.
    pub(crate) fn forget(&self, camera: &str) {
        let counters = [
            &self.access_units,
            &self.pulled_bytes,
            &self.lost_packets,
            &self.gate,
            &self.decoded,
            &self.spared,
            &self.decode_errors,
            &self.inferred,
            &self.looks,
            &self.inference_errors,
            &self.detections,
            &self.dropped,
            &self.reconnects,
        ];
        counters.into_iter().for_each(|counters| forget_in(counters, camera));
        self.stream.forget(camera);
        [&self.camera_up, &self.gate_evidence].into_iter().for_each(|gauges| forget_in(gauges, camera));
    }

    pub(crate) fn reloaded(&self, applied: bool) {
        self.reloads.with_label_values(&[if applied { "applied" } else { "refused" }]).inc();
    }

    pub(crate) fn fleet(&self, n_cameras: usize, n_refused: usize, n_suspended: usize) {
        self.cameras.set(i64::try_from(n_cameras).unwrap_or(i64::MAX));
        self.cameras_refused.set(i64::try_from(n_refused).unwrap_or(i64::MAX));
        self.cameras_suspended.set(i64::try_from(n_suspended).unwrap_or(i64::MAX));
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

    pub(crate) fn analysed(&self, took: Duration) {
        self.stage("analyse", took);
    }

    /// So old was a picture when its events were written.
    pub(crate) fn picture_age(&self, purpose: Purpose, age: Duration) {
        let purpose = match purpose {
            Purpose::Live => "live",
            Purpose::CatchUp => "catch_up",
            Purpose::Check => "check",
        };
        self.picture_age.with_label_values(&[purpose]).observe(age.as_secs_f64());
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

    pub(crate) fn original_sealed(&self, is_kept: bool) {
        self.originals.with_label_values(&[if is_kept { "kept" } else { "failed" }]).inc();
    }

    pub(crate) fn snapshot_failed(&self) {
        self.snapshots.with_label_values(&["failed"]).inc();
    }

    fn stage(&self, stage: &str, took: Duration) {
        self.stage_seconds.with_label_values(&[stage]).observe(took.as_secs_f64());
    }
}

/// What becomes of an access unit, in the order of [`decision`]'s places.
const DECISIONS: [&str; 5] = ["keep", "still", "check", "stream", "catch_up"];

fn decision(mode: Mode, purpose: Purpose) -> usize {
    match (mode, purpose) {
        (Mode::Still, Purpose::Check) => 2,
        (Mode::Still, _) => 1,
        (Mode::Stream, Purpose::CatchUp) => 4,
        (Mode::Stream, _) => 3,
    }
}

/// Counters of one camera; cheap to clone.
#[derive(Clone)]
pub struct CameraMetrics {
    camera: String,
    access_units: IntCounter,
    pulled_bytes: IntCounter,
    lost_packets: IntCounter,
    gate: [IntCounter; DECISIONS.len()],
    evidence: [IntGauge; Evidence::ALL.len()],
    decoded: IntCounter,
    spared: IntCounter,
    decode_errors: IntCounter,
    inferred: IntCounter,
    looks: [IntCounter; How::ALL.len()],
    inference_errors: IntCounter,
    networks: Networks,
    detections: IntCounterVec,
    dropped_before_decode: IntCounter,
    dropped_before_detection: IntCounter,
    reconnects: IntCounter,
    failures: IntCounterVec,
    up: IntGauge,
    stream: StreamGauges,
    decode_seconds: Histogram,
}

impl CameraMetrics {
    /// The camera's id, for logs.
    pub fn camera(&self) -> &str {
        &self.camera
    }

    pub(crate) fn pulled(&self, n_bytes: usize, lost_packets: u16) {
        self.access_units.inc();
        self.pulled_bytes.inc_by(n_bytes as u64);
        self.lost_packets.inc_by(u64::from(lost_packets));
    }

    pub(crate) fn gate_evidence(&self, evidence: Evidence) {
        for (gauge, known) in self.evidence.iter().zip(Evidence::ALL) {
            gauge.set(i64::from(known == evidence));
        }
    }

    pub(crate) fn kept(&self) {
        self.gate[0].inc();
    }

    pub(crate) fn gated(&self, jobs: &[Job]) {
        for job in jobs {
            if let Job::Decode { mode, purpose, .. } = job {
                self.gate[decision(*mode, *purpose)].inc();
            }
        }
    }

    pub(crate) fn decode_timer(&self) -> HistogramTimer {
        self.decode_seconds.start_timer()
    }

    pub(crate) fn decoded(&self) {
        self.decoded.inc();
    }

    pub(crate) fn spared(&self, n_units: u64) {
        self.spared.inc_by(n_units);
    }

    pub(crate) fn decode_errors(&self, n_errors: u64) {
        self.decode_errors.inc_by(n_errors);
    }

    pub(crate) fn analysed(&self, how: How) {
        self.inferred.inc_by(u64::from(how != How::Not));
        if matches!(how, How::Unchanged | How::Carried) {
            self.count(how);
        }
    }

    fn count(&self, how: How) {
        for (counter, known) in self.looks.iter().zip(How::ALL) {
            counter.inc_by(u64::from(known == how));
        }
    }

    pub(crate) fn inferred(&self, detections: &Detections) {
        if let Some(facts) = detections.network() {
            self.networks.saw(facts);
        }
        self.count(How::of(detections));
        if detections.part().is_some() {
            return;
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

    pub(crate) fn failed(&self, cause: &str) {
        self.failures.with_label_values(&[self.camera.as_str(), cause]).inc();
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

fn age_histogram() -> prometheus::Result<HistogramVec> {
    let buckets = vec![0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0];
    let help = "Time from a picture's capture until its events were written, by what it was decoded for.";
    HistogramVec::new(HistogramOpts::new("xueliang_picture_age_seconds", help).buckets(buckets), &["purpose"])
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

fn forget_in<T: MetricVecBuilder>(metrics: &MetricVec<T>, camera: &str) {
    for family in metrics.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> =
                metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if labels.get("camera") == Some(&camera) && metrics.remove(&labels).is_err() {
                tracing::debug!(camera, "a series was gone already");
            }
        }
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
