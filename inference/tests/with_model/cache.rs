//! Where the tests find their inputs. Without them they fail; they never pass by not looking.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use xueliang_inference::{
    Colour, DecodedFrame, Detector, Frame, Manifest, Model, PrivacyMasks, Provider, Runtime, SessionSettings,
    init_runtime, mask,
};

/// Width and height of the footage.
pub const SIZE: (u32, u32) = (768, 576);

/// The folder that holds `onnxruntime/`, `models/` and `parity/`.
pub fn cache() -> PathBuf {
    let folder = env::var_os("XUELIANG_CACHE").expect(
        "XUELIANG_CACHE is not set: run ./check, or set it to a folder prepared by inference/tests/reference/prepare.sh",
    );
    PathBuf::from(folder)
}

/// The model that this machine uses: `XUELIANG_MODEL`, else the default one.
pub fn model() -> String {
    env::var("XUELIANG_MODEL").unwrap_or_else(|_| "yolox_nano".to_owned())
}

/// The library that `ORT_DYLIB_PATH` names, else the one in the cache.
pub fn runtime() -> Runtime {
    let in_cache = cache().join("onnxruntime/libonnxruntime.so");
    let library = env::var_os("ORT_DYLIB_PATH").is_none().then_some(in_cache);
    init_runtime(library.as_deref()).expect("ONNX Runtime")
}

/// Names the provider that the tests run on; the processor without it.
pub const PROVIDER_VARIABLE: &str = "XUELIANG_TEST_PROVIDER";

/// The provider under test, and no other.
pub fn session_settings() -> SessionSettings {
    let provider = env::var(PROVIDER_VARIABLE).map_or(Provider::Cpu, |name| name.parse().expect("a provider"));
    SessionSettings { providers: vec![provider], require: true, ..SessionSettings::default() }
}

pub fn manifest(model: &str) -> Manifest {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    Manifest::read(&manifests.join(format!("{model}.toml"))).expect("manifest")
}

pub fn detector(model: &str) -> Detector {
    detector_of(&manifest(model))
}

pub fn detector_of(manifest: &Manifest) -> Detector {
    let model = Model::load(&runtime(), manifest, &cache().join("models"), &session_settings());
    let model = model.expect("model");
    assert_eq!(model.provider(), session_settings().providers[0]);
    Detector::new(model)
}

/// The prepared frames of the footage.
pub fn frames(masks: &PrivacyMasks) -> Vec<Frame> {
    let path = cache().join("parity/frames_768x576.i420");
    let raw = fs::read(&path);
    let raw = raw.unwrap_or_else(|error| panic!("{}: {error}: run tests/reference/prepare.sh", path.display()));
    let frame = |bytes: &[u8]| {
        let decoded = DecodedFrame::from_i420(bytes.to_vec(), SIZE, Colour::default(), Timestamp::UNIX_EPOCH);
        mask::paint(decoded.expect("frame"), masks)
    };
    raw.chunks_exact((SIZE.0 * SIZE.1 * 3 / 2) as usize).map(frame).collect()
}
