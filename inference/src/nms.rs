//! Non-maximum suppression, class by class: of boxes that overlap too much, the surest stays.

use crate::detection::Detection;

/// Weaker candidates than this many are not looked at: no street holds more objects.
const MAX_CANDIDATES: usize = 1000;

/// Sorts by confidence, best first.
pub(crate) fn sort_by_confidence(detections: &mut [Detection]) {
    detections.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
}

/// What stays of detections that are sorted best first.
pub(crate) fn suppress(sorted: &[Detection], max_iou: f32) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in sorted.iter().take(MAX_CANDIDATES) {
        let same_object =
            |better: &Detection| better.class == candidate.class && better.bbox.iou(&candidate.bbox) > max_iou;
        if !kept.iter().any(same_object) {
            kept.push(*candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Class;
    use crate::geometry::BBox;
    use proptest::prelude::*;

    fn detection(class: Class, confidence: f32, x: f32) -> Detection {
        Detection { class, confidence, bbox: BBox { x, y: 0.2, w: 0.1, h: 0.3 } }
    }

    #[test]
    fn only_the_weaker_of_the_same_class_goes() {
        let mut all = vec![
            detection(Class::Person, 0.5, 0.11),
            detection(Class::Person, 0.9, 0.10),
            detection(Class::Car, 0.4, 0.10),
            detection(Class::Person, 0.3, 0.60),
        ];
        sort_by_confidence(&mut all);
        let kept: Vec<_> = suppress(&all, 0.45).iter().map(|d| (d.class, d.confidence)).collect();
        assert_eq!(kept, [(Class::Person, 0.9), (Class::Car, 0.4), (Class::Person, 0.3)]);
    }

    proptest! {
        #[test]
        fn what_stays_overlaps_little_and_holds_the_best(
            boxes in proptest::collection::vec((0.0f32..0.9, 0.1f32..1.0), 1..40)
        ) {
            let mut all: Vec<_> = boxes.iter().map(|&(x, score)| detection(Class::Person, score, x)).collect();
            sort_by_confidence(&mut all);
            let kept = suppress(&all, 0.5);
            prop_assert_eq!(kept[0], all[0]);
            for (i, a) in kept.iter().enumerate() {
                prop_assert!(kept[i + 1..].iter().all(|b| a.bbox.iou(&b.bbox) <= 0.5));
            }
            prop_assert_eq!(suppress(&kept, 0.5), kept);
        }
    }
}
