//! A model at one input size: its session, the tensor that is filled anew for each frame, and the decoder whose grid
//! follows the size. Inputs and outputs of a network that exists are exactly the decoder's.

use ort::session::Session;
use ort::value::TensorRef;

use super::{ModelError, contract};
use crate::decode::OutputDecoder;
use crate::frame::Frame;
use crate::manifest::{InputSpec, Layout};
use crate::preprocess::{FrameFromModel, Preprocessor};

/// A session that may run.
pub(crate) struct Network {
    input: InputSpec,
    preprocessor: Preprocessor,
    decoder: OutputDecoder,
    session: Session,
}

/// A preprocessed frame on its way through a network.
pub(crate) struct Prepared<'a> {
    dims: [i64; 4],
    tensor: &'a [f32],
    decoder: &'a OutputDecoder,
    session: &'a mut Session,
    pub(crate) frame_from_model: FrameFromModel,
}

impl Network {
    /// Holds the session if it has the decoder's inputs and outputs.
    pub(super) fn new(
        model: &str,
        input: InputSpec,
        decoder: OutputDecoder,
        session: Session,
    ) -> Result<Self, ModelError> {
        contract::check(&session, (&input.tensor, &dims(&input)), &decoder.outputs())
            .map_err(|problem| ModelError::Contract { model: model.to_owned(), problem })?;
        Ok(Self { preprocessor: Preprocessor::new(input.clone()), input, decoder, session })
    }

    /// Width and height of the input.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.input.width, self.input.height)
    }

    /// Fills the input tensor.
    pub(crate) fn prepare(&mut self, frame: &Frame) -> Prepared<'_> {
        let (tensor, frame_from_model) = self.preprocessor.fill(frame);
        let Self { decoder, session, .. } = self;
        Prepared { dims: dims(&self.input), tensor, decoder, session, frame_from_model }
    }
}

impl Prepared<'_> {
    /// Runs the model and hands over the outputs in the decoder's order.
    pub(crate) fn infer<T>(self, read: impl FnOnce(&[&[f32]], &OutputDecoder) -> T) -> ort::Result<T> {
        let tensor = TensorRef::from_array_view((self.dims, self.tensor))?;
        let outputs = self.session.run(ort::inputs![tensor])?;
        let mut slices = Vec::with_capacity(2);
        for wanted in self.decoder.outputs() {
            let value = outputs.get(wanted.name);
            let value = value.ok_or_else(|| ort::Error::new(format!("output {} is missing", wanted.name)))?;
            let (shape, slice) = value.try_extract_tensor::<f32>()?;
            if shape[..] != wanted.dims {
                return Err(ort::Error::new(format!("output {} has shape {shape}", wanted.name)));
            }
            slices.push(slice);
        }
        Ok(read(&slices, self.decoder))
    }
}

pub(super) fn dims(input: &InputSpec) -> [i64; 4] {
    let (width, height) = (input.width as i64, input.height as i64);
    match input.layout {
        Layout::Nchw => [1, 3, height, width],
        Layout::Nhwc => [1, height, width, 3],
    }
}
