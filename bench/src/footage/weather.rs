//! What weather and light do to a picture: rain, headlights that sweep over the street, trees in the wind, and a camera that switches to night.

use super::recording::SIZE;

/// What the weather is like in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// As the street is.
    Calm,
    /// Streaks all over the picture, new in each.
    Rain,
    /// A bright patch runs over the street every few seconds.
    Headlights,
    /// A corner of the picture sways.
    Trees,
    /// Darker, without colour.
    Night,
}

/// Streaks in one picture, their length and how much brighter they are.
const STREAKS: (u32, usize, u8) = (120, 14, 28);
/// A sweep of light: seconds from one to the next, seconds it takes, half its size in pixels, and how bright it is.
const SWEEP: (f64, f64, (f64, f64), f64) = (5.0, 1.2, (110.0, 60.0), 90.0);
/// The corner with the trees as shares of the picture, how many pixels they sway, and seconds of one sway.
const TREES: ((f64, f64), f64, f64) = ((0.3, 0.28), 4.0, 2.6);
/// What is left of brightness at night.
const NIGHT: f64 = 0.45;

impl Weather {
    /// Changes the picture that is shown at this second of the footage; `number` is its place.
    pub fn apply(self, picture: &mut [u8], number: u32, second: f64) {
        let (luma, chroma) = picture.split_at_mut(SIZE.0 * SIZE.1);
        match self {
            Self::Calm => {}
            Self::Rain => rain(luma, number),
            Self::Headlights => headlights(luma, second % SWEEP.0 / SWEEP.1),
            Self::Trees => trees(luma, (std::f64::consts::TAU * second / TREES.2).sin() * TREES.1),
            Self::Night => {
                luma.iter_mut().for_each(|pixel| *pixel = (16.0 + (f64::from(*pixel) - 16.0).max(0.0) * NIGHT) as u8);
                chroma.fill(128);
            }
        }
    }
}

fn rain(luma: &mut [u8], number: u32) {
    let (n_streaks, length, brighter) = STREAKS;
    let mut dice = number.wrapping_mul(2_654_435_761) | 1;
    let mut below = |end: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        dice as usize % end
    };
    for _ in 0..n_streaks {
        let (x, y) = (below(SIZE.0), below(SIZE.1 - length));
        for row in y..y + length {
            let pixel = &mut luma[row * SIZE.0 + x];
            *pixel = pixel.saturating_add(brighter);
        }
    }
}

/// `progress`: from 0 where the light comes in to 1 where it leaves; beyond, it is dark.
fn headlights(luma: &mut [u8], progress: f64) {
    if progress >= 1.0 {
        return;
    }
    let (centre_x, centre_y) = (progress * SIZE.0 as f64, (0.75 - 0.3 * progress) * SIZE.1 as f64);
    let (half_width, half_height) = SWEEP.2;
    for (index, pixel) in luma.iter_mut().enumerate() {
        let (x, y) = ((index % SIZE.0) as f64, (index / SIZE.0) as f64);
        let away = ((x - centre_x) / half_width).powi(2) + ((y - centre_y) / half_height).powi(2);
        if away < 1.0 {
            *pixel = (f64::from(*pixel) + SWEEP.3 * (1.0 - away)).min(255.0) as u8;
        }
    }
}

fn trees(luma: &mut [u8], by: f64) {
    let (width, height) = ((TREES.0.0 * SIZE.0 as f64) as usize, (TREES.0.1 * SIZE.1 as f64) as usize);
    for row in luma.chunks_exact_mut(SIZE.0).take(height) {
        let before: Vec<u8> = row[..width].to_vec();
        for (x, pixel) in row[..width].iter_mut().enumerate() {
            // Branches sway, the trunk at the edge of the corner does not.
            let sways = by * (1.0 - x as f64 / width as f64);
            let from = (x as f64 + sways).round().clamp(0.0, (width - 1) as f64) as usize;
            *pixel = before[from];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn street() -> Vec<u8> {
        (0..SIZE.0 * SIZE.1 * 3 / 2).map(|index| (index * 7 % 200) as u8).collect()
    }

    #[test]
    fn each_weather_changes_its_part_of_the_picture() {
        for (weather, share) in [
            (Weather::Calm, 0.0..0.001),
            (Weather::Rain, 0.001..0.01),
            (Weather::Headlights, 0.02..0.2),
            (Weather::Trees, 0.04..0.15),
            (Weather::Night, 0.8..1.1),
        ] {
            let (before, mut after) = (street(), street());
            weather.apply(&mut after, 3, 0.6);
            let n_changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            let changed = n_changed as f64 / before.len() as f64;
            assert!(share.contains(&changed), "{weather:?} changes {changed}");
        }
    }

    #[test]
    fn rain_is_new_in_each_picture() {
        let (mut one, mut other) = (street(), street());
        Weather::Rain.apply(&mut one, 1, 0.0);
        Weather::Rain.apply(&mut other, 2, 0.0);
        assert!(one != other);
    }
}
