//! A model that may run: its file has the manifest's digest, its inputs and outputs are exactly the decoder's, and a
//! session of ONNX Runtime holds it. A model with any other output, such as an embedding or text, never gets this far
//! (RULES P09).

mod contract;

use std::io;
use std::path::{Path, PathBuf};

use ort::ep;
use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::TensorRef;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::decode::{DecodeError, OutputDecoder};
use crate::manifest::{Decoder, InputSpec, Layout, Manifest};
use crate::runtime::{Provider, Runtime, SessionSettings};

/// A loaded, verified model.
pub struct Model {
    name: String,
    licence: String,
    sha256: String,
    provider: Provider,
    input: InputSpec,
    score_threshold: f32,
    nms_iou: f32,
    decoder: OutputDecoder,
    session: Session,
}

/// Why a model can't be used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file is not there, or can't be read.
    #[error("can't read {}: fetch the model first, or point the models folder to it", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is not the pinned one.
    #[error("{} is not the file the manifest pins: sha256 {actual}, expected {expected}; fetch it again", path.display())]
    Digest {
        /// Which file.
        path: PathBuf,
        /// The manifest's digest.
        expected: String,
        /// The file's digest.
        actual: String,
    },
    /// Anchors that don't fit.
    #[error("the anchors in {} can't be used", path.display())]
    Anchors {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// ONNX Runtime refuses the file.
    #[error("onnx runtime can't load model {model}")]
    Session {
        /// Which model.
        model: String,
        /// Why.
        #[source]
        source: ort::Error,
    },
    /// A provider of the list that is missing, where each is required.
    #[error(
        "provider {provider} is required and missing: install an ONNX Runtime that has it, or take it off the list"
    )]
    ProviderMissing {
        /// Which one.
        provider: Provider,
        /// Why.
        #[source]
        source: ort::Error,
    },
    /// None of the list is there.
    #[error("none of the listed execution providers is there: add cpu to the list")]
    NoProvider,
    /// Inputs or outputs that are not the decoder's.
    #[error("model {model} is refused: {problem}")]
    Contract {
        /// Which model.
        model: String,
        /// What differs.
        problem: String,
    },
}

impl Model {
    /// Verifies and loads the model that the manifest pins.
    pub fn load(
        runtime: &Runtime,
        manifest: &Manifest,
        models_folder: &Path,
        settings: &SessionSettings,
    ) -> Result<Self, ModelError> {
        let bytes = read_pinned(&models_folder.join(&manifest.file), &manifest.sha256)?;
        let decoder = load_decoder(manifest, models_folder)?;
        let failed = |source| ModelError::Session { model: manifest.name.clone(), source };
        let (mut builder, provider) = choose_provider(runtime, settings, &failed)?;
        let session = builder.commit_from_memory(&bytes).map_err(failed)?;
        let dims = input_dims(&manifest.input);
        contract::check(&session, (&manifest.input.tensor, &dims), &decoder.outputs())
            .map_err(|problem| ModelError::Contract { model: manifest.name.clone(), problem })?;
        tracing::info!(model = manifest.name, %provider, "model loaded");
        Ok(Self {
            name: manifest.name.clone(),
            licence: manifest.licence.clone(),
            sha256: manifest.sha256.clone(),
            provider,
            input: manifest.input.clone(),
            score_threshold: manifest.output.score_threshold,
            nms_iou: manifest.output.nms_iou,
            decoder,
            session,
        })
    }

    /// The manifest's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SPDX identifier.
    pub fn licence(&self) -> &str {
        &self.licence
    }

    /// Digest of the file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The provider that was really chosen.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    pub(crate) fn input(&self) -> &InputSpec {
        &self.input
    }

    pub(crate) fn score_threshold(&self) -> f32 {
        self.score_threshold
    }

    pub(crate) fn nms_iou(&self) -> f32 {
        self.nms_iou
    }

    /// Runs the model on one input tensor and hands over the outputs in the decoder's order.
    pub(crate) fn infer<T>(
        &mut self,
        input: &[f32],
        read: impl FnOnce(&[&[f32]], &OutputDecoder) -> T,
    ) -> ort::Result<T> {
        let tensor = TensorRef::from_array_view((input_dims(&self.input), input))?;
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
        Ok(read(&slices, &self.decoder))
    }
}

fn input_dims(input: &InputSpec) -> [i64; 4] {
    let (width, height) = (input.width as i64, input.height as i64);
    match input.layout {
        Layout::Nchw => [1, 3, height, width],
        Layout::Nhwc => [1, height, width, 3],
    }
}

fn read_pinned(path: &Path, expected: &str) -> Result<Vec<u8>, ModelError> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
    let actual = hex::encode(Sha256::digest(&bytes));
    if actual == expected {
        return Ok(bytes);
    }
    Err(ModelError::Digest { path: path.to_owned(), expected: expected.to_owned(), actual })
}

fn load_decoder(manifest: &Manifest, models_folder: &Path) -> Result<OutputDecoder, ModelError> {
    match &manifest.output.decoder {
        Decoder::Yolox { tensor, strides } => Ok(OutputDecoder::yolox(manifest, tensor, strides)),
        Decoder::Ssd { boxes, scores, anchors } => {
            let path = models_folder.join(&anchors.file);
            let bytes = read_pinned(&path, &anchors.sha256)?;
            let decoder = OutputDecoder::ssd(manifest, (boxes, scores), &bytes);
            decoder.map_err(|source| ModelError::Anchors { path, source })
        }
    }
}

/// The first provider of the list that registers, and a builder with it.
fn choose_provider(
    runtime: &Runtime,
    settings: &SessionSettings,
    failed: &impl Fn(ort::Error) -> ModelError,
) -> Result<(SessionBuilder, Provider), ModelError> {
    let mut chosen = None;
    for &provider in &settings.providers {
        let builder = session_builder(runtime, settings).map_err(failed)?;
        match builder.with_execution_providers([dispatch(provider)]) {
            Ok(builder) => chosen = chosen.or(Some((builder, provider))),
            Err(error) => {
                let source = ort::Error::from(error);
                if settings.require {
                    return Err(ModelError::ProviderMissing { provider, source });
                }
                tracing::warn!(%provider, error = %source, "execution provider missing, trying the next");
            }
        }
    }
    chosen.ok_or(ModelError::NoProvider)
}

fn session_builder(runtime: &Runtime, settings: &SessionSettings) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(&runtime.environment)?;
    // Threads that spin while they wait take the cores that other cameras need.
    let builder = builder.with_intra_op_spinning(false)?;
    Ok(builder.with_intra_threads(settings.intra_threads.max(1))?)
}

fn dispatch(provider: Provider) -> ExecutionProviderDispatch {
    let dispatch = match provider {
        Provider::TensorRt => ep::TensorRT::default().build(),
        Provider::Cuda => ep::CUDA::default().build(),
        Provider::OpenVino => ep::OpenVINO::default().build(),
        Provider::Cpu => ep::CPU::default().build(),
    };
    dispatch.error_on_failure()
}
