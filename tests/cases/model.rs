//! `xueliang model` as people run it: what a model is, whether it may run, how fast it runs.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use xueliang_tests::parts;

/// The model that follows the camera's shape, whatever model the other cases use.
const MODEL: &str = "yolox_nano";

fn model(arguments: &[&str]) -> Output {
    let mut command = Command::new(parts::program("xueliang").unwrap());
    let manifest = parts::checkout().join(format!("models/{MODEL}.toml"));
    command.arg("model").arg(arguments[0]).arg(manifest).arg("--weights").arg(parts::path("models").unwrap());
    command.arg("--onnxruntime").arg(parts::onnxruntime().unwrap()).args(&arguments[1..]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn part(relative: &str) -> String {
    parts::path(relative).unwrap().display().to_string()
}

/// What it printed; panics when it failed.
fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn inspect_tells_what_a_model_is_and_what_can_run_it() {
    let told = told(&model(&["inspect"]));
    for wanted in ["sha256", "input", "output", "person", "providers", "cpu", "follows the camera's shape"] {
        assert!(told.contains(wanted), "{wanted} is missing in {told}");
    }
}

#[test]
fn verify_says_what_was_not_checked_and_what_to_do() {
    let told = told(&model(&["verify"]));
    assert!(told.contains("digest") && told.contains("contract"), "{told}");
    assert!(told.contains("parity: not checked") && told.contains("prepare.sh"), "{told}");
}

/// Verifies against the reference after `change` was made to it.
fn verify_against(folder: &Path, change: impl FnOnce(&mut Value)) -> Output {
    let path = part(&format!("parity/{MODEL}.rectangular.json"));
    let mut reference: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut reference);
    let changed = folder.join("reference.json");
    std::fs::write(&changed, reference.to_string()).unwrap();
    let (frames, changed) = (part("parity/frames_768x576.i420"), changed.display().to_string());
    model(&["verify", "--frames", &frames, "--reference", &changed])
}

#[test]
fn verify_takes_the_right_reference_and_refuses_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let right = told(&verify_against(folder.path(), |_| ()));
    assert!(right.contains("ok  parity"), "{right}");
    let check = |change: fn(&mut Value)| {
        let output = verify_against(folder.path(), change);
        let told = text(&output.stderr);
        assert!(!output.status.success() && told.contains("is not what this model finds"), "{told}");
        assert!(!text(&output.stdout).contains("ok  parity"));
    };
    check(|reference| {
        // The first box of the first frame, ten pixels to the right.
        for edge in [2, 4] {
            let moved = reference["frames"][0][0][edge].as_f64().unwrap() + 10.0;
            reference["frames"][0][0][edge] = json!(moved);
        }
    });
    check(|reference| {
        reference["frames"][0].as_array_mut().unwrap().remove(0);
    });
    check(|reference| reference["frames"][0][0][0] = json!("bus"));
}

#[test]
fn bench_tells_the_time_of_each_stage() {
    let told = told(&model(&["bench", "--rounds", "3", "--size", "768x576", "--json"]));
    let report: Value = serde_json::from_str(&told).unwrap();
    let row = &report["figures"][0];
    assert_eq!((&row["camera"], &row["input"], &row["n"]), (&json!("768x576"), &json!("416x320"), &json!(3)), "{row}");
    for stage in ["preprocess_ms", "infer_ms", "decode_ms", "frames_per_second"] {
        assert!(row[stage].as_f64().unwrap() > 0.0, "{stage}: {row}");
    }
    let output = model(&["bench", "--size", "1080p"]);
    assert!(!output.status.success() && text(&output.stderr).contains("1920x1080"));
}
