//! What the API's description says beyond the handlers' own words: which texts are taken, and how every error looks.
//!
//! A client, or a program that makes up requests, reads here all that is checked before a handler begins its work.

use serde_json::{Map, Value, json};
use xueliang_events::payload::Category;
use xueliang_rules::Urgency;

use super::{commands::MAX_FIELD, taken::MAX_REASON};
use crate::{
    grant::{Sealed, Step},
    report::BinMinutes,
    workflow::{ClockName, Command, Entry, Note, State},
};

/// Characters that free text never has, as a class of a regular expression (see `crate::text`).
const INVISIBLE: &str = r"\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb";
/// Those beyond the basic plane, which have no short escape.
const TAGS: &str = "\u{e0000}-\u{e0fff}";
const CODE: &str = "^[A-Za-z0-9._-]{1,64}$";
/// The free texts of grants.
const GRANT_TEXTS: &[(&str, &[&str])] = &[
    ("GrantRequest", &["reason", "consent", "case"]),
    ("GrantDocument", &["basis", "number"]),
    ("GrantOfficer", &["unit", "document"]),
    ("BreakGlassRequest", &["reason"]),
    ("StepRequest", &["note"]),
    ("ReviewRequest", &["note"]),
];

/// Fills the description in.
pub(super) fn finish(document: &mut Value) {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
        for parameter in parameters {
            if let Some(schema) = parameter["name"].as_str().and_then(schema_of) {
                parameter["schema"] = schema;
            }
        }
        add_errors(operation);
    }
    for (schema, texts) in GRANT_TEXTS {
        for text in *texts {
            let property = &mut document["components"]["schemas"][*schema]["properties"][*text];
            *property = match property["type"].is_array() {
                true => json!({ "oneOf": [words(MAX_REASON), { "type": "null" }] }),
                false => words(MAX_REASON),
            };
        }
    }
    document["components"]["schemas"]["GrantRequest"]["properties"]["action"]["enum"] =
        Sealed::ALL.iter().map(|sealed| sealed.as_str()).collect();
    let schemas = &mut document["components"]["schemas"];
    schemas["CommandRequest"] = command_request();
    schemas["NoteRequest"] = note_request();
    let report = &mut schemas["ReportRequest"]["properties"];
    report["entry"]["enum"] = json!([Entry::GridWorker.as_str(), Entry::Hotline.as_str()]);
    report["category"]["enum"] = Category::ALL.map(Category::as_str).as_slice().into();
    report["urgency"] = json!({ "type": ["string", "null"], "enum": ["A", "B", "C", null] });
    report["text"] = words(crate::text::MAX_CHARS);
}

/// Every error is problem+json; whatever needs a session, a body or the store may end in the errors of those.
fn add_errors(operation: &mut Value) {
    let problem = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    let mut all = vec!["400", "401", "403", "404", "429", "503"];
    if operation.get("requestBody").is_some() {
        all.extend(["409", "413", "415"]);
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for status in all {
        responses.entry(status).or_insert_with(|| json!({ "description": "" }));
    }
    for (status, response) in responses.iter_mut() {
        if status.starts_with(['4', '5']) {
            response["content"] = problem.clone();
        }
    }
    responses.sort_keys();
}

/// What a parameter of this name takes, wherever it stands.
fn schema_of(name: &str) -> Option<Value> {
    Some(match name {
        "idempotency-key" => json!({ "type": "string", "pattern": "^[!-~]{8,128}$" }),
        "id" => json!({ "type": "string", "format": "uuid" }),
        "sha256" => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
        "period" => json!({ "type": "string", "pattern": "^[0-9]{4}-(W[0-9]{2}|[0-9]{2})$" }),
        "reason" => words(MAX_REASON),
        "step" => json!({ "type": "string", "enum": Step::ALL.iter().map(|step| step.as_str()).collect::<Vec<_>>() }),
        "rule" => json!({ "type": "string", "pattern": "^[a-z0-9._-]{1,64}$" }),
        "region" | "device" | "code" | "table" => json!({ "type": "string", "pattern": CODE }),
        "state" => list(State::ALL.iter().map(|state| state.as_str())),
        "category" => list(Category::ALL.iter().map(|category| category.as_str())),
        "urgency" => list(Urgency::ALL.iter().map(|urgency| urgency.as_str())),
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 200 }),
        "format" => json!({ "type": "string", "enum": ["json", "csv", "xlsx"] }),
        "audience" => json!({ "type": "string", "enum": ["in_scope", "published"] }),
        "language" => json!({ "type": "string", "enum": ["zh", "en"] }),
        "bin_min" => json!({ "type": "integer", "enum": bins() }),
        _ => return None,
    })
}

/// Keys with commas between them.
fn list<'k>(keys: impl Iterator<Item = &'k str>) -> Value {
    let one = keys.collect::<Vec<_>>().join("|");
    json!({ "type": "string", "pattern": format!("^({one})(,({one}))*$") })
}

