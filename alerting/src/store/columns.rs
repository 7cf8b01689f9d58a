//! How our values stand in columns and come back.

use jiff::Timestamp;
use xueliang_rules::Place;

use super::{StoreError, Stored, sql::Row};

/// A time as microseconds.
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A column that holds one of our keys.
pub fn key<T>(row: &Row, column: &'static str, parse: impl Fn(&str) -> Option<T>) -> Stored<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or(StoreError::Corrupt { what: column, value: text })
}

/// A column that holds JSON.
pub fn json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Stored<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt { what, value: text.chars().take(120).collect() })
}

/// A value as JSON.
pub fn to_json(what: &'static str, value: &impl serde::Serialize) -> Stored<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt { what, value: error.to_string() })
}

/// A place from its column.
pub fn place(text: &str) -> Option<Place> {
    match text.split_once('/') {
        Some(("zone", id)) => id.parse().ok().map(Place::Zone),
        Some(("line", id)) => id.parse().ok().map(Place::Line),
        None if text == "device" => Some(Place::Device),
        _ => None,
    }
}
