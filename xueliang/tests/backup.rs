//! `xueliang backup` and `xueliang restore` as an administrator meets them.
#![cfg(feature = "alerting")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{path::Path, process::Command};

use xueliang_alerting::store::{Place, Store};

/// What the program says, and whether it succeeded.
fn xueliang(folder: &Path, words: &str) -> (bool, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_xueliang"))
        .args(words.split(' '))
        .current_dir(folder)
        .env_remove("XUELIANG_CONFIG")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8(said).unwrap())
}

fn settings(folder: &Path, name: &str) {
    let text = format!("[alerting]\ndata_dir = \"{name}\"\nregion = \"340200\"\n");
    std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
}

#[test]
fn a_store_goes_into_a_folder_and_comes_back_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ["old", "new"].iter().for_each(|name| settings(folder, name));
    let store = Store::open(&Place::File(folder.join("old/alerting.sqlite"))).unwrap();
    let sql = "INSERT INTO account (id, display_name, password) VALUES ('a', 'A', 'argon')";
    store.write_blocking(|tx| tx.batch(sql)).unwrap();

    let check = |words: &str, succeeds: bool, expected: &str| {
        let (succeeded, said) = xueliang(folder, words);
        assert!(succeeded == succeeds && said.contains(expected), "{words}: {said}");
    };
    check("backup --config old.toml", false, "--to <DIR>");
    check("backup --config none.toml --to b", false, "none.toml");
    check("backup --config new.toml --to b", false, "alerting.sqlite holds no store of alerting");
    check("backup --config old.toml --to b", true, "tables, 1 rows, 0 stills");
    check("backup --config old.toml --to b", false, "b exists already; name a folder that does not");
    check("backup --verify b", true, "b is whole");
    check("restore --config old.toml --from b", false, "holds rows in table account already");
    check("restore --config new.toml --from b", true, "b is restored");
    check("backup --config new.toml --to c", true, "1 rows");
    std::fs::write(folder.join("c/tables/account.jsonl"), "").unwrap();
    check("backup --verify c", false, "c/tables/account.jsonl: is 0 bytes long");
    check("restore --config new.toml --from c", false, "take another copy of the backup");
}
