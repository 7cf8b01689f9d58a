//! What a model is, read from its TOML manifest: the pinned file, how pixels go in, how outputs become boxes, and which
//! of its classes are looked at. A manifest that exists is consistent in itself and names only classes of the closed
//! list (RULES P09); whether the file fits it is `model`'s question.

mod document;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::detection::{Class, UnknownClass};

/// Candidates below this score are never looked at; ByteTrack's second stage and redaction start here.
pub(crate) const CANDIDATE_FLOOR: f32 = 0.1;

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Name of the model.
    pub name: String,
    /// File name in the models folder.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// Digest of the file, lower-case hex.
    pub sha256: String,
    /// SPDX identifier.
    pub licence: String,
    /// Where the file can be had, best first.
    pub sources: Vec<Source>,
    /// What was measured, for people.
    pub notes: String,
    /// How pixels go in.
    pub input: InputSpec,
    /// How boxes come out.
    pub output: OutputSpec,
    /// Model index → class; other indexes are dropped.
    pub classes: Vec<(usize, Class)>,
}

/// Where a model file can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Over HTTPS.
    Url(String),
    /// This file name in a mirror folder.
    Mirror(String),
    /// Made by the project's converter from this package.
    Converter(String),
}

/// How pixels become the input tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Name of the input.
    pub tensor: String,
    /// Width of model space.
    pub width: usize,
    /// Height of model space.
    pub height: usize,
    /// Order of dimensions.
    pub layout: Layout,
    /// Order of channels.
    pub colour: ColourOrder,
    /// value = u8 · scale + offset.
    pub scale: f32,
    /// See `scale`.
    pub offset: f32,
    /// How a frame of another shape is made to fit.
    pub fit: Fit,
    /// Whether the graph is fully convolutional, so that width and height may follow the frame's shape: sides are then
    /// multiples of the largest stride, and at most these.
    pub rectangular: bool,
}

/// Order of the input's dimensions after the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Channel, row, column.
    Nchw,
    /// Row, column, channel.
    Nhwc,
}

/// Order of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColourOrder {
    /// Blue first.
    Bgr,
    /// Red first.
    Rgb,
}

/// How a frame is made to fit the model's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Scaled evenly to the top left; the rest has this value.
    Letterbox {
        /// Value of the rest.
        pad: u8,
    },
    /// Each side scaled on its own.
    Stretch,
}

/// How outputs become boxes.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpec {
    /// Which tensors, and what they mean.
    pub decoder: Decoder,
    /// Classes in the score tensor.
    pub n_classes: usize,
    /// Default score from which a detection is shown.
    pub score_threshold: f32,
    /// Default overlap from which the weaker of two boxes goes.
    pub nms_iou: f32,
}

/// Meaning of the output tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoder {
    /// YOLOX: raw grid of centre, log size, objectness, class scores.
    Yolox {
        /// Name of the output, 1×N×(5 + classes).
        tensor: String,
        /// Cell sizes in pixels of model space.
        strides: Vec<usize>,
    },
    /// SSD: offsets to anchors and class logits.
    Ssd {
        /// Name of the offsets, 1×N×4 as ty, tx, th, tw.
        boxes: String,
        /// Name of the logits, 1×N×classes.
        scores: String,
        /// The anchors.
        anchors: Anchors,
    },
}

/// An SSD model's anchors: little-endian f32, N × (y0, x0, y1, x1), normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchors {
    /// File name in the models folder.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// Digest of the file, lower-case hex.
    pub sha256: String,
}

/// Why a manifest can't be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The file can't be read.
    #[error("can't read the model manifest {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, a key missing, unknown or of the wrong type; the source says where.
    #[error("the model manifest doesn't parse")]
    Parse(#[from] toml::de::Error),
    /// A class that is not on the closed list.
    #[error("the model manifest maps index {index} to a class that is refused")]
    Class {
        /// The model's index.
        index: usize,
        /// Which name.
        #[source]
        source: UnknownClass,
    },
    /// A value that makes no sense.
    #[error("{key} in the model manifest: {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl Manifest {
    /// Reads and checks a manifest file.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ManifestError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Checks a manifest's text.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest = document::parse(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        check_file("file", &self.file)?;
        check_sha256("sha256", &self.sha256)?;
        self.check_input()?;
        self.check_output()?;
        self.check_classes()
    }

    fn check_input(&self) -> Result<(), ManifestError> {
        let side = 32..=4096;
        if !side.contains(&self.input.width) || !side.contains(&self.input.height) {
            return refuse("input", "width and height must be between 32 and 4096");
        }
        if !self.input.scale.is_finite() || !self.input.offset.is_finite() || self.input.scale == 0.0 {
            return refuse("input.scale", "scale and offset must be finite, and scale not 0");
        }
        Ok(())
    }

    fn check_output(&self) -> Result<(), ManifestError> {
        let output = &self.output;
        if !(CANDIDATE_FLOOR..1.0).contains(&output.score_threshold) {
            return refuse("output.score_threshold", "must be at least 0.1 and below 1");
        }
        if !(output.nms_iou > 0.0 && output.nms_iou <= 1.0) {
            return refuse("output.nms_iou", "must be above 0 and at most 1");
        }
        let follows_shape = matches!((&output.decoder, self.input.fit), (Decoder::Yolox { .. }, Fit::Letterbox { .. }));
        if self.input.rectangular && !follows_shape {
            return refuse("input.rectangular", "needs decoder \"yolox\" and a letterbox: other grids can't follow");
        }
        match &output.decoder {
            Decoder::Yolox { strides, .. } => {
                let fits = |&stride: &usize| {
                    stride > 0 && self.input.width.is_multiple_of(stride) && self.input.height.is_multiple_of(stride)
                };
                if strides.is_empty() || !strides.iter().all(fits) {
                    return refuse("output.strides", "each must divide input.width and input.height");
                }
            }
            Decoder::Ssd { anchors, .. } => {
                check_file("output.anchors.file", &anchors.file)?;
                check_sha256("output.anchors.sha256", &anchors.sha256)?;
            }
        }
        Ok(())
    }

    fn check_classes(&self) -> Result<(), ManifestError> {
        if self.classes.is_empty() {
            return refuse("classes", "at least one index must be mapped");
        }
        for (position, (index, _)) in self.classes.iter().enumerate() {
            if *index >= self.output.n_classes {
                return refuse("classes", &format!("index {index} is not below output.n_classes"));
            }
            if self.classes[..position].iter().any(|(earlier, _)| earlier == index) {
                return refuse("classes", &format!("index {index} is mapped twice"));
            }
        }
        Ok(())
    }
}

