//! What goes when, on both databases; and any sequence of closures, holds and sweeps against a few lines of arithmetic.

use proptest::prelude::*;
use xueliang_events::IncidentId;

use super::*;
use crate::store::{
    Store,
    deletions::{hash, newest, remove_files},
    testing,
};

const DAY: i64 = 86_400;
const KEEP_DAYS: i64 = 30;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn id(number: u8) -> String {
    IncidentId(uuid::Uuid::from_u128(u128::from(number))).to_string()
}

fn still(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

/// An open incident with a still and an event of its own, one minute before second 0.
fn open(tx: &Tx<'_>, number: u8) -> Stored<()> {
    tx.batch(&format!(
        "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device, place,
             region, rule, rule_version, measures, snapshot)
             VALUES ('{id}', 'crowding', 'suspected', 1, 'B', 1, {opened}, {opened}, 'cam', 'device', '340203', 'r', 1,
             '[]', '{{}}');
         INSERT INTO event (id, type, device, time, received_at, json, linked)
             VALUES ('event-{number}', 't', 'cam', {opened}, {opened}, '{{}}', 1);",
        id = id(number),
        opened = at(-60).as_microsecond(),
    ))?;
    link(tx, number, number)
}

/// Lets an incident show another's still and event too.
fn link(tx: &Tx<'_>, number: u8, of: u8) -> Stored<()> {
    let (id, still, event) = (id(number), still(of), format!("event-{of}"));
    tx.execute("INSERT INTO incident_snapshot (incident, sha256) VALUES (?1, ?2)", params![&id, still])?;
    tx.execute("INSERT INTO incident_event (incident, event) VALUES (?1, ?2)", params![id, event]).map(|_| ())
}

/// Moves it to its end.
fn end(tx: &Tx<'_>, number: u8, (state, second): (&str, i64)) -> Stored<()> {
    let closed_at = (state == "closed").then(|| at(second));
    tx.execute(
        "UPDATE incident SET state = ?2, is_open = 0, closed_at = ?3, updated_at = ?4 WHERE id = ?1",
        params![id(number), state, closed_at, at(second)],
    )?;
    change(tx, number, (state, second))
}

fn change(tx: &Tx<'_>, number: u8, (state, second): (&str, i64)) -> Stored<()> {
    tx.execute(
        "INSERT INTO change (incident, version, at, actor_kind, actor, action, from_state, to_state)
         VALUES (?1, 2, ?2, 'person', 'a', 'x', 'suspected', ?3)",
        params![id(number), at(second), state],
    )
    .map(|_| ())
}

fn hold(tx: &Tx<'_>, number: u8, grant: usize, (from, until): (i64, i64)) -> Stored<()> {
    tx.execute(
        "INSERT INTO hold (id, incident, case_name, placed_by, placed_at, ends_at) VALUES (?1, ?2, 'c', 'a', ?3, ?4)",
        params![format!("grant-{grant}"), id(number), at(from), at(until)],
    )
    .map(|_| ())
}

fn sweep_all(store: &Store, second: i64) {
    while store.write_blocking(move |tx| sweep(tx, &Retention::default(), at(second))).unwrap() {}
}

/// The stills that an incident shows, and the events that it still has.
fn shown(store: &Store, number: u8) -> (i64, i64) {
    let count = move |tx: &Tx<'_>| {
        let stills = "SELECT count(*) FROM incident_snapshot WHERE incident = ?1";
        let events = "SELECT count(*) FROM incident_event JOIN event ON event.id = incident_event.event
            WHERE incident_event.incident = ?1";
        Ok((tx.value(stills, params![id(number)])?, tx.value(events, params![id(number)])?))
    };
    store.write_blocking(count).unwrap()
}

fn receipts(store: &Store) -> Vec<String> {
    let read = |tx: &Tx<'_>| {
        let rows = tx.rows("SELECT kind, object, n, rule, settings FROM deletion ORDER BY seq", &[])?;
        rows.iter()
            .map(|row| {
                assert_eq!(row.get::<String>("settings")?, "retention=168h keep_closed=720h");
                let (kind, object): (String, String) = (row.get("kind")?, row.get("object")?);
                Ok(format!("{kind} {object} {} {}", row.get::<i64>("n")?, row.get::<String>("rule")?))
            })
            .collect()
    };
    store.write_blocking(read).unwrap()
}

