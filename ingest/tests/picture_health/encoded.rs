//! Pictures through a real encoder and our decoder: only the keyframes, as the gate decodes them.

use std::{io::Write as _, process::Command};

use jiff::{SignedDuration, Timestamp};
use xueliang_inference::DecodedFrame;
use xueliang_ingest::{
    access_unit::{AccessUnit, Codec},
    decode::{DecoderSettings, chain::Chain},
};

use crate::footage::Plane;

/// Pictures a second; a keyframe comes every [`GOP`] of them.
pub const FPS: usize = 5;
const GOP: usize = 2 * FPS;

/// Encodes with x264 at the given rate control; each keyframe with its second.
pub fn keyframes(planes: &[Plane], rate_control: &[&str], start: Timestamp) -> Vec<(i64, DecodedFrame)> {
    gstreamer::init().unwrap();
    let mut chain = Chain::new(Codec::H264, DecoderSettings::default()).unwrap();
    let units = units(&encode(planes, rate_control));
    assert_eq!(units.len(), planes.len());
    let keyframes = units.into_iter().enumerate().step_by(GOP);
    keyframes
        .map(|(index, bytes)| {
            let seconds = (index / FPS) as i64;
            let captured_at = start + SignedDuration::from_secs(seconds);
            let unit =
                AccessUnit { codec: Codec::H264, keyframe: true, captured_at, lost_packets: 0, bytes: bytes.into() };
            (seconds, chain.decode_still(&unit).expect("a picture").to_frame().unwrap())
        })
        .collect()
}

fn encode(planes: &[Plane], rate_control: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (raw, coded) = (folder.path().join("raw"), folder.path().join("coded.h264"));
    let mut file = std::io::BufWriter::new(std::fs::File::create(&raw).unwrap());
    planes.iter().for_each(|plane| file.write_all(&plane.luma).unwrap());
    file.into_inner().unwrap().sync_data().unwrap();
    let size = format!("{}x{}", planes[0].width, planes[0].height);
    let (fps, gop) = (FPS.to_string(), GOP.to_string());
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", &size, "-r", &fps, "-i"])
        .arg(&raw)
        .args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", &gop])
        .args(["-x264-params", "scenecut=0:aud=1:sliced-threads=0:threads=1"])
        .args(rate_control)
        .arg(&coded)
        .status()
        .expect("ffmpeg; run ./check once, it says what is missing");
    assert!(status.success());
    std::fs::read(coded).unwrap()
}

/// Splits at access unit delimiters.
fn units(bytes: &[u8]) -> Vec<Vec<u8>> {
    let delimiter = |at: &usize| bytes[*at..].starts_with(&[0, 0, 0, 1, 9]);
    let mut cuts: Vec<usize> = (0..bytes.len()).filter(delimiter).collect();
    cuts.push(bytes.len());
    cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).collect()
}
