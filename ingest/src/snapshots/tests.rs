//! When what lies in the folder goes. What is put there: `tests/sealed_originals.rs`, which needs a model.

use super::*;

/// A public key; nobody has the private one.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn store(folder: &Path, max_bytes: u64) -> SnapshotStore {
    SnapshotStore::new(folder.to_owned(), max_bytes, Metrics::new(&prometheus::Registry::new()).unwrap())
}

fn originals(keep_hours: u64) -> Option<SealedOriginals> {
    let (recipient, assessment) = (RECIPIENT.parse().unwrap(), "a".to_owned());
    Some(SealedOriginals { recipient, assessment, keep: Duration::from_secs(3600 * keep_hours) })
}

fn put(folder: &Path, name: &str, age: Duration, n_bytes: usize) {
    let path = folder.join("aa").join(name);
    write_whole(&path, &vec![0; n_bytes], REDACTED_MODE).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = list(folder)
        .unwrap()
        .iter()
        .map(|file| file.path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn p16_old_snapshots_go_and_the_sweep_is_idempotent() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "old.jpg", MAX_AGE + Duration::from_secs(60), 10);
    put(folder.path(), "young.jpg", Duration::from_secs(60), 10);
    let store = store(folder.path(), 1000);
    assert_eq!(store.sweep(SystemTime::now()).unwrap(), 1);
    assert_eq!(store.sweep(SystemTime::now()).unwrap(), 0);
    assert_eq!(names(folder.path()), ["young.jpg"]);
}

#[test]
fn p16_each_sweep_that_deletes_leaves_a_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), 1000);
    store.sweep(SystemTime::now()).unwrap();
    for (name, files) in [("a", 1), ("b", 1)] {
        put(folder.path(), &format!("{name}.jpg"), MAX_AGE + Duration::from_secs(60), 10);
        assert_eq!(store.sweep(SystemTime::now()).unwrap(), files);
        store.sweep(SystemTime::now()).unwrap();
    }
    let receipts = fs::read_to_string(folder.path().join("receipts.jsonl")).unwrap();
    let receipts: Vec<serde_json::Value> = receipts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(receipts.len(), 2, "a sweep that finds nothing leaves none");
    assert!(receipts.iter().all(|receipt| receipt["files"] == 1));
    assert_ne!(receipts[0]["sha256_of_names"], receipts[1]["sha256_of_names"]);
}

#[test]
fn full_folder_loses_its_oldest() {
    let folder = tempfile::tempdir().unwrap();
    for (name, minutes) in [("a.jpg", 3), ("b.jpg", 2), ("c.jpg", 1)] {
        put(folder.path(), name, Duration::from_secs(60 * minutes), 100);
    }
    assert_eq!(store(folder.path(), 150).sweep(SystemTime::now()).unwrap(), 2);
    assert_eq!(names(folder.path()), ["c.jpg"]);
}

#[test]
fn missing_folder_holds_nothing() {
    assert_eq!(store(Path::new("/nonexistent/snapshots"), 1).sweep(SystemTime::now()).unwrap(), 0);
}

#[test]
fn p16_a_sealed_original_goes_at_its_time_and_never_after_its_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let hours = |n: u64| Duration::from_secs(3600 * n);
    for (name, age) in [("old", 73), ("day", 25), ("young", 1)] {
        put(folder.path(), &format!("{name}.jpg"), hours(age), 100);
        put(folder.path(), &format!("{name}.age"), hours(age) - Duration::from_secs(1), 100);
    }
    // Written again with a later picture of the same look: it goes with its snapshot all the same.
    put(folder.path(), "old.age", hours(2), 100);
    let store = store(folder.path(), 1000).with_originals(originals(24));
    assert_eq!(store.sweep(SystemTime::now()).unwrap(), 3);
    assert_eq!(names(folder.path()), ["day.jpg", "young.age", "young.jpg"]);
    assert_eq!(store.sweep(SystemTime::now()).unwrap(), 0);
    let full = self::store(folder.path(), 250).with_originals(originals(24));
    assert_eq!(
        (full.sweep(SystemTime::now()).unwrap(), names(folder.path())),
        (1, vec!["young.age".to_owned(), "young.jpg".to_owned()])
    );
}

#[test]
fn p16_what_was_sealed_goes_after_72_hours_also_when_nothing_is_sealed_any_more() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "old.age", MAX_AGE + Duration::from_secs(60), 10);
    put(folder.path(), "young.age", MAX_AGE - Duration::from_secs(60), 10);
    assert_eq!(store(folder.path(), 1000).sweep(SystemTime::now()).unwrap(), 1);
    assert_eq!(names(folder.path()), ["young.age"]);
}
