//! Coded pictures as plain bytes, for cameras that are scripted down to the packet.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::simcam::Footage;

/// H.264 access units in an endless loop; clones share them.
#[derive(Clone)]
pub struct Reel(Arc<Units>);

struct Units {
    units: Vec<Vec<u8>>,
    interval: Duration,
    /// What [`Reel::holds`] looks in, once it is asked.
    bare: OnceLock<HashSet<Vec<u8>>>,
}

impl Reel {
    /// All units of H.264 footage.
    pub fn of(footage: &Footage) -> Result<Self> {
        let n_units = footage.duration().as_nanos() / footage.interval().as_nanos();
        let units = (0..usize::try_from(n_units)?).map(|index| footage.bytes(index)).collect::<Result<_>>()?;
        Ok(Self(Arc::new(Units { units, interval: footage.interval(), bare: OnceLock::new() })))
    }

    /// An Annex B stream whose units begin with delimiters, at ten units a second.
    pub fn read(stream: &[u8]) -> Result<Self> {
        Ok(Self(Arc::new(Self::units_of(stream)?)))
    }

    fn units_of(stream: &[u8]) -> Result<Units> {
        let nals = split(stream);
        let mut units: Vec<Vec<u8>> = Vec::new();
        for nal in nals {
            if nal[0] & 0x1f == 9 {
                units.push(Vec::new());
            }
            if let Some(unit) = units.last_mut() {
                unit.extend_from_slice(&[0, 0, 0, 1]);
                unit.extend_from_slice(nal);
            }
        }
        ensure!(!units.is_empty(), "the stream has no delimiters");
        Ok(Units { units, interval: Duration::from_millis(100), bare: OnceLock::new() })
    }

    /// A minute of a street whose pictures are refreshed bit by bit, so that none but the first is a keyframe, from its second on.
    pub fn refreshed_bit_by_bit(footage: &Path) -> Result<Self> {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error", "-i"]).arg(footage);
        ffmpeg.args(["-t", "60", "-vf", "fps=10,scale=640:-2", "-c:v", "libx264", "-preset", "veryfast"]);
        ffmpeg.args(["-tune", "zerolatency", "-g", "20", "-x264-params", "intra-refresh=1:aud=1:repeat-headers=1"]);
        let made = ffmpeg.args(["-f", "h264", "-"]).output().context("can't start ffmpeg")?;
        ensure!(made.status.success(), "ffmpeg can't refresh {} bit by bit", footage.display());
        let Units { units, interval, bare } = Self::units_of(&made.stdout)?;
        let units = units.into_iter().skip(1).collect();
        Ok(Self(Arc::new(Units { units, interval, bare })))
    }

    /// The access unit at a place of the endless loop.
    pub fn unit(&self, index: usize) -> &[u8] {
        &self.0.units[index % self.0.units.len()]
    }

    /// True when that unit holds an IDR picture.
    pub fn is_keyframe(&self, index: usize) -> bool {
        split(self.unit(index)).iter().any(|nal| nal[0] & 0x1f == 5)
    }

    /// True when these are the NAL units of one of its pictures, without a delimiter or with.
    pub fn holds(&self, unit: &[u8]) -> bool {
        let bare = || self.0.units.iter().map(|unit| without_delimiter(unit)).collect();
        self.0.bare.get_or_init(bare).contains(&without_delimiter(unit))
    }

    /// Time from one access unit to the next.
    pub fn interval(&self) -> Duration {
        self.0.interval
    }

    /// The first parameter sets as a description writes them.
    pub(super) fn parameter_sets(&self) -> String {
        let sets = self.0.units.iter().map(|unit| split(unit)).find(|nals| nals.iter().any(|nal| nal[0] & 0x1f == 7));
        let nals = sets.unwrap_or_default();
        let sets = nals.iter().filter(|nal| matches!(nal[0] & 0x1f, 7 | 8)).map(|nal| STANDARD.encode(nal));
        sets.collect::<Vec<_>>().join(",")
    }
}

fn without_delimiter(unit: &[u8]) -> Vec<u8> {
    split(unit).into_iter().filter(|nal| nal[0] & 0x1f != 9).collect::<Vec<_>>().join(&[0, 0, 1][..])
}

/// NAL units between start codes.
pub(super) fn split(unit: &[u8]) -> Vec<&[u8]> {
    let marks: Vec<usize> = unit.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at).collect();
    let ends = marks.iter().skip(1).copied().chain([unit.len()]);
    let nals = marks.iter().zip(ends).map(|(start, end)| &unit[start + 3..end]);
    let trimmed = nals.map(|nal| &nal[..nal.len() - nal.iter().rev().take_while(|byte| **byte == 0).count()]);
    trimmed.filter(|nal| !nal.is_empty()).collect()
}
