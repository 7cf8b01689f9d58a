//! `xueliang model`: what a detection model is, whether it may run here, and how fast it runs.

mod bench;
mod verify;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use xueliang_inference::{Colour, DecodedFrame, Frame, Manifest, PrivacyMasks, Runtime, Tensors, init_runtime, mask};

/// What to do with a model.
#[derive(Subcommand)]
pub enum Command {
    /// Show the manifest, the file's inputs and outputs, and what ONNX Runtime can run it on.
    Inspect(Files),
    /// Check that the model may run: pinned digest, allowed classes, no other outputs, and equal results to a reference.
    Verify(verify::Options),
    /// Measure milliseconds of each stage, for each provider and size of camera, in turns.
    Bench(bench::Options),
}

/// Where a model's parts are.
#[derive(Args)]
pub struct Files {
    /// The model's manifest (TOML), such as models/yolox_nano.toml.
    manifest: PathBuf,
    /// The folder that holds the model file which the manifest names.
    #[arg(long, value_name = "DIR", default_value = "models")]
    weights: PathBuf,
    /// libonnxruntime.so; without it the system's search path is asked.
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    onnxruntime: Option<PathBuf>,
}

/// Width and height, written as 1920x1080.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(u32, u32);

/// Does it.
pub fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Inspect(files) => inspect(files),
        Command::Verify(options) => verify::run(options),
        Command::Bench(options) => bench::run(options),
    }
}

impl Files {
    fn manifest(&self) -> anyhow::Result<Manifest> {
        Manifest::read(&self.manifest).with_context(|| {
            format!("{} can't be used; name a manifest such as models/yolox_nano.toml", self.manifest.display())
        })
    }

    fn runtime(&self) -> anyhow::Result<Runtime> {
        Ok(init_runtime(self.onnxruntime.as_deref())?)
    }
}

fn inspect(files: &Files) -> anyhow::Result<()> {
    let (manifest, runtime) = (files.manifest()?, files.runtime()?);
    let tensors = Tensors::of(&runtime, &manifest, &files.weights)?;
    let row = |name: &str, value: &str| println!("{name:<12}{value}");
    row("model", &manifest.name);
    row("licence", &manifest.licence);
    row("file", &files.weights.join(&manifest.file).display().to_string());
    row("sha256", &format!("{} (the file's own)", manifest.sha256));
    let follows = if manifest.input.rectangular { "at most; follows the camera's shape" } else { "always" };
    row("size", &format!("{}x{} {follows}", manifest.input.width, manifest.input.height));
    tensors.inputs.iter().for_each(|tensor| row("input", tensor));
    tensors.outputs.iter().for_each(|tensor| row("output", tensor));
    let classes = manifest.classes.iter().map(|(index, class)| format!("{index} {class}"));
    row("classes", &classes.collect::<Vec<_>>().join(", "));
    row("threshold", &format!("score {}, overlap {}", manifest.output.score_threshold, manifest.output.nms_iou));
    row("runtime", &format!("{} {}", runtime.library().display(), runtime.build()));
    row("providers", &runtime.providers().iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    if !manifest.notes.is_empty() {
        row("notes", &manifest.notes);
    }
    Ok(())
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let (width, height) =
            sides.ok_or_else(|| format!("{text:?} is no size; write width and height as 1920x1080"))?;
        if (2..=16_384).contains(&width) && (2..=16_384).contains(&height) {
            return Ok(Self(width, height));
        }
        Err(format!("{text} is no camera's size; sides are between 2 and 16384"))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.0, self.1)
    }
}

impl Size {
    fn packed_len(self) -> usize {
        let (width, height) = (self.0 as usize, self.1 as usize);
        width * height + 2 * width.div_ceil(2) * height.div_ceil(2)
    }
}

/// Raw I420 frames, one after the other.
fn read_frames(path: &Path, size: Size) -> anyhow::Result<Vec<Frame>> {
    let raw = std::fs::read(path).with_context(|| format!("can't read the frames in {}", path.display()))?;
    let length = size.packed_len();
    anyhow::ensure!(
        !raw.is_empty() && raw.len().is_multiple_of(length),
        "{}: {} bytes are no whole number of {size} I420 frames; give their size with --size",
        path.display(),
        raw.len()
    );
    raw.chunks_exact(length).map(|bytes| frame(bytes.to_vec(), size)).collect()
}

fn frame(bytes: Vec<u8>, Size(width, height): Size) -> anyhow::Result<Frame> {
    let decoded = DecodedFrame::from_i420(bytes, (width, height), Colour::default(), jiff::Timestamp::now())?;
    Ok(mask::paint(decoded, &PrivacyMasks::none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_mistakes_say_what_to_write() {
        assert_eq!("1920x1080".parse(), Ok(Size(1920, 1080)));
        for (text, expected) in [("1080p", "1920x1080"), ("1x1", "between"), ("ax2", "1920x1080"), ("", "1920x1080")] {
            let error = text.parse::<Size>().expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn frames_of_another_size_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![16; 4 * 4 * 3 / 2 * 2]).unwrap();
        assert_eq!(read_frames(file.path(), Size(4, 4)).unwrap().len(), 2);
        let error = read_frames(file.path(), Size(6, 4)).err().unwrap().to_string();
        assert!(error.contains("no whole number of 6x4"), "{error}");
    }
}
