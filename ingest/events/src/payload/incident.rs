//! What the workflow says of an incident on `xueliang.incidents.v1`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{DeviceId, IncidentId};

/// The closed list of incident categories (RULES C); a deployer may only disable or narrow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// A person in a restricted zone.
    ZoneIntrusion,
    /// A line crossed in its forbidden direction.
    LineCrossed,
    /// 人员聚集: too many persons in one place.
    Crowding,
    /// More went in than out by more than the capacity.
    OverCapacity,
    /// One track stays too long in a posted zone.
    Dwelling,
    /// A vehicle against its lane.
    WrongWayVehicle,
    /// A bicycle or motorcycle on a motorway lane.
    NonmotorOnMotorway,
    /// A vehicle that stands in a fire lane.
    FireLaneBlocked,
    /// A vehicle that stands where it must not.
    MotorNoParking,
    /// Too many bicycles parked in one place.
    NonmotorParking,
    /// A flooded road.
    RoadFlood,
    /// A flooded underpass.
    UnderpassFlood,
    /// An open or tilted manhole cover.
    ManholeOpen,
    /// Gas.
    GasLeak,
    /// Smoke or fire, by sensor.
    SmokeFire,
    /// A camera covered, moved or blurred.
    CameraTampered,
    /// A camera that delivers no pictures.
    CameraOffline,
}

impl Category {
    /// All categories.
    pub const ALL: [Category; 17] = [
        Category::ZoneIntrusion,
        Category::LineCrossed,
        Category::Crowding,
        Category::OverCapacity,
        Category::Dwelling,
        Category::WrongWayVehicle,
        Category::NonmotorOnMotorway,
        Category::FireLaneBlocked,
        Category::MotorNoParking,
        Category::NonmotorParking,
        Category::RoadFlood,
        Category::UnderpassFlood,
        Category::ManholeOpen,
        Category::GasLeak,
        Category::SmokeFire,
        Category::CameraTampered,
        Category::CameraOffline,
    ];

    /// The key on the wire and in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::ZoneIntrusion => "zone_intrusion",
            Category::LineCrossed => "line_crossed",
            Category::Crowding => "crowding",
            Category::OverCapacity => "over_capacity",
            Category::Dwelling => "dwelling",
            Category::WrongWayVehicle => "wrong_way_vehicle",
            Category::NonmotorOnMotorway => "nonmotor_on_motorway",
            Category::FireLaneBlocked => "fire_lane_blocked",
            Category::MotorNoParking => "motor_no_parking",
            Category::NonmotorParking => "nonmotor_parking",
            Category::RoadFlood => "road_flood",
            Category::UnderpassFlood => "underpass_flood",
            Category::ManholeOpen => "manhole_open",
            Category::GasLeak => "gas_leak",
            Category::SmokeFire => "smoke_fire",
            Category::CameraTampered => "camera_tampered",
            Category::CameraOffline => "camera_offline",
        }
    }

    /// Reads the key.
    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == key)
    }
}

/// An incident was opened or moved to another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentChanged {
    /// The incident.
    pub incident: IncidentId,
    /// Its category.
    pub category: Category,
    /// Its state now, a key of the workflow's state list.
    #[serde(deserialize_with = "state_key")]
    #[schemars(regex(pattern = r"^[a-z_]{1,32}$"))]
    pub state: String,
    /// Counts its changes from 1.
    #[schemars(range(min = 1))]
    pub version: u64,
    /// The device that saw it; none when a person reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// A detection is a lead, not evidence: always false.
    #[serde(deserialize_with = "only_false")]
    #[schemars(extend("const" = false))]
    pub evidentiary: bool,
}

fn state_key<'de, D: Deserializer<'de>>(json: D) -> Result<String, D::Error> {
    let key = String::deserialize(json)?;
    let valid = (1..=32).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if valid { Ok(key) } else { Err(serde::de::Error::custom("1 to 32 of a-z _")) }
}

fn only_false<'de, D: Deserializer<'de>>(json: D) -> Result<bool, D::Error> {
    if bool::deserialize(json)? { Err(serde::de::Error::custom("a detection is never evidence")) } else { Ok(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn category_keys_are_the_wire_names() {
        for category in Category::ALL {
            assert_eq!(serde_json::to_value(category).unwrap(), category.as_str());
            assert_eq!(Category::parse(category.as_str()), Some(category));
        }
    }
}
