//! Rules in a settings file: what is refused, where, and with which cure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use xueliang_rules::RuleSet;
use xueliang_settings::Document;

const GOOD: &str = "[[rule]]\nid = \"a\"\nversion = 1\ncategory = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\nat_least = 3\n\
    for = \"5s\"\nenabled = true\nowner = \"o\"\nlegal_basis = \"l\"\ndepartment = \"d\"\nassessment = \"a\"\ndeadline = \"x\"\n";

/// The part of it that is about crowding.
const OF_CROWDING: &str = "category = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\nat_least = 3\nfor = \"5s\"\n";

fn read(text: &str) -> Result<RuleSet, Vec<String>> {
    let read = Document::from_text("rules.toml", text).read(|reader| Some(RuleSet::read(reader)));
    read.map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
}

/// Replaces a line and says what is wrong then.
fn check(line: &str, by: &str, expected: &[&str]) {
    let found = read(&GOOD.replace(line, by)).map_or_else(|found| found, |_| Vec::new());
    assert_eq!(found.len(), expected.len(), "{by:?}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found:?} lacks {expected:?}");
    }
}

#[test]
fn good_rule_is_read() {
    assert_eq!(read(GOOD).unwrap().iter().count(), 1);
}

#[test]
fn mistakes_name_key_and_cure() {
    check("at_least = 3", "at_least = 0", &["at_least: 0 is too few; write 1 or more"]);
    check("\"crowding\"", "\"petition\"", &["\"petition\" is not known; write one of zone_intrusion"]);
    check("\"crowding\"", "\"camera_tampered\"", &["\"occupancy\" can't find camera_tampered; write one of picture"]);
    check("\"crowding\"", "\"zone_intrusion\"", &["\"occupancy\" can't find zone_intrusion; write one of presence"]);
    check("zone = \"z\"", "zon = \"z\"", &["rule[0].zone: is missing", "did you mean \"zone\"?"]);
    check("for = \"5s\"", "for = 5", &["is a TOML integer"]);
    check("kind = \"occupancy\"\n", "", &["rule[0].kind: is missing; add kind = one of presence"]);
    check(
        "at_least = 3",
        "at_least = 3\nclasses = [\"person\", \"car\"]",
        &["\"car\" is no class of crowding; choose from person"],
    );
    check("at_least = 3", "at_least = 3\nmin_confidence = 0.5", &["unknown key"]);
}

#[test]
fn p30_a_category_is_not_enabled_without_its_assessment() {
    let categories = [
        ("zone_intrusion", "kind = \"presence\"\nzone = \"z\"\nmin_confidence = 0.5\n"),
        ("crowding", "kind = \"occupancy\"\nzone = \"z\"\nat_least = 3\n"),
        ("gas_leak", "kind = \"threshold\"\nquantity = \"ch4\"\nabove = 1.0\n"),
        ("camera_offline", "kind = \"status\"\n"),
    ];
    for (category, keys) in categories {
        let rule = format!("{}category = \"{category}\"\nfor = \"5s\"\n{keys}", GOOD.replace(OF_CROWDING, ""));
        assert!(read(&rule).unwrap().iter().all(|rule| rule.enabled), "{category}");
        for absent in ["", "assessment = \"\"\n", "assessment = \" \"\n"] {
            let found = read(&rule.replace("assessment = \"a\"\n", absent)).unwrap_err();
            let expected = "rule[0].assessment: is missing, and no rule is enabled without it";
            assert!(found.len() == 1 && found[0].contains(expected), "{category}: {found:#?}");
        }
    }
}

#[test]
fn enabled_rule_names_who_answers_for_it() {
    for key in ["owner", "legal_basis", "department", "assessment", "deadline"] {
        let line = GOOD.lines().find(|line| line.starts_with(key)).unwrap();
        check(
            &format!("{line}\n"),
            "",
            &[&format!("rule[0].{key}: is missing, and no rule is enabled without it; add {key}")],
        );
    }
    let bare = GOOD.split("enabled").next().unwrap();
    assert!(!read(bare).unwrap().iter().next().unwrap().enabled, "off by default, and then it needs no papers");
}

#[test]
fn ids_are_unique() {
    let found = read(&format!("{GOOD}{GOOD}")).unwrap_err();
    assert!(found[0].contains("rule a exists already"), "{found:#?}");
}

