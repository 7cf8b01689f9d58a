//! What the tests look at: every name in what is committed, with its source.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use xueliang_alerting::{
    access::{Action, Kind, Purpose},
    workflow::{Command, Role, State},
};

type Names = BTreeSet<String>;

/// Every name: (source, name).
pub fn all() -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    let mut add = |source: &str, found: Names| names.extend(found.into_iter().map(|name| (source.to_owned(), name)));
    add("openapi.json", json_names(&openapi()));
    add("events", event_schemas().iter().flat_map(json_names).collect());
    add("actions", Action::all().map(|action| action.as_str().to_owned()).collect());
    add("roles", Role::ALL.iter().map(|role| role.as_str().to_owned()).collect());
    add("purposes", Purpose::ALL.iter().map(|purpose| purpose.as_str().to_owned()).collect());
    add("kinds", Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect());
    add("states", State::ALL.iter().map(|state| state.as_str().to_owned()).collect());
    add("commands", Command::ALL.iter().map(|command| command.as_str().to_owned()).collect());
    add("policy schema", identifiers(&read(&root().join("alerting/src/access/schema.cedarschema")), "//"));
    add("settings", sources().iter().flat_map(|file| settings_keys(&read(file))).collect());
    add("migrations", sql_names());
    add("Cargo.lock", locked(&read(&root().join("Cargo.lock"))));
    names
}

pub fn event_schemas() -> Vec<Value> {
    let files = files(&root().join("ingest/events/schemas"), "json");
    assert!(files.len() > 10, "event schemas are missing");
    files.iter().map(|file| serde_json::from_str(&read(file)).unwrap()).collect()
}

/// The purposes that the policies' schema knows.
pub fn policy_purposes() -> Names {
    let schema = read(&root().join("alerting/src/access/schema.cedarschema"));
    let (_, after) = schema.split_once("entity Purpose enum [").unwrap();
    identifiers(after.split(']').next().unwrap(), "//")
}

pub fn openapi() -> Value {
    serde_json::from_str(&read(&root().join("alerting/openapi.json"))).unwrap()
}

/// The values that a property of this name may take, directly or by reference.
pub fn enums(schemas: &[Value], property: &str) -> Names {
    let mut found = Names::new();
    for schema in schemas {
        visit(schema, &mut |node| {
            let Some(property) = node["properties"].get(property) else { return };
            let name = property["$ref"].as_str().and_then(|path| path.rsplit('/').next());
            let referenced = name.map(|name| schema["$defs"][name].clone());
            visit(&referenced.unwrap_or_else(|| property.clone()), &mut |node| found.extend(values(node)));
        });
    }
    found
}

pub fn sql_names() -> Names {
    files(&root().join("alerting/src/store/migrations"), "sql")
        .iter()
        .flat_map(|file| identifiers(&read(file), "--"))
        .collect()
}

pub fn tables() -> Names {
    let mut found = Names::new();
    for file in files(&root().join("alerting/src/store/migrations"), "sql") {
        let text = read(&file);
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("CREATE TABLE ") {
            found.extend(after.split(['(', ' ', '\n']).next().map(str::to_owned));
            rest = after;
        }
    }
    found
}

pub fn query_parameters() -> Names {
    let mut found = Names::new();
    visit(&openapi(), &mut |node| {
        if node["in"] == "query" {
            found.extend(node["name"].as_str().map(str::to_owned));
        }
    });
    found
}

pub fn content_types() -> Names {
    let mut found = Names::new();
    visit(&openapi(), &mut |node| {
        found.extend(node["content"].as_object().into_iter().flat_map(|kinds| kinds.keys().cloned()))
    });
    found
}

/// Operations that answer with an image.
pub fn image_operations() -> Vec<Value> {
    operations_answering(|kind| kind.starts_with("image/"))
}

/// Operations that answer with such a content type.
pub fn operations_answering(is_such: impl Fn(&str) -> bool) -> Vec<Value> {
    let mut found = Vec::new();
    visit(&openapi(), &mut |node| {
        let responses = node["responses"].as_object().into_iter().flat_map(|responses| responses.values());
        let mut kinds = responses.filter_map(|response| response["content"].as_object()).flat_map(|kinds| kinds.keys());
        if kinds.any(|kind| is_such(kind)) {
            found.push(node.clone());
        }
    });
    found
}

