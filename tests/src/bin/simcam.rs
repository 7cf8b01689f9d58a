//! Simulated cameras as a program: prints one JSON line with its URLs, then plays until told to end.
//!
//! Ends on SIGINT and SIGTERM by their default action, and with `--until-stdin-closes` when its standard input does,
//! so that it never outlives what started it.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use xueliang_tests::simcam::{Camera, Codec, Footage, Login, SimCam};

/// Plays pre-encoded footage as RTSP cameras on loopback.
#[derive(Parser)]
struct Args {
    /// Number of cameras, at /cam/1 and up (and at /h265/1 and up with --h265-file).
    #[arg(long, default_value_t = 4)]
    cameras: usize,
    /// Port to listen on; 0 takes any.
    #[arg(long, default_value_t = 8554)]
    port: u16,
    /// H.264 footage in MP4.
    #[arg(long)]
    file: PathBuf,
    /// H.265 footage in MP4.
    #[arg(long)]
    h265_file: Option<PathBuf>,
    /// User name that clients must give.
    #[arg(long, default_value = "admin")]
    user: String,
    /// File whose first line is the password.
    #[arg(long, required_unless_present = "no_auth")]
    password_file: Option<PathBuf>,
    /// Ask for no password.
    #[arg(long, conflicts_with = "password_file")]
    no_auth: bool,
    /// End when standard input closes.
    #[arg(long)]
    until_stdin_closes: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let mut cameras = Camera::spread("/cam", &Footage::read(&args.file, Codec::H264)?, args.cameras);
    if let Some(path) = &args.h265_file {
        cameras.extend(Camera::spread("/h265", &Footage::read(path, Codec::H265)?, args.cameras));
    }
    let paths: Vec<String> = cameras.iter().map(|camera| camera.path.clone()).collect();
    let server = SimCam::start(args.port, login(&args)?.as_ref(), cameras)?;
    let urls: Vec<String> = paths.iter().map(|path| server.url(path)).collect();
    println!("{}", serde_json::json!({ "port": server.port(), "urls": urls }));
    if args.until_stdin_closes {
        std::io::stdin().read_to_end(&mut Vec::new())?;
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

fn login(args: &Args) -> Result<Option<Login>> {
    let Some(path) = &args.password_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let password = text.lines().next().unwrap_or_default().to_owned();
    Ok(Some(Login { user: args.user.clone(), password }))
}
