//! One event: its envelope in typed form.

use jiff::Timestamp;

use crate::{
    ids::{CameraId, DeviceId, EventId, GridCode, IncidentId, SensorId, SessionId},
    payload::Payload,
};

/// Who says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A camera; `/cameras/<id>` on the wire.
    Camera(CameraId),
    /// A sensor; `/sensors/<id>` on the wire.
    Sensor(SensorId),
    /// The incident workflow; `/incidents/<id>` on the wire.
    Incident(IncidentId),
    /// A consumer that refused an event; `/consumers/<name>` on the wire.
    Consumer(DeviceId),
    /// The registry of devices; `/registry/<device id>` on the wire.
    Registry(DeviceId),
}

impl Source {
    /// The wire's URI reference.
    pub fn uri(&self) -> String {
        match self {
            Source::Camera(id) => format!("/cameras/{id}"),
            Source::Sensor(id) => format!("/sensors/{id}"),
            Source::Incident(id) => format!("/incidents/{id}"),
            Source::Consumer(id) => format!("/consumers/{id}"),
            Source::Registry(id) => format!("/registry/{id}"),
        }
    }

    /// Reads the wire's URI reference; `None` when it is none of ours.
    pub fn parse(uri: &str) -> Option<Self> {
        let (kind, id) = uri.strip_prefix('/')?.split_once('/')?;
        match kind {
            "cameras" => id.parse().ok().map(Source::Camera),
            "sensors" => id.parse().ok().map(Source::Sensor),
            "incidents" => id.parse().ok().map(Source::Incident),
            "consumers" => id.parse().ok().map(Source::Consumer),
            "registry" => id.parse().ok().map(Source::Registry),
            _ => None,
        }
    }

    /// The device that measured, if the source is one.
    pub fn device(&self) -> Option<DeviceId> {
        match self {
            Source::Camera(id) => Some(id.clone().into()),
            Source::Sensor(id) => Some(id.clone().into()),
            Source::Incident(_) | Source::Consumer(_) | Source::Registry(_) => None,
        }
    }

    /// The Kafka key: events of one key stay in order.
    pub fn key(&self) -> String {
        match self {
            Source::Camera(id) => id.to_string(),
            Source::Sensor(id) => id.to_string(),
            Source::Incident(id) => id.to_string(),
            Source::Consumer(id) | Source::Registry(id) => id.to_string(),
        }
    }
}

/// One fact with its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Who says it.
    pub source: Source,
    /// The run of the source's pipeline.
    pub session: SessionId,
    /// Counts the session's events from 0, without gaps at the source.
    pub sequence: u64,
    /// Capture time, UTC.
    pub time: Timestamp,
    /// When the process that publishes had it, UTC.
    pub received_at: Timestamp,
    /// The grid or region it belongs to.
    pub grid: Option<GridCode>,
    /// Grows each time that the device gets another owner in a group of workers; `None` where it has one for good.
    pub owner_epoch: Option<u64>,
    /// The fact.
    pub payload: Payload,
}

impl Event {
    /// The id: the same for the same (source, session, sequence).
    pub fn id(&self) -> EventId {
        EventId::derive(&self.source.uri(), self.session, self.sequence)
    }
}
