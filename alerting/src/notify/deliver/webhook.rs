//! A signed HTTP request (Standard Webhooks): facts as JSON, both languages of what people read.

use jiff::Timestamp;
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{Delivery, judge, unanswered};
use crate::{
    notify::{
        Message,
        message::{Content, Count, Named},
        settings::Voice,
        text,
        way::Webhook,
    },
    words::Bilingual,
};

/// Sends it; an answer's body is not read.
pub(super) async fn send(
    client: &Client,
    way: &Webhook,
    (message, voice): (&Message, &Voice),
    now: Timestamp,
) -> Delivery {
    let (id, body) = (message.id.to_string(), body(message, voice).to_string());
    let sent = client
        .post(way.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", now.as_second().to_string())
        .header("webhook-signature", way.key.sign(&id, now.as_second(), &body))
        .body(body)
        .send();
    match sent.await {
        Ok(response) => judge(&response, now).unwrap_or(Delivery::Delivered),
        Err(error) => unanswered(error),
    }
}

fn body(message: &Message, voice: &Voice) -> Value {
    let (kind, details) = match &message.content {
        Content::Incidents { group, kind, named, n_more } => {
            let incidents: Vec<Value> = named.iter().map(|named| incident(named, voice)).collect();
            let category = (group.category.as_str(), words(text::category_words(group.category)));
            (
                kind.as_str(),
                json!({ "category": category.0, "category_name": category.1, "region": group.region, "incidents": incidents,
                        "n_more": n_more }),
            )
        }
        Content::Digest { kind, counts } => {
            let counts: Vec<Value> = counts.iter().map(count).collect();
            ("digest", json!({ "gravest": kind.as_str(), "counts": counts }))
        }
        Content::Test => ("test", json!({})),
    };
    let mut data = json!({ "kind": kind, "title": words(text::title(&message.content)) });
    if let (Value::Object(data), Value::Object(details)) = (&mut data, details) {
        data.extend(details);
    }
    json!({ "type": "xueliang.notification.v1", "timestamp": message.at, "data": data })
}

fn incident(named: &Named, voice: &Voice) -> Value {
    json!({
        "id": named.incident,
        "kind": named.kind.as_str(),
        "urgency": named.urgency.as_str(),
        "opened_at": named.opened_at,
        "device_name": { "zh": named.device_zh, "en": named.device_en },
        "link": text::link_to(voice, named),
    })
}

fn count(count: &Count) -> Value {
    json!({ "category": count.category.as_str(), "category_name": words(text::category_words(count.category)),
            "n_incidents": count.n_incidents, "n_regions": count.n_regions })
}

fn words(Bilingual { zh, en }: Bilingual) -> Value {
    json!({ "zh": zh, "en": en })
}
