//! Picture health on footage of a street: each fault is found within a minute, and a day's plain changes are none.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

#[path = "picture_health/encoded.rs"]
mod encoded;
#[path = "picture_health/footage.rs"]
mod footage;

use footage::{Dice, Noise, Plane, quiet, street};
use jiff::{SignedDuration, Timestamp};
use xueliang_inference::{
    Colour, DecodedFrame, PictureFault, PictureHealth, PictureHealthSettings, PictureVerdict, Point, Polygon,
    PrivacyMasks, mask,
};

fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn decoded(plane: &Plane, at: Timestamp) -> DecodedFrame {
    let mut bytes = plane.luma.clone();
    bytes.resize(bytes.len() + 2 * plane.width.div_ceil(2) * plane.height.div_ceil(2), 128);
    let size = (plane.width as u32, plane.height as u32);
    DecodedFrame::from_i420(bytes, size, Colour::default(), at).unwrap()
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
        self.health.observe(&mask::paint(decoded(&noisy, self.at), &PrivacyMasks::none()))
    }

    fn seconds(&self) -> i64 {
        self.at.duration_since(start()).as_secs()
    }
}

type Change = Box<dyn Fn(&Plane) -> Plane>;

fn faults() -> Vec<(&'static str, PictureFault, f32, Change)> {
    use PictureFault::{Black, Blurred, Covered, Moved, OverExposed};
    let hand =
        |plane: &Plane| plane.covered(0.8, |x, y| 40.0 + 12.0 * ((x as f32 / 31.0).sin() + (y as f32 / 23.0).cos()));
    let sheet = |plane: &Plane| {
        plane.covered(0.72, |x, y| 170.0 + 35.0 * f32::from(u8::from((x / 9 + y / 7) % 2 == 0)) + ((x * y) % 13) as f32)
    };
    let whole = |plane: &Plane| plane.covered(1.0, |x, y| 90.0 + 0.1 * x as f32 + 0.05 * y as f32);
    let bag = |plane: &Plane| {
        plane
            .blurred(plane.width as f32 / 80.0)
            .map(|x, y, value| 0.22 * value + 120.0 + 8.0 * (((x + 2 * y) / 40) as f32).sin())
    };
    let moved = |shift: (f32, f32), degrees: f32, zoom: f32| move |plane: &Plane| plane.moved(shift, degrees, zoom);
    let blur = |share: f32| move |plane: &Plane| plane.blurred(plane.width as f32 * share);
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
        ("dark", Black, 3.0, Box::new(|plane| plane.exposed(0.0, 0.0))),
        ("nearly dark", Black, 3.0, Box::new(|plane| plane.exposed(0.03, 2.0))),
        ("sun in the lens", OverExposed, 2.0, Box::new(|plane| plane.exposed(2.6, 40.0))),
        ("burnt out", OverExposed, 2.0, Box::new(|plane| plane.exposed(4.0, 120.0))),
    ]
}

/// Shows a sound street, then a fault for a minute, then the street again; what was said first and after how many seconds.
fn first_fault(street: &[Plane], interval_s: i64, change: &Change, sigma: f32) -> Option<(i64, PictureFault)> {
    let mut camera = Camera::new(interval_s);
    let mut index = 0;
    let mut next = || {
        index += 2 * interval_s as usize;
        &street[index % street.len()]
    };
    while camera.seconds() < 120 {
        assert_eq!(camera.show(next(), 2.0), PictureVerdict::default());
    }
    let mut found = None;
    while camera.seconds() < 180 {
        let verdict = camera.show(&change(next()), sigma);
        found = found.or(verdict.worst().map(|worst| (camera.seconds() - 120, worst.fault)));
    }
    while camera.seconds() < 180 + 60 {
        camera.show(next(), 2.0);
    }
    assert_eq!(camera.health.verdict(), PictureVerdict::default());
    found
}

fn check_faults((width, height): (usize, usize), interval_s: i64) {
    let street = street(width, height);
    for (name, fault, sigma, change) in faults() {
        let found = first_fault(&street, interval_s, &change, sigma);
        assert!(
            found.is_some_and(|(seconds, first)| seconds <= 60 && first == fault),
            "{name}: {found:?} at {width}×{height}, a keyframe every {interval_s} s"
        );
    }
}

#[test]
fn each_fault_is_found_within_a_minute_and_goes_when_it_ends() {
    check_faults((384, 288), 2);
}

