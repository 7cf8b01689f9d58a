//! `xueliang replay` as an operator runs it: the binary, files, standard input, what it prints and how it ends.

#![cfg(feature = "alerting")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use xueliang_alerting::store::{Place, Store, Tx, postgres::PostgresSettings};
use xueliang_events::Event;

#[path = "../../alerting/tests/shared/databases.rs"]
mod databases;

const EVENING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alerting/rules/tests/recorded/evening.jsonl");
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alerting/rules/tests/recorded/rules.toml");

/// What one run printed.
struct Ran {
    succeeded: bool,
    stdout: String,
    stderr: String,
}

fn replay(args: &[&str], stdin: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xueliang"));
    command.arg("replay").args(args).env_remove("XUELIANG_CONFIG");
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut input = process.stdin.take().unwrap();
    // A run that fails early reads nothing.
    input.write_all(stdin.as_bytes()).ok();
    drop(input);
    let output = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { succeeded: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A run that must succeed, its standard output.
fn shown(args: &[&str], stdin: &str) -> String {
    let ran = replay(args, stdin);
    assert!(ran.succeeded, "{args:?}: {}", ran.stderr);
    ran.stdout
}

fn json(args: &[&str], stdin: &str) -> Value {
    serde_json::from_str(&shown(&[&["--json"], args].concat(), stdin)).unwrap()
}

fn evening() -> String {
    fs::read_to_string(EVENING).unwrap()
}

#[test]
fn the_table_says_what_each_rule_would_find() {
    let ran = replay(&["-c", RULES, EVENING], "");
    let expected = "\
123 events of 3 devices, 2026-11-23 19:00:00 to 2026-11-23 19:31:40 (0.5 h)
refused lines: 1
events without effect, repeated or too late: 1
rules not enabled and left out (--all takes them too): 1
less than a day was recorded: \"a day\" is what it would come to
an incident counts as open for 24.00 h; counted place by place: alerting makes one incident of devices within 50 m, and of cameras of one county that fail within a minute of each other

rule        version  category        firings  incidents  a day  busiest device  first                last
yard              1  zone_intrusion        2          1   45.5  gate-1 (2)      2026-11-23 19:00:12  2026-11-23 19:04:02
crowd             3  crowding              1          1   45.5  square-1 (1)    2026-11-23 19:10:05  2026-11-23 19:10:05
well-level        1  road_flood            1          1   45.5  well-7 (1)      2026-11-23 19:20:30  2026-11-23 19:20:30
offline           1  camera_offline        1          1   45.5  gate-1 (1)      2026-11-23 19:31:00  2026-11-23 19:31:00
all               -  -                     5          4  181.9  -               -                    -
";
    assert_eq!(ran.stdout, expected, "{}", ran.stderr);
    assert!(ran.stderr.contains("evening.jsonl:31: id: "), "{}", ran.stderr);
    assert!(ran.stderr.lines().last().unwrap().starts_with("123 events in "), "{}", ran.stderr);
}

#[test]
fn incidents_are_listed_with_what_made_them_fire() {
    let text = shown(&["-c", RULES, "--list", "--all", "--open-for", "1m", EVENING], "");
    let expected = ": 5
2026-11-23 19:00:12  yard 1         zone_intrusion A  gate-1 zone/yard      count 1, held 2 s
2026-11-23 19:04:02  yard 1         zone_intrusion A  gate-1 zone/yard      count 1, held 2 s
2026-11-23 19:09:58  small-crowd 1  crowding B        square-1 zone/square  count 2, limit 2, held 3 s, 2 firings until 2026-11-23 19:10:25
2026-11-23 19:20:30  well-level 1   road_flood B      well-7 device         water_level 0.38 m, limit 0.3 m, held 30 s
2026-11-23 19:31:00  offline 1      camera_offline C  gate-1 device         held 60 s
";
    assert_eq!(text.split_once("\nincidents").unwrap().1, expected);
}

#[test]
fn json_says_the_same() {
    let all = json(&["-c", RULES, "--list", EVENING], "");
    let events = &all["events"];
    assert_eq!((&events["n_taken"], &events["n_refused"], &events["n_late"]), (&123.into(), &1.into(), &1.into()));
    assert_eq!(all["n_disabled_rules"], 1);
    assert_eq!(all["open_for_s"], 86_400.0);
    let replayed = &all["replays"][0];
    assert_eq!((&replayed["n_firings"], &replayed["n_incidents"]), (&5.into(), &4.into()));
    assert_eq!(replayed["rules"][0]["rule"], "yard");
    assert_eq!(replayed["rules"][0]["busiest"]["device"], "gate-1");
    let incident = &replayed["incidents"][0];
    assert_eq!((&incident["opened_at"], &incident["n_firings"]), (&"2026-11-23T11:00:12Z".into(), &2.into()));
    assert_eq!(incident["values"][0]["name"], "count");
}

#[test]
fn files_in_any_order_and_standard_input_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[&str]| -> String {
        let file = folder.path().join(name);
        fs::write(&file, lines.join("\n")).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let text = evening();
    let lines: Vec<&str> = text.lines().collect();
    let expected = shown(&["-c", RULES, EVENING], "");
    assert_eq!(shown(&["-c", RULES, "-"], &text), expected);
    let (first, second) = (write("first", &lines[..60]), write("second", &lines[60..]));
    assert_eq!(shown(&["-c", RULES, &second, &first], ""), expected, "a later file first");
    let (odd, even) = lines.iter().enumerate().partition::<Vec<_>, _>(|(nth, _)| nth % 2 == 1);
    let of = |half: Vec<(usize, &&str)>| -> Vec<String> { half.iter().map(|(_, line)| (**line).to_owned()).collect() };
    let (odd, even) = (of(odd).join("\r\n\n"), of(even));
    let even = write("even", &even.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(shown(&["-c", RULES, "-", &even], &odd), expected, "halves of a recording, lines ended by CRLF");
    let reversed: Vec<&str> = lines.iter().rev().copied().collect();
    assert_eq!(shown(&["-c", RULES, "-"], &reversed.join("\n")), expected, "out of order within the window");
}

#[test]
fn a_span_leaves_out_what_lies_outside() {
    let check = |span: &[&str], n_taken: u64, n_incidents: u64| {
        let all = json(&[&["-c", RULES], span, &[EVENING]].concat(), "");
        let found = (&all["events"]["n_taken"], &all["replays"][0]["n_incidents"]);
        assert_eq!(found, (&n_taken.into(), &n_incidents.into()), "{span:?}");
        assert_eq!(all["events"]["n_outside"], 123 - n_taken, "{span:?}");
    };
    // Beijing time where no zone is named.
    check(&["--from", "2026-11-23T19:05"], 99, 3);
    check(&["--from", "2026-11-23T11:05:00Z", "--to", "2026-11-23T19:15:00+08:00"], 39, 1);
    check(&["--from", "2026-11-24"], 0, 0);
    let ran = replay(&["-c", RULES, "--from", "yesterday", EVENING], "");
    assert!(
        !ran.succeeded && ran.stderr.contains("--from \"yesterday\" is no time; write 2026-11-23"),
        "{}",
        ran.stderr
    );
    let ran = replay(&["-c", RULES, "--from", "2026-11-24", "--to", "2026-11-23", EVENING], "");
    assert!(!ran.succeeded && ran.stderr.contains("--to is not after --from"), "{}", ran.stderr);
}

#[test]
fn drafts_are_tried_with_all_and_compared_with_what_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let stricter = folder.path().join("stricter.toml");
    let text = fs::read_to_string(RULES).unwrap();
    let text = text.replace("at_least = 4", "at_least = 6").replace("version = 3", "version = 4");
    fs::write(&stricter, text.replace("for = \"2s\"", "for = \"20s\"")).unwrap();
    let args = ["-c", RULES, "--compare", stricter.to_str().unwrap(), EVENING];
    let compared = &json(&[&["--list"], &args[..]].concat(), "")["comparison"];
    let row = |nth: usize| -> Vec<&Value> {
        let row = &compared["firings_by_rule"][nth];
        ["rule", "version_a", "version_b", "n_both", "n_only_a", "n_only_b"].iter().map(|key| &row[*key]).collect()
    };
    assert_eq!(row(0), [&Value::from("yard"), &1.into(), &1.into(), &1.into(), &1.into(), &0.into()]);
    assert_eq!(row(1), [&Value::from("crowd"), &3.into(), &4.into(), &0.into(), &1.into(), &0.into()]);
    assert_eq!(compared["incidents_only_a"][0]["rule"], "crowd");
    assert_eq!(compared["incidents_only_b"], Value::Array(Vec::new()));
    let table = shown(&args, "");
    assert!(table.contains("only in A") && table.contains("stricter.toml"), "{table}");
    let all = json(&["-c", RULES, "--all", EVENING], "");
    assert_eq!(all["replays"][0]["rules"].as_array().unwrap().len(), 5);
    assert_eq!(all["replays"][0]["rules"][4]["n_firings"], 1);
}

#[test]
fn lines_that_are_no_events_are_told_and_only_all_of_them_are_fatal() {
    let evening = evening();
    let long = "x".repeat(200_000);
    let first = evening.lines().next().unwrap();
    let ran = replay(&["-c", RULES, "-"], &format!("{long}\n{first}\n[]\n"));
    assert!(ran.succeeded, "{}", ran.stderr);
    assert!(ran.stderr.contains("standard input:1: .: 65538 bytes, at most 65536"), "{}", ran.stderr);
    assert!(ran.stderr.contains("standard input:3: "), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("1 events of 1 devices") && ran.stdout.contains("\nrefused lines: 2\n"));
    let ran = replay(&["-c", RULES, "-"], &"no event\n".repeat(30));
    assert!(!ran.succeeded && ran.stdout.is_empty());
    assert!(ran.stderr.contains("refused: … and 10 more lines"), "{}", ran.stderr);
    assert!(ran.stderr.contains("of 30 lines all were refused"), "{}", ran.stderr);
    let ran = replay(&["-c", RULES, "-"], "\n");
    assert!(!ran.succeeded && ran.stderr.contains("there is no event"), "{}", ran.stderr);
    let ran = replay(&["-c", RULES, "nowhere.jsonl"], "");
    assert!(!ran.succeeded && ran.stderr.contains("nowhere.jsonl can't be opened"), "{}", ran.stderr);
}

#[test]
fn mistakes_in_rules_are_told_with_line_and_cure_and_whole_settings_files_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(
        &file,
        "[[rule]]\nid = \"a\"\nversion = 1\ncategory = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\n",
    )
    .unwrap();
    let ran = replay(&["-c", file.to_str().unwrap(), EVENING], "");
    assert!(!ran.succeeded && ran.stderr.contains("rules.toml:1: rule[0].at_least: is missing"), "{}", ran.stderr);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples");
    for sample in ["one-box.toml", "city-alerting.toml", "sensors.toml"] {
        shown(&["-c", samples.join(sample).to_str().unwrap(), EVENING], "");
    }
}

/// The evening in a store, without what is no event; alerting has it open.
fn kept_evening(place: &Place) -> Store {
    let store = Store::open(place).unwrap();
    let events = evening();
    let events: Vec<(Event, String)> =
        events.lines().filter_map(|line| Some((Event::from_json(line.as_bytes()).ok()?, line.to_owned()))).collect();
    let insert = move |tx: &Tx<'_>| {
        // From the last to the first: a store's order is none.
        for (event, json) in events.iter().rev() {
            let (id, time, had) = (event.id(), event.time.as_microsecond(), event.received_at.as_microsecond());
            tx.batch(&format!(
                "INSERT INTO event (id, type, device, time, received_at, json)
                 VALUES ('{id}', 't', 'd', {time}, {had}, '{json}') ON CONFLICT DO NOTHING"
            ))?;
        }
        Ok(())
    };
    store.write_blocking(insert).unwrap();
    store
}

