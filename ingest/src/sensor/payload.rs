//! From a message's bytes to a number and a time: JSON by pointers (RFC 6901), or the bare value.
//!
//! Numbers may stand as numbers or as texts; on/off values as true/false, 1/0 or a word; times as RFC 3339 or as seconds,
//! milliseconds or microseconds since 1970. Errors never quote the payload.

use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;

use super::{checks::Raw, kind::Measure, refusal::Refusal};

/// Most bytes of a message that is read.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// Where a value stands in a JSON document; empty is the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(String);

/// Why a text is no pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a JSON pointer (RFC 6901) is empty or begins with /; write \"/data/level\" or \"/values/0\"")]
pub struct InvalidPointer;

impl FromStr for Pointer {
    type Err = InvalidPointer;
    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        let escapes = text.match_indices('~').all(|(at, _)| matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1')));
        let well_formed = (text.is_empty() || text.starts_with('/')) && escapes && text.len() <= 256;
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidPointer) }
    }
}

impl Pointer {
    fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        document.pointer(&self.0)
    }
}

/// Where a sensor's value and time stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The value.
    pub value: Pointer,
    /// When it was measured.
    pub time: Option<Pointer>,
}

/// A message, parsed once for all sensors that share it.
pub struct Message(Value);

impl Message {
    /// Parses the bytes; what is no JSON is taken as a bare text.
    pub fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        if payload.len() > MAX_MESSAGE_BYTES {
            return Err(Refusal::TooLarge { n_bytes: payload.len(), limit: MAX_MESSAGE_BYTES });
        }
        let text = std::str::from_utf8(payload).map_err(|_| unreadable("it is not UTF-8"))?;
        Ok(Self(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.trim().to_owned()))))
    }

    /// A document that was parsed already.
    pub fn of(document: Value) -> Self {
        Self(document)
    }

    /// The text or number at a pointer, as text.
    pub fn text(&self, place: &Pointer) -> Option<String> {
        match place.find(&self.0)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The reading at these places, in the unit on the wire.
    pub fn read(&self, places: &Places, measure: &Measure, inverted: bool) -> Result<Raw, Refusal> {
        let value = places.value.find(&self.0).ok_or_else(|| unreadable("there is nothing at value_at"))?;
        let value = if measure.is_state { state(value, inverted) } else { number(value) };
        let value = value.ok_or_else(|| unreadable(if measure.is_state { NO_STATE } else { NO_NUMBER }))?;
        let claimed = match &places.time {
            None => None,
            Some(place) => match place.find(&self.0) {
                None | Some(Value::Null) => None,
                Some(time) => Some(timestamp(time).ok_or_else(|| unreadable("what stands at time_at is no time"))?),
            },
        };
        Ok(Raw { value: measure.canonical(value), claimed })
    }
}

const NO_NUMBER: &str = "what stands at value_at is no finite number";
const NO_STATE: &str = "what stands at value_at is neither on nor off";

fn unreadable(cause: &str) -> Refusal {
    Refusal::Unreadable { cause: cause.to_owned() }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn state(value: &Value, inverted: bool) -> Option<f64> {
    let is_on = match value {
        Value::Bool(on) => Some(*on),
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "open" | "opened" | "alarm" | "on" | "true" | "1" => Some(true),
            "closed" | "close" | "normal" | "ok" | "off" | "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    is_on.map(|on| f64::from(u8::from(on != inverted)))
}

/// Reads a time to the microsecond; how large a number is tells its unit, which is unambiguous from 1973 to the year 5000.
pub fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => match text.trim().parse::<Timestamp>() {
            Ok(time) => Timestamp::from_microsecond(time.as_microsecond()).ok(),
            Err(_) => text.trim().parse().ok().and_then(since_1970),
        },
        Value::Number(number) => number.as_f64().and_then(since_1970),
        _ => None,
    }
}

