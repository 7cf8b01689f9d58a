//! What the rules remember of each device, with the time when it may fire by itself.
//!
//! Invariant: nothing stays of a rule that is switched off or means something else now; `settle` sees to the devices that tell
//! nothing meanwhile.

use std::collections::BTreeMap;

use xueliang_events::DeviceId;
use xueliang_rules::{Engine, Memory};

use super::{
    Stored, Tx,
    columns::{json, key, to_json},
    each::{Column, Holds::*},
    sql::{Row, params},
};

/// At most so many devices at once.
const STEP: usize = 500;

const COLUMNS: [Column; 5] = [("device", Text), ("json", Text), ("due_at", Int), ("due_until", Int), ("log", Text)];

/// The memories of these devices, of those that have one.
pub fn load<'d>(tx: &Tx<'_>, devices: impl Iterator<Item = &'d DeviceId>) -> Stored<BTreeMap<DeviceId, Memory>> {
    let keys: Vec<_> = devices.map(|device| params![device.as_str()].to_vec()).collect();
    let sql = "SELECT rule_memory.device, json FROM each JOIN rule_memory ON rule_memory.device = each.device";
    tx.each(&COLUMNS[..1], &keys, sql)?.iter().map(read).collect()
}

/// Writes memories, with the time when each may fire by itself under these rules, and the log that the devices' events come in;
/// without a log it stays what it was.
pub fn store(tx: &Tx<'_>, engine: &Engine, (memories, log): (&BTreeMap<DeviceId, Memory>, Option<&str>)) -> Stored<()> {
    let mut rows = Vec::new();
    for (device, memory) in memories {
        let due = engine.due(memory, device);
        let (at, until) = (due.map(|due| due.at), due.map(|due| due.until));
        rows.push(
            params![device.as_str(), to_json("rule memory", memory)?, at, until, log.unwrap_or_default()].to_vec(),
        );
    }
    let sql = "INSERT INTO rule_memory (device, json, due_at, due_until, log) SELECT * FROM each WHERE true
         ON CONFLICT (device) DO UPDATE SET json = excluded.json, due_at = excluded.due_at,
         due_until = excluded.due_until,
         log = CASE WHEN excluded.log = '' THEN rule_memory.log ELSE excluded.log END";
    tx.each(&COLUMNS, &rows, sql).map(|_| ())
}

/// Lets the next devices after `last` forget what these rules don't go on with; the last of them, `None` when it was the last of all.
pub fn settle(tx: &Tx<'_>, engine: &Engine, last: &str) -> Stored<Option<String>> {
    let sql = "SELECT device, json FROM rule_memory WHERE device > ?1 ORDER BY device LIMIT ?2";
    let rows = tx.rows(sql, params![last, STEP])?;
    let mut changed = BTreeMap::new();
    for row in &rows {
        let (device, mut memory) = read(row)?;
        if engine.settle(&mut memory, &device) {
            changed.insert(device, memory);
        }
    }
    store(tx, engine, (&changed, None))?;
    rows.last().filter(|_| rows.len() == STEP).map(|row| row.get("device")).transpose()
}

