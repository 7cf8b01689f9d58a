//! Points, boxes and polygons in normalised frame space: x and y in 0..1, origin at the top left, y down.
//! A [`Polygon`] that exists is valid: simple, inside the frame, of non-zero area. Pixels and model space are not here.

use thiserror::Error;

/// Smallest area of a polygon, as a share of the frame: below this it is a slip of the hand.
const MIN_AREA: f32 = 1e-5;

/// A point of the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// From the left edge, 0..1.
    pub x: f32,
    /// From the top edge, 0..1.
    pub y: f32,
}

/// An upright box: top-left corner and size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

/// A simple polygon inside the frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon {
    points: Vec<Point>,
}

/// Why points don't make a polygon.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum PolygonError {
    /// Fewer than three points.
    #[error("a polygon needs at least 3 points, this one has {0}")]
    TooFewPoints(usize),
    /// A coordinate that is not in 0..1.
    #[error("point {index} ({x}, {y}) is outside the frame: both coordinates must be between 0 and 1")]
    OutsideFrame {
        /// Which point, from 0.
        index: usize,
        /// Its x.
        x: f32,
        /// Its y.
        y: f32,
    },
    /// Two edges that cross or touch.
    #[error("edge {first} crosses or touches edge {second}: draw the outline in one go around the area")]
    SelfIntersecting {
        /// The edge that starts at this point.
        first: usize,
        /// The edge that starts at this point.
        second: usize,
    },
    /// All points on a line, or nearly so.
    #[error("the polygon has (almost) no area")]
    NoArea,
}

impl Polygon {
    /// Checks the points; the outline closes by itself, so the first point is not repeated.
    pub fn new(points: Vec<Point>) -> Result<Self, PolygonError> {
        if points.len() < 3 {
            return Err(PolygonError::TooFewPoints(points.len()));
        }
        for (index, point) in points.iter().enumerate() {
            if !point.is_inside_frame() {
                return Err(PolygonError::OutsideFrame { index, x: point.x, y: point.y });
            }
        }
        if let Some((first, second)) = crossing_edges(&points) {
            return Err(PolygonError::SelfIntersecting { first, second });
        }
        if doubled_area(&points).abs() < 2.0 * MIN_AREA {
            return Err(PolygonError::NoArea);
        }
        Ok(Self { points })
    }

    /// The corners, in the order given.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Whether the point lies inside (even-odd rule).
    pub fn contains(&self, point: Point) -> bool {
        let mut inside = false;
        for (a, b) in self.edges() {
            let straddles = (a.y > point.y) != (b.y > point.y);
            if straddles && point.x < a.x + (point.y - a.y) / (b.y - a.y) * (b.x - a.x) {
                inside = !inside;
            }
        }
        inside
    }

    /// The edges, each from one corner to the next.
    pub fn edges(&self) -> impl Iterator<Item = (Point, Point)> + '_ {
        let next = self.points.iter().cycle().skip(1);
        self.points.iter().copied().zip(next.copied())
    }
}

impl Point {
    /// Whether both coordinates are finite and in 0..1.
    pub fn is_inside_frame(self) -> bool {
        (0.0..=1.0).contains(&self.x) && (0.0..=1.0).contains(&self.y)
    }
}

impl BBox {
    /// Where the object stands: the middle of the lower edge.
    pub fn anchor(&self) -> Point {
        Point { x: self.x + self.w / 2.0, y: self.y + self.h }
    }

