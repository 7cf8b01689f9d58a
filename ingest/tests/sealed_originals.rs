//! What lies on the worker's disk beside a redacted snapshot, with a key in the settings and without one.
//! Needs the model and ONNX Runtime that `./check` installs (`XUELIANG_CACHE`): a snapshot is made of a real look only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use prometheus::Registry;
use xueliang_events::values::SnapshotRef;
use xueliang_inference::{
    Colour, DecodedFrame, Detector, Frame, Manifest, Model, PrivacyMasks, SessionSettings, init_runtime, mask,
    redact::{self, RedactSettings, Snapshot},
};
use xueliang_ingest::{metrics::Metrics, settings::SealedOriginals, snapshots::SnapshotStore};

/// A public key; nobody has the private one.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn frame() -> Frame {
    let mut bytes = vec![235; 640 * 360];
    bytes.resize(640 * 360 * 3 / 2, 128);
    let decoded = DecodedFrame::from_i420(bytes, (640, 360), Colour::default(), Timestamp::UNIX_EPOCH).unwrap();
    mask::paint(decoded, &PrivacyMasks::none())
}

fn snapshot_of(frame: &Frame) -> Snapshot {
    let cache = PathBuf::from(std::env::var_os("XUELIANG_CACHE").expect("XUELIANG_CACHE is not set: run ./check"));
    let in_cache = cache.join("onnxruntime/libonnxruntime.so");
    let library = std::env::var_os("ORT_DYLIB_PATH").is_none().then_some(in_cache);
    let runtime = init_runtime(library.as_deref()).expect("ONNX Runtime");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let manifest = Manifest::read(&models.join("yolox_nano.toml")).expect("manifest");
    let model = Model::load(&runtime, &manifest, &cache.join("models"), &SessionSettings::default()).expect("model");
    let mut detector = Detector::new(model);
    let found = detector.detect(frame, &detector.settings()).expect("detections");
    redact::snapshot(frame, &found, &[], &RedactSettings::default()).expect("snapshot")
}

/// Keeps a snapshot and seals what it was made of; where it lies, and what was counted.
fn kept(folder: &Path, originals: Option<SealedOriginals>, before: impl FnOnce(&Path)) -> (SnapshotRef, String) {
    let registry = Registry::new();
    let store = SnapshotStore::new(folder.to_owned(), 1 << 20, Metrics::new(&registry).unwrap());
    let store = store.with_originals(originals);
    let frame = frame();
    let snapshot = snapshot_of(&frame);
    let reference = store.keep(&snapshot).unwrap();
    before(&folder.join(&reference.sha256.as_str()[..2]).join(format!("{}.age", &reference.sha256.as_str()[2..])));
    store.seal(&frame, (&snapshot, &reference), &RedactSettings::default());
    (reference, prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap())
}

fn originals() -> Option<SealedOriginals> {
    let (recipient, assessment) = (RECIPIENT.parse().unwrap(), "PIA-7".to_owned());
    Some(SealedOriginals { recipient, assessment, keep: Duration::from_secs(3600) })
}

fn names(folder: &Path, still: &SnapshotRef) -> Vec<String> {
    let shelf = fs::read_dir(folder.join(&still.sha256.as_str()[..2])).unwrap();
    let mut names: Vec<String> = shelf.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn sealed_originals_are_off_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let (still, counted) = kept(folder.path(), None, |_| ());
    assert_eq!(names(folder.path(), &still), [format!("{}.jpg", &still.sha256.as_str()[2..])]);
    assert!(!counted.contains("xueliang_sealed_originals_total{"), "{counted}");
}

#[test]
fn p11_only_ciphertext_of_an_original_is_written_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let (still, counted) = kept(folder.path(), originals(), |_| ());
    let rest = &still.sha256.as_str()[2..];
    assert_eq!(names(folder.path(), &still), [format!("{rest}.age"), format!("{rest}.jpg")]);
    let shelf = folder.path().join(&still.sha256.as_str()[..2]);
    let (sealed, redacted) = (shelf.join(format!("{rest}.age")), shelf.join(format!("{rest}.jpg")));
    assert_eq!(fs::metadata(&sealed).unwrap().permissions().mode() & 0o777, 0o600);
    let has = |file: &Path, word: &[u8]| fs::read(file).unwrap().windows(word.len()).any(|window| window == word);
    assert!(has(&redacted, b"\xff\xd8\xff") && has(&redacted, b"JFIF"), "the test looked at nothing");
    assert!(fs::read(&sealed).unwrap().starts_with(b"age-encryption.org/v1\n"));
    assert!(!has(&sealed, b"JFIF") && !has(&sealed, b"xueliang-original"));
    assert!(counted.contains("xueliang_sealed_originals_total{outcome=\"kept\"} 1"), "{counted}");
}

#[test]
fn a_seal_that_fails_costs_the_original_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // A folder stands where the file should.
    let (still, counted) = kept(folder.path(), originals(), |place| fs::create_dir(place).unwrap());
    assert!(names(folder.path(), &still).contains(&format!("{}.jpg", &still.sha256.as_str()[2..])));
    assert!(counted.contains("xueliang_sealed_originals_total{outcome=\"failed\"} 1"), "{counted}");
    assert!(counted.contains("xueliang_snapshots_total{outcome=\"kept\"} 1"), "{counted}");
}
