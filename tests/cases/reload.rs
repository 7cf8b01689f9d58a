//! Cameras that come, go and change while `up` runs, by file, signal and API: what a change does not name is not touched, and what
//! is wrong changes nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::Client as Http;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use xueliang_tests::client::Client;
use xueliang_tests::deployment::{Deployment, free_port};
use xueliang_tests::simcam::{self, Camera, Codec, SimCam};
use xueliang_tests::{parts, wait};

use crate::{leaks, store};

/// The token of the workers' API.
pub const TOKEN: &str = "a-token-that-nobody-guesses";
const QUICKLY: Duration = Duration::from_secs(20);

const CAMERA: &str =
    "[[camera]]\nid = \"@ID@\"\nurl = \"@URL@\"\ngate = \"keyframes\"\nanalysis_fps = @FPS@\n@AUTHORIZATION@\n";

const SETTINGS: &str = "[ingest]\n\
    data_dir = \"state/ingest\"\n\
    listen = \"@OPS@\"\n\
    cameras = \"cameras\"\n\
    [ingest.api]\n\
    token_file = \"token\"\n\
    @MODEL@\n\
    [alerting]\n\
    listen = \"@LISTEN@\"\n\
    data_dir = \"state/alerting\"\n\
    region = \"3402\"\n";

/// What lets a simulated camera be pulled, as the API takes it.
pub fn authorization() -> Value {
    simcam::authorization().into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).collect()
}

/// The worker's API for its cameras.
pub struct Api {
    http: Http,
    base: String,
}

impl Api {
    pub fn new(port: u16) -> Self {
        Self { http: Http::new(), base: format!("http://127.0.0.1:{port}") }
    }

