//! Backups of a store with a row in every table, from each kind into each.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use xueliang_events::payload::{DeviceState, DeviceStatus};
use xueliang_rules::RuleSet;

use super::{stills::Stills, *};
use crate::{
    consume::Message,
    evidence::{Evidence, relative},
    store::{
        Store, Stored, Tx,
        apply::Batch,
        connection::{Connection, Kind},
        migrate, schema,
        sql::{Value, params},
        testing,
    },
};

mod crash;
mod damage;

const PICTURE: &[u8] = b"a still";

fn now() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::try_from(sha256(bytes)).unwrap()
}

fn put_still(evidence_dir: &Path, name: &Digest, bytes: &[u8]) {
    let file = evidence_dir.join(relative(name));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

/// A row in every table, and values that a careless form would lose.
fn fill(tx: &Tx<'_>) -> Stored<()> {
    let incident = "019abc00-0000-7000-8000-000000000001";
    let still = sha256(PICTURE);
    tx.batch(&format!(
        "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
             region, rule, rule_version, measures, snapshot, longitude, latitude)
             VALUES ('{incident}', 'crowding', 'suspected', 1, 'b', 1, 1, 2, 'cam', 'device', '3402', 'r', 1, '{{}}',
             '{still}', 118.37123456789012, -0.1);
         INSERT INTO firing (id, incident, at) VALUES ('f', '{incident}', 1);
         INSERT INTO incident_event (incident, event) VALUES ('{incident}', 'e');
         INSERT INTO incident_snapshot (incident, sha256) VALUES ('{incident}', '{still}');
         INSERT INTO incident_device (incident, device, place) VALUES ('{incident}', 'cam', 'device');
         INSERT INTO position (log, next) VALUES ('log', 4);
         INSERT INTO refused (log, position, path, reason, sha256, bytes, at) VALUES ('log', 3, '/', 'no', 'x', 9, 1);
         INSERT INTO rule_memory (device, json) VALUES ('cam', '{{}}');
         INSERT INTO rule_version (rule, version, sha256, meaning, seen_at) VALUES ('r', 1, 'x', 'kind', 1);
         INSERT INTO device (id, kind, state, since, last_seen, region, revision, longitude, suspended)
             VALUES ('cam', 'camera', 'stopped', 1, 2, '3402', 1, 1e300, 'signage_lapsed');
         INSERT INTO account (id, display_name, password) VALUES ('a', '值班长', 'argon');
         INSERT INTO assignment (account, role, region) VALUES ('a', 'supervisor', '3402');
         INSERT INTO session (token_sha256, account, csrf_token, expires_at) VALUES ('t', 'a', 'c', 1);
         INSERT INTO account_link (issuer, sub, account) VALUES ('https://id.example', 's', 'a');
         INSERT INTO sign_in_failure (name_sha256, n_failed, since) VALUES ('n', 4, 1);
         INSERT INTO machine_token (name, purpose, region, token_sha256, made_at, expires_at)
             VALUES ('m', 'read_incidents', '3402', 't', 1, 2);
         INSERT INTO idempotency (account, key, request, at) VALUES ('a', 'k', 'r', 1);
         INSERT INTO view (at, account, incident, sha256, purpose, reason, decision)
             VALUES (1, 'a', '{incident}', 'x', 'p', 'r', 'permit');
         INSERT INTO owner (device, epoch, since) VALUES ('cam', 9223372036854775807, -9223372036854775808);
         INSERT INTO audit (seq, utc, actor, action, resource, decision, rule_ids, policy_hash, prev_hash, hash)
             VALUES (1, 1, 'a', 'sign_in', 'session', 'permit', '[]', 'p', '0', 'h');
         INSERT INTO audit_reason (seq, salt, text) VALUES (1, 's', '因为');
         INSERT INTO notify_channel (channel, seen, pace) VALUES ('duty', 1, '{{}}');
         INSERT INTO notify_group (channel, region, category, json) VALUES ('duty', '3402', 'crowding', '{{}}');
         INSERT INTO notification (id, channel, json, made_at, next_at, leased_until)
             VALUES ('n', 'duty', '{{}}', 1, 2, 77);
         INSERT INTO grant_request (id, request_key, incident, region, action, purpose, reason, range_from, range_until,
             minutes, terms, requester, requested_at, version)
             VALUES ('g', 'k', '{incident}', '3402', 'export', 'incident_handling', 'r', 1, 2, 60, '{{}}', 'a', 1, 1);
         INSERT INTO hold (id, incident, case_name, placed_by, placed_at, ends_at)
             VALUES ('g', '{incident}', 'c', 'a', 1, 2);
         INSERT INTO deletion (at, kind, object, n, rule, settings) VALUES (1, 'events', '', 3, 'unlinked', 's');
         INSERT INTO doomed_still (sha256, since) VALUES ('x', 1);
         INSERT INTO case_number (county, day, last) VALUES ('340203', '20261127', 7);
         INSERT INTO attachment (incident, sha256, account, at, width, height) VALUES ('{incident}', '{still}', 'a', 1, 2, 3);
         INSERT INTO device_day (device, day, observed_us, live_us, good_us) VALUES ('cam', '2026-11-27', 3, 2, 1);
         INSERT INTO outbox (topic, key, json, leased_until) VALUES ('t', 'k', '{{}}', 77)"
    ))?;
    let texts = ["plain", "a \"quoted\" \\ text\nof two lines\r\t", "\u{1}\u{7f}\u{2028}\u{feff}雪亮😀", ""];
    for text in texts {
        tx.execute(
            "INSERT INTO change (incident, version, at, actor_kind, actor, action, to_state, comment)
                 VALUES (?1, 1, 1, 'rule', 'r', 'open', 'suspected', ?2)",
            params![incident, text],
        )?;
    }
    // Numbers that were given out and deleted again are not given out twice.
    tx.batch(
        "INSERT INTO outbox (topic, key, json) VALUES ('t', 'k', '{}'); DELETE FROM outbox WHERE leased_until = 0",
    )?;
    fill_events(tx, 1_203)
}

