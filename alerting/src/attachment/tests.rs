use std::{io::Write as _, time::Instant};

use image::{ExtendedColorType, ImageEncoder as _, Rgb, Rgba, codecs::png::PngEncoder, codecs::webp::WebPEncoder};
use proptest::prelude::*;

use super::*;

const RED: [u8; 3] = [200, 20, 20];
const BLUE: [u8; 3] = [20, 20, 200];

/// Left half red, right half blue.
fn halves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| Rgb(if x < width / 2 { RED } else { BLUE }))
}

fn as_jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(picture).unwrap();
    bytes
}

fn as_progressive_jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.set_progressive(true);
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    encoder.encode(picture.as_raw(), width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

fn as_png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    PngEncoder::new(&mut bytes).write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8).unwrap();
    bytes
}

fn as_webp(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    WebPEncoder::new_lossless(&mut bytes).encode(picture.as_raw(), width, height, ExtendedColorType::Rgb8).unwrap();
    bytes
}

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let n_bytes = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &n_bytes[..], payload].concat()
}

/// An EXIF block with an orientation, a camera's name and a place on the map.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, n: u32, value: [u8; 4]| -> Vec<u8> {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &n.to_be_bytes(), &value].concat()
    };
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x03".to_vec();
    tiff.extend(entry(0x010f, 2, 4, *b"CAM\0"));
    tiff.extend(entry(0x0112, 3, 1, [0, orientation, 0, 0]));
    tiff.extend(entry(0x8825, 4, 1, 50u32.to_be_bytes()));
    tiff.extend([0; 4]);
    tiff.extend(2u16.to_be_bytes());
    tiff.extend(entry(0x0001, 2, 2, *b"N\0\0\0"));
    tiff.extend(entry(0x0002, 5, 3, 80u32.to_be_bytes()));
    tiff.extend([0; 4]);
    for degrees in [31u32, 1, 13, 1, 4242, 100] {
        tiff.extend(degrees.to_be_bytes());
    }
    [b"Exif\0\0".as_slice(), &tiff].concat()
}

/// The JPEG with everything that a phone writes beside the pixels.
fn with_metadata(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend(segment(0xe1, &exif(orientation)));
    bytes.extend(segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>SECRET</x:xmpmeta>"));
    bytes.extend(segment(0xe2, b"ICC_PROFILE\0\x01\x01SECRET"));
    bytes.extend(segment(0xed, b"Photoshop 3.0\x008BIM SECRET"));
    bytes.extend(segment(0xfe, b"SECRET comment"));
    bytes.extend(&jpeg[2..]);
    bytes.extend(b"SECRET film behind the picture");
    bytes
}

fn png_chunk(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let crc = !kind.iter().chain(payload).fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let n_bytes = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&n_bytes[..], kind, payload, &crc.to_be_bytes()].concat()
}

/// A PNG that only claims to have this size.
fn png_of(width: u32, height: u32, bits: u8, colour: u8) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, colour, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &png_chunk(b"IHDR", &header),
        &png_chunk(b"IDAT", &[0x78, 0x9c]),
        &png_chunk(b"IEND", &[]),
    ]
    .concat()
}

fn animated_png() -> Vec<u8> {
    let still = as_png(&halves(8, 8));
    let behind_header = 8 + 25;
    [&still[..behind_header], &png_chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), &still[behind_header..]].concat()
}

fn animated_webp() -> Vec<u8> {
    let still = as_webp(&halves(8, 8));
    let chunk = |kind: &[u8; 4], payload: &[u8]| -> Vec<u8> {
        [kind, &u32::try_from(payload.len()).unwrap().to_le_bytes()[..], payload].concat()
    };
    let frame = [&[0, 0, 0, 0, 0, 0, 7, 0, 0, 7, 0, 0, 100, 0, 0, 0][..], &still[12..]].concat();
    let chunks = [
        chunk(b"VP8X", &[0x02, 0, 0, 0, 7, 0, 0, 7, 0, 0]),
        chunk(b"ANIM", &[0; 6]),
        chunk(b"ANMF", &frame),
        chunk(b"ANMF", &frame),
    ]
    .concat();
    chunk(b"RIFF", &[b"WEBP".as_slice(), &chunks].concat())
}

fn is_near(pixel: &Rgb<u8>, expected: [u8; 3]) -> bool {
    pixel.0.iter().zip(expected).all(|(got, expected)| got.abs_diff(expected) < 30)
}

