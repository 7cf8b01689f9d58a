//! Pre-encoded video in, its access units in memory out, so that any number of cameras can play them.
//!
//! Each keyframe carries its parameter sets. Nothing is decoded or encoded here.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gstreamer_app::AppSink;
use gstreamer_rtsp_server::gst;
use gstreamer_rtsp_server::gst::prelude::*;

/// Longest that reading a file may take between two access units.
const READ_TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// What a camera sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264.
    H264,
    /// H.265.
    H265,
}

impl Codec {
    /// The pipeline of one path: access units come in at `source`, RTP goes out at `pay0`.
    pub(super) fn launch(self) -> &'static str {
        match self {
            Self::H264 => {
                "( appsrc name=source is-live=true format=time ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
            }
            Self::H265 => {
                "( appsrc name=source is-live=true format=time ! rtph265pay name=pay0 pt=96 config-interval=-1 )"
            }
        }
    }

    fn reader(self) -> &'static str {
        match self {
            Self::H264 => {
                "filesrc name=file ! qtdemux ! h264parse config-interval=-1 \
                 ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=units sync=false"
            }
            Self::H265 => {
                "filesrc name=file ! qtdemux ! h265parse config-interval=-1 \
                 ! video/x-h265,stream-format=byte-stream,alignment=au ! appsink name=units sync=false"
            }
        }
    }
}

/// The access units of one file; clones share them.
#[derive(Clone)]
pub struct Footage(Arc<Units>);

struct Units {
    codec: Codec,
    caps: gst::Caps,
    interval: Duration,
    units: Vec<gst::Buffer>,
    keyframes: Vec<usize>,
}

impl Footage {
    /// Reads an MP4 file of one video stream that begins with a keyframe.
    pub fn read(path: &Path, codec: Codec) -> Result<Self> {
        gst::init().context("GStreamer does not start")?;
        let units = read_units(path, codec).with_context(|| format!("can't read footage {}", path.display()))?;
        Ok(Self(Arc::new(units)))
    }

    /// Its codec.
    pub fn codec(&self) -> Codec {
        self.0.codec
    }

    /// Length of one loop.
    pub fn duration(&self) -> Duration {
        self.0.interval * u32::try_from(self.0.units.len()).unwrap_or(u32::MAX)
    }

    /// The access unit at a place of the endless loop, as NAL units behind start codes.
    pub fn bytes(&self, index: usize) -> Result<Vec<u8>> {
        Ok(self.unit(index).map_readable().context("an access unit can't be read")?.to_vec())
    }

    /// Access units of one loop.
    #[expect(clippy::len_without_is_empty, reason = "footage that begins with a keyframe is never empty")]
    pub fn len(&self) -> usize {
        self.0.units.len()
    }

    /// The bytes of the access unit at a place of the endless loop, and whether it is a keyframe.
    pub fn access_unit(&self, index: usize) -> (Vec<u8>, bool) {
        let unit = self.unit(index);
        let bytes = unit.map_readable().map(|bytes| bytes.to_vec()).unwrap_or_default();
        (bytes, !unit.flags().contains(gst::BufferFlags::DELTA_UNIT))
    }

    /// Time from one access unit to the next.
    pub fn interval(&self) -> Duration {
        self.0.interval
    }

    pub(super) fn caps(&self) -> &gst::Caps {
        &self.0.caps
    }

    /// The access unit at a place of the endless loop.
    pub(super) fn unit(&self, index: usize) -> &gst::Buffer {
        &self.0.units[index % self.0.units.len()]
    }

    /// The last keyframe at or before a time of the endless loop, as an index into it.
    pub(super) fn keyframe_before(&self, at: Duration) -> usize {
        let n_units = self.0.units.len();
        let position = usize::try_from(at.as_nanos() / self.0.interval.as_nanos()).unwrap_or(0);
        let within = position % n_units;
        let nth = self.0.keyframes.partition_point(|keyframe| *keyframe <= within);
        position - within + self.0.keyframes[nth.saturating_sub(1)]
    }
}

fn read_units(path: &Path, codec: Codec) -> Result<Units> {
    ensure!(path.is_file(), "no such file; run ./check or ./demo once, they make it");
    let pipeline = gst::parse::launch(codec.reader())?.downcast::<gst::Pipeline>().ok().context("not a pipeline")?;
    pipeline.by_name("file").context("no filesrc")?.set_property("location", path);
    let sink =
        pipeline.by_name("units").and_then(|element| element.downcast::<AppSink>().ok()).context("no appsink")?;
    pipeline.set_state(gst::State::Playing)?;
    let read = pull_all(&sink, codec);
    pipeline.set_state(gst::State::Null)?;
    read
}

fn pull_all(sink: &AppSink, codec: Codec) -> Result<Units> {
    let mut units = Vec::new();
    let mut keyframes = Vec::new();
    let mut caps = None;
    while let Some(sample) = sink.try_pull_sample(READ_TIMEOUT) {
        let buffer = sample.buffer_owned().context("a sample without a buffer")?;
        if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            keyframes.push(units.len());
        }
        caps = caps.or_else(|| sample.caps_owned());
        units.push(buffer);
    }
    ensure!(sink.is_eos(), "reading stopped before the end; is it {codec:?} in MP4?");
    ensure!(keyframes.first() == Some(&0), "it does not begin with a keyframe");
    let caps = caps.context("it holds no video")?;
    let rate = caps.structure(0).and_then(|structure| structure.get::<gst::Fraction>("framerate").ok());
    let rate = rate.filter(|rate| rate.numer() > 0).context("it has no frame rate")?;
    let interval = Duration::from_secs_f64(f64::from(rate.denom()) / f64::from(rate.numer()));
    Ok(Units { codec, caps, interval, units, keyframes })
}
