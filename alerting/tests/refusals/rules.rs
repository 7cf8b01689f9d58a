//! Each rule of the privacy and workflow tables has a test that is named after it, wherever in the workspace it fits best.

use std::collections::BTreeSet;

use crate::artefacts;

/// The ids of the privacy rules and of the workflow's rows; the numbers between were given up.
const RULES: &[&str] = &[
    "p01", "p02", "p03", "p05", "p06", "p07", "p08", "p09", "p10", "p11", "p12", "p13", "p14", "p16", "p17", "p18",
    "p19", "p20", "p21", "p22", "p23", "p25", "p26", "p27", "p29", "p30", "p32", "p33", "p34", "p36", "c01", "c02",
    "c03", "c04", "c05", "c06", "c07", "c08", "c09", "c10", "c11", "c12", "c13", "c14", "c15", "c16", "c17", "c18",
    "c19", "c20",
];

/// The rules that the tests of a source are named after.
fn rules_of(source: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_test = |nth: usize| {
        let above = lines[..nth].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above.into_iter().any(|line| line.starts_with("#[") && line.ends_with("test]"))
    };
    let named = lines.iter().enumerate().filter_map(|(nth, line)| {
        let name = line.trim_start_matches("async ").strip_prefix("fn ")?;
        let (rule, _) = name.split_once('_')?;
        is_test(nth).then(|| rule.to_owned())
    });
    named.filter(|rule| RULES.contains(&rule.as_str())).collect()
}

#[test]
fn every_rule_has_a_test_that_is_named_after_it() {
    let found: BTreeSet<String> = artefacts::test_sources().iter().flat_map(|source| rules_of(source)).collect();
    let missing: Vec<&str> = RULES.iter().copied().filter(|rule| !found.contains(*rule)).collect();
    assert!(missing.is_empty(), "no test is named after {missing:?}");
}

#[test]
fn only_what_runs_as_a_test_counts() {
    let check = |source: &str, expected: &[&str]| {
        assert_eq!(rules_of(source).into_iter().collect::<Vec<_>>(), expected, "{source}");
    };
    check("#[test]\nfn p07_a_name() {}", &["p07"]);
    check("    #[tokio::test]\n    async fn c20_a_name() {}", &["c20"]);
    check("#[test]\n#[ignore = \"slow\"]\n// Why.\nfn p36_a_name() {}", &["p36"]);
    check("fn p07_helper() {}\n#[test]\nfn other() {}", &[]);
    check("#[cfg(test)]\nfn p07_helper() {}", &[]);
    check("#[test]\nfn p04_given_up() {}\n#[test]\nfn p077_a_name() {}\n#[test]\nfn p07() {}", &[]);
    check("// fn p07_a_name() {}\n\"#[test]\"\nfn p08_a_name() {}", &[]);
}
