//! What a rule is: which category it finds, where, from which evidence, and who answers for it.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use xueliang_events::{
    Class, DeviceId, LineId, ZoneId,
    payload::{Category, Direction, PictureFault},
};

use crate::schedule::{Minute, Schedule};

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, unique in the deployment.
    pub id: RuleId,
    /// Raised by the deployer with each change of meaning.
    pub version: u32,
    /// The category of the incidents it opens.
    pub category: Category,
    /// Off by default.
    pub enabled: bool,
    /// The devices it looks at; empty means all.
    pub devices: Vec<DeviceId>,
    /// Where on the device.
    pub place: Place,
    /// The classes it counts; empty for sensors and status.
    pub classes: Vec<Class>,
    /// Detections below this score are no evidence.
    pub min_confidence: f32,
    /// What makes it fire.
    pub kind: Kind,
    /// When it is in force.
    pub schedule: Schedule,
    /// Shortest time between two firings at one place.
    pub cool_down: Duration,
    /// How urgent its incidents are.
    pub urgency: Urgency,
    /// Who answers for it; always there when it is enabled.
    pub governance: Option<Governance>,
}

impl Rule {
    /// True when the rule looks at this device.
    pub fn watches(&self, device: &DeviceId) -> bool {
        self.enabled && (self.devices.is_empty() || self.devices.contains(device))
    }
}

/// What must be settled before a rule may be enabled (RULES C, P30).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Governance {
    /// The unit that answers for the rule.
    pub owner: String,
    /// The law or regulation it rests on.
    pub legal_basis: String,
    /// The department that receives its incidents.
    pub department: String,
    /// The id of its impact assessment.
    pub assessment: String,
    /// The name of its deadline rule.
    pub deadline: String,
}

/// What makes a rule fire.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// At least one of the classes in the zone, for a time.
    Presence {
        /// For how long.
        hold: Duration,
        /// Empty for this long ends the situation.
        clear_for: Duration,
    },
    /// At least `n` of the classes in the zone, for a time.
    Occupancy {
        /// How many.
        n: u32,
        /// The situation ends below `n - hysteresis`.
        hysteresis: u32,
        /// For how long.
        hold: Duration,
        /// Below for this long ends the situation.
        clear_for: Duration,
    },
    /// One track stays in the zone.
    Dwell {
        /// For how long.
        hold: Duration,
        /// Counts only the time it stands still.
        still: bool,
        /// Empty for this long ends the situation.
        clear_for: Duration,
    },
    /// A line is crossed.
    Line {
        /// Which way; `None` is both.
        direction: Option<Direction>,
    },
    /// More went over a line inwards than outwards than a place holds, for a time.
    Balance {
        /// Which way leads in.
        inward: Direction,
        /// How many the place holds.
        capacity: u32,
        /// The situation ends at `capacity - hysteresis`.
        hysteresis: u32,
        /// For how long.
        hold: Duration,
        /// Not above for this long ends the situation.
        clear_for: Duration,
        /// When the count begins anew each day, for missed crossings add up.
        reset_at: Minute,
    },
    /// A sensor's value is beyond a bound, for a time.
    Threshold {
        /// The quantity measured.
        quantity: String,
        /// The bound.
        bound: Bound,
        /// The situation ends this far inside the bound.
        hysteresis: f64,
        /// For how long.
        hold: Duration,
        /// Inside for this long ends the situation.
        clear_for: Duration,
        /// Two readings further apart than this say nothing of the time between.
        max_gap: Duration,
    },
    /// A sensor's value is beyond a bound several times within a while.
    Repeated {
        /// The quantity measured.
        quantity: String,
        /// The bound.
        bound: Bound,
        /// How many readings beyond it.
        n: u32,
        /// Within how long.
        within: Duration,
        /// Fewer for this long ends the situation.
        clear_for: Duration,
    },
    /// Nothing is heard of a sensor, for a time.
    NoData {
        /// For how long, since its last reading.
        hold: Duration,
        /// Heard for this long ends the situation.
        clear_for: Duration,
    },
    /// A camera's picture is not as it should be, for a time.
    Picture {
        /// What is wrong with it; any of them.
        faults: Vec<PictureFault>,
        /// For how long.
        hold: Duration,
        /// Without a fault for this long ends the situation.
        clear_for: Duration,
    },
    /// A camera delivers nothing, for a time.
    Status {
        /// For how long.
        hold: Duration,
        /// Delivering for this long ends the situation.
        clear_for: Duration,
    },
}