    /// Intersection over union; 0 when either has no area.
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap_w = (self.x + self.w).min(other.x + other.w) - self.x.max(other.x);
        let overlap_h = (self.y + self.h).min(other.y + other.h) - self.y.max(other.y);
        if overlap_w <= 0.0 || overlap_h <= 0.0 {
            return 0.0;
        }
        let intersection = overlap_w * overlap_h;
        intersection / (self.w * self.h + other.w * other.h - intersection)
    }

    /// Grown on each side by this share of its width or height.
    pub fn dilated(&self, share: f32) -> Self {
        let (dx, dy) = (self.w * share, self.h * share);
        Self { x: self.x - dx, y: self.y - dy, w: self.w + 2.0 * dx, h: self.h + 2.0 * dy }
    }

    /// The smallest box around both.
    pub fn union(&self, other: &Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.w).max(other.x + other.w);
        let bottom = (self.y + self.h).max(other.y + other.h);
        Self { x, y, w: right - x, h: bottom - y }
    }

    /// Whether the other lies inside.
    pub fn holds(&self, other: &Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.x + other.w <= self.x + self.w
            && other.y + other.h <= self.y + self.h
    }

    /// The part inside the frame; empty boxes have zero width or height.
    pub fn clipped(&self) -> Self {
        let (x0, y0) = (self.x.clamp(0.0, 1.0), self.y.clamp(0.0, 1.0));
        let x1 = (self.x + self.w).clamp(0.0, 1.0);
        let y1 = (self.y + self.h).clamp(0.0, 1.0);
        Self { x: x0, y: y0, w: (x1 - x0).max(0.0), h: (y1 - y0).max(0.0) }
    }

    /// Whether all four numbers are finite.
    pub fn is_finite(&self) -> bool {
        [self.x, self.y, self.w, self.h].iter().all(|value| value.is_finite())
    }
}

/// Twice the signed area of triangle a-b-c: positive when c lies to the right of someone who walks from a to b looking
/// at the picture (y points down).
pub fn side(a: Point, b: Point, c: Point) -> f32 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// Whether segments a-b and c-d have a point in common.
pub fn segments_meet(a: Point, b: Point, c: Point, d: Point) -> bool {
    let (c_side, d_side) = (side(a, b, c), side(a, b, d));
    let (a_side, b_side) = (side(c, d, a), side(c, d, b));
    if opposite(c_side, d_side) && opposite(a_side, b_side) {
        return true;
    }
    (c_side == 0.0 && within(a, b, c))
        || (d_side == 0.0 && within(a, b, d))
        || (a_side == 0.0 && within(c, d, a))
        || (b_side == 0.0 && within(c, d, b))
}

fn opposite(one: f32, other: f32) -> bool {
    (one > 0.0 && other < 0.0) || (one < 0.0 && other > 0.0)
}

/// Whether p, known to be on the line through a and b, lies between them.
fn within(a: Point, b: Point, p: Point) -> bool {
    p.x >= a.x.min(b.x) && p.x <= a.x.max(b.x) && p.y >= a.y.min(b.y) && p.y <= a.y.max(b.y)
}

fn crossing_edges(points: &[Point]) -> Option<(usize, usize)> {
    let n = points.len();
    let edge = |i: usize| (points[i], points[(i + 1) % n]);
    for first in 0..n {
        for second in first + 1..n {
            let ((a, b), (c, d)) = (edge(first), edge(second));
            let meets = if second == first + 1 {
                folds_back(a, b, d)
            } else if (second + 1) % n == first {
                folds_back(c, d, b)
            } else {
                segments_meet(a, b, c, d)
            };
            if meets {
                return Some((first, second));
            }
        }
    }
    None
}

/// Whether the edge corner→to runs back over the edge from→corner: neighbours share only their corner otherwise.
fn folds_back(from: Point, corner: Point, to: Point) -> bool {
    let (ux, uy) = (from.x - corner.x, from.y - corner.y);
    let (vx, vy) = (to.x - corner.x, to.y - corner.y);
    side(from, corner, to) == 0.0 && ux * vx + uy * vy >= 0.0
}