#[test]
fn vehicles_in_a_fire_lane_stand_still() {
    let text = GOOD
        .replace("crowding", "fire_lane_blocked")
        .replace("\"occupancy\"", "\"dwell\"")
        .replace("at_least = 3", "min_confidence = 0.5");
    let found = read(&text).unwrap_err();
    assert!(
        found[0].contains("still: fire_lane_blocked means a vehicle that stands still; add still = true"),
        "{found:#?}"
    );
}

/// A rule of another kind: what is wrong with it.
fn check_keys(category: &str, keys: &str, expected: &[&str]) {
    let governed = GOOD.split_once("for = \"5s\"\n").unwrap().1;
    let text = format!("[[rule]]\nid = \"a\"\nversion = 1\ncategory = \"{category}\"\n{keys}\n{governed}");
    let found = read(&text).map_or_else(|found| found, |_| Vec::new());
    assert_eq!(found.len(), expected.len(), "{keys}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found:?} lacks {expected:?}");
    }
}

#[test]
fn a_balance_names_its_line_its_way_in_and_its_capacity() {
    let hall = |keys: &str| format!("kind = \"balance\"\nline = \"l\"\nfor = \"5s\"\nmin_confidence = 0.5\n{keys}");
    check_keys("over_capacity", &hall("inward = \"forward\"\ncapacity = 100\nreset_at = \"03:30\""), &[]);
    check_keys("over_capacity", &hall("inward = \"both\"\ncapacity = 100"), &["write one of forward, backward"]);
    check_keys(
        "over_capacity",
        &hall("inward = \"forward\"\ncapacity = 0"),
        &["capacity: 0 is too few; write 1 or more"],
    );
    check_keys("over_capacity", &hall("inward = \"forward\""), &["capacity: is missing"]);
    let wrong_time = hall("inward = \"forward\"\ncapacity = 9\nreset_at = \"4\"");
    check_keys("over_capacity", &wrong_time, &["reset_at: \"4\" is no time of day such as 08:30"]);
    let counted = "kind = \"occupancy\"\nzone = \"z\"\nat_least = 3\nfor = \"5s\"";
    check_keys("over_capacity", counted, &["\"occupancy\" can't find over_capacity; write one of balance"]);
}

#[test]
fn a_sensor_rule_is_a_threshold_a_repeated_one_or_no_data() {
    let repeated = |keys: &str| format!("kind = \"repeated\"\nquantity = \"gas\"\nabove = 1.0\n{keys}");
    check_keys("gas_leak", &repeated("at_least = 3\nwithin = \"10m\""), &[]);
    check_keys("gas_leak", &repeated("at_least = 1\nwithin = \"10m\""), &["at_least: 1 is too few; write 2 or more"]);
    check_keys("gas_leak", &repeated("at_least = 101\nwithin = \"10m\""), &["101 is too many; write 100 or less"]);
    check_keys("gas_leak", &repeated("at_least = 3"), &["within: is missing"]);
    check_keys("gas_leak", &repeated("at_least = 3\nwithin = \"10m\"\nfor = \"5s\""), &["for: unknown key"]);
    check_keys("gas_leak", "kind = \"no_data\"\nfor = \"30m\"", &[]);
    check_keys("gas_leak", "kind = \"status\"\nfor = \"30m\"", &["write one of threshold, repeated, no_data"]);
}

#[test]
fn the_wrong_way_is_one_way() {
    let line = |way: &str| format!("kind = \"line\"\nline = \"l\"\nmin_confidence = 0.5\ndirection = \"{way}\"");
    check_keys("wrong_way_vehicle", &line("backward"), &[]);
    check_keys("wrong_way_vehicle", &line("both"), &["direction: both can't find wrong_way_vehicle"]);
    check_keys("line_crossed", &line("both"), &[]);
}

#[test]
fn a_device_finds_its_rules_in_the_order_of_the_file() {
    let rule = |id: &str, keys: &str| GOOD.replace("id = \"a\"", &format!("id = \"{id}\"\n{keys}"));
    let off = rule("off", "").replace("enabled = true", "enabled = false");
    let text = [rule("all-1", ""), rule("x", "devices = [\"x\", \"y\"]"), rule("all-2", ""), off].concat();
    let rules = read(&text).unwrap();
    let of =
        |device: &str| -> Vec<String> { rules.of(&device.parse().unwrap()).map(|rule| rule.id.to_string()).collect() };
    assert_eq!(of("x"), ["all-1", "x", "all-2"]);
    assert_eq!(of("y"), ["all-1", "x", "all-2"]);
    assert_eq!(of("z"), ["all-1", "all-2"]);
}
