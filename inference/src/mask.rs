//! Privacy masks (RULES P06): polygons painted over the decoded planes before anything else sees them.
//! Painting errs outwards: every pixel that a polygon touches is painted. No masks is a choice that is written down,
//! [`PrivacyMasks::none`].

use crate::frame::{DecodedFrame, Frame, Picture};
use crate::geometry::Polygon;

/// Luma of a painted pixel: black in limited range.
const PAINTED_LUMA: u8 = 16;
/// Cb and Cr of a painted pixel.
const PAINTED_CHROMA: [u8; 2] = [128, 128];

/// What a camera must not show.
#[derive(Clone, Debug)]
pub struct PrivacyMasks {
    polygons: Vec<Polygon>,
}

impl PrivacyMasks {
    /// These areas.
    pub fn new(polygons: Vec<Polygon>) -> Self {
        Self { polygons }
    }

    /// This camera has none.
    pub fn none() -> Self {
        Self { polygons: Vec::new() }
    }
}

/// Paints the masks; the only way from a decoded picture to one that can be analysed.
pub fn paint(decoded: DecodedFrame, masks: &PrivacyMasks) -> Frame {
    decoded.into_frame(|picture| {
        for polygon in &masks.polygons {
            paint_polygon(picture, polygon);
        }
    })
}

/// Works in pairs of rows, which share a chroma row.
fn paint_polygon(picture: &mut Picture, polygon: &Polygon) {
    let (width, height) = (picture.width(), picture.height());
    let (_, chroma_h) = picture.chroma_size();
    for chroma_y in 0..chroma_h {
        let rows = 2 * chroma_y..(2 * chroma_y + 2).min(height);
        for (start, end) in touched_spans(polygon, (width, height), &rows) {
            for y in rows.clone() {
                picture.fill_luma(y, (start, end), PAINTED_LUMA);
            }
            picture.fill_chroma(chroma_y, (start / 2, end.div_ceil(2)), PAINTED_CHROMA);
        }
    }
}

/// Columns, widened to whole chroma samples, that the polygon touches in these rows.
fn touched_spans(
    polygon: &Polygon,
    (width, height): (usize, usize),
    rows: &std::ops::Range<usize>,
) -> Vec<(usize, usize)> {
    let (top, bottom) = (rows.start as f32, rows.end as f32);
    let mut spans = Vec::new();
    for step in 0..=4 {
        let y = (top + (bottom - top) * step as f32 / 4.0) / height as f32;
        spans.extend(inside_spans(polygon, y));
    }
    for (a, b) in polygon.edges() {
        let (low, high) = (a.y.min(b.y) * height as f32, a.y.max(b.y) * height as f32);
        if high >= top && low <= bottom {
            spans.push(edge_span(a.x, a.y, b.x, b.y, top / height as f32, bottom / height as f32));
        }
    }
    let to_columns = |(left, right): (f32, f32)| {
        let start = ((left * width as f32).floor().max(0.0) as usize) & !1;
        let end = ((right * width as f32).ceil() as usize).max(start + 1).next_multiple_of(2);
        (start.min(width), end.min(width))
    };
    spans.into_iter().map(to_columns).filter(|(start, end)| start < end).collect()
}

/// Where a horizontal line is inside the polygon.
fn inside_spans(polygon: &Polygon, y: f32) -> Vec<(f32, f32)> {
    let mut crossings = Vec::new();
    for (a, b) in polygon.edges() {
        if (a.y > y) != (b.y > y) {
            crossings.push(a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x));
        }
    }
    crossings.sort_by(f32::total_cmp);
    crossings.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Columns that the part of an edge between two heights covers.
fn edge_span(ax: f32, ay: f32, bx: f32, by: f32, top: f32, bottom: f32) -> (f32, f32) {
    if (by - ay).abs() < 1e-6 {
        return (ax.min(bx), ax.max(bx));
    }
    let x_at = |y: f32| ax + (y.clamp(ay.min(by), ay.max(by)) - ay) / (by - ay) * (bx - ax);
    let (one, other) = (x_at(top), x_at(bottom));
    (one.min(other), one.max(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Colour;
    use crate::geometry::Point;
    use jiff::Timestamp;
    use proptest::prelude::*;

    const WIDTH: usize = 64;
    const HEIGHT: usize = 48;

    fn painted(points: &[(f32, f32)]) -> Option<(Polygon, Frame)> {
        let polygon = Polygon::new(points.iter().map(|&(x, y)| Point { x, y }).collect()).ok()?;
        let grey = vec![200; WIDTH * HEIGHT * 3 / 2];
        let size = (WIDTH as u32, HEIGHT as u32);
        let decoded = DecodedFrame::from_i420(grey, size, Colour::default(), Timestamp::UNIX_EPOCH).unwrap();
        Some((polygon.clone(), paint(decoded, &PrivacyMasks::new(vec![polygon]))))
    }

    #[test]
    fn p06_outside_the_mask_nothing_changes() {
        let (_, frame) = painted(&[(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]).unwrap();
        let (luma, chroma) = (frame.picture().luma(), frame.picture().chroma());
        assert_eq!(luma[0], 200);
        assert_eq!(luma[24 * WIDTH + 32], 16);
        assert_eq!(chroma.at(12 * WIDTH / 2 + 16), [128, 128]);
        let n_painted = luma.iter().filter(|&&value| value == 16).count();
        assert!((32 * 24..=36 * 28).contains(&n_painted), "{n_painted} pixels for a mask of 32×24");
    }

    proptest! {
        #[test]
        fn p06_every_pixel_whose_centre_is_inside_is_painted(
            points in proptest::collection::vec((0.0f32..=1.0, 0.0f32..=1.0), 3..7)
        ) {
            if let Some((polygon, frame)) = painted(&points) {
                let (luma, chroma) = (frame.picture().luma(), frame.picture().chroma());
                for (y, x) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))) {
                    let centre = Point { x: (x as f32 + 0.5) / WIDTH as f32, y: (y as f32 + 0.5) / HEIGHT as f32 };
                    if polygon.contains(centre) {
                        let chroma_at = (y / 2) * (WIDTH / 2) + x / 2;
                        prop_assert_eq!((luma[y * WIDTH + x], chroma.at(chroma_at)), (PAINTED_LUMA, PAINTED_CHROMA));
                    }
                }
            }
        }
    }
}
