//! Whether a picture is the known view seen from elsewhere: shifted, turned, nearer or farther.
//!
//! Tries similarity transforms of the view's edges on a coarser grid. Tens of milliseconds, so only asked once per
//! suspicion.

use super::grid::Grid;

/// Blocks of the grid along one coarse block.
const COARSE: usize = 3;
/// Most coarse blocks shifted, as a share of each side.
const REACH: f32 = 0.4;
/// Least share of the picture that both must show.
const LEAST_OVERLAP: f32 = 0.4;
/// Magnification and turn (degrees) of each hypothesis.
const POSES: [(f32, f32); 22] = [
    (1.0, 0.0),
    (1.08, 0.0),
    (1.17, 0.0),
    (1.27, 0.0),
    (1.38, 0.0),
    (1.5, 0.0),
    (0.92, 0.0),
    (0.85, 0.0),
    (0.79, 0.0),
    (0.72, 0.0),
    (1.0, 5.0),
    (1.0, -5.0),
    (1.0, 10.0),
    (1.0, -10.0),
    (1.0, 15.0),
    (1.0, -15.0),
    (1.0, 20.0),
    (1.0, -20.0),
    (1.15, 6.0),
    (1.15, -6.0),
    (1.3, 12.0),
    (1.3, -12.0),
];

/// Correlation of the picture's edges with the view's: as they are, and under the best pose.
pub(super) fn alignments(view: &[[f32; 2]], now: &[[f32; 2]], grid: &Grid) -> (f32, f32) {
    let (view, now) = (Field::coarse(view, grid), Field::coarse(now, grid));
    let best = POSES.into_iter().map(|pose| best_shift(&view.posed(pose), &now)).fold(0.0, f32::max);
    (correlation(&view, &now, (0, 0)), best)
}

/// Gradients on a coarse grid.
struct Field {
    columns: usize,
    rows: usize,
    values: Vec<[f32; 2]>,
}

impl Field {
    fn coarse(gradient: &[[f32; 2]], grid: &Grid) -> Self {
        let (columns, rows) = (grid.columns / COARSE, grid.rows / COARSE);
        let mut values = vec![[0.0; 2]; columns * rows];
        for y in 0..rows * COARSE {
            for x in 0..columns * COARSE {
                let [dx, dy] = gradient[y * grid.columns + x];
                let value = &mut values[y / COARSE * columns + x / COARSE];
                value[0] += dx;
                value[1] += dy;
            }
        }
        Self { columns, rows, values }
    }

    /// This field magnified and turned about its centre.
    fn posed(&self, (scale, degrees): (f32, f32)) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let centre = (self.columns as f32 / 2.0, self.rows as f32 / 2.0);
        let from = |index: usize| {
            let (x, y) =
                ((index % self.columns) as f32 + 0.5 - centre.0, (index / self.columns) as f32 + 0.5 - centre.1);
            let (x, y) = ((cos * x + sin * y) / scale + centre.0, (cos * y - sin * x) / scale + centre.1);
            let [dx, dy] = self.at(x - 0.5, y - 0.5);
            [cos * dx - sin * dy, sin * dx + cos * dy]
        };
        Self { values: (0..self.values.len()).map(from).collect(), ..*self }
    }

    /// Between four neighbours; zero outside.
    fn at(&self, x: f32, y: f32) -> [f32; 2] {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, bottom_share) = (x - left, y - top);
        let mut sum = [0.0; 2];
        for (dx, dy, share) in [
            (0.0, 0.0, (1.0 - right_share) * (1.0 - bottom_share)),
            (1.0, 0.0, right_share * (1.0 - bottom_share)),
            (0.0, 1.0, (1.0 - right_share) * bottom_share),
            (1.0, 1.0, right_share * bottom_share),
        ] {
            let (x, y) = (left + dx, top + dy);
            if x >= 0.0 && y >= 0.0 && x < self.columns as f32 && y < self.rows as f32 {
                let [value_x, value_y] = self.values[y as usize * self.columns + x as usize];
                sum[0] += value_x * share;
                sum[1] += value_y * share;
            }
        }
        sum
    }
}

fn best_shift(view: &Field, now: &Field) -> f32 {
    let reach = |side: usize| (side as f32 * REACH) as isize;
    let (reach_x, reach_y) = (reach(view.columns), reach(view.rows));
    let mut best = 0.0f32;
    for shift_y in -reach_y..=reach_y {
        for shift_x in -reach_x..=reach_x {
            let overlap = (view.columns as isize - shift_x.abs()) * (view.rows as isize - shift_y.abs());
            if overlap as f32 >= LEAST_OVERLAP * view.values.len() as f32 {
                best = best.max(correlation(view, now, (shift_x, shift_y)));
            }
        }
    }
    best
}

/// Over the part that both show.
fn correlation(view: &Field, now: &Field, (shift_x, shift_y): (isize, isize)) -> f32 {
    let (mut both, mut of_view, mut of_now) = (0.0f32, 0.0f32, 0.0f32);
    let width = view.columns - shift_x.unsigned_abs();
    let starts = |shift: isize| (shift.max(0) as usize, (-shift).max(0) as usize);
    let ((view_x, now_x), (view_y, now_y)) = (starts(shift_x), starts(shift_y));
    for row in 0..view.rows - shift_y.unsigned_abs() {
        let view_row = &view.values[(view_y + row) * view.columns + view_x..][..width];
        let now_row = &now.values[(now_y + row) * now.columns + now_x..][..width];
        for (view, now) in view_row.iter().zip(now_row) {
            both += view[0] * now[0] + view[1] * now[1];
            of_view += view[0] * view[0] + view[1] * view[1];
            of_now += now[0] * now[0] + now[1] * now[1];
        }
    }
    both / (of_view * of_now).sqrt().max(1e-3)
}