#[test]
fn one_keyframe_in_ten_seconds_is_enough() {
    check_faults((768, 576), 10);
}

#[test]
fn a_new_view_is_taken_as_the_camera_s_own_after_ten_stable_minutes() {
    let street = street(384, 288);
    let mut camera = Camera::new(5);
    let mut faulty_s = 0;
    for index in 0..(20 * 60 / 5) {
        let plane = &street[index * 10 % street.len()];
        let aimed_anew = camera.seconds() >= 120;
        let plane = if aimed_anew { plane.moved((0.25, 0.1), 0.0, 1.1) } else { plane.clone() };
        let verdict = camera.show(&plane, 2.0);
        faulty_s += 5 * i64::from(verdict.has(PictureFault::Moved));
        assert!(verdict.faults.iter().all(|found| found.fault == PictureFault::Moved), "{verdict:?}");
    }
    assert!((590..=650).contains(&faulty_s), "moved for {faulty_s} s");
    assert_eq!(camera.health.verdict(), PictureVerdict::default());
    let covered = street[0].moved((0.25, 0.1), 0.0, 1.1).covered(0.8, |x, y| 60.0 + ((x + y) % 7) as f32);
    let found = (0..10).map(|_| camera.show(&covered, 2.0)).any(|verdict| verdict.has(PictureFault::Covered));
    assert!(found, "the new view is watched as the old one was");
}

#[test]
fn what_happens_under_a_mask_is_nobody_s_business() {
    let street = street(384, 288);
    let corners = [(0.25, 0.0), (1.0, 0.0), (1.0, 1.0), (0.25, 1.0)].map(|(x, y)| Point { x, y });
    let masks = PrivacyMasks::new(vec![Polygon::new(corners.to_vec()).unwrap()]);
    let mut health = PictureHealth::new(PictureHealthSettings::new(masks.clone()));
    let (noise, mut dice) = (Noise::new(), Dice::new(3));
    for index in 0..120 {
        let plane = noise.add(&street[index % street.len()], 2.0, &mut dice);
        let plane = if index > 60 { plane.covered(0.74, |x, _| x as f32) } else { plane };
        let at = start() + SignedDuration::from_secs(2 * index as i64);
        assert_eq!(health.observe(&mask::paint(decoded(&plane, at), &masks)), PictureVerdict::default());
    }
}

/// Seconds of one kind of picture.
type Scene<'a> = (usize, Box<dyn Fn(usize) -> Plane + 'a>);

/// What a camera's lane says of these scenes, whose keyframes are so far apart; after each second.
fn in_lane(scenes: &[Scene], group_s: usize, encoder: &[&str]) -> Vec<PictureVerdict> {
    let (noise, mut dice) = (Noise::new(), Dice::new(5));
    let mut planes = Vec::new();
    for (seconds, show) in scenes {
        for _ in 0..seconds * encoded::FPS {
            planes.push(noise.add(&show(planes.len()), 2.0, &mut dice));
        }
    }
    encoded::in_lane(&planes, group_s, encoder, start())
}

#[test]
fn each_fault_is_found_within_a_minute_when_keyframes_are_25_s_apart() {
    let street = street(384, 288);
    let sound = |index: usize| street[2 * index / encoded::FPS % street.len()].clone();
    let some = ["a hand", "30 % to the left and down", "out of focus", "dark", "burnt out"];
    for (name, fault, _, change) in faults().into_iter().filter(|(name, ..)| some.contains(name)) {
        // The worst moment: just after a keyframe.
        let scenes: [Scene; 2] = [(76, Box::new(sound)), (60, Box::new(|index| change(&sound(index))))];
        let verdicts = in_lane(&scenes, 25, &["-crf", "23"]);
        assert!(verdicts[..76].iter().all(|verdict| verdict.faults.is_empty()), "{name}: told too early");
        let found = verdicts.iter().position(|verdict| verdict.has(fault));
        assert!(found.is_some(), "{name}: {:?}", verdicts.last());
    }
}