fn without_event_counts(table: &str) -> &str {
    table.split_once("\nrule ").unwrap().1
}

#[test]
fn what_alerting_keeps_is_replayed_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/alerting.sqlite");
    let store = kept_evening(&Place::File(file.clone()));
    let from_files = shown(&["-c", RULES, EVENING], "");
    let ran = replay(&["-c", RULES, &format!("--store={}", file.display())], "");
    assert!(ran.succeeded, "{}", ran.stderr);
    assert_eq!(without_event_counts(&ran.stdout), without_event_counts(&from_files));
    assert!(ran.stdout.starts_with("122 events of 3 devices"), "a repetition is kept once: {}", ran.stdout);
    assert!(ran.stderr.contains("alerting.sqlite: all events since 2026-11-23 19:00:"), "{}", ran.stderr);

    let span = ["--from", "2026-11-23T19:05", "--to", "2026-11-23T19:15"];
    let in_span = |args: &[&str]| json(&[&["-c", RULES], &span[..], args].concat(), "")["replays"].clone();
    let store_argument = format!("--store={}", file.display());
    assert_eq!(in_span(&[&store_argument]), in_span(&[EVENING]));

    // What belongs to an incident outlives the rest.
    let linked = "UPDATE event SET linked = 1 WHERE time < (SELECT max(time) FROM event)";
    store.write_blocking(move |tx| tx.batch(linked)).unwrap();
    let ran = replay(&["-c", RULES, "--from", "2026-11-23", &store_argument], "");
    assert!(ran.succeeded && ran.stderr.contains("only those of incidents are"), "{}", ran.stderr);
    let all = json(&["-c", RULES, &store_argument], "");
    assert_eq!(all["events"]["n_taken"], 1, "without --from it begins where all are there: {all}");
}

