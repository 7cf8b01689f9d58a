//! What one picture shows, before any patience: thresholds, each with what it was set against.

use super::PictureFault;
use super::align;
use super::grid::Grid;
use super::sample::Sample;
use super::view::{Likeness, Traits, View};

/// Below this share of steady cells that kept their structure the camera looks at something else.
pub(super) const DISPLACED: f32 = 0.45;
/// Luma above black that 98 % of a black picture stays below: a capped lens with its gain up.
const BLACK_ABOVE: f32 = 14.0;
/// Share of burnt-out blocks: this much more than usual, or so much in any case.
const BURNT: (f32, f32, f32) = (0.5, 0.25, 0.8);
/// Share of blocks that are exactly as in the picture before, so that nothing else can explain it.
const REPEATED: f32 = 0.995;
/// An encoder that gets one picture again and again settles slowly: least share of equal blocks, how much more than usual, and the most
/// change against the usual. x264 at CRF 23 to 42 and CBR passes all three within 20 s; sensor noise keeps them at 0.05, 0 and 1.
const SETTLING: (f32, f32, f32) = (0.28, 0.15, 0.6);
/// Brightness against the usual within which changes can be compared.
const SAME_LIGHT: std::ops::RangeInclusive<f32> = 0.85..=1.18;
/// Mean squared gradient below which a picture shows nothing that could be said to stand still.
const PLAIN: f32 = 0.1;
/// Local contrast that lasts from one picture to the next, in squared luma of a block, below which there is no view: a street has 250 by
/// day, 5 at night and 2 in fog; boards, sheets and hands before a lens have up to 0.15, noise included.
const BLANK: f32 = 0.3;
/// Contrast of large areas against what the light lets expect: below it something lies between.
const VEILED: f32 = 0.45;
/// Detail against the usual at this light.
const BLURRED: f32 = 0.55;
/// Correlation of large areas from which lost edges are lost focus.
const SAME_AREAS: f32 = 0.9;
/// Energy of edges below which they were lost rather than moved.
const FLAT: f32 = 0.25;
/// Energy of edges that a camera which looks elsewhere may show.
const RICH: std::ops::RangeInclusive<f32> = 0.2..=4.0;
/// Detail that it may show.
const AS_SHARP: std::ops::RangeInclusive<f32> = 0.6..=1.6;
/// Share of cells that are as they were by chance.
const NOTHING_KEPT: f32 = 0.12;
/// Correlation of aligned edges from which it is the known view seen from elsewhere, and how much better than in place.
const ALIGNED: (f32, f32) = (0.35, 0.15);

/// What patience is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symptom {
    Black,
    OverExposed,
    Frozen,
    /// Moved, covered or veiled; which, is told once it lasts.
    Displaced,
    Blurred,
    /// Nothing to see, and no view known that it could hide.
    Blank,
}

impl Symptom {
    pub const COUNT: usize = 6;
    pub const ALL: [Self; Self::COUNT] =
        [Self::Black, Self::OverExposed, Self::Frozen, Self::Displaced, Self::Blurred, Self::Blank];
}

/// What one picture shows.
pub(super) struct Symptoms {
    pub shown: [bool; Symptom::COUNT],
    pub traits: Traits,
    pub likeness: Option<Likeness>,
}

impl Symptoms {
    /// Whether the view may be learned from it.
    pub fn is_sound(&self) -> bool {
        !self.shown.contains(&true)
    }
}

/// Looks for all symptoms, beside the picture before; at most one of those that need the view.
pub(super) fn find(
    sample: &Sample,
    before: Option<&Sample>,
    (view, grid): (&View, &Grid),
    full_range: bool,
) -> Symptoms {
    let (black, white) = if full_range { (0.0, 250.0) } else { (16.0, 232.0) };
    let (brightness, brightest) = sample.brightness(grid, 0.98);
    let energy = sample.energy(grid);
    let texture = (sample.fine_energy(grid) / energy.max(1e-3)).sqrt();
    let change = before.map(|before| sample.change(before, grid));
    let traits = Traits { brightness, burnt_share: sample.bright_share(grid, white), energy, texture, change };
    let mut shown = [false; Symptom::COUNT];
    let is_black = brightest <= black + BLACK_ABOVE;
    let is_burnt = is_burnt(traits.burnt_share, view);
    shown[Symptom::Black as usize] = is_black;
    shown[Symptom::OverExposed as usize] = is_burnt;
    let says_something = !is_black && !is_burnt;
    shown[Symptom::Frozen as usize] = says_something && traits.energy >= PLAIN && is_repeated(&traits, view);
    let likeness = view.is_learned().then(|| view.compare(sample, traits, grid, black)).flatten();
    if let Some(symptom) = likeness.filter(|_| says_something).and_then(|likeness| changed(&likeness)) {
        shown[symptom as usize] = true;
    }
    if let Some(before) = before.filter(|_| says_something && likeness.is_none()) {
        shown[Symptom::Blank as usize] = sample.lasting_structure(before, grid) < BLANK;
    }
    Symptoms { shown, traits, likeness }
}

/// Tells a moved camera from a covered one.
pub(super) fn displacement(sample: &Sample, likeness: &Likeness, (view, grid): (&View, &Grid)) -> PictureFault {
    if likeness.kept >= DISPLACED || !RICH.contains(&likeness.energy) {
        return PictureFault::Covered;
    }
    let (in_place, aligned) = align::alignments(&view.gradient, &sample.gradient, grid);
    let is_aligned = aligned >= ALIGNED.0 && aligned >= in_place + ALIGNED.1;
    let is_elsewhere = likeness.kept <= NOTHING_KEPT && AS_SHARP.contains(&likeness.texture);
    if is_aligned || is_elsewhere { PictureFault::Moved } else { PictureFault::Covered }
}

fn is_repeated(traits: &Traits, view: &View) -> bool {
    let (Some(now), usual) = (traits.change, view.change) else { return false };
    let (least, more, change) = SETTLING;
    let comparable = view.is_learned() && SAME_LIGHT.contains(&(traits.brightness / view.brightness.max(1.0)));
    let settles = now.repeated >= least.max(usual.repeated + more) && now.mean <= change * usual.mean;
    now.repeated >= REPEATED || (comparable && settles)
}

fn is_burnt(share: f32, view: &View) -> bool {
    let (least, more, any_case) = BURNT;
    share >= any_case || (view.is_learned() && share >= least && share >= view.burnt_share + more)
}

fn changed(likeness: &Likeness) -> Option<Symptom> {
    let expected = VEILED * likeness.light.clamp(0.05, 1.0);
    let keeps_areas = likeness.areas_alike >= SAME_AREAS && likeness.areas >= expected;
    let is_veiled = likeness.areas < expected && likeness.edges < expected;
    if keeps_areas && likeness.kept < DISPLACED && likeness.energy < FLAT {
        return Some(Symptom::Blurred);
    }
    if likeness.kept < DISPLACED || is_veiled {
        return Some(Symptom::Displaced);
    }
    likeness.sharpness.is_some_and(|sharpness| sharpness < BLURRED).then_some(Symptom::Blurred)
}
