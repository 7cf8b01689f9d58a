//! What picture health costs for one keyframe: `cargo run --release -p xueliang-inference --example picture_health`.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use xueliang_inference::{Colour, DecodedFrame, FrameError, PictureHealth, PictureHealthSettings, PrivacyMasks, mask};

const N_FRAMES: i64 = 300;

fn main() -> Result<(), FrameError> {
    for (width, height) in [(1920u32, 1080u32), (704, 576)] {
        let mut health = PictureHealth::new(PictureHealthSettings::new(PrivacyMasks::none()));
        let mut times = Vec::new();
        for index in 0..N_FRAMES {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(2 * index);
            let n_pixels = (width * height) as usize;
            let luma = (0..n_pixels).map(|pixel| street(pixel, width as usize, index as usize));
            let mut bytes: Vec<u8> = luma.collect();
            bytes.resize(n_pixels * 3 / 2, 128);
            let decoded = DecodedFrame::from_i420(bytes, (width, height), Colour::default(), at)?;
            let frame = mask::paint(decoded, &PrivacyMasks::none());
            let began = Instant::now();
            health.observe(&frame);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        println!("{width}×{height}: median {:?}, 99 % {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
    }
    Ok(())
}

/// Houses with windows and some noise.
fn street(pixel: usize, width: usize, seed: usize) -> u8 {
    let (x, y) = (pixel % width, pixel / width);
    let noise = ((pixel + seed * 7919).wrapping_mul(2_654_435_761) >> 13) % 5;
    let house = (x / 160 * 37 + y / 240 * 11) % 90;
    let window = if x / 20 % 3 == 0 && y / 30 % 2 == 0 { 60 } else { 0 };
    (40 + house + window + noise) as u8
}
