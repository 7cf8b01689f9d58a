//! The committed API description is what the code says. `XUELIANG_BLESS=1 cargo test -p xueliang-alerting` rewrites it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

fn document() -> String {
    serde_json::to_string_pretty(&xueliang_alerting::api::document()).unwrap() + "\n"
}

#[test]
fn committed_description_is_current() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let current = document();
    if std::env::var_os("XUELIANG_BLESS").is_some() {
        fs::write(&file, &current).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(committed, current, "bless it with XUELIANG_BLESS=1 if the change is meant");
}

/// RULES P08, P14: nothing that the API says or takes can name a person, a face or a plate.
#[test]
fn p08_no_schema_can_carry_an_identity() {
    const FORBIDDEN: [&str; 26] = [
        "face",
        "facial",
        "identity",
        "idcard",
        "passport",
        "plate",
        "licence",
        "license",
        "vin",
        "embedding",
        "feature",
        "vector",
        "template",
        "biometric",
        "gait",
        "iris",
        "age",
        "sex",
        "gender",
        "ethnicity",
        "race",
        "religion",
        "emotion",
        "track",
        "watchlist",
        "trajectory",
    ];
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut names = BTreeSet::new();
    collect(&document, &mut names);
    assert!(names.contains("evidentiary") && names.contains("purpose"), "the linter looked at nothing");
    for name in names {
        let words: Vec<&str> = name.split(['_', '-', '.']).collect();
        assert!(!FORBIDDEN.iter().any(|word| words.contains(word)), "{name:?}");
    }
}

fn collect(node: &Value, names: &mut BTreeSet<String>) {
    match node {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                names.extend(properties.keys().cloned());
            }
            if let (Some(Value::String(name)), true) = (object.get("name"), object.contains_key("in")) {
                names.insert(name.clone());
            }
            object.values().for_each(|child| collect(child, names));
        }
        Value::Array(items) => items.iter().for_each(|child| collect(child, names)),
        _ => {}
    }
}