#[test]
fn nothing_of_the_file_but_its_pixels_is_left() {
    let file = with_metadata(&as_jpeg(&halves(64, 32)), 1);
    assert!(file.windows(5).any(|bytes| bytes == b"Exif\0"), "the test's own file has it");
    let attachment = check(&file).unwrap();
    let markers: Vec<u8> = jpeg::segments(&attachment.bytes).map(|(marker, _)| marker).collect();
    // Start, JFIF's head, tables, frame, scan, end: no APP1 and up, no comment.
    let allowed = |marker: &u8| matches!(marker, 0xd8 | 0xe0 | 0xdb | 0xc0 | 0xc4 | 0xda | 0xd9);
    assert!(markers.iter().all(allowed), "{markers:02x?}");
    assert_eq!((markers.first(), markers.last()), (Some(&0xd8), Some(&0xd9)));
    assert!(jpeg::segments(&attachment.bytes).all(|(marker, head)| marker != 0xe0 || head.starts_with(b"JFIF\0")));
    assert_eq!(&attachment.bytes[attachment.bytes.len() - 2..], [0xff, 0xd9], "nothing stands behind the end");
    for secret in [b"SECRET".as_slice(), b"Exif", b"CAM\0", &4242u32.to_be_bytes()] {
        assert!(!attachment.bytes.windows(secret.len()).any(|bytes| bytes == secret), "{secret:02x?}");
    }
    assert_eq!(attachment.sha256.as_str(), hex::encode(Sha256::digest(&attachment.bytes)));
}

#[test]
fn pictures_are_turned_upright() {
    // Where red is seen: left, right, right turned over, left turned over, top, top, bottom, bottom.
    let expected = [(0, 1), (1, 1), (1, 1), (0, 1), (1, 0), (1, 0), (1, 2), (1, 2)];
    let expected = expected.map(|(x, y)| (x, y)).into_iter().zip(1u8..);
    for ((x, y), orientation) in expected {
        let attachment = check(&with_metadata(&as_jpeg(&halves(64, 32)), orientation)).unwrap();
        let is_turned = orientation >= 5;
        let size = if is_turned { (32, 64) } else { (64, 32) };
        assert_eq!((attachment.width, attachment.height), size, "orientation {orientation}");
        let picture = image::load_from_memory(&attachment.bytes).unwrap().to_rgb8();
        let place = match (is_turned, x, y) {
            (true, _, y) => (16, 8 + y / 2 * 48),
            (false, x, _) => (8 + x * 48, 16),
        };
        assert!(is_near(picture.get_pixel(place.0, place.1), RED), "orientation {orientation}");
    }
}

#[test]
fn long_sides_are_scaled_and_short_ones_stay() {
    let sizes =
        [((3840, 960), (1920, 480)), ((1000, 2500), (768, 1920)), ((640, 480), (640, 480)), ((9000, 1), (1920, 1))];
    for (from, to) in sizes {
        let picture = halves(from.0, from.1);
        for file in [as_jpeg(&picture), as_progressive_jpeg(&picture), as_png(&picture), as_webp(&picture)] {
            let attachment = check(&file).unwrap();
            let kept = image::load_from_memory_with_format(&attachment.bytes, ImageFormat::Jpeg).unwrap().to_rgb8();
            assert_eq!((attachment.width, attachment.height), to, "{from:?}");
            assert_eq!(kept.dimensions(), to);
            assert!(
                is_near(kept.get_pixel(0, 0), RED) && is_near(kept.get_pixel(to.0 - 1, to.1 - 1), BLUE),
                "{from:?}"
            );
        }
    }
}

#[test]
fn what_was_transparent_stays_unseen() {
    let mut file = Vec::new();
    let picture = RgbaImage::from_fn(64, 32, |x, _| Rgba([200, 20, 20, if x < 32 { 0 } else { 255 }]));
    PngEncoder::new(&mut file).write_image(picture.as_raw(), 64, 32, ExtendedColorType::Rgba8).unwrap();
    let kept = image::load_from_memory(&check(&file).unwrap().bytes).unwrap().to_rgb8();
    assert!(is_near(kept.get_pixel(8, 16), [255; 3]) && is_near(kept.get_pixel(56, 16), RED));
}

