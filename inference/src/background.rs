//! A camera's quiet picture, coarse and in memory only, and which watched cells of a new one differ from it.
//!
//! Light that changes everywhere is fitted away (gain and offset), cells that flicker or sway by themselves have a larger
//! spread and count less, and everything that is absorbed becomes background. Cells outside the watched area never count.

use crate::frame::Frame;
use crate::geometry::{BBox, Point, Polygon};

/// Cells across and down.
const GRID: (usize, usize) = (96, 54);
/// Luma steps by which a cell must differ at least.
const MIN_STEP: f32 = 4.5;
/// Multiples of its own spread by which a cell must differ.
const SPREADS: f32 = 4.0;
/// No cell's spread is larger: one sweep of a headlight must not blind it.
const MAX_SPREAD: f32 = 6.0;
/// Residuals beyond this take no part in the second fit of the light.
const OUTLIER: f32 = 12.0;
/// How far beyond a zone or line something that comes near is watched, as shares of the frame: sideways and below, above.
const MARGIN: (f32, f32) = (0.1, 0.25);

/// Mean luma of each cell of one picture.
pub struct Thumbnail {
    cells: Vec<f32>,
}

/// Which cells matter to a camera's zones and lines.
#[derive(Clone, Debug)]
pub struct WatchedArea {
    cells: Vec<bool>,
}

/// The quiet picture.
pub struct Background {
    watched: WatchedArea,
    learned: Option<Learned>,
}

struct Learned {
    mean: Vec<f32>,
    spread: Vec<f32>,
}

/// Watched cells that differ from the background.
pub struct Change {
    cells: Vec<bool>,
    n_changed: usize,
}

impl Thumbnail {
    /// The luma of a masked frame, averaged in cells.
    pub fn of(frame: &Frame) -> Self {
        let picture = frame.picture();
        let (width, height) = (picture.width(), picture.height());
        let luma = picture.luma();
        let row_step = (height / (4 * GRID.1)).max(1);
        let edges: Vec<usize> = (0..=GRID.0).map(|column| column * width / GRID.0).collect();
        let mut sums = vec![0u32; GRID.0 * GRID.1];
        let mut counts = vec![0u32; GRID.0 * GRID.1];
        for y in (0..height).step_by(row_step) {
            let row = &luma[y * width..(y + 1) * width];
            let first = y * GRID.1 / height * GRID.0;
            for (column, span) in edges.windows(2).enumerate() {
                let pixels = &row[span[0]..span[1]];
                sums[first + column] += pixels.iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
                counts[first + column] += pixels.len() as u32;
            }
        }
        let cells = sums.iter().zip(&counts).map(|(&sum, &count)| sum as f32 / count.max(1) as f32).collect();
        Self { cells }
    }
}

impl WatchedArea {
    /// The surroundings of these zones and lines; the whole frame when there are none.
    pub fn around<'a>(
        zones: impl Iterator<Item = &'a Polygon> + Clone,
        lines: impl Iterator<Item = (Point, Point)> + Clone,
    ) -> Self {
        let everything = zones.clone().next().is_none() && lines.clone().next().is_none();
        let watches = |index: usize| {
            let center = center(index);
            everything
                || zones.clone().any(|zone| is_near_zone(zone, center))
                || lines.clone().any(|line| is_near_line(line, center))
        };
        Self { cells: (0..GRID.0 * GRID.1).map(watches).collect() }
    }

    /// Whether what stands there matters.
    pub fn contains(&self, anchor: Point) -> bool {
        self.cells[cell_of(anchor)]
    }
}

impl Background {
    /// Nothing learned yet.
    pub fn new(watched: WatchedArea) -> Self {
        Self { watched, learned: None }
    }

    /// Whether there is anything to compare with.
    pub fn is_learned(&self) -> bool {
        self.learned.is_some()
    }

    /// The area that counts.
    pub fn watched(&self) -> &WatchedArea {
        &self.watched
    }

    /// Watched cells that differ; all of them while nothing is learned.
    pub fn compare(&self, now: &Thumbnail) -> Change {
        let Some(learned) = &self.learned else { return Change::of(self.watched.cells.clone()) };
        let differs = |(residual, spread): (f32, &f32)| residual.abs() > MIN_STEP.max(SPREADS * spread);
        let differing: Vec<bool> = learned.residuals(now).into_iter().zip(&learned.spread).map(differs).collect();
        let counts = |index: usize| self.watched.cells[index] && differing[index] && has_neighbour(&differing, index);
        Change::of((0..differing.len()).map(counts).collect())
    }

