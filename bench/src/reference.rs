//! The pipeline that users have today, run beside ours: `reference/reference.py`, which lies inside this program.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{Bench, child::Talker, progress};

const SCRIPT: &str = include_str!("../reference/reference.py");
/// Longest until Python has loaded the model.
const START: Duration = Duration::from_secs(60);
/// Longest until it answers.
const ANSWER: Duration = Duration::from_secs(10);
/// The reference's width in pixels.
pub const WIDTH: u32 = 640;

/// Python running the reference.
pub struct Reference {
    talker: Talker,
    /// What it said of itself: resizer and versions.
    pub about: Value,
    _script: NamedTempFile,
}

/// What the reference's pipeline did in a window.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Frames analysed of all cameras.
    pub frames: f64,
    /// Seconds of processor time of ffmpeg.
    pub ffmpeg: f64,
    /// Seconds of processor time of Python.
    pub python: f64,
}

impl Reference {
    /// The detector on frames of a file.
    pub fn throughput(bench: &Bench, video: &std::path::Path, size: (u32, u32)) -> Result<Self> {
        Self::start(bench, "throughput", size, &["--video".to_owned(), video.display().to_string()])
    }

    /// ffmpeg's raw pipe at five frames a second from each camera.
    pub fn pipeline(bench: &Bench, urls: &[String], size: (u32, u32)) -> Result<Self> {
        // Even, as the pixel format wants it.
        let height = WIDTH * size.1 / size.0 / 2 * 2;
        let mut arguments = vec!["--urls".to_owned()];
        arguments.extend_from_slice(urls);
        Self::start(bench, "pipeline", (WIDTH, height), &arguments)
    }

    /// Why a ratio with this reference proves nothing; `about` is what it said of itself.
    pub fn doubt(about: &Value) -> Option<String> {
        (about["resize"] != "opencv").then(|| {
            "the reference's Python has no OpenCV and resizes more slowly, which flatters us; deploy/dev/install.sh bench installs it".to_owned()
        })
    }

    /// Runs the detector for so long; frames, seconds and the share of inference.
    pub fn run(&mut self, length: Duration) -> Result<Value> {
        self.talker.say(&format!("run {}", length.as_secs_f64()))?;
        self.talker.hear(length + ANSWER)
    }

    /// What the pipeline does in a window.
    pub fn window(&mut self, length: Duration) -> Result<Spent> {
        let before = self.read()?;
        progress::pause(length)?;
        let after = self.read()?;
        ensure!(after["ended"] == 0, "an ffmpeg of the reference ended; can it reach the camera?");
        let frames = |reading: &Value| -> f64 {
            reading["frames"].as_array().map_or(0.0, |counts| counts.iter().filter_map(Value::as_f64).sum())
        };
        let grew = |key: &str| after[key].as_f64().unwrap_or(0.0) - before[key].as_f64().unwrap_or(0.0);
        Ok(Spent { frames: frames(&after) - frames(&before), ffmpeg: grew("cpu_ffmpeg"), python: grew("cpu_python") })
    }

    /// Waits until every camera's frames come.
    pub fn wait_for_frames(&mut self) -> Result<()> {
        progress::wait("the reference's frames", START, || {
            let reading = self.read()?;
            let counts = reading["frames"].as_array().cloned().unwrap_or_default();
            Ok(counts.iter().all(|count| count.as_u64().unwrap_or(0) > 0))
        })
    }

    fn read(&mut self) -> Result<Value> {
        self.talker.say("read")?;
        self.talker.hear(ANSWER)
    }

    fn start(bench: &Bench, mode: &str, size: (u32, u32), more: &[String]) -> Result<Self> {
        let script = NamedTempFile::new().context("no room for the reference's script")?;
        std::fs::write(script.path(), SCRIPT)?;
        let (place, common) = (&bench.place, &bench.common);
        let mut python = Command::new(&place.python);
        python.arg(script.path()).arg(mode);
        python.arg("--manifest").arg(&place.manifest).arg("--weights").arg(&place.weights);
        python.args(["--provider", &common.provider, "--threads", &common.threads.to_string()]);
        python.args(["--width", &size.0.to_string(), "--height", &size.1.to_string()]).args(more);
        let cure = || {
            format!(
                "the reference needs Python with numpy, onnxruntime and opencv (bench/reference/requirements.txt): {} has not all of them, or see \
                 the lines above; install them with deploy/dev/install.sh bench, name another with --python, or leave --reference out",
                place.python.display()
            )
        };
        let mut talker = Talker::start("the reference", python).with_context(cure)?;
        let about = talker.hear(START).with_context(cure)?;
        Ok(Self { talker, about, _script: script })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reference_without_opencv_proves_nothing() {
        assert_eq!(Reference::doubt(&json!({ "resize": "opencv" })), None);
        for about in [json!({ "resize": "numpy" }), Value::Null] {
            assert!(Reference::doubt(&about).unwrap().contains("install.sh bench"), "{about}");
        }
    }
}
