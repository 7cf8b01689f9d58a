//! One GStreamer decoder: decoder → videoconvert, which our end lets put out I420 only. The pads at both ends are ours, so a picture comes out inside the call
//! that pushed its access unit.

use std::sync::Arc;

use gstreamer::{self as gst, prelude::*};
use gstreamer_video::{self as video, VideoFrameExt as _};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use xueliang_inference::{Chroma, Colour, DecodedFrame, Matrix, Plane, Planes, Range};

use super::{ChainError, Decode, Engine, Picture, Pushed};
use crate::access_unit::{AccessUnit, Codec};

/// A picture in GStreamer's memory.
pub(super) struct Pixels {
    buffer: gst::Buffer,
    info: video::VideoInfo,
}

impl Pixels {
    pub(super) fn to_frame(&self, captured_at: Timestamp) -> Result<DecodedFrame, ChainError> {
        let frame =
            video::VideoFrameRef::from_buffer_ref_readable(&self.buffer, &self.info).map_err(|_| ChainError::Memory)?;
        let plane = |index: u32| -> Result<Plane<'_>, ChainError> {
            let bytes = frame.plane_data(index).map_err(|_| ChainError::Memory)?;
            let stride = usize::try_from(frame.plane_stride()[index as usize]).unwrap_or(0);
            Ok(Plane { bytes, stride })
        };
        let planes = Planes {
            width: frame.width(),
            height: frame.height(),
            luma: plane(0)?,
            chroma: Chroma::I420 { u: plane(1)?, v: plane(2)? },
        };
        DecodedFrame::copy_from(&planes, colour(&self.info), captured_at).map_err(ChainError::Picture)
    }
}

fn colour(info: &video::VideoInfo) -> Colour {
    let colorimetry = info.colorimetry();
    let matrix = match colorimetry.matrix() {
        video::VideoColorMatrix::Bt709 => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    let range = match colorimetry.range() {
        video::VideoColorRange::Range0_255 => Range::Full,
        _ => Range::Limited,
    };
    Colour { matrix, range }
}

#[derive(Default)]
struct Output {
    info: Option<video::VideoInfo>,
    pictures: Vec<(gst::Buffer, video::VideoInfo)>,
}

/// A decoder made of elements.
pub(super) struct Elements {
    codec: Codec,
    bin: gst::Bin,
    bus: gst::Bus,
    input: gst::Pad,
    output: Arc<Mutex<Output>>,
    _output_pad: gst::Pad,
    first_captured_at: Option<Timestamp>,
}

impl Elements {
    pub(super) fn new(codec: Codec, engine: Engine) -> Result<Self, ChainError> {
        let setup = |cause: String| ChainError::Setup { codec: codec.as_str(), cause };
        let decoder = decoder_element(codec, engine)?;
        let convert = make("videoconvert", "gstreamer1.0-plugins-base")?;
        let bin = gst::Bin::new();
        let elements: Vec<gst::Element> = parser(codec, engine)?.into_iter().chain([decoder, convert]).collect();
        bin.add_many(&elements).map_err(|error| setup(error.to_string()))?;
        gst::Element::link_many(&elements).map_err(|error| setup(error.to_string()))?;
        let bus = gst::Bus::new();
        bin.set_bus(Some(&bus));
        let output = Arc::new(Mutex::new(Output::default()));
        let output_pad = output_pad(&output).map_err(&setup)?;
        let input = input_pad();
        link(&input, elements.first().and_then(|first| first.static_pad("sink"))).map_err(&setup)?;
        link_from(elements.last().and_then(|last| last.static_pad("src")), &output_pad).map_err(&setup)?;
        bin.set_state(gst::State::Playing).map_err(|error| setup(error.to_string()))?;
        for pad in [&output_pad, &input] {
            pad.set_active(true).map_err(|error| setup(error.to_string()))?;
        }
        let elements = Self { codec, bin, bus, input, output, _output_pad: output_pad, first_captured_at: None };
        elements.announce();
        Ok(elements)
    }

    /// False when the decoder refused it and had to start anew.
    fn feed(&mut self, unit: &AccessUnit, pts: u64) -> bool {
        let mut buffer = gst::Buffer::from_slice(unit.bytes.clone());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(pts));
            if !unit.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        let taken = self.input.push(buffer).is_ok();
        if !taken {
            self.reset();
        }
        taken
    }

    fn collect(&self, captured_at: impl Fn(i64) -> Timestamp) -> Vec<Picture> {
        let pictures = std::mem::take(&mut self.output.lock().pictures);
        let time = |buffer: &gst::Buffer| i64::try_from(buffer.pts().map_or(0, gst::ClockTime::nseconds)).unwrap_or(0);
        pictures
            .into_iter()
            .map(|(buffer, info)| Picture {
                captured_at: captured_at(time(&buffer)),
                pixels: super::Pixels::Elements(Pixels { buffer, info }),
            })
            .collect()
    }

    fn announce(&self) {
        let caps = gst::Caps::builder(match self.codec {
            Codec::H264 => "video/x-h264",
            Codec::H265 => "video/x-h265",
        })
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build();
        self.input.push_event(gst::event::StreamStart::new("camera"));
        self.input.push_event(gst::event::Caps::new(&caps));
        self.announce_segment();
    }

    fn announce_segment(&self) {
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.input.push_event(gst::event::Segment::new(&segment));
    }

    fn reset(&mut self) {
        self.input.push_event(gst::event::FlushStart::new());
        self.input.push_event(gst::event::FlushStop::new(true));
        self.output.lock().pictures.clear();
        self.first_captured_at = None;
        self.announce_segment();
    }
}

