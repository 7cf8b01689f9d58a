//! What an event can say: one variant per type on the wire, versions in the type's name.

mod device;
mod incident;
mod refusal;
mod zone;

pub use device::{
    CameraConfigured, CameraRegistered, DeviceState, DeviceStatus, GateEvidence, GridRegistered, PictureFault, Quality,
    SensorReading, SensorRegistered, Suspension, Transport,
};
pub use incident::{Category, IncidentChanged};
pub use refusal::EventRefused;
pub use zone::{Direction, LineCrossed, ZoneDwelled, ZoneEntered, ZoneExited, ZoneOccupancy};

use crate::{CAMERAS_TOPIC, DEAD_LETTER_TOPIC, DEVICES_TOPIC, EVENTS_TOPIC, INCIDENTS_TOPIC, refused::Refused};

macro_rules! payloads {
    ($($variant:ident => $wire_type:literal, $topic:expr;)*) => {
        /// One fact.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Payload {
            $(
                #[doc = concat!("`", $wire_type, "`")]
                $variant($variant),
            )*
        }

        impl Payload {
            /// All wire types with the topic each belongs to.
            pub const TYPES: &'static [(&'static str, &'static str)] = &[$(($wire_type, $topic)),*];

            /// The type's name on the wire.
            pub fn wire_type(&self) -> &'static str {
                match self { $(Payload::$variant(_) => $wire_type),* }
            }

            /// The topic it belongs to.
            pub fn topic(&self) -> &'static str {
                match self { $(Payload::$variant(_) => $topic),* }
            }

            pub(crate) fn to_value(&self) -> serde_json::Result<Box<serde_json::value::RawValue>> {
                match self { $(Payload::$variant(data) => serde_json::value::to_raw_value(data)),* }
            }

            pub(crate) fn parse(wire_type: &str, data: &str) -> Result<Self, Refused> {
                match wire_type {
                    $($wire_type => parse_data(data).map(Payload::$variant),)*
                    other => Err(Refused::at("type", format_args!("unknown type {:?}", other.chars().take(80).collect::<String>()))),
                }
            }

            pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($wire_type, generator.subschema_for::<$variant>())),*]
            }
        }

        $(
            impl From<$variant> for Payload {
                fn from(data: $variant) -> Self {
                    Payload::$variant(data)
                }
            }
        )*
    };
}

payloads! {
    ZoneEntered => "xueliang.zone.entered.v1", EVENTS_TOPIC;
    ZoneExited => "xueliang.zone.exited.v1", EVENTS_TOPIC;
    ZoneOccupancy => "xueliang.zone.occupancy.v1", EVENTS_TOPIC;
    ZoneDwelled => "xueliang.zone.dwelled.v1", EVENTS_TOPIC;
    LineCrossed => "xueliang.line.crossed.v1", EVENTS_TOPIC;
    SensorReading => "xueliang.sensor.reading.v1", EVENTS_TOPIC;
    DeviceStatus => "xueliang.device.status.v1", EVENTS_TOPIC;
    IncidentChanged => "xueliang.incident.changed.v1", INCIDENTS_TOPIC;
    CameraRegistered => "xueliang.camera.registered.v1", DEVICES_TOPIC;
    SensorRegistered => "xueliang.sensor.registered.v1", DEVICES_TOPIC;
    GridRegistered => "xueliang.grid.registered.v1", DEVICES_TOPIC;
    CameraConfigured => "xueliang.camera.configured.v1", CAMERAS_TOPIC;
    EventRefused => "xueliang.event.refused.v1", DEAD_LETTER_TOPIC;
}

fn parse_data<T: serde::de::DeserializeOwned>(data: &str) -> Result<T, Refused> {
    let mut json = serde_json::Deserializer::from_str(data);
    serde_path_to_error::deserialize(&mut json).map_err(|error| Refused::from_json("data", &error))
}
