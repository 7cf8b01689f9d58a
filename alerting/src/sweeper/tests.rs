//! The sweeper with its folder: files follow their rows whatever crashes, and the audit leaves for an archive.

use std::{fs, path::Path, time::SystemTime};

use jiff::SignedDuration;
use prometheus::IntCounter;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::{
    audit::{CheckpointLog, Extent, Keys, Pace, Witness, lines, verify},
    evidence::relative,
    region::RegionScheme,
    store::{Place, audit},
};

const INCIDENT: &str = "019abc00-0000-7000-8000-000000000001";

fn now() -> Timestamp {
    Timestamp::now()
}

fn ago(days: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_hours(24 * days)).unwrap()
}

fn sweeper(folder: &Path) -> Sweeper {
    let alarms = IntCounter::new("alarms", "alarms").unwrap();
    let pace = Pace { every_rows: 1, every: Duration::from_secs(60) };
    Sweeper {
        store: Store::open(&Place::File(folder.join("a.sqlite"))).unwrap(),
        evidence: Evidence::new(None, folder.join("evidence")),
        access: Access::load(RegionScheme::default(), alarms).unwrap(),
        region: "3402".to_owned(),
        retention: Retention::default(),
        audit: AuditSettings { checkpoints: folder.join("checkpoints"), pace, keep_months: 6 },
        archives: folder.join("archives"),
    }
}

/// Puts a file on its shelf so many days ago.
fn put(folder: &Path, bytes: &[u8], days: i64) -> Digest {
    let digest = Digest::try_from(hex::encode(Sha256::digest(bytes))).unwrap();
    put_as(&folder.join("evidence").join(relative(&digest)), bytes, days);
    digest
}

fn put_as(file: &Path, bytes: &[u8], days: i64) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
    let put_at = SystemTime::now() - Duration::from_secs(86_400 * days.cast_unsigned());
    fs::File::options().write(true).open(file).unwrap().set_modified(put_at).unwrap();
}

/// A closed incident that shows this still.
async fn shows(sweeper: &Sweeper, still: &Digest, closed_at: Timestamp) {
    let still = still.as_str().to_owned();
    let closed_at = closed_at.as_microsecond();
    let fill = format!(
        "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
             region, rule, rule_version, measures, closed_at)
             VALUES ('{INCIDENT}', 'crowding', 'closed', 0, 'B', 1, 1, 1, 'cam', 'device', '340203', 'r', 1, '[]',
             {closed_at});
         INSERT INTO incident_snapshot (incident, sha256) VALUES ('{INCIDENT}', '{still}')"
    );
    sweeper.store.write(move |tx| tx.batch(&fill)).await.unwrap();
}

async fn receipts(sweeper: &Sweeper) -> Vec<String> {
    let read = |tx: &Tx<'_>| {
        let rows = tx.rows("SELECT kind, rule FROM deletion ORDER BY seq", &[])?;
        rows.iter().map(|row| Ok(format!("{} {}", row.get::<String>("kind")?, row.get::<String>("rule")?))).collect()
    };
    sweeper.store.read(read).await.unwrap()
}

/// The register's rows of this folder's store; each names receipts with the hash that they have.
async fn registered(sweeper: &Sweeper) -> usize {
    let rows = sweeper.store.read(|tx| audit::after(tx, 0, 1000)).await.unwrap();
    for row in &rows {
        assert_eq!((row.entry.actor.as_str(), row.entry.action.as_str()), ("sweeper", "delete_expired"));
        let [of, range, told] = row.entry.resource.split('/').collect::<Vec<_>>().try_into().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
        let found = sweeper.store.read(move |tx| hash(tx, (from - 1, to))).await.unwrap();
        assert_eq!((of, told), ("deletion", found.as_str()));
    }
    rows.len()
}

fn file(folder: &TempDir, digest: &Digest) -> bool {
    folder.path().join("evidence").join(relative(digest)).exists()
}

