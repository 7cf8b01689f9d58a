//! Each quirk of a camera against a real session: what comes out, what the cause says, and that a good camera in the same
//! process is not disturbed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use xueliang_events::payload::DeviceState;
use xueliang_ingest::failure::Failure;
use xueliang_ingest::session::{self, Deadlines, Endpoint, Session};
use xueliang_ingest::settings::{Credentials, DeclaredNetworks, StreamTransport};
use xueliang_tests::faults::{Flow, PASSWORD, Quirk, Reel, Relay, ScriptedCamera, USER};
use xueliang_tests::parts;
use xueliang_tests::simcam::{Camera, Codec, SimCam};

pub const DEADLINES: Deadlines = Deadlines { connect: Duration::from_secs(3), stall: Duration::from_secs(3) };
const LARGE: &[u8] = include_bytes!("../../ingest/tests/fixtures/large.h264");

pub fn reels() -> (Reel, Reel) {
    static REELS: OnceLock<(Reel, Reel)> = OnceLock::new();
    let read = || {
        let (street, large) = (Reel::of(&parts::street(Codec::H264).unwrap()).unwrap(), Reel::read(LARGE).unwrap());
        // Looked in once, so that nobody's session waits for it.
        assert!(street.holds(street.unit(0)));
        (street, large)
    };
    REELS.get_or_init(read).clone()
}

pub fn camera(quirk: Quirk) -> ScriptedCamera {
    let (street, other) = reels();
    ScriptedCamera::start(quirk, &street, &other).unwrap()
}

pub fn endpoint(url: &str, password: Option<&str>) -> Endpoint {
    let credentials = password.map(|password| Credentials {
        username: USER.to_owned(),
        password: password.to_owned(),
        allow_basic: false,
    });
    Endpoint {
        url: url.parse().unwrap(),
        credentials,
        transport: StreamTransport::Tcp,
        networks: DeclaredNetworks::default(),
    }
}

/// What a session brought in a while.
#[derive(Default)]
pub struct Seen {
    pub n_units: usize,
    pub n_keyframes: usize,
    pub n_lost: u64,
    /// Pictures that the camera's footage does not hold as they came.
    pub n_foreign: usize,
    n_bytes: usize,
    n_reordered: u64,
    pub captured: Vec<Timestamp>,
    widest_gap: Duration,
    pub remarks: Vec<String>,
    pub failure: Option<Failure>,
}

