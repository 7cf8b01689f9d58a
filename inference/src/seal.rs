//! Frame → sealed original: the masked picture behind a redacted snapshot, at the snapshot's size and not redacted, as ciphertext of
//! [age](https://age-encryption.org/v1) for one public key.
//!
//! Invariant: only ciphertext leaves [`seal`]; the JPEG and the copy it is made of are wiped before it returns, also when it fails.
//! Nothing here can open what it seals. Off unless a deployer names a key; where sealed originals are kept and who opens them is
//! not here.

use std::{fmt, io::Write as _, str::FromStr};

use age::x25519::Recipient;
use jpeg_encoder::Encoder;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::frame::Frame;
use crate::redact::scale::Scaled;
use crate::redact::{RedactSettings, Snapshot};

/// First word of the line before the JPEG. The line names the redacted snapshot and when the frame was taken, so that whoever opens
/// it knows what it belongs to.
const FORMAT: &str = "xueliang-original-1";
/// More than any line and JPEG header take.
const HEADERS: usize = 4096;
/// More bytes than a pixel ever takes.
const BYTES_PER_PIXEL: usize = 4;

/// To whom originals are sealed; it opens nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey(Recipient);

/// Why a text is no key to seal with. The text itself is never repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealingKeyError {
    /// It opens originals, which workers must not be able to.
    #[error(
        "is a private key: make a new pair, for this one has been seen, and write only the public key (age1…) here"
    )]
    Private,
    /// Something else.
    #[error("is no age public key: write what `xueliang sealed-key` printed (age1…)")]
    Unknown,
}

impl FromStr for SealingKey {
    type Err = SealingKeyError;

    fn from_str(text: &str) -> Result<Self, SealingKeyError> {
        let text = text.trim();
        if text.to_ascii_lowercase().contains("secret-key") {
            return Err(SealingKeyError::Private);
        }
        text.parse().map(Self).map_err(|_| SealingKeyError::Unknown)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.0)
    }
}

/// Ciphertext of a picture that was not redacted.
pub struct SealedOriginal(Vec<u8>);

