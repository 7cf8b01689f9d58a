use super::*;
use crate::frame::{Chroma, Colour, DecodedFrame, Matrix, Plane, Planes, Range};
use crate::mask::{self, PrivacyMasks};
use jiff::Timestamp;
use proptest::prelude::*;

fn spec(fit: Fit, layout: Layout) -> InputSpec {
    let tensor = "images".to_owned();
    let (width, height, colour) = (32, 32, ColourOrder::Bgr);
    InputSpec { tensor, width, height, layout, colour, scale: 1.0, offset: 0.0, fit, rectangular: false }
}

/// Luma from a function of x and y, no colour.
fn grey(width: usize, height: usize, luma: impl Fn(usize, usize) -> u8) -> Frame {
    let mut bytes: Vec<u8> = (0..width * height).map(|i| luma(i % width, i / width)).collect();
    bytes.resize(width * height + 2 * width.div_ceil(2) * height.div_ceil(2), 128);
    let colour = Colour { range: Range::Full, ..Colour::default() };
    let size = (width as u32, height as u32);
    let decoded = DecodedFrame::from_i420(bytes, size, colour, Timestamp::UNIX_EPOCH).unwrap();
    mask::paint(decoded, &PrivacyMasks::none())
}

/// The same picture in both orders of chroma.
fn noise((width, height): (u32, u32), seed: u64, colour: Colour) -> [Frame; 2] {
    let noise = |i: u64| (i.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed) >> 33) as u8;
    let plane = |from: u64, n: u32| (0..u64::from(n)).map(|i| noise(from + i)).collect::<Vec<u8>>();
    let (chroma_w, chroma_h) = (width.div_ceil(2), height.div_ceil(2));
    let luma = plane(0, width * height);
    let (u, v) = (plane(1 << 30, chroma_w * chroma_h), plane(1 << 31, chroma_w * chroma_h));
    let uv: Vec<u8> = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
    let of = |bytes, stride: u32| Plane { bytes, stride: stride as usize };
    let i420 = Chroma::I420 { u: of(&u, chroma_w), v: of(&v, chroma_w) };
    let nv12 = Chroma::Nv12 { uv: of(&uv, 2 * chroma_w) };
    [i420, nv12].map(|chroma| {
        let planes = Planes { width, height, luma: of(&luma, width), chroma };
        let decoded = DecodedFrame::copy_from(&planes, colour, Timestamp::UNIX_EPOCH).unwrap();
        mask::paint(decoded, &PrivacyMasks::none())
    })
}

/// The literal way: the whole picture becomes 8-bit colour, then each output pixel is looked up in it.
fn literal(frame: &Frame, spec: &InputSpec, (out_w, out_h): (usize, usize)) -> Vec<[f64; 3]> {
    let picture = frame.picture();
    let (width, height, (chroma_w, _)) = (picture.width(), picture.height(), picture.chroma_size());
    let channels = colour::rgb(picture.colour());
    let pixel = |x: usize, y: usize| {
        let [u, v] = picture.chroma().at(y / 2 * chroma_w + x / 2);
        let luma = picture.luma()[y * width + x];
        channels.map(|channel| {
            let value = channel.of(f32::from(luma), f32::from(u), f32::from(v));
            f64::from(value.round_ties_even().clamp(0.0, 255.0))
        })
    };
    let tap = |place: usize, out: usize, source: usize| {
        let centre = ((place as f64 + 0.5) * source as f64 / out as f64 - 0.5).clamp(0.0, (source - 1) as f64);
        (centre as usize, (centre as usize + 1).min(source - 1), centre.fract())
    };
    let mut pixels = Vec::new();
    for (y, x) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
        let ((left, right, to_right), (above, below, down)) = (tap(x, out_w, width), tap(y, out_h, height));
        let corners = [pixel(left, above), pixel(right, above), pixel(left, below), pixel(right, below)];
        pixels.push(std::array::from_fn(|c| {
            let (upper, lower) = (
                corners[0][c] + (corners[1][c] - corners[0][c]) * to_right,
                corners[2][c] + (corners[3][c] - corners[2][c]) * to_right,
            );
            (upper + (lower - upper) * down) * f64::from(spec.scale) + f64::from(spec.offset)
        }));
    }
    pixels
}

#[test]
fn letterbox_pads_below_and_maps_back() {
    let mut preprocessor = Preprocessor::new(spec(Fit::Letterbox { pad: 114 }, Layout::Nchw));
    let (tensor, frame_from_model) = preprocessor.fill(&grey(64, 32, |_, _| 50));
    assert_eq!((tensor[0], tensor[15 * 32 + 31], tensor[16 * 32]), (50.0, 50.0, 114.0));
    assert_eq!(frame_from_model, FrameFromModel { x: 1.0 / 32.0, y: 1.0 / 16.0, origin: (0, 0) });
}

