//! One record of the registry: a camera, the removal of one, or something that is neither.

use std::{path::Path, str::FromStr};

use xueliang_events::{CameraId, Event, Payload};

use crate::{
    fleet::Wanted,
    settings::{self, CameraDefaults},
};

/// What a record says.
pub(super) enum Row {
    /// A camera, or one that can't run.
    Camera(Box<Wanted>),
    /// It is gone.
    Removed(CameraId),
    /// No camera's id stands in the key.
    Other(String),
}

/// Reads a record; paths in it are relative to the folder of `beside`.
pub(super) fn read((key, payload): (&[u8], Option<&[u8]>), beside: &Path, defaults: &CameraDefaults) -> Row {
    let id = match std::str::from_utf8(key).map(CameraId::from_str) {
        Ok(Ok(id)) => id,
        Ok(Err(error)) => return Row::Other(error.to_string()),
        Err(_) => return Row::Other("the key is no text".to_owned()),
    };
    let Some(payload) = payload else { return Row::Removed(id) };
    let camera = read_camera(payload, beside, defaults).and_then(|camera| {
        let same = camera.id == id;
        same.then_some(camera).ok_or_else(|| "registry: the key is another camera's id".to_owned())
    });
    Row::Camera(Box::new(Wanted { id, camera, epoch: None }))
}

fn read_camera(payload: &[u8], beside: &Path, defaults: &CameraDefaults) -> Result<settings::CameraSettings, String> {
    let event = Event::from_json(payload).map_err(|refused| format!("registry: {refused}"))?;
    let Payload::CameraConfigured(configured) = event.payload else {
        return Err(format!("registry: {} is no camera's settings", event.payload.wire_type()));
    };
    settings::read_json_camera(&configured.settings, beside, defaults).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.0.iter().map(settings::without_place).collect();
        format!("registry: {}", mistakes.join("; "))
    })
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use xueliang_events::{SessionId, Source, payload::CameraConfigured};

    /// A camera's record as the registry holds it.
    pub fn record(id: &str, settings: serde_json::Value) -> Vec<u8> {
        let serde_json::Value::Object(settings) = settings else { panic!("an object") };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let event = Event {
            source: Source::Registry(id.parse().unwrap()),
            session: SessionId::random(),
            sequence: 0,
            time: now,
            received_at: now,
            grid: None,
            owner_epoch: None,
            payload: CameraConfigured { settings }.into(),
        };
        event.to_json().unwrap()
    }
}
