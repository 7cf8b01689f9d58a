//! The one place where an event becomes JSON and back: CloudEvents 1.0, structured mode.
//!
//! Extension attributes carry lower-case names without separators, as CloudEvents demands: `receivedat`, `session`,
//! `sequence`, `grid`, `ownerepoch`. `id` is checked against (source, session, sequence), so nobody can forge a repeated delivery.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    event::{Event, Source},
    ids::{EventId, GridCode, SessionId},
    payload::Payload,
    refused::Refused,
};

/// Longest event taken from the wire, bytes.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

const SPEC_VERSION: &str = "1.0";
const CONTENT_TYPE: &str = "application/json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    specversion: String,
    id: EventId,
    source: String,
    r#type: String,
    time: Timestamp,
    datacontenttype: String,
    receivedat: Timestamp,
    session: SessionId,
    sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grid: Option<GridCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ownerepoch: Option<u64>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The envelope's attributes beside `type` and `data`, for the schema.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct EnvelopeSchema {
    /// CloudEvents version.
    #[schemars(extend("const" = SPEC_VERSION))]
    specversion: String,
    /// UUIDv5 of source, session and sequence.
    id: EventId,
    /// `/cameras/<id>`, `/sensors/<id>`, `/incidents/<id>`, `/registry/<id>` or `/consumers/<name>`.
    #[schemars(regex(pattern = r"^/(cameras|sensors|incidents|registry|consumers)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"))]
    source: String,
    /// Capture time, UTC.
    time: Timestamp,
    /// Always JSON.
    #[schemars(extend("const" = CONTENT_TYPE))]
    datacontenttype: String,
    /// When the publishing process had it, UTC.
    receivedat: Timestamp,
    /// The run of the source's pipeline.
    session: SessionId,
    /// Position in the session, from 0.
    sequence: u64,
    /// The grid or region code.
    #[schemars(default, with = "GridCode")]
    grid: Option<GridCode>,
    /// Grows each time that the device gets another owner in a group of workers.
    #[schemars(default, with = "u64")]
    ownerepoch: Option<u64>,
}

impl Event {
    /// The event as bytes for the wire.
    ///
    /// # Errors
    /// When a value has no JSON form; no value that the constructors admit is of that kind.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let data = self.payload.to_value()?;
        serde_json::to_vec(&Envelope {
            specversion: SPEC_VERSION.to_owned(),
            id: self.id(),
            source: self.source.uri(),
            r#type: self.payload.wire_type().to_owned(),
            time: self.time,
            datacontenttype: CONTENT_TYPE.to_owned(),
            receivedat: self.received_at,
            session: self.session,
            sequence: self.sequence,
            grid: self.grid.clone(),
            ownerepoch: self.owner_epoch,
            data: &data,
        })
    }

    /// Reads bytes from the wire; refuses unknown fields, bad values and a wrong id with the field's path.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(Refused::at(".", format_args!("{} bytes, at most {MAX_EVENT_BYTES}", bytes.len())));
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let envelope: Envelope<'_> =
            serde_path_to_error::deserialize(&mut json).map_err(|error| Refused::from_json("", &error))?;
        json.end().map_err(|error| Refused::at(".", error))?;
        envelope.into_event()
    }
}

