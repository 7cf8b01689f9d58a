//! Five hundred cameras that are cut off at once and come back at once, as behind a switch that restarts: they are connected to again one
//! after the other, and all are back soon.

use std::time::{Duration, Instant};

use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::faults::{Crowd, Reel};
use xueliang_tests::wait;

const N_CAMERAS: usize = 500;
const SMALL: &[u8] = include_bytes!("../../ingest/tests/fixtures/small.h264");
/// 20 at once, then 50 a second, as `backoff` has it, and what a busy machine bunches together.
const MOST_WITHIN_A_SECOND: usize = 85;
const AWAY: Duration = Duration::from_secs(5);
/// The longest pause and the queue.
const BACK_WITHIN: Duration = Duration::from_secs(45);
const START: Duration = Duration::from_secs(90);

const SETTINGS: &str = "[ingest]\n\
    data_dir = \"state/ingest\"\n\
    cameras = \"cameras\"\n\
    @MODEL@\n\
    [alerting]\n\
    listen = \"@LISTEN@\"\n\
    data_dir = \"state/alerting\"\n\
    region = \"3402\"\n";

#[test]
#[ignore = "takes a minute; ./check --full runs it"]
fn drill_five_hundred_cameras_that_come_back_at_once_are_connected_to_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    let crowd = Crowd::showing(Reel::read(SMALL).unwrap().unit(0), 1).unwrap();
    let camera = |nth: usize| {
        format!(
            "[[camera]]\nid = \"cam-{nth}\"\nurl = \"{}\"\ngate = \"keyframes\"\nanalysis_fps = 0.1\n@AUTHORIZATION@\n",
            crowd.url()
        )
    };
    let cameras: String = (0..N_CAMERAS).map(camera).collect();
    deployment.write("cameras/all.toml", &cameras, &[]).unwrap();
    let port = free_port().unwrap();
    deployment.write("xueliang.toml", SETTINGS, &[("LISTEN", &format!("127.0.0.1:{port}"))]).unwrap();
    let mut process = deployment.start("up", "xueliang.toml", "up").unwrap();
    let client = Client::new(port).unwrap();
    wait_ready(&mut process, &client).unwrap();
    wait_until_up(&client, N_CAMERAS, START);

    crowd.go_away();
    let away_at = Instant::now();
    wait_until_up(&client, 0, AWAY);
    wait::until("the outage to pass", AWAY * 2, || Ok((away_at.elapsed() > AWAY).then_some(()))).unwrap();
    crowd.come_back();
    let back_at = Instant::now();
    wait_until_up(&client, N_CAMERAS, BACK_WITHIN);
    let connects = crowd.connected_at();
    println!("all back after {:?}", back_at.elapsed());
    for (what, since) in [("start", None), ("outage", Some(away_at)), ("return", Some(back_at))] {
        let (histogram, most) = per_second(&connects, since);
        println!("connects in each second from the {what} on: {histogram:?}, at most {most} within any second");
        assert!(most <= MOST_WITHIN_A_SECOND, "{most} connects within one second");
    }
    process.terminate(START).unwrap();
}

fn wait_until_up(client: &Client, n_cameras: usize, within: Duration) {
    wait::until(&format!("{n_cameras} cameras to be up"), within, || {
        let n_up = client.metric("xueliang_camera_up", "")?;
        anyhow::ensure!(n_up == n_cameras as f64, "{n_up} are");
        Ok(Some(()))
    })
    .unwrap();
}

/// Connects in each second from a moment on, and the most in any second.
fn per_second(connects: &[Instant], since: Option<Instant>) -> (Vec<usize>, usize) {
    let connects: Vec<Instant> = connects.iter().copied().filter(|at| since.is_none_or(|since| *at >= since)).collect();
    let first = since.or(connects.first().copied()).unwrap();
    let mut histogram = Vec::new();
    for at in &connects {
        let second = at.duration_since(first).as_secs() as usize;
        histogram.resize(histogram.len().max(second + 1), 0);
        histogram[second] += 1;
    }
    let within = |nth: usize| {
        connects[nth..].iter().take_while(|other| **other - connects[nth] < Duration::from_secs(1)).count()
    };
    (histogram, (0..connects.len()).map(within).max().unwrap_or_default())
}