/// More than two portions.
fn fill_events(tx: &Tx<'_>, n_events: u32) -> Stored<()> {
    let event = |number: u32| params![format!("{number:05}-event"), number].to_vec();
    tx.execute_each(
        "INSERT INTO event (id, type, device, time, received_at, json) VALUES (?1, 't', 'cam', ?2, ?2, '{}')",
        &(0..n_events).map(event).collect::<Vec<_>>(),
    )?;
    Ok(())
}

/// A filled store of each kind, with its evidence.
fn on_both_filled(check: impl Fn(&Deployment, &Path)) {
    testing::on_both(|place| {
        let folder = tempfile::tempdir().unwrap();
        let evidence_dir = folder.path().join("evidence");
        put_still(&evidence_dir, &digest(PICTURE), PICTURE);
        put_still(&evidence_dir, &digest(b"nobody's"), b"nobody's");
        Store::open(place).unwrap().write_blocking(fill).unwrap();
        check(&Deployment { place: place.clone(), evidence_dir }, folder.path());
    });
}

fn make(of: &Deployment, to: &Path) -> Summary {
    backup(of, to, now(), &mut |_| {}).unwrap()
}

/// A small backup of a store in a file.
fn small() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let of = Deployment { place: Place::File(folder.path().join("of.sqlite")), evidence_dir: folder.path().join("of") };
    put_still(&of.evidence_dir, &digest(PICTURE), PICTURE);
    let fill = |tx: &Tx<'_>| fill(tx).and_then(|()| tx.batch("DELETE FROM event WHERE time > 2"));
    Store::open(&of.place).unwrap().write_blocking(fill).unwrap();
    let to = folder.path().join("backup");
    make(&of, &to);
    (folder, to)
}

