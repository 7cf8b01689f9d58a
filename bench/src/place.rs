//! Where the parts lie: manifest, weights, ONNX Runtime, Python and footage; flags first, then the checkout's cache.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::args::Common;

/// The found parts.
#[derive(Debug, Clone)]
pub struct Place {
    /// The model's manifest.
    pub manifest: PathBuf,
    /// The folder with its weights.
    pub weights: PathBuf,
    /// ONNX Runtime; `None`: the system's search path.
    pub onnxruntime: Option<PathBuf>,
    /// Python for the reference.
    pub python: PathBuf,
    /// Where made footage is kept.
    pub footage: PathBuf,
    /// The recording that all footage is made from.
    pub recording: PathBuf,
}

impl Place {
    /// Looks for everything; only what the flags name wrongly is an error here, what is missing is told when it is needed.
    pub fn find(common: &Common) -> Result<Self> {
        let root = checkout();
        let cache = std::env::var_os("XUELIANG_CACHE").map_or_else(|| root.join(".cache"), PathBuf::from);
        let name = std::env::var("XUELIANG_MODEL").unwrap_or_else(|_| "yolox_nano".to_owned());
        let manifest = common.model.clone().unwrap_or_else(|| root.join("models").join(format!("{name}.toml")));
        if !manifest.is_file() {
            bail!("there is no model manifest at {}; name one with --model", manifest.display());
        }
        let in_cache = cache.join("onnxruntime/libonnxruntime.so");
        let from_environment = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
        let onnxruntime =
            common.onnxruntime.clone().or(from_environment).or_else(|| in_cache.is_file().then_some(in_cache));
        Ok(Self {
            manifest: absolute(&manifest),
            weights: absolute(&common.weights.clone().unwrap_or_else(|| cache.join("models"))),
            onnxruntime: onnxruntime.as_deref().map(absolute),
            python: common.python.clone().unwrap_or_else(|| python(&cache)),
            footage: common.footage_dir.clone().unwrap_or_else(|| cache.join("bench")),
            recording: cache.join("footage/vtest.avi"),
        })
    }
}

/// The checkout that the program runs in: the nearest folder above that has models, else the one it was built in.
fn checkout() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let found = here.ancestors().find(|folder| folder.join("models/yolox_nano.toml").is_file()).map(Path::to_owned);
    found.unwrap_or(here)
}

/// The bench's own with OpenCV (`deploy/dev/install.sh bench`) before any other.
fn python(cache: &Path) -> PathBuf {
    let bench = cache.join("bench-python/bin/python3");
    let checks = cache.join("python/bin/python3");
    match std::env::var_os("PYTHON") {
        _ if bench.is_file() => bench,
        Some(path) if !path.is_empty() => path.into(),
        _ if checks.is_file() => checks,
        _ => PathBuf::from("python3"),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
