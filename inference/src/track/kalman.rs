//! Where a box is and how it moves: constant velocity of centre, aspect and height, as in ByteTrack, but in seconds, so
//! that any and even an uneven frame rate works. All noise of ByteTrack's filter is diagonal, so its 8×8 matrices fall
//! apart into four filters of two states each.

use crate::geometry::BBox;

/// Error of a measured position, in box heights.
const POSITION_STD: f32 = 1.0 / 20.0;
/// Change of speed within a second, in box heights per second.
const ACCELERATION_STD: f32 = 0.5;
/// Speed of something just seen: a walker makes about 0.8 of his height a second, a car more.
const FIRST_VELOCITY_STD: f32 = 1.0;
/// Error of a measured aspect ratio.
const ASPECT_STD: f32 = 0.1;
/// Change of the aspect ratio's speed.
const ASPECT_ACCELERATION_STD: f32 = 0.05;

/// The state of one tracked box, in normalised frame coordinates.
#[derive(Clone, Debug)]
pub(super) struct BoxFilter {
    cx: Axis,
    cy: Axis,
    aspect: Axis,
    height: Axis,
    frame_aspect: f32,
}

/// One coordinate: value, velocity and their covariance.
#[derive(Clone, Debug)]
struct Axis {
    value: f32,
    velocity: f32,
    value_variance: f32,
    covariance: f32,
    velocity_variance: f32,
}

impl BoxFilter {
    /// A box seen for the first time, in frames of this width to height.
    pub(super) fn new(bbox: &BBox, frame_aspect: f32) -> Self {
        let (x_unit, y_unit) = units(bbox.h, frame_aspect);
        let position = |value, unit: f32| Axis::new(value, 2.0 * POSITION_STD * unit, FIRST_VELOCITY_STD * unit);
        Self {
            cx: position(bbox.x + bbox.w / 2.0, x_unit),
            cy: position(bbox.y + bbox.h / 2.0, y_unit),
            aspect: Axis::new(bbox.w / bbox.h, ASPECT_STD, ASPECT_STD),
            height: Axis::new(bbox.h, 2.0 * POSITION_STD * y_unit, FIRST_VELOCITY_STD * y_unit / 4.0),
            frame_aspect,
        }
    }

    /// Moves on by this many seconds.
    pub(super) fn predict(&mut self, seconds: f32) {
        let (x_unit, y_unit) = units(self.height.value, self.frame_aspect);
        self.cx.predict(seconds, ACCELERATION_STD * x_unit);
        self.cy.predict(seconds, ACCELERATION_STD * y_unit);
        self.aspect.predict(seconds, ASPECT_ACCELERATION_STD);
        self.height.predict(seconds, ACCELERATION_STD * y_unit / 4.0);
    }

    /// Takes in where the box was seen.
    pub(super) fn correct(&mut self, bbox: &BBox) {
        let (x_unit, y_unit) = units(self.height.value, self.frame_aspect);
        self.cx.correct(bbox.x + bbox.w / 2.0, POSITION_STD * x_unit);
        self.cy.correct(bbox.y + bbox.h / 2.0, POSITION_STD * y_unit);
        self.aspect.correct(bbox.w / bbox.h, ASPECT_STD);
        self.height.correct(bbox.h, POSITION_STD * y_unit);
    }

    /// What is not seen keeps its size: growth can't be guessed.
    pub(super) fn freeze_size(&mut self) {
        self.height.velocity = 0.0;
        self.aspect.velocity = 0.0;
    }

    /// Forgets how it moved.
    pub(super) fn stop(&mut self) {
        for axis in [&mut self.cx, &mut self.cy, &mut self.aspect, &mut self.height] {
            axis.velocity = 0.0;
        }
    }

    pub(super) fn bbox(&self) -> BBox {
        let h = self.height.value.max(1e-4);
        let w = (self.aspect.value * h).max(1e-4);
        BBox { x: self.cx.value - w / 2.0, y: self.cy.value - h / 2.0, w, h }
    }
}

/// One box height, in normalised x and in normalised y.
fn units(height: f32, frame_aspect: f32) -> (f32, f32) {
    let height = height.max(0.01);
    (height / frame_aspect, height)
}

impl Axis {
    fn new(value: f32, value_std: f32, velocity_std: f32) -> Self {
        let (value_variance, velocity_variance) = (value_std * value_std, velocity_std * velocity_std);
        Self { value, velocity: 0.0, value_variance, covariance: 0.0, velocity_variance }
    }

    /// White noise in the acceleration.
    fn predict(&mut self, seconds: f32, acceleration_std: f32) {
        let noise = acceleration_std * acceleration_std * seconds;
        self.value += self.velocity * seconds;
        self.value_variance += seconds * (2.0 * self.covariance + seconds * self.velocity_variance);
        self.value_variance += noise * seconds * seconds / 3.0;
        self.covariance += seconds * self.velocity_variance + noise * seconds / 2.0;
        self.velocity_variance += noise;
    }

    fn correct(&mut self, measured: f32, measured_std: f32) {
        let innovation = measured - self.value;
        let innovation_variance = self.value_variance + measured_std * measured_std;
        let value_gain = self.value_variance / innovation_variance;
        let velocity_gain = self.covariance / innovation_variance;
        self.value += value_gain * innovation;
        self.velocity += velocity_gain * innovation;
        self.velocity_variance -= velocity_gain * self.covariance;
        self.covariance *= 1.0 - value_gain;
        self.value_variance *= 1.0 - value_gain;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person_at(x: f32) -> BBox {
        BBox { x, y: 0.3, w: 0.05, h: 0.2 }
    }

    #[test]
    fn steady_walk_is_predicted_at_any_frame_rate() {
        for seconds in [0.04, 0.2, 0.5, 1.0] {
            let speed = 0.05;
            let mut filter = BoxFilter::new(&person_at(0.1), 16.0 / 9.0);
            let mut x = 0.1;
            for _ in 0..12 {
                x += speed * seconds;
                filter.predict(seconds);
                filter.correct(&person_at(x));
            }
            filter.predict(seconds);
            let off = (filter.bbox().x - (x + speed * seconds)).abs();
            assert!(off < 0.01, "{seconds} s: off by {off}");
        }
    }

    proptest! {
        #[test]
        fn boxes_stay_finite_and_positive(
            steps in proptest::collection::vec((0.0f32..5.0, 0.0f32..1.0, 0.001f32..1.0, 0.001f32..1.0), 1..60)
        ) {
            let mut filter = BoxFilter::new(&person_at(0.5), 4.0 / 3.0);
            for (seconds, x, w, h) in steps {
                filter.predict(seconds);
                filter.correct(&BBox { x, y: x, w, h });
                let bbox = filter.bbox();
                prop_assert!(bbox.is_finite() && bbox.w > 0.0 && bbox.h > 0.0, "{bbox:?}");
            }
        }
    }
}
