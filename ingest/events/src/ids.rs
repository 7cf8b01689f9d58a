//! Identifiers on the wire, each its own type, each checked when it is made.
//!
//! Device, zone and line ids are names a person chose; grid codes belong to the configured region scheme; event ids are
//! computed. A track id is random, local to one camera session and worth nothing outside it (RULES P10).

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no valid identifier; says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {what}: {rule}")]
pub struct InvalidId {
    what: &'static str,
    rule: &'static str,
    value: String,
}

fn refuse(what: &'static str, rule: &'static str, value: &str) -> InvalidId {
    let value = value.chars().take(80).collect();
    InvalidId { what, rule, value }
}

const NAME_RULE: &str = "1 to 64 of a-z A-Z 0-9 . _ - and beginning with a letter or digit";
const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

fn is_name(value: &str) -> bool {
    let mut chars = value.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && value.len() <= 64
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

const GRID_RULE: &str = "4 to 20 digits";
const GRID_PATTERN: &str = "^[0-9]{4,20}$";

fn is_grid_code(value: &str) -> bool {
    (4..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:expr, $pattern:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                if $check(&value) { Ok(Self(value)) } else { Err(refuse($what, $rule, &value)) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::try_from(value.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $what })
            }
        }
    };
}

text_id!(
    /// A camera's id, chosen by the integrator; may be its 20-digit GB/T 28181 code.
    CameraId, "camera id", NAME_RULE, NAME_PATTERN, is_name
);
text_id!(
    /// A sensor's id, chosen by the integrator.
    SensorId, "sensor id", NAME_RULE, NAME_PATTERN, is_name
);
text_id!(
    /// A camera's or sensor's id where either may stand.
    DeviceId, "device id", NAME_RULE, NAME_PATTERN, is_name
);
text_id!(
    /// A zone's id, unique within its camera.
    ZoneId, "zone id", NAME_RULE, NAME_PATTERN, is_name
);
text_id!(
    /// A line's id, unique within its camera.
    LineId, "line id", NAME_RULE, NAME_PATTERN, is_name
);
text_id!(
    /// A region or grid code of the deployer's scheme (default 4/6/9/12/15 digits: city, county, township, community, grid).
    GridCode, "grid code", GRID_RULE, GRID_PATTERN, is_grid_code
);

impl From<CameraId> for DeviceId {
    fn from(id: CameraId) -> Self {
        Self(id.0)
    }
}

impl From<SensorId> for DeviceId {
    fn from(id: SensorId) -> Self {
        Self(id.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(value: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(value).map(Self)
            }
        }
    };
}

uuid_id!(
    /// One event; computed, so that a repeated delivery is recognised.
    EventId
);
uuid_id!(
    /// One run of one device's pipeline; random, new at each start.
    SessionId
);
uuid_id!(
    /// One incident.
    IncidentId
);

impl SessionId {
    /// A fresh session id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl EventId {
    const NAMESPACE: Uuid = Uuid::from_u128(0x5d1c_9a52_7b0e_4c39_9d55_1f0c_6a1e_8b77);

    /// The id of the `sequence`-th event of `session` at `source`.
    pub fn derive(source: &str, session: SessionId, sequence: u64) -> Self {
        let name = format!("{source}\n{}\n{sequence}", session.0);
        Self(Uuid::new_v5(&Self::NAMESPACE, name.as_bytes()))
    }
}

/// A camera-local track: random, new for each session and at least every ten minutes, sixteen hex digits on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrackId(pub u64);

impl TryFrom<String> for TrackId {
    type Error = InvalidId;
    fn try_from(value: String) -> Result<Self, InvalidId> {
        let well_formed = value.len() == 16 && value.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(&value, 16) {
            Ok(id) if well_formed => Ok(Self(id)),
            _ => Err(refuse("track id", "sixteen lower-case hex digits", &value)),
        }
    }
}

impl From<TrackId> for String {
    fn from(id: TrackId) -> String {
        format!("{:016x}", id.0)
    }
}

impl JsonSchema for TrackId {
    fn schema_name() -> Cow<'static, str> {
        "TrackId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$", "description": "camera-local track, random, short-lived" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let check = |text: &str, valid: bool| assert_eq!(text.parse::<CameraId>().is_ok(), valid, "{text:?}");
        check("gate-1", true);
        check("34020000001320000001", true);
        check("", false);
        check("-gate", false);
        check("a b", false);
        check("gate/1", false);
        check("街口", false);
        check(&"a".repeat(64), true);
        check(&"a".repeat(65), false);
    }

    #[test]
    fn grid_codes_are_digits_of_bounded_length() {
        let check = |text: &str, valid: bool| assert_eq!(text.parse::<GridCode>().is_ok(), valid, "{text:?}");
        check("3402", true);
        check("340203001002003", true);
        check("340", false);
        check("34020300100200334020300", false);
        check("3402a", false);
    }

    #[test]
    fn event_id_depends_on_each_part() {
        let session = SessionId(Uuid::from_u128(7));
        let id = EventId::derive("/cameras/a", session, 1);
        assert_eq!(id, EventId::derive("/cameras/a", session, 1));
        assert_ne!(id, EventId::derive("/cameras/b", session, 1));
        assert_ne!(id, EventId::derive("/cameras/a", session, 2));
        assert_ne!(id, EventId::derive("/cameras/a", SessionId(Uuid::from_u128(8)), 1));
    }

    #[test]
    fn track_id_is_sixteen_hex_digits() {
        assert_eq!(String::from(TrackId(255)), "00000000000000ff");
        assert!(TrackId::try_from("00000000000000FF".to_owned()).is_err());
        assert!(TrackId::try_from("ff".to_owned()).is_err());
        assert!(TrackId::try_from("+0000000000000ff".to_owned()).is_err());
    }
}