#[tokio::test]
async fn p16_a_crash_between_rows_and_files_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let sweeper = sweeper(folder.path());
    let still = put(folder.path(), b"shown", 31);
    shows(&sweeper, &still, ago(31)).await;
    let (retention, at) = (sweeper.retention, now());
    // The process dies after the rows are gone and before the file is.
    sweeper.permitted(at, move |tx| sweep(tx, &retention, at)).await.unwrap();
    assert!(file(&folder, &still));
    drop(sweeper);

    let sweeper = self::sweeper(folder.path());
    sweeper.run_once(now()).await.unwrap();
    assert!(!file(&folder, &still));
    // And dies again after the file is gone and before its note is.
    let doomed = still.as_str().to_owned();
    let note = format!("INSERT INTO doomed_still (sha256, since) VALUES ('{doomed}', 1)");
    sweeper.store.write(move |tx| tx.batch(&note)).await.unwrap();
    sweeper.run_once(now()).await.unwrap();
    sweeper.run_once(now()).await.unwrap();
    let n_doomed = sweeper.store.read(|tx| tx.value::<i64>("SELECT count(*) FROM doomed_still", &[])).await;
    assert_eq!((receipts(&sweeper).await, n_doomed.unwrap()), (vec!["still closed".to_owned()], 0), "one receipt");
    assert_eq!(registered(&sweeper).await, 1);
}

/// Puts the sealed original of a still beside it.
fn put_sealed(folder: &Path, still: &Digest, days: i64) -> std::path::PathBuf {
    let file = folder.join("evidence").join(relative(still)).with_extension("age");
    put_as(&file, b"age-encryption.org/v1\nciphertext", days);
    file
}

#[tokio::test]
async fn p16_a_sealed_original_goes_with_its_still_and_p17_stays_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let sweeper = sweeper(folder.path());
    let still = put(folder.path(), b"shown", 31);
    let sealed = put_sealed(folder.path(), &still, 31);
    shows(&sweeper, &still, ago(31)).await;
    let hold = format!(
        "INSERT INTO hold (id, incident, case_name, placed_by, placed_at, ends_at)
         VALUES ('g', '{INCIDENT}', 'case 5', 'chief', 1, {})",
        now().checked_add(SignedDuration::from_hours(1)).unwrap().as_microsecond()
    );
    sweeper.store.write(move |tx| tx.batch(&hold)).await.unwrap();
    sweeper.run_once(now()).await.unwrap();
    assert!(file(&folder, &still) && sealed.exists(), "it is held");
    let over = format!("UPDATE hold SET ends_at = {}", ago(1).as_microsecond());
    sweeper.store.write(move |tx| tx.batch(&over)).await.unwrap();
    sweeper.run_once(now()).await.unwrap();
    assert!(!file(&folder, &still) && !sealed.exists());
    assert_eq!(receipts(&sweeper).await, ["still closed"], "one receipt for both");
}

#[tokio::test]
async fn p16_what_no_incident_shows_goes_with_its_sealed_original_and_so_does_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sweeper = sweeper(folder.path());
    let (old, gone) = (put(folder.path(), b"4", 4), put(folder.path(), b"gone", 4));
    let sealed = [&old, &gone].map(|still| put_sealed(folder.path(), still, 4));
    fs::remove_file(folder.path().join("evidence").join(relative(&gone))).unwrap();
    sweeper.run_once(now()).await.unwrap();
    assert!(!file(&folder, &old) && sealed.iter().all(|sealed| !sealed.exists()));
    assert_eq!(receipts(&sweeper).await, ["still unlinked", "still unlinked"]);
}

