//! What really runs a network. A provider that registers may still leave nodes to the processor, or all of them; only a
//! profile of a run tells. So each network on a provider other than the processor makes its first run under ONNX
//! Runtime's profiler, and every node's kernel time is counted for the provider that the profile names.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

use super::ModelError;
use crate::runtime::Provider;

/// Where the nodes of a graph ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    /// Nodes and their microseconds, by ONNX Runtime's name of the provider.
    by_provider: BTreeMap<String, (usize, u64)>,
}

/// Why the profile of a run says nothing.
#[derive(Debug, Error)]
pub(super) enum ProfileError {
    /// No profile was written.
    #[error("the profile of the first run can't be read")]
    Read(#[from] io::Error),
    /// Not what ONNX Runtime writes.
    #[error("the profile of the first run can't be understood")]
    Parse(#[from] serde_json::Error),
    /// Not a single node in it.
    #[error("the profile of the first run names no node")]
    Empty,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    dur: u64,
    #[serde(default)]
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    provider: Option<String>,
}

impl Placement {
    /// Reads a profile.
    pub(super) fn read(profile: &Path) -> Result<Self, ProfileError> {
        Self::parse(&std::fs::read(profile)?)
    }

    fn parse(profile: &[u8]) -> Result<Self, ProfileError> {
        let events: Vec<Event> = serde_json::from_slice(profile)?;
        let mut placement = Self::default();
        for Event { cat, dur, args } in events {
            if let (true, Some(provider)) = (cat == "Node", args.provider) {
                let (n_nodes, micros) = placement.by_provider.entry(provider).or_default();
                *n_nodes += 1;
                *micros += dur;
            }
        }
        if placement.by_provider.is_empty() { Err(ProfileError::Empty) } else { Ok(placement) }
    }

    /// The provider that most of the time went to, where it is one of ours.
    pub(super) fn main(&self) -> Option<Provider> {
        let (name, _) = self.by_provider.iter().max_by_key(|(_, (_, micros))| micros)?;
        Provider::ALL.into_iter().find(|provider| provider.onnx_name() == name)
    }

    /// Whether this provider ran all nodes.
    pub(super) fn is_all_on(&self, provider: Provider) -> bool {
        self.by_provider.keys().all(|name| name == provider.onnx_name())
    }
}

/// The provider that really runs the model where `asked` was asked for; `None` when nobody can tell. Another one than a required provider
/// is an error.
pub(super) fn running(
    placement: Result<Placement, String>,
    asked: Provider,
    require: bool,
) -> Result<Option<Provider>, ModelError> {
    match placement {
        Ok(placement) if placement.is_all_on(asked) => Ok(Some(asked)),
        Ok(placement) if require => {
            Err(ModelError::ProviderNotRunning { provider: asked, instead: placement.to_string() })
        }
        Ok(placement) => {
            let provider = placement.main().unwrap_or(asked);
            tracing::warn!(%asked, %provider, %placement, "another provider runs some nodes");
            Ok(Some(provider))
        }
        Err(problem) if require => Err(ModelError::ProviderNotRunning { provider: asked, instead: problem }),
        Err(problem) => {
            tracing::warn!(%asked, problem, "can't tell what really runs the model");
            Ok(None)
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, (n_nodes, micros))) in self.by_provider.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{n_nodes} nodes on {name} ({:.1} ms)", *micros as f64 / 1000.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = r#"[
        {"cat": "Session", "name": "model_run", "dur": 90, "args": {}},
        {"cat": "Node", "name": "a", "dur": 4000, "args": {"provider": "OpenVINOExecutionProvider", "op_name": "x"}},
        {"cat": "Node", "name": "b", "dur": 20, "args": {"provider": "CPUExecutionProvider"}},
        {"cat": "Node", "name": "c", "dur": 30, "args": {"provider": "CPUExecutionProvider"}}
    ]"#;

    #[test]
    fn nodes_left_to_the_processor_are_seen() {
        let placement = Placement::parse(MIXED.as_bytes()).unwrap();
        assert_eq!(placement.main(), Some(Provider::OpenVino));
        assert!(!placement.is_all_on(Provider::OpenVino));
        let text = placement.to_string();
        assert_eq!(text, "2 nodes on CPUExecutionProvider (0.1 ms), 1 nodes on OpenVINOExecutionProvider (4.0 ms)");
    }

    #[test]
    fn a_provider_that_took_nothing_is_not_the_one_that_runs() {
        let placement = Placement::parse(MIXED.replace("OpenVINO", "CPU").as_bytes()).unwrap();
        assert_eq!(placement.main(), Some(Provider::Cpu));
        assert!(placement.is_all_on(Provider::Cpu) && !placement.is_all_on(Provider::OpenVino));
    }

    #[test]
    fn a_required_provider_that_is_not_what_really_runs_is_an_error() {
        let mixed = || Ok(Placement::parse(MIXED.as_bytes()).unwrap());
        let refused = running(mixed(), Provider::OpenVino, true).unwrap_err().to_string();
        assert!(refused.contains("openvino") && refused.contains("2 nodes on CPUExecutionProvider"), "{refused}");
        assert_eq!(running(mixed(), Provider::OpenVino, false).unwrap(), Some(Provider::OpenVino));
        assert_eq!(running(mixed(), Provider::Cuda, false).unwrap(), Some(Provider::OpenVino));
        let all = Placement::parse(MIXED.replace("OpenVINO", "CPU").as_bytes()).unwrap();
        assert_eq!(running(Ok(all), Provider::Cpu, true).unwrap(), Some(Provider::Cpu));
        let unknown = || Err("no profile".to_owned());
        assert!(running(unknown(), Provider::Cuda, true).is_err());
        assert_eq!(running(unknown(), Provider::Cuda, false).unwrap(), None);
    }

    #[test]
    fn a_profile_that_says_nothing_is_an_error() {
        assert!(matches!(Placement::parse(b"[]"), Err(ProfileError::Empty)));
        assert!(matches!(Placement::parse(b"{"), Err(ProfileError::Parse(_))));
        assert!(matches!(Placement::read(Path::new("/nowhere/profile.json")), Err(ProfileError::Read(_))));
    }
}
