//! Rules in a settings file: what is refused, where, and with which cure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use xueliang_rules::RuleSet;
use xueliang_settings::Document;

const GOOD: &str = "[[rule]]\nid = \"a\"\nversion = 1\ncategory = \"crowding\"\nkind = \"occupancy\"\nzone = \"z\"\nat_least = 3\n\
    for = \"5s\"\nenabled = true\nowner = \"o\"\nlegal_basis = \"l\"\ndepartment = \"d\"\nassessment = \"a\"\ndeadline = \"x\"\n";

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
    check("at_least = 3", "at_least = 0", &["0 always holds; write 1 or more"]);
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
