//! The stage of `./demo`, of the console's browser tests and of whoever wants to look: simulated cameras and one box.
//!
//! Starts everything, tells where the console is, shows incidents as they come, and ends everything it started.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use xueliang_tests::client::Client;
use xueliang_tests::deployment::Deployment;
use xueliang_tests::parts;
use xueliang_tests::process::Process;
use xueliang_tests::simcam::{Camera, Codec, Login, SimCam};

/// Simulated cameras on a busy street, and `xueliang up` on them.
#[derive(Parser)]
#[command(name = "demo")]
struct Args {
    /// Number of cameras.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=500))]
    cameras: u16,
    /// Port of the console on 127.0.0.1.
    #[arg(long, default_value_t = 8600)]
    port: u16,
    /// Run 60 s, print one JSON object with what was measured as the last line, and fail when no incident came.
    #[arg(long)]
    headless: bool,
    /// End when standard input closes, and tell address and login as one JSON line.
    #[arg(long, hide = true)]
    for_tests: bool,
}

const HEADLESS_RUN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(500);

fn main() -> Result<()> {
    let args = Args::parse();
    let interrupted = interruptions(args.for_tests)?;
    let folder = fresh_folder(args.port)?;
    let login = Login { user: "admin".to_owned(), password: format!("demo-{}", std::process::id()) };
    eprintln!("starting {} simulated cameras", args.cameras);
    let cameras = Camera::spread("/cam", &parts::street(Codec::H264)?, usize::from(args.cameras));
    let paths: Vec<String> = cameras.iter().map(|camera| camera.path.clone()).collect();
    let street = SimCam::start(0, Some(&login), cameras)?;
    let deployment = Deployment::new(&folder)?;
    let template = fs::read_to_string(parts::checkout().join("deploy/samples/demo.toml"))?;
    deployment.write("xueliang.toml", &template, &[("LISTEN", &format!("127.0.0.1:{}", args.port))])?;
    for (index, path) in paths.iter().enumerate() {
        deployment.add_street_camera(&format!("street-{:02}", index + 1), &street.url(path), &login)?;
    }
    eprintln!("starting xueliang up (log: {}/up.log)", folder.display());
    let started = Instant::now();
    let mut process = deployment.start("up", "xueliang.toml", "up")?;
    let client = deployment.sign_in(&mut process, args.port, "operator")?;
    tell(&args, &deployment)?;
    let mut show = Show { process, client, started, first_incident: None, shown: 0 };
    let outcome = show.run(&args, &interrupted);
    let summary = show.summary(args.cameras);
    let ended = show.process.terminate(Duration::from_secs(15));
    drop(street);
    outcome?;
    ended?;
    if args.headless {
        let summary = summary?;
        println!("{summary}");
        if summary["incidents"] == 0 {
            bail!("no incident came within {HEADLESS_RUN:?}; see {}/up.log", folder.display());
        }
    }
    Ok(())
}

/// What runs, and what was seen of it.
struct Show {
    process: Process,
    client: Client,
    started: Instant,
    first_incident: Option<Duration>,
    shown: usize,
}

impl Show {
    fn run(&mut self, args: &Args, interrupted: &Receiver<()>) -> Result<()> {
        loop {
            self.process.check_running()?;
            self.look()?;
            if args.headless && self.started.elapsed() >= HEADLESS_RUN {
                return Ok(());
            }
            match interrupted.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    eprintln!("ending");
                    return if args.headless { bail!("interrupted") } else { Ok(()) };
                }
            }
        }
    }

    /// Shows the incidents that are new.
    fn look(&mut self) -> Result<()> {
        let incidents = self.client.incidents(None)?;
        let n_new = incidents.len().saturating_sub(self.shown);
        for incident in incidents.iter().take(n_new).rev() {
            let seconds = self.started.elapsed().as_secs_f64();
            self.first_incident.get_or_insert(self.started.elapsed());
            let summary = &incident["summary"];
            let (zh, en) = (summary["zh"].as_str().unwrap_or("?"), summary["en"].as_str().unwrap_or("?"));
            let device = incident["device"]["id"].as_str().unwrap_or("?");
            eprintln!("{seconds:6.1} s  incident  {device}  {zh}  |  {en}");
        }
        self.shown = incidents.len();
        Ok(())
    }

    fn summary(&self, n_cameras: u16) -> Result<Value> {
        let cores = self.process.cpu_time()?.as_secs_f64() / self.started.elapsed().as_secs_f64();
        let round = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        Ok(json!({
            "cameras": n_cameras,
            "events": self.client.metric("xueliang_events_total", "")? as u64,
            "incidents": self.shown,
            "first_incident_s": self.first_incident.map(|first| round(first.as_secs_f64(), 1)),
            "cpu_cores_per_camera": round(cores / f64::from(n_cameras), 3),
            "rss_mb": self.process.resident_bytes()? / 1_000_000,
        }))
    }
}

fn tell(args: &Args, deployment: &Deployment) -> Result<()> {
    let password = deployment.initial_password("operator")?;
    let url = format!("http://127.0.0.1:{}", args.port);
    if args.for_tests {
        println!("{}", json!({ "url": url, "account": "operator", "password": password }));
        return Ok(());
    }
    eprintln!("\n  console    {url}\n  account    operator\n  password   {password}");
    eprintln!("  (dispatcher and supervisor: {}/state/alerting/initial-passwords.txt)", deployment.folder().display());
    eprintln!("\nCtrl-C ends everything\n");
    Ok(())
}

/// A fresh folder for this run's state; what an earlier run left is removed.
fn fresh_folder(port: u16) -> Result<PathBuf> {
    let cache = parts::path("")?;
    let folder = cache.join("demo").join(port.to_string());
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", folder.display()))?;
    }
    Ok(folder)
}

/// Tells when to end: Ctrl-C, SIGTERM, or for tests the end of standard input.
fn interruptions(for_tests: bool) -> Result<Receiver<()>> {
    let (sender, receiver) = channel();
    if for_tests {
        let sender = sender.clone();
        std::thread::spawn(move || {
            // Whether it ends cleanly or not, it is over.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            sender.send(())
        });
    }
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
