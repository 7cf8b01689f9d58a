//! Where the parts lie that `./check` and `./demo` install, and the footage that every test plays.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, anyhow, ensure};

use crate::Kind;
use crate::simcam::{Codec, Footage};

/// A file or folder of the cache (`XUELIANG_CACHE`, else `.cache` of the checkout).
pub fn path(relative: &str) -> Result<PathBuf> {
    let cache = std::env::var_os("XUELIANG_CACHE").map_or_else(|| checkout().join(".cache"), PathBuf::from);
    let path = cache.join(relative);
    ensure!(path.exists(), "{} is not there; run ./check once, it installs it", path.display());
    Ok(path)
}

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The manifest that is used here: `XUELIANG_MODEL`, else the default one.
pub fn model() -> String {
    std::env::var("XUELIANG_MODEL").unwrap_or_else(|_| "yolox_nano".to_owned())
}

/// ONNX Runtime's shared library: `XUELIANG_ONNXRUNTIME`, else the cache's.
pub fn onnxruntime() -> Result<PathBuf> {
    std::env::var_os("XUELIANG_ONNXRUNTIME")
        .map_or_else(|| path("onnxruntime/libonnxruntime.so"), |path| Ok(path.into()))
}

/// A program that cargo built beside the running test or program.
pub fn program(name: &str) -> Result<PathBuf> {
    let running = std::env::current_exe().context("this process has no path")?;
    let folder = running.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).context("no folder")?;
    let program = folder.join(name);
    ensure!(program.is_file(), "{} is not built; run ./check, or cargo build --bin {name}", program.display());
    Ok(program)
}

/// The busy street, read once for all tests of a process.
pub fn street(codec: Codec) -> Result<Footage> {
    static H264: OnceLock<Footage> = OnceLock::new();
    static H265: OnceLock<Footage> = OnceLock::new();
    let (slot, file) = match codec {
        Codec::H264 => (&H264, "footage/vtest_h264.mp4"),
        Codec::H265 => (&H265, "footage/vtest_h265.mp4"),
    };
    if let Some(footage) = slot.get() {
        return Ok(footage.clone());
    }
    let footage = Footage::read(&path(file)?, codec)?;
    Ok(slot.get_or_init(|| footage).clone())
}

/// Thirty seconds of the street, 25 pictures each: quiet with one walker, or busy all the time.
pub fn made(kind: Kind) -> Result<PathBuf> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().map_err(|_| anyhow!("making footage failed"))?;
    xueliang_bench::footage::kept(kind, 30)
}

/// Twenty seconds of the footage and then a minute of black, as a file in `folder`.
pub fn black_after_a_while(footage: &Path, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("black.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y", "-t", "20", "-i"]).arg(footage);
    ffmpeg.args(["-vf", "tpad=stop_mode=add:stop_duration=60:color=black", "-c:v", "libx264", "-preset", "veryfast"]);
    ffmpeg.args(["-tune", "zerolatency", "-g", "20", "-sc_threshold", "0"]).arg(&path);
    ensure!(ffmpeg.status()?.success(), "ffmpeg can't make the footage");
    Ok(path)
}

/// The same footage as a small sub-stream of the camera, with a keyframe every second, as a file in `folder`.
pub fn small(footage: &Path, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("small.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(footage).args(["-vf", "scale=352:264"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", "25", "-keyint_min", "25"]);
    let status = ffmpeg.args(["-sc_threshold", "0"]).arg(&path).status().context("can't start ffmpeg")?;
    ensure!(status.success(), "ffmpeg can't make {}", path.display());
    Ok(path)
}
