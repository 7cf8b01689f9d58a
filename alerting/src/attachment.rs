//! Pictures that people attach to an incident: a grid worker's photo, a department's proof.
//!
//! In: bytes from outside. Out: an [`Attachment`], decoded within bounds, turned upright, scaled down and encoded anew, so
//! that nothing of the file but its pixels is left: no place, time, camera, thumbnail or comment. Else a [`Refusal`] that
//! names cause and cure. It takes up to seconds and some 400 MB: call it from a blocking thread, a few at a time, never
//! from an async one. Nobody in the picture is covered, for there is no model here: an attachment is imagery, and goes the
//! same access path and audit as a still (P14); it is never published (P23). Not here: storage, permission.

mod jpeg;

use std::io::{BufRead, Cursor, Seek};

use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, Limits, RgbImage, RgbaImage,
    codecs::{jpeg::JpegDecoder, jpeg::JpegEncoder, png::PngDecoder, webp::WebPDecoder},
};
use sha2::{Digest as _, Sha256};
use xueliang_events::values::Digest;

/// Longest file that is taken, bytes.
pub const MAX_BYTES: usize = 10 * 1000 * 1000;
/// Largest picture that is decoded, pixels.
pub const MAX_PIXELS: u64 = 40_000_000;
/// Longest side that is kept, pixels.
pub const MAX_SIDE: u32 = 1920;
/// Most memory that the decoded picture takes: four bytes a pixel.
const MAX_DECODED_BYTES: u64 = MAX_PIXELS * 4;
/// Most memory that a decoder takes beside it, as far as it can be told.
const MAX_DECODER_BYTES: u64 = 64 * 1024 * 1024;
/// Most passes over the picture in one JPEG. Cameras and encoders make 1 to 12; each costs the time of a whole picture.
const MAX_SCANS: usize = 32;
const QUALITY: u8 = 85;