impl Decode for Elements {
    fn push(&mut self, unit: &AccessUnit) -> Pushed {
        let first = *self.first_captured_at.get_or_insert(unit.captured_at);
        let since_first = unit.captured_at.duration_since(first);
        let taken = self.feed(unit, u64::try_from(since_first.as_nanos()).unwrap_or(0));
        let pictures = self.collect(|pts| first.checked_add(SignedDuration::from_nanos(pts)).unwrap_or(first));
        Pushed { pictures, refused: !taken }
    }

    fn still(&mut self, unit: &AccessUnit) -> Option<Picture> {
        self.feed(unit, 0);
        self.input.push_event(gst::event::Eos::new());
        let pictures = self.collect(|_| unit.captured_at);
        self.reset();
        pictures.into_iter().next()
    }

    fn take_complaints(&mut self) -> u64 {
        let messages = std::iter::from_fn(|| self.bus.pop());
        let complaints = messages
            .filter(|message| matches!(message.view(), gst::MessageView::Error(_) | gst::MessageView::Warning(_)));
        complaints.count() as u64
    }
}

impl Drop for Elements {
    fn drop(&mut self) {
        let _ = self.input.set_active(false);
        // Going to Null can't fail for these elements, and nobody could act on it here.
        let _ = self.bin.set_state(gst::State::Null);
    }
}

/// Decoders of hardware take no stream whose size and profile nobody announces; a parser reads them from its parameter sets.
fn parser(codec: Codec, engine: Engine) -> Result<Option<gst::Element>, ChainError> {
    let element = match (engine, codec) {
        (Engine::Libav | Engine::Avdec, _) => return Ok(None),
        (_, Codec::H264) => "h264parse",
        (_, Codec::H265) => "h265parse",
    };
    make(element, "gstreamer1.0-plugins-bad").map(Some)
}

fn decoder_element(codec: Codec, engine: Engine) -> Result<gst::Element, ChainError> {
    const HARDWARE: &str = "gstreamer1.0-plugins-bad and the driver of the hardware";
    let (h264, h265, package) = match engine {
        Engine::Libav | Engine::Avdec => ("avdec_h264", "avdec_h265", "gstreamer1.0-libav"),
        Engine::Va => ("vah264dec", "vah265dec", HARDWARE),
        Engine::Nvdec => ("nvh264dec", "nvh265dec", HARDWARE),
        Engine::V4l2 => ("v4l2slh264dec", "v4l2slh265dec", HARDWARE),
    };
    let element = match codec {
        Codec::H264 => h264,
        Codec::H265 => h265,
    };
    let decoder = make(element, package)?;
    if decoder.has_property("max-threads") {
        decoder.set_property("max-threads", 1i32);
    }
    Ok(decoder)
}

fn make(element: &'static str, package: &'static str) -> Result<gst::Element, ChainError> {
    gst::ElementFactory::make(element).build().map_err(|_| ChainError::Missing { element, package })
}

fn link(source: &gst::Pad, sink: Option<gst::Pad>) -> Result<(), String> {
    let sink = sink.ok_or("no pad")?;
    source.link_full(&sink, gst::PadLinkCheck::empty()).map(drop).map_err(|error| error.to_string())
}

fn link_from(source: Option<gst::Pad>, sink: &gst::Pad) -> Result<(), String> {
    link(&source.ok_or("no pad")?, Some(sink.clone()))
}

/// Says that what comes is live, whereupon decoders of hardware hold no picture back that nothing can overtake.
fn input_pad() -> gst::Pad {
    gst::Pad::builder(gst::PadDirection::Src)
        .name("access_units")
        .query_function(|pad, parent, query| match query.view_mut() {
            gst::QueryViewMut::Latency(latency) => {
                latency.set(true, gst::ClockTime::ZERO, gst::ClockTime::NONE);
                true
            }
            _ => gst::Pad::query_default(pad, parent, query),
        })
        .build()
}

/// Takes I420 of any size: the template, not the caps of the moment, answers what it takes, so a size may change.
fn output_pad(output: &Arc<Mutex<Output>>) -> Result<gst::Pad, String> {
    let caps = gst::Caps::builder("video/x-raw").field("format", "I420").build();
    let (direction, presence) = (gst::PadDirection::Sink, gst::PadPresence::Always);
    let template = gst::PadTemplate::new("pictures", direction, presence, &caps).map_err(|error| error.to_string())?;
    let (on_event, on_buffer) = (Arc::clone(output), Arc::clone(output));
    let pad = gst::Pad::builder_from_template(&template)
        .event_function(move |_, _, event| {
            if let gst::EventView::Caps(caps) = event.view() {
                on_event.lock().info = video::VideoInfo::from_caps(caps.caps()).ok();
            }
            true
        })
        .chain_function(move |_, _, buffer| {
            let mut output = on_buffer.lock();
            if let Some(info) = output.info.clone() {
                output.pictures.push((buffer, info));
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    Ok(pad)
}
