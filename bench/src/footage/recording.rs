//! The recording that all footage is made from, decoded once: 768×576, ten frames a second, planes as I420.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{footage::encode::FFMPEG_CURE, place::Place};

/// Its size.
pub const SIZE: (usize, usize) = (768, 576);
/// Its frames a second.
pub const FPS: u32 = 10;
/// Bytes of one picture.
pub const PICTURE: usize = SIZE.0 * SIZE.1 * 3 / 2;

const NAME: &str = "vtest.avi";
const DEBIAN: &str = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";

/// All pictures of the recording, one after the other.
pub struct Recording(Vec<u8>);

impl Recording {
    /// Decodes the file with ffmpeg.
    pub fn load(path: &Path) -> Result<Self> {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error", "-i"]).arg(path).args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]);
        let output = ffmpeg.output().context(FFMPEG_CURE)?;
        ensure!(output.status.success(), "ffmpeg can't read {}", path.display());
        let pictures = output.stdout;
        ensure!(
            !pictures.is_empty() && pictures.len().is_multiple_of(PICTURE),
            "{} is not the recording that footage is made from (768×576)",
            path.display()
        );
        Ok(Self(pictures))
    }

    /// How many pictures it has.
    pub fn len(&self) -> usize {
        self.0.len() / PICTURE
    }

    /// A picture of the endless loop.
    pub fn picture(&self, index: usize) -> &[u8] {
        let start = index % self.len() * PICTURE;
        &self.0[start..start + PICTURE]
    }

    /// The street without anybody: each pixel's median over the recording.
    pub fn empty_street(&self) -> Vec<u8> {
        const SAMPLES: usize = 61;
        let step = (self.len() / SAMPLES).max(1);
        let samples: Vec<&[u8]> = (0..self.len()).step_by(step).map(|index| self.picture(index)).collect();
        let mut column = vec![0u8; samples.len()];
        let mut empty = vec![0u8; PICTURE];
        for (at, pixel) in empty.iter_mut().enumerate() {
            for (value, sample) in column.iter_mut().zip(&samples) {
                *value = sample[at];
            }
            let middle = column.len() / 2;
            *pixel = *column.select_nth_unstable(middle).1;
        }
        empty
    }
}

/// Where the recording lies: beside the footage, in the cache, or where Debian's opencv-doc puts it.
pub fn find(place: &Place) -> Result<PathBuf> {
    let places = [place.footage.join(NAME), place.recording.clone(), PathBuf::from(DEBIAN)];
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => bail!(
            "the recording {NAME} is missing; run ./check or ./demo once, or install Debian's opencv-doc, or put it at {}",
            places[0].display()
        ),
    }
}
