//! The manifest as it stands in the file: the only types of this crate that serde reads. Unknown keys are refused.

use serde::Deserialize;

use super::{Anchors, ColourOrder, Decoder, Fit, InputSpec, Layout, Manifest, ManifestError, OutputSpec, Source};
use crate::detection::Class;

pub(super) fn parse(text: &str) -> Result<Manifest, ManifestError> {
    let document: Document = toml::from_str(text)?;
    document.into_manifest()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    file: String,
    bytes: u64,
    sha256: String,
    licence: String,
    sources: Vec<SourceKey>,
    #[serde(default)]
    notes: String,
    classes: Vec<ClassRow>,
    input: InputTable,
    output: OutputTable,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceKey {
    Url(String),
    Mirror(String),
    Converter(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassRow {
    index: usize,
    class: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputTable {
    tensor: String,
    width: usize,
    height: usize,
    layout: LayoutKey,
    colour: ColourKey,
    scale: f32,
    offset: f32,
    fit: FitTable,
    #[serde(default)]
    rectangular: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LayoutKey {
    Nchw,
    Nhwc,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ColourKey {
    Bgr,
    Rgb,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum FitTable {
    Letterbox { pad: u8 },
    Stretch {},
}

#[derive(Deserialize)]
#[serde(tag = "decoder", rename_all = "lowercase", deny_unknown_fields)]
enum OutputTable {
    Yolox { tensor: String, strides: Vec<usize>, n_classes: usize, score_threshold: f32, nms_iou: f32 },
    Ssd { boxes: String, scores: String, anchors: AnchorsTable, n_classes: usize, score_threshold: f32, nms_iou: f32 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorsTable {
    file: String,
    bytes: u64,
    sha256: String,
}

impl Document {
    fn into_manifest(self) -> Result<Manifest, ManifestError> {
        let mut classes = Vec::with_capacity(self.classes.len());
        for ClassRow { index, class } in self.classes {
            let class: Class = class.parse().map_err(|source| ManifestError::Class { index, source })?;
            classes.push((index, class));
        }
        Ok(Manifest {
            name: self.name,
            file: self.file,
            bytes: self.bytes,
            sha256: self.sha256,
            licence: self.licence,
            sources: self.sources.into_iter().map(SourceKey::into_source).collect(),
            notes: self.notes,
            input: self.input.into_spec(),
            output: self.output.into_spec(),
            classes,
        })
    }
}

impl SourceKey {
    fn into_source(self) -> Source {
        match self {
            Self::Url(url) => Source::Url(url),
            Self::Mirror(file) => Source::Mirror(file),
            Self::Converter(package) => Source::Converter(package),
        }
    }
}

impl InputTable {
    fn into_spec(self) -> InputSpec {
        InputSpec {
            tensor: self.tensor,
            width: self.width,
            height: self.height,
            layout: match self.layout {
                LayoutKey::Nchw => Layout::Nchw,
                LayoutKey::Nhwc => Layout::Nhwc,
            },
            colour: match self.colour {
                ColourKey::Bgr => ColourOrder::Bgr,
                ColourKey::Rgb => ColourOrder::Rgb,
            },
            scale: self.scale,
            offset: self.offset,
            fit: match self.fit {
                FitTable::Letterbox { pad } => Fit::Letterbox { pad },
                FitTable::Stretch {} => Fit::Stretch,
            },
            rectangular: self.rectangular,
        }
    }
}

impl OutputTable {
    fn into_spec(self) -> OutputSpec {
        match self {
            Self::Yolox { tensor, strides, n_classes, score_threshold, nms_iou } => {
                OutputSpec { decoder: Decoder::Yolox { tensor, strides }, n_classes, score_threshold, nms_iou }
            }
            Self::Ssd { boxes, scores, anchors, n_classes, score_threshold, nms_iou } => {
                let AnchorsTable { file, bytes, sha256 } = anchors;
                let anchors = Anchors { file, bytes, sha256 };
                OutputSpec { decoder: Decoder::Ssd { boxes, scores, anchors }, n_classes, score_threshold, nms_iou }
            }
        }
    }
}
