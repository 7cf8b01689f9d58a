//! Raw outputs of a model → candidate boxes in model space. One file per output layout; each keeps, for every place it
//! looks at, the best class of the manifest's map, so that doubtful persons stay candidates for redaction.

mod ssd;
mod yolox;

use thiserror::Error;

use crate::detection::Class;
use crate::manifest::Manifest;

/// A box found by the model, in pixels of model space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) class: Class,
    pub(crate) confidence: f32,
    pub(crate) bbox_in_model: BoxInModel,
}

/// Centre and size in pixels of model space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BoxInModel {
    pub(crate) cx: f32,
    pub(crate) cy: f32,
    pub(crate) w: f32,
    pub(crate) h: f32,
}

impl BoxInModel {
    /// All of an input of this width and height.
    pub(crate) fn of_input((width, height): (usize, usize)) -> Self {
        let (w, h) = (width as f32, height as f32);
        Self { cx: w / 2.0, cy: h / 2.0, w, h }
    }
}

/// An output that a decoder reads.
pub(crate) struct OutputTensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) dims: [i64; 3],
}

/// The decoder of one model.
pub(crate) enum OutputDecoder {
    Yolox(yolox::Yolox),
    Ssd(ssd::Ssd),
}

/// Why outputs can't become boxes.
#[derive(Debug, Error, PartialEq)]
pub enum DecodeError {
    /// The model computed something that is not a number.
    #[error("the model's output holds a value that is not finite, at place {place}")]
    NotFinite {
        /// Which anchor or grid cell.
        place: usize,
    },
    /// Anchors of a length that fits no whole number of boxes.
    #[error("the anchors have {bytes} bytes, not a multiple of 16")]
    AnchorLength {
        /// Length of the file.
        bytes: usize,
    },
    /// An anchor that is no box.
    #[error("anchor {place} is not a box")]
    AnchorShape {
        /// Which anchor.
        place: usize,
    },
}

impl OutputDecoder {
    pub(crate) fn yolox(manifest: &Manifest, tensor: &str, strides: &[usize]) -> Self {
        Self::Yolox(yolox::Yolox::new(manifest, tensor, strides))
    }

    pub(crate) fn ssd(manifest: &Manifest, (boxes, scores): (&str, &str), anchors: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::Ssd(ssd::Ssd::new(manifest, (boxes, scores), anchors)?))
    }

    /// The outputs it reads, in the order `decode` takes them.
    pub(crate) fn outputs(&self) -> Vec<OutputTensor<'_>> {
        match self {
            Self::Yolox(yolox) => yolox.outputs(),
            Self::Ssd(ssd) => ssd.outputs(),
        }
    }

    pub(crate) fn decode(&self, outputs: &[&[f32]]) -> Result<Vec<Candidate>, DecodeError> {
        match (self, outputs) {
            (Self::Yolox(yolox), [output]) => yolox.decode(output),
            (Self::Ssd(ssd), [boxes, scores]) => ssd.decode(boxes, scores),
            _ => Ok(Vec::new()),
        }
    }
}
