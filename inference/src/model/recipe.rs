//! What a model's networks are made of: the pinned bytes, the manifest, and how sessions run.

use std::path::{Path, PathBuf};

use ort::ep;
use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::network::{self, Network};
use super::{ModelError, graph, read_pinned};
use crate::decode::OutputDecoder;
use crate::manifest::{Decoder, InputSpec, Manifest};
use crate::runtime::{Provider, Runtime, SessionSettings};

/// Makes networks of one model.
pub(super) struct Recipe {
    runtime: Runtime,
    manifest: Manifest,
    models_folder: PathBuf,
    settings: SessionSettings,
    /// The file as the manifest pins it.
    bytes: Vec<u8>,
}

impl Recipe {
    /// Reads the file and checks its digest.
    pub(super) fn read(
        runtime: &Runtime,
        manifest: &Manifest,
        models_folder: &Path,
        settings: &SessionSettings,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            runtime: runtime.clone(),
            bytes: read_pinned(&models_folder.join(&manifest.file), &manifest.sha256)?,
            manifest: manifest.clone(),
            models_folder: models_folder.to_owned(),
            settings: settings.clone(),
        })
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn input(&self) -> &InputSpec {
        &self.manifest.input
    }

    /// The network of the manifest's own size, and the provider of the list that runs it.
    pub(super) fn full(&self) -> Result<(Network, Provider), ModelError> {
        let (builder, provider) = choose_provider(&self.runtime, &self.settings, &|source| self.failed(source))?;
        Ok((self.commit(builder, &self.manifest, &self.bytes)?, provider))
    }

    /// From here on with this provider only.
    pub(super) fn on(mut self, provider: Provider) -> Self {
        self.settings.providers = vec![provider];
        self
    }

    /// The network of another size.
    pub(super) fn network(&self, (width, height): (usize, usize)) -> Result<Network, ModelError> {
        let mut manifest = self.manifest.clone();
        (manifest.input.width, manifest.input.height) = (width, height);
        let bytes = graph::with_input_dims(&self.bytes, &manifest.input.tensor, network::dims(&manifest.input));
        let bytes = bytes.map_err(|source| {
            let (model, source) = (manifest.name.clone(), Box::new(source));
            ModelError::Size { model, width, height, source }
        })?;
        let (builder, provider) = choose_provider(&self.runtime, &self.settings, &|source| self.failed(source))?;
        let network = self.commit(builder, &manifest, &bytes)?;
        tracing::info!(model = manifest.name, width, height, %provider, "model follows a camera's shape");
        Ok(network)
    }

    fn commit(&self, mut builder: SessionBuilder, manifest: &Manifest, bytes: &[u8]) -> Result<Network, ModelError> {
        let decoder = load_decoder(manifest, &self.models_folder)?;
        let session = builder.commit_from_memory(bytes).map_err(|source| self.failed(source))?;
        Network::new(&manifest.name, manifest.input.clone(), decoder, session)
    }

    fn failed(&self, source: ort::Error) -> ModelError {
        ModelError::Session { model: self.manifest.name.clone(), source }
    }
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
