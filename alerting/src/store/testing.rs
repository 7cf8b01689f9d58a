//! What the store's tests have in common.

use jiff::Timestamp;
use xueliang_events::{Event, Payload, SessionId, Source};

/// An event of a camera's first session that was captured and received at the same time.
pub fn event(camera: &str, sequence: u64, at: Timestamp, payload: Payload) -> Event {
    Event {
        source: Source::Camera(camera.parse().unwrap()),
        session: SessionId(uuid::Uuid::nil()),
        sequence,
        time: at,
        received_at: at,
        grid: None,
        owner_epoch: None,
        payload,
    }
}
