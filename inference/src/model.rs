//! A model that may run: its file has the manifest's digest, its inputs and outputs are exactly the decoder's, and a
//! session of ONNX Runtime holds it. A model with any other output, such as an embedding or text, never gets this far
//! (RULES P09).

mod contract;
mod graph;
mod inspect;
mod network;
mod parts;
mod placement;
mod recipe;
mod shapes;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

pub use self::inspect::Tensors;
pub(crate) use self::network::Network;
pub use self::network::NetworkFacts;
use self::recipe::Recipe;
use self::shapes::Shapes;
use crate::decode::DecodeError;
use crate::frame::Frame;
use crate::geometry::BBox;
use crate::manifest::Manifest;
use crate::preprocess::Window;
use crate::runtime::{Provider, Runtime, SessionSettings};

/// A loaded, verified model.
pub struct Model {
    name: String,
    licence: String,
    sha256: String,
    provider: Provider,
    score_threshold: f32,
    nms_iou: f32,
    shapes: Shapes,
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
    /// A provider that registered and, as a profiled run shows, leaves nodes to another, where it is required.
    #[error(
        "provider {provider} is required and does not run the whole model: {instead}; \
         unset require to accept that, or choose another provider"
    )]
    ProviderNotRunning {
        /// Which one.
        provider: Provider,
        /// What runs instead.
        instead: String,
    },
    /// None of the list is there.
    #[error("none of the listed execution providers is there: add cpu to the list")]
    NoProvider,
    /// A graph that can't take another input size.
    #[error("model {model} can't be had at {width}×{height}")]
    Size {
        /// Which model.
        model: String,
        /// Asked width.
        width: usize,
        /// Asked height.
        height: usize,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
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
        let recipe = Recipe::read(runtime, manifest, models_folder, settings)?;
        let full = recipe.full()?;
        let provider = full.facts().provider;
        Ok(Self {
            name: manifest.name.clone(),
            licence: manifest.licence.clone(),
            sha256: manifest.sha256.clone(),
            provider,
            score_threshold: manifest.output.score_threshold,
            nms_iou: manifest.output.nms_iou,
            shapes: Shapes::new(full, recipe.on(provider)),
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

    /// The provider that really runs it, as a profiled run shows.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Each network that was made so far, the one of the manifest's own size first, those for parts of frames last.
    pub fn networks(&self) -> Vec<Arc<NetworkFacts>> {
        self.shapes.made().chain(self.shapes.made_for_parts()).map(|network| Arc::clone(network.facts())).collect()
    }

    /// Width and height of each input size for whole frames that was made so far, the manifest's own first.
    pub fn sizes(&self) -> Vec<(usize, usize)> {
        self.shapes.made().map(Network::size).collect()
    }

    /// The network of this frame's shape.
    pub(crate) fn network(&mut self, frame: &Frame) -> &mut Network {
        self.shapes.network((frame.width() as usize, frame.height() as usize))
    }

    /// Whether a part of the frame holds this region and costs less than all of it.
    pub(crate) fn has_part(&self, frame: &Frame, region: &BBox) -> bool {
        self.shapes.has_part((frame.width() as usize, frame.height() as usize), region)
    }

    /// The network for this region of the frame, and what of it that takes in; `None`: the whole frame must do.
    pub(crate) fn part(&mut self, frame: &Frame, region: &BBox) -> Option<(&mut Network, Window)> {
        self.shapes.part((frame.width() as usize, frame.height() as usize), region)
    }

    pub(crate) fn score_threshold(&self) -> f32 {
        self.score_threshold
    }

    pub(crate) fn nms_iou(&self) -> f32 {
        self.nms_iou
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