    /// Status and body of a call with the token.
    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).bearer_auth(TOKEN);
        let response = match body {
            Some(body) => request.json(&body).send().unwrap(),
            None => request.send().unwrap(),
        };
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().unwrap()).unwrap_or(Value::Null))
    }

    /// One camera as the worker shows it.
    pub fn camera(&self, id: &str) -> Value {
        self.call("GET", &format!("/v1/cameras/{id}"), None).1
    }

    /// Its session; empty when there is no such camera.
    pub fn session(&self, id: &str) -> String {
        self.camera(id)["session"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the camera is in this state.
    pub fn wait_for(&self, id: &str, state: &str) {
        wait::until(&format!("{id} to be {state}"), QUICKLY, || {
            let camera = self.camera(id);
            anyhow::ensure!(camera["state"] == state, "{camera}");
            Ok(Some(()))
        })
        .unwrap();
    }

    fn wait_gone(&self, id: &str) {
        let what = format!("{id} to be gone");
        let gone = || Ok((self.call("GET", &format!("/v1/cameras/{id}"), None).0 == 404).then_some(()));
        wait::until(&what, QUICKLY, gone).unwrap();
    }

    fn wait_for_mistakes(&self, any: bool) {
        wait::until("the mistakes to be told", QUICKLY, || {
            let list = self.call("GET", "/v1/cameras", None).1;
            anyhow::ensure!(list["mistakes"].as_array().is_some_and(|mistakes| mistakes.is_empty() != any), "{list}");
            Ok(Some(()))
        })
        .unwrap();
    }
}

#[test]
fn a_change_touches_only_what_it_names_and_a_mistake_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let street = SimCam::start(0, None, Camera::spread("/cam", &parts::street(Codec::H264).unwrap(), 3)).unwrap();
    let deployment = Deployment::new(folder.path()).unwrap();
    let write = |id: &str, path: &str, fps: &str| {
        let url = street.url(path);
        deployment.write(&format!("cameras/{id}.toml"), CAMERA, &[("ID", id), ("URL", &url), ("FPS", fps)]).unwrap();
    };
    write("stays", "/cam/1", "1.0");
    write("goes", "/cam/2", "1.0");
    write("changes", "/cam/3", "1.0");
    write("bad", "/cam/3", "-1.0");
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let (port, ops) = (free_port().unwrap(), free_port().unwrap());
    let words = [("LISTEN", format!("127.0.0.1:{port}")), ("OPS", format!("127.0.0.1:{ops}"))];
    deployment
        .write("xueliang.toml", SETTINGS, &words.each_ref().map(|(word, value)| (*word, value.as_str())))
        .unwrap();
    let mut process = deployment.start("up", "xueliang.toml", "up").unwrap();
    let console = deployment.sign_in(&mut process, port, "operator").unwrap();
    let api = Api::new(ops);

    ["stays", "goes", "changes"].iter().for_each(|id| api.wait_for(id, "live"));
    wait_for_refusal(&console, "bad", "bad.toml:5: camera[0].analysis_fps");
    let (stays, changes) = (api.session("stays"), api.session("changes"));

    fs::remove_file(folder.path().join("cameras/goes.toml")).unwrap();
    fs::remove_file(folder.path().join("cameras/bad.toml")).unwrap();
    write("comes", "/cam/2", "1.0");
    write("changes", "/cam/3", "0.5");
    api.wait_for("comes", "live");
    api.wait_gone("goes");
    api.wait_gone("bad");
    wait::until("the changed one", QUICKLY, || Ok((api.session("changes") != changes).then_some(()))).unwrap();
    api.wait_for("changes", "live");
    assert_eq!(api.session("stays"), stays);

    mistakes_change_nothing(&api, folder.path(), &console);
    by_api_and_signal(&api, &street.url("/cam/3"), process.id(), ops);

    assert_eq!(api.session("stays"), stays, "no change named it");
    assert_eq!(console.metric("xueliang_reconnects_total", "camera=\"stays\"").unwrap(), 0.0);
    assert_eq!(console.metric("xueliang_access_units_total", "camera=\"goes\"").unwrap(), 0.0, "its series are gone");
    assert_eq!(api.camera("stays")["last_failure"], Value::Null);
    drop(street);
    api.wait_for("stays", "unreachable");
    let failure = &api.camera("stays")["last_failure"];
    assert!(failure["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{failure}");
    assert!(failure["at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()), "{failure}");
    process.terminate(Duration::from_secs(20)).unwrap();
    store::check_sequences(&folder.path().join("state/alerting"));
    leaks::check_log(&folder.path().join("up.log"));
}

/// Broken, emptied and vanished files leave every camera as it is.
fn mistakes_change_nothing(api: &Api, folder: &Path, console: &Client) {
    let cameras = folder.join("cameras");
    let file = cameras.join("stays.toml");
    let good = fs::read(&file).unwrap();
    let sessions = ["stays", "changes", "comes"].map(|id| api.session(id));
    for broken in ["[[camera]\n", "", "[[camera]]\nid = \"stays\"\nurl = \"http://x\"\n"] {
        fs::write(&file, broken).unwrap();
        api.wait_for_mistakes(true);
        fs::write(&file, &good).unwrap();
        api.wait_for_mistakes(false);
    }
    fs::rename(&cameras, folder.join("away")).unwrap();
    api.wait_for_mistakes(true);
    fs::create_dir(&cameras).unwrap();
    api.call("POST", "/v1/reload", None);
    api.wait_for_mistakes(true);
    fs::remove_dir(&cameras).unwrap();
    fs::rename(folder.join("away"), &cameras).unwrap();
    api.wait_for_mistakes(false);
    assert_eq!(["stays", "changes", "comes"].map(|id| api.session(id)), sessions);
    assert!(console.metric("xueliang_reloads_total", "outcome=\"refused\"").unwrap() >= 4.0);
}

fn by_api_and_signal(api: &Api, url: &str, process: u32, port: u16) {
    let unknown = reqwest::blocking::get(format!("http://127.0.0.1:{port}/v1/cameras")).unwrap();
    assert_eq!(unknown.status().as_u16(), 401);
    let (status, refused) = api.call(
        "PUT",
        "/v1/cameras/added",
        Some(json!({ "url": "http://x", "speed": 1, "authorization": authorization() })),
    );
    assert_eq!((status, refused["errors"].as_array().map(Vec::len)), (422, Some(2)), "{refused}");
    let settings = json!({ "url": url, "gate": "keyframes", "authorization": authorization() });
    assert_eq!(api.call("PUT", "/v1/cameras/stays", Some(settings.clone())).0, 409, "it stands in a file");
    assert_eq!(api.call("PUT", "/v1/cameras/added", Some(settings)).0, 204);
    api.wait_for("added", "live");
    let (status, reloaded) = api.call("POST", "/v1/reload", None);
    assert_eq!((status, &reloaded["stopped"]), (200, &json!(0)), "{reloaded}");
    kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), Signal::HUP).unwrap();
    assert_eq!(api.call("DELETE", "/v1/cameras/added", None).0, 204);
    api.wait_gone("added");
    assert_eq!(api.call("DELETE", "/v1/cameras/added", None).0, 404);
}

fn wait_for_refusal(console: &Client, id: &str, cause: &str) {
    wait::until(&format!("{id} to be refused"), QUICKLY, || {
        let device = console.devices()?.get(id).cloned().unwrap_or_default();
        let says = device["state"] == "refused" && device["cause"].as_str().unwrap_or_default().contains(cause);
        anyhow::ensure!(says, "{device}");
        Ok(Some(()))
    })
    .unwrap();
}
