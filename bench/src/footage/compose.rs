//! The street, composed picture by picture: the empty background with its slow flicker, walkers laid over it, and the recording itself when it is busy.
//! Deterministic; the sensor's noise comes after scaling, in the encoder.

use anyhow::Result;

use super::{
    FPS,
    recording::{self, PICTURE, Recording, SIZE},
    walkers::{Walker, walkers},
    weather::Weather,
};
use crate::args::Kind;

/// The light's slow change: depth and period in seconds.
const FLICKER: (f64, f64) = (0.006, 7.0);
/// A walker's box is cut out with this margin, a share of its width and height.
const MARGIN: (f64, f64) = (0.5, 0.15);

/// One after the other, each a fifth of the time.
const WEATHERS: [Weather; 5] = [Weather::Calm, Weather::Rain, Weather::Headlights, Weather::Trees, Weather::Night];

/// What goes on in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Empty,
    /// One walker, by place in the table.
    Walker(usize),
    /// The recording from this picture on.
    Busy(usize),
}

/// Composes pictures from the recording.
pub struct Street<'a> {
    recording: &'a Recording,
    empty: Vec<u8>,
}

impl<'a> Street<'a> {
    /// Finds the empty street of the recording.
    pub fn new(recording: &'a Recording) -> Self {
        Self { recording, empty: recording.empty_street() }
    }

    /// Hands out `seconds` of pictures, 25 each.
    pub fn play(&self, kind: Kind, seconds: u32, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let walkers = walkers()?;
        let mut picture = vec![0u8; PICTURE];
        let stretches = script(kind, seconds, &walkers);
        let n_pictures_of_weather = (seconds * FPS / WEATHERS.len() as u32).max(1);
        let mut began = 0;
        for (scene, n_pictures) in stretches {
            for nth in 0..n_pictures {
                let recorded = (nth * recording::FPS / FPS) as usize;
                match scene {
                    Scene::Empty => picture.copy_from_slice(&self.empty),
                    Scene::Walker(which) => self.walker(&mut picture, &walkers[which], recorded),
                    Scene::Busy(first) => picture.copy_from_slice(self.recording.picture(first + recorded)),
                }
                let (number, second) = (began + nth, f64::from(began + nth) / f64::from(FPS));
                if kind == Kind::Weather {
                    let weather = WEATHERS[(number / n_pictures_of_weather) as usize % WEATHERS.len()];
                    weather.apply(&mut picture, number, second);
                }
                flicker(&mut picture, second);
                take(&picture)?;
            }
            began += n_pictures;
        }
        Ok(())
    }

    fn walker(&self, picture: &mut [u8], walker: &Walker, nth: usize) {
        picture.copy_from_slice(&self.empty);
        let Some([left, top, right, bottom]) = walker.boxes.get(nth).copied() else { return };
        let (width, height) = (f64::from(right - left), f64::from(bottom - top));
        let (centre_x, centre_y) = (f64::from(left + right) / 2.0, f64::from(top + bottom) / 2.0);
        let radius = (width * (0.5 + MARGIN.0), height * (0.5 + MARGIN.1));
        // A walker comes and goes within half a second, so that nothing pops up.
        let remaining = walker.boxes.len() - nth;
        let presence = (nth.min(remaining) as f64 / 5.0).min(1.0);
        let source = self.recording.picture(walker.first + nth);
        for plane in planes() {
            plane.lay_over(picture, source, |x, y| {
                let (dx, dy) = ((x - centre_x) / radius.0, (y - centre_y) / radius.1);
                // Flat inside, falling off over the outer fifth.
                ((1.0 - dx.abs().max(dy.abs())) * 5.0).clamp(0.0, 1.0) * presence
            });
        }
    }
}

/// Where a plane lies within a picture's bytes.
struct Plane {
    start: usize,
    width: usize,
    height: usize,
    /// Pixels of the picture per pixel of the plane.
    step: f64,
}

fn planes() -> [Plane; 3] {
    let (width, height) = SIZE;
    let (luma, chroma) = (width * height, width * height / 4);
    [(0, 1), (luma, 2), (luma + chroma, 2)].map(|(start, step)| Plane {
        start,
        width: width / step,
        height: height / step,
        step: step as f64,
    })
}