fn on_both(check: impl Fn(&Store)) {
    testing::on_both(|place| check(&Store::open(place).unwrap()));
}

#[test]
fn p16_what_a_closed_incident_showed_goes_once_with_receipts() {
    on_both(|store| {
        let fill = |tx: &Tx<'_>| {
            open(tx, 1)?;
            open(tx, 2)?;
            link(tx, 2, 1)?;
            let sql = "INSERT INTO attachment (incident, sha256, account, at, width, height)
                VALUES (?1, ?2, 'a', 0, 1, 1)";
            tx.execute(sql, params![id(1), still(9)])?;
            end(tx, 1, ("closed", 0))
        };
        store.write_blocking(fill).unwrap();
        sweep_all(store, KEEP_DAYS * DAY);
        assert_eq!((shown(store, 1), receipts(store).len()), ((1, 1), 0));
        sweep_all(store, KEEP_DAYS * DAY + 1);
        assert_eq!((shown(store, 1), shown(store, 2)), ((0, 0), (2, 2)), "the other one is open");
        let told = ["still", "attachment"].into_iter().zip([still(1), still(9)]);
        let told = told.map(|(kind, picture)| format!("{kind} incident/{}/{kind}/{picture} 1 closed", id(1)));
        assert_eq!(receipts(store), told.collect::<Vec<_>>());
        let told = store.write_blocking(|tx| {
            let doomed: i64 = tx.value("SELECT count(*) FROM doomed_still", &[])?;
            let snapshot: Option<String> = tx.value("SELECT snapshot FROM incident WHERE id = ?1", params![id(1)])?;
            Ok((doomed, snapshot))
        });
        assert_eq!(told.unwrap(), (1, None), "no file goes while an incident shows it");

        store.write_blocking(|tx| end(tx, 2, ("closed", DAY))).unwrap();
        sweep_all(store, (KEEP_DAYS + 1) * DAY + 1);
        sweep_all(store, (KEEP_DAYS + 9) * DAY);
        assert_eq!(shown(store, 2), (0, 0));
        let told = receipts(store);
        assert_eq!(told.len(), 5, "{told:?}");
        assert_eq!(told[4], format!("events incident/{} 2 closed", id(2)));
        let n_doomed = store.write_blocking(|tx| tx.value::<i64>("SELECT count(*) FROM doomed_still", &[]));
        assert_eq!(n_doomed.unwrap(), 3);
    });
}

#[test]
fn p16_a_comment_prolongs_nothing() {
    on_both(|store| {
        for state in ["discarded", "void"] {
            let number = if state == "void" { 1 } else { 2 };
            let fill = move |tx: &Tx<'_>| {
                open(tx, number)?;
                end(tx, number, (state, 0))?;
                tx.execute("UPDATE incident SET updated_at = ?2 WHERE id = ?1", params![id(number), at(29 * DAY)])?;
                tx.execute(
                    "INSERT INTO change (incident, version, at, actor_kind, actor, action, from_state, to_state)
                     VALUES (?1, 2, ?2, 'person', 'a', 'comment', ?3, ?3)",
                    params![id(number), at(29 * DAY), state],
                )
            };
            store.write_blocking(fill).unwrap();
            sweep_all(store, KEEP_DAYS * DAY + 1);
            assert_eq!(shown(store, number), (0, 0), "{state}");
        }
    });
}

