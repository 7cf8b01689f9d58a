//! Luma and chroma → red, green, blue, or what JPEG files have: linear coefficients from ITU-R BT.601 and BT.709, for both ranges.

use crate::frame::{Colour, Matrix, Range};

/// One channel as a linear function of luma, Cb and Cr, all 0..255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Channel {
    pub(crate) y: f32,
    pub(crate) u: f32,
    pub(crate) v: f32,
    pub(crate) constant: f32,
}

#[cfg(test)]
impl Channel {
    /// Not yet rounded, may lie outside 0..255.
    pub(crate) fn of(self, y: f32, u: f32, v: f32) -> f32 {
        self.y * y + self.u * u + self.v * v + self.constant
    }
}

/// Red, green, blue.
pub(crate) fn rgb(colour: Colour) -> [Channel; 3] {
    let (kr, kb) = match colour.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
    };
    let kg = 1.0 - kr - kb;
    let (black, y, chroma) = match colour.range {
        Range::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
        Range::Full => (0.0, 1.0, 1.0),
    };
    let (red_v, blue_u) = (2.0 * (1.0 - kr) * chroma, 2.0 * (1.0 - kb) * chroma);
    let channel = |u: f32, v: f32| Channel { y, u, v, constant: -y * black - 128.0 * (u + v) };
    [channel(0.0, red_v), channel(-blue_u * kb / kg, -red_v * kr / kg), channel(blue_u, 0.0)]
}

/// Luma, Cb and Cr as JFIF defines them: BT.601, full range.
pub(crate) fn jfif(colour: Colour) -> [Channel; 3] {
    let [red, green, blue] = rgb(colour);
    let mix = |[r, g, b]: [f32; 3], constant: f32| {
        let sum = |of: fn(Channel) -> f32| r * of(red) + g * of(green) + b * of(blue);
        Channel { y: sum(|c| c.y), u: sum(|c| c.u), v: sum(|c| c.v), constant: sum(|c| c.constant) + constant }
    };
    [
        mix([0.299, 0.587, 0.114], 0.0),
        mix([-0.168_736, -0.331_264, 0.5], 128.0),
        mix([0.5, -0.418_688, -0.081_312], 128.0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channels: [Channel; 3], [y, u, v]: [f32; 3], expected: [f32; 3]) {
        for (channel, expected) in channels.into_iter().zip(expected) {
            let value = channel.of(y, u, v);
            assert!((value - expected).abs() < 1.0, "{y} {u} {v}: {value} instead of {expected}");
        }
    }

    #[test]
    fn black_white_and_primaries_come_out_right() {
        let limited = Colour { matrix: Matrix::Bt601, range: Range::Limited };
        check(rgb(limited), [16.0, 128.0, 128.0], [0.0; 3]);
        check(rgb(limited), [235.0, 128.0, 128.0], [255.0; 3]);
        check(rgb(limited), [81.0, 90.0, 240.0], [255.0, 0.0, 0.0]);
        let full = Colour { matrix: Matrix::Bt709, range: Range::Full };
        check(rgb(full), [255.0, 128.0, 128.0], [255.0; 3]);
        check(rgb(full), [18.4, 255.5, 116.3], [0.0, 0.0, 255.0]);
    }

    #[test]
    fn jfif_keeps_its_own_and_converts_the_rest() {
        let own = Colour { matrix: Matrix::Bt601, range: Range::Full };
        check(jfif(own), [70.0, 90.0, 200.0], [70.0, 90.0, 200.0]);
        let high_definition = Colour { matrix: Matrix::Bt709, range: Range::Limited };
        check(jfif(high_definition), [16.0, 128.0, 128.0], [0.0, 128.0, 128.0]);
        // Red of BT.709 is the red of JFIF.
        check(jfif(high_definition), [62.6, 102.3, 240.0], [76.2, 85.0, 255.5]);
    }
}