#[tokio::test]
async fn p16_a_still_that_no_incident_shows_goes_after_72_hours() {
    let folder = tempfile::tempdir().unwrap();
    let sweeper = sweeper(folder.path());
    let (young, old, shown) = (put(folder.path(), b"2", 2), put(folder.path(), b"4", 4), put(folder.path(), b"s", 9));
    shows(&sweeper, &shown, ago(9)).await;
    let shelf = folder.path().join("evidence").join(relative(&young));
    let torn = shelf.with_extension("part17");
    put_as(&torn, b"half", 4);
    let foreign = shelf.with_file_name("notes.txt");
    put_as(&foreign, b"not ours", 400);
    sweeper.run_once(now()).await.unwrap();
    assert_eq!([&young, &old, &shown].map(|still| file(&folder, still)), [true, false, true]);
    assert!(!torn.exists() && foreign.exists());
    let mut told = receipts(&sweeper).await;
    told.sort();
    assert_eq!(told, ["still unlinked", "torn_still unlinked"]);
    sweeper.run_once(now()).await.unwrap();
    assert_eq!((receipts(&sweeper).await.len(), registered(&sweeper).await), (2, 2), "the second time finds nothing");
}

#[tokio::test]
async fn p27_rows_older_than_six_months_leave_for_an_archive_that_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let sweeper = sweeper(folder.path());
    let mut log = CheckpointLog::open(&sweeper.audit, &folder.path().join("key.pem")).unwrap();
    for days in [300, 250, 200, 150] {
        let (access, at) = (sweeper.access.clone(), ago(days));
        let person = service("3402");
        let written = sweeper.store.write(move |tx| {
            let (action, resource, purpose) = ("export", "incident/1/export/2", None);
            let reason = Some("a case");
            let asked = Asked { person: &person, at, purpose, reason, action, resource };
            audit::note(tx, &access, asked, crate::audit::Decision::Permit)?;
            audit::head(tx)
        });
        log.sign(written.await.unwrap(), ago(days)).unwrap();
    }
    sweeper.run_once(now()).await.unwrap();
    let rest = sweeper.store.read(|tx| audit::after(tx, 0, 1000)).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.seq).collect::<Vec<_>>(), [4, 5], "the fifth registers the receipt");
    let reasons = sweeper.store.read(|tx| audit::reasons_after(tx, 0, 1000)).await.unwrap();
    assert_eq!(reasons.len(), 1, "reasons leave with their rows");
    let read = |name: &str| std::io::BufReader::new(fs::File::open(folder.path().join("archives").join(name)).unwrap());
    let checkpoints = std::io::BufReader::new(fs::File::open(log.file()).unwrap());
    let keys = Keys(vec![log.public_key()]);
    let witness = Witness { checkpoints: lines::checkpoints(checkpoints), keys: &keys };
    let kept = lines::reasons(read("audit-1-3.reasons.jsonl"));
    let verified = verify(lines::rows(read("audit-1-3.jsonl")), kept, witness, Extent::Archive).unwrap();
    assert_eq!((verified.first, verified.last), (1, 3));
    assert_eq!(receipts(&sweeper).await, ["audit archived"]);

    // Three years later the archive goes too.
    for name in ["audit-1-3.jsonl", "audit-1-3.reasons.jsonl"] {
        put_as(&folder.path().join("archives").join(name), b"", 37 * 31);
    }
    sweeper.run_once(now()).await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join("archives")).unwrap().count(), 0);
    assert_eq!(receipts(&sweeper).await[1..], ["audit_archive over", "audit_archive over"]);
}

#[tokio::test]
async fn p27_without_a_signed_row_nothing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let sweeper = sweeper(folder.path());
    let (access, at, person) = (sweeper.access.clone(), ago(300), service("3402"));
    let written = sweeper.store.write(move |tx| {
        let asked = Asked { person: &person, at, purpose: None, reason: None, action: "sign_in", resource: "session" };
        audit::note(tx, &access, asked, crate::audit::Decision::Permit)
    });
    written.await.unwrap();
    let refused = sweeper.run_once(now()).await.unwrap_err();
    assert!(matches!(refused, SweepError::Cut(cut::CutError::File(..))), "{refused:?}");
    assert_eq!(sweeper.store.read(|tx| audit::after(tx, 0, 10)).await.unwrap().len(), 1);
}