#[test]
fn a_frozen_camera_is_found_when_keyframes_are_far_apart_and_a_quiet_one_is_not_frozen() {
    let quiet = quiet(&street(384, 288));
    for encoder in [&["-crf", "23"][..], &["-crf", "35"], &["-crf", "42"]] {
        let plain = in_lane(&[(180, Box::new(|_| quiet.clone()))], 90, encoder);
        assert!(plain.iter().all(|verdict| verdict.faults.is_empty()), "{encoder:?}: {:?}", plain.last());
        let (noise, mut dice) = (Noise::new(), Dice::new(9));
        let mut planes: Vec<Plane> = (0..76 * encoded::FPS).map(|_| noise.add(&quiet, 2.0, &mut dice)).collect();
        let last = planes[planes.len() - 1].clone();
        planes.extend((0..60 * encoded::FPS).map(|_| last.clone()));
        let frozen = encoded::in_lane(&planes, 25, encoder, start());
        assert!(frozen[135].has(PictureFault::Frozen), "{encoder:?}: {:?}", frozen[135]);
    }
}

/// A quiet street for two minutes, then its last picture for one, as an encoder makes them: the first fault and when.
fn first_fault_when_frozen(encoder: &[&str]) -> Option<(i64, PictureFault)> {
    let quiet = quiet(&street(384, 288));
    let (noise, mut dice) = (Noise::new(), Dice::new(9));
    let mut planes: Vec<Plane> = (0..120 * encoded::FPS).map(|_| noise.add(&quiet, 2.0, &mut dice)).collect();
    let last = planes[planes.len() - 1].clone();
    planes.extend((0..60 * encoded::FPS).map(|_| last.clone()));
    let mut health = PictureHealth::new(PictureHealthSettings::new(PrivacyMasks::none()));
    let mut found = None;
    for (seconds, picture) in encoded::keyframes(&planes, encoder, start()) {
        let verdict = health.observe(&mask::paint(picture, &PrivacyMasks::none()));
        found = found.or(verdict.worst().map(|worst| (seconds - 120, worst.fault)));
    }
    found
}

#[test]
fn an_encoder_that_repeats_a_picture_is_frozen_and_a_quiet_compressed_street_is_not() {
    for encoder in [
        &["-crf", "23"][..],
        &["-crf", "35"],
        &["-crf", "42"],
        &["-b:v", "400k", "-maxrate", "400k", "-bufsize", "400k", "-nal-hrd", "cbr"],
    ] {
        let found = first_fault_when_frozen(encoder);
        assert!(
            found.is_some_and(|(seconds, fault)| (0..=60).contains(&seconds) && fault == PictureFault::Frozen),
            "{encoder:?}: {found:?}"
        );
    }
}

#[test]
fn a_camera_that_is_covered_from_the_start_is_told_within_a_minute() {
    let covers: Vec<(&str, PictureFault, Change)> = vec![
        (
            "a board",
            PictureFault::Covered,
            Box::new(|plane| plane.map(|x, y, _| 90.0 + 0.1 * x as f32 + 0.05 * y as f32)),
        ),
        ("paper", PictureFault::Covered, Box::new(|plane| plane.map(|_, _, _| 200.0))),
        ("a dark cloth", PictureFault::Covered, Box::new(|plane| plane.map(|x, _, _| 45.0 + 0.02 * x as f32))),
        (
            "a hand",
            PictureFault::Covered,
            Box::new(|plane| {
                let width = plane.width as f32;
                plane.map(|x, y, _| 40.0 + 12.0 * ((12.0 * x as f32 / width).sin() + (17.0 * y as f32 / width).cos()))
            }),
        ),
        ("a lens cap", PictureFault::Black, Box::new(|plane| plane.exposed(0.0, 0.0))),
    ];
    for (size, interval_s) in [((384, 288), 2), ((768, 576), 10)] {
        let street = street(size.0, size.1);
        for (name, fault, change) in &covers {
            for sigma in [1.0, 6.0] {
                let mut camera = Camera::new(interval_s);
                let covered = change(&street[0]);
                while camera.seconds() < 60 {
                    camera.show(&covered, sigma);
                }
                let worst = camera.health.verdict().worst().map(|worst| worst.fault);
                assert_eq!(worst, Some(*fault), "{name}, noise {sigma}, every {interval_s} s");
                while camera.seconds() < 150 {
                    camera.show(&street[camera.seconds() as usize % street.len()], 2.0);
                }
                assert_eq!(camera.health.verdict(), PictureVerdict::default(), "{name} is gone");
            }
        }
    }
}