fn refuse(key: &'static str, problem: &str) -> Result<(), ManifestError> {
    Err(ManifestError::Value { key, problem: problem.to_owned() })
}

fn check_file(key: &'static str, file: &str) -> Result<(), ManifestError> {
    let is_bare = Path::new(file).file_name().is_some_and(|name| name == file);
    if is_bare && !file.contains('\\') { Ok(()) } else { refuse(key, "must be a file name without folders") }
}

fn check_sha256(key: &'static str, digest: &str) -> Result<(), ManifestError> {
    let is_hex = digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digest.len() == 64 && is_hex { Ok(()) } else { refuse(key, "must be 64 lower-case hex digits") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const YOLOX: &str = r#"
name = "tiny"
file = "tiny.onnx"
bytes = 3
sha256 = "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14"
licence = "Apache-2.0"
sources = [{ mirror = "tiny.onnx" }, { url = "https://example.org/tiny.onnx" }]
classes = [{ index = 0, class = "person" }, { index = 2, class = "car" }]

[input]
tensor = "images"
width = 64
height = 64
layout = "nchw"
colour = "bgr"
scale = 1.0
offset = 0.0
fit = { kind = "letterbox", pad = 114 }

[output]
decoder = "yolox"
tensor = "output"
strides = [8, 16, 32]
n_classes = 80
score_threshold = 0.35
nms_iou = 0.45
"#;

    const SSD_OUTPUT: &str = r#"
[output]
decoder = "ssd"
boxes = "boxes"
scores = "scores"
n_classes = 91
score_threshold = 0.4
nms_iou = 0.5
anchors = { file = "a.f32", bytes = 16, sha256 = "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14" }
"#;

    fn problem(text: &str) -> String {
        let error = Manifest::parse(text).expect_err("is refused");
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    }

    #[test]
    fn both_decoders_parse() {
        let yolox = Manifest::parse(YOLOX).unwrap();
        assert_eq!(yolox.classes, [(0, Class::Person), (2, Class::Car)]);
        assert_eq!(yolox.input.fit, Fit::Letterbox { pad: 114 });
        assert_eq!(yolox.sources[0], Source::Mirror("tiny.onnx".to_owned()));
        let ssd = YOLOX.split("[output]").next().unwrap().to_owned() + SSD_OUTPUT;
        assert!(matches!(Manifest::parse(&ssd).unwrap().output.decoder, Decoder::Ssd { .. }));
    }

    #[test]
    fn p09_other_classes_outputs_and_mistakes_are_refused_with_their_place() {
        for (from, to, expected) in [
            ("class = \"car\"", "class = \"face\"", "\"face\" is not one of person"),
            ("class = \"car\"", "class = \"number_plate\"", "index 2"),
            ("[output]", "embedding = \"reid\"\n[output]", "unknown field `embedding`"),
            ("strides = [8, 16, 32]", "strides = [8]\nembeddings = \"e\"", "unknown field `embeddings`"),
            ("strides = [8, 16, 32]", "strides = [7]", "output.strides"),
            ("file = \"tiny.onnx\"", "file = \"../tiny.onnx\"", "file name without folders"),
            ("sha256 = \"6", "sha256 = \"X", "64 lower-case hex"),
            ("index = 2", "index = 0", "mapped twice"),
            ("index = 2", "index = 80", "not below"),
            ("score_threshold = 0.35", "score_threshold = 0.05", "at least 0.1"),
            ("width = 64", "width = 0", "between 32 and 4096"),
            (
                "fit = { kind = \"letterbox\", pad = 114 }",
                "fit = { kind = \"stretch\" }\nrectangular = true",
                "a letterbox",
            ),
            ("decoder = \"yolox\"", "decoder = \"ocr\"", "ocr"),
        ] {
            assert!(YOLOX.contains(from), "{from}");
            let message = problem(&YOLOX.replacen(from, to, 1));
            assert!(message.contains(expected), "{to}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_manifest_or_an_error(cut in 0usize..700, insert in "[ -~]{0,12}") {
            let cut = cut.min(YOLOX.len());
            let _ = Manifest::parse(&format!("{}{insert}{}", &YOLOX[..cut], &YOLOX[cut..]));
        }
    }
}
