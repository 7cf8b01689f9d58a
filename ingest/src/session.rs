//! One RTSP session: connect, choose the video stream, play, hand out access units.
//!
//! Around the library that pulls: every step and every picture has a deadline, pictures and rates have bounds (`depacketize`,
//! `quality`), packets that come late, twice or damaged are left out, audio is never set up. Credentials leave the settings
//! only here, only to the host they are for, and in readable form only where that is allowed (`probe`). Not here:
//! reconnecting (`camera`), decoding.

pub mod depacketize;
mod nal;
mod probe;
mod quality;
mod size;

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt};
use jiff::SignedDuration;
use retina::{
    client::{
        Described, PacketItem, PlayOptions, Playing, Session as RtspSession, SessionOptions, SetupOptions, Transport,
        UnknownRtcpSsrcPolicy,
    },
    codec::{FrameFormat, ParametersRef},
    rtp::ReceivedPacket,
};
use tokio::time::timeout_at;
use url::Url;

use self::{
    depacketize::{Depacketizer, Packet, Unit},
    probe::Wanted,
    quality::Quality,
};
use crate::{
    access_unit::{AccessUnit, Codec},
    failure::Failure,
    settings::{Credentials, DeclaredNetworks, StreamTransport},
    wall_clock::{Arrival, WallClock},
};

/// A camera's clock that is off by more is not believed.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
/// Largest access unit; an uncompressed 4K picture is about as large.
pub const LARGEST_UNIT: usize = 8 << 20;
/// Redirects that are followed.
const MOST_REDIRECTS: usize = 3;

/// What a session connects to: a camera's main stream or its sub-stream.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its address, without credentials.
    pub url: Url,
    /// Who to be for it.
    pub credentials: Option<Credentials>,
    /// How RTP is carried.
    pub transport: StreamTransport,
    /// Where it may be redirected to.
    pub networks: DeclaredNetworks,
}

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
    playing: RtspSession<Playing>,
    codec: Codec,
    depacketizer: Depacketizer,
    quality: Quality,
    clock: WallClock,
    stall: Duration,
    unit_at: Instant,
    read_at: Instant,
    seen_rtp: bool,
    size: Option<(u32, u32)>,
}

