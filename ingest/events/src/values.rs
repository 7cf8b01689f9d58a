//! Checked values that several payloads share: class, box, confidence, counts, snapshot reference.
//!
//! Boxes are normalised to the frame: (0, 0) is the top left, (1, 1) the bottom right.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Everything Xueliang can see. There is no other class, and no attribute of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A human being, uncharacterised.
    Person,
    /// A pedal or electric bicycle.
    Bicycle,
    /// A motorcycle or scooter.
    Motorcycle,
    /// A passenger car.
    Car,
    /// A bus.
    Bus,
    /// A truck or lorry.
    Truck,
}

impl Class {
    /// All classes, in the order of the wire's counts.
    pub const ALL: [Class; 6] =
        [Class::Person, Class::Bicycle, Class::Motorcycle, Class::Car, Class::Bus, Class::Truck];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Person => "person",
            Class::Bicycle => "bicycle",
            Class::Motorcycle => "motorcycle",
            Class::Car => "car",
            Class::Bus => "bus",
            Class::Truck => "truck",
        }
    }
}

/// Why a number is out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{value} is outside {range}")]
pub struct OutOfRange {
    value: f64,
    range: &'static str,
}

/// A detector's score, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Confidence(f32);

impl Confidence {
    /// The score.
    pub fn get(self) -> f32 {
        self.0
    }
}

impl TryFrom<f32> for Confidence {
    type Error = OutOfRange;
    fn try_from(value: f32) -> Result<Self, OutOfRange> {
        unit_interval(value).map(Self)
    }
}

impl From<Confidence> for f32 {
    fn from(confidence: Confidence) -> f32 {
        confidence.0
    }
}

impl JsonSchema for Confidence {
    fn schema_name() -> Cow<'static, str> {
        "Confidence".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// How many pictures a second were analysed, 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Rate(f32);

impl Rate {
    /// Pictures a second.
    pub fn get(self) -> f32 {
        self.0
    }
}

impl TryFrom<f32> for Rate {
    type Error = OutOfRange;
    fn try_from(value: f32) -> Result<Self, OutOfRange> {
        let is_rate = (0.0..=1000.0).contains(&value);
        if is_rate { Ok(Self(value)) } else { Err(OutOfRange { value: f64::from(value), range: "0 to 1000 a second" }) }
    }
}

impl From<Rate> for f32 {
    fn from(rate: Rate) -> f32 {
        rate.0
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1000 })
    }
}

/// A box in normalised frame coordinates, wholly inside the frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WireBBox", into = "WireBBox")]
pub struct BBox {
    x: f32,
    y: f32,
    w: f32,
    h: f32,
}

impl BBox {
    /// A box from its left, top, width and height; refused when it leaves the frame or holds no area.
    pub fn new(x: f32, y: f32, w: f32, h: f32) -> Result<Self, OutOfRange> {
        const SLACK: f32 = 1e-4;
        for value in [x, y, w, h] {
            unit_interval(value)?;
        }
        for end in [x + w, y + h] {
            if end > 1.0 + SLACK {
                return Err(OutOfRange { value: f64::from(end), range: "the frame (right and bottom edge at most 1)" });
            }
        }
        Ok(Self { x, y, w, h })
    }

    /// Left, top, width, height.
    pub fn xywh(self) -> [f32; 4] {
        [self.x, self.y, self.w, self.h]
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BBox")]
struct WireBBox {
    /// Left edge.
    #[schemars(range(min = 0, max = 1))]
    x: f32,
    /// Top edge.
    #[schemars(range(min = 0, max = 1))]
    y: f32,
    /// Width.
    #[schemars(range(min = 0, max = 1))]
    w: f32,
    /// Height.
    #[schemars(range(min = 0, max = 1))]
    h: f32,
}

impl TryFrom<WireBBox> for BBox {
    type Error = OutOfRange;
    fn try_from(wire: WireBBox) -> Result<Self, OutOfRange> {
        Self::new(wire.x, wire.y, wire.w, wire.h)
    }
}

impl From<BBox> for WireBBox {
    fn from(bbox: BBox) -> Self {
        let BBox { x, y, w, h } = bbox;
        Self { x, y, w, h }
    }
}

impl JsonSchema for BBox {
    fn schema_name() -> Cow<'static, str> {
        "BBox".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WireBBox::json_schema(generator)
    }
}

/// How many of each class are in a zone; a class that is left out counts zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Counts {
    /// Persons.
    pub person: u32,
    /// Bicycles.
    pub bicycle: u32,
    /// Motorcycles.
    pub motorcycle: u32,
    /// Cars.
    pub car: u32,
    /// Buses.
    pub bus: u32,
    /// Trucks.
    pub truck: u32,
}

impl Counts {
    /// The count of one class.
    pub fn of(&self, class: Class) -> u32 {
        match class {
            Class::Person => self.person,
            Class::Bicycle => self.bicycle,
            Class::Motorcycle => self.motorcycle,
            Class::Car => self.car,
            Class::Bus => self.bus,
            Class::Truck => self.truck,
        }
    }

    /// The same with one class set.
    pub fn with(mut self, class: Class, n: u32) -> Self {
        let slot = match class {
            Class::Person => &mut self.person,
            Class::Bicycle => &mut self.bicycle,
            Class::Motorcycle => &mut self.motorcycle,
            Class::Car => &mut self.car,
            Class::Bus => &mut self.bus,
            Class::Truck => &mut self.truck,
        };
        *slot = n;
        self
    }
}

/// SHA-256 of a stored file, 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The hex text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 lower-case hex digits")]
pub struct NotADigest;

impl TryFrom<String> for Digest {
    type Error = NotADigest;
    fn try_from(value: String) -> Result<Self, NotADigest> {
        let hex = value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex && value.len() == 64 { Ok(Self(value)) } else { Err(NotADigest) }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl JsonSchema for Digest {
    fn schema_name() -> Cow<'static, str> {
        "Digest".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

/// A redacted still, kept where it was made and named by its digest; the pixels never travel with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRef {
    /// SHA-256 of the JPEG file.
    pub sha256: Digest,
    /// Width in pixels.
    #[schemars(range(min = 1, max = 4096))]
    pub width: u16,
    /// Height in pixels.
    #[schemars(range(min = 1, max = 4096))]
    pub height: u16,
}

fn unit_interval(value: f32) -> Result<f32, OutOfRange> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(OutOfRange { value: f64::from(value), range: "0 to 1" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_stay_inside_the_frame() {
        let check =
            |[x, y, w, h]: [f32; 4], valid: bool| assert_eq!(BBox::new(x, y, w, h).is_ok(), valid, "{x} {y} {w} {h}");
        check([0.0, 0.0, 1.0, 1.0], true);
        check([0.25, 0.5, 0.1, 0.5], true);
        check([0.6, 0.0, 0.5, 0.1], false);
        check([-0.1, 0.0, 0.5, 0.1], false);
        check([f32::NAN, 0.0, 0.5, 0.1], false);
        check([0.0, 0.0, f32::INFINITY, 0.1], false);
    }

    #[test]
    fn counts_round_trip_per_class() {
        for class in Class::ALL {
            let counts = Counts::default().with(class, 3);
            assert_eq!(counts.of(class), 3);
            assert_eq!(Class::ALL.iter().map(|c| counts.of(*c)).sum::<u32>(), 3);
        }
    }
}
