//! Alerting: events in, incidents out.
//!
//! consume → rules → firing → group → incident → store → API, live stream and Kafka. [`start`] is all of it; the binary
//! gives it settings, a source, a metrics registry and a token that ends it. Invariants: effects and consumed position are
//! committed together, so each event counts once; nothing a machine detected goes further without a person.
//! Not here: cameras, pictures, inference. The crate builds without GStreamer and ONNX Runtime.

pub mod access;
pub mod accounts;
pub mod api;
pub mod attachment;
pub mod audit;
pub mod backup;
pub mod consume;
pub mod deadline;
pub mod evidence;
pub mod export;
mod files;
pub mod grant;
pub mod group;
pub mod live;
pub mod metrics;
mod notifier;
pub mod notify;
pub mod oidc;
pub mod originals;
pub mod procedure;
mod publish;
pub mod region;
mod register;
pub mod report;
pub mod retention;
pub mod rules_file;
mod run;
pub mod secret;
pub mod settings;
pub mod store;
pub mod sweeper;
pub mod text;
pub mod tls;
pub mod words;
pub mod workflow;

pub use api::Probe;
pub use group::Opened;
pub use run::{AlertingError, OneBox, Running, Started, start};
pub use settings::AlertingSettings;

/// An error with its causes, for the log.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
