//! Each quirk of a camera against a real session: what comes out, what the cause says, and that a good camera in the same
//! process is not disturbed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use xueliang_events::payload::DeviceState;
use xueliang_ingest::failure::Failure;
use xueliang_ingest::session::{Deadlines, Endpoint, Session};
use xueliang_ingest::settings::{Credentials, StreamTransport};
use xueliang_tests::faults::{PASSWORD, Quirk, Reel, ScriptedCamera, USER};
use xueliang_tests::parts;
use xueliang_tests::simcam::Codec;

const DEADLINES: Deadlines = Deadlines { connect: Duration::from_secs(3), stall: Duration::from_secs(3) };
const LARGE: &[u8] = include_bytes!("../../ingest/tests/fixtures/large.h264");

fn reels() -> (Reel, Reel) {
    static REELS: OnceLock<(Reel, Reel)> = OnceLock::new();
    let read = || (Reel::of(&parts::street(Codec::H264).unwrap()).unwrap(), Reel::read(LARGE).unwrap());
    REELS.get_or_init(read).clone()
}

fn camera(quirk: Quirk) -> ScriptedCamera {
    let (street, other) = reels();
    ScriptedCamera::start(quirk, &street, &other).unwrap()
}

fn endpoint(camera: &ScriptedCamera, password: Option<&str>) -> Endpoint {
    let credentials = password.map(|password| Credentials {
        username: USER.to_owned(),
        password: password.to_owned(),
        allow_basic: false,
    });
    Endpoint { url: camera.url().parse().unwrap(), credentials, transport: StreamTransport::Tcp }
}

/// What a session brought in a while.
#[derive(Default)]
struct Seen {
    n_units: usize,
    n_keyframes: usize,
    n_lost: u64,
    n_bytes: usize,
    captured: Vec<Timestamp>,
    widest_gap: Duration,
    remarks: Vec<String>,
    failure: Option<Failure>,
}

impl Seen {
    fn cause(&self) -> String {
        self.failure.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn state(&self) -> DeviceState {
        self.failure.as_ref().map_or(DeviceState::Live, Failure::state)
    }
}

async fn watch(endpoint: &Endpoint, during: Duration) -> Seen {
    let mut seen = Seen::default();
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
    }
    seen
}

/// Watches a camera with a quirk beside a good one, and checks the good one.
fn beside_a_good_one(endpoint: &Endpoint, during: Duration) -> Seen {
    let good = camera(Quirk::None);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (seen, undisturbed) = runtime.block_on(async {
        let good = self::endpoint(&good, None);
        tokio::join!(watch(endpoint, during), watch(&good, during.max(Duration::from_secs(1))))
    });
    assert_eq!(undisturbed.failure, None, "the good camera was disturbed");
    assert_eq!(undisturbed.n_lost, 0);
    assert!(undisturbed.widest_gap < Duration::from_secs(2), "the good camera waited {:?}", undisturbed.widest_gap);
    assert!(undisturbed.n_units >= 5, "the good camera brought {} pictures", undisturbed.n_units);
    seen
}

fn seen(quirk: Quirk, seconds: u64) -> Seen {
    beside_a_good_one(&endpoint(&camera(quirk), Some(PASSWORD)), Duration::from_secs(seconds))
}

#[track_caller]
fn plays(quirk: Quirk, seconds: u64) -> Seen {
    let seen = seen(quirk, seconds);
    assert_eq!(seen.failure, None, "{quirk:?}");
    assert!(seen.n_units as u64 >= 6 * seconds, "{quirk:?}: {} pictures in {seconds} s", seen.n_units);
    seen
}

#[track_caller]
fn fails(quirk: Quirk, state: DeviceState, cause: &str) -> Seen {
    let seen = seen(quirk, 12);
    assert_eq!(seen.state(), state, "{quirk:?}: {}", seen.cause());
    assert!(seen.cause().contains(cause), "{quirk:?}: {}", seen.cause());
    seen
}

#[test]
fn a_good_camera_plays_with_its_capture_times() {
    let seen = plays(Quirk::None, 3);
    assert_eq!((seen.n_lost, seen.remarks.len()), (0, 0));
    assert!(seen.n_keyframes >= 1 && seen.captured.is_sorted());
}

#[test]
fn missing_and_wrong_descriptions_of_parameters_do_not_matter() {
    for quirk in [Quirk::NoParameterSets, Quirk::WrongParameterSets, Quirk::BareDescription] {
        assert!(plays(quirk, 2).n_keyframes >= 1, "{quirk:?}");
    }
}

