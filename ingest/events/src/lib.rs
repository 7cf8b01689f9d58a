//! The wire contract between ingest and alerting: CloudEvents 1.0, structured JSON.
//!
//! In: facts that ingest measured. Out: bytes for Kafka or the embedded log, and back again.
//! Invariants: unknown fields and values out of range are refused with the field's path; `id` follows from
//! (source, session, sequence); no field can carry pixels, an identity, a face, a plate or an attribute of a person.
//! Not here: topics' transport, rules, storage.

pub mod event;
pub mod ids;
pub mod payload;
pub mod refused;
pub mod schema;
pub mod values;
pub mod wire;

pub use event::{Event, Source};
pub use ids::{CameraId, DeviceId, EventId, GridCode, IncidentId, LineId, SensorId, SessionId, TrackId, ZoneId};
pub use payload::Payload;
pub use refused::Refused;
pub use values::{BBox, Class, Confidence};

/// Zone, line, sensor and status events, keyed by device id.
pub const EVENTS_TOPIC: &str = "xueliang.events.v1";
/// Incident state changes, keyed by incident id.
pub const INCIDENTS_TOPIC: &str = "xueliang.incidents.v1";
/// Registry of cameras, sensors and grids, keyed by device id, compacted.
pub const DEVICES_TOPIC: &str = "xueliang.devices.v1";
/// The cameras that the workers of a city pull, keyed by camera id, compacted. Holds addresses: readable by workers only.
pub const CAMERAS_TOPIC: &str = "xueliang.cameras.v1";
/// What was refused, with the reason and never the refused bytes.
pub const DEAD_LETTER_TOPIC: &str = "xueliang.dead-letter.v1";
