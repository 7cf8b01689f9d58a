//! Lines with a direction. Forward is from the left to the right of someone who walks from A to B looking at the
//! picture: over a line from the left edge to the right edge, forward is down the picture.

use thiserror::Error;

use crate::detection::ClassSet;
use crate::geometry::{Point, segments_meet, side};

/// Shorter lines are a slip of the hand.
const MIN_LENGTH: f32 = 0.01;

/// A line that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    id: String,
    a: Point,
    b: Point,
    classes: ClassSet,
}

/// Which way a line was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the left of A→B to its right.
    Forward,
    /// From the right of A→B to its left.
    Backward,
}

/// Why points don't make a line.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum LineError {
    /// A coordinate that is not in 0..1.
    #[error("the line's end ({x}, {y}) is outside the frame: both coordinates must be between 0 and 1")]
    OutsideFrame {
        /// Its x.
        x: f32,
        /// Its y.
        y: f32,
    },
    /// Ends that (almost) coincide.
    #[error("the line is shorter than {MIN_LENGTH} of the frame")]
    TooShort,
}

impl Line {
    /// A line from a to b.
    pub fn new(id: String, a: Point, b: Point, classes: ClassSet) -> Result<Self, LineError> {
        if let Some(outside) = [a, b].into_iter().find(|end| !end.is_inside_frame()) {
            return Err(LineError::OutsideFrame { x: outside.x, y: outside.y });
        }
        if (b.x - a.x).hypot(b.y - a.y) < MIN_LENGTH {
            return Err(LineError::TooShort);
        }
        Ok(Self { id, a, b, classes })
    }

    /// Its id, unique within the camera.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which classes count.
    pub fn classes(&self) -> ClassSet {
        self.classes
    }

    /// Both ends, first the one it comes from.
    pub fn ends(&self) -> (Point, Point) {
        (self.a, self.b)
    }

    /// Which side of the line's course a point is on; `None` on it.
    pub(crate) fn side_of(&self, point: Point) -> Option<Side> {
        let side = side(self.a, self.b, point);
        if side == 0.0 {
            return None;
        }
        Some(if side > 0.0 { Side::Right } else { Side::Left })
    }

    /// How far a point is from the line's course.
    pub(crate) fn distance_of(&self, point: Point) -> f32 {
        side(self.a, self.b, point).abs() / (self.b.x - self.a.x).hypot(self.b.y - self.a.y)
    }

    /// Whether the way between two points goes over the line itself, not only over its course.
    pub(crate) fn is_met_by(&self, from: Point, to: Point) -> bool {
        segments_meet(self.a, self.b, from, to)
    }
}

/// A side of a directed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Side {
    /// The direction of a crossing that ends here.
    pub(crate) fn reached(self) -> Direction {
        match self {
            Self::Right => Direction::Forward,
            Self::Left => Direction::Backward,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f32, y: f32) -> Point {
        Point { x, y }
    }

    #[test]
    fn forward_over_a_line_to_the_right_is_down() {
        let line = Line::new("curb".to_owned(), point(0.2, 0.5), point(0.8, 0.5), ClassSet::all()).unwrap();
        assert_eq!(line.side_of(point(0.5, 0.9)).map(Side::reached), Some(Direction::Forward));
        assert_eq!(line.side_of(point(0.5, 0.1)).map(Side::reached), Some(Direction::Backward));
        assert_eq!(line.side_of(point(0.5, 0.5)), None);
    }

    #[test]
    fn passing_beside_its_end_does_not_meet_the_line() {
        let line = Line::new("curb".to_owned(), point(0.2, 0.5), point(0.8, 0.5), ClassSet::all()).unwrap();
        assert!(line.is_met_by(point(0.5, 0.4), point(0.5, 0.6)));
        assert!(!line.is_met_by(point(0.9, 0.4), point(0.9, 0.6)));
    }

    #[test]
    fn lines_without_length_or_outside_are_refused() {
        let line = |a, b| Line::new("curb".to_owned(), a, b, ClassSet::all());
        assert_eq!(line(point(0.5, 0.5), point(0.5, 0.505)), Err(LineError::TooShort));
        assert!(matches!(line(point(0.5, 0.5), point(0.5, 1.5)), Err(LineError::OutsideFrame { .. })));
        assert!(matches!(line(point(f32::NAN, 0.5), point(0.5, 0.5)), Err(LineError::OutsideFrame { .. })));
    }
}
