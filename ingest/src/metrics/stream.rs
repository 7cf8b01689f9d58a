//! Gauges of how well each camera's stream comes and what is wrong with its picture.

use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};
use xueliang_inference::{PictureFault, PictureVerdict};

use super::{CameraMetrics, forget_in, registered};
use crate::stream_health::StreamFigures;

/// How each camera's stream and picture are.
#[derive(Clone)]
pub(super) struct StreamGauges {
    fps: GaugeVec,
    bitrate: GaugeVec,
    keyframe_interval: GaugeVec,
    last_unit_age: GaugeVec,
    clock_offset: GaugeVec,
    n_reordered: IntGaugeVec,
    picture_fault: IntGaugeVec,
}

impl StreamGauges {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let per_camera =
            |name: &str, help: &str| registered(registry, GaugeVec::new(Opts::new(name, help), &["camera"])?);
        Ok(Self {
            fps: per_camera("xueliang_stream_fps", "Access units a second over the last 10 s.")?,
            bitrate: per_camera("xueliang_stream_bits_per_second", "Bits a second over the last 10 s.")?,
            keyframe_interval: per_camera("xueliang_keyframe_interval_seconds", "Smoothed time between keyframes.")?,
            last_unit_age: per_camera("xueliang_last_access_unit_age_seconds", "Time since the last access unit.")?,
            clock_offset: per_camera(
                "xueliang_camera_clock_offset_seconds",
                "How far the camera's clock is ahead of this machine's, transport delay included.",
            )?,
            n_reordered: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new("xueliang_access_units_reordered", "Access units out of order in the current session."),
                    &["camera"],
                )?,
            )?,
            picture_fault: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new("xueliang_picture_fault", "1 while the camera's picture has this fault."),
                    &["camera", "fault"],
                )?,
            )?,
        })
    }

    fn set(&self, camera: &str, figures: &StreamFigures) {
        let set = |gauge: &GaugeVec, value: f64| gauge.with_label_values(&[camera]).set(value);
        set(&self.fps, figures.fps);
        set(&self.bitrate, figures.bitrate_bps);
        set(&self.clock_offset, figures.clock_offset.as_secs_f64());
        if let Some(interval) = figures.keyframe_interval {
            set(&self.keyframe_interval, interval.as_secs_f64());
        }
        if let Some(age) = figures.last_unit_age {
            set(&self.last_unit_age, age.as_secs_f64());
        }
        self.n_reordered.with_label_values(&[camera]).set(i64::try_from(figures.n_reordered).unwrap_or(i64::MAX));
    }

    pub(super) fn forget(&self, camera: &str) {
        let gauges = [&self.fps, &self.bitrate, &self.keyframe_interval, &self.last_unit_age, &self.clock_offset];
        gauges.into_iter().for_each(|gauges| forget_in(gauges, camera));
        [&self.n_reordered, &self.picture_fault].into_iter().for_each(|gauges| forget_in(gauges, camera));
    }
}

impl CameraMetrics {
    /// Shows how the stream comes.
    pub fn stream(&self, figures: &StreamFigures) {
        self.stream.set(&self.camera, figures);
    }

    /// Shows what is wrong with the picture.
    pub fn picture(&self, verdict: &PictureVerdict) {
        for fault in PictureFault::ALL {
            let labels = [self.camera.as_str(), fault.as_str()];
            self.stream.picture_fault.with_label_values(&labels).set(i64::from(verdict.has(fault)));
        }
    }
}