impl Envelope<'_> {
    fn into_event(self) -> Result<Event, Refused> {
        if self.specversion != SPEC_VERSION {
            return Err(Refused::at("specversion", format_args!("must be {SPEC_VERSION:?}")));
        }
        if self.datacontenttype != CONTENT_TYPE {
            return Err(Refused::at("datacontenttype", format_args!("must be {CONTENT_TYPE:?}")));
        }
        let Some(source) = Source::parse(&self.source) else {
            return Err(Refused::at(
                "source",
                "must be /cameras/<id>, /sensors/<id>, /incidents/<id>, /registry/<id> or /consumers/<name>",
            ));
        };
        let payload = Payload::parse(&self.r#type, self.data.get())?;
        let event = Event {
            source,
            session: self.session,
            sequence: self.sequence,
            time: self.time,
            received_at: self.receivedat,
            grid: self.grid,
            owner_epoch: self.ownerepoch,
            payload,
        };
        if event.id() != self.id {
            return Err(Refused::at("id", "does not follow from source, session and sequence"));
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        payload::{DeviceState, DeviceStatus, SensorReading, ZoneEntered},
        values::{BBox, Class},
    };

    fn event(payload: impl Into<Payload>) -> Event {
        Event {
            source: Source::Camera("gate-1".parse().unwrap()),
            session: "8c1d9bb2-7a3c-4d0b-9f55-0d8f8a1c2b3d".parse().unwrap(),
            sequence: 41,
            time: "2026-11-23T08:00:00.25Z".parse().unwrap(),
            received_at: "2026-11-23T08:00:00.5Z".parse().unwrap(),
            grid: Some("340203001002003".parse().unwrap()),
            owner_epoch: None,
            payload: payload.into(),
        }
    }

    fn entered() -> Event {
        event(ZoneEntered {
            analysed_fps: None,
            zone: "yard".parse().unwrap(),
            class: Class::Person,
            track: crate::TrackId(0xfeed),
            bbox: BBox::new(0.1, 0.2, 0.05, 0.2).unwrap(),
            confidence: 0.75f32.try_into().unwrap(),
            snapshot: None,
        })
    }

    /// Edits the wire form of an event and says how it is refused.
    fn refusal(event: &Event, edit: impl FnOnce(&mut Value)) -> Refused {
        let mut wire: Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
        edit(&mut wire);
        Event::from_json(wire.to_string().as_bytes()).expect_err("should be refused")
    }

    #[test]
    fn event_survives_the_wire() {
        let event = entered();
        assert_eq!(Event::from_json(&event.to_json().unwrap()).unwrap(), event);
    }

    #[test]
    fn refusals_name_the_field() {
        let check = |edit: fn(&mut Value), path: &str| assert_eq!(refusal(&entered(), edit).path, path);
        check(|wire| wire["data"]["face"] = json!("x"), "data.face");
        check(|wire| wire["data"]["bbox"]["x"] = json!(1.5), "data.bbox");
        check(|wire| wire["data"]["confidence"] = json!(2), "data.confidence");
        check(|wire| wire["data"]["class"] = json!("child"), "data.class");
        check(|wire| wire["data"]["zone"] = json!("no spaces"), "data.zone");
        check(|wire| wire["data"]["track"] = json!("1"), "data.track");
        check(|wire| wire["plate"] = json!("x"), "plate");
        check(|wire| wire["type"] = json!("xueliang.face.matched.v1"), "type");
        check(|wire| wire["source"] = json!("/elsewhere/1"), "source");
        check(|wire| wire["sequence"] = json!(42), "id");
        check(|wire| wire["specversion"] = json!("2.0"), "specversion");
        check(|wire| wire["time"] = json!("yesterday"), "time");
        check(|wire| wire["grid"] = json!("abc"), "grid");
    }

    #[test]
    fn readings_and_causes_are_bounded() {
        let reading = event(SensorReading {
            quantity: "water_level".to_owned(),
            value: 12.5,
            unit: "cm".to_owned(),
            quality: crate::payload::Quality::Good,
        });
        assert_eq!(refusal(&reading, |wire| wire["data"]["quantity"] = json!("Water Level")).path, "data.quantity");
        assert_eq!(refusal(&reading, |wire| wire["data"]["unit"] = json!("")).path, "data.unit");
        let status = event(DeviceStatus {
            gate: None,
            picture_fault: None,
            suspended: None,
            flapping: false,
            state: DeviceState::Live,
            cause: None,
            since: Timestamp::UNIX_EPOCH,
            heartbeat: false,
        });
        assert_eq!(refusal(&status, |wire| wire["data"]["cause"] = json!("x".repeat(241))).path, "data.cause");
    }

    #[test]
    fn p11_a_refusal_never_quotes_a_picture() {
        let picture = format!("/9j/{}", "4AAQSkZJRg".repeat(200));
        for edit in [
            &(|wire: &mut Value| wire["data"]["bbox"] = json!(picture)) as &dyn Fn(&mut Value),
            &|wire: &mut Value| wire["data"][&picture] = json!(1),
            &|wire: &mut Value| wire["data"]["zone"] = json!(picture),
            &|wire: &mut Value| wire["type"] = json!(picture),
            &|wire: &mut Value| wire["time"] = json!(picture),
        ] {
            let refused = refusal(&entered(), edit).to_string();
            assert!(!refused.contains("/9j/") && refused.chars().count() < 500, "{refused}");
        }
    }

    #[test]
    fn oversized_and_trailing_bytes_are_refused() {
        let mut bytes = entered().to_json().unwrap();
        bytes.extend_from_slice(b" {}");
        assert_eq!(Event::from_json(&bytes).unwrap_err().path, ".");
        assert_eq!(Event::from_json(&vec![b' '; MAX_EVENT_BYTES + 1]).unwrap_err().path, ".");
    }

    proptest::proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..512)) {
            proptest::prop_assert!(Event::from_json(&bytes).is_err());
        }

        #[test]
        fn truncated_events_are_refused(cut in 0usize..400) {
            let bytes = entered().to_json().unwrap();
            let cut = cut.min(bytes.len() - 1);
            proptest::prop_assert!(Event::from_json(&bytes[..cut]).is_err());
        }
    }
}