impl SealedOriginal {
    /// The ciphertext.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why there is no sealed original.
#[derive(Debug, Error)]
pub enum SealError {
    /// A snapshot that no JPEG can hold.
    #[error("a snapshot of this size can't be sealed")]
    Size,
    /// The copy could not be made.
    #[error("scaling the original failed")]
    Scale(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The encoder failed, or wrote more than it can.
    #[error("encoding the original failed")]
    Encode(#[from] jpeg_encoder::EncodingError),
    /// Its first line could not be written.
    #[error("writing the original failed")]
    Write(#[from] std::io::Error),
    /// It could not be encrypted.
    #[error("encrypting the original failed")]
    Encrypt(#[from] age::EncryptError),
}

/// Seals what this snapshot was made of. The frame has its privacy masks painted (RULES P06), and the copy is as small as the
/// snapshot (P13).
pub fn seal(
    frame: &Frame,
    snapshot: &Snapshot,
    settings: &RedactSettings,
    key: &SealingKey,
) -> Result<SealedOriginal, SealError> {
    let side = |pixels: u32| u16::try_from(pixels).map_err(|_| SealError::Size);
    let size = (side(snapshot.width)?, side(snapshot.height)?);
    let picture = Zeroizing::new(Scaled::of(frame, size).map_err(SealError::Scale)?);
    // Of a fixed length, for a vector that grows leaves copies of itself behind.
    let n_pixels = usize::from(size.0) * usize::from(size.1);
    let mut plain = Zeroizing::new(vec![0; HEADERS + BYTES_PER_PIXEL * n_pixels]);
    let mut free = &mut plain[..];
    writeln!(free, "{FORMAT} {} {}", snapshot.digest, frame.captured_at())?;
    Encoder::new(&mut free, settings.jpeg_quality).encode_image(&*picture)?;
    let n_free = free.len();
    let n_written = plain.len() - n_free;
    Ok(SealedOriginal(age::encrypt(&key.0, &plain[..n_written])?))
}

#[cfg(test)]
mod tests {
    use age::{secrecy::ExposeSecret as _, x25519::Identity};
    use image::RgbImage;
    use jiff::Timestamp;

    use super::*;
    use crate::detection::{Class, Detection};
    use crate::detector::Detections;
    use crate::frame::{Colour, DecodedFrame, Range};
    use crate::geometry::{BBox, Point, Polygon};
    use crate::mask::{self, PrivacyMasks};
    use crate::redact;

    const SIZE: (u32, u32) = (1280, 720);

    /// All white but for a mask over its left quarter.
    fn frame() -> Frame {
        let n_luma = (SIZE.0 * SIZE.1) as usize;
        let mut bytes = vec![255; n_luma];
        bytes.resize(n_luma * 3 / 2, 128);
        let colour = Colour { range: Range::Full, ..Colour::default() };
        let corners = [(0.0, 0.0), (0.25, 0.0), (0.25, 1.0), (0.0, 1.0)].map(|(x, y)| Point { x, y });
        let masks = PrivacyMasks::new(vec![Polygon::new(corners.to_vec()).unwrap()]);
        mask::paint(DecodedFrame::from_i420(bytes, SIZE, colour, Timestamp::UNIX_EPOCH).unwrap(), &masks)
    }

    /// A frame with somebody in its middle: its snapshot, and what was sealed to this key.
    fn sealed(identity: &Identity) -> (Snapshot, SealedOriginal) {
        let bbox = BBox { x: 0.45, y: 0.4, w: 0.1, h: 0.3 };
        let found = Detections::for_test(&[Detection { class: Class::Person, confidence: 0.9, bbox }]);
        let (frame, settings) = (frame(), RedactSettings::default());
        let snapshot = redact::snapshot(&frame, &found, &[], &settings).unwrap();
        let key = identity.to_public().to_string().parse().unwrap();
        let sealed = seal(&frame, &snapshot, &settings, &key).unwrap();
        (snapshot, sealed)
    }

    fn opened(identity: &Identity, sealed: &SealedOriginal) -> (String, RgbImage) {
        let plain = age::decrypt(identity, sealed.bytes()).unwrap();
        let end = plain.iter().position(|&byte| byte == b'\n').unwrap();
        let line = String::from_utf8(plain[..end].to_vec()).unwrap();
        (line, image::load_from_memory(&plain[end + 1..]).unwrap().to_rgb8())
    }

    #[test]
    fn what_the_worker_seals_opens_only_with_the_private_key() {
        let identity = Identity::generate();
        let (snapshot, sealed) = sealed(&identity);
        assert!(age::decrypt(&Identity::generate(), sealed.bytes()).is_err());
        let has = |word: &[u8]| sealed.bytes().windows(word.len()).any(|window| window == word);
        assert!(has(b"age-encryption.org/v1") && !has(b"JFIF") && !has(FORMAT.as_bytes()));
        assert!(!has(snapshot.digest.as_bytes()));
        let (line, picture) = opened(&identity, &sealed);
        assert_eq!(line, format!("xueliang-original-1 {} 1970-01-01T00:00:00Z", snapshot.digest));
        assert_eq!(picture.dimensions(), (snapshot.width, snapshot.height), "P13: as small as the snapshot");
    }

    #[test]
    fn p06_the_sealed_still_has_its_masks() {
        let identity = Identity::generate();
        let (snapshot, sealed) = sealed(&identity);
        let redacted = image::load_from_memory(snapshot.jpeg()).unwrap().to_rgb8();
        let (_, original) = opened(&identity, &sealed);
        let level = |picture: &RgbImage, x: f32| {
            let (width, height) = (picture.width() as f32, picture.height() as f32);
            picture.get_pixel((x * width) as u32, (0.55 * height) as u32).0[0]
        };
        for x in [0.02, 0.1, 0.2] {
            assert!(level(&original, x) < 40 && level(&redacted, x) < 40, "masked at {x}");
        }
        assert!(level(&redacted, 0.5) < 24 && level(&original, 0.5) > 240, "it is not redacted");
    }

    #[test]
    fn a_private_key_is_refused_and_never_repeated() {
        let private = Identity::generate().to_string();
        let private = private.expose_secret();
        for text in [private.to_owned(), private.to_lowercase(), format!(" {private}\n")] {
            let error = text.parse::<SealingKey>().unwrap_err();
            assert_eq!(error, SealingKeyError::Private);
            assert!(!error.to_string().contains(&private[20..40]));
        }
        for text in ["", "age1", "age1qqqq", "ssh-ed25519 AAAA"] {
            assert_eq!(text.parse::<SealingKey>(), Err(SealingKeyError::Unknown), "{text}");
        }
    }
}
