//! Many sessions in one process: what one costs, what failures leave behind, and whether hostile cameras delay others.
//!
//! Each test counts what its whole process holds, so each runs alone in a process of its own: it starts itself again.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::task::JoinSet;
use xueliang_ingest::backoff::{Admission, Backoff, Pauses};
use xueliang_ingest::session::{Deadlines, Endpoint, Session};
use xueliang_tests::faults::{Crowd, Fault, FaultyCamera, Flow, Quirk, Relay, ScriptedCamera};

use crate::session_quirks::{DEADLINES, camera, endpoint};

const ALONE: &str = "XUELIANG_TEST_ALONE";

/// Runs a test of this binary in a process of its own. True in that process.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("session_scale::{test}"), "--exact", "--include-ignored", "--nocapture"]).env(ALONE, "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{}", text.lines().filter(|line| line.starts_with("measured")).collect::<Vec<_>>().join("\n"));
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    false
}

/// What this process holds.
#[derive(Clone, Copy, Debug)]
struct Holds {
    resident_kb: usize,
    n_threads: usize,
    n_files: usize,
}

impl Holds {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let n_files = std::fs::read_dir("/proc/self/fd").unwrap().count();
        Self { resident_kb: field("VmRSS:"), n_threads: field("Threads:"), n_files }
    }

    #[track_caller]
    fn check_flat(self, what: &str) {
        let now = Self::now();
        println!("measured {what}: before {self:?}, after {now:?}");
        assert!(now.n_threads <= self.n_threads + 2, "{what}: threads grew");
        assert!(now.n_files <= self.n_files + 8, "{what}: files grew");
        assert!(now.resident_kb <= self.resident_kb + 8 * 1024, "{what}: memory grew");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(4).enable_all().build().unwrap()
}

/// Connects `n` times, fifty at once; nothing may come of it.
async fn fail(endpoint: &Endpoint, deadlines: Deadlines, n: usize) {
    let mut attempts = JoinSet::new();
    for _ in 0..n {
        if attempts.len() >= 50 {
            attempts.join_next().await;
        }
        let endpoint = endpoint.clone();
        attempts.spawn(async move { assert!(Session::open(&endpoint, deadlines).await.is_err()) });
    }
    while let Some(ended) = attempts.join_next().await {
        ended.unwrap();
    }
}

fn nobody() -> Endpoint {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    endpoint(&format!("rtsp://{}/cam", listener.local_addr().unwrap()), Some("x"))
}

#[test]
fn ten_thousand_failed_connects_leave_nothing_behind() {
    if !alone("ten_thousand_failed_connects_leave_nothing_behind") {
        return;
    }
    let runtime = runtime();
    let (circles, digest) = (camera(Quirk::RedirectsInCircles), camera(Quirk::DigestQop));
    let (nobody, not_found, wrong) = (nobody(), endpoint(&circles.url(), None), endpoint(&digest.url(), Some("guess")));
    runtime.block_on(async {
        fail(&nobody, DEADLINES, 500).await;
        fail(&not_found, DEADLINES, 50).await;
        fail(&wrong, DEADLINES, 50).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = Holds::now();
        fail(&nobody, DEADLINES, 10_000).await;
        fail(&not_found, DEADLINES, 200).await;
        fail(&wrong, DEADLINES, 200).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        before.check_flat("10,400 failed connects");
    });
}

