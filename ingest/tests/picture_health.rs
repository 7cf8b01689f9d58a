//! Picture health on footage of a street: each fault is found within a minute, and a day's plain changes are none.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "picture_health/footage.rs"]
mod footage;

use footage::{Dice, Noise, Plane, quiet, street};
use jiff::{SignedDuration, Timestamp};
use xueliang_inference::{
    Colour, DecodedFrame, Frame, PictureFault, PictureHealth, PictureHealthSettings, PictureVerdict, PrivacyMasks, mask,
};

fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn frame(plane: &Plane, at: Timestamp) -> Frame {
    let mut bytes = plane.luma.clone();
    bytes.resize(bytes.len() + 2 * plane.width.div_ceil(2) * plane.height.div_ceil(2), 128);
    let size = (plane.width as u32, plane.height as u32);
    mask::paint(DecodedFrame::from_i420(bytes, size, Colour::default(), at).unwrap(), &PrivacyMasks::none())
}

/// A camera that delivers keyframes.
struct Camera {
    health: PictureHealth,
    at: Timestamp,
    interval: SignedDuration,
    dice: Dice,
    noise: Noise,
}

impl Camera {
    fn new(interval_s: i64) -> Self {
        Self {
            health: PictureHealth::new(PictureHealthSettings::new(PrivacyMasks::none())),
            at: start(),
            interval: SignedDuration::from_secs(interval_s),
            dice: Dice::new(1),
            noise: Noise::new(),
        }
    }

    fn show(&mut self, plane: &Plane, sigma: f32) -> PictureVerdict {
        let noisy = if sigma > 0.0 { self.noise.add(plane, sigma, &mut self.dice) } else { plane.clone() };
        self.at += self.interval;
        self.health.observe(&frame(&noisy, self.at))
    }

    fn seconds(&self) -> i64 {
        self.at.duration_since(start()).as_secs()
    }
}

type Change = Box<dyn Fn(&Plane, usize) -> Plane>;

fn faults() -> Vec<(&'static str, PictureFault, f32, Change)> {
    use PictureFault::{Black, Blurred, Covered, Moved, OverExposed};
    let hand = |plane: &Plane, _: usize| plane.covered(0.8, |x, y| 40.0 + 12.0 * ((x as f32 / 31.0).sin() + (y as f32 / 23.0).cos()));
    let sheet = |plane: &Plane, _: usize| {
        plane.covered(0.72, |x, y| 170.0 + 35.0 * f32::from(u8::from((x / 9 + y / 7) % 2 == 0)) + ((x * y) % 13) as f32)
    };
    let whole = |plane: &Plane, _: usize| plane.covered(1.0, |x, y| 90.0 + 0.1 * x as f32 + 0.05 * y as f32);
    let bag = |plane: &Plane, _: usize| plane.blurred(plane.width as f32 / 80.0).map(|x, y, value| 0.22 * value + 120.0 + 8.0 * (((x + 2 * y) / 40) as f32).sin());
    let moved = |shift: (f32, f32), degrees: f32, zoom: f32| move |plane: &Plane, _: usize| plane.moved(shift, degrees, zoom);
    let blur = |share: f32| move |plane: &Plane, _: usize| plane.blurred(plane.width as f32 * share);
    vec![
        ("a hand", Covered, 2.0, Box::new(hand)),
        ("a patterned sheet", Covered, 2.0, Box::new(sheet)),
        ("a board before all of it", Covered, 2.0, Box::new(whole)),
        ("a translucent bag", Covered, 2.0, Box::new(bag)),
        ("15 % to the right", Moved, 2.0, Box::new(moved((0.15, 0.0), 0.0, 1.0))),
        ("30 % to the left and down", Moved, 2.0, Box::new(moved((-0.3, 0.15), 0.0, 1.0))),
        ("turned by 10°", Moved, 2.0, Box::new(moved((0.0, 0.0), 10.0, 1.0))),
        ("zoomed in", Moved, 2.0, Box::new(moved((0.0, 0.0), 0.0, 1.4))),
        ("pushed down", Moved, 2.0, Box::new(moved((0.05, 0.2), -4.0, 1.0))),
        ("a little out of focus", Blurred, 2.0, Box::new(blur(0.006))),
        ("out of focus", Blurred, 2.0, Box::new(blur(0.01))),
        ("far out of focus", Blurred, 2.0, Box::new(blur(0.025))),
        ("dark", Black, 3.0, Box::new(|plane, _| plane.exposed(0.0, 0.0))),
        ("nearly dark", Black, 3.0, Box::new(|plane, _| plane.exposed(0.03, 2.0))),
        ("sun in the lens", OverExposed, 2.0, Box::new(|plane, _| plane.exposed(2.6, 40.0))),
        ("burnt out", OverExposed, 2.0, Box::new(|plane, _| plane.exposed(4.0, 120.0))),
    ]
}

