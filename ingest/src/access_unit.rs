//! One coded picture as the camera sent it, with the time it was taken.

use bytes::Bytes;
use jiff::Timestamp;

/// The video codings Xueliang pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    H265,
}

impl Codec {
    /// Reads SDP's encoding name as retina gives it.
    pub fn from_encoding_name(name: &str) -> Option<Self> {
        match name {
            "h264" => Some(Codec::H264),
            "h265" => Some(Codec::H265),
            _ => None,
        }
    }

    /// The name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Codec::H264 => "h264",
            Codec::H265 => "h265",
        }
    }
}

/// An access unit in Annex B form; a keyframe begins with its parameter sets.
///
/// It holds a picture, so it is neither `Debug` nor serialisable (RULES P11).
pub struct AccessUnit {
    /// How it is coded.
    pub codec: Codec,
    /// True when it can be decoded without any other.
    pub keyframe: bool,
    /// When the camera took it, UTC.
    pub captured_at: Timestamp,
    /// RTP packets lost just before it.
    pub lost_packets: u16,
    /// NAL units, each behind a four-byte start code.
    pub bytes: Bytes,
}

impl AccessUnit {
    /// The same access unit; its bytes are shared, not copied.
    pub fn share(&self) -> Self {
        let Self { codec, keyframe, captured_at, lost_packets, ref bytes } = *self;
        Self { codec, keyframe, captured_at, lost_packets, bytes: bytes.clone() }
    }
}
