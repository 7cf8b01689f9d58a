//! Frame → detections: preprocess, infer, decode, suppress. One detector per inference thread; the model it owns has a
//! network for each shape of frame, which holds its tensor. How long each stage took comes back with the result, for metrics and the bench.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

pub use crate::decode::DecodeError;
use crate::decode::{BoxInModel, Candidate};
use crate::detection::Detection;
use crate::frame::Frame;
use crate::geometry::BBox;
use crate::model::{Model, Network, NetworkFacts};
use crate::nms;
use crate::preprocess::{FrameFromModel, Window};

/// Runs one model.
pub struct Detector {
    model: Model,
}

/// What counts as found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectSettings {
    /// Score from which a detection is confident.
    pub score_threshold: f32,
    /// Overlap from which the weaker of two boxes of a class goes.
    pub nms_iou: f32,
}

/// What one frame holds.
#[derive(Clone, Debug)]
pub struct Detections {
    /// How long it took.
    pub timings: Timings,
    network: Option<Arc<NetworkFacts>>,
    /// Where was looked, if not everywhere.
    part: Option<BBox>,
    unsuppressed: Vec<Detection>,
    candidates: Vec<Detection>,
    n_confident: usize,
}

/// How long each stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Planes to tensor.
    pub preprocess: Duration,
    /// The model itself.
    pub infer: Duration,
    /// Outputs to boxes, and suppression.
    pub decode: Duration,
}