    /// Takes the picture in, `weight` of it (0..1), but not where these boxes are.
    pub fn absorb(&mut self, now: &Thumbnail, weight: f32, except: &[BBox]) {
        let Some(learned) = &mut self.learned else {
            self.learned = Some(Learned { mean: now.cells.clone(), spread: vec![1.0; now.cells.len()] });
            return;
        };
        let residuals = learned.residuals(now);
        let mut spared = vec![false; now.cells.len()];
        except.iter().for_each(|bbox| cells_of(bbox).for_each(|index| spared[index] = true));
        for index in (0..now.cells.len()).filter(|&index| !spared[index]) {
            let spread = residuals[index].abs().min(MAX_SPREAD);
            learned.spread[index] += 0.5 * weight * (spread - learned.spread[index]);
            learned.mean[index] += weight * (now.cells[index] - learned.mean[index]);
        }
    }
}

impl Learned {
    /// What is left of each cell's difference once light that changed everywhere is fitted away.
    fn residuals(&self, now: &Thumbnail) -> Vec<f32> {
        let rough = fit(self.mean.iter().zip(&now.cells));
        let residual = |(gain, offset): (f32, f32), mean: f32, cell: f32| cell - gain * mean - offset;
        let near = self.mean.iter().zip(&now.cells);
        let near = near.filter(|&(&mean, &cell)| residual(rough, mean, cell).abs() <= OUTLIER);
        let light = fit(near);
        self.mean.iter().zip(&now.cells).map(|(&mean, &cell)| residual(light, mean, cell)).collect()
    }
}

impl Change {
    fn of(cells: Vec<bool>) -> Self {
        let n_changed = cells.iter().filter(|&&changed| changed).count();
        Self { cells, n_changed }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.n_changed == 0
    }

    /// The smallest box around all cells that differ.
    pub fn bounds(&self) -> Option<BBox> {
        let changed = self.cells.iter().enumerate().filter(|&(_, &changed)| changed).map(|(index, _)| index);
        let places = changed.map(|index| (index % GRID.0, index / GRID.0));
        let ends = places.fold(None, |ends: Option<[usize; 4]>, (x, y)| {
            let [left, top, right, bottom] = ends.unwrap_or([x, y, x, y]);
            Some([left.min(x), top.min(y), right.max(x), bottom.max(y)])
        });
        let (width, height) = (1.0 / GRID.0 as f32, 1.0 / GRID.1 as f32);
        ends.map(|[left, top, right, bottom]| BBox {
            x: left as f32 * width,
            y: top as f32 * height,
            w: (right + 1 - left) as f32 * width,
            h: (bottom + 1 - top) as f32 * height,
        })
    }

    /// Whether a box covers a cell that differs.
    pub fn touches(&self, bbox: &BBox) -> bool {
        cells_of(bbox).any(|index| self.cells[index])
    }
}

/// The cells that a box covers, also in part.
fn cells_of(bbox: &BBox) -> impl Iterator<Item = usize> + use<> {
    let clipped = bbox.clipped();
    let (left, top) = position(Point { x: clipped.x, y: clipped.y });
    let (right, bottom) = position(Point { x: clipped.x + clipped.w, y: clipped.y + clipped.h });
    (top..=bottom).flat_map(move |row| row * GRID.0 + left..=row * GRID.0 + right)
}

/// Least squares of `now = gain · before + offset`; a flat picture has gain 1.
fn fit<'a>(pairs: impl Iterator<Item = (&'a f32, &'a f32)>) -> (f32, f32) {
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0f64, 0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for (&before, &now) in pairs {
        let (before, now) = (f64::from(before), f64::from(now));
        n += 1.0;
        x += before;
        y += now;
        xx += before * before;
        xy += before * now;
    }
    if n < 1.0 {
        return (1.0, 0.0);
    }
    let variance = xx - x * x / n;
    let gain = if variance > n { ((xy - x * y / n) / variance).clamp(0.25, 4.0) } else { 1.0 };
    (gain as f32, ((y - gain * x) / n) as f32)
}

