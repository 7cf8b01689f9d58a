//! Whatever is done to a backup, it is refused, and the file is named.

use super::*;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Refused by both, before anything is written.
fn check(backup: &Path, named: &Path) {
    let refused = verify(backup, &mut |_| {}).unwrap_err();
    let said = crate::error_chain(&refused);
    assert!(said.contains(named.to_str().unwrap()), "{said} does not name {}", named.display());
    let into = backup.with_file_name("into");
    let store = Deployment { place: Place::File(into.join("a.sqlite")), evidence_dir: into.join("evidence") };
    let refused = restore(backup, &store, &mut |_| {}).unwrap_err();
    assert_eq!(crate::error_chain(&refused), said);
    assert!(!into.exists(), "{said}: something was written");
}

#[test]
fn every_changed_byte_is_refused_by_its_files_name() {
    let (_folder, to) = small();
    let all = files(&to);
    assert!(all.len() > 15, "{all:?}");
    for file in all {
        let sound = fs::read(&file).unwrap();
        let named = if file.ends_with("manifest.json.sha256") { to.join("manifest.json") } else { file.clone() };
        for place in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[place] ^= 1;
            fs::write(&file, bytes).unwrap();
            check(&to, &named);
        }
        fs::write(&file, sound).unwrap();
    }
    verify(&to, &mut |_| {}).unwrap();
}

#[test]
fn a_missing_truncated_or_longer_file_is_refused_by_name() {
    let (_folder, to) = small();
    for file in files(&to) {
        let sound = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        check(&to, &file);
        let named = if file.ends_with("manifest.json.sha256") { to.join("manifest.json") } else { file.clone() };
        let cuts = [0, 1, sound.len() / 2, sound.len().saturating_sub(1)];
        for cut in cuts.into_iter().filter(|cut| *cut < sound.len()) {
            fs::write(&file, &sound[..cut]).unwrap();
            check(&to, &named);
        }
        for more in ["\n", "x", "[1]\n"] {
            fs::write(&file, [&sound, more.as_bytes()].concat()).unwrap();
            check(&to, &named);
        }
        fs::write(&file, sound).unwrap();
    }
    verify(&to, &mut |_| {}).unwrap();
}

#[test]
fn a_file_too_many_is_refused_by_name() {
    let (_folder, to) = small();
    let folder_of_still = to.join("stills").join(relative(&digest(PICTURE))).parent().unwrap().to_owned();
    let other_still = to.join("stills").join(relative(&digest(b"other")));
    let extra = [to.join("more"), to.join("tables/more.jsonl"), folder_of_still.join("more.jpg"), other_still];
    for file in extra {
        let is_new = !file.parent().unwrap().exists();
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, b"other").unwrap();
        check(&to, &file);
        fs::remove_file(&file).unwrap();
        if is_new {
            fs::remove_dir(file.parent().unwrap()).unwrap();
        }
    }
    let (link, folder) = (to.join("link"), to.join("tables/folder"));
    std::os::unix::fs::symlink("manifest.json", &link).unwrap();
    check(&to, &link);
    fs::remove_file(&link).unwrap();
    fs::create_dir(&folder).unwrap();
    check(&to, &folder);
    fs::remove_dir(&folder).unwrap();
    verify(&to, &mut |_| {}).unwrap();
}

/// Changes the manifest as its author would, hash and all.
fn rewrite(to: &Path, change: impl FnOnce(&mut serde_json::Value)) -> BackupError {
    let file = to.join("manifest.json");
    let mut json = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    change(&mut json);
    let bytes = serde_json::to_vec(&json).unwrap();
    fs::write(to.join("manifest.json.sha256"), format!("{}  manifest.json\n", sha256(&bytes))).unwrap();
    fs::write(file, bytes).unwrap();
    let into = Deployment { place: Place::File(to.with_file_name("b.sqlite")), evidence_dir: to.with_file_name("e") };
    restore(to, &into, &mut |_| {}).unwrap_err()
}

#[test]
fn a_manifest_of_another_program_is_refused_with_a_cure() {
    let check = |change: fn(&mut serde_json::Value), expected: &str| {
        let (_folder, to) = small();
        let said = crate::error_chain(&rewrite(&to, change));
        assert!(said.contains(expected) && said.contains("manifest.json"), "{said}");
    };
    check(|json| json["format"] = 2.into(), "is of format 2, this program knows 1");
    check(|json| json["schema"] = 99.into(), "is of schema 99");
    check(|json| json["migrations"][1] = "other".into(), "another migration 2");
    check(|json| json["migrations"] = serde_json::json!([]), "not as many migrations");
    check(|json| json["more"] = 1.into(), "unknown field `more`");
    check(|json| json["tables"][0]["table"] = "../account".into(), "is no table");
    check(|json| json["tables"][0]["columns"][0]["holds"] = "blob".into(), "is no table");
}

#[test]
fn rows_that_do_not_fit_the_schema_undo_everything() {
    let check = |change: fn(&mut serde_json::Value), expected: &str| {
        let (_folder, to) = small();
        let said = crate::error_chain(&rewrite(&to, change));
        assert!(said.contains(expected), "{said}");
        let left = contents(&Place::File(to.with_file_name("b.sqlite")));
        assert!(left.is_empty(), "{left:?}");
    };
    check(|json| json["tables"][0]["columns"][0]["name"] = "other".into(), "other columns of table account");
    check(|json| json["left_out"] = serde_json::json!([]), "lacks table");
}

#[test]
fn a_file_that_changes_after_it_was_verified_undoes_everything() {
    let (_folder, to) = small();
    testing::on_both(|place| {
        let restored_in = tempfile::tempdir().unwrap();
        let file = to.join("tables/view.jsonl");
        let sound = fs::read(&file).unwrap();
        let refused = restore(&to, &new_deployment(place, restored_in.path()), &mut |step| {
            if step.doing == "copying" {
                let text = String::from_utf8(sound.clone()).unwrap();
                fs::write(&file, text.replace("permit", "deny")).unwrap();
            }
        });
        let said = crate::error_chain(&refused.unwrap_err());
        assert!(said.contains("view.jsonl"), "{said}");
        assert!(contents(place).is_empty());
        fs::write(&file, &sound).unwrap();
    });
}

#[test]
fn stills_are_a_set_of_digests() {
    let mut stills = Stills::default();
    stills.insert(&digest(b"one"));
    stills.insert(&digest(b"one"));
    assert_eq!(stills.iter().collect::<Vec<_>>(), [digest(b"one")]);
}