#[test]
fn refusals_name_the_cause() {
    let (picture, cut) = (halves(64, 32), |bytes: Vec<u8>| bytes[..bytes.len() - 20].to_vec());
    let mut many_scans = as_progressive_jpeg(&picture);
    let behind_start = segment(SCAN, &[1, 1, 0, 0, 63, 0]).repeat(40);
    many_scans.splice(2..2, behind_start);
    let refused = [
        (Vec::new(), "is no JPEG, PNG or WebP"),
        (b"GIF89a\x01\0\x01\0".to_vec(), "is no JPEG, PNG or WebP"),
        (b"%PDF-1.7".to_vec(), "is no JPEG, PNG or WebP"),
        (vec![0xff; MAX_BYTES + 1], "at most 10000000"),
        (animated_png(), "animated"),
        (animated_webp(), "animated"),
        (png_of(60_000, 60_000, 8, 2), "60000 × 60000 pixels"),
        (png_of(6300, 6300, 16, 6), "8 bits a channel"),
        (png_of(60, 60, 8, 2), "damaged"),
        (cut(as_jpeg(&picture)), "ends before the picture does"),
        (cut(as_png(&picture)), "damaged"),
        (cut(as_webp(&picture)), "damaged"),
        (many_scans, "scans: send one of at most 32"),
        (b"\xff\xd8\xff\xe0".to_vec(), "ends before"),
        (b"\xff\xd8\xff\xd9".to_vec(), "damaged"),
    ];
    for (file, expected) in refused {
        let refusal = check(&file).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal} instead of {expected}");
    }
}

const SCAN: u8 = 0xda;

/// Ten thousand times its size once unpacked, inside a small picture: what isn't used isn't unpacked.
#[test]
fn a_packed_block_beside_the_pixels_costs_nothing() {
    let mut packed = png_deflated(&vec![0; 100_000_000]);
    packed.splice(0..0, *b"profile\0\0");
    let still = as_png(&halves(8, 8));
    let file = [&still[..33], &png_chunk(b"iCCP", &packed), &still[33..]].concat();
    let began = Instant::now();
    drop(check(&file));
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

fn png_deflated(bytes: &[u8]) -> Vec<u8> {
    let mut png = Vec::new();
    let width = 10_000;
    let height = u32::try_from(bytes.len()).unwrap() / width;
    PngEncoder::new_with_quality(
        &mut png,
        image::codecs::png::CompressionType::Best,
        image::codecs::png::FilterType::NoFilter,
    )
    .write_image(bytes, width, height, ExtendedColorType::L8)
    .unwrap();
    let mut packed = Vec::new();
    let mut rest = &png[8..];
    while let Some((n_bytes, after)) = rest.split_first_chunk::<4>() {
        let n_bytes = u32::from_be_bytes(*n_bytes) as usize;
        if &after[..4] == b"IDAT" {
            packed.write_all(&after[4..4 + n_bytes]).unwrap();
        }
        rest = &after[n_bytes + 8..];
    }
    packed
}

fn kinds() -> impl Strategy<Value = Vec<u8>> {
    let picture = halves(40, 24);
    let jpeg = with_metadata(&as_jpeg(&picture), 6);
    prop::sample::select(vec![
        jpeg,
        as_progressive_jpeg(&picture),
        as_png(&picture),
        as_webp(&picture),
        animated_png(),
        animated_webp(),
    ])
}

/// Takes it or says why not, soon, and within the bounds.
fn is_bounded(file: &[u8]) -> Result<(), TestCaseError> {
    let began = Instant::now();
    if let Ok(attachment) = check(file) {
        prop_assert!(attachment.width.max(attachment.height) <= MAX_SIDE);
        prop_assert!(attachment.bytes.len() <= MAX_BYTES);
        let markers: Vec<u8> = jpeg::segments(&attachment.bytes).map(|(marker, _)| marker).collect();
        prop_assert!(!markers.iter().any(|marker| matches!(marker, 0xe1..=0xef | 0xfe)), "{:02x?}", markers);
    }
    prop_assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_never_panic(head in prop::sample::select(vec![&b""[..], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x80\0\0\0WEBP"]), tail in prop::collection::vec(any::<u8>(), 0..2000)) {
        is_bounded(&[head, &tail].concat())?;
    }

    #[test]
    fn damaged_pictures_never_panic(
        mut file in kinds(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        for (index, byte) in changes {
            let index = index.index(file.len());
            file[index] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        is_bounded(&file)?;
    }
}