/// Hosts of the URLs in the sources, without comments.
pub fn hosts_in_sources() -> Names {
    let mut found = Names::new();
    for file in sources() {
        let text = read(&file);
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (_, after) in line.match_indices("://").map(|(at, _)| line.split_at(at + 3)) {
                let host: String =
                    after.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
                let is_web = line.contains(&format!("http://{host}")) || line.contains(&format!("https://{host}"));
                if is_web && host.contains('.') {
                    found.insert(host);
                }
            }
        }
    }
    found
}

/// Names of properties, definitions, parameters, operations, path segments and closed values.
pub fn json_names(document: &Value) -> Names {
    let mut names = Names::new();
    visit(document, &mut |node| {
        for group in ["properties", "$defs", "schemas"] {
            names.extend(node[group].as_object().into_iter().flat_map(|group| group.keys().cloned()));
        }
        if node.get("in").is_some() {
            names.extend(node["name"].as_str().map(str::to_owned));
        }
        names.extend(node["operationId"].as_str().map(str::to_owned));
        names.extend(values(node));
        let paths = node["paths"].as_object().into_iter().flat_map(|paths| paths.keys());
        names.extend(paths.flat_map(|path| path.split('/')).filter(|part| !part.is_empty()).map(str::to_owned));
    });
    names
}

fn values(node: &Value) -> Names {
    let listed = node["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    listed.chain(node["const"].as_str()).map(str::to_owned).collect()
}

/// Words of a text that are no comment, quoted or not.
pub fn identifiers(text: &str, comment: &str) -> Names {
    let lines = text.lines().map(|line| line.split(comment).next().unwrap_or_default());
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The keys that a source file asks a settings reader for.
pub fn settings_keys(source: &str) -> Names {
    const ASKS: [&str; 11] = [
        "required",
        "required_text",
        "optional",
        "optional_text",
        "or",
        "texts",
        "choice",
        "section",
        "sections",
        "one_or_more",
        "has",
    ];
    let mut keys = Names::new();
    for (at, _) in source.match_indices('"') {
        let before = source[..at].trim_end();
        let Some(call) = before.strip_suffix('(') else { continue };
        let typed = call.rsplit('.').next().unwrap_or_default();
        let method = typed.split("::<").next().unwrap_or_default();
        if !ASKS.contains(&method) {
            continue;
        }
        let key: String = source[at + 1..].chars().take_while(|c| *c != '"').collect();
        if key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            keys.insert(key);
        }
    }
    keys
}

/// The packages of a lock file.
pub fn locked(text: &str) -> Names {
    text.lines().filter_map(|line| Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned())).collect()
}

fn visit(node: &Value, see: &mut impl FnMut(&Value)) {
    match node {
        Value::Object(object) => {
            see(node);
            object.values().for_each(|child| visit(child, see));
        }
        Value::Array(items) => items.iter().for_each(|child| visit(child, see)),
        _ => {}
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of every source in which tests may be.
pub fn test_sources() -> Vec<String> {
    let folders =
        ["settings", "ingest", "inference", "alerting/rules", "alerting/src", "alerting/tests", "bench", "xueliang"];
    let folders = folders.iter().map(|folder| root().join(folder)).chain([root().join("tests")]);
    folders.flat_map(|folder| files(&folder, "rs")).map(|file| read(&file)).collect()
}

/// The steps of a camera's session, by the names under which they are waited for.
pub fn session_steps() -> Names {
    let source = read(&root().join("ingest/src/session.rs"));
    let steps =
        source.match_indices("step(\"").filter_map(|(at, opening)| source[at + opening.len()..].split('"').next());
    steps.map(str::to_owned).collect()
}

/// The words of the sources that speak to others, comments left out: (file, word).
pub fn words_in_sources() -> Vec<(String, String)> {
    let words = |file: PathBuf| {
        let found = identifiers(&read(&file), "//");
        found.into_iter().map(move |word| (file.display().to_string(), word))
    };
    sources().into_iter().filter(|file| !file.starts_with(root().join("bench"))).flat_map(words).collect()
}

/// The sources of what ships.
fn sources() -> Vec<PathBuf> {
    let parts = ["settings", "ingest/events", "inference", "ingest", "alerting/rules", "alerting", "bench", "xueliang"];
    parts.iter().flat_map(|part| files(&root().join(part).join("src"), "rs")).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}
