//! What a model file looks like from outside, for people who write or check a manifest. Only the pinned file is opened.

use std::path::Path;

use ort::session::Session;
use ort::value::Outlet;

use super::{ModelError, read_pinned};
use crate::manifest::Manifest;
use crate::runtime::Runtime;

/// Inputs and outputs of a graph, each as its name, type and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensors {
    /// What goes in.
    pub inputs: Vec<String>,
    /// What comes out.
    pub outputs: Vec<String>,
}

impl Tensors {
    /// Of the file that the manifest pins.
    pub fn of(runtime: &Runtime, manifest: &Manifest, models_folder: &Path) -> Result<Self, ModelError> {
        let bytes = read_pinned(&models_folder.join(&manifest.file), &manifest.sha256)?;
        let session = Session::builder(&runtime.environment).and_then(|mut builder| builder.commit_from_memory(&bytes));
        let session = session.map_err(|source| ModelError::Session { model: manifest.name.clone(), source })?;
        let describe = |outlet: &Outlet| format!("{}: {}", outlet.name(), outlet.dtype());
        Ok(Self {
            inputs: session.inputs().iter().map(describe).collect(),
            outputs: session.outputs().iter().map(describe).collect(),
        })
    }
}