/// A picture that may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Digest of `bytes`.
    pub sha256: Digest,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// A JPEG without metadata.
    pub bytes: Vec<u8>,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_BYTES`].
    #[error("the file has {n_bytes} bytes: send one of at most {MAX_BYTES}")]
    TooLong {
        /// How long it is.
        n_bytes: usize,
    },
    /// None of the formats.
    #[error("the file is no JPEG, PNG or WebP picture: send one of these")]
    UnknownFormat,
    /// More than one picture.
    #[error("the picture is animated: send a still one")]
    Animated,
    /// More than [`MAX_PIXELS`].
    #[error("the picture has {width} × {height} pixels: send one of at most {MAX_PIXELS} pixels")]
    TooLarge {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// More bytes a pixel than fit in memory.
    #[error("the picture takes {n_bytes} bytes once decoded: send it with 8 bits a channel, or smaller")]
    TooDeep {
        /// How many it takes.
        n_bytes: u64,
    },
    /// Too many passes.
    #[error("the JPEG has {n_scans} scans: send one of at most {MAX_SCANS}")]
    TooManyScans {
        /// How many it has.
        n_scans: usize,
    },
    /// The end is missing.
    #[error("the file ends before the picture does: send it again")]
    CutOff,
    /// It can't be decoded.
    #[error("the picture is damaged or of an unusual kind: open and save it anew")]
    Damaged(#[source] ImageError),
    /// It can't be scaled or encoded.
    #[error("the picture can't be scaled: send a smaller one")]
    NotScaled,
}

/// Checks, turns, scales and strips a picture. Slow: see the head of this file.
pub fn check(bytes: &[u8]) -> Result<Attachment, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::TooLong { n_bytes: bytes.len() });
    }
    let picture = decode(bytes)?;
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&picture).map_err(|_| Refusal::NotScaled)?;
    let sha256 = Digest::try_from(hex::encode(Sha256::digest(&jpeg))).map_err(|_| Refusal::NotScaled)?;
    Ok(Attachment { sha256, width: picture.width(), height: picture.height(), bytes: jpeg })
}

/// The picture as people see it: upright, opaque, at most [`MAX_SIDE`] long.
fn decode(bytes: &[u8]) -> Result<DynamicImage, Refusal> {
    let read = Cursor::new(bytes);
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => {
            let outline = jpeg::outline(bytes);
            if outline.n_scans > MAX_SCANS {
                return Err(Refusal::TooManyScans { n_scans: outline.n_scans });
            }
            // Its decoder paints what is missing grey.
            if !outline.is_whole {
                return Err(Refusal::CutOff);
            }
            upright(JpegDecoder::new(read).map_err(Refusal::Damaged)?)
        }
        Ok(ImageFormat::Png) => upright(still_png(read)?),
        Ok(ImageFormat::WebP) => {
            let decoder = WebPDecoder::new(read).map_err(Refusal::Damaged)?;
            if decoder.has_animation() { Err(Refusal::Animated) } else { upright(decoder) }
        }
        _ => Err(Refusal::UnknownFormat),
    }
}

fn still_png<R: BufRead + Seek>(read: R) -> Result<PngDecoder<R>, Refusal> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let decoder = PngDecoder::with_limits(read, limits).map_err(Refusal::Damaged)?;
    if decoder.is_apng().map_err(Refusal::Damaged)? { Err(Refusal::Animated) } else { Ok(decoder) }
}

/// Bounds come first: until `from_decoder` only headers were read.
fn upright(mut decoder: impl ImageDecoder) -> Result<DynamicImage, Refusal> {
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Refusal::TooLarge { width, height });
    }
    if decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(Refusal::TooDeep { n_bytes: decoder.total_bytes() });
    }
    // A damaged EXIF block says nothing of the pixels.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(Refusal::Damaged)?;
    let mut scaled = DynamicImage::ImageRgb8(scale(picture)?);
    scaled.apply_orientation(orientation);
    Ok(scaled)
}

fn scale(picture: DynamicImage) -> Result<RgbImage, Refusal> {
    let (width, height) = fit(picture.width(), picture.height());
    if picture.color().has_alpha() {
        let pixels = picture.into_rgba8();
        let (from, bytes) = (pixels.dimensions(), pixels.into_raw());
        let scaled = resize(bytes, from, (width, height), PixelType::U8x4)?;
        RgbaImage::from_raw(width, height, scaled).map(|scaled| on_white(&scaled)).ok_or(Refusal::NotScaled)
    } else {
        let pixels = picture.into_rgb8();
        let (from, bytes) = (pixels.dimensions(), pixels.into_raw());
        let scaled = resize(bytes, from, (width, height), PixelType::U8x3)?;
        RgbImage::from_raw(width, height, scaled).ok_or(Refusal::NotScaled)
    }
}

/// The size that keeps the shape with no side longer than [`MAX_SIDE`]; never larger than it was.
fn fit(width: u32, height: u32) -> (u32, u32) {
    let long = width.max(height).max(1);
    if long <= MAX_SIDE {
        return (width, height);
    }
    let side = |side: u32| (u64::from(side) * u64::from(MAX_SIDE) + u64::from(long) / 2) / u64::from(long);
    // At most MAX_SIDE, so it fits.
    (side(width).max(1) as u32, side(height).max(1) as u32)
}

fn resize(bytes: Vec<u8>, from: (u32, u32), to: (u32, u32), pixel: PixelType) -> Result<Vec<u8>, Refusal> {
    if from == to {
        return Ok(bytes);
    }
    let source = images::Image::from_vec_u8(from.0, from.1, bytes, pixel).map_err(|_| Refusal::NotScaled)?;
    let mut target = images::Image::new(to.0, to.1, pixel);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut target, &options).map_err(|_| Refusal::NotScaled)?;
    Ok(target.into_vec())
}

/// What is transparent becomes white; dropping alpha alone would show what somebody made invisible.
fn on_white(pixels: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0.map(u32::from);
        image::Rgb([red, green, blue].map(|colour| ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

#[cfg(test)]
mod tests;
