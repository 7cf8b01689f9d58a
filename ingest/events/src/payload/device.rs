//! What a device measures, how it is, and its entry in the registry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::GridCode;

/// How far a reading can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Measured and plausible.
    Good,
    /// Measured, but out of calibration or repeated.
    Uncertain,
    /// Not usable; rules ignore it.
    Bad,
}

/// One measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SensorReading {
    /// What is measured, such as `water_level` or `methane`.
    #[serde(deserialize_with = "short_name")]
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,63}$"))]
    pub quantity: String,
    /// The value; finite.
    pub value: f64,
    /// Its unit as UCUM writes it, such as `cm` or `%`.
    #[serde(deserialize_with = "unit")]
    #[schemars(length(min = 1, max = 16))]
    pub unit: String,
    /// How far it can be trusted.
    pub quality: Quality,
}

/// What a camera's gate goes by when it decides what is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateEvidence {
    /// Everything is decoded: asked for, or nothing else would do.
    Everything,
    /// Keyframes, and what lies between them when one differs.
    Keyframes,
    /// Encoded sizes, and a keyframe now and then.
    Sizes,
    /// Keyframes of the sub-stream.
    SubKeyframes,
    /// Encoded sizes of the sub-stream, and a keyframe now and then.
    SubSizes,
}

/// What is wrong with a camera's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PictureFault {
    /// Nothing but darkness.
    Black,
    /// Most of it burnt out.
    OverExposed,
    /// The same picture again and again.
    Frozen,
    /// Something hides most of the view.
    Covered,
    /// The camera looks elsewhere.
    Moved,
    /// The view without its detail.
    Blurred,
}

impl PictureFault {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Black, Self::OverExposed, Self::Frozen, Self::Covered, Self::Moved, Self::Blurred];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::OverExposed => "over_exposed",
            Self::Frozen => "frozen",
            Self::Covered => "covered",
            Self::Moved => "moved",
            Self::Blurred => "blurred",
        }
    }
}

/// Why a camera's authorization does not let it be pulled (RULES P02, P03, P05); the gravest stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Suspension {
    /// It stands where no camera may be.
    ProhibitedPlace,
    /// The day of its first use has not come.
    BeforeFirstUse,
    /// Nothing says what it is needed for.
    NecessityMissing,
    /// Nobody reviewed what it sees.
    ViewReviewMissing,
    /// The review of what it sees is no longer valid.
    ViewReviewLapsed,
    /// There is no proof of its sign.
    SignageMissing,
    /// The proof of its sign is no longer valid.
    SignageLapsed,
    /// It is in use for more than 30 days and not filed.
    FilingMissing,
    /// It is filed for something else than it is now, for more than 30 days.
    FilingOutdated,
}

impl Suspension {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::ProhibitedPlace,
        Self::BeforeFirstUse,
        Self::NecessityMissing,
        Self::ViewReviewMissing,
        Self::ViewReviewLapsed,
        Self::SignageMissing,
        Self::SignageLapsed,
        Self::FilingMissing,
        Self::FilingOutdated,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ProhibitedPlace => "prohibited_place",
            Self::BeforeFirstUse => "before_first_use",
            Self::NecessityMissing => "necessity_missing",
            Self::ViewReviewMissing => "view_review_missing",
            Self::ViewReviewLapsed => "view_review_lapsed",
            Self::SignageMissing => "signage_missing",
            Self::SignageLapsed => "signage_lapsed",
            Self::FilingMissing => "filing_missing",
            Self::FilingOutdated => "filing_outdated",
        }
    }
}

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Being connected to for the first time, or again after it was asked to.
    Connecting,
    /// Delivers.
    Live,
    /// Delivers, but not as it should; the cause says why.
    Degraded,
    /// Connected, and nothing comes.
    Stalled,
    /// Refused the credentials.
    AuthFailed,
    /// No connection can be made.
    Unreachable,
    /// Answered, but with something that can't be used.
    Refused,
    /// Switched off here, by configuration or shutdown.
    Stopped,
}