/// One cell alone is noise.
fn has_neighbour(differing: &[bool], index: usize) -> bool {
    let (column, row) = (index % GRID.0, index / GRID.0);
    (column > 0 && differing[index - 1])
        || (column + 1 < GRID.0 && differing[index + 1])
        || (row > 0 && differing[index - GRID.0])
        || (row + 1 < GRID.1 && differing[index + GRID.0])
}

/// An object covers the cells above its anchor, so the area reaches further up than down.
fn is_near_zone(zone: &Polygon, center: Point) -> bool {
    let steps = |from: f32, to: f32| (0..=4).map(move |step| from + (to - from) * step as f32 / 4.0);
    steps(-MARGIN.0, MARGIN.1)
        .any(|dy| steps(-MARGIN.0, MARGIN.0).any(|dx| zone.contains(Point { x: center.x + dx, y: center.y + dy })))
        || zone.points().iter().any(|corner| {
            (corner.x - center.x).abs() < MARGIN.0 && (-MARGIN.0..MARGIN.1).contains(&(corner.y - center.y))
        })
}

fn is_near_line((from, to): (Point, Point), center: Point) -> bool {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let along = ((center.x - from.x) * dx + (center.y - from.y) * dy) / (dx * dx + dy * dy).max(f32::EPSILON);
    let along = along.clamp(0.0, 1.0);
    let (away_x, away_y) = (from.x + along * dx - center.x, from.y + along * dy - center.y);
    away_x.abs() < MARGIN.0 && (-MARGIN.0..MARGIN.1).contains(&away_y)
}

fn center(index: usize) -> Point {
    let (column, row) = ((index % GRID.0) as f32, (index / GRID.0) as f32);
    Point { x: (column + 0.5) / GRID.0 as f32, y: (row + 0.5) / GRID.1 as f32 }
}

fn position(point: Point) -> (usize, usize) {
    let column = (point.x.clamp(0.0, 1.0) * GRID.0 as f32) as usize;
    let row = (point.y.clamp(0.0, 1.0) * GRID.1 as f32) as usize;
    (column.min(GRID.0 - 1), row.min(GRID.1 - 1))
}

