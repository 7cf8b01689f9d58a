//! SSD: for each anchor, offsets (ty, tx, th, tw) scaled by the usual variances, and class logits.

use super::yolox::best_class;
use super::{BoxInModel, Candidate, DecodeError, OutputTensor};
use crate::detection::Class;
use crate::manifest::{CANDIDATE_FLOOR, Manifest};

/// Offsets of the centre come multiplied by this.
const CENTRE_SCALE: f32 = 10.0;
/// Offsets of the size come multiplied by this.
const SIZE_SCALE: f32 = 5.0;
/// y0, x0, y1, x1 as little-endian f32.
const ANCHOR_BYTES: usize = 16;

pub(crate) struct Ssd {
    boxes: String,
    scores: String,
    n_classes: usize,
    classes: Vec<(usize, Class)>,
    anchors_in_model: Vec<BoxInModel>,
    logit_floor: f32,
}

impl Ssd {
    pub(super) fn new(manifest: &Manifest, (boxes, scores): (&str, &str), anchors: &[u8]) -> Result<Self, DecodeError> {
        let size = (manifest.input.width as f32, manifest.input.height as f32);
        Ok(Self {
            boxes: boxes.to_owned(),
            scores: scores.to_owned(),
            n_classes: manifest.output.n_classes,
            classes: manifest.classes.clone(),
            anchors_in_model: parse_anchors(anchors, size)?,
            logit_floor: (CANDIDATE_FLOOR / (1.0 - CANDIDATE_FLOOR)).ln(),
        })
    }

    pub(super) fn outputs(&self) -> Vec<OutputTensor<'_>> {
        let n_anchors = self.anchors_in_model.len() as i64;
        vec![
            OutputTensor { name: &self.boxes, dims: [1, n_anchors, 4] },
            OutputTensor { name: &self.scores, dims: [1, n_anchors, self.n_classes as i64] },
        ]
    }

    pub(super) fn decode(&self, boxes: &[f32], scores: &[f32]) -> Result<Vec<Candidate>, DecodeError> {
        let mut candidates = Vec::new();
        let places = scores.chunks_exact(self.n_classes).zip(boxes.chunks_exact(4)).zip(&self.anchors_in_model);
        for (place, ((logits, offsets), anchor)) in places.enumerate() {
            let Some((class, logit)) = best_class(&self.classes, logits) else {
                continue;
            };
            if logit.is_nan() {
                return Err(DecodeError::NotFinite { place });
            }
            if logit >= self.logit_floor {
                let bbox_in_model = from_offsets(*anchor, offsets);
                if !bbox_in_model.is_finite() {
                    return Err(DecodeError::NotFinite { place });
                }
                candidates.push(Candidate { class, confidence: sigmoid(logit), bbox_in_model });
            }
        }
        Ok(candidates)
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

fn from_offsets(anchor: BoxInModel, offsets: &[f32]) -> BoxInModel {
    BoxInModel {
        cy: offsets[0] / CENTRE_SCALE * anchor.h + anchor.cy,
        cx: offsets[1] / CENTRE_SCALE * anchor.w + anchor.cx,
        h: (offsets[2] / SIZE_SCALE).exp() * anchor.h,
        w: (offsets[3] / SIZE_SCALE).exp() * anchor.w,
    }
}

fn parse_anchors(bytes: &[u8], (width, height): (f32, f32)) -> Result<Vec<BoxInModel>, DecodeError> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(ANCHOR_BYTES) {
        return Err(DecodeError::AnchorLength { bytes: bytes.len() });
    }
    let mut anchors = Vec::with_capacity(bytes.len() / ANCHOR_BYTES);
    for (place, row) in bytes.chunks_exact(ANCHOR_BYTES).enumerate() {
        let value = |i: usize| f32::from_le_bytes([row[4 * i], row[4 * i + 1], row[4 * i + 2], row[4 * i + 3]]);
        let (y0, x0, y1, x1) = (value(0), value(1), value(2), value(3));
        let anchor = BoxInModel {
            cx: (x0 + x1) / 2.0 * width,
            cy: (y0 + y1) / 2.0 * height,
            w: (x1 - x0) * width,
            h: (y1 - y0) * height,
        };
        if !anchor.is_finite() || anchor.w <= 0.0 || anchor.h <= 0.0 {
            return Err(DecodeError::AnchorShape { place });
        }
        anchors.push(anchor);
    }
    Ok(anchors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::YOLOX;

    fn decoder(anchors: &[[f32; 4]]) -> Result<Ssd, DecodeError> {
        let bytes: Vec<u8> = anchors.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        Ssd::new(&Manifest::parse(YOLOX).unwrap(), ("boxes", "scores"), &bytes)
    }

    #[test]
    fn offsets_move_and_stretch_the_anchor() {
        let ssd = decoder(&[[0.0, 0.0, 0.5, 0.5], [0.25, 0.25, 0.75, 0.5]]).unwrap();
        let mut scores = vec![-9.0; 2 * 80];
        scores[80 + 2] = 0.0;
        let boxes = [0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 5.0, 0.0];
        let found = ssd.decode(&boxes, &scores).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].class, found[0].confidence), (Class::Car, 0.5));
        let expected = BoxInModel { cx: 24.0 - 1.6, cy: 32.0 + 3.2, w: 16.0, h: 32.0 * 1f32.exp() };
        let got = found[0].bbox_in_model;
        for (got, expected) in [(got.cx, expected.cx), (got.cy, expected.cy), (got.w, expected.w), (got.h, expected.h)]
        {
            assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        }
    }

    #[test]
    fn broken_anchors_and_outputs_are_errors() {
        assert_eq!(decoder(&[]).err(), Some(DecodeError::AnchorLength { bytes: 0 }));
        assert_eq!(decoder(&[[0.5, 0.5, 0.5, 0.9]]).err(), Some(DecodeError::AnchorShape { place: 0 }));
        let ssd = decoder(&[[0.0, 0.0, 0.5, 0.5]]).unwrap();
        let mut scores = vec![-9.0; 80];
        scores[0] = 3.0;
        assert_eq!(ssd.decode(&[0.0, 0.0, f32::NAN, 0.0], &scores), Err(DecodeError::NotFinite { place: 0 }));
        scores[0] = f32::NAN;
        assert_eq!(ssd.decode(&[0.0; 4], &scores), Err(DecodeError::NotFinite { place: 0 }));
    }
}
