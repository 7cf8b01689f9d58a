//! Settings that the worker may read and not write, as from an image or a mounted secret: it starts, runs and follows an operator's
//! changes, and keeps what its API is told in its own folder, or says that it can't.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port, wait_ready};
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, SimCam};
use xueliang_tests::{parts, wait};

use crate::reload::{Api, TOKEN, authorization};

const QUICKLY: Duration = Duration::from_secs(20);
const CAMERA: &str =
    "[[camera]]\nid = \"@ID@\"\nurl = \"@URL@\"\ngate = \"keyframes\"\nanalysis_fps = @FPS@\n@AUTHORIZATION@\n";
const SETTINGS: &str = "[ingest]\n\
    data_dir = \"../state/ingest\"\n\
    listen = \"@OPS@\"\n\
    cameras = \"cameras\"\n\
    [ingest.api]\n\
    token_file = \"token\"\n\
    @MODEL@\n\
    [alerting]\n\
    listen = \"@LISTEN@\"\n\
    data_dir = \"../state/alerting\"\n\
    region = \"3402\"\n";

/// Permissions bind root too once it has given up these.
const AS_ANYBODY: [&str; 3] = [
    "--inh-caps=-dac_override,-dac_read_search,-fowner",
    "--bounding-set=-dac_override,-dac_read_search,-fowner",
    "--",
];

#[test]
fn read_only_settings_are_followed_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    let street = SimCam::start(0, None, Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), 3)).unwrap();
    let etc = folder.path().join("etc");
    let deployment = Deployment::new(&etc).unwrap();
    let write = |id: &str, path: &str, fps: &str| {
        let (file, url) = (format!("cameras/{id}.toml"), street.url(path));
        unlocked(&etc, || deployment.write(&file, CAMERA, &[("ID", id), ("URL", &url), ("FPS", fps)]).unwrap());
    };
    write("stays", "/cam/1", "1.0");
    write("changes", "/cam/2", "1.0");
    fs::write(etc.join("token"), TOKEN).unwrap();
    let (port, ops) = (free_port().unwrap(), free_port().unwrap());
    let (listen, own) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{ops}"));
    deployment.write("xueliang.toml", SETTINGS, &[("LISTEN", &listen), ("OPS", &own)]).unwrap();
    unlocked(&etc, || {});
    check_refused(folder.path(), &etc.join("xueliang.toml"));
    check_refused(folder.path(), &etc.join("cameras/new.toml"));

    let (mut process, api) = start(folder.path(), ops);
    api.wait_for("stays", "live");
    let (stays, changes) = (api.session("stays"), api.session("changes"));
    write("changes", "/cam/2", "0.5");
    wait::until("the changed one", QUICKLY, || Ok((api.session("changes") != changes).then_some(()))).unwrap();
    api.wait_for("changes", "live");

    let written = written(&etc);
    let settings = json!({ "url": street.url("/cam/3"), "gate": "keyframes", "authorization": authorization() });
    let (status, refused) = api.call("PUT", "/v1/cameras/stays", Some(settings.clone()));
    assert_eq!(status, 409, "{refused}");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("change it there")), "{refused}");
    assert_eq!(api.call("DELETE", "/v1/cameras/stays", None).0, 409);
    assert_eq!(api.call("PUT", "/v1/cameras/added", Some(settings.clone())).0, 204, "kept in the worker's own folder");
    api.wait_for("added", "live");

    let state = folder.path().join("state/ingest");
    fs::set_permissions(&state, Permissions::from_mode(0o555)).unwrap();
    let (status, refused) = api.call("PUT", "/v1/cameras/more", Some(settings));
    assert_eq!(status, 503, "{refused}");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("can't be kept")), "{refused}");
    assert_eq!(api.call("GET", "/v1/cameras/more", None).0, 404, "what can't be kept does not run");
    fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(api.session("stays"), stays);
    process.terminate(QUICKLY).unwrap();

    let (mut process, api) = start(folder.path(), ops);
    ["stays", "changes", "added"].iter().for_each(|id| api.wait_for(id, "live"));
    process.terminate(QUICKLY).unwrap();
    assert_eq!(self::written(&etc), written, "only the operator writes there");
    // So that the folder can be removed.
    set_mode(&etc, (0o755, 0o644));
}

fn start(folder: &Path, ops: u16) -> (Process, Api) {
    let settings = folder.join("etc/xueliang.toml");
    let mut process =
        spawn(folder, "up", &parts::program("xueliang").unwrap(), &["up", "--config", settings.to_str().unwrap()]);
    wait_ready(&mut process, &Client::new(ops).unwrap()).unwrap();
    (process, Api::new(ops))
}

/// A process that permissions bind.
fn spawn(folder: &Path, name: &str, program: &Path, arguments: &[&str]) -> Process {
    let log = folder.join(format!("{name}.log"));
    let is_root = rustix::process::geteuid().is_root();
    let run = if is_root { Path::new("setpriv") } else { program };
    Process::spawn(name, run, &log, |command| {
        if is_root {
            command.args(AS_ANYBODY).arg(program);
        }
        command.args(arguments);
    })
    .unwrap()
}

/// The file can't be written by a process like the worker.
fn check_refused(folder: &Path, file: &Path) {
    let mut writer = spawn(folder, "writer", Path::new("sh"), &["-c", "echo >>\"$0\"", file.to_str().unwrap()]);
    let ended = wait::until("the writer to end", QUICKLY, || writer.ended()).unwrap();
    assert!(!ended.success(), "{} can be written: nothing is tested here", file.display());
}

/// Writes as an operator does, and locks everything again.
fn unlocked(etc: &Path, write: impl FnOnce()) {
    set_mode(etc, (0o755, 0o644));
    write();
    set_mode(etc, (0o555, 0o444));
}

fn set_mode(etc: &Path, (folders, files): (u32, u32)) {
    for folder in [etc.to_owned(), etc.join("cameras")] {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::set_permissions(path, Permissions::from_mode(files)).unwrap();
            }
        }
        fs::set_permissions(&folder, Permissions::from_mode(folders)).unwrap();
    }
}

/// All files of the settings and when they were written.
fn written(etc: &Path) -> Vec<(std::path::PathBuf, SystemTime)> {
    let entries = [etc.to_owned(), etc.join("cameras")].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut written: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let at = fs::metadata(&path).unwrap().modified().unwrap();
            (path, at)
        })
        .collect();
    written.sort();
    written
}
