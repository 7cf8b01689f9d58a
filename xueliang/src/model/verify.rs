//! Whether a model may run here. Each check that passes is a line; the first that fails is the error.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::Value;
use xueliang_inference::{Detection, Detector, Model, Provider, SessionSettings};

use super::{Files, Size, read_frames};

/// Largest difference of an edge from the reference, in pixels of the frame.
const MAX_BOX_PX: f32 = 1.0;
/// Largest difference of a score.
const MAX_SCORE: f32 = 0.01;

/// What to check.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    files: Files,
    /// What it must run on.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    provider: Provider,
    /// Raw I420 frames to compare results on; inference/tests/reference/prepare.sh makes them.
    #[arg(long, value_name = "FILE", requires = "reference")]
    frames: Option<PathBuf>,
    /// The reference's results for these frames (JSON), made by inference/tests/reference/reference.py.
    #[arg(long, value_name = "FILE", requires = "frames")]
    reference: Option<PathBuf>,
    /// Width and height of the frames.
    #[arg(long, value_name = "WxH", default_value = "768x576")]
    size: Size,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let manifest = options.files.manifest()?;
    let passed = |what: &str| println!("ok  {what}");
    passed(&format!(
        "manifest: {} of {} classes are looked at, all allowed",
        manifest.classes.len(),
        manifest.output.n_classes
    ));
    ensure!(!manifest.licence.trim().is_empty(), "{}: no licence; name its SPDX identifier", manifest.name);
    passed(&format!("licence: {}", manifest.licence));
    let settings = SessionSettings { providers: vec![options.provider], require: true, ..SessionSettings::default() };
    let model = Model::load(&options.files.runtime()?, &manifest, &options.files.weights, &settings)?;
    passed(&format!("digest: {}", model.sha256()));
    passed("contract: boxes and class scores come out, and nothing else");
    passed(&format!("provider: {} runs the whole model", model.provider()));
    match (&options.frames, &options.reference) {
        (Some(frames), Some(reference)) => {
            let worst = compare(&mut Detector::new(model), frames, reference, options.size).with_context(|| {
                format!(
                    "{} is not what this model finds; make it anew for these frames, or don't use the model",
                    reference.display()
                )
            })?;
            passed(&format!("parity: {} detections, at most {:.3} px and {:.4} apart", worst.n, worst.px, worst.score));
        }
        _ => println!(
            "--  parity: not checked; give --frames and --reference, which inference/tests/reference/prepare.sh makes from a recording"
        ),
    }
    Ok(())
}

#[derive(Default)]
struct Worst {
    n: usize,
    px: f32,
    score: f32,
}

/// Each of the reference's clear detections must be found, and nothing clear beside them.
fn compare(detector: &mut Detector, frames: &Path, reference: &Path, size: Size) -> anyhow::Result<Worst> {
    let (settings, mut worst) = (detector.settings(), Worst::default());
    let (frames, expected) = (read_frames(frames, size)?, read_reference(reference)?);
    ensure!(frames.len() == expected.len(), "{} frames, but the reference has {}", frames.len(), expected.len());
    let floor = settings.score_threshold + MAX_SCORE;
    for (index, (frame, expected)) in frames.iter().zip(&expected).enumerate() {
        let found = detector.detect(frame, &settings)?;
        let found: Vec<Row> = found.candidates().iter().map(|detection| Row::of(detection, size)).collect();
        let clear = |row: &&Row| row.score >= floor;
        let pairs = found
            .iter()
            .filter(clear)
            .map(|row| (row, expected))
            .chain(expected.iter().filter(clear).map(|row| (row, &found)));
        for (row, others) in pairs {
            let apart = others.iter().filter(|other| other.class == row.class).map(|other| row.apart(other));
            let Some((px, score)) = apart.min_by(|one, other| one.0.total_cmp(&other.0)) else {
                bail!("frame {index}: a {} is found by only one of the two", row.class);
            };
            ensure!(
                px <= MAX_BOX_PX && score <= MAX_SCORE,
                "frame {index}: a {} is {px} px and {score} apart",
                row.class
            );
            worst = Worst { n: worst.n + 1, px: worst.px.max(px), score: worst.score.max(score) };
        }
    }
    Ok(worst)
}

/// A detection as the reference writes it: class, score, corners in pixels.
struct Row {
    class: String,
    score: f32,
    corners: [f32; 4],
}

impl Row {
    fn of(detection: &Detection, Size(width, height): Size) -> Self {
        let (w, h, bbox) = (width as f32, height as f32, detection.bbox);
        let corners = [bbox.x * w, bbox.y * h, (bbox.x + bbox.w) * w, (bbox.y + bbox.h) * h];
        Self { class: detection.class.to_string(), score: detection.confidence, corners }
    }

    fn parse(row: &Value) -> Option<Self> {
        let number = |place: usize| row.get(place)?.as_f64().map(|value| value as f32);
        let corners = [number(2)?, number(3)?, number(4)?, number(5)?];
        Some(Self { class: row.get(0)?.as_str()?.to_owned(), score: number(1)?, corners })
    }

    fn apart(&self, other: &Self) -> (f32, f32) {
        let edges = self.corners.iter().zip(other.corners).map(|(one, other)| (one - other).abs());
        (edges.fold(0.0, f32::max), (self.score - other.score).abs())
    }
}

fn read_reference(path: &Path) -> anyhow::Result<Vec<Vec<Row>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read the reference {}", path.display()))?;
    let document: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let rows = |frame: &Value| frame.as_array()?.iter().map(Row::parse).collect::<Option<Vec<_>>>();
    let frames = document["frames"].as_array().and_then(|frames| frames.iter().map(rows).collect());
    frames.with_context(|| format!("{} is not what reference.py writes; make it again", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_or_refused_with_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"frames": [[["person", 0.9, 1.0, 2.0, 3.0, 4.0]], []]}"#).unwrap();
        let frames = read_reference(file.path()).unwrap();
        assert_eq!((frames.len(), frames[0][0].class.as_str(), frames[0][0].corners[3]), (2, "person", 4.0));
        std::fs::write(file.path(), r#"{"frames": [[["person"]]]}"#).unwrap();
        let error = read_reference(file.path()).err().unwrap().to_string();
        assert!(error.contains("not what reference.py writes"), "{error}");
    }
}