#[test]
fn a_wrong_clock_rate_leaves_capture_times_near_now() {
    let seen = plays(Quirk::WrongClockRate, 3);
    let late = Timestamp::now().duration_since(*seen.captured.last().unwrap());
    assert!(late.abs() < SignedDuration::from_secs(8), "{late:?}");
}

#[test]
fn descriptions_that_cannot_be_used_are_told() {
    fails(Quirk::EmptyDescription, DeviceState::Refused, "lacks what RTSP demands");
    fails(Quirk::NoVideo, DeviceState::Refused, "no H.264 or H.265");
    fails(Quirk::EndlessDescription, DeviceState::Stalled, "no answer within 3 s");
}

#[test]
fn without_sender_reports_the_arrival_counts() {
    let seen = plays(Quirk::NoSenderReport, 2);
    let late = Timestamp::now().duration_since(*seen.captured.last().unwrap());
    assert!(late.abs() < SignedDuration::from_secs(3), "{late:?}");
}

#[test]
fn a_camera_clock_that_jumps_turns_no_time_back_and_is_told() {
    for quirk in [Quirk::ClockJumpsForward, Quirk::ClockJumpsBack] {
        let seen = plays(quirk, 4);
        assert!(seen.captured.is_sorted(), "{quirk:?}");
        let last = Timestamp::now().duration_since(*seen.captured.last().unwrap());
        assert!(last.abs() < SignedDuration::from_secs(8), "{quirk:?}: {last:?}");
        assert!(seen.remarks.iter().any(|remark| remark.contains("clock is off")), "{quirk:?}: {:?}", seen.remarks);
    }
}

#[test]
fn lost_packets_are_counted_and_told() {
    let seen = plays_or_thins(Quirk::LostPackets);
    assert!(seen.n_lost > 0);
}

#[track_caller]
fn plays_or_thins(quirk: Quirk) -> Seen {
    let seen = seen(quirk, 4);
    assert_eq!(seen.failure, None, "{quirk:?}");
    assert!(seen.n_units >= 4, "{quirk:?}: {} pictures", seen.n_units);
    seen
}

#[test]
fn doubled_and_reordered_packets_do_not_end_the_session() {
    let seen = plays(Quirk::DoubledPackets, 4);
    assert!(seen.remarks.iter().any(|remark| remark.contains("out of order")), "{:?}", seen.remarks);
    plays_or_thins(Quirk::ReorderedPackets);
}

#[test]
fn interleaved_frames_may_be_split_anywhere() {
    assert_eq!(plays(Quirk::SplitAnywhere, 3).n_lost, 0);
}

#[test]
fn a_connection_cut_within_a_packet_is_told() {
    let seen = fails(Quirk::CutHalfway, DeviceState::Unreachable, "middle of a packet");
    assert!(seen.n_units >= 12);
}

#[test]
fn a_new_source_or_sequence_ends_the_session_at_once() {
    let seen = fails(Quirk::SourceChanges, DeviceState::Connecting, "another stream");
    assert!(seen.n_units >= 12);
    fails(Quirk::SequenceJumps, DeviceState::Refused, "out of order");
}

#[test]
fn a_resolution_switch_goes_on() {
    assert!(plays(Quirk::ResolutionSwitches, 4).n_keyframes >= 2);
}

#[test]
fn a_stream_without_keyframes_is_degraded_with_its_cure() {
    let seen = seen(Quirk::NoIdr, 33);
    assert_eq!((seen.failure.clone(), seen.n_keyframes), (None, 0));
    assert!(seen.remarks.iter().any(|remark| remark.contains("I-frame interval")), "{:?}", seen.remarks);
}

#[test]
fn pictures_beyond_the_bound_are_refused_before_they_are_collected() {
    for quirk in [Quirk::HugePicture, Quirk::EndlessPicture] {
        let seen = fails(quirk, DeviceState::Refused, "larger than 8 MB");
        assert!(seen.n_units >= 5 && seen.n_bytes < 8 << 20, "{quirk:?}: {} bytes came out", seen.n_bytes);
    }
}

#[test]
fn a_hundred_times_the_speed_is_held_back_and_told() {
    let seen = plays(Quirk::HundredfoldSpeed, 6);
    assert!(seen.n_units <= 600 + 6 * 120 + 120, "{} pictures came through", seen.n_units);
    assert!(seen.remarks.iter().any(|remark| remark.contains("held back")), "{:?}", seen.remarks);
}