fn new_deployment(place: &Place, folder: &Path) -> Deployment {
    Deployment { place: place.clone(), evidence_dir: folder.join("restored-evidence") }
}

/// All rows of all tables, and the last numbers that were given out.
fn contents(place: &Place) -> BTreeMap<String, (Vec<Vec<Value>>, Option<i64>)> {
    let mut connection = Connection::open(place).unwrap();
    let read = connection.run(Kind::Read, |tx| {
        let tables = schema::tables(tx)?.into_iter();
        let rows = tables.map(|table| {
            let rows = (table.rows_after(tx, None, 1_000_000)?, table.last_number(tx)?);
            Ok((table.name, rows))
        });
        rows.collect::<Stored<BTreeMap<_, _>>>()
    });
    read.unwrap()
}

fn expected(place: &Place) -> BTreeMap<String, (Vec<Vec<Value>>, Option<i64>)> {
    let mut expected = contents(place);
    for (table, (rows, _)) in &expected {
        assert!(!rows.is_empty(), "{table} has no row, so its test proves nothing: add one to fill()");
    }
    for (name, _) in carried::LEFT_OUT {
        expected.get_mut(name).unwrap().0.clear();
    }
    let outbox = &mut expected.get_mut("outbox").unwrap().0;
    outbox.iter_mut().for_each(|row| *row.last_mut().unwrap() = Value::Int(0));
    const LEASED_UNTIL: usize = 6;
    let notifications = &mut expected.get_mut("notification").unwrap().0;
    notifications.iter_mut().for_each(|row| row[LEASED_UNTIL] = Value::Int(0));
    expected
}

#[test]
fn a_backup_of_either_kind_restores_into_either() {
    on_both_filled(|of, folder| {
        let to = folder.join("backup");
        let made = make(of, &to);
        assert_eq!((made.n_stills, made.schema, &made.damaged[..]), (1, migrate::SCHEMA, &[][..]));
        assert_eq!(verify(&to, &mut |_| {}).unwrap(), made);
        testing::on_both(|place| {
            let restored_in = tempfile::tempdir().unwrap();
            let into = new_deployment(place, restored_in.path());
            assert_eq!(restore(&to, &into, &mut |_| {}).unwrap(), made);
            assert_eq!(contents(place), expected(&of.place));
            let stills = Evidence::new(None, into.evidence_dir.clone());
            assert_eq!(stills.load(&digest(PICTURE)).unwrap(), PICTURE);
            assert_eq!(stills.load(&digest(b"nobody's")), None, "what no row tells of is not carried");
            goes_on(place);
            let again = restore(&to, &into, &mut |_| {});
            assert!(matches!(again, Err(BackupError::NotEmpty(_))), "{again:?}");
        });
    });
}

/// Both databases' backups of the same rows are the same, byte for byte.
#[test]
fn the_form_does_not_tell_which_database_it_came_from() {
    let manifests = std::cell::RefCell::new(Vec::new());
    on_both_filled(|of, folder| {
        let to = folder.join("backup");
        make(of, &to);
        manifests.borrow_mut().push(fs::read_to_string(to.join("manifest.json")).unwrap());
    });
    let manifests = manifests.into_inner();
    assert!(manifests.iter().all(|manifest| *manifest == manifests[0]));
}