fn doubled_area(points: &[Point]) -> f32 {
    let next = points.iter().cycle().skip(1);
    points.iter().zip(next).map(|(a, b)| a.x * b.y - b.x * a.y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polygon(points: &[(f32, f32)]) -> Result<Polygon, PolygonError> {
        Polygon::new(points.iter().map(|&(x, y)| Point { x, y }).collect())
    }

    #[test]
    fn bad_outlines_are_refused_with_their_reason() {
        assert_eq!(polygon(&[(0.1, 0.1), (0.2, 0.2)]), Err(PolygonError::TooFewPoints(2)));
        assert!(matches!(
            polygon(&[(0.1, 0.1), (1.2, 0.2), (0.3, 0.9)]),
            Err(PolygonError::OutsideFrame { index: 1, .. })
        ));
        assert!(matches!(
            polygon(&[(0.1, 0.1), (f32::NAN, 0.2), (0.3, 0.9)]),
            Err(PolygonError::OutsideFrame { index: 1, .. })
        ));
        let bow_tie = [(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)];
        assert_eq!(polygon(&bow_tie), Err(PolygonError::SelfIntersecting { first: 0, second: 2 }));
        let there_and_back = [(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)];
        assert!(polygon(&there_and_back).is_err());
        assert_eq!(polygon(&[(0.1, 0.1), (0.1001, 0.1), (0.1, 0.1001)]), Err(PolygonError::NoArea));
        let twice_the_same = [(0.1, 0.1), (0.1, 0.1), (0.9, 0.1), (0.5, 0.9)];
        assert!(polygon(&twice_the_same).is_err());
    }

    #[test]
    fn notch_of_a_concave_polygon_is_outside() {
        let zone = polygon(&[(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.5, 0.3), (0.1, 0.9)]).unwrap();
        assert!(zone.contains(Point { x: 0.2, y: 0.2 }));
        assert!(!zone.contains(Point { x: 0.5, y: 0.8 }));
    }

    #[test]
    fn anchor_is_where_the_feet_are() {
        let person = BBox { x: 0.2, y: 0.1, w: 0.2, h: 0.5 };
        let anchor = person.anchor();
        assert!((anchor.x - 0.3).abs() < 1e-6 && (anchor.y - 0.6).abs() < 1e-6);
    }

    prop_compose! {
        fn any_box()(x in -0.5f32..1.5, y in -0.5f32..1.5, w in 0.0f32..1.0, h in 0.0f32..1.0) -> BBox {
            BBox { x, y, w, h }
        }
    }

    proptest! {
        #[test]
        fn iou_is_symmetric_and_between_0_and_1(a in any_box(), b in any_box()) {
            let iou = a.iou(&b);
            prop_assert!((0.0..=1.0001).contains(&iou));
            prop_assert!((iou - b.iou(&a)).abs() < 1e-6);
        }

        #[test]
        fn a_union_holds_both(a in any_box(), b in any_box()) {
            let around = a.union(&b).dilated(1e-3);
            prop_assert!(around.holds(&a) && around.holds(&b));
        }

        #[test]
        fn clipped_boxes_stay_in_the_frame(a in any_box()) {
            let clipped = a.clipped();
            prop_assert!(clipped.x >= 0.0 && clipped.y >= 0.0 && clipped.w >= 0.0 && clipped.h >= 0.0);
            prop_assert!(clipped.x + clipped.w <= 1.00001 && clipped.y + clipped.h <= 1.00001);
        }

        #[test]
        fn a_rectangle_contains_exactly_its_inside(x in 0.0f32..1.0, y in 0.0f32..1.0) {
            let rectangle = polygon(&[(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]).unwrap();
            let strictly = |v: f32| (0.2501..0.7499).contains(&v);
            let outside = |v: f32| !(0.2499..=0.7501).contains(&v);
            let contained = rectangle.contains(Point { x, y });
            if strictly(x) && strictly(y) { prop_assert!(contained); }
            if outside(x) || outside(y) { prop_assert!(!contained); }
        }

        #[test]
        fn any_points_make_a_polygon_or_an_error(points in proptest::collection::vec((-0.2f32..1.2, -0.2f32..1.2), 0..9)) {
            if let Ok(valid) = polygon(&points) {
                prop_assert!(valid.points().iter().all(|p| p.is_inside_frame()));
            }
        }
    }
}
