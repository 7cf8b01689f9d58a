//! libavcodec called directly, on one thread: what GStreamer's element does not offer is leaving out the loop filter, and what it adds around libavcodec costs
//! up to a tenth. Pictures stay in libavcodec's memory until they are copied out.
//!
//! libavcodec's own log is silenced for the whole process: it may quote what it decodes (RULES P11).

use ffmpeg_next::{self as ff, codec, format::Pixel, frame, software::scaling, threading};
use jiff::Timestamp;
use xueliang_inference::{Chroma, Colour, DecodedFrame, Matrix, Plane, Planes, Range};

use super::{ChainError, Decode, Picture, Pushed, SkipLoopFilter};
use crate::access_unit::{AccessUnit, Codec};

/// Above it a picture is high definition.
const SD_HEIGHT: u32 = 576;

/// A libavcodec decoder.
pub(super) struct Libav {
    decoder: ff::decoder::Video,
}

impl Libav {
    pub(super) fn new(codec: Codec, skip_loop_filter: SkipLoopFilter) -> Result<Self, ChainError> {
        let setup = |cause: String| ChainError::Setup { codec: codec.as_str(), cause };
        ff::log::set_level(ff::log::Level::Quiet);
        let id = match codec {
            Codec::H264 => codec::Id::H264,
            Codec::H265 => codec::Id::HEVC,
        };
        let found = ff::decoder::find(id).ok_or_else(|| setup("this libavcodec was built without it".to_owned()))?;
        let mut context = codec::Context::new_with_codec(found).decoder();
        context.set_threading(threading::Config { count: 1, ..threading::Config::default() });
        // What a camera damages is shown damaged, not left out: the next picture is better than none.
        context.set_flags(codec::Flags::OUTPUT_CORRUPT);
        context.skip_loop_filter(match skip_loop_filter {
            SkipLoopFilter::None => ff::Discard::Default,
            SkipLoopFilter::NonReference => ff::Discard::NonReference,
            SkipLoopFilter::NonKey => ff::Discard::NonKey,
            SkipLoopFilter::All => ff::Discard::All,
        });
        let decoder = context.video().map_err(|error| setup(format!("libavcodec says {error:?}")))?;
        Ok(Self { decoder })
    }

    /// False when the decoder could make nothing of it.
    fn feed(&mut self, unit: &AccessUnit) -> bool {
        if unit.bytes.is_empty() {
            return false;
        }
        let mut packet = ff::Packet::copy(&unit.bytes);
        packet.set_pts(i64::try_from(unit.captured_at.as_nanosecond()).ok());
        self.decoder.send_packet(&packet).is_ok()
    }

    /// All pictures that are ready; false when the decoder failed at one.
    fn drain(&mut self) -> (Vec<Picture>, bool) {
        let mut pictures = Vec::new();
        loop {
            let mut frame = frame::Video::empty();
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => pictures.push(picture(frame)),
                Err(ff::Error::Other { errno: ff::error::EAGAIN } | ff::Error::Eof) => return (pictures, true),
                Err(_) => return (pictures, false),
            }
        }
    }
}

impl Decode for Libav {
    fn push(&mut self, unit: &AccessUnit) -> Pushed {
        let taken = self.feed(unit);
        let (pictures, decoded) = self.drain();
        Pushed { pictures, refused: !(taken && decoded) }
    }

    fn still(&mut self, unit: &AccessUnit) -> Option<Picture> {
        self.decoder.flush();
        self.feed(unit);
        // Nothing more comes: the decoder gives what it holds back for reordering.
        let _ = self.decoder.send_eof();
        let (pictures, _) = self.drain();
        self.decoder.flush();
        let picture = pictures.into_iter().next()?;
        Some(Picture { captured_at: unit.captured_at, ..picture })
    }

    fn take_complaints(&mut self) -> u64 {
        0
    }
}

fn picture(frame: frame::Video) -> Picture {
    let captured_at = frame.pts().and_then(|pts| Timestamp::from_nanosecond(pts.into()).ok());
    let captured_at = captured_at.unwrap_or(Timestamp::UNIX_EPOCH);
    Picture { pixels: super::Pixels::Libav(Pixels(frame)), captured_at }
}

/// A picture in libavcodec's memory.
pub(super) struct Pixels(frame::Video);

impl Pixels {
    pub(super) fn to_frame(&self, captured_at: Timestamp) -> Result<DecodedFrame, ChainError> {
        let colour = colour(&self.0);
        match self.0.format() {
            Pixel::YUV420P | Pixel::YUVJ420P => copy(&self.0, colour, captured_at),
            _ => copy(&to_420(&self.0)?, colour, captured_at),
        }
    }
}

fn copy(frame: &frame::Video, colour: Colour, captured_at: Timestamp) -> Result<DecodedFrame, ChainError> {
    if frame.planes() < 3 {
        return Err(ChainError::Memory);
    }
    let plane = |index: usize| Plane { bytes: frame.data(index), stride: frame.stride(index) };
    let planes = Planes {
        width: frame.width(),
        height: frame.height(),
        luma: plane(0),
        chroma: Chroma::I420 { u: plane(1), v: plane(2) },
    };
    DecodedFrame::copy_from(&planes, colour, captured_at).map_err(ChainError::Picture)
}

/// What few cameras send: more than 8 bits, other chroma, or none.
fn to_420(frame: &frame::Video) -> Result<frame::Video, ChainError> {
    let (width, height) = (frame.width(), frame.height());
    // A format that says full range keeps it.
    let to = match frame.format() {
        Pixel::YUVJ422P | Pixel::YUVJ444P => Pixel::YUVJ420P,
        _ => Pixel::YUV420P,
    };
    let flags = scaling::Flags::POINT;
    let mut converted = frame::Video::empty();
    scaling::Context::get(frame.format(), width, height, to, width, height, flags)
        .and_then(|mut context| context.run(frame, &mut converted))
        .map_err(|_| ChainError::Memory)?;
    Ok(converted)
}

fn colour(frame: &frame::Video) -> Colour {
    let matrix = match frame.color_space() {
        ff::color::Space::BT709 => Matrix::Bt709,
        // What streams mean that say nothing, as GStreamer guesses it.
        ff::color::Space::Unspecified if frame.height() > SD_HEIGHT => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    let range = match frame.color_range() {
        ff::color::Range::JPEG => Range::Full,
        _ => Range::Limited,
    };
    Colour { matrix, range }
}
