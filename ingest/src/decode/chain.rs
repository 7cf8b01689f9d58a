//! One decoder of one coding, pushed and drained by the thread that calls it: it owns no thread of its own, and a picture comes out inside the call that pushed
//! its access unit.
//!
//! `libav` calls libavcodec directly and may skip loop filtering; `elements` drives GStreamer, for the decoders of graphics hardware. Not here: which decoder
//! thread, which camera.

mod elements;
mod libav;

use jiff::Timestamp;
use xueliang_inference::{DecodedFrame, FrameError};

use crate::access_unit::{AccessUnit, Codec};

/// Most pictures that H.264 and H.265 let a decoder hold back for reordering.
const MAX_REORDER: u64 = 16;

/// Why a chain can't be built or used.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// GStreamer has no such element.
    #[error("GStreamer has no {element}; install {package}")]
    Missing {
        /// The element.
        element: &'static str,
        /// Debian's package, and what else it needs.
        package: &'static str,
    },
    /// The decoder can't be set up.
    #[error("can't set up the {codec} decoder: {cause}")]
    Setup {
        /// The coding.
        codec: &'static str,
        /// The library's word.
        cause: String,
    },
    /// A picture's memory can't be read.
    #[error("a decoded picture's memory can't be read")]
    Memory,
    /// A picture has no usable form.
    #[error("a decoded picture can't be used")]
    Picture(#[source] FrameError),
}

/// How pictures are decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecoderSettings {
    /// By what.
    pub engine: Engine,
    /// Which pictures stay without their loop filter; only [`Engine::Libav`] can leave it out.
    pub skip_loop_filter: SkipLoopFilter,
}

/// What decodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// libavcodec on the processor, called directly.
    #[default]
    Libav,
    /// libavcodec on the processor, as GStreamer's element: what drives GStreamer where there is no graphics hardware, in tests. No setting names it, because
    /// a damaged parameter set ends the process in `gstreamer1.0-libav` 1.22.0 (`gst_video_info_to_caps`).
    Avdec,
    /// Graphics hardware through VA-API.
    Va,
    /// NVIDIA's decoder.
    Nvdec,
    /// A board's stateless decoder.
    V4l2,
}

/// Which pictures are left without their loop filter: cheaper, a little blockier, and the blocks add up until the next keyframe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SkipLoopFilter {
    /// Every picture is filtered, as its coding says.
    None,
    /// Pictures that no other is predicted from, so nothing adds up.
    NonReference,
    /// All but keyframes.
    #[default]
    NonKey,
    /// All.
    All,
}

/// A decoded picture, still in the decoder's memory.
pub struct Picture {
    pixels: Pixels,
    /// When it was taken.
    pub captured_at: Timestamp,
}

enum Pixels {
    Libav(libav::Pixels),
    Elements(elements::Pixels),
}

impl Picture {
    /// Copies the planes out.
    pub fn to_frame(&self) -> Result<DecodedFrame, ChainError> {
        match &self.pixels {
            Pixels::Libav(pixels) => pixels.to_frame(self.captured_at),
            Pixels::Elements(pixels) => pixels.to_frame(self.captured_at),
        }
    }
}

/// What every decoder can do.
trait Decode: Send {
    /// The pictures that came out because of this access unit.
    fn push(&mut self, unit: &AccessUnit) -> Pushed;

    /// The picture of a keyframe alone; afterwards the decoder is as if it had never seen it.
    fn still(&mut self, unit: &AccessUnit) -> Option<Picture>;

    /// What the decoder complained of beside what it refused, since the last call.
    fn take_complaints(&mut self) -> u64;
}

struct Pushed {
    pictures: Vec<Picture>,
    /// The decoder could make nothing of the access unit.
    refused: bool,
}

/// A decoder of one coding.
pub struct Chain {
    decoder: Box<dyn Decode>,
    /// Access units whose picture has not come out.
    n_pending: u64,
    n_errors: u64,
}

impl Chain {
    /// Builds the decoder for `codec`.
    pub fn new(codec: Codec, settings: DecoderSettings) -> Result<Self, ChainError> {
        let decoder: Box<dyn Decode> = match settings.engine {
            Engine::Libav => Box::new(libav::Libav::new(codec, settings.skip_loop_filter)?),
            engine => Box::new(elements::Elements::new(codec, engine)?),
        };
        Ok(Self { decoder, n_pending: 0, n_errors: 0 })
    }

    /// Decodes the next access unit of a stream; the pictures that came out because of it.
    pub fn push(&mut self, unit: &AccessUnit) -> Vec<Picture> {
        let Pushed { pictures, refused } = self.decoder.push(unit);
        if refused {
            self.n_errors += 1;
            self.n_pending = 0;
            return pictures;
        }
        self.n_pending = (self.n_pending + 1).saturating_sub(pictures.len() as u64);
        if self.n_pending > MAX_REORDER {
            self.n_errors += self.n_pending - MAX_REORDER;
            self.n_pending = MAX_REORDER;
        }
        pictures
    }

    /// Decodes one keyframe alone and leaves the decoder as if it had never seen it.
    pub fn decode_still(&mut self, unit: &AccessUnit) -> Option<Picture> {
        let picture = self.decoder.still(unit);
        self.n_pending = 0;
        self.n_errors += u64::from(picture.is_none());
        picture
    }

    /// Since the last call: what the decoder complained of, and access units that never became a picture.
    pub fn take_errors(&mut self) -> u64 {
        std::mem::take(&mut self.n_errors) + self.decoder.take_complaints()
    }
}
