//! What a camera saw in its zones and over its lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{LineId, TrackId, ZoneId},
    values::{BBox, Class, Confidence, Counts, Rate, SnapshotRef},
};

/// A track's anchor point came into a zone and stayed for the zone's entry time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneEntered {
    /// The zone.
    pub zone: ZoneId,
    /// The track's class.
    pub class: Class,
    /// The track.
    pub track: TrackId,
    /// Where it was.
    pub bbox: BBox,
    /// The detector's score.
    pub confidence: Confidence,
    /// A redacted still of that moment, when one could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// Pictures a second that it was seen at, of late; under overload the rate falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysed_fps: Option<Rate>,
}

/// A track left a zone for the zone's exit time, or was lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneExited {
    /// The zone.
    pub zone: ZoneId,
    /// The track's class.
    pub class: Class,
    /// The track.
    pub track: TrackId,
    /// How long it was inside, milliseconds.
    pub dwell_ms: u64,
    /// Pictures a second that it was seen at, of late; under overload the rate falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysed_fps: Option<Rate>,
}

/// How many are in a zone: on change, at most once a second, and as a heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneOccupancy {
    /// The zone.
    pub zone: ZoneId,
    /// The counts.
    pub counts: Counts,
    /// True when nothing changed and this says only that the zone is still watched.
    pub heartbeat: bool,
    /// A redacted still, when the count rose and one could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// Pictures a second that it was seen at, of late; under overload the rate falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysed_fps: Option<Rate>,
}

/// A track has stayed in a zone; repeated once per the zone's dwell period while it stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneDwelled {
    /// The zone.
    pub zone: ZoneId,
    /// The track's class.
    pub class: Class,
    /// The track.
    pub track: TrackId,
    /// How long it has been inside, milliseconds.
    pub dwell_ms: u64,
    /// How long it has not moved by more than half its box's height, milliseconds.
    pub still_ms: u64,
    /// Where it is.
    pub bbox: BBox,
    /// The detector's score.
    pub confidence: Confidence,
    /// A redacted still of that moment, when one could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// Pictures a second that it was seen at, of late; under overload the rate falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysed_fps: Option<Rate>,
}

/// Which way a line was crossed, seen along it from its first to its second point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From its left side to its right side.
    Forward,
    /// From its right side to its left side.
    Backward,
}

/// A track's anchor point crossed a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineCrossed {
    /// The line.
    pub line: LineId,
    /// Which way.
    pub direction: Direction,
    /// The track's class.
    pub class: Class,
    /// The track.
    pub track: TrackId,
    /// Where it was.
    pub bbox: BBox,
    /// The detector's score.
    pub confidence: Confidence,
    /// A redacted still of that moment, when one could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// Pictures a second that it was seen at, of late; under overload the rate falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysed_fps: Option<Rate>,
}