fn read(row: &Row) -> Stored<(DeviceId, Memory)> {
    let device = key(row, "device", |text| text.parse().ok())?;
    Ok((device, json("rule memory", &row.get::<String>("json")?)?))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use xueliang_rules::RuleSet;

    use super::*;
    use crate::{
        rules_file,
        store::{
            Place, Store, StoreError,
            apply::{Batch, ReadUntil},
            testing,
        },
    };

    const NONE: [u32; 0] = [];

    fn at(s: i64) -> Timestamp {
        "2026-11-23T08:00:00Z".parse::<Timestamp>().unwrap().checked_add(SignedDuration::from_secs(s)).unwrap()
    }

    fn version(version: u32) -> RuleSet {
        testing::rules(&testing::OFFLINE.replace("version = 1", &format!("version = {version}")))
    }

    fn disabled() -> RuleSet {
        testing::rules(&testing::OFFLINE.replace("enabled = true", "enabled = false"))
    }

    /// What a process that begins with these rules does first.
    fn started(place: &Place, rules: &RuleSet) -> Store {
        let (store, rules) = (Store::open(place).unwrap(), Engine::new(rules.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            rules_file::note(&store, rules.rules()).await.unwrap();
            rules_file::settle(&store, &rules.into()).await.unwrap();
        });
        store
    }

    /// A camera says once or twice that it was silent since second 0.
    fn say(store: &Store, rules: &RuleSet, nth: std::ops::Range<usize>) -> Vec<u32> {
        let whole = testing::silent("c", at(0), 0);
        let batch = Batch { messages: whole.messages[nth].to_vec(), ..whole };
        let applier = testing::applier(rules.clone());
        store.write_blocking(move |tx| applier.apply(tx, &batch, at(60))).unwrap();
        opened(store)
    }

    fn tick(store: &Store, rules: &RuleSet, s: i64) -> Vec<u32> {
        let applier = testing::applier(rules.clone());
        let read = ReadUntil { log: "log".to_owned(), expected: None, at: at(s) };
        store.write_blocking(move |tx| applier.tick(tx, &read, at(s))).unwrap();
        opened(store)
    }

    /// The versions by which incidents were opened.
    fn opened(store: &Store) -> Vec<u32> {
        let rows = |tx: &Tx<'_>| tx.rows("SELECT rule_version FROM incident ORDER BY id", &[]);
        store.write_blocking(rows).unwrap().iter().map(|row| row.first().unwrap()).collect()
    }

    fn remembered(store: &Store) -> (String, Option<Timestamp>) {
        let row = store.write_blocking(|tx| tx.row("SELECT json, due_at FROM rule_memory", &[])).unwrap().unwrap();
        (row.get("json").unwrap(), row.get("due_at").unwrap())
    }

    #[test]
    fn over_a_restart_the_same_version_goes_on() {
        testing::on_both(|place| {
            assert_eq!(say(&started(place, &version(1)), &version(1), 0..1), NONE);
            let papers = testing::rules(&testing::OFFLINE.replace("owner = \"o\"", "owner = \"p\""));
            assert_eq!(tick(&started(place, &papers), &papers, 21), [1]);
        });
    }

    #[test]
    fn over_a_restart_a_raised_version_begins_anew() {
        testing::on_both(|place| {
            assert_eq!(say(&started(place, &version(1)), &version(1), 0..1), NONE);
            let store = started(place, &version(2));
            assert_eq!(remembered(&store).1, None, "nothing is due any more");
            assert_eq!(tick(&store, &version(2), 21), NONE);
            assert_eq!(say(&store, &version(2), 1..2), [2], "what is said then speaks for the new one");
        });
    }

    #[test]
    fn a_disabled_or_removed_rule_leaves_nothing_of_a_device_that_is_silent() {
        testing::on_both(|place| {
            for off in [disabled(), RuleSet::default()] {
                let store = started(place, &version(1));
                store
                    .write_blocking(|tx| tx.batch("DELETE FROM event; DELETE FROM position; DELETE FROM rule_memory"))
                    .unwrap();
                assert_eq!(say(&store, &version(1), 0..1), NONE);
                assert!(remembered(&store).1.is_some());
                let (memory, due_at) = remembered(&started(place, &off));
                assert!(memory.contains("\"conditions\":{}") && due_at.is_none(), "{memory}");
                assert_eq!(tick(&started(place, &version(1)), &version(1), 21), NONE, "on again, from nothing");
            }
        });
    }

    #[test]
    fn time_passes_for_whoever_has_the_log_and_as_far_as_it_was_read() {
        testing::on_both(|place| {
            let (store, rules) = (started(place, &version(1)), version(1));
            assert_eq!(say(&store, &rules, 0..1), NONE);
            let ticked = |log: &str, expected: Option<u64>, s: i64| {
                let (applier, read) =
                    (testing::applier(rules.clone()), ReadUntil { log: log.to_owned(), expected, at: at(s) });
                store.write_blocking(move |tx| applier.tick(tx, &read, at(60))).map(|_| opened(&store))
            };
            assert_eq!(ticked("another", None, 21).unwrap(), NONE);
            assert_eq!(ticked("log", Some(1), 19).unwrap(), NONE, "nobody knows what happened after that");
            assert!(matches!(ticked("log", Some(0), 21), Err(StoreError::Fenced { .. })));
            assert_eq!(ticked("log", Some(1), 21).unwrap(), [1]);
        });
    }

    #[test]
    fn all_devices_are_settled_in_steps() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let n_devices = 2 * STEP + 3;
            let memory = r#"{"newest":null,"delivers":null,"grid":null,"conditions":{"offline":{"version":1,"phase":{"rising":
                {"since":"2026-11-23T08:00:00Z","began_with":"019abc00-0000-7000-8000-000000000001"}},"count":0}}}"#;
            let rows = move |tx: &Tx<'_>| {
                let rows: Vec<_> = (0..n_devices).map(|n| params![format!("c{n}"), memory].to_vec()).collect();
                tx.execute_each("INSERT INTO rule_memory (device, json) VALUES (?1, ?2)", &rows).map(|_| ())
            };
            store.write_blocking(rows).unwrap();
            let n_left = |store: &Store| {
                let sql = "SELECT count(*) FROM rule_memory WHERE json LIKE '%rising%'";
                store.write_blocking(move |tx| tx.value::<i64>(sql, &[])).unwrap()
            };
            assert_eq!(n_left(&started(place, &version(1))), n_devices as i64);
            assert_eq!(n_left(&started(place, &disabled())), 0);
        });
    }
}