impl Kind {
    /// The name in settings.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Presence { .. } => "presence",
            Kind::Occupancy { .. } => "occupancy",
            Kind::Dwell { .. } => "dwell",
            Kind::Line { .. } => "line",
            Kind::Balance { .. } => "balance",
            Kind::Threshold { .. } => "threshold",
            Kind::Repeated { .. } => "repeated",
            Kind::NoData { .. } => "no_data",
            Kind::Picture { .. } => "picture",
            Kind::Status { .. } => "status",
        }
    }

    /// The rule's own T.
    pub fn hold(&self) -> Duration {
        match self {
            Kind::Presence { hold, .. }
            | Kind::Occupancy { hold, .. }
            | Kind::Dwell { hold, .. }
            | Kind::Balance { hold, .. }
            | Kind::Threshold { hold, .. }
            | Kind::NoData { hold, .. }
            | Kind::Picture { hold, .. }
            | Kind::Status { hold, .. } => *hold,
            Kind::Line { .. } | Kind::Repeated { .. } => Duration::ZERO,
        }
    }

    /// True when its evidence comes from a sensor.
    pub fn needs_sensor(&self) -> bool {
        matches!(self, Kind::Threshold { .. } | Kind::Repeated { .. } | Kind::NoData { .. })
    }

    /// True when its evidence comes from pictures, so that an offline camera silences it.
    pub fn needs_pictures(&self) -> bool {
        !self.needs_sensor() && !matches!(self, Kind::Status { .. })
    }
}

/// A sensor's bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Fires above this value.
    Above(f64),
    /// Fires below this value.
    Below(f64),
}

impl Bound {
    /// The value itself.
    pub fn limit(self) -> f64 {
        match self {
            Bound::Above(limit) | Bound::Below(limit) => limit,
        }
    }

    /// Whether a value lies beyond it.
    pub fn is_passed_by(self, value: f64) -> bool {
        match self {
            Bound::Above(limit) => value > limit,
            Bound::Below(limit) => value < limit,
        }
    }
}

/// Where on a device something happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In a zone.
    Zone(ZoneId),
    /// At a line.
    Line(LineId),
    /// The device itself.
    Device,
}

impl Place {
    /// The zone's or line's id.
    pub fn id(&self) -> Option<&str> {
        match self {
            Place::Zone(id) => Some(id.as_str()),
            Place::Line(id) => Some(id.as_str()),
            Place::Device => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Zone(id) => write!(f, "zone/{id}"),
            Place::Line(id) => write!(f, "line/{id}"),
            Place::Device => f.write_str("device"),
        }
    }
}

/// How urgent an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// At once.
    A,
    /// Soon.
    B,
    /// In its turn.
    C,
}

impl Urgency {
    /// All of them, the most urgent first.
    pub const ALL: [Urgency; 3] = [Urgency::A, Urgency::B, Urgency::C];

    /// Reads the letter.
    pub fn parse(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|urgency| urgency.as_str() == letter)
    }

    /// The letter.
    pub fn as_str(self) -> &'static str {
        match self {
            Urgency::A => "A",
            Urgency::B => "B",
            Urgency::C => "C",
        }
    }
}

/// A rule's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleId(String);

/// Why a text is no rule id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid rule id: 1 to 64 of a-z 0-9 . _ -")]
pub struct InvalidRuleId(String);

impl RuleId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RuleId {
    type Error = InvalidRuleId;
    fn try_from(text: String) -> Result<Self, InvalidRuleId> {
        let known = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(known) {
            Ok(Self(text))
        } else {
            Err(InvalidRuleId(text.chars().take(80).collect()))
        }
    }
}

impl FromStr for RuleId {
    type Err = InvalidRuleId;
    fn from_str(text: &str) -> Result<Self, InvalidRuleId> {
        Self::try_from(text.to_owned())
    }
}

impl From<RuleId> for String {
    fn from(id: RuleId) -> String {
        id.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
