//! ONNX Runtime, loaded from a shared library once per process, and the settings of its sessions.
//! A library that is missing or too old is an error with its cure, never a panic. Its telemetry is switched off.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider as _};
use thiserror::Error;

/// The variable that names the library when no setting does.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// The loaded library.
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) environment: Environment,
    library: PathBuf,
}

/// Hardware that can run a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// NVIDIA TensorRT.
    TensorRt,
    /// NVIDIA CUDA.
    Cuda,
    /// Intel OpenVINO.
    OpenVino,
    /// The processor; always there.
    Cpu,
}

/// How a model is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Tried in this order; the first that is there runs the model.
    pub providers: Vec<Provider>,
    /// Whether it is an error that a provider of the list is missing, or that the first of them leaves nodes to another.
    pub require: bool,
    /// Threads of one inference.
    pub intra_threads: usize,
}

/// Why ONNX Runtime can't be used.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The library is not there, is no ONNX Runtime, or is too old.
    #[error(
        "can't load ONNX Runtime from {}: point the setting or {LIBRARY_VARIABLE} to libonnxruntime.so, \
         version 1.{} or later", library.display(), ort::MINOR_VERSION
    )]
    Load {
        /// Which file.
        library: PathBuf,
        /// Why.
        #[source]
        source: ort::LoadDynamicError,
    },
    /// The library loaded but does not start.
    #[error("ONNX Runtime from {} doesn't start", library.display())]
    Start {
        /// Which file.
        library: PathBuf,
        /// Why.
        #[source]
        source: ort::Error,
    },
    /// One process holds one library.
    #[error("ONNX Runtime is already loaded from {}: restart to use {}", loaded.display(), asked.display())]
    OtherLibrary {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        asked: PathBuf,
    },
}

/// A provider name that is not on the list.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("provider {0:?} is not one of tensorrt, cuda, openvino, cpu")]
pub struct UnknownProvider(String);

/// Loads ONNX Runtime: from this file, else from the one that `ORT_DYLIB_PATH` names, else from the system's search
/// path. A later call with the same file gives the same runtime; after an error it can be tried again.
pub fn init_runtime(library: Option<&Path>) -> Result<Runtime, RuntimeError> {
    let library = absolute(library.map_or_else(default_library, Path::to_owned));
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = loaded.as_ref() {
        if runtime.library == library {
            return Ok(runtime.clone());
        }
        return Err(RuntimeError::OtherLibrary { loaded: runtime.library.clone(), asked: library });
    }
    let builder = ort::init_from(&library);
    let builder = builder.map_err(|source| RuntimeError::Load { library: library.clone(), source })?;
    let environment = builder.with_name("xueliang").with_telemetry(false).build();
    let environment = environment.map_err(|source| RuntimeError::Start { library: library.clone(), source })?;
    let runtime = Runtime { environment, library };
    tracing::info!(library = %runtime.library.display(), build = runtime.build(), "onnx runtime loaded");
    *loaded = Some(runtime.clone());
    Ok(runtime)
}

impl Runtime {
    /// The file it was loaded from.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// The providers that the library was built with; whether the machine has the hardware is another question.
    pub fn providers(&self) -> Vec<Provider> {
        let has = |provider: &Provider| match provider {
            Provider::TensorRt => ep::TensorRT::is_available(),
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::OpenVino => ep::OpenVINO::is_available(),
            Provider::Cpu => Ok(true),
        };
        Provider::ALL.into_iter().filter(|provider| has(provider).unwrap_or(false)).collect()
    }

    /// What the library says of its build.
    pub fn build(&self) -> &'static str {
        ort::info()
    }
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TensorRt, Self::Cuda, Self::OpenVino, Self::Cpu];

    /// The name used in settings and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
            Self::Cpu => "cpu",
        }
    }

    /// ONNX Runtime's name of it.
    pub(crate) fn onnx_name(self) -> &'static str {
        match self {
            Self::TensorRt => "TensorrtExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
            Self::OpenVino => "OpenVINOExecutionProvider",
            Self::Cpu => "CPUExecutionProvider",
        }
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { providers: vec![Provider::Cpu], require: false, intra_threads: 1 }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        let found = Self::ALL.into_iter().find(|provider| provider.as_str() == name);
        found.ok_or_else(|| UnknownProvider(name.to_owned()))
    }
}

fn default_library() -> PathBuf {
    match env::var_os(LIBRARY_VARIABLE) {
        Some(path) if !path.is_empty() => path.into(),
        _ => format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX).into(),
    }
}

/// A relative path that exists means the file seen from here, not from the executable's folder; a bare name that does
/// not exist stays as it is, for the system's search path.
fn absolute(library: PathBuf) -> PathBuf {
    if !library.is_absolute() && library.exists() {
        return std::path::absolute(&library).unwrap_or(library);
    }
    library
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_library_is_an_error_with_a_cure() {
        let error = init_runtime(Some(Path::new("/nowhere/libonnxruntime.so"))).expect_err("is missing");
        let message = error.to_string();
        assert!(message.contains("/nowhere/libonnxruntime.so") && message.contains("ORT_DYLIB_PATH"), "{message}");
    }

    #[test]
    fn library_that_is_something_else_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"not a library").unwrap();
        assert!(matches!(init_runtime(Some(file.path())), Err(RuntimeError::Load { .. })));
    }

    #[test]
    fn provider_names_round_trip() {
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse(), Ok(provider));
        }
        assert!("gpu".parse::<Provider>().is_err());
    }
}