impl Session {
    /// Connects, describes, sets up the video stream and plays.
    pub async fn open(endpoint: &Endpoint, deadlines: Deadlines) -> Result<Self, Failure> {
        let mut url = endpoint.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            if !endpoint.networks.holds(&url) {
                return Err(Failure::Redirected { problem: "out of the declared networks" });
            }
            let credentials = endpoint.credentials.as_ref().filter(|_| url.host() == endpoint.url.host());
            let elsewhere = credentials.is_none() && endpoint.credentials.is_some();
            let wanted = match credentials {
                Some(credentials) => admissible(probe::ask(&url, deadlines.connect).await?, credentials)?,
                None => Wanted::Nothing,
            };
            if let Wanted::Redirect(next) = wanted {
                url = next;
                continue;
            }
            let used = credentials.filter(|_| wanted != Wanted::Nothing);
            let mut played = play(&url, used, endpoint.transport, deadlines).await;
            if let (Err(Failure::AuthFailed { status: 401 }), None, Some(credentials)) = (&played, used, credentials) {
                // It describes itself to anyone and asks for the account only now.
                admissible(probe::ask_to_set_up(&url, deadlines.connect).await?, credentials)?;
                played = play(&url, Some(credentials), endpoint.transport, deadlines).await;
            }
            match played {
                Err(Failure::Rejected { step: "describe", status: 300..=399 }) => {
                    match probe::ask(&url, deadlines.connect).await? {
                        Wanted::Redirect(next) => url = next,
                        _ => return Err(Failure::Redirected { problem: "only sometimes" }),
                    }
                }
                Err(Failure::AuthFailed { .. }) if elsewhere => {
                    return Err(Failure::Redirected { problem: "to another host, which wants the account too" });
                }
                played => return played,
            }
        }
        Err(Failure::Redirected { problem: "in circles" })
    }

    /// Width and height of the picture, once the description or a keyframe told them.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// The next access unit; every way in which the stream ends is a failure, and so is a picture that doesn't come in time.
    /// Safe to cancel.
    pub async fn next(&mut self) -> Result<AccessUnit, Failure> {
        loop {
            if let Some(unit) = self.depacketizer.pop() {
                return self.access_unit(unit);
            }
            if self.read_at > Instant::now() {
                tokio::time::sleep_until(self.read_at.into()).await;
            }
            let deadline = self.unit_at.max(self.read_at) + self.stall;
            // Asked here too, because packets that never make a picture keep the socket ready for ever.
            if Instant::now() > deadline {
                return Err(self.stalled());
            }
            let Ok(item) = timeout_at(deadline.into(), contained("play", self.playing.next())).await else {
                return Err(self.stalled());
            };
            let item = item?;
            match item {
                None => return Err(Failure::Closed),
                Some(Err(error)) => self.survive(&error)?,
                Some(Ok(PacketItem::Rtp(packet))) => self.take_packet(&packet)?,
                Some(Ok(PacketItem::Rtcp(report))) => self.take_report(&report),
                Some(Ok(_)) => {}
            }
        }
    }

    /// How far the camera's clock is off, while that is too far to be believed.
    pub fn clock_error(&self) -> Option<SignedDuration> {
        (!self.clock.is_believed()).then(|| self.clock.offset())
    }

    /// How far the camera's clock is ahead of ours, as far as its reports say.
    pub fn clock_offset(&self) -> SignedDuration {
        self.clock.offset()
    }

    /// What to tell of a stream that plays and whose pictures can't be decoded, because no keyframe comes.
    pub fn lack(&self) -> Option<String> {
        let now = Instant::now();
        self.quality.remark(now).filter(|_| self.quality.lacks_keyframes(now))
    }

    /// Packets that came late or twice so far.
    pub fn n_reordered(&self) -> u64 {
        self.quality.n_reordered()
    }

    /// What is wrong with the stream although it plays, with its cure; for a degraded camera's status.
    pub fn remark(&self) -> Option<String> {
        let clock = self.clock_error().map(|by| format!("its clock is off by {} s; set its time server", by.as_secs()));
        self.quality.remark(Instant::now()).or(clock)
    }

    fn stalled(&self) -> Failure {
        match self.quality.n_lost(Instant::now()) {
            0 => Failure::Stalled { within: self.stall },
            _ if !self.seen_rtp => Failure::Garbled { step: "play" },
            n_lost => Failure::Incomplete { n_lost, within: self.stall },
        }
    }

    fn access_unit(&mut self, unit: Unit) -> Result<AccessUnit, Failure> {
        if unit.keyframe && self.size.is_none() {
            self.size = size::of_keyframe(self.codec, &unit.bytes);
        }
        let arrival = Arrival::now();
        self.unit_at = arrival.instant;
        let stands_alone = unit.keyframe && !unit.entry;
        self.read_at = self.quality.unit(unit.bytes.len(), stands_alone, unit.lost, arrival.instant);
        if unit.entry {
            self.quality.entered(arrival.instant);
        }
        self.depacketizer.seek_entry(self.quality.wants_entry(arrival.instant));
        let captured_at =
            self.clock.captured_at(unit.rtp, arrival).map_err(|step| Failure::ClockStepped { by: step.by })?;
        Ok(AccessUnit {
            codec: self.codec,
            keyframe: unit.keyframe,
            captured_at,
            lost_packets: unit.lost,
            bytes: unit.bytes.into(),
        })
    }

    fn take_packet(&mut self, packet: &ReceivedPacket) -> Result<(), Failure> {
        self.seen_rtp = true;
        self.quality.good_packet();
        let packet = Packet {
            payload: packet.payload(),
            rtp: packet.timestamp().timestamp(),
            mark: packet.mark(),
            lost: packet.loss(),
        };
        self.depacketizer.push(packet).map_err(|_| Failure::Oversized { limit: LARGEST_UNIT })
    }

    /// The library ends nothing by itself: a packet that makes no sense can be left out, and the next one read.
    fn survive(&mut self, error: &retina::Error) -> Result<(), Failure> {
        let message = error.to_string();
        if self.seen_rtp && message.starts_with("wrong ssrc") {
            return Err(Failure::SourceChanged);
        }
        // Errors about one packet name it; any other means that the connection itself is broken.
        if !message.contains("\npkt: ") {
            return Err(Failure::from_retina(error, "play"));
        }
        let out_of_order = message.starts_with("Out-of-order packet");
        match self.quality.bad_packet(out_of_order, Instant::now()) {
            Ok(()) => Ok(()),
            Err(n_packets) if self.seen_rtp && out_of_order => Err(Failure::Disordered { n_packets }),
            Err(_) => Err(Failure::Garbled { step: "play" }),
        }
    }

    fn take_report(&mut self, report: &retina::rtcp::ReceivedCompoundPacket) {
        let sender_report = report.pkts().next().and_then(|packet| packet.as_sender_report().ok().flatten());
        if let (Some(rtp), Some(sender_report)) = (report.rtp_timestamp(), sender_report) {
            self.clock.report(rtp.timestamp(), sender_report.ntp_timestamp().0);
        }
    }
}