/// An hour of cameras that are unreachable in four ways, a thousand times faster: pauses and deadlines are a thousandth.
#[test]
fn an_hour_of_unreachable_cameras_leaves_nothing_behind() {
    if !alone("an_hour_of_unreachable_cameras_leaves_nothing_behind") {
        return;
    }
    let runtime = runtime();
    let [silent, garbage] =
        [Fault::SilentOnConnect, Fault::GarbageOnConnect].map(|fault| FaultyCamera::start(fault).unwrap());
    let (nobody, silent_too) = (nobody(), endpoint(&silent.url(), None));
    let kinds: Arc<[Endpoint]> =
        Arc::new([nobody.clone(), nobody.clone(), silent_too, endpoint(&garbage.url(), None), nobody]);
    runtime.block_on(async {
        unreachable(&kinds, 100, Duration::from_millis(800)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = Holds::now();
        unreachable(&kinds, 100, Duration::from_millis(3600)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        before.check_flat("an hour of 100 unreachable cameras");
    });
}

async fn unreachable(kinds: &Arc<[Endpoint]>, n_cameras: usize, during: Duration) {
    let pauses = Pauses { first: Duration::from_millis(1), longest: Duration::from_millis(30) };
    let deadlines = Deadlines { connect: Duration::from_millis(10), stall: Duration::from_millis(10) };
    let until = Instant::now() + during;
    let mut cameras = JoinSet::new();
    for nth in 0..n_cameras {
        let kinds = Arc::clone(kinds);
        cameras.spawn(async move {
            let (mut backoff, mut random) = (Backoff::new(pauses), StdRng::seed_from_u64(nth as u64));
            while Instant::now() < until {
                assert!(Session::open(&kinds[nth % kinds.len()], deadlines).await.is_err());
                tokio::time::sleep(backoff.next(random.random())).await;
            }
        });
    }
    while let Some(ended) = cameras.join_next().await {
        ended.unwrap();
    }
}

/// Opens `n` sessions through the gate and reads them for a while; the answer is each gap between two pictures, sorted.
async fn read_all(url: &str, n: usize, admission: Option<Admission>, during: Duration) -> (Vec<Duration>, Holds) {
    let mut sessions = JoinSet::new();
    for _ in 0..n {
        let (endpoint, admission) = (endpoint(url, None), admission.clone());
        sessions.spawn(async move {
            if let Some(admission) = admission {
                admission.wait().await;
            }
            let deadlines = Deadlines { connect: Duration::from_secs(20), stall: Duration::from_secs(20) };
            let mut session = Session::open(&endpoint, deadlines).await.unwrap();
            let (until, mut last, mut gaps) = (Instant::now() + during, Instant::now(), Vec::new());
            while let Ok(unit) = tokio::time::timeout_at(until.into(), session.next()).await {
                unit.unwrap();
                gaps.push(last.elapsed());
                last = Instant::now();
            }
            assert!(!gaps.is_empty(), "no picture came");
            gaps
        });
    }
    let connecting = if admission.is_some() { Duration::from_millis(20) * n as u32 } else { Duration::ZERO };
    // Once all are connected, and before the first one ends.
    tokio::time::sleep(connecting + during.saturating_sub(connecting) / 2).await;
    let holds = Holds::now();
    let mut gaps: Vec<Duration> = sessions.join_all().await.into_iter().flatten().collect();
    gaps.sort_unstable();
    (gaps, holds)
}

fn of_thousand(gaps: &[Duration], rank: usize) -> Duration {
    gaps[gaps.len() * rank / 1000]
}

fn sessions_cost(n: usize, pictures_per_second: u32, admission: Option<Admission>, during: Duration) {
    let crowd = Crowd::start(pictures_per_second).unwrap();
    let runtime = runtime();
    let (gaps, before, holds) = runtime.block_on(async {
        read_all(&crowd.url(), 4, None, Duration::from_secs(2)).await;
        let before = Holds::now();
        let (gaps, holds) = read_all(&crowd.url(), n, admission, during).await;
        (gaps, before, holds)
    });
    let each_kb = holds.resident_kb.saturating_sub(before.resident_kb) / n;
    println!(
        "measured {n} sessions at {pictures_per_second}/s: {each_kb} kB each with its simulated camera, gaps p50 {:?} p99 {:?} max {:?}, {holds:?}",
        of_thousand(&gaps, 500),
        of_thousand(&gaps, 990),
        gaps.last().unwrap()
    );
    assert!(each_kb <= 12 * 1024, "{each_kb} kB a session");
    assert!(holds.n_threads <= before.n_threads + 2, "sessions own threads");
    assert!(crowd.n_connected() >= n);
}

#[test]
fn two_hundred_sessions_share_a_process() {
    if alone("two_hundred_sessions_share_a_process") {
        sessions_cost(200, 5, None, Duration::from_secs(6));
    }
}

/// A thousand, at the rate of real cameras, through the gate of 50 a second.
#[test]
#[ignore = "a drill for ./check --full"]
fn a_thousand_sessions_share_a_process() {
    if alone("a_thousand_sessions_share_a_process") {
        sessions_cost(1000, 10, Some(Admission::default()), Duration::from_secs(60));
    }
}

#[test]
fn hostile_cameras_do_not_delay_others() {
    if !alone("hostile_cameras_do_not_delay_others") {
        return;
    }
    use Quirk::*;
    let crowd = Crowd::start(10).unwrap();
    let runtime = runtime();
    let (quiet, _) = runtime.block_on(read_all(&crowd.url(), 50, None, Duration::from_secs(5)));
    let hostile =
        [HundredfoldSpeed, EndlessPicture, HugePicture, DoubledPackets, EndlessDescription, SplitAnywhere, StallsLater];
    let cameras = hostile.map(camera);
    let narrow = Relay::start(crowd.address()).unwrap();
    narrow.set(Flow::Narrow(20_000));
    let mut urls: Vec<String> = cameras.iter().map(ScriptedCamera::url).collect();
    urls.push(format!("rtsp://{}/cam", narrow.address()));
    let (beside, _) = runtime.block_on(async {
        let mut others = JoinSet::new();
        for url in &urls {
            let endpoint = endpoint(url, None);
            others.spawn(async move {
                loop {
                    if let Ok(mut session) = Session::open(&endpoint, DEADLINES).await {
                        while session.next().await.is_ok() {}
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        read_all(&crowd.url(), 50, None, Duration::from_secs(5)).await
    });
    for (name, gaps) in [("alone", &quiet), ("beside 8 hostile cameras", &beside)] {
        let (half, most, max) = (of_thousand(gaps, 500), of_thousand(gaps, 990), gaps.last().unwrap());
        println!("measured gaps of 50 sessions at 10/s {name}: p50 {half:?} p99 {most:?} max {max:?}");
    }
    let [alone, beside_them] = [&quiet, &beside].map(|gaps| of_thousand(gaps, 990));
    let most = alone.mul_f64(1.5) + Duration::from_millis(50);
    assert!(beside_them <= most, "p99 beside hostile cameras {beside_them:?}, alone {alone:?}");
    assert!(*beside.last().unwrap() < Duration::from_secs(3), "a session waited {:?}", beside.last());
}
