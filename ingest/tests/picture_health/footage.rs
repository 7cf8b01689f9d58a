//! Luma planes of the busy street, and what weather, light, traffic and hands do to them.

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A luma plane.
#[derive(Clone)]
pub struct Plane {
    pub width: usize,
    pub height: usize,
    pub luma: Vec<u8>,
}

impl Plane {
    /// Each pixel anew from its place and value.
    pub fn map(&self, change: impl Fn(usize, usize, f32) -> f32) -> Self {
        let luma = self.luma.iter().enumerate();
        let luma = luma.map(|(index, &value)| to_luma(change(index % self.width, index / self.width, value.into())));
        Self { luma: luma.collect(), ..*self }
    }

    /// Brightness above black times `gain`, plus `lift`.
    pub fn exposed(&self, gain: f32, lift: f32) -> Self {
        let table: Vec<u8> = (0u8..=255).map(|value| to_luma((f32::from(value) - 16.0) * gain + 16.0 + lift)).collect();
        Self { luma: self.luma.iter().map(|&value| table[usize::from(value)]).collect(), ..*self }
    }

    /// Something over the right part of the picture.
    pub fn covered(&self, share: f32, sheet: impl Fn(usize, usize) -> f32) -> Self {
        let from = (self.width as f32 * (1.0 - share)) as usize;
        self.map(|x, y, value| if x >= from { sheet(x, y) } else { value })
    }

    /// Value between pixels; the border goes on outside.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x.clamp(0.0, (self.width - 1) as f32), y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (across, down) = (x.fract(), y.fract());
        let value = |x: usize, y: usize| f32::from(self.luma[y * self.width + x]);
        let row = |y: usize| value(left, y) * (1.0 - across) + value(right, y) * across;
        row(top) * (1.0 - down) + row(bottom) * down
    }

    /// The view after the camera was shifted (share of the sides), turned (degrees) and zoomed.
    pub fn moved(&self, (shift_x, shift_y): (f32, f32), degrees: f32, zoom: f32) -> Self {
        let (width, height) = (self.width as f32, self.height as f32);
        let (sin, cos) = degrees.to_radians().sin_cos();
        self.map(|x, y, _| {
            let (x, y) = ((x as f32 - width / 2.0) / zoom, (y as f32 - height / 2.0) / zoom);
            let (x, y) = (cos * x + sin * y, cos * y - sin * x);
            self.at(x + width / 2.0 + shift_x * width, y + height / 2.0 + shift_y * height)
        })
    }

    /// Out of focus: three box blurs, nearly a Gaussian of `sigma` pixels.
    pub fn blurred(&self, sigma: f32) -> Self {
        let reach = ((sigma * sigma * 4.0 + 1.0).sqrt() / 2.0).round().max(1.0) as usize;
        let mut values: Vec<f32> = self.luma.iter().map(|&value| value.into()).collect();
        for _ in 0..3 {
            values = box_blurred(&values, self.width, 1, reach);
            values = box_blurred(&values, self.height, self.width, reach);
        }
        Self { luma: values.into_iter().map(to_luma).collect(), ..*self }
    }
}

fn box_blurred(values: &[f32], n: usize, stride: usize, reach: usize) -> Vec<f32> {
    let mut blurred = vec![0.0; values.len()];
    let n_lines = values.len() / n;
    for line in 0..n_lines {
        let start = if stride == 1 { line * n } else { line };
        let at = |index: isize| values[start + index.clamp(0, n as isize - 1) as usize * stride];
        let reach = reach as isize;
        let mut sum: f32 = (-reach..=reach).map(at).sum();
        for index in 0..n as isize {
            blurred[start + index as usize * stride] = sum / (2 * reach + 1) as f32;
            sum += at(index + reach + 1) - at(index - reach);
        }
    }
    blurred
}

fn to_luma(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// Numbers that look random and are the same in each run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0..1.
    pub fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Sensor noise: a long strip of normal deviates, read from another place for each picture.
pub struct Noise(Vec<f32>);

impl Noise {
    pub fn new() -> Self {
        let mut dice = Dice::new(7);
        let mut normal = || (0..6).map(|_| dice.share() - 0.5).sum::<f32>() * std::f32::consts::SQRT_2;
        Self((0..1 << 20).map(|_| normal()).collect())
    }

    pub fn add(&self, plane: &Plane, sigma: f32, dice: &mut Dice) -> Plane {
        let start = dice.below(self.0.len());
        let noise = self.0[start..].iter().chain(self.0.iter().cycle());
        let luma = plane.luma.iter().zip(noise).map(|(&value, noise)| to_luma(f32::from(value) + noise * sigma));
        Plane { luma: luma.collect(), ..*plane }
    }
}

/// Two pictures a second of the busy street.
pub fn street(width: usize, height: usize) -> Vec<Plane> {
    let cache = std::env::var_os("XUELIANG_CACHE")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache")), PathBuf::from);
    let file = cache.join("footage/vtest_h264.mp4");
    assert!(file.exists(), "{} is not there; run ./check once, it installs it", file.display());
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&file)
        .args(["-vf", &format!("fps=2,scale={width}:{height}"), "-pix_fmt", "gray", "-f", "rawvideo", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg; run ./check once, it says what is missing");
    let mut bytes = Vec::new();
    ffmpeg.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    assert!(ffmpeg.wait().unwrap().success());
    let planes: Vec<Plane> =
        bytes.chunks_exact(width * height).map(|luma| Plane { width, height, luma: luma.to_vec() }).collect();
    assert!(planes.len() > 100, "{} pictures", planes.len());
    planes
}

/// The street without its people: the median of each pixel.
pub fn quiet(street: &[Plane]) -> Plane {
    let some: Vec<&Plane> = street.iter().step_by(5).collect();
    let mut values = vec![0u8; some.len()];
    let median = |index: usize| {
        for (value, plane) in values.iter_mut().zip(&some) {
            *value = plane.luma[index];
        }
        *values.select_nth_unstable(some.len() / 2).1
    };
    Plane { luma: (0..street[0].luma.len()).map(median).collect(), ..street[0] }
}
