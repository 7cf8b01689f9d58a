//! Cameras and sensors in, events out: pull → gate → decode → detect → track → zone observations → outbox → Kafka or one-box
//! alerting; MQTT or HTTP push → checks → readings → the same outbox.
//!
//! Two loss policies: frames are lossy (the newest wins, drops are counted per camera); events are lossless (durable outbox,
//! at-least-once, ids that let consumers recognise a repetition). No picture leaves this crate except a redacted snapshot, and as
//! ciphertext what it was made of, where the settings name a public key.
//! Not here: rules, incidents, their API.

pub mod settings;

pub mod access_unit;
pub mod analyse;
pub mod attention;
pub mod authorization;
pub mod backoff;
pub mod camera;
pub mod decode;
pub mod failure;
pub mod files;
pub mod gate;
pub mod look;
pub mod metrics;
pub mod networks;
pub mod offline;
pub mod outbox;
pub mod publish;
pub mod scheduler;
pub mod sensor;
pub mod session;
pub mod snapshots;
pub mod status;
pub mod stream_health;
pub mod threads;
pub mod wall_clock;

pub mod fleet;
pub mod registry;
pub mod worker;

pub use settings::IngestSettings;
pub use worker::{Worker, WorkerError};
