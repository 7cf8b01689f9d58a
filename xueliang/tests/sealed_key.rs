//! `xueliang sealed-key` as an administrator meets it.
#![cfg(feature = "alerting")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

fn xueliang(folder: &Path, words: &[&str]) -> (bool, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_xueliang"))
        .args(words)
        .current_dir(folder)
        .env_remove("XUELIANG_CONFIG")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.success(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn a_pair_is_made_its_public_half_told_and_its_file_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (succeeded, help, _) = xueliang(folder.path(), &["sealed-key", "--help"]);
    assert!(succeeded && help.contains("[ingest.sealed_originals]") && help.contains("key_file"), "{help}");
    let (succeeded, public, said) = xueliang(folder.path(), &["sealed-key", "originals.key"]);
    assert!(succeeded && public.starts_with("age1") && said.contains("mode 0600"), "{public}{said}");
    let file = folder.path().join("originals.key");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let private = fs::read_to_string(&file).unwrap();
    assert!(private.contains("AGE-SECRET-KEY-1") && !format!("{public}{said}").contains("SECRET"));

    let (succeeded, _, said) = xueliang(folder.path(), &["sealed-key", "originals.key"]);
    assert!(!succeeded && said.contains("is there already"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), private);

    let settings = "[alerting]\ndata_dir = \"data\"\nregion = \"340200\"\n[alerting.sealed_originals]\nkey_file = \"originals.key\"\n";
    fs::write(folder.path().join("xueliang.toml"), settings).unwrap();
    let (succeeded, said, wrong) = xueliang(folder.path(), &["validate"]);
    assert!(succeeded && said.contains("no mistakes"), "{said}{wrong}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (succeeded, _, wrong) = xueliang(folder.path(), &["validate"]);
    assert!(
        !succeeded && wrong.contains("xueliang.toml:5: alerting.sealed_originals.key_file: may be read by others"),
        "{wrong}"
    );
}
