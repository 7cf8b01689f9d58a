//! Pictures in, an MP4 as a camera would send it out: ffmpeg scales, adds the sensor's noise and encodes without delay.

use std::{
    io::Write,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{FPS, Spec, recording::SIZE};
use crate::args::{Coding, Rate, Size};

/// What to do without ffmpeg.
pub const FFMPEG_CURE: &str = "ffmpeg can't be started; install Debian's ffmpeg (it needs libx264 and libx265)";

/// Sensor noise, new in each picture: gaussian, measured σ = 1.5.
const NOISE: &str = "noise=alls=3:allf=t:all_seed=";
/// The seed of the first of several noises.
const SEED: u32 = 20_240_229;

/// A running ffmpeg.
pub struct Encoder {
    child: Child,
    input: Option<ChildStdin>,
}

impl Encoder {
    /// Starts ffmpeg for this file.
    pub fn start(spec: &Spec, path: &Path) -> Result<Self> {
        let (width, height) = spec.pixels();
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"]);
        ffmpeg.args(["-s", &format!("{}x{}", SIZE.0, SIZE.1), "-r", &FPS.to_string(), "-i", "pipe:0"]);
        ffmpeg.args([
            "-vf",
            &format!("scale={width}:{height}:flags=bicubic,{NOISE}{}", SEED + spec.noise),
            "-pix_fmt",
            "yuv420p",
        ]);
        ffmpeg.args(coding(spec)).arg(path);
        let mut child = ffmpeg.stdin(Stdio::piped()).spawn().context(FFMPEG_CURE)?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }

    /// Takes the next picture.
    pub fn write(&mut self, picture: &[u8]) -> Result<()> {
        crate::progress::check()?;
        let input = self.input.as_mut().context("ffmpeg takes nothing")?;
        input.write_all(picture).context("ffmpeg ended early; it needs libx264 and libx265, and room on the disk")
    }

    /// Waits until the file is whole.
    pub fn finish(mut self) -> Result<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        if !status.success() {
            bail!("ffmpeg ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        drop(self.input.take());
        // It has ended already, or nobody wants its file any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn coding(spec: &Spec) -> Vec<String> {
    let gop = spec.gop;
    let kbit = match spec.size {
        Size::P576 => 1500,
        Size::P1080 => 4000,
    };
    let text = match (spec.codec, spec.rate) {
        (Coding::H264, Rate::Crf) => format!(
            "-c:v libx264 -preset veryfast -tune zerolatency -crf 23 -g {gop} -keyint_min {gop} -sc_threshold 0"
        ),
        (Coding::H264, Rate::Cbr) => format!(
            "-c:v libx264 -preset veryfast -tune zerolatency -b:v {kbit}k -minrate {kbit}k -maxrate {kbit}k -bufsize {kbit}k \
             -x264-params nal-hrd=cbr -g {gop} -keyint_min {gop} -sc_threshold 0"
        ),
        (Coding::H265, Rate::Crf) => format!(
            "-c:v libx265 -preset ultrafast -tune zerolatency -tag:v hvc1 \
             -x265-params crf=25:keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:log-level=error"
        ),
        (Coding::H265, Rate::Cbr) => format!(
            "-c:v libx265 -preset ultrafast -tune zerolatency -tag:v hvc1 -x265-params \
             bitrate={kbit}:vbv-maxrate={kbit}:vbv-bufsize={kbit}:strict-cbr=1:keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:log-level=error"
        ),
    };
    text.split_whitespace().map(str::to_owned).collect()
}
