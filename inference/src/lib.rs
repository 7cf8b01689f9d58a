//! Pixels in, facts out: what a camera's frames show, as zone events, without the pixels.
//!
//! `DecodedFrame` → [`mask::paint`] → `Frame` → [`Detector`] → [`Tracker`] → [`Scene`] → [`Observation`]s; beside it
//! [`redact::snapshot`], the only way to an image, and [`seal::seal`], where a deployer wants what was not redacted as
//! ciphertext. Detection, never identification: the classes are a closed list and a
//! model with any other output is refused. No network, no clock, no async here: time is always a parameter.

pub mod geometry;

mod colour;
mod frame;
pub mod mask;

mod manifest;
mod model;
mod runtime;

mod decode;
mod detection;
mod detector;
mod elapsed;
mod nms;
mod preprocess;

mod background;
mod track;

mod line;
mod scene;
mod zone;

pub mod redact;
pub mod seal;

mod picture_health;

pub use background::{Background, Change, Thumbnail, WatchedArea};
pub use detection::{Class, ClassSet, Detection, UnknownClass};
pub use detector::{DecodeError, DetectError, DetectSettings, Detections, Detector, Timings};
pub use frame::{Chroma, Colour, DecodedFrame, Frame, FrameError, Matrix, Plane, Planes, Range};
pub use geometry::{BBox, Point, Polygon, PolygonError};
pub use line::{Direction, Line, LineError};
pub use manifest::{
    Anchors, ColourOrder, Decoder, Fit, InputSpec, Layout, Manifest, ManifestError, OutputSpec, Source,
};
pub use mask::PrivacyMasks;
pub use model::{Model, ModelError, NetworkFacts, Tensors};
pub use picture_health::{FaultSince, PictureFault, PictureHealth, PictureHealthSettings, PictureVerdict};
pub use runtime::{Provider, Runtime, RuntimeError, SessionSettings, UnknownProvider, init_runtime};
pub use scene::{
    ClassCounts, Crossed, Dwelled, Entered, Exited, Observation, Occupancy, Scene, SceneError, SceneSettings, Subject,
};
pub use track::{Track, TrackHandle, TrackId, Tracker, TrackerSettings};
pub use zone::{Zone, ZoneTiming};
