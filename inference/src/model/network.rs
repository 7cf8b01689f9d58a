//! A model at one input size: its session, the tensor that is filled anew for each frame, and the decoder whose grid
//! follows the size. Inputs and outputs of a network that exists are exactly the decoder's.

use std::sync::Arc;

use ort::session::Session;
use ort::value::TensorRef;

use super::{ModelError, contract};
use crate::decode::OutputDecoder;
use crate::frame::Frame;
use crate::manifest::{InputSpec, Layout, Manifest};
use crate::preprocess::{FrameFromModel, Preprocessor, Window};
use crate::runtime::Provider;

/// What one network is, and what really runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFacts {
    /// The model's name.
    pub model: String,
    /// The provider that runs it.
    pub provider: Provider,
    /// Width of the input.
    pub width: usize,
    /// Height of the input.
    pub height: usize,
}

/// A session that may run.
pub(crate) struct Network {
    facts: Arc<NetworkFacts>,
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
        manifest: &Manifest,
        decoder: OutputDecoder,
        session: Session,
        provider: Provider,
    ) -> Result<Self, ModelError> {
        let (model, input) = (manifest.name.clone(), manifest.input.clone());
        if let Err(problem) = contract::check(&session, (&input.tensor, &dims(&input)), &decoder.outputs()) {
            return Err(ModelError::Contract { model, problem });
        }
        let facts = Arc::new(NetworkFacts { model, provider, width: input.width, height: input.height });
        Ok(Self { facts, preprocessor: Preprocessor::new(input.clone()), input, decoder, session })
    }

    /// Width and height of the input.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.input.width, self.input.height)
    }

    /// What it is, and what runs it.
    pub(crate) fn facts(&self) -> &Arc<NetworkFacts> {
        &self.facts
    }

    /// The first run, on an empty picture: memory is taken, and outputs have the shapes they promised.
    pub(super) fn warm_up(&mut self) -> ort::Result<()> {
        let Self { preprocessor, decoder, session, .. } = self;
        let (tensor, frame_from_model) = preprocessor.blank();
        Prepared { dims: dims(&self.input), tensor, decoder, session, frame_from_model }.infer(|_, _| ())
    }

    /// Ends the profile that the session was built with; the file's name.
    pub(super) fn end_profiling(&mut self) -> ort::Result<String> {
        self.session.end_profiling()
    }

    /// Found out: this provider runs it.
    pub(super) fn runs_on(&mut self, provider: Provider) {
        self.facts = Arc::new(NetworkFacts { provider, ..NetworkFacts::clone(&self.facts) });
    }

    /// Fills the input tensor with the frame, or with this part of it.
    pub(crate) fn prepare(&mut self, frame: &Frame, window: Option<Window>) -> Prepared<'_> {
        let (tensor, frame_from_model) = match window {
            Some(window) => self.preprocessor.fill_window(frame, window),
            None => self.preprocessor.fill(frame),
        };
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
