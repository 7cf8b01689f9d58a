//! What a model's networks are made of: the pinned bytes, the manifest, and how sessions run.

use std::path::{Path, PathBuf};

use ort::ep;
use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::network::{self, Network, NetworkFacts};
use super::placement::{self, Placement};
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

    /// The first provider of the list.
    pub(super) fn provider(&self) -> Option<Provider> {
        self.settings.providers.first().copied()
    }

    /// The network of the manifest's own size, on the first provider of the list that runs it.
    pub(super) fn full(&self) -> Result<Network, ModelError> {
        let mut last = ModelError::NoProvider;
        let mut chosen = None;
        for &provider in &self.settings.providers {
            let made = match self.builder(provider) {
                Ok(_) if chosen.is_some() => continue,
                Ok(builder) => self.commit(builder, provider, &self.manifest, &self.bytes),
                Err(source) => Err(ModelError::ProviderMissing { provider, source }),
            };
            match made {
                Ok(network) => chosen = Some(network),
                Err(error) if self.settings.require || matches!(error, ModelError::Contract { .. }) => {
                    return Err(error);
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%provider, %error, cause, "execution provider can't be used, trying the next");
                    if !matches!(error, ModelError::ProviderMissing { .. }) {
                        last = error;
                    }
                }
            }
        }
        chosen.ok_or(last)
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
        let Some(provider) = self.provider() else { return Err(ModelError::NoProvider) };
        let builder = self.builder(provider).map_err(|source| ModelError::ProviderMissing { provider, source })?;
        self.commit(builder, provider, &manifest, &bytes)
    }

    fn builder(&self, provider: Provider) -> ort::Result<SessionBuilder> {
        let builder = Session::builder(&self.runtime.environment)?;
        // Threads that spin while they wait take the cores that other cameras need.
        let builder = builder.with_intra_op_spinning(false)?;
        let builder = builder.with_intra_threads(self.n_threads())?;
        Ok(builder.with_execution_providers([self.dispatch(provider)])?)
    }

    fn dispatch(&self, provider: Provider) -> ExecutionProviderDispatch {
        let dispatch = match provider {
            Provider::TensorRt => ep::TensorRT::default().build(),
            // TF32 moves boxes by more than a pixel.
            Provider::Cuda => ep::CUDA::default().with_tf32(false).build(),
            Provider::OpenVino => ep::OpenVINO::default().with_num_threads(self.n_threads()).build(),
            // Without its arena the runtime asks the system for all intermediate results anew, each time.
            Provider::Cpu => ep::CPU::default().with_arena_allocator(true).build(),
        };
        dispatch.error_on_failure()
    }

    fn n_threads(&self) -> usize {
        self.settings.intra_threads.max(1)
    }

    /// Makes a network, runs it once, and finds out what really runs it.
    fn commit(
        &self,
        builder: SessionBuilder,
        provider: Provider,
        manifest: &Manifest,
        bytes: &[u8],
    ) -> Result<Network, ModelError> {
        let decoder = load_decoder(manifest, &self.models_folder)?;
        let folder = tempfile::tempdir();
        // With nothing but the processor registered, nothing else can run.
        let folder = if provider == Provider::Cpu { None } else { folder.ok() };
        let mut builder = match &folder {
            Some(folder) => builder
                .with_profiling(folder.path().join("run"))
                .map_err(|error| self.failed(ort::Error::from(error)))?,
            None => builder,
        };
        let session = builder.commit_from_memory(bytes).map_err(|source| self.failed(source))?;
        let mut network = Network::new(manifest, decoder, session, provider)?;
        network.warm_up().map_err(|source| self.failed(source))?;
        if provider != Provider::Cpu {
            self.find_out(&mut network, provider, folder.is_some())?;
        }
        let NetworkFacts { model, provider, width, height } = &**network.facts();
        tracing::info!(model, width, height, %provider, "model loaded");
        Ok(network)
    }

    fn find_out(&self, network: &mut Network, asked: Provider, profiled: bool) -> Result<(), ModelError> {
        let placement = if profiled {
            let profile = network.end_profiling().map_err(|source| self.failed(source))?;
            Placement::read(Path::new(&profile)).map_err(|error| error.to_string())
        } else {
            Err("no temporary folder for the profile of the first run; set TMPDIR".to_owned())
        };
        if let Some(provider) = placement::running(placement, asked, self.settings.require)? {
            network.runs_on(provider);
        }
        Ok(())
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