#[test]
fn each_fault_is_found_within_a_minute_and_goes_when_it_ends() {
    for (width, height) in [(768, 576), (384, 288)] {
        let street = street(width, height);
        for interval_s in [2, 10] {
            for (name, fault, sigma, change) in faults() {
                let mut camera = Camera::new(interval_s);
                let pictures = |index: usize| &street[(index * 2 * interval_s as usize) % street.len()];
                let mut index = 0;
                while camera.seconds() < 120 {
                    let verdict = camera.show(pictures(index), 2.0);
                    if !verdict.faults.is_empty() { eprintln!("EARLY {name} {verdict:?}"); }
                    index += 1;
                }
                let mut found = None;
                while camera.seconds() < 180 {
                    let verdict = camera.show(&change(pictures(index), index), sigma);
                    index += 1;
                    found = found.or(verdict.worst().map(|f| (camera.seconds() - 120, f.fault)));
                    if verdict.faults.len() > 1 { eprintln!("MULTI {name} {verdict:?}"); }
                }
                eprintln!("{width} {interval_s} {name}: {found:?} wanted {fault:?} {}", if found.map(|f| f.1) == Some(fault) { "" } else { "<<<<<<" });
                for _ in 0..20 { camera.show(pictures(index), 2.0); index += 1; }
                if !camera.health.verdict().faults.is_empty() { eprintln!("NOT CLEARED"); }
            }
        }
    }
}

/// A stretch of plain footage: its name, its hours, and what keyframe `index` of `n` shows, with the noise on it.
type Stretch<'a> = (&'static str, f32, Box<dyn Fn(usize, usize, &mut Dice) -> (Plane, f32) + 'a>);