/// Why a frame gave no result.
#[derive(Debug, Error)]
pub enum DetectError {
    /// ONNX Runtime failed.
    #[error("inference failed")]
    Infer(#[source] ort::Error),
    /// The outputs make no sense.
    #[error("the outputs of inference can't be used")]
    Decode(#[from] DecodeError),
}

impl Detector {
    /// A detector that runs this model.
    pub fn new(model: Model) -> Self {
        Self { model }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The manifest's defaults.
    pub fn settings(&self) -> DetectSettings {
        DetectSettings { score_threshold: self.model.score_threshold(), nms_iou: self.model.nms_iou() }
    }

    /// What the frame holds.
    pub fn detect(&mut self, frame: &Frame, settings: &DetectSettings) -> Result<Detections, DetectError> {
        run(self.model.network(frame), (frame, None), settings)
    }

    /// Whether a part of the frame holds this region and costs less than all of it.
    pub fn has_part(&self, frame: &Frame, region: &BBox) -> bool {
        self.model.has_part(frame, region)
    }

    /// What a part of the frame holds that contains this region; all of it where a part would save nothing.
    pub fn detect_part(
        &mut self,
        frame: &Frame,
        region: &BBox,
        settings: &DetectSettings,
    ) -> Result<Detections, DetectError> {
        match self.model.part(frame, region) {
            Some((network, window)) => run(network, (frame, Some(window)), settings),
            None => self.detect(frame, settings),
        }
    }
}

fn run(
    network: &mut Network,
    (frame, window): (&Frame, Option<Window>),
    settings: &DetectSettings,
) -> Result<Detections, DetectError> {
    let facts = Arc::clone(network.facts());
    let input = network.size();
    let started = Instant::now();
    let prepared = network.prepare(frame, window);
    let preprocessed = Instant::now();
    let (mut inferred, frame_from_model) = (preprocessed, prepared.frame_from_model);
    let outputs = prepared.infer(|outputs, decoder| {
        inferred = Instant::now();
        decoder.decode(outputs)
    });
    let found = outputs.map_err(DetectError::Infer)??;
    let mut detections = Detections::of(&found, frame_from_model, settings);
    if window.is_some() {
        detections.keep_inside(bbox_in_frame(BoxInModel::of_input(input), frame_from_model));
    }
    detections.network = Some(facts);
    detections.timings =
        Timings { preprocess: preprocessed - started, infer: inferred - preprocessed, decode: inferred.elapsed() };
    Ok(detections)
}

impl Detections {
    /// What found them.
    pub fn network(&self) -> Option<&NetworkFacts> {
        self.network.as_deref()
    }

    /// The part of the frame that was looked at; `None`: all of it.
    pub fn part(&self) -> Option<&BBox> {
        self.part.as_ref()
    }

    /// From the settings' threshold on, best first: what people are shown.
    pub fn confident(&self) -> &[Detection] {
        &self.candidates[..self.n_confident]
    }

    /// From 0.1 on, best first: what the tracker takes.
    pub fn candidates(&self) -> &[Detection] {
        &self.candidates
    }

    /// From 0.1 on and before suppression, best first: what redaction covers.
    pub fn unsuppressed(&self) -> &[Detection] {
        &self.unsuppressed
    }

    #[cfg(test)]
    pub(crate) fn for_test(found: &[Detection]) -> Self {
        let (unsuppressed, candidates) = (found.to_vec(), found.to_vec());
        Self { timings: Timings::default(), network: None, part: None, unsuppressed, candidates, n_confident: 0 }
    }

    fn of(found: &[Candidate], frame_from_model: FrameFromModel, settings: &DetectSettings) -> Self {
        let mut unsuppressed = Vec::with_capacity(found.len());
        for candidate in found {
            let bbox = bbox_in_frame(candidate.bbox_in_model, frame_from_model);
            if bbox.w > 0.0 && bbox.h > 0.0 {
                unsuppressed.push(Detection { class: candidate.class, confidence: candidate.confidence, bbox });
            }
        }
        nms::sort_by_confidence(&mut unsuppressed);
        let candidates = nms::suppress(&unsuppressed, settings.nms_iou);
        let n_confident = candidates.partition_point(|found| found.confidence >= settings.score_threshold);
        Self { timings: Timings::default(), network: None, part: None, unsuppressed, candidates, n_confident }
    }

    /// Only this part was looked at; what its edge cuts is not whole.
    fn keep_inside(&mut self, part: BBox) {
        let is_whole = |found: &Detection| !is_cut(&found.bbox, &part);
        self.unsuppressed.retain(is_whole);
        self.n_confident = self.candidates[..self.n_confident].iter().filter(|found| is_whole(found)).count();
        self.candidates.retain(is_whole);
        self.part = Some(part);
    }
}

/// Whether a box ends at an edge of the part that is none of the frame.
fn is_cut(bbox: &BBox, part: &BBox) -> bool {
    const NEAR: f32 = 0.004;
    let cut = |edge: f32, of_frame: f32, of_box: f32| (edge - of_frame).abs() > NEAR && (of_box - edge).abs() < NEAR;
    let beyond = bbox.x < part.x - NEAR
        || bbox.y < part.y - NEAR
        || bbox.x + bbox.w > part.x + part.w + NEAR
        || bbox.y + bbox.h > part.y + part.h + NEAR;
    beyond
        || cut(part.x, 0.0, bbox.x)
        || cut(part.y, 0.0, bbox.y)
        || cut(part.x + part.w, 1.0, bbox.x + bbox.w)
        || cut(part.y + part.h, 1.0, bbox.y + bbox.h)
}

fn bbox_in_frame(bbox_in_model: BoxInModel, frame_from_model: FrameFromModel) -> BBox {
    let BoxInModel { cx, cy, w, h } = bbox_in_model;
    let (left, top) = (cx - w / 2.0, cy - h / 2.0);
    let FrameFromModel { x, y, origin } = frame_from_model;
    BBox { x: (left + origin.0 as f32) * x, y: (top + origin.1 as f32) * y, w: w * x, h: h * y }.clipped()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Class;

    fn candidate(confidence: f32, cx: f32) -> Candidate {
        let bbox_in_model = BoxInModel { cx, cy: 100.0, w: 40.0, h: 120.0 };
        Candidate { class: Class::Person, confidence, bbox_in_model }
    }

    #[test]
    fn doubtful_and_suppressed_boxes_stay_for_tracker_and_redaction() {
        let found = [candidate(0.2, 300.0), candidate(0.8, 100.0), candidate(0.5, 104.0), candidate(0.9, 900.0)];
        let frame_from_model = FrameFromModel { x: 1.0 / 416.0, y: 1.0 / 312.0, origin: (0, 0) };
        let settings = DetectSettings { score_threshold: 0.35, nms_iou: 0.45 };
        let detections = Detections::of(&found, frame_from_model, &settings);
        let scores = |detections: &[Detection]| detections.iter().map(|d| d.confidence).collect::<Vec<_>>();
        assert_eq!(scores(detections.confident()), [0.8]);
        assert_eq!(scores(detections.candidates()), [0.8, 0.2]);
        assert_eq!(scores(detections.unsuppressed()), [0.8, 0.5, 0.2]);
        assert!((detections.confident()[0].bbox.x - 80.0 / 416.0).abs() < 1e-6);
    }
}