/// Why a session really ended that only seems closed or stalled: some cameras refuse an account that was changed by silence, or by a
/// refused keepalive that the library passes over. One question with the account tells.
pub async fn explained(failure: Failure, endpoint: &Endpoint, deadlines: Deadlines) -> Failure {
    let Some(credentials) = &endpoint.credentials else { return failure };
    match probe::takes(&endpoint.url, credentials, deadlines.connect).await {
        Err(refused @ (Failure::AuthFailed { .. } | Failure::BasicRefused)) => refused,
        _ => failure,
    }
}

fn admissible(wanted: Wanted, credentials: &Credentials) -> Result<Wanted, Failure> {
    if wanted == Wanted::Basic && !credentials.allow_basic { Err(Failure::BasicRefused) } else { Ok(wanted) }
}

/// Plays, a second time when a nonce was stale: then the account is right and the second try has a fresh one.
async fn play(
    url: &Url,
    credentials: Option<&Credentials>,
    transport: StreamTransport,
    deadlines: Deadlines,
) -> Result<Session, Failure> {
    let refused = match play_once(url, credentials, transport, deadlines).await {
        Err(Failure::AuthFailed { status: 401 }) => Failure::StaleNonce,
        played => return played,
    };
    let Some(credentials) = credentials else { return Err(Failure::AuthFailed { status: 401 }) };
    probe::takes(url, credentials, deadlines.connect).await?;
    let played = play_once(url, Some(credentials), transport, deadlines).await;
    played.map_err(|failure| if matches!(failure, Failure::AuthFailed { status: 401 }) { refused } else { failure })
}

async fn play_once(
    url: &Url,
    credentials: Option<&Credentials>,
    carried_by: StreamTransport,
    deadlines: Deadlines,
) -> Result<Session, Failure> {
    let credentials = credentials.map(|credentials| retina::client::Credentials {
        username: credentials.username.clone(),
        password: credentials.password.clone(),
    });
    let options = SessionOptions::default().creds(credentials).user_agent("xueliang".to_owned());
    let within = deadlines.connect;
    let mut described = step("describe", within, RtspSession::describe(url.clone(), options)).await?;
    let (index, codec) = choose_video(&described)?;
    let setup = SetupOptions::default().transport(transport(carried_by)).frame_format(FrameFormat::SIMPLE);
    step("setup", within, described.setup(index, setup)).await?;
    let stream = &described.streams()[index];
    let ticks_per_second = stream.clock_rate_hz();
    let size = match stream.parameters() {
        Some(ParametersRef::Video(video)) => Some(video.pixel_dimensions()),
        _ => None,
    };
    let depacketizer = Depacketizer::new(codec, LARGEST_UNIT, parameter_sets(stream.parameters()));
    // Reports of a source that the packets don't name are of no use.
    let options = PlayOptions::default().unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::DropPackets);
    let playing = step("play", within, described.play(options)).await?;
    let now = Instant::now();
    Ok(Session {
        playing,
        codec,
        depacketizer,
        quality: Quality::new(now),
        clock: WallClock::new(ticks_per_second, CLOCK_TOLERANCE),
        stall: deadlines.stall,
        unit_at: now,
        read_at: now,
        seen_rtp: false,
        size,
    })
}

fn parameter_sets(parameters: Option<ParametersRef<'_>>) -> &[u8] {
    match parameters {
        Some(ParametersRef::Video(video)) => video.extra_data(),
        _ => &[],
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
    match tokio::time::timeout(within, contained(name, request)).await {
        Ok(answer) => answer?.map_err(|error| Failure::from_retina(&error, name)),
        Err(_) => Err(Failure::NoAnswer { step: name, within }),
    }
}

/// Keeps a panic of the libraries that read a camera's bytes from ending the camera's task: some malformed descriptions make
/// the SDP parser fail an assertion. The session is given up, as after any other answer that can't be used.
async fn contained<T>(step: &'static str, reading: impl Future<Output = T>) -> Result<T, Failure> {
    AssertUnwindSafe(reading).catch_unwind().await.map_err(|_| Failure::Misdescribed { step })
}
