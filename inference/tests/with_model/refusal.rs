//! RULES P09: what is no plain detector of the pinned digest does not load, and says why.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use xueliang_inference::{Manifest, Model, ModelError, Provider, SessionSettings};

use crate::cache::runtime;

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub fn manifest(model: &str, tensor: &str, sha256: &str) -> Manifest {
    let text = format!(
        r#"
name = "{model}"
file = "{model}.onnx"
bytes = 1
sha256 = "{sha256}"
licence = "Apache-2.0"
sources = []
classes = [{{ index = 0, class = "person" }}]

[input]
tensor = "images"
width = 64
height = 64
layout = "nchw"
colour = "bgr"
scale = 1.0
offset = 0.0
fit = {{ kind = "letterbox", pad = 114 }}

[output]
decoder = "yolox"
tensor = "{tensor}"
strides = [8, 16, 32]
n_classes = 80
score_threshold = 0.35
nms_iou = 0.45
"#
    );
    Manifest::parse(&text).expect("manifest")
}

fn load(model: &str, tensor: &str, settings: &SessionSettings) -> Result<Model, ModelError> {
    let bytes = fs::read(fixtures().join(format!("{model}.onnx"))).expect("fixture");
    let manifest = manifest(model, tensor, &hex::encode(Sha256::digest(&bytes)));
    Model::load(&runtime(), &manifest, &fixtures(), settings)
}

fn refusal(model: &str, tensor: &str) -> String {
    load(model, tensor, &SessionSettings::default()).err().expect("is refused").to_string()
}

#[test]
fn plain_detector_loads() {
    let model = load("detector", "output", &SessionSettings::default()).expect("loads");
    assert_eq!((model.name(), model.provider()), ("detector", Provider::Cpu));
}

#[test]
fn p09_models_that_identify_are_refused() {
    for (model, tensor, expected) in [
        ("reid", "output", "\"embedding\""),
        ("reid", "embedding", "1, 512"),
        ("ocr", "output", "\"text\""),
        ("detector_with_embedding", "output", "never embeddings"),
        ("detector_of_other_shape", "output", "1×84×85"),
    ] {
        let message = refusal(model, tensor);
        assert!(message.contains("is refused") && message.contains(expected), "{model}: {message}");
    }
}

#[test]
fn p09_other_bytes_than_the_pinned_ones_are_refused() {
    let manifest = manifest("detector", "output", &"0".repeat(64));
    let loaded = Model::load(&runtime(), &manifest, &fixtures(), &SessionSettings::default());
    assert!(matches!(loaded.err(), Some(ModelError::Digest { .. })));
}

#[test]
fn missing_file_is_an_error_with_a_cure() {
    let manifest = manifest("nothing", "output", &"0".repeat(64));
    let error = Model::load(&runtime(), &manifest, &fixtures(), &SessionSettings::default()).err().expect("is missing");
    assert!(error.to_string().contains("fetch the model first"), "{error}");
}

#[test]
fn missing_provider_is_skipped_or_an_error_as_asked() {
    let here = runtime().providers();
    let Some(missing) = Provider::ALL.into_iter().find(|provider| !here.contains(provider)) else { return };
    let lenient = SessionSettings { providers: vec![missing, Provider::Cpu], ..SessionSettings::default() };
    assert_eq!(load("detector", "output", &lenient).expect("loads").provider(), Provider::Cpu);
    for providers in [vec![missing, Provider::Cpu], vec![Provider::Cpu, missing]] {
        let strict = SessionSettings { providers, require: true, ..lenient.clone() };
        let refused = load("detector", "output", &strict).err().expect("is refused");
        assert!(matches!(refused, ModelError::ProviderMissing { provider, .. } if provider == missing), "{refused}");
    }
    let alone = SessionSettings { providers: vec![missing], ..lenient };
    assert!(matches!(load("detector", "output", &alone).err(), Some(ModelError::NoProvider)));
}
