//! One RTSP session: connect, choose the video stream, play, hand out access units.
//!
//! Every step has a deadline; audio is never set up. Credentials leave the settings only here. Not here: reconnecting
//! (`camera`), decoding.

use std::{future::Future, pin::Pin, time::Duration};

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use retina::{
    client::{Demuxed, Described, PlayOptions, Session as RtspSession, SessionOptions, SetupOptions, Transport},
    codec::{CodecItem, FrameFormat, VideoFrame},
};

use crate::{
    access_unit::{AccessUnit, Codec},
    failure::Failure,
    settings::{CameraSettings, StreamTransport},
    wall_clock::WallClock,
};

/// A camera's clock that is off by more is not believed.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Each request of the connection.
    pub connect: Duration,
    /// Between two access units.
    pub stall: Duration,
}

/// A playing session.
pub struct Session {
    demuxed: Pin<Box<Demuxed>>,
    codec: Codec,
    clock: WallClock,
}

impl Session {
    /// Connects, describes, sets up the video stream and plays.
    pub async fn open(camera: &CameraSettings, deadlines: Deadlines) -> Result<Self, Failure> {
        let credentials = camera.credentials.as_ref().map(|credentials| retina::client::Credentials {
            username: credentials.username.clone(),
            password: credentials.password.clone(),
        });
        let options = SessionOptions::default().creds(credentials).user_agent("xueliang".to_owned());
        let within = deadlines.connect;
        let mut described = step("describe", within, RtspSession::describe(camera.url.clone(), options)).await?;
        let (index, codec) = choose_video(&described)?;
        let ticks_per_second = described.streams()[index].clock_rate_hz();
        let setup = SetupOptions::default().transport(transport(camera.transport)).frame_format(FrameFormat::SIMPLE);
        step("setup", within, described.setup(index, setup)).await?;
        let playing = step("play", within, described.play(PlayOptions::default())).await?;
        let demuxed = playing.demuxed().map_err(|error| Failure::from_retina(&error, "play"))?;
        Ok(Self { demuxed: Box::pin(demuxed), codec, clock: WallClock::new(ticks_per_second, CLOCK_TOLERANCE) })
    }

    /// The next access unit; every way in which the stream ends is a failure. Safe to cancel; the caller watches for stalls.
    pub async fn next(&mut self) -> Result<AccessUnit, Failure> {
        loop {
            match self.demuxed.next().await {
                None => return Err(Failure::Closed),
                Some(Err(error)) => return Err(Failure::from_retina(&error, "play")),
                Some(Ok(CodecItem::VideoFrame(frame))) => return Ok(self.access_unit(frame)),
                Some(Ok(CodecItem::Rtcp(report))) => self.take_report(&report),
                Some(Ok(_)) => {}
            }
        }
    }

    /// How far the camera's clock is off, while that is too far to be believed.
    pub fn clock_error(&self) -> Option<SignedDuration> {
        (!self.clock.is_believed()).then(|| self.clock.offset())
    }

    fn access_unit(&mut self, frame: VideoFrame) -> AccessUnit {
        let captured_at = self.clock.captured_at(frame.timestamp().timestamp(), Timestamp::now());
        AccessUnit {
            codec: self.codec,
            keyframe: frame.is_random_access_point(),
            captured_at,
            lost_packets: frame.loss(),
            bytes: frame.into_data().into(),
        }
    }

    fn take_report(&mut self, report: &retina::rtcp::ReceivedCompoundPacket) {
        let sender_report = report.pkts().next().and_then(|packet| packet.as_sender_report().ok().flatten());
        if let (Some(rtp), Some(sender_report)) = (report.rtp_timestamp(), sender_report) {
            self.clock.report(rtp.timestamp(), sender_report.ntp_timestamp().0);
        }
    }
}

fn choose_video(described: &RtspSession<Described>) -> Result<(usize, Codec), Failure> {
    let streams = described.streams();
    let video = streams.iter().enumerate().find_map(|(index, stream)| {
        let codec = Codec::from_encoding_name(stream.encoding_name()).filter(|_| stream.media() == "video")?;
        Some((index, codec))
    });
    video.ok_or_else(|| {
        let offered = streams.iter().take(8).map(|stream| format!("{}/{}", stream.media(), stream.encoding_name()));
        Failure::NoVideo { offered: offered.map(|name| name.chars().take(40).collect()).collect() }
    })
}

fn transport(choice: StreamTransport) -> Transport {
    match choice {
        StreamTransport::Tcp => Transport::Tcp(Default::default()),
        StreamTransport::Udp => Transport::Udp(Default::default()),
    }
}

async fn step<T>(
    name: &'static str,
    within: Duration,
    request: impl Future<Output = Result<T, retina::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(within, request).await {
        Ok(answer) => answer.map_err(|error| Failure::from_retina(&error, name)),
        Err(_) => Err(Failure::NoAnswer { step: name, within }),
    }
}
