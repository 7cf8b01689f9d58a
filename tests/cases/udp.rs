//! RTP over UDP on a bad network: what is lost, late, doubled or out of order costs the pictures that it damages and is told, a way back
//! that closes is found again, and a camera that sends no UDP says what to set.

use std::time::Duration;

use xueliang_ingest::settings::StreamTransport;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::faults::{Quirk, ScriptedCamera};
use xueliang_tests::wait;

use crate::reload::{Api, TOKEN};
use crate::session_quirks::{camera, endpoint, watch_all};

const SOON: Duration = Duration::from_secs(60);
const CAMERA: &str =
    "[[camera]]\nid = \"@ID@\"\nurl = \"@URL@\"\ngate = \"keyframes\"\ntransport = \"@TRANSPORT@\"\n@AUTHORIZATION@\n";
const SETTINGS: &str = "[ingest]\n\
    data_dir = \"state/ingest\"\n\
    listen = \"@OPS@\"\n\
    cameras = \"cameras\"\n\
    stall_after = \"4s\"\n\
    connect_timeout = \"4s\"\n\
    [ingest.api]\n\
    token_file = \"token\"\n\
    @MODEL@\n\
    [alerting]\n\
    listen = \"@LISTEN@\"\n\
    data_dir = \"state/alerting\"\n\
    region = \"3402\"\n";

#[test]
fn damaged_pictures_are_left_out_and_counted() {
    let quirks = [Quirk::Plain, Quirk::DoubledPackets, Quirk::LostPackets, Quirk::ReorderedPackets, Quirk::LatePackets];
    let cameras: Vec<ScriptedCamera> = quirks.iter().map(|quirk| camera(*quirk)).collect();
    let endpoints: Vec<_> = cameras.iter().map(|camera| endpoint(&camera.url(), None)).collect();
    let endpoints: Vec<_> = endpoints
        .into_iter()
        .map(|mut endpoint| {
            endpoint.transport = StreamTransport::Udp;
            endpoint
        })
        .collect();
    for (quirk, seen) in quirks.iter().zip(watch_all(&endpoints, Duration::from_secs(7))) {
        println!("{quirk:?}: {} pictures, {} keyframes, {} lost", seen.n_units, seen.n_keyframes, seen.n_lost);
        assert_eq!(seen.failure, None, "{quirk:?}: {}", seen.cause());
        assert_eq!(seen.n_foreign, 0, "{quirk:?}: damaged pictures came through");
        assert!(seen.captured.is_sorted(), "{quirk:?}: time went back");
        // A keyframe is so many packets that none is whole where every 25th is lost.
        assert_eq!(seen.n_keyframes >= 1, *quirk != Quirk::LostPackets, "{quirk:?}: {} keyframes", seen.n_keyframes);
        if matches!(quirk, Quirk::Plain | Quirk::DoubledPackets) {
            assert_eq!((seen.n_lost, &seen.remarks), (0, &Vec::new()), "{quirk:?}");
            assert!(seen.n_units >= 42, "{quirk:?}: {} pictures", seen.n_units);
        } else {
            assert!(seen.n_lost > 0 && seen.n_units >= 7, "{quirk:?}: {} lost, {}", seen.n_lost, seen.n_units);
        }
    }
}

#[test]
fn a_bad_network_is_told_by_its_cause_and_left_again() {
    let folder = tempfile::tempdir().unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    let cameras = [
        ("good", camera(Quirk::Plain)),
        ("lossy", camera(Quirk::LostPackets)),
        ("falls-silent", camera(Quirk::StallsOnce)),
        ("only-tcp", camera(Quirk::OnlyInterleaved)),
    ];
    let write = |id: &str, camera: &ScriptedCamera, transport: &str| {
        let words = [("ID", id), ("URL", &camera.url()), ("TRANSPORT", transport)];
        deployment.write(&format!("cameras/{id}.toml"), CAMERA, &words).unwrap();
    };
    cameras.iter().for_each(|(id, camera)| write(id, camera, "udp"));
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let (port, ops) = (free_port().unwrap(), free_port().unwrap());
    let (listen, own) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{ops}"));
    deployment.write("xueliang.toml", SETTINGS, &[("LISTEN", &listen), ("OPS", &own)]).unwrap();
    let mut process = deployment.start("up", "xueliang.toml", "up").unwrap();
    let client = Client::new(ops).unwrap();
    wait_ready(&mut process, &client).unwrap();
    let api = Api::new(ops);

    wait_for(&api, "only-tcp", "refused", "the other of tcp and udp");
    wait_for(&api, "lossy", "degraded", "set its transport to tcp");
    wait_for(&api, "good", "live", "");
    wait_for(&api, "falls-silent", "live", "");
    let silent = api.camera("falls-silent");
    assert!(
        silent["last_failure"]["cause"].as_str().is_some_and(|cause| cause.contains("no picture for 4 s")),
        "{silent}"
    );
    let of = |metric: &str, id: &str| client.metric(metric, &format!("camera=\"{id}\"")).unwrap();
    assert!(of("xueliang_rtp_packets_lost_total", "lossy") > 50.0);
    assert_eq!(of("xueliang_rtp_packets_lost_total", "good"), 0.0);
    for (id, n_reconnects) in [("good", 0.0), ("lossy", 0.0), ("falls-silent", 1.0)] {
        assert_eq!(of("xueliang_reconnects_total", id), n_reconnects, "{id}");
    }
    write("only-tcp", &cameras[3].1, "tcp");
    wait_for(&api, "only-tcp", "live", "");
    process.terminate(SOON).unwrap();
}

fn wait_for(api: &Api, id: &str, state: &str, cause: &str) {
    wait::until(&format!("{id} to be {state}"), SOON, || {
        let camera = api.camera(id);
        let matches = camera["state"] == state && camera["cause"].as_str().unwrap_or_default().contains(cause);
        anyhow::ensure!(matches, "{camera}");
        Ok(Some(()))
    })
    .unwrap();
}