impl DeviceState {
    /// True while pictures or readings arrive.
    pub fn delivers(self) -> bool {
        matches!(self, DeviceState::Live | DeviceState::Degraded)
    }
}

/// A device's state changed, or a heartbeat repeats it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceStatus {
    /// The state.
    pub state: DeviceState,
    /// Why, in words for the integrator; never an address or a credential.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "cause")]
    #[schemars(length(max = 240))]
    pub cause: Option<String>,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// True when nothing changed.
    pub heartbeat: bool,
    /// What a camera's gate goes by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateEvidence>,
    /// What is wrong with a camera's picture, the worst of it; absent while nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture_fault: Option<PictureFault>,
    /// Why a camera is stopped whose authorization does not hold, the gravest reason; absent while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspension>,
    /// True while it goes up and down so often that not each time is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flapping: bool,
}

impl DeviceStatus {
    /// A state that begins now and of which there is no more to say.
    pub fn new(state: DeviceState, since: Timestamp) -> Self {
        Self {
            state,
            cause: None,
            since,
            heartbeat: false,
            gate: None,
            picture_fault: None,
            suspended: None,
            flapping: false,
        }
    }
}

/// How a stream is transported (RULES P34).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RTP interleaved in the RTSP connection.
    Tcp,
    /// RTP over UDP.
    Udp,
}

/// A camera in the registry. No address and no credential: those stay with the worker that pulls it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraRegistered {
    /// Its name for people, by language tag.
    #[serde(deserialize_with = "names")]
    pub names: BTreeMap<String, String>,
    /// WGS-84 longitude and latitude, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<[f64; 2]>,
    /// How its stream is transported.
    pub transport: Transport,
}

/// A camera as the workers of a city shall pull it: where it is, and where its credentials are found; never a credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraConfigured {
    /// The keys of `[[camera]]` in a settings file; the worker reads them by the same rules and refuses unknown ones.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// A sensor in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SensorRegistered {
    /// Its name for people, by language tag.
    #[serde(deserialize_with = "names")]
    pub names: BTreeMap<String, String>,
    /// WGS-84 longitude and latitude, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<[f64; 2]>,
}

/// A grid or region in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GridRegistered {
    /// Its code.
    pub code: GridCode,
    /// Its name for people, by language tag.
    #[serde(deserialize_with = "names")]
    pub names: BTreeMap<String, String>,
}

fn checked<'de, D: Deserializer<'de>>(json: D, rule: &str, valid: impl Fn(&str) -> bool) -> Result<String, D::Error> {
    let text = String::deserialize(json)?;
    if valid(&text) { Ok(text) } else { Err(serde::de::Error::custom(rule)) }
}

fn short_name<'de, D: Deserializer<'de>>(json: D) -> Result<String, D::Error> {
    checked(json, "1 to 64 of a-z 0-9 _ and beginning with a letter", |text| {
        text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    })
}

fn unit<'de, D: Deserializer<'de>>(json: D) -> Result<String, D::Error> {
    checked(json, "1 to 16 characters", |text| (1..=16).contains(&text.chars().count()))
}

fn cause<'de, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(json)? {
        Some(text) if text.chars().count() > 240 => Err(serde::de::Error::custom("at most 240 characters")),
        cause => Ok(cause),
    }
}

fn names<'de, D: Deserializer<'de>>(json: D) -> Result<BTreeMap<String, String>, D::Error> {
    let names = BTreeMap::<String, String>::deserialize(json)?;
    let fits = |(tag, name): (&String, &String)| (2..=12).contains(&tag.len()) && name.chars().count() <= 120;
    if names.len() <= 8 && names.iter().all(fits) {
        Ok(names)
    } else {
        Err(serde::de::Error::custom("at most 8 language tags, names of at most 120 characters"))
    }
}
