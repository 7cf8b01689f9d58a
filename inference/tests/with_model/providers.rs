//! All tests of this binary once more on each other provider. A process holds one ONNX Runtime, so this binary starts
//! itself with the library that has the provider; the provider is required, so that nothing else can have run.
//!
//! OpenVINO's library is a part of the cache. Those of CUDA and TensorRT are named by `XUELIANG_ONNXRUNTIME_CUDA` and
//! `XUELIANG_ONNXRUNTIME_TENSORRT`, on a machine that has the hardware. What is missing is skipped and says so.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use xueliang_inference::Provider;

use crate::cache::{PROVIDER_VARIABLE, cache};

/// Past the test runner's capture, so that it is seen.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("standard error");
}

fn library(provider: Provider) -> Option<PathBuf> {
    let variable = format!("XUELIANG_ONNXRUNTIME_{}", provider.as_str().to_uppercase());
    if let Some(library) = env::var_os(&variable).filter(|library| !library.is_empty()) {
        return Some(library.into());
    }
    let in_cache = cache().join(provider.as_str()).join("libonnxruntime.so");
    if in_cache.is_file() {
        return Some(in_cache);
    }
    say(&format!(
        "SKIPPED: nothing ran on {provider}: {variable} names no ONNX Runtime, nor is there {}",
        in_cache.display()
    ));
    None
}

fn check_all_on(provider: Provider) {
    let Some(library) = library(provider) else { return };
    let tests = env::current_exe().expect("this binary");
    let run = Command::new(tests)
        .args(["--skip", "providers::", "--nocapture"])
        .env("ORT_DYLIB_PATH", &library)
        .env(PROVIDER_VARIABLE, provider.as_str())
        .output()
        .expect("starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "on {provider} from {}:\n{stdout}\n{stderr}", library.display());
    println!("{stdout}");
}

#[test]
fn openvino_passes_the_same_tests() {
    check_all_on(Provider::OpenVino);
}

#[test]
fn cuda_passes_the_same_tests() {
    check_all_on(Provider::Cuda);
}

#[test]
fn tensorrt_passes_the_same_tests() {
    check_all_on(Provider::TensorRt);
}