/// Text in which everything is seen, and something is.
fn words(max_chars: usize) -> Value {
    let hidden = format!("{INVISIBLE}{TAGS}");
    let pattern = format!(r"^[^{hidden}]*[^\s{hidden}][^{hidden}]*$");
    json!({ "type": "string", "minLength": 1, "maxLength": max_chars, "pattern": pattern })
}

fn bins() -> Vec<u16> {
    (1..=1440).filter(|minutes| BinMinutes::try_from(*minutes).is_ok()).collect()
}

/// One shape for each command that people give: its reasons and its fields.
fn command_request() -> Value {
    let by_people = Command::ALL.iter().filter(|command| **command != Command::Evaluate);
    json!({ "description": "A command.", "oneOf": by_people.map(|command| one_command(*command)).collect::<Vec<_>>() })
}

fn one_command(command: Command) -> Value {
    let mut properties = json!({
        "command": { "type": "string", "enum": [command.as_str()], "description": "Its key." },
        "version": { "type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64,
                     "description": "The version that the person saw." },
        "comment": { "oneOf": [words(crate::text::MAX_CHARS), { "type": "null" }], "description": "In words." },
    });
    let mut required = vec!["command", "version"];
    if !command.reasons().is_empty() {
        properties["reason"] =
            json!({ "type": "string", "enum": command.reasons(), "description": "The reason's code." });
        required.push("reason");
    }
    let fields = command.fields();
    if !fields.is_empty() {
        let of = |name: &str| match name {
            "until" => json!({ "type": "string", "format": "date-time" }),
            _ => words(MAX_FIELD),
        };
        let of: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), of(field.name))).collect();
        let needed: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        properties["fields"] = json!({ "type": "object", "properties": of, "required": needed,
                                       "additionalProperties": false, "description": "What else it carries." });
        required.push("fields");
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn note_request() -> Value {
    let with_text = |note: Note| {
        json!({ "type": "object", "additionalProperties": false, "required": ["note", "text"], "properties": {
            "note": { "type": "string", "enum": [note.as_str()] }, "text": words(crate::text::MAX_CHARS) } })
    };
    let clocks: Vec<&str> = ClockName::ALL.iter().map(|clock| clock.as_str()).collect();
    let acknowledge = json!({ "type": "object", "additionalProperties": false, "required": ["note", "fields"], "properties": {
        "note": { "type": "string", "enum": [Note::Acknowledge.as_str()] },
        "text": { "oneOf": [words(crate::text::MAX_CHARS), { "type": "null" }] },
        "fields": { "type": "object", "additionalProperties": false, "required": ["clock"],
                    "properties": { "clock": { "type": "string", "enum": clocks } } } } });
    json!({ "description": "A note beside an incident.",
            "oneOf": [with_text(Note::Comment), with_text(Note::Supervise), acknowledge] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::FreeText;

    #[test]
    fn words_are_described_as_they_are_checked() {
        let pattern = words(10)["pattern"].as_str().unwrap().replace(TAGS, r"\xe0000-\xe0fff").replace(r"\u", r"\x");
        let described = regex_lite(&pattern);
        let good = ["积水", "a b", " a ", "two\nlines", "👨‍👩‍👧"];
        let bad = ["", "  ", "a\u{202e}b", "a\0b", "a\rb", "\u{feff}", "a\u{85}b", "a\u{e0a10}b"];
        for text in good.iter().chain(&bad) {
            assert_eq!(described(text), good.contains(text), "{text:?}");
            assert_eq!(FreeText::try_from((*text).to_owned()).is_ok(), good.contains(text), "{text:?}");
        }
    }

    /// The pattern's own meaning, without an engine: no character of the class, and one that is no space.
    fn regex_lite(pattern: &str) -> impl Fn(&str) -> bool {
        let class = pattern.split(['[', ']']).nth(1).unwrap().strip_prefix('^').unwrap().to_owned();
        let ranges: Vec<(u32, u32)> = class
            .split(r"\x")
            .filter(|part| !part.is_empty())
            .map(|part| {
                u32::from_str_radix(part.trim_end_matches('-'), 16).map(|at| (at, part.ends_with('-'))).unwrap()
            })
            .fold(Vec::new(), |mut ranges: Vec<(u32, u32, bool)>, (at, opens)| {
                match ranges.last_mut() {
                    Some(last) if last.2 => (last.1, last.2) = (at, false),
                    _ => ranges.push((at, at, opens)),
                }
                ranges
            })
            .into_iter()
            .map(|(from, to, _)| (from, to))
            .collect();
        move |text: &str| {
            let hidden = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&u32::from(c)));
            !text.chars().any(hidden) && text.chars().any(|c| !c.is_whitespace())
        }
    }
}