#[test]
fn digest_of_every_kind_plays_and_a_wrong_password_is_told() {
    for quirk in [Quirk::DigestQop, Quirk::DigestWithoutQop, Quirk::DigestSha256, Quirk::BasicAndDigest] {
        let camera = camera(quirk);
        let seen = beside_a_good_one(&endpoint(&camera, Some(PASSWORD)), Duration::from_secs(1));
        assert_eq!(seen.failure, None, "{quirk:?}");
        assert!(camera.authorizations().iter().all(|sent| sent.starts_with("Digest ")), "{quirk:?}");
        let seen = beside_a_good_one(&endpoint(&camera, Some("guess")), Duration::from_secs(1));
        assert_eq!(seen.state(), DeviceState::AuthFailed, "{quirk:?}: {}", seen.cause());
        assert!(seen.cause().contains("password"), "{}", seen.cause());
        let seen = beside_a_good_one(&endpoint(&camera, None), Duration::from_secs(1));
        assert_eq!(seen.state(), DeviceState::AuthFailed, "{quirk:?}: {}", seen.cause());
    }
}

#[test]
fn basic_is_refused_unless_allowed_and_the_password_stays_here() {
    let camera = camera(Quirk::BasicOnly);
    let mut endpoint = endpoint(&camera, Some(PASSWORD));
    let seen = beside_a_good_one(&endpoint, Duration::from_secs(1));
    assert_eq!(seen.failure, Some(Failure::BasicRefused));
    assert!(seen.cause().contains("allow_basic"));
    assert_eq!(camera.authorizations(), Vec::<String>::new());
    endpoint.credentials.as_mut().unwrap().allow_basic = true;
    assert_eq!(beside_a_good_one(&endpoint, Duration::from_secs(1)).failure, None);
}

#[test]
fn a_stale_nonce_is_tried_again_and_one_that_always_is_has_its_own_cause() {
    let seen = seen(Quirk::StaleNonce, 2);
    assert_eq!(seen.failure, None, "{}", seen.cause());
    let seen = fails(Quirk::AlwaysStale, DeviceState::AuthFailed, "nonce expired");
    assert_eq!(seen.failure, Some(Failure::StaleNonce));
}

#[test]
fn redirects_are_followed_and_never_for_ever() {
    plays(Quirk::Redirects, 1);
    let camera = camera(Quirk::Redirects);
    let seen = beside_a_good_one(&endpoint(&camera, None), Duration::from_secs(1));
    assert_eq!(seen.failure, None, "{}", seen.cause());
    fails(Quirk::RedirectsInCircles, DeviceState::Refused, "in circles");
}

#[test]
fn ipv6_plays() {
    let (street, other) = reels();
    let camera = ScriptedCamera::on(IpAddr::V6(Ipv6Addr::LOCALHOST), Quirk::DigestQop, &street, &other).unwrap();
    assert!(camera.url().contains("[::1]"));
    let seen = beside_a_good_one(&endpoint(&camera, Some(PASSWORD)), Duration::from_secs(1));
    assert_eq!(seen.failure, None, "{}", seen.cause());
}

#[test]
fn a_short_session_timeout_is_kept_alive() {
    let camera = camera(Quirk::ShortTimeout);
    let seen = beside_a_good_one(&endpoint(&camera, None), Duration::from_secs(7));
    assert_eq!(seen.failure, None, "{}", seen.cause());
    assert!(camera.n_keepalives() >= 4, "{} keepalives", camera.n_keepalives());
}

#[test]
fn a_session_that_the_camera_ends_is_told() {
    fails(Quirk::IgnoresKeepalive, DeviceState::Stalled, "keepalive");
    fails(Quirk::UnauthorizedInSession, DeviceState::Unreachable, "closed the connection");
    fails(Quirk::SessionNotFound, DeviceState::Unreachable, "closed the connection");
}

#[test]
fn a_stall_with_the_socket_open_is_noticed() {
    let seen = fails(Quirk::StallsLater, DeviceState::Stalled, "no picture for 3 s");
    assert!(seen.n_units >= 12);
}

#[test]
fn credentials_never_follow_a_redirect_to_another_host() {
    let (street, other) = reels();
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let thief = ScriptedCamera::on(elsewhere, Quirk::BasicOnly, &street, &other).unwrap();
    let camera = ScriptedCamera::redirecting(&thief.url(), &street, &other).unwrap();
    let mut endpoint = endpoint(&camera, Some(PASSWORD));
    endpoint.credentials.as_mut().unwrap().allow_basic = true;
    let seen = beside_a_good_one(&endpoint, Duration::from_secs(1));
    assert!(seen.cause().contains("another host"), "{}", seen.cause());
    assert_eq!(thief.authorizations(), Vec::<String>::new());
}
