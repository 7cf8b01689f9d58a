//! Devices and rules over the wire, and what stands still before cameras.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Bbox, Bilingual};

/// A camera or sensor.
#[derive(Debug, Serialize, ToSchema)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// `camera` or `sensor`.
    pub kind: String,
    /// Its name.
    pub name: Bilingual,
    /// How it is.
    pub state: String,
    /// Why it is so.
    #[schema(required)]
    pub cause: Option<String>,
    /// Why a camera is stopped whose authorization does not hold: the gravest reason, as device status events name it.
    #[schema(required)]
    pub suspended: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When it last said anything.
    #[schema(required)]
    pub last_seen: Option<Timestamp>,
    /// Its grid.
    #[schema(required)]
    pub grid: Option<String>,
}

/// All devices in scope.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceList {
    /// By id.
    pub items: Vec<Device>,
}

/// Something that stood at one place for hours; nothing tells it from another object of its class.
#[derive(Debug, Serialize, ToSchema)]
pub struct StaticObject {
    /// The camera.
    pub device: String,
    /// The zone.
    pub zone: String,
    /// What it is taken for.
    pub class: String,
    /// Where in the frame.
    pub bbox: Bbox,
    /// Since when something stands there.
    pub since: Timestamp,
    /// When it was seen last.
    pub seen_at: Timestamp,
}

/// All static objects in scope.
#[derive(Debug, Serialize, ToSchema)]
pub struct StaticList {
    /// By device.
    pub items: Vec<StaticObject>,
}

/// A rule as people see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// The category of its incidents.
    pub category: String,
    /// True when it is evaluated.
    pub enabled: bool,
    /// Its kind.
    pub kind: String,
    /// The devices it looks at; empty means all.
    pub devices: Vec<String>,
    /// The zone or line.
    #[schema(required)]
    pub place: Option<String>,
    /// Its T, seconds.
    pub for_s: f64,
    /// What it watches for.
    pub description: Bilingual,
}

/// A version of a rule, from when it first came into force.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleVersion {
    /// Its number.
    pub version: u32,
    /// What it means, as settings say it, defaults written out.
    pub meaning: String,
    /// SHA-256 of the meaning.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub sha256: String,
    /// When it first came into force.
    pub seen_at: Timestamp,
}

/// The versions of a rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleVersionList {
    /// The newest first.
    pub items: Vec<RuleVersion>,
}

/// All rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleList {
    /// In the order of the settings.
    pub items: Vec<Rule>,
}