fn since_1970(number: f64) -> Option<Timestamp> {
    if !(0.0..1e17).contains(&number) {
        return None;
    }
    let microseconds = match number {
        seconds if seconds < 1e11 => seconds * 1e6,
        milliseconds if milliseconds < 1e14 => milliseconds * 1e3,
        microseconds => microseconds,
    };
    Timestamp::from_microsecond(microseconds.round() as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::*;

    fn places(value: &str, time: Option<&str>) -> Places {
        Places { value: value.parse().unwrap(), time: time.map(|time| time.parse().unwrap()) }
    }

    fn read(payload: &str, places: &Places, kind: Kind, unit: &str) -> Result<Raw, Refusal> {
        Message::parse(payload.as_bytes())?.read(places, &kind.measure(unit).unwrap(), false)
    }

    #[test]
    fn values_are_found_by_pointer() {
        let check = |payload: &str, place: &str, expected: Option<f64>| {
            let value = read(payload, &places(place, None), Kind::WaterLevel, "cm").ok().map(|raw| raw.value);
            assert_eq!(value, expected, "{payload} at {place:?}");
        };
        check(r#"{"data":{"level":120}}"#, "/data/level", Some(1.2));
        check(r#"{"values":[1, "50"]}"#, "/values/1", Some(0.5));
        check("120", "", Some(1.2));
        check(" 120\n", "", Some(1.2));
        check(r#"{"a/b":100}"#, "/a~1b", Some(1.0));
        check(r#"{"level":null}"#, "/level", None);
        check(r#"{"level":"NaN"}"#, "/level", None);
        check(r#"{"level":true}"#, "/level", None);
        check(r#"{"level":1"#, "/level", None);
        check("", "", None);
    }

    #[test]
    fn states_come_in_many_words() {
        let check = |payload: &str, expected: Option<f64>| {
            let value = read(payload, &places("/s", None), Kind::Door, "open").ok().map(|raw| raw.value);
            assert_eq!(value, expected, "{payload}");
        };
        check(r#"{"s":true}"#, Some(1.0));
        check(r#"{"s":0}"#, Some(0.0));
        check(r#"{"s":"OPEN"}"#, Some(1.0));
        check(r#"{"s":"closed"}"#, Some(0.0));
        check(r#"{"s":0.5}"#, None);
        check(r#"{"s":"ajar"}"#, None);
        let door = Kind::Door.measure("open").unwrap();
        let inverted = Message::parse(b"1").unwrap().read(&places("", None), &door, true).unwrap();
        assert_eq!(inverted.value, 0.0);
    }

    #[test]
    fn times_come_in_many_forms() {
        let expected: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        let check = |time: &str| {
            let payload = format!(r#"{{"v":1,"t":{time}}}"#);
            let raw = read(&payload, &places("/v", Some("/t")), Kind::WaterLevel, "m").unwrap();
            assert_eq!(raw.claimed, Some(expected), "{time}");
        };
        check(r#""2026-03-01T08:00:00Z""#);
        check(r#""2026-03-01T16:00:00+08:00""#);
        check("1772352000");
        check("1772352000000");
        check("1772352000000000");
        check(r#""1772352000""#);
        let missing = read(r#"{"v":1}"#, &places("/v", Some("/t")), Kind::WaterLevel, "m").unwrap();
        assert_eq!(missing.claimed, None);
        let odd = read(r#"{"v":1,"t":"noon"}"#, &places("/v", Some("/t")), Kind::WaterLevel, "m");
        assert_eq!(odd.unwrap_err().reason(), "unreadable");
    }

    #[test]
    fn large_messages_are_refused_before_they_are_parsed() {
        let large = vec![b'['; MAX_MESSAGE_BYTES + 1];
        assert_eq!(Message::parse(&large).err().map(|refusal| refusal.reason()), Some("too_large"));
    }

    proptest::proptest! {
        #[test]
        fn hostile_bytes_never_panic(payload in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            if let Ok(message) = Message::parse(&payload) {
                let _ = message.read(&places("", Some("")), &Kind::Gas.measure("ppm").unwrap(), false);
            }
        }

        #[test]
        fn any_number_is_a_time_or_none(number: f64) {
            let _ = since_1970(number);
        }
    }
}
