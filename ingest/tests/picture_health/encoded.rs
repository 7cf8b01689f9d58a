//! Pictures through a real encoder and our decoder: only the keyframes, as a closed gate decodes them, or all, in a camera's lane.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use xueliang_inference::{DecodedFrame, Frame, PictureVerdict, PrivacyMasks};
use xueliang_ingest::{
    access_unit::{AccessUnit, Codec},
    decode::{DecoderPool, DecoderSettings, FrameSink, Lane, LaneSettings, Rest, Wake, chain::Chain},
    gate::{Job, Mode, Purpose},
    metrics::Metrics,
};

use crate::footage::Plane;

/// Pictures a second; a keyframe comes every [`GOP`] of them.
pub const FPS: usize = 5;
const GOP: usize = 2 * FPS;

/// Encodes with x264 at the given rate control; each keyframe with its second.
pub fn keyframes(planes: &[Plane], rate_control: &[&str], start: Timestamp) -> Vec<(i64, DecodedFrame)> {
    gstreamer::init().unwrap();
    let mut chain = Chain::new(Codec::H264, DecoderSettings::default()).unwrap();
    let units = encode(planes, GOP, rate_control);
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

/// Shows a camera's lane all pictures, of groups so long; what it says of them after each second.
pub fn in_lane(planes: &[Plane], group_s: usize, rate_control: &[&str], start: Timestamp) -> Vec<PictureVerdict> {
    gstreamer::init().unwrap();
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    let pool = DecoderPool::start(1, 1, DecoderSettings::default(), &metrics).unwrap();
    let settings =
        LaneSettings { masks: PrivacyMasks::none(), analysis_fps: FPS as f32, metrics: metrics.camera("camera") };
    let lane = Arc::new(Lane::new(settings, Arc::new(Nobody)));
    pool.work(&lane, vec![Job::BeginStream]);
    let (mut verdicts, mut n_given) = (Vec::new(), 0);
    for second in encode(planes, group_s * FPS, rate_control).chunks(FPS) {
        let jobs = second.iter().map(|bytes| {
            let captured_at = start + SignedDuration::from_millis((1000 * n_given / FPS) as i64);
            let keyframe = n_given % (group_s * FPS) == 0;
            n_given += 1;
            let bytes = bytes.clone().into();
            let unit = AccessUnit { codec: Codec::H264, keyframe, captured_at, lost_packets: 0, bytes };
            Job::Decode { unit, mode: Mode::Stream, purpose: Purpose::CatchUp }
        });
        pool.work(&lane, jobs.collect());
        let deadline = Instant::now() + Duration::from_secs(60);
        while lane.n_decoded() < n_given as u64 {
            assert!(Instant::now() < deadline, "{} of {n_given} decoded", lane.n_decoded());
            std::thread::yield_now();
        }
        verdicts.push(lane.picture());
    }
    verdicts
}

/// Takes frames and looks at none.
struct Nobody;

impl FrameSink for Nobody {
    fn take(&self, _: Frame, _: Purpose) {}

    fn carry(&self, _: Timestamp) {}

    fn rest(&self) -> Option<Rest> {
        None
    }

    fn coast(&self, _: Timestamp) {}

    fn has_room(&self, _: Purpose) -> bool {
        true
    }

    fn wait_for_room(&self, _: Wake) -> bool {
        true
    }
}

/// Encodes with x264; each picture's access unit.
fn encode(planes: &[Plane], gop: usize, rate_control: &[&str]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let coded = folder.path().join("coded.h264");
    let size = format!("{}x{}", planes[0].width, planes[0].height);
    let (fps, gop) = (FPS.to_string(), gop.to_string());
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", &fps, "-i", "-"])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", &gop])
        .args(["-x264-params", "scenecut=0:aud=1:sliced-threads=0:threads=1"])
        .args(rate_control)
        .arg(&coded)
        .stdin(Stdio::piped())
        .spawn()
        .expect("ffmpeg; run ./check once, it says what is missing");
    let mut raw = ffmpeg.stdin.take().unwrap();
    let grey = vec![128; planes[0].luma.len() / 2];
    for plane in planes {
        raw.write_all(&plane.luma).and_then(|()| raw.write_all(&grey)).unwrap();
    }
    drop(raw);
    assert!(ffmpeg.wait().unwrap().success());
    let units = units(&std::fs::read(coded).unwrap());
    assert_eq!(units.len(), planes.len());
    units
}

/// Splits at access unit delimiters.
fn units(bytes: &[u8]) -> Vec<Vec<u8>> {
    let delimiter = |at: &usize| bytes[*at..].starts_with(&[0, 0, 0, 1, 9]);
    let mut cuts: Vec<usize> = (0..bytes.len()).filter(delimiter).collect();
    cuts.push(bytes.len());
    cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).collect()
}