#[test]
fn the_store_of_the_settings_is_replayed_whichever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let rules = fs::read_to_string(RULES).unwrap();
    let alerting = "[alerting]\ndata_dir = \"data\"\nregion = \"3402\"\n";
    let file = folder.path().join("xueliang.toml");
    let check = |place: &Place, more: &str| {
        fs::write(&file, format!("{alerting}{more}\n{rules}")).unwrap();
        let _store = kept_evening(place);
        let ran = replay(&["-c", file.to_str().unwrap(), "--store"], "");
        assert!(ran.succeeded, "{}", ran.stderr);
        let expected = shown(&["-c", RULES, EVENING], "");
        assert_eq!(without_event_counts(&ran.stdout), without_event_counts(&expected));
    };
    check(&Place::File(folder.path().join("data/alerting.sqlite")), "");
    if let Some((host, port, database)) = databases::new() {
        let more = format!(
            "[alerting.postgres]\nhost = {host:?}\nport = {port}\ndatabase = {database:?}\nuser = \"postgres\"\n"
        );
        let user = "postgres".to_owned();
        check(&Place::Postgres(PostgresSettings { host, port, database, user, password: None, tls: None }), &more);
    }
}

#[test]
fn a_store_that_is_none_is_told_and_never_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.sqlite");
    let ran = replay(&["-c", RULES, &format!("--store={}", file.display())], "");
    assert!(!ran.succeeded && ran.stderr.contains("none.sqlite holds no store of alerting"), "{}", ran.stderr);
    assert!(!file.exists());
    let ran = replay(&["-c", RULES, "--store", EVENING], "");
    assert!(!ran.succeeded && ran.stderr.contains("cannot be used with"), "{}", ran.stderr);
    let ran = replay(&["-c", RULES], "");
    assert!(!ran.succeeded && ran.stderr.contains("<FILE>"), "{}", ran.stderr);
}
