//! A deployment as a person would set it up: a folder with settings, camera files, a password, and `xueliang` running on it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::client::Client;
use crate::process::Process;
use crate::simcam::{Login, authorization, authorization_line};
use crate::{parts, wait};

/// How long a start may take: the model is loaded, the store opened.
const START: Duration = Duration::from_secs(30);

/// What `@MODEL@` stands for in a template.
const MODEL: &str = r#"[ingest.model]
manifest = "@MANIFEST@"
assessment = "PIA-test"
folder = "@WEIGHTS@"
onnxruntime = "@ONNXRUNTIME@""#;

/// A folder with settings.
pub struct Deployment {
    folder: PathBuf,
}

impl Deployment {
    /// A deployment in `folder`, which is made.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("cameras")).with_context(|| format!("can't make {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a settings file from a template whose words between @ signs are filled in: those given, the section `@MODEL@`, the parts'
    /// places, and what lets a simulated camera be pulled (`@AUTHORIZATION@`, or only its days `@TODAY@` and `@IN_A_YEAR@`).
    pub fn write(&self, file: &str, template: &str, words: &[(&str, &str)]) -> Result<()> {
        let mut text = template.replace("@MODEL@", MODEL);
        let (manifest, weights, runtime) = (manifest()?, parts::path("models")?, parts::onnxruntime()?);
        let places = [("MANIFEST", manifest), ("WEIGHTS", weights), ("ONNXRUNTIME", runtime)];
        for (word, place) in places {
            text = text.replace(&format!("@{word}@"), place.to_str().context("a path is not UTF-8")?);
        }
        let days = authorization().map(|(key, value)| match key {
            "first_used_on" => Some(("TODAY", value)),
            "view_valid_until" => Some(("IN_A_YEAR", value)),
            _ => None,
        });
        for (word, day) in days.into_iter().flatten() {
            text = text.replace(&format!("@{word}@"), &day);
        }
        text = text.replace("@AUTHORIZATION@", &authorization_line());
        for (word, value) in words {
            text = text.replace(&format!("@{word}@"), value);
        }
        let path = self.folder.join(file);
        fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
    }

    /// Writes one camera file from the demo's template, watching the street.
    pub fn add_street_camera(&self, id: &str, url: &str, login: &Login) -> Result<()> {
        let template = fs::read_to_string(parts::checkout().join("deploy/samples/demo-camera.toml"))?;
        let number = id.rsplit('-').next().unwrap_or(id);
        let (name_zh, name_en) = (format!("示范街 {number} 号"), format!("Demo street {number}"));
        let names = [("NAME_ZH", name_zh.as_str()), ("NAME_EN", name_en.as_str())];
        let words = [("ID", id), ("URL", url), ("USER", &login.user), ("GRID", "340203001002003"), names[0], names[1]];
        self.write(&format!("cameras/{id}.toml"), &template, &words)?;
        self.write_password("camera-password", login)
    }

    /// Writes a password file that only its owner reads.
    pub fn write_password(&self, file: &str, login: &Login) -> Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, &login.password)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// Starts `xueliang COMMAND` on a settings file; its log goes to `COMMAND.log` (or `name`.log) in the folder.
    pub fn start(&self, command: &str, settings: &str, name: &str) -> Result<Process> {
        let settings = self.folder.join(settings);
        Process::spawn(name, &parts::program("xueliang")?, &self.folder.join(format!("{name}.log")), |process| {
            process.arg(command).arg("--config").arg(settings);
        })
    }

    /// The password that the first start gave an account.
    pub fn initial_password(&self, account: &str) -> Result<String> {
        let path = self.folder.join("state/alerting/initial-passwords.txt");
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(account)?.strip_prefix(' '));
        line.map(str::to_owned).ok_or_else(|| anyhow!("no {account} in {}", path.display()))
    }

    /// Waits until the process answers on `port` and is ready, then signs in as `account`.
    pub fn sign_in(&self, process: &mut Process, port: u16, account: &str) -> Result<Client> {
        let mut client = Client::new(port)?;
        wait_ready(process, &client)?;
        client.sign_in(account, &self.initial_password(account)?)?;
        Ok(client)
    }
}

/// Waits until `/readyz` says so; at once an error when the process has ended.
pub fn wait_ready(process: &mut Process, client: &Client) -> Result<()> {
    wait::until("readiness", START, || {
        if let Err(ended) = process.check_running() {
            return Ok(Some(Err(ended)));
        }
        Ok(client.is_ready()?.then_some(Ok(())))
    })?
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn manifest() -> Result<PathBuf> {
    let manifest = parts::checkout().join("models").join(format!("{}.toml", parts::model()));
    manifest.canonicalize().with_context(|| format!("no manifest {}", manifest.display()))
}
