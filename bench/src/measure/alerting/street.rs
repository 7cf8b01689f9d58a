//! Made-up events of many cameras at once, and the rules that look at them.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use xueliang_events::{
    BBox, Class, Event, Payload, SessionId, Source, TrackId,
    payload::{DeviceState, DeviceStatus, ZoneDwelled, ZoneEntered, ZoneExited, ZoneOccupancy},
    values::Counts,
};

/// Presence, occupancy, dwell and status, as a deployment has them: what makes each fire.
const RULES: [(&str, &str); 4] = [
    ("lawn", "category = 'zone_intrusion'\nkind = 'presence'\nzone = 'lawn'\nmin_confidence = 0.5\nfor = '2s'"),
    ("square", "category = 'crowding'\nkind = 'occupancy'\nzone = 'square'\nat_least = 8\nhysteresis = 2\nfor = '5s'"),
    (
        "lane",
        "category = 'fire_lane_blocked'\nkind = 'dwell'\nstill = true\nzone = 'lane'\nmin_confidence = 0.5\nfor = '10m'",
    ),
    ("offline", "category = 'camera_offline'\nkind = 'status'\nfor = '1m'"),
];

/// The rules as settings.
pub fn rules() -> String {
    let settled = "owner = 'o'\nlegal_basis = 'l'\ndepartment = 'd'\nassessment = 'a'\ndeadline = '2h'";
    let rule = |(id, rule)| format!("[[rule]]\nid = '{id}'\nversion = 1\nenabled = true\n{rule}\n{settled}\n\n");
    RULES.map(rule).concat()
}

/// The cameras of a street that never ends: five events a second each.
pub struct Street {
    n_cameras: u64,
    start: Timestamp,
}

impl Street {
    /// Begins at `start`.
    pub fn new(n_cameras: u64, start: Timestamp) -> Self {
        Self { n_cameras, start }
    }

    /// The `nth` event of all; cameras take turns.
    pub fn event(&self, nth: u64) -> Result<Event> {
        let (camera, step) = (nth % self.n_cameras, nth / self.n_cameras);
        let later = SignedDuration::from_millis((step * 200 + camera % 200).cast_signed());
        says(camera, step, self.start.checked_add(later)?)
    }
}

/// One word of a camera: what it is goes round in ten steps, a person stays on the lawn for a second.
fn says(camera: u64, step: u64, at: Timestamp) -> Result<Event> {
    let track = TrackId(step / 10 + 1);
    let n_persons = u32::try_from((camera + step / 60) % 12)?;
    let payload = match step % 10 {
        0 => entered(track)?,
        5 => exited(track)?,
        6 => DeviceStatus { heartbeat: true, ..DeviceStatus::new(DeviceState::Live, at) }.into(),
        7 => dwelled(track)?,
        _ => occupancy(n_persons)?,
    };
    event(&format!("camera-{camera}"), step, at, payload)
}

/// A person on the lawn.
pub fn entered(track: TrackId) -> Result<Payload> {
    let (class, bbox, confidence) = (Class::Person, BBox::new(0.4, 0.3, 0.1, 0.3)?, 0.8f32.try_into()?);
    Ok(ZoneEntered { zone: "lawn".parse()?, class, track, bbox, confidence, snapshot: None, analysed_fps: None }.into())
}

fn exited(track: TrackId) -> Result<Payload> {
    let class = Class::Person;
    Ok(ZoneExited { zone: "lawn".parse()?, class, track, dwell_ms: 1000, analysed_fps: None }.into())
}

fn dwelled(track: TrackId) -> Result<Payload> {
    Ok(ZoneDwelled {
        zone: "lane".parse()?,
        class: Class::Car,
        track,
        dwell_ms: 30_000,
        still_ms: 20_000,
        bbox: BBox::new(0.1, 0.5, 0.2, 0.2)?,
        confidence: 0.7f32.try_into()?,
        snapshot: None,
        analysed_fps: None,
    }
    .into())
}

fn occupancy(n_persons: u32) -> Result<Payload> {
    let counts = Counts::default().with(Class::Person, n_persons);
    let zone = "square".parse()?;
    Ok(ZoneOccupancy { zone, counts, heartbeat: false, snapshot: None, analysed_fps: None }.into())
}

/// An event of a camera's first session.
pub fn event(camera: &str, sequence: u64, at: Timestamp, payload: Payload) -> Result<Event> {
    Ok(Event {
        source: Source::Camera(camera.parse()?),
        session: SessionId(uuid::Uuid::from_u128(1)),
        sequence,
        time: at,
        received_at: at,
        grid: Some("340203001001007".parse()?),
        owner_epoch: None,
        payload,
    })
}