/// New events follow the restored position, and new numbers the restored ones.
fn goes_on(place: &Place) {
    let before = contents(place);
    let store = Store::open(place).unwrap();
    let applier = testing::applier(RuleSet::default());
    let message = |position: u64| {
        let status = DeviceStatus { heartbeat: true, ..DeviceStatus::new(DeviceState::Live, now()) };
        Message::read(position, testing::event("cam-2", position, now(), status.into()).to_json().unwrap())
    };
    let (log, origin) = ("log".to_owned(), ("topic".to_owned(), 0));
    let batch = Batch { log, origin, expected: Some(4), messages: (2..6).map(message).collect() };
    let effects = store.write_blocking(move |tx| applier.apply(tx, &batch, now())).unwrap();
    assert_eq!((effects.next, effects.n_repeated, effects.n_new.values().sum::<u64>()), (6, 2, 2));
    let number = store.write_blocking(|tx| {
        let outbox =
            tx.value::<i64>("INSERT INTO outbox (topic, key, json) VALUES ('t', 'k', '{}') RETURNING seq", &[])?;
        let change = tx.value::<i64>(
            "INSERT INTO change (incident, version, at, actor_kind, actor, action, to_state)
                 SELECT id, 2, 2, 'rule', 'r', 'confirm', 'reported' FROM incident RETURNING seq",
            &[],
        )?;
        Ok((outbox, change))
    });
    let last = |table: &str| before[table].1.unwrap();
    assert_eq!(number.unwrap(), (last("outbox") + 1, last("change") + 1));
    assert_eq!((last("outbox"), before["outbox"].0.len()), (2, 1));
}

#[test]
fn a_backup_while_others_write_is_one_state() {
    on_both_filled(|of, folder| {
        let store = Store::open(&of.place).unwrap();
        let write_one = move || {
            store.write_blocking(|tx| {
                let next: u32 = tx.value("SELECT count(*) FROM event", &[])?;
                let id = format!("{next:05}-event");
                tx.execute(
                    "INSERT INTO event (id, type, device, time, received_at, json) VALUES (?1, 't', 'c', 0, 0, '{}')",
                    params![id],
                )?;
                tx.execute("UPDATE position SET next = ?1", params![next + 1]).map(|_| ())
            })
        };
        write_one().unwrap();
        let to = folder.join("backup");
        // Between any two portions somebody writes: before the first one of events, and after.
        let mut n_written = 0;
        let made = backup(of, &to, now(), &mut |step| {
            if step.doing == "reading" {
                write_one().unwrap();
                n_written += 1;
            }
        });
        made.unwrap();
        assert!(n_written > 10);
        testing::on_both(|place| {
            let restored_in = tempfile::tempdir().unwrap();
            restore(&to, &new_deployment(place, restored_in.path()), &mut |_| {}).unwrap();
            let restored = contents(place);
            assert_eq!(restored["event"].0.len(), 1_204, "what was written after the backup began is not in it");
            assert_eq!(restored["position"].0[0][1], Value::Int(1_204));
        });
    });
}

/// A store as an older program left it.
fn older(place: &Place, schema: usize) {
    let mut connection = Connection::open(place).unwrap();
    let made = connection.run(Kind::Write, |tx| {
        migrate::up_to(tx, schema)?;
        tx.batch(
            "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
                 region, rule, rule_version, measures)
                 VALUES ('i', 'crowding', 'suspected', 1, 'b', 1, 1, 42, 'cam', 'device', '3402', 'r', 1, '{}');
             INSERT INTO firing (id, incident, at) VALUES ('f', 'i', 1);
             INSERT INTO account (id, display_name, password) VALUES ('a', 'A', 'argon')",
        )
    });
    made.unwrap();
}

#[test]
fn a_backup_of_an_older_schema_is_brought_forward() {
    for schema in 1..migrate::SCHEMA {
        testing::on_both(|place| {
            let folder = tempfile::tempdir().unwrap();
            older(place, schema);
            let to = folder.path().join("backup");
            let made = make(&new_deployment(place, folder.path()), &to);
            assert_eq!(made.schema, schema);
            testing::on_both(|place| {
                let restored_in = tempfile::tempdir().unwrap();
                restore(&to, &new_deployment(place, restored_in.path()), &mut |_| {}).unwrap();
                let store = Store::open(place).unwrap();
                let (at, device) = store
                    .write_blocking(|tx| {
                        let at = tx.value::<i64>("SELECT last_fired_at FROM incident", &[])?;
                        Ok((at, tx.row("SELECT device FROM incident_device", &[])?.map(|row| row.first::<String>())))
                    })
                    .unwrap();
                // Migration 4 takes them from the incident; it must see the restored rows.
                let expected = if schema < 4 { (42, Some("cam".to_owned())) } else { (0, None) };
                assert_eq!((at, device.transpose().unwrap()), expected);
            });
        });
    }
}