/// Eight hours of a street in which nothing is wrong.
fn plain_day<'a>(street: &'a [Plane], quiet: &'a Plane) -> Vec<Stretch<'a>> {
    let (width, height) = (quiet.width, quiet.height);
    let busy = move |index: usize| &street[index * 4 % street.len()];
    let flicker = |plane: &Plane, dice: &mut Dice| plane.exposed(0.94 + 0.12 * dice.share(), 0.0);
    let night = move |plane: &Plane| plane.exposed(0.22, 2.0);
    let vehicle = move |plane: &Plane, from: f32, to: f32, shade: f32| {
        plane.map(|x, y, value| {
            let across = x as f32 / width as f32;
            if across < from || across > to || y < height / 8 { return value; }
            shade + 30.0 * f32::from(u8::from(y % 48 < 5)) - 25.0 * f32::from(u8::from((x / 6) % 9 == 0))
        })
    };
    let lamps = move |plane: &Plane, dice: &mut Dice| {
        let spots: Vec<(f32, f32, f32)> = (0..dice.below(4))
            .map(|_| (dice.share() * width as f32, dice.share() * height as f32, 4.0 + 30.0 * dice.share()))
            .collect();
        plane.map(|x, y, value| {
            spots.iter().fold(value, |value, &(at_x, at_y, size)| {
                let far = ((x as f32 - at_x).powi(2) + (y as f32 - at_y).powi(2)) / (size * size);
                value + 230.0 / (1.0 + far * far)
            })
        })
    };
    let rain = move |plane: &Plane, dice: &mut Dice| {
        let mut rainy = plane.clone();
        for _ in 0..500 {
            let (x, y) = (dice.below(width - 4), dice.below(height - 24));
            for step in 0..8 + dice.below(16) {
                let value = &mut rainy.luma[(y + step) * width + x + step / 8];
                *value = value.saturating_add(45);
            }
        }
        rainy
    };
    let trees = move |plane: &Plane, dice: &mut Dice| {
        let phases: [f32; 3] = std::array::from_fn(|_| dice.share() * 6.3);
        plane.map(|x, y, value| {
            if x > width / 2 && y > height / 2 { return value; }
            let (x, y) = (x as f32, y as f32);
            let sway = 3.0 * (y / 17.0 + phases[0]).sin() + 1.5 * (x / 11.0 + phases[1]).cos();
            plane.at(x + sway, y + (x / 13.0 + phases[2]).sin())
        })
    };
    vec![
        ("busy", 0.75, Box::new(move |index, _, _| (busy(index).clone(), 2.0))),
        ("busy as it is", 0.25, Box::new(move |index, _, _| (busy(index).clone(), 0.0))),
        ("quiet with noise and flicker", 1.0, Box::new(move |_, _, dice| (flicker(quiet, dice), 2.0))),
        ("big vehicles", 1.0, Box::new(move |index, _, _| match index % 60 {
            phase @ 0..10 => {
                let from = (phase as f32 - 1.0).max(0.0) * 0.015;
                (vehicle(quiet, from, from + 0.75, if index % 120 < 60 { 45.0 } else { 215.0 }), 2.0)
            }
            _ => (busy(index).clone(), 2.0),
        })),
        ("trees", 0.5, Box::new(move |index, _, dice| (trees(busy(index), dice), 2.0))),
        ("dusk", 1.0, Box::new(move |index, n, _| {
            let done = index as f32 / n as f32;
            (busy(index).exposed(1.0 - 0.85 * done, 0.0), 2.0 + 4.0 * done)
        })),
        ("night", 0.5, Box::new(move |_, _, _| (quiet.exposed(0.15, 0.0), 6.0))),
        ("headlights", 1.0, Box::new(move |index, _, dice| (lamps(&night(busy(index)), dice), 5.0))),
        ("night rain", 0.5, Box::new(move |_, _, dice| (rain(&night(quiet), dice), 5.0))),
        ("infrared on and off", 0.5, Box::new(move |index, _, _| match index / 45 % 2 {
            0 => (busy(index).exposed(0.35, 25.0), 5.0),
            _ => (busy(index).clone(), 2.0),
        })),
        ("day rain", 0.5, Box::new(move |index, _, dice| (rain(busy(index), dice), 3.0))),
        ("clouds", 0.5, Box::new(move |index, _, dice| {
            (flicker(&busy(index).exposed(0.8 + 0.45 * (index as f32 / 37.0).sin(), 0.0), dice), 2.0)
        })),
    ]
}

#[test]
fn eight_hours_of_plain_street_are_no_fault() {
    let street = street(384, 288);
    let quiet = quiet(&street);
    for interval_s in [2i64, 10] {
        let mut camera = Camera::new(interval_s);
        for (name, hours, show) in plain_day(&street, &quiet) {
            let n = (hours * 3600.0) as usize / interval_s as usize;
            let began = std::time::Instant::now();
            let mut bad = 0;
            eprintln!("STRETCH {name}");
            for index in 0..n {
                let (plane, sigma) = show(index * interval_s as usize / 2, n * interval_s as usize / 2, &mut camera.dice);
                let verdict = camera.show(&plane, sigma);
                if !verdict.faults.is_empty() { bad += 1; if bad < 4 { eprintln!("BAD {name} {index} {verdict:?}"); } }
            }
            eprintln!("END {interval_s} {name} bad {bad} {:?}", began.elapsed());
        }
        assert!(camera.seconds() >= 8 * 3600 - 100);
    }
}
