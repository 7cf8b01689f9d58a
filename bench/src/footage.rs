//! Footage made from one recording of a busy street: empty stretches with sensor noise and flicker, single walkers, busy stretches, in the codings,
//! sizes and rate controls that cameras send. Each file is made once by ffmpeg and kept under a name that says how it was made.

mod compose;
mod encode;
pub(crate) mod recording;
mod walkers;
mod weather;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::ValueEnum;

pub(crate) use recording::find as find_recording;

use crate::{
    args::{Coding, Common, FootageArgs, Kind, Rate, Size},
    place::Place,
    progress, simcam,
};

/// Counts up when footage is made in another way, so that kept files are made anew.
const VERSION: u32 = 2;
/// Pictures a second that cameras send.
pub const FPS: u32 = 25;

/// How one file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// What goes on.
    pub kind: Kind,
    /// Coding.
    pub codec: Coding,
    /// Rate control.
    pub rate: Rate,
    /// Pictures from keyframe to keyframe.
    pub gop: u32,
    /// Size.
    pub size: Size,
    /// Length in seconds.
    pub seconds: u32,
    /// Which noise of the sensor: the same goes on in the picture, and no picture is the same.
    pub noise: u32,
}

impl Spec {
    /// What the flags ask for, shorter in a quick run.
    pub fn from_args(args: &FootageArgs, common: &Common) -> Self {
        let FootageArgs { kind, codec, size, rate, gop } = *args;
        Self { kind, codec, rate, gop, size, seconds: length(kind, common), noise: 0 }
    }

    /// H.264 at constant quality with a keyframe every two seconds.
    pub fn plain(kind: Kind, size: Size, common: &Common) -> Self {
        let seconds = length(kind, common);
        Self { kind, codec: Coding::H264, rate: Rate::Crf, gop: 50, size, seconds, noise: 0 }
    }

    /// The name in reports.
    pub fn name(&self) -> String {
        let [kind, codec, rate, size] = [word(self.kind), word(self.codec), word(self.rate), word(self.size)];
        format!("{kind}-{codec}-{rate}-gop{}-{size}", self.gop)
    }

    /// Width and height.
    pub fn pixels(&self) -> (u32, u32) {
        match self.size {
            Size::P576 => (768, 576),
            Size::P1080 => (1920, 1080),
        }
    }

    /// Time until a camera's gate knows it: it must have seen all that goes on there, and where little does, that takes the whole loop.
    pub fn settling(&self, common: &Common) -> Duration {
        let whole = Duration::from_secs(u64::from(self.seconds));
        if matches!(self.kind, Kind::Quiet | Kind::Weather | Kind::Mix) {
            common.warmup().max(whole)
        } else {
            common.warmup()
        }
    }

    /// The file, made now when it is not kept yet.
    pub fn file(&self, place: &Place) -> Result<PathBuf> {
        let noise = if self.noise == 0 { String::new() } else { format!("-noise{}", self.noise) };
        let path = place.footage.join(format!("{}-{}s{noise}-v{VERSION}.mp4", self.name(), self.seconds));
        if path.is_file() {
            return Ok(path);
        }
        std::fs::create_dir_all(&place.footage)
            .with_context(|| format!("can't make {}; name another --footage-dir", place.footage.display()))?;
        progress::say(&format!("making footage {} ({} s, kept)", self.name(), self.seconds));
        let started = Instant::now();
        self.make(place, &path).with_context(|| format!("can't make footage {}", self.name()))?;
        progress::say(&format!("made {} in {:.0} s", self.name(), started.elapsed().as_secs_f32()));
        Ok(path)
    }

    /// The file's access units.
    pub fn read(&self, place: &Place) -> Result<simcam::Footage> {
        simcam::Footage::read(&self.file(place)?, self.codec.into())
    }

    fn make(&self, place: &Place, path: &Path) -> Result<()> {
        let recording = recording::Recording::load(&find_recording(place)?)?;
        let unfinished = path.with_extension("part.mp4");
        let mut encoder = encode::Encoder::start(self, &unfinished)?;
        compose::Street::new(&recording).play(self.kind, self.seconds, |picture| encoder.write(picture))?;
        encoder.finish()?;
        std::fs::rename(&unfinished, path).with_context(|| format!("can't write {}", path.display()))
    }
}

impl From<Coding> for simcam::Codec {
    fn from(codec: Coding) -> Self {
        match codec {
            Coding::H264 => Self::H264,
            Coding::H265 => Self::H265,
        }
    }
}

/// A file of this kind, 768×576 at constant quality with a keyframe every two seconds, for tests; made now when it is not kept yet.
pub fn kept(kind: Kind, seconds: u32) -> Result<PathBuf> {
    let place = Place::find(&Common::default())?;
    Spec { kind, codec: Coding::H264, rate: Rate::Crf, gop: 50, size: Size::P576, seconds, noise: 0 }.file(&place)
}

/// The word of a choice, as on the command line.
pub fn word(choice: impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn length(kind: Kind, common: &Common) -> u32 {
    match (kind, common.quick) {
        (Kind::Idle, true) => 10,
        (_, true) => 30,
        (Kind::Idle, false) => 60,
        (Kind::Busy, false) => 79,
        (Kind::Quiet | Kind::Weather | Kind::Mix, false) => 120,
    }
}