#[test]
fn padding_follows_the_size_of_each_frame() {
    let mut preprocessor = Preprocessor::new(spec(Fit::Letterbox { pad: 114 }, Layout::Nchw));
    preprocessor.fill(&grey(64, 64, |_, _| 50));
    let (tensor, _) = preprocessor.fill(&grey(64, 32, |_, _| 50));
    assert_eq!(tensor[31 * 32], 114.0);
    let (tensor, _) = preprocessor.fill(&grey(64, 64, |_, _| 50));
    assert_eq!(tensor[31 * 32], 50.0);
}

#[test]
fn halving_takes_the_mean_of_four() {
    let mut preprocessor = Preprocessor::new(spec(Fit::Stretch, Layout::Nhwc));
    let (tensor, _) = preprocessor.fill(&grey(64, 64, |x, y| (10 * (x % 2) + 20 * (y % 2)) as u8));
    assert!(tensor.iter().all(|&value| value == 15.0));
}

#[test]
fn odd_and_tiny_frames_fit_too() {
    for fit in [Fit::Stretch, Fit::Letterbox { pad: 0 }] {
        for (width, height) in [(2, 2), (3, 5), (33, 2), (2, 301), (1919, 7)] {
            let mut preprocessor = Preprocessor::new(spec(fit, Layout::Nchw));
            let (tensor, _) = preprocessor.fill(&grey(width, height, |_, _| 77));
            assert_eq!(tensor[0], 77.0);
        }
    }
}

#[test]
fn more_sizes_than_are_kept_still_come_out_right() {
    let mut preprocessor = Preprocessor::new(spec(Fit::Letterbox { pad: 9 }, Layout::Nchw));
    for round in 0..2 {
        for width in 2..2 + 2 * MAX_PLANS {
            let (tensor, _) = preprocessor.fill(&grey(width, 20, |_, _| width as u8));
            assert_eq!(tensor[0], width as f32, "round {round}");
        }
        assert_eq!(preprocessor.plans.len(), MAX_PLANS);
    }
}

proptest! {
    #[test]
    fn any_picture_in_either_order_equals_the_literal_way(
        size in (2u32..140, 2u32..90),
        seed in any::<u64>(),
        full in any::<bool>(),
        hd in any::<bool>(),
        rgb in any::<bool>(),
        nhwc in any::<bool>(),
    ) {
        let range = if full { Range::Full } else { Range::Limited };
        let matrix = if hd { Matrix::Bt709 } else { Matrix::Bt601 };
        let mut spec = spec(Fit::Letterbox { pad: 114 }, if nhwc { Layout::Nhwc } else { Layout::Nchw });
        (spec.width, spec.height) = (50, 40);
        spec.colour = if rgb { ColourOrder::Rgb } else { ColourOrder::Bgr };
        for frame in noise(size, seed, Colour { matrix, range }) {
            let mut preprocessor = Preprocessor::new(spec.clone());
            let tensor = preprocessor.fill(&frame).0.to_vec();
            let (out_w, out_h) = preprocessor.plans[0].out;
            let expected = literal(&frame, &spec, (out_w, out_h));
            for (y, x) in (0..40).flat_map(|y| (0..50).map(move |x| (y, x))) {
                for channel in 0..3 {
                    let place = if nhwc { (y * 50 + x) * 3 + channel } else { (channel * 40 + y) * 50 + x };
                    let from = if rgb { channel } else { 2 - channel };
                    let inside = x < out_w && y < out_h;
                    let expected = if inside { expected[y * out_w + x][from] } else { 114.0 };
                    // Half a level for rounding, and what f32 leaves of an exact half.
                    prop_assert!((f64::from(tensor[place]) - expected).abs() <= 0.501, "{x} {y} {channel}");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_window_holds_what_the_whole_has_there(width in 2u32..90, height in 2u32..90, left in 0usize..2, top in 0usize..2, seed in 0u64..1000) {
        let [frame, _] = noise((width, height), seed, Colour::default());
        let large = InputSpec { width: 64, height: 64, ..spec(Fit::Letterbox { pad: 114 }, Layout::Nchw) };
        let mut whole = Preprocessor::new(large);
        let whole = whole.fill(&frame).0.to_vec();
        let mut part = Preprocessor::new(spec(Fit::Letterbox { pad: 114 }, Layout::Nchw));
        let window = Window { whole: (64, 64), origin: (32 * left, 32 * top) };
        let (part, FrameFromModel { origin, .. }) = part.fill_window(&frame, window);
        prop_assume!(origin == window.origin);
        for channel in 0..3 {
            for y in 0..32 {
                let of_whole = &whole[(channel * 64 + y + origin.1) * 64 + origin.0..][..32];
                prop_assert_eq!(of_whole, &part[(channel * 32 + y) * 32..][..32]);
            }
        }
    }
}
