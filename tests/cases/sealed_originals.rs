//! Sealed originals from the camera to whoever may see one: real footage, two approvals, and nothing of it in the clear on the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};
use xueliang_tests::{parts, wait};

use crate::leaks;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn signed_in(deployment: &Deployment, port: u16, account: &str) -> Client {
    let mut client = Client::new(port).unwrap();
    client.sign_in(account, &deployment.initial_password(account).unwrap()).unwrap();
    client
}

/// A box on the street that seals to its own centre's key.
fn start(deployment: &Deployment, port: u16) -> Process {
    let key = deployment.folder().join("originals.key");
    let made = Command::new(parts::program("xueliang").unwrap()).arg("sealed-key").arg(&key).output().unwrap();
    let public = String::from_utf8(made.stdout).unwrap();
    let template = fs::read_to_string(parts::checkout().join("deploy/samples/demo.toml")).unwrap();
    let tables = format!(
        "\n[ingest.sealed_originals]\nrecipient = {:?}\nassessment = \"DEMO-2\"\n\
         [alerting.sealed_originals]\nkey_file = \"originals.key\"\n",
        public.trim()
    );
    deployment.write("xueliang.toml", &(template + &tables), &[("LISTEN", &format!("127.0.0.1:{port}"))]).unwrap();
    deployment.start("up", "xueliang.toml", "up").unwrap()
}

/// A grant to see originals of an incident, asked for by the operator and approved by two others.
fn granted(operator: &Client, approvers: [&Client; 2], incident: &str) -> String {
    let now = Timestamp::now();
    let body = json!({
        "incident": incident, "action": "view_original", "purpose": "incident_handling", "reason": "who pushed whom",
        "from": now.checked_sub(SignedDuration::from_hours(1)).unwrap().to_string(), "until": now.to_string(),
    });
    let grant = operator.post("/api/v1/grants", "ask-original", &body).unwrap();
    let id = grant["id"].as_str().unwrap().to_owned();
    for (version, approver) in (1..).zip(approvers) {
        let path = format!("/api/v1/grants/{id}/approve");
        approver.post(&path, "approve-original", &json!({ "version": version })).unwrap();
    }
    id
}

#[test]
fn what_a_worker_sealed_opens_with_two_approvals_and_lies_nowhere_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let login = Login { user: "admin".to_owned(), password: "street-password".to_owned() };
    let street =
        SimCam::start(0, Some(&login), Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), 1)).unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    deployment.add_street_camera("street-01", &street.url("/cam/1"), &login).unwrap();
    let port = free_port().unwrap();
    let mut process = start(&deployment, port);
    let operator = deployment.sign_in(&mut process, port, "operator").unwrap();
    let crowding = wait::until("crowding with a still", Duration::from_secs(60), || {
        let found = operator.incidents(Some("crowding"))?.first().cloned();
        Ok(found.filter(|incident| incident["snapshot"]["sha256"].is_string()))
    });
    let crowding = crowding.unwrap();
    let (id, still) = (crowding["id"].as_str().unwrap(), crowding["snapshot"]["sha256"].as_str().unwrap());

    let approvers = ["supervisor", "privacy"].map(|account| signed_in(&deployment, port, account));
    let grant = granted(&operator, [&approvers[0], &approvers[1]], id);
    let path = |grant: &str| format!("/api/v1/incidents/{id}/originals/{still}?grant={grant}");
    assert_eq!(approvers[0].fetch(&path(&grant)).unwrap().0, 403, "it is the operator's");
    let (status, original) = operator.fetch(&path(&grant)).unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&original));
    assert_eq!(&original[..3], &[0xff, 0xd8, 0xff]);
    let view = format!("/api/v1/incidents/{id}/snapshots/{still}?purpose=incident_handling&reason=duty");
    let (_, redacted) = operator.fetch(&view).unwrap();
    assert_ne!(original, redacted);
    assert!(operator.metric("xueliang_sealed_originals_total", "outcome=\"kept\"").unwrap() > 0.0);
    assert_eq!(operator.metric("xueliang_sealed_originals_total", "outcome=\"failed\"").unwrap(), 0.0);
    process.terminate(Duration::from_secs(20)).unwrap();

    // Whatever of the picture is told apart from others: its coded data, not the tables before it.
    let part = &original[original.len() / 2..][..64];
    let holds = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    assert!(holds(&original, part) && !holds(&redacted, part));
    let mut n_sealed = [0, 0];
    for file in files(folder.path()) {
        let bytes = fs::read(&file).unwrap();
        assert!(!holds(&bytes, part), "{} holds the original", file.display());
        if file.extension().is_some_and(|ending| ending == "age") {
            assert!(bytes.starts_with(b"age-encryption.org/v1\n") && !holds(&bytes, b"JFIF"), "{}", file.display());
            n_sealed[usize::from(file.starts_with(folder.path().join("state/alerting")))] += 1;
        }
    }
    assert!(n_sealed[1] > 0 && n_sealed[0] >= n_sealed[1], "worker and centre: {n_sealed:?}");
    leaks::check_log(&folder.path().join("up.log"));
}