#[test]
fn p16_everything_else_that_goes_leaves_a_receipt() {
    on_both(|store| {
        let old = at(-100 * DAY).as_microsecond();
        let fill = format!(
            "INSERT INTO event (id, type, device, time, received_at, json) VALUES ('e', 't', 'c', {old}, {old}, '{{}}');
             INSERT INTO refused (log, position, path, reason, sha256, bytes, at) VALUES ('l', 1, '/', 'n', 'x', 1, {old});
             INSERT INTO idempotency (account, key, request, at) VALUES ('a', 'k', 'r', {old});
             INSERT INTO notification (id, channel, json, made_at, next_at, outcome)
                 VALUES ('n', 'c', '{{}}', {old}, {old}, 'delivered')"
        );
        store.write_blocking(move |tx| tx.batch(&fill)).unwrap();
        sweep_all(store, 0);
        let told = ["events  1 unlinked", "refusals  1 over", "notifications  1 over", "sessions  1 over"];
        assert_eq!(receipts(store), told);
        let hashes = store.write_blocking(|tx| {
            let last = newest(tx)?;
            let before = hash(tx, (0, last))?;
            tx.execute("UPDATE deletion SET n = 2 WHERE seq = 3", &[])?;
            Ok((before, hash(tx, (0, last))?))
        });
        let (before, changed) = hashes.unwrap();
        assert_ne!(before, changed, "a changed receipt has another hash than the register says");
    });
}

#[test]
fn p16_a_file_that_is_shown_again_stays() {
    on_both(|store| {
        let fill = |tx: &Tx<'_>| {
            open(tx, 1)?;
            end(tx, 1, ("closed", 0))
        };
        store.write_blocking(fill).unwrap();
        sweep_all(store, 31 * DAY);
        store
            .write_blocking(|tx| {
                open(tx, 2).and_then(|()| {
                    tx.execute("UPDATE incident_snapshot SET sha256 = ?1", params![still(1)]).map(|_| ())
                })
            })
            .unwrap();
        let removed = |tx: &Tx<'_>| remove_files(tx, "", |_| panic!("the file is shown"));
        assert_eq!(store.write_blocking(removed).unwrap(), None);
        let n_doomed = store.write_blocking(|tx| tx.value::<i64>("SELECT count(*) FROM doomed_still", &[]));
        assert_eq!(n_doomed.unwrap(), 0);
    });
}

#[derive(Debug, Clone)]
enum Happens {
    Later(i64),
    Closes(u8),
    Held(u8, i64),
    Swept,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (1..12 * DAY).prop_map(Happens::Later),
        2 => (0..3_u8).prop_map(Happens::Closes),
        2 => (0..3_u8, 1..31_i64).prop_map(|(number, days)| Happens::Held(number, days)),
        3 => Just(Happens::Swept),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Nothing outlives the later of closure + days and the ends of its holds by more than one sweep, and nothing goes before.
    #[test]
    fn p17_what_is_held_stays_and_goes_at_the_next_sweep(course in proptest::collection::vec(happens(), 1..30)) {
        let (_folder, store) = testing::sqlite();
        store.write_blocking(|tx| (0..3).try_for_each(|number| open(tx, number))).unwrap();
        let mut now = 0;
        let (mut closed, mut held, mut gone) = ([None; 3], [i64::MIN; 3], [false; 3]);
        for (step, happens) in course.into_iter().enumerate() {
            match happens {
                Happens::Later(seconds) => now += seconds,
                Happens::Closes(number) => {
                    let index = usize::from(number);
                    if closed[index].is_none() {
                        closed[index] = Some(now);
                        store.write_blocking(move |tx| end(tx, number, ("closed", now))).unwrap();
                    }
                }
                Happens::Held(number, days) => {
                    let until = now + days * DAY;
                    held[usize::from(number)] = held[usize::from(number)].max(until);
                    store.write_blocking(move |tx| hold(tx, number, step, (now, until))).unwrap();
                }
                Happens::Swept => {
                    sweep_all(&store, now);
                    for index in 0..3 {
                        let is_over = closed[index].is_some_and(|at| now > at + KEEP_DAYS * DAY);
                        gone[index] |= is_over && now >= held[index];
                    }
                }
            }
            for number in 0..3 {
                let expected = if gone[usize::from(number)] { (0, 0) } else { (1, 1) };
                prop_assert_eq!(shown(&store, number), expected, "{} at {}", number, now);
            }
        }
    }
}