#[test]
fn a_camera_that_starts_at_night_in_rain_or_in_fog_is_not_covered() {
    let street = street(384, 288);
    let quiet = quiet(&street);
    let fog = |gain: f32, level: f32| {
        let quiet = &quiet;
        move |_: usize, _: usize, _: &mut Dice| {
            (quiet.blurred(1.5).map(|_, _, value| level + gain * (value - 128.0)), 3.0)
        }
    };
    let mut stretches = plain_day(&street, &quiet);
    stretches.push(("fog", 1.0, Box::new(fog(0.2, 150.0))));
    stretches.push(("thick fog", 1.0, Box::new(fog(0.1, 170.0))));
    stretches.push(("fog at night", 1.0, Box::new(fog(0.1, 45.0))));
    for (name, _, show) in stretches {
        let mut camera = Camera::new(2);
        // From the tenth picture on: no lorry fills the view while it is learned.
        for index in 10..160 {
            let (plane, sigma) = show(index, 1800, &mut camera.dice);
            let verdict = camera.show(&plane, sigma);
            assert_eq!(verdict, PictureVerdict::default(), "{name}, after {} s", camera.seconds());
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
            if across < from || across > to || y < height / 8 {
                return value;
            }
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
            if x > width / 2 && y > height / 2 {
                return value;
            }
            let (x, y) = (x as f32, y as f32);
            let sway = 3.0 * (y / 17.0 + phases[0]).sin() + 1.5 * (x / 11.0 + phases[1]).cos();
            plane.at(x + sway, y + (x / 13.0 + phases[2]).sin())
        })
    };
    vec![
        ("busy", 0.75, Box::new(move |index, _, _| (busy(index).clone(), 2.0))),
        ("busy as it is", 0.25, Box::new(move |index, _, _| (busy(index).clone(), 0.0))),
        ("quiet with noise and flicker", 1.0, Box::new(move |_, _, dice| (flicker(quiet, dice), 2.0))),
        (
            "big vehicles",
            1.0,
            Box::new(move |index, _, _| match index % 60 {
                phase @ 0..10 => {
                    let from = (phase as f32 - 1.0).max(0.0) * 0.015;
                    (vehicle(quiet, from, from + 0.75, if index % 120 < 60 { 45.0 } else { 215.0 }), 2.0)
                }
                _ => (busy(index).clone(), 2.0),
            }),
        ),
        ("trees", 0.5, Box::new(move |index, _, dice| (trees(busy(index), dice), 2.0))),
        (
            "dusk",
            1.0,
            Box::new(move |index, n, _| {
                let done = index as f32 / n as f32;
                (busy(index).exposed(1.0 - 0.85 * done, 0.0), 2.0 + 4.0 * done)
            }),
        ),
        ("night", 0.5, Box::new(move |_, _, _| (quiet.exposed(0.15, 0.0), 6.0))),
        ("headlights", 1.0, Box::new(move |index, _, dice| (lamps(&night(busy(index)), dice), 5.0))),
        ("night rain", 0.5, Box::new(move |_, _, dice| (rain(&night(quiet), dice), 5.0))),
        (
            "infrared on and off",
            0.5,
            Box::new(move |index, _, _| match index / 45 % 2 {
                0 => (busy(index).exposed(0.35, 25.0), 5.0),
                _ => (busy(index).clone(), 2.0),
            }),
        ),
        ("day rain", 0.5, Box::new(move |index, _, dice| (rain(busy(index), dice), 3.0))),
        (
            "clouds",
            0.5,
            Box::new(move |index, _, dice| {
                (flicker(&busy(index).exposed(0.8 + 0.45 * (index as f32 / 37.0).sin(), 0.0), dice), 2.0)
            }),
        ),
    ]
}

fn check_plain_day(interval_s: usize) {
    let street = street(384, 288);
    let quiet = quiet(&street);
    let mut camera = Camera::new(interval_s as i64);
    for (name, hours, show) in plain_day(&street, &quiet) {
        let n = (hours * 3600.0) as usize / 2;
        for index in (0..n).step_by(interval_s / 2) {
            let (plane, sigma) = show(index, n, &mut camera.dice);
            let verdict = camera.show(&plane, sigma);
            assert_eq!(verdict, PictureVerdict::default(), "{name}, after {} s", 2 * index);
        }
    }
    assert!(camera.seconds() >= 8 * 3600 - 60, "{} s", camera.seconds());
}

#[test]
fn eight_hours_of_plain_street_are_no_fault() {
    check_plain_day(2);
}

#[test]
fn eight_hours_of_plain_street_seen_every_ten_seconds_are_no_fault() {
    check_plain_day(10);
}
