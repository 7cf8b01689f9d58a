//! The committed contract is what the code says. `XUELIANG_BLESS=1 cargo test -p xueliang-events` rewrites it.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;
use xueliang_events::schema;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

#[test]
fn committed_schemas_are_current() {
    let bless = std::env::var_os("XUELIANG_BLESS").is_some();
    for (name, document) in schema::documents() {
        let path = folder().join(&name);
        let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if bless {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            committed, text,
            "{name} is not what the code says; bless it with XUELIANG_BLESS=1 if the change is meant"
        );
    }
    let committed: BTreeSet<String> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let current: BTreeSet<String> = schema::documents().into_keys().collect();
    assert_eq!(committed, current, "files without a type");
}

/// RULES P08: no word in any schema may name what Xueliang must not know. The exception list is reviewed and empty.
#[test]
fn p08_no_schema_can_carry_an_identity() {
    const FORBIDDEN: [&str; 34] = [
        "face",
        "facial",
        "identity",
        "person_id",
        "personid",
        "idcard",
        "passport",
        "plate",
        "licence",
        "license",
        "registration_number",
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
        "clothing",
        "colour",
        "color",
        "hair",
        "watchlist",
        "reid",
        "trajectory",
        "image_data",
    ];
    for (name, document) in schema::documents().into_iter().filter(|(name, _)| name != "asyncapi.json") {
        let mut properties = BTreeSet::new();
        collect_names(&document, &mut properties);
        assert!(properties.contains("data"), "{name}: the linter found no properties to look at");
        for property in properties {
            let words: Vec<&str> = property.split(['_', '-', '.']).collect();
            let hit = FORBIDDEN.iter().find(|word| property == **word || words.contains(word));
            assert_eq!(hit, None, "{name}: property or value {property:?}");
        }
    }
}

#[test]
fn every_object_refuses_unknown_fields() {
    fn walk(name: &str, path: &str, node: &Value) {
        if let Some(object) = node.as_object() {
            if object.contains_key("properties") {
                assert_eq!(object.get("additionalProperties"), Some(&Value::Bool(false)), "{name}: {path}");
            }
            for (key, child) in object {
                walk(name, &format!("{path}/{key}"), child);
            }
        }
    }
    for (name, document) in schema::documents().into_iter().filter(|(name, _)| name != "asyncapi.json") {
        walk(&name, "", &document);
    }
}

fn collect_names(node: &Value, names: &mut BTreeSet<String>) {
    match node {
        Value::Object(object) => {
            if let Some(Value::Object(properties)) = object.get("properties") {
                names.extend(properties.keys().cloned());
            }
            if let Some(Value::Array(values)) = object.get("enum") {
                names.extend(values.iter().filter_map(|value| value.as_str().map(str::to_owned)));
            }
            object.values().for_each(|child| collect_names(child, names));
        }
        Value::Array(items) => items.iter().for_each(|child| collect_names(child, names)),
        _ => {}
    }
}
