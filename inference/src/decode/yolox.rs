//! YOLOX: for each cell of each stride's grid, row by row: centre offset, log size, objectness and class scores; the
//! last two are already sigmoid, and a detection's score is their product.

use super::{BoxInModel, Candidate, DecodeError, OutputTensor};
use crate::detection::Class;
use crate::manifest::{CANDIDATE_FLOOR, Manifest};

pub(crate) struct Yolox {
    tensor: String,
    n_classes: usize,
    classes: Vec<(usize, Class)>,
    cells: Vec<Cell>,
}

#[derive(Clone, Copy)]
struct Cell {
    column: f32,
    row: f32,
    stride: f32,
}

impl Yolox {
    pub(super) fn new(manifest: &Manifest, tensor: &str, strides: &[usize]) -> Self {
        let mut cells = Vec::new();
        for &stride in strides {
            for row in 0..manifest.input.height / stride {
                for column in 0..manifest.input.width / stride {
                    cells.push(Cell { column: column as f32, row: row as f32, stride: stride as f32 });
                }
            }
        }
        let n_classes = manifest.output.n_classes;
        Self { tensor: tensor.to_owned(), n_classes, classes: manifest.classes.clone(), cells }
    }

    pub(super) fn outputs(&self) -> Vec<OutputTensor<'_>> {
        let dims = [1, self.cells.len() as i64, 5 + self.n_classes as i64];
        vec![OutputTensor { name: &self.tensor, dims }]
    }

    pub(super) fn decode(&self, output: &[f32]) -> Result<Vec<Candidate>, DecodeError> {
        let mut candidates = Vec::new();
        for (place, (values, cell)) in output.chunks_exact(5 + self.n_classes).zip(&self.cells).enumerate() {
            let objectness = values[4];
            if objectness.is_nan() {
                return Err(DecodeError::NotFinite { place });
            }
            // Class scores are at most 1, so nothing here can reach the floor.
            if objectness < CANDIDATE_FLOOR {
                continue;
            }
            if let Some((class, class_score)) = best_class(&self.classes, &values[5..]) {
                let confidence = objectness * class_score;
                if confidence >= CANDIDATE_FLOOR {
                    let bbox_in_model = cell.bbox(values);
                    if !bbox_in_model.is_finite() {
                        return Err(DecodeError::NotFinite { place });
                    }
                    candidates.push(Candidate { class, confidence, bbox_in_model });
                }
            }
        }
        Ok(candidates)
    }
}

impl Cell {
    fn bbox(self, values: &[f32]) -> BoxInModel {
        BoxInModel {
            cx: (values[0] + self.column) * self.stride,
            cy: (values[1] + self.row) * self.stride,
            w: values[2].exp() * self.stride,
            h: values[3].exp() * self.stride,
        }
    }
}

impl BoxInModel {
    pub(super) fn is_finite(self) -> bool {
        [self.cx, self.cy, self.w, self.h].into_iter().all(f32::is_finite)
    }
}

/// The best of the mapped classes and its score.
pub(super) fn best_class(classes: &[(usize, Class)], scores: &[f32]) -> Option<(Class, f32)> {
    let mut best = None;
    for &(index, class) in classes {
        let score = scores[index];
        if best.is_none_or(|(_, best_score)| score > best_score) {
            best = Some((class, score));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::YOLOX;

    const ROW: usize = 85;

    fn decoder() -> Yolox {
        Yolox::new(&Manifest::parse(YOLOX).unwrap(), "output", &[8, 16, 32])
    }

    fn output_with(place: usize, values: &[(usize, f32)]) -> Vec<f32> {
        let mut output = vec![0.0; (64 + 16 + 4) * ROW];
        for &(index, value) in values {
            output[place * ROW + index] = value;
        }
        output
    }

    #[test]
    fn cell_of_the_second_stride_lands_where_it_should() {
        let place = 64 + 4 + 2;
        let found =
            decoder().decode(&output_with(place, &[(0, 0.5), (1, 0.25), (3, 1.0), (4, 0.8), (5, 0.5)])).unwrap();
        let bbox_in_model = BoxInModel { cx: 40.0, cy: 20.0, w: 16.0, h: 16.0 * 1f32.exp() };
        assert_eq!(found, [Candidate { class: Class::Person, confidence: 0.4, bbox_in_model }]);
    }

    #[test]
    fn classes_off_the_map_are_never_found() {
        let dog = 5 + 16;
        assert!(decoder().decode(&output_with(3, &[(4, 1.0), (dog, 1.0)])).unwrap().is_empty());
    }

    #[test]
    fn outputs_that_are_not_numbers_are_errors() {
        for broken in [(4, f32::NAN), (2, f32::INFINITY), (0, f32::NAN)] {
            let mut values = vec![(4, 1.0), (5, 1.0)];
            values.push(broken);
            assert_eq!(decoder().decode(&output_with(7, &values)), Err(DecodeError::NotFinite { place: 7 }));
        }
    }
}