fn cell_of(point: Point) -> usize {
    let (column, row) = position(point);
    row * GRID.0 + column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, DecodedFrame};
    use crate::mask;
    use jiff::Timestamp;

    fn everywhere() -> WatchedArea {
        WatchedArea::around(std::iter::empty(), std::iter::empty())
    }

    /// A textured street of this brightness with an optional grey person.
    fn picture(gain: f32, noise: u32, person: Option<BBox>) -> Thumbnail {
        let (width, height) = (384usize, 216usize);
        let mut seed = noise.wrapping_mul(2_654_435_761) | 1;
        let mut bytes = vec![128u8; width * height * 3 / 2];
        for y in 0..height {
            for x in 0..width {
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                let jitter = if noise == 0 { 0.0 } else { (seed % 9) as f32 - 4.0 };
                let at = Point { x: x as f32 / width as f32, y: y as f32 / height as f32 };
                let inside =
                    person.is_some_and(|b| (b.x..b.x + b.w).contains(&at.x) && (b.y..b.y + b.h).contains(&at.y));
                let street = 60.0 + 80.0 * at.x + 30.0 * ((x / 16 + y / 16) % 2) as f32;
                let luma = if inside { 40.0 } else { street };
                bytes[y * width + x] = (luma * gain + jitter).clamp(0.0, 255.0) as u8;
            }
        }
        let size = (width as u32, height as u32);
        let decoded = DecodedFrame::from_i420(bytes, size, Colour::default(), Timestamp::UNIX_EPOCH).unwrap();
        Thumbnail::of(&mask::paint(decoded, &mask::PrivacyMasks::none()))
    }

    fn learned(area: WatchedArea) -> Background {
        let mut background = Background::new(area);
        (1..10).for_each(|noise| background.absorb(&picture(1.0, noise, None), 0.3, &[]));
        background
    }

    const PERSON: BBox = BBox { x: 0.6, y: 0.4, w: 0.04, h: 0.15 };

    #[test]
    fn a_person_is_a_change_where_it_stands() {
        let change = learned(everywhere()).compare(&picture(1.0, 77, Some(PERSON)));
        assert!(!change.is_empty());
        assert!(change.touches(&PERSON));
        assert!(!change.touches(&BBox { x: 0.1, y: 0.1, w: 0.1, h: 0.1 }));
    }

    #[test]
    fn the_bounds_hold_what_changed_and_little_more() {
        let background = learned(everywhere());
        let bounds = background.compare(&picture(1.0, 78, Some(PERSON))).bounds().unwrap();
        let cell = 1.0 / GRID.1 as f32;
        assert!(bounds.x <= PERSON.x + cell && bounds.x + bounds.w >= PERSON.x + PERSON.w - cell, "{bounds:?}");
        assert!(bounds.w < PERSON.w + 2.0 * cell && bounds.h < PERSON.h + 2.0 * cell, "{bounds:?}");
        assert!(background.compare(&picture(1.0, 79, None)).bounds().is_none());
    }

    #[test]
    fn noise_and_light_are_no_change() {
        let background = learned(everywhere());
        for (gain, noise) in [(1.0, 99), (0.8, 5), (1.2, 6), (0.5, 7)] {
            assert!(background.compare(&picture(gain, noise, None)).is_empty(), "gain {gain}");
        }
    }

    #[test]
    fn a_person_is_seen_although_the_light_changed() {
        let change = learned(everywhere()).compare(&picture(0.7, 8, Some(PERSON)));
        assert!(change.touches(&PERSON));
    }

    #[test]
    fn one_sweep_of_light_blinds_no_cell() {
        let mut background = learned(everywhere());
        let sweep = BBox { x: 0.3, y: 0.3, w: 0.5, h: 0.4 };
        let lit = |noise: u32| {
            let Thumbnail { mut cells } = picture(1.0, noise, None);
            cells_of(&sweep).for_each(|index| cells[index] = 235.0);
            Thumbnail { cells }
        };
        (0..5).for_each(|noise| background.absorb(&lit(noise + 1), 0.3, &[]));
        (0..25).for_each(|noise| background.absorb(&picture(1.0, noise + 1, None), 0.3, &[]));
        assert!(background.compare(&picture(1.0, 9, Some(PERSON))).touches(&PERSON));
    }

    #[test]
    fn what_is_absorbed_becomes_background() {
        let mut background = learned(everywhere());
        (0..12).for_each(|noise| background.absorb(&picture(1.0, noise + 1, Some(PERSON)), 0.3, &[]));
        assert!(background.compare(&picture(1.0, 50, Some(PERSON))).is_empty());
    }

    #[test]
    fn what_is_spared_stays_a_change() {
        let mut background = learned(everywhere());
        (0..12).for_each(|noise| background.absorb(&picture(1.0, noise + 1, Some(PERSON)), 0.3, &[PERSON]));
        assert!(background.compare(&picture(1.0, 50, Some(PERSON))).touches(&PERSON));
    }

    #[test]
    fn changes_outside_the_watched_area_do_not_count() {
        let corners = [(0.0, 0.8), (0.2, 0.8), (0.2, 1.0), (0.0, 1.0)];
        let zone = Polygon::new(corners.iter().map(|&(x, y)| Point { x, y }).collect()).unwrap();
        let background = learned(WatchedArea::around([&zone].into_iter(), std::iter::empty()));
        assert!(background.compare(&picture(1.0, 3, Some(PERSON))).is_empty());
        let near = BBox { x: 0.1, y: 0.7, w: 0.04, h: 0.2 };
        assert!(background.compare(&picture(1.0, 3, Some(near))).touches(&near));
        assert!(background.watched().contains(near.anchor()));
        assert!(!background.watched().contains(PERSON.anchor()));
    }

    #[test]
    fn nothing_learned_is_all_change() {
        assert!(!Background::new(everywhere()).compare(&picture(1.0, 1, None)).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn boxes_beyond_the_frame_never_panic(x in -2.0f32..3.0, y in -2.0f32..3.0, w in 0.0f32..3.0, h in 0.0f32..3.0) {
            let change = Change::of(vec![true; GRID.0 * GRID.1]);
            let bbox = BBox { x, y, w, h };
            let _ = change.touches(&bbox);
            let _ = everywhere().contains(bbox.anchor());
        }
    }
}