impl Plane {
    fn lay_over(&self, picture: &mut [u8], source: &[u8], share: impl Fn(f64, f64) -> f64) {
        for y in 0..self.height {
            for x in 0..self.width {
                let share = share(x as f64 * self.step, y as f64 * self.step);
                if share > 0.0 {
                    let at = self.start + y * self.width + x;
                    let mixed = f64::from(picture[at]) * (1.0 - share) + f64::from(source[at]) * share;
                    picture[at] = mixed.round() as u8;
                }
            }
        }
    }
}

fn flicker(picture: &mut [u8], second: f64) {
    let gain = 1.0 + FLICKER.0 * (std::f64::consts::TAU * second / FLICKER.1).sin();
    let table: Vec<u8> = (0..=255u8).map(|value| (f64::from(value) * gain).round().clamp(0.0, 255.0) as u8).collect();
    for luma in &mut picture[..SIZE.0 * SIZE.1] {
        *luma = table[usize::from(*luma)];
    }
}

/// What goes on when: scenes and their lengths in pictures.
fn script(kind: Kind, seconds: u32, walkers: &[Walker]) -> Vec<(Scene, u32)> {
    let total = seconds * FPS;
    let length = |which: usize| u32::try_from(walkers[which].boxes.len()).unwrap_or(0) * FPS / recording::FPS;
    match kind {
        Kind::Idle => vec![(Scene::Empty, total)],
        Kind::Busy => vec![(Scene::Busy(0), total)],
        Kind::Quiet => {
            // A tenth of the time one walker: long footage shows two, short footage one.
            let cast: &[usize] = if seconds >= 100 { &[0, 1] } else { &[6] };
            among_silence(cast.iter().map(|which| (Scene::Walker(*which), length(*which))).collect(), total)
        }
        Kind::Weather => {
            // One walker in each weather, or one in all of short footage.
            let cast: &[usize] = if seconds >= 100 { &[3, 4, 5, 6, 7] } else { &[6] };
            among_silence(cast.iter().map(|which| (Scene::Walker(*which), length(*which))).collect(), total)
        }
        Kind::Mix if seconds < 60 => {
            among_silence(vec![(Scene::Walker(2), length(2)), (Scene::Busy(560), total / 4)], total)
        }
        Kind::Mix => {
            let cast = [3, 4, 5, 6, 7].map(|which| (Scene::Walker(which), length(which)));
            among_silence(cast.into_iter().chain([(Scene::Busy(560), total / 5)]).collect(), total)
        }
    }
}

/// Spreads scenes over the time with equal silence before, between and after them.
fn among_silence(scenes: Vec<(Scene, u32)>, total: u32) -> Vec<(Scene, u32)> {
    let busy: u32 = scenes.iter().map(|(_, length)| length).sum();
    let silence = total.saturating_sub(busy);
    let n_gaps = u32::try_from(scenes.len()).unwrap_or(0) + 1;
    let mut script = Vec::new();
    for scene in scenes {
        script.push((Scene::Empty, silence / n_gaps));
        script.push(scene);
    }
    let used: u32 = script.iter().map(|(_, length)| length).sum();
    script.push((Scene::Empty, total.saturating_sub(used)));
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_street_is_empty_nine_tenths_of_the_time() {
        let walkers = walkers().unwrap();
        let script = script(Kind::Quiet, 120, &walkers);
        let total: u32 = script.iter().map(|(_, length)| length).sum();
        let empty: u32 = script.iter().filter(|(scene, _)| *scene == Scene::Empty).map(|(_, length)| length).sum();
        assert_eq!(total, 120 * FPS);
        assert!((0.89..0.92).contains(&(f64::from(empty) / f64::from(total))), "{empty} of {total}");
    }

    #[test]
    fn every_kind_fills_its_time() {
        let walkers = walkers().unwrap();
        for kind in [Kind::Idle, Kind::Quiet, Kind::Weather, Kind::Mix, Kind::Busy] {
            for seconds in [30, 79, 120] {
                let total: u32 = script(kind, seconds, &walkers).iter().map(|(_, length)| length).sum();
                assert_eq!(total, seconds * FPS, "{kind:?} {seconds}");
            }
        }
    }
}
