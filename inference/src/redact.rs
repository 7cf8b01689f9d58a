//! Frame → redacted picture, the only image that leaves this crate in the clear (RULES P12, P13). On a scaled-down copy every
//! person, and the lower part of every vehicle, is filled with one colour: what is filled can't be brought back, what
//! is blurred can. The copy is so small that a head nobody detected can't be recognised either. Any failure gives no
//! picture.

pub(crate) mod scale;

use std::error::Error;

use jpeg_encoder::{Encoder, EncodingError};
use sha2::{Digest, Sha256};
use thiserror::Error;

use self::scale::Scaled;
use crate::detection::{Class, Detection};
use crate::detector::Detections;
use crate::frame::Frame;
use crate::geometry::BBox;
use crate::track::Track;

/// A standing body is about this many heads high.
const HEADS_PER_BODY: f32 = 7.0;
/// Number plates are in this lower share of a vehicle's box.
const PLATE_BAND: f32 = 0.45;
/// Boxes are grown on each side by this share: detectors cut off feet and hair.
const DILATION: f32 = 0.12;
/// Boxes are grown by at least this many pixels of the copy.
const MIN_DILATION_PX: f32 = 2.0;
/// Smallest height of a copy that still shows anything.
const MIN_HEIGHT: u32 = 48;
/// What persons become: black.
const PERSON_FILL: [u8; 3] = [0, 128, 128];
/// What plates become: grey.
const PLATE_FILL: [u8; 3] = [64, 128, 128];

/// How snapshots are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RedactSettings {
    /// A head is at most this high in the picture. IEC 62676-4 asks 125 px/m to recognise someone, where a head of
    /// 0.23 m is 28 px high.
    pub max_head_px: u32,
    /// Height of the nearest person that the camera can see, as a share of the frame's height.
    pub largest_person: f32,
    /// JPEG quality, 1..100.
    pub jpeg_quality: u8,
}

/// A redacted picture.
pub struct Snapshot {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// SHA-256 of the JPEG, lower-case hex.
    pub digest: String,
    jpeg: Vec<u8>,
}

/// Why there is no picture.
#[derive(Debug, Error)]
pub enum RedactError {
    /// A box that is not made of numbers: nobody knows what to cover.
    #[error("a box to cover is not finite")]
    BoxNotFinite,
    /// Settings that make no picture, or no safe one.
    #[error("{0} can't be used for snapshots")]
    Settings(&'static str),
    /// So near a camera that nothing safe would be left.
    #[error("heads are too large: the picture would be {height} px high")]
    TooSmall {
        /// What it would be.
        height: u32,
    },
    /// A copy that no JPEG can hold.
    #[error("a snapshot of {width}×{height} is too large")]
    TooLarge {
        /// Its width.
        width: u64,
        /// Its height.
        height: u32,
    },
    /// The copy could not be made.
    #[error("scaling the snapshot failed")]
    Scale(#[source] Box<dyn Error + Send + Sync>),
    /// The encoder failed.
    #[error("encoding the snapshot failed")]
    Encode(#[from] EncodingError),
}

/// Redacts a copy of the frame, from everything the model suspects and where tracks are believed to be.
pub fn snapshot(
    frame: &Frame,
    detections: &Detections,
    tracks: &[Track],
    settings: &RedactSettings,
) -> Result<Snapshot, RedactError> {
    let found = detections.unsuppressed().iter().chain(detections.candidates());
    let found = found.map(|Detection { class, bbox, .. }| (*class, *bbox));
    let boxes: Vec<(Class, BBox)> = found.chain(tracks.iter().map(|track| (track.class, track.bbox))).collect();
    let size = stored_size(frame, stored_height(frame, &boxes, settings)?)?;
    let mut picture = Scaled::of(frame, size).map_err(RedactError::Scale)?;
    // Persons last: where both overlap, nothing of a person shows.
    for (_, bbox) in boxes.iter().filter(|(class, _)| class.is_vehicle()) {
        cover(&mut picture, &plate_band(bbox), PLATE_FILL);
    }
    for (_, bbox) in boxes.iter().filter(|(class, _)| !class.is_vehicle()) {
        cover(&mut picture, bbox, PERSON_FILL);
    }
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, settings.jpeg_quality).encode_image(&picture)?;
    let digest = hex::encode(Sha256::digest(&jpeg));
    Ok(Snapshot { width: size.0.into(), height: size.1.into(), digest, jpeg })
}

impl Snapshot {
    /// The picture, as JPEG.
    pub fn jpeg(&self) -> &[u8] {
        &self.jpeg
    }

    /// The picture, as JPEG.
    pub fn into_jpeg(self) -> Vec<u8> {
        self.jpeg
    }
}

impl Default for RedactSettings {
    fn default() -> Self {
        Self { max_head_px: 20, largest_person: 0.5, jpeg_quality: 80 }
    }
}

/// The height at which the head of the largest person is just small enough.
fn stored_height(frame: &Frame, boxes: &[(Class, BBox)], settings: &RedactSettings) -> Result<u32, RedactError> {
    if !(settings.largest_person > 0.0 && settings.largest_person <= 1.0) {
        return Err(RedactError::Settings("a largest person that is not above 0 and at most 1"));
    }
    if !(1..=100).contains(&settings.jpeg_quality) {
        return Err(RedactError::Settings("a JPEG quality outside 1..100"));
    }
    let mut largest_person = settings.largest_person;
    for (class, bbox) in boxes {
        if !bbox.is_finite() {
            return Err(RedactError::BoxNotFinite);
        }
        if *class == Class::Person {
            largest_person = largest_person.max(bbox.h.min(1.0));
        }
    }
    let height = (HEADS_PER_BODY * settings.max_head_px as f32 / largest_person).floor() as u32;
    let height = height.min(frame.height());
    if height < MIN_HEIGHT { Err(RedactError::TooSmall { height }) } else { Ok(height) }
}

/// Width and height of the copy.
fn stored_size(frame: &Frame, height: u32) -> Result<(u16, u16), RedactError> {
    let width = (u64::from(frame.width()) * u64::from(height) / u64::from(frame.height())).max(1);
    u16::try_from(width).ok().zip(u16::try_from(height).ok()).ok_or(RedactError::TooLarge { width, height })
}

fn plate_band(vehicle: &BBox) -> BBox {
    let h = vehicle.h * PLATE_BAND;
    BBox { y: vehicle.y + vehicle.h - h, h, ..*vehicle }
}

fn cover(picture: &mut Scaled, bbox: &BBox, colour: [u8; 3]) {
    let (width, height) = picture.size();
    let (width, height) = (f32::from(width), f32::from(height));
    let bbox = bbox.dilated(DILATION);
    let left = (bbox.x * width - MIN_DILATION_PX).floor();
    let right = ((bbox.x + bbox.w) * width + MIN_DILATION_PX).ceil();
    let top = (bbox.y * height - MIN_DILATION_PX).floor();
    let bottom = ((bbox.y + bbox.h) * height + MIN_DILATION_PX).ceil();
    let inside = |value: f32, end: f32| value.clamp(0.0, end) as usize;
    picture.fill((inside(left, width), inside(right, width)), (inside(top, height), inside(bottom, height)), colour);
}

#[cfg(test)]
mod tests;