impl Seen {
    pub fn cause(&self) -> String {
        self.failure.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn state(&self) -> DeviceState {
        self.failure.as_ref().map_or(DeviceState::Live, Failure::state)
    }

    fn remarked(&self, word: &str) -> bool {
        self.remarks.iter().any(|remark| remark.contains(word))
    }

    /// How far the last capture time was from the end of watching.
    fn last_capture_off(&self, ended_at: Timestamp) -> SignedDuration {
        ended_at.duration_since(*self.captured.last().unwrap()).abs()
    }
}

async fn watch(endpoint: &Endpoint, during: Duration) -> Seen {
    let (mut seen, (footage, _)) = (Seen::default(), reels());
    let mut session = match Session::open(endpoint, DEADLINES).await {
        Ok(session) => session,
        Err(failure) => return Seen { failure: Some(failure), ..seen },
    };
    let (until, mut last) = (Instant::now() + during, Instant::now());
    while let Ok(unit) = tokio::time::timeout_at(until.into(), session.next()).await {
        match unit {
            Ok(unit) => {
                seen.n_units += 1;
                seen.n_keyframes += usize::from(unit.keyframe);
                seen.n_lost += u64::from(unit.lost_packets);
                seen.n_bytes += unit.bytes.len();
                seen.n_foreign += usize::from(!footage.holds(&unit.bytes));
                seen.captured.push(unit.captured_at);
                seen.widest_gap = seen.widest_gap.max(last.elapsed());
                last = Instant::now();
            }
            Err(failure) => {
                seen.failure = Some(failure);
                break;
            }
        }
        seen.remarks.extend(session.remark());
        seen.remarks.dedup();
        seen.n_reordered = session.n_reordered();
    }
    if let Some(failure @ (Failure::Closed | Failure::Stalled { .. })) = seen.failure.clone() {
        seen.failure = Some(session::explained(failure, endpoint, DEADLINES).await);
    }
    seen
}

/// Watches cameras beside a good one, all in one thread, and checks the good one.
pub fn watch_all(endpoints: &[Endpoint], during: Duration) -> Vec<Seen> {
    let good = camera(Quirk::Plain);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (seen, undisturbed) = runtime.block_on(async {
        let good = endpoint(&good.url(), None);
        let others = futures::future::join_all(endpoints.iter().map(|endpoint| watch(endpoint, during)));
        tokio::join!(others, watch(&good, during))
    });
    assert_eq!(undisturbed.failure, None, "the good camera was disturbed");
    assert_eq!(undisturbed.n_lost, 0);
    assert!(undisturbed.captured.is_sorted() && undisturbed.n_keyframes >= 1);
    assert!(undisturbed.widest_gap < Duration::from_secs(2), "the good camera waited {:?}", undisturbed.widest_gap);
    let expected = 6 * during.as_secs() as usize;
    assert!(undisturbed.n_units >= expected, "the good camera brought {} pictures", undisturbed.n_units);
    seen
}

fn watch_one(endpoint: &Endpoint) -> Seen {
    watch_all(std::slice::from_ref(endpoint), Duration::from_secs(1)).remove(0)
}

fn quirks(quirks: &[Quirk], seconds: u64) -> Vec<(Quirk, Seen)> {
    let cameras: Vec<ScriptedCamera> = quirks.iter().map(|quirk| camera(*quirk)).collect();
    let endpoints: Vec<Endpoint> = cameras.iter().map(|camera| endpoint(&camera.url(), Some(PASSWORD))).collect();
    quirks.iter().copied().zip(watch_all(&endpoints, Duration::from_secs(seconds))).collect()
}

#[test]
fn cameras_that_err_and_still_play_are_played() {
    use Quirk::*;
    let smooth = [
        NoParameterSets,
        WrongParameterSets,
        BareDescription,
        NoSenderReport,
        SplitAnywhere,
        ResolutionSwitches,
        RefusesKeepalive,
    ];
    let told = [
        (DoubledPackets, "out of order"),
        (ClockJumpsForward, "clock is off"),
        (ClockJumpsBack, "clock is off"),
        (HundredfoldSpeed, "held back"),
    ];
    let thinned = [LostPackets, ReorderedPackets, WrongClockRate];
    let all: Vec<Quirk> = smooth.into_iter().chain(told.map(|(quirk, _)| quirk)).chain(thinned).collect();
    let seen = quirks(&all, 7);
    let ended_at = Timestamp::now();
    for (quirk, seen) in &seen {
        assert_eq!(seen.failure, None, "{quirk:?}");
        assert!(seen.captured.is_sorted(), "{quirk:?}: time went back");
        assert!(seen.last_capture_off(ended_at) < SignedDuration::from_secs(8), "{quirk:?}");
        assert!(seen.n_units >= if thinned.contains(quirk) { 7 } else { 42 }, "{quirk:?}: {} pictures", seen.n_units);
        if smooth.contains(quirk) {
            assert_eq!((seen.n_lost, &seen.remarks), (0, &Vec::new()), "{quirk:?}");
            assert!(seen.n_keyframes >= 1, "{quirk:?}");
        }
        if let Some((_, word)) = told.iter().find(|(told, _)| told == quirk) {
            assert!(seen.remarked(word), "{quirk:?}: {:?}", seen.remarks);
        }
        if *quirk == LostPackets {
            assert!(seen.n_lost > 0);
        }
        let is_disordered = matches!(quirk, DoubledPackets | ReorderedPackets);
        assert_eq!(seen.n_reordered > 0, is_disordered, "{quirk:?}: {} came late or twice", seen.n_reordered);
        if *quirk == HundredfoldSpeed {
            assert!(seen.n_units <= 600 + 8 * 120, "{} pictures came through", seen.n_units);
        }
    }
}

#[test]
fn cameras_that_fail_are_told_with_state_and_cause() {
    use Quirk::*;
    let expected = [
        (EmptyDescription, DeviceState::Refused, "lacks what RTSP demands"),
        (MalformedDescription, DeviceState::Refused, "lacks what RTSP demands"),
        (NoVideo, DeviceState::Refused, "no H.264 or H.265"),
        (EndlessDescription, DeviceState::Stalled, "no answer within 3 s"),
        (CutHalfway, DeviceState::Unreachable, "middle of a packet"),
        (SourceChanges, DeviceState::Connecting, "another stream"),
        (SequenceJumps, DeviceState::Refused, "out of order"),
        (HugePicture, DeviceState::Refused, "larger than 8 MB"),
        (EndlessPicture, DeviceState::Refused, "larger than 8 MB"),
        (AlwaysStale, DeviceState::AuthFailed, "nonce expired"),
        (RedirectsInCircles, DeviceState::Refused, "in circles"),
        (IgnoresKeepalive, DeviceState::Stalled, "keepalive"),
        (UnauthorizedInSession, DeviceState::Unreachable, "closed the connection"),
        (SessionNotFound, DeviceState::Unreachable, "closed the connection"),
        (UnauthorizedLeftOpen, DeviceState::Stalled, "perhaps because the camera ended the session"),
        (SessionNotFoundLeftOpen, DeviceState::Stalled, "perhaps because the camera ended the session"),
        (StallsLater, DeviceState::Stalled, "no picture for 3 s"),
        (AccountChanges, DeviceState::AuthFailed, "refused the account"),
    ];
    for ((quirk, seen), (_, state, cause)) in quirks(&expected.map(|(quirk, ..)| quirk), 14).iter().zip(expected) {
        assert_eq!(seen.state(), state, "{quirk:?}: {}", seen.cause());
        assert!(seen.cause().contains(cause), "{quirk:?}: {}", seen.cause());
        assert!(seen.n_bytes < 8 << 20, "{quirk:?}: {} bytes came out", seen.n_bytes);
    }
}

#[test]
fn a_stream_without_keyframes_is_degraded_with_its_cure() {
    let (_, seen) = quirks(&[Quirk::NoIdr], 32).remove(0);
    assert_eq!((seen.failure.clone(), seen.n_keyframes), (None, 0));
    assert!(seen.remarked("I-frame interval"), "{:?}", seen.remarks);
}

#[test]
fn a_stream_refreshed_bit_by_bit_is_entered_after_ten_seconds() {
    let street = parts::path("footage/vtest_h264.mp4").unwrap();
    let reel = Reel::refreshed_bit_by_bit(&street).unwrap();
    assert!((0..600).all(|nth| !reel.is_keyframe(nth)));
    let camera = ScriptedCamera::start(Quirk::Plain, &reel, &reel).unwrap();
    let seen = watch_all(&[endpoint(&camera.url(), None)], Duration::from_secs(32)).remove(0);
    assert_eq!((seen.failure.clone(), seen.n_keyframes), (None, 1), "{}", seen.cause());
    assert!(seen.remarked("intra refresh"), "{:?}", seen.remarks);
}

#[test]
fn digest_of_every_kind_plays_and_a_wrong_password_is_told() {
    use Quirk::*;
    let kinds = [DigestQop, DigestWithoutQop, DigestSha256, BasicAndDigest, StaleNonce, AsksAtSetup];
    let cameras = kinds.map(camera);
    for (password, state) in
        [(Some(PASSWORD), DeviceState::Live), (Some("guess"), DeviceState::AuthFailed), (None, DeviceState::AuthFailed)]
    {
        let endpoints = cameras.each_ref().map(|camera| endpoint(&camera.url(), password));
        for (quirk, seen) in kinds.iter().zip(watch_all(&endpoints, Duration::from_secs(1))) {
            assert_eq!(seen.state(), state, "{quirk:?} with {password:?}: {}", seen.cause());
        }
    }
    let sent = cameras.iter().flat_map(ScriptedCamera::authorizations);
    assert!(sent.into_iter().all(|sent| sent.starts_with("Digest ")));
}

#[test]
fn basic_is_refused_unless_allowed_and_the_password_stays_here() {
    [Quirk::BasicOnly, Quirk::AsksBasicAtSetup].iter().for_each(|quirk| check_basic(*quirk));
}

fn check_basic(quirk: Quirk) {
    let camera = camera(quirk);
    let mut endpoint = endpoint(&camera.url(), Some(PASSWORD));
    let seen = watch_one(&endpoint);
    assert_eq!(seen.failure, Some(Failure::BasicRefused));
    assert!(seen.cause().contains("allow_basic"));
    assert_eq!(camera.authorizations(), Vec::<String>::new());
    endpoint.credentials.as_mut().unwrap().allow_basic = true;
    assert_eq!(watch_one(&endpoint).failure, None);
}

#[test]
fn redirects_are_followed_but_no_account_leaves_its_host() {
    let camera = camera(Quirk::Redirects);
    for password in [Some(PASSWORD), None] {
        let seen = watch_one(&endpoint(&camera.url(), password));
        assert_eq!(seen.failure, None, "{}", seen.cause());
    }
    let (street, other) = reels();
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let thief = ScriptedCamera::on(elsewhere, Quirk::BasicOnly, &street, &other).unwrap();
    let camera = ScriptedCamera::redirecting(&thief.url(), &street, &other).unwrap();
    let mut endpoint = endpoint(&camera.url(), Some(PASSWORD));
    endpoint.credentials.as_mut().unwrap().allow_basic = true;
    let seen = watch_one(&endpoint);
    assert!(seen.cause().contains("another host"), "{}", seen.cause());
    assert_eq!(thief.authorizations(), Vec::<String>::new());
}

#[test]
fn p34_no_redirect_leads_out_of_the_declared_networks() {
    let (street, other) = reels();
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let abroad = ScriptedCamera::on(elsewhere, Quirk::Plain, &street, &other).unwrap();
    let camera = ScriptedCamera::redirecting(&abroad.url(), &street, &other).unwrap();
    let seen = watch_one(&endpoint(&camera.url(), None));
    assert_eq!(seen.failure, None, "{}", seen.cause());
    let networks = DeclaredNetworks::of(["127.0.0.1"]).unwrap();
    let seen = watch_one(&Endpoint { networks, ..endpoint(&camera.url(), None) });
    assert!(seen.cause().contains("out of the declared networks"), "{}", seen.cause());
}

#[test]
fn both_codings_play_over_both_transports() {
    for codec in [Codec::H264, Codec::H265] {
        let street = SimCam::start(0, None, Camera::spread("/cam", &parts::street(codec).unwrap(), 2)).unwrap();
        let mut endpoints = [1, 2].map(|nth| endpoint(&street.url(&format!("/cam/{nth}")), None));
        endpoints[1].transport = StreamTransport::Udp;
        for (endpoint, seen) in endpoints.iter().zip(watch_all(&endpoints, Duration::from_secs(3))) {
            assert_eq!(seen.failure, None, "{codec:?} over {:?}", endpoint.transport);
            assert!(seen.n_units >= 15 && seen.n_keyframes >= 1, "{codec:?}: {} pictures", seen.n_units);
            assert_eq!((seen.n_lost, &seen.remarks), (0, &Vec::new()));
        }
    }
}

#[test]
fn ipv6_plays() {
    let (street, other) = reels();
    let camera = ScriptedCamera::on(IpAddr::V6(Ipv6Addr::LOCALHOST), Quirk::DigestQop, &street, &other).unwrap();
    assert!(camera.url().contains("[::1]"));
    let seen = watch_one(&endpoint(&camera.url(), Some(PASSWORD)));
    assert_eq!(seen.failure, None, "{}", seen.cause());
}

#[test]
fn a_short_session_timeout_is_kept_alive() {
    let camera = camera(Quirk::ShortTimeout);
    let seen = watch_all(&[endpoint(&camera.url(), None)], Duration::from_secs(6)).remove(0);
    assert_eq!(seen.failure, None, "{}", seen.cause());
    assert!(camera.n_keepalives() >= 4, "{} keepalives", camera.n_keepalives());
}

#[test]
fn what_a_network_does_is_survived_or_told() {
    let flows = [
        (Flow::Late(Duration::from_millis(300)), DeviceState::Live, ""),
        (Flow::Narrow(400_000), DeviceState::Live, ""),
        (Flow::CutAfter(70_001), DeviceState::Unreachable, ""),
        (Flow::Reset, DeviceState::Unreachable, ""),
        (Flow::HalfOpen, DeviceState::Stalled, "no picture for 3 s"),
        (Flow::Stall, DeviceState::Stalled, "no picture for 3 s"),
    ];
    let camera = camera(Quirk::Plain);
    let target = camera.url().trim_start_matches("rtsp://").trim_end_matches("/cam/1").parse().unwrap();
    let relays = flows.map(|_| Relay::start(target).unwrap());
    let endpoints = relays.each_ref().map(|relay| endpoint(&format!("rtsp://{}/cam/1", relay.address()), None));
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            relays.iter().zip(flows).for_each(|(relay, (flow, ..))| relay.set(flow));
        });
        watch_all(&endpoints, Duration::from_secs(6))
    });
    for (seen, (flow, state, cause)) in seen.iter().zip(flows) {
        assert_eq!(seen.state(), state, "{flow:?}: {}", seen.cause());
        assert!(seen.cause().contains(cause), "{flow:?}: {}", seen.cause());
        assert!(seen.n_units >= 3, "{flow:?}: {} pictures", seen.n_units);
    }
}