#[test]
fn a_newer_store_is_not_filled_from_an_older_backup() {
    let folder = tempfile::tempdir().unwrap();
    let of = Deployment { place: Place::File(folder.path().join("of.sqlite")), evidence_dir: folder.path().join("of") };
    older(&of.place, 1);
    let to = folder.path().join("backup");
    make(&of, &to);
    testing::on_both(|place| {
        Store::open(place).unwrap();
        let refused = restore(&to, &new_deployment(place, folder.path()), &mut |_| {});
        assert!(matches!(refused, Err(BackupError::Ahead { store: migrate::SCHEMA, backup: 1 })), "{refused:?}");
    });
}

#[test]
fn what_is_no_store_or_no_new_folder_is_refused() {
    let (folder, to) = small();
    let place = |name: &str| Place::File(folder.path().join(name));
    let of = |name: &str| Deployment { place: place(name), evidence_dir: folder.path().join("of") };
    let check = |of: &Deployment, to: &Path, said: &str| {
        let refused = backup(of, to, now(), &mut |_| {}).unwrap_err();
        assert!(crate::error_chain(&refused).contains(said), "{refused:?}");
    };
    check(&of("of.sqlite"), &to, "exists already");
    check(&of("none.sqlite"), &folder.path().join("new"), "none.sqlite holds no store");
    check(&of("of.sqlite"), &folder.path().join("no").join("folder"), "can't be written");
    assert!(!folder.path().join("none.sqlite").exists(), "looking for a store makes none");
    Connection::open(&place("empty.sqlite")).unwrap();
    check(&of("empty.sqlite"), &folder.path().join("new"), "empty.sqlite holds no store");
    assert!(!folder.path().join("new.unfinished").exists(), "what was begun is deleted");
    fs::create_dir(folder.path().join("new.unfinished")).unwrap();
    check(&of("of.sqlite"), &folder.path().join("new"), "did not end");
}

#[test]
fn a_damaged_still_is_told_and_a_deleted_one_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (damaged, deleted) = (digest(b"damaged"), digest(b"deleted"));
    let of = Deployment { place: Place::File(folder.path().join("of.sqlite")), evidence_dir: folder.path().join("of") };
    put_still(&of.evidence_dir, &digest(PICTURE), PICTURE);
    put_still(&of.evidence_dir, &damaged, b"other bytes");
    put_still(&of.evidence_dir, &deleted, b"deleted");
    let told = format!("{{\"stills\":[\"{}\",\"{}\"]}}", damaged.as_str(), deleted.as_str());
    let store = Store::open(&of.place).unwrap();
    store.write_blocking(fill).unwrap();
    store.write_blocking(move |tx| tx.execute("UPDATE rule_memory SET json = ?1", params![told]).map(|_| ())).unwrap();
    let to = folder.path().join("backup");
    let swept = of.evidence_dir.join(relative(&deleted));
    let made = backup(&of, &to, now(), &mut |step| {
        if step.what == "view" {
            fs::remove_file(&swept).unwrap();
        }
    });
    let made = made.unwrap();
    assert_eq!((made.n_stills, made.damaged), (1, vec![damaged]));
    verify(&to, &mut |_| {}).unwrap();
}

#[test]
fn only_its_owner_reads_a_backup() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, to) = small();
    for (path, mode) in [("", 0o700), ("tables", 0o700), ("tables/account.jsonl", 0o600), ("manifest.json", 0o600)] {
        assert_eq!(fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
}
