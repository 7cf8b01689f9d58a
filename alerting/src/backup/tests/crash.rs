//! Processes that die at every step: what they leave is never taken for a backup, or for a restored store.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

use super::*;

const JOB: &str = "XUELIANG_TEST_BACKUP_JOB";

/// Far more than there are.
const MOST_STEPS: usize = 200;

/// One try by another process, which dies at a step; false when it came to its end before.
fn dies(job: &str, at_step: usize, (backup, of): (&Path, &Deployment)) -> bool {
    let place = match &of.place {
        Place::File(file) => file.to_str().unwrap().to_owned(),
        Place::Postgres(postgres) => format!("{} {} {}", postgres.host, postgres.port, postgres.database),
    };
    let (backup, evidence_dir) = (backup.to_str().unwrap(), of.evidence_dir.to_str().unwrap());
    let tried = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backup::tests::crash::another_process", "--ignored"])
        .env(JOB, format!("{job}\n{at_step}\n{place}\n{evidence_dir}\n{backup}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let tried = tried.unwrap();
    let is_dead = tried.signal().is_some();
    assert!((is_dead || tried.success()) && at_step < MOST_STEPS, "step {at_step}: {tried:?}");
    is_dead
}

#[test]
#[ignore = "started by the tests here, and killed"]
fn another_process() {
    let Ok(job) = std::env::var(JOB) else { return };
    let [job, at_step, place, evidence_dir, backup_dir] = job.split('\n').collect::<Vec<_>>()[..] else { panic!() };
    let place = match place.split(' ').collect::<Vec<_>>()[..] {
        [host, port, database] => testing::postgres(host, port.parse().unwrap(), database),
        _ => Place::File(place.into()),
    };
    let of = Deployment { place, evidence_dir: evidence_dir.into() };
    let mut n_steps = 0;
    let mut tell = |_: Step<'_>| {
        if n_steps.to_string() == at_step {
            std::process::abort();
        }
        n_steps += 1;
    };
    match job {
        "backup" => backup(&of, Path::new(backup_dir), now(), &mut tell).unwrap(),
        _ => restore(Path::new(backup_dir), &of, &mut tell).unwrap(),
    };
}

#[test]
fn a_backup_that_is_killed_leaves_nothing_that_looks_whole() {
    on_both_filled(|of, folder| {
        let (to, begun) = (folder.join("backup"), folder.join("backup.unfinished"));
        let renamed = folder.join("renamed");
        let mut at_step = 0;
        while dies("backup", at_step, (&to, of)) {
            assert!(!to.exists() && begun.exists(), "step {at_step}");
            assert!(verify(&begun, &mut |_| {}).is_err(), "step {at_step}");
            assert!(matches!(backup(of, &to, now(), &mut |_| {}), Err(BackupError::Unfinished(_))));
            fs::rename(&begun, &renamed).unwrap();
            let is_whole = verify(&renamed, &mut |_| {}).is_ok();
            assert_eq!(is_whole, renamed.join("manifest.json.sha256").exists(), "step {at_step}");
            fs::remove_dir_all(&renamed).unwrap();
            at_step += 1;
        }
        assert!(at_step > 15, "{at_step}");
        verify(&to, &mut |_| {}).unwrap();
    });
}

#[test]
fn a_restore_that_is_killed_leaves_the_store_empty() {
    let (folder, from) = small();
    testing::on_both(|place| {
        let into = Deployment { place: place.clone(), evidence_dir: folder.path().join("restored") };
        let mut at_step = 0;
        while dies("restore", at_step, (&from, &into)) {
            assert!(contents(place).is_empty(), "step {at_step}");
            at_step += 1;
        }
        assert!(at_step > 30, "{at_step}");
        assert_eq!(contents(place)["event"].0.len(), 3, "the last try found the way free");
    });
}
