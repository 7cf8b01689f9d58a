//! The contract as documents: one JSON Schema per type and an AsyncAPI document over all topics.
//!
//! They are committed under `ingest/events/schemas/`; `tests/contract.rs` regenerates and compares them.

use std::collections::BTreeMap;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{payload::Payload, wire::EnvelopeSchema};

/// File name → content of every committed contract document.
pub fn documents() -> BTreeMap<String, Value> {
    let mut documents: BTreeMap<String, Value> =
        event_schemas().into_iter().map(|(wire_type, schema)| (format!("{wire_type}.json"), schema)).collect();
    documents.insert("asyncapi.json".to_owned(), asyncapi());
    documents
}

fn event_schemas() -> Vec<(&'static str, Value)> {
    let mut generator = inline_generator();
    let envelope = EnvelopeSchema::schema_value(&mut generator);
    Payload::schemas(&mut generator)
        .into_iter()
        .map(|(wire_type, data)| (wire_type, event_schema(&envelope, wire_type, data.to_value())))
        .collect()
}

impl EnvelopeSchema {
    fn schema_value(generator: &mut SchemaGenerator) -> Value {
        generator.subschema_for::<EnvelopeSchema>().to_value()
    }
}

/// Each document stands alone: shared types are written out in place.
fn inline_generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator()
}

fn event_schema(envelope: &Value, wire_type: &str, data: Value) -> Value {
    let mut schema = envelope.clone();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(wire_type);
    schema["description"] = data.get("description").cloned().unwrap_or(Value::Null);
    schema["additionalProperties"] = json!(false);
    schema["properties"]["type"] = json!({ "const": wire_type });
    schema["properties"]["data"] = data;
    if let Some(required) = schema["required"].as_array_mut() {
        required.push(json!("type"));
        required.push(json!("data"));
    }
    schema
}

fn asyncapi() -> Value {
    let mut channels: BTreeMap<String, Value> = BTreeMap::new();
    for (wire_type, topic) in Payload::TYPES {
        let channel =
            channels.entry((*topic).replace('.', "_")).or_insert_with(|| json!({ "address": topic, "messages": {} }));
        channel["messages"][*wire_type] = json!({
            "contentType": "application/cloudevents+json",
            "payload": { "$ref": format!("./{wire_type}.json") },
        });
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Xueliang events",
            "version": "1",
            "description": "CloudEvents 1.0 in structured JSON mode, keyed by device, incident or registry id.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
    })
}
