//! What a camera's analysis makes of the labelled frames as the worker runs it under `adaptive`: it looks at parts where a part will do, and carries tracks
//! between two looks. What counts are the tracks that it holds seen in a frame, and the facts that it would tell.

use std::{collections::HashMap, time::Duration};

use anyhow::Result;
use jiff::Timestamp;
use xueliang_events::{Class as ToldClass, Payload};
use xueliang_inference::{Class, Detector, Frame, SceneSettings, TrackHandle};
use xueliang_ingest::{
    analyse::{Analysis, Fact, How},
    decode::Rest,
    gate::Purpose,
    look::Look,
    settings::CameraSettings,
    snapshots::SnapshotStore,
};

use super::{Accuracy, Event, FPS, FRAMES, SIZE, Sighting, ZoneAccuracy, evaluate, follow, labels, zones};

/// How well it goes as the worker runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsRun {
    /// Tracks in the frames in which they are held seen.
    pub tracks: Accuracy,
    /// Events of zones and lines, beside those of the labelled persons.
    pub zones: ZoneAccuracy,
    /// Frames by how they were analysed, in the order of [`How::ALL`].
    pub ways: [u64; How::ALL.len()],
}

/// Analyses the labelled frames at `fps`; `frame` gives one by its number and time.
pub fn as_run(
    fps: u32,
    (camera, detector): (&CameraSettings, &mut Detector),
    snapshots: &SnapshotStore,
    mut frame: impl FnMut(u32, Timestamp) -> Result<Frame>,
) -> Result<AsRun> {
    let step = (FPS / fps) as usize;
    let mut analysis = Analysis::new(camera, SIZE.0 as f32 / SIZE.1 as f32)?;
    let mut ids: HashMap<TrackHandle, u64> = HashMap::new();
    let mut rest = None;
    let (mut tracks, mut events, mut ways) = (Vec::new(), Vec::new(), [0; How::ALL.len()]);
    for number in (0..FRAMES).step_by(step) {
        let at = Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs(1) * number / FPS)?;
        let (facts, how) = if rest.is_some_and(|rest: Rest| at < rest.until) {
            (analysis.coast(at), How::Carried)
        } else {
            let picture = frame(number, at)?;
            let mut failure = None;
            let mut heard = |found: &Result<_, xueliang_inference::DetectError>| {
                failure = found.as_ref().err().map(ToString::to_string);
            };
            let seen = analysis.observe(&mut Look::new(detector, &picture, &mut heard), Purpose::Live, snapshots);
            anyhow::ensure!(failure.is_none(), "inference failed: {}", failure.unwrap_or_default());
            rest = seen.rest;
            (seen.facts, seen.how)
        };
        events.extend(facts.iter().filter_map(event));
        for (count, _) in ways.iter_mut().zip(How::ALL).filter(|(_, other)| *other == how) {
            *count += 1;
        }
        for track in analysis.tracks() {
            let next = ids.len() as u64;
            let id = *ids.entry(track.handle).or_insert(next);
            if track.visible && track.class == Class::Person {
                tracks.push(Sighting { frame: number, id, bbox: track.bbox });
            }
        }
    }
    let truth: Vec<Sighting> = labels()?.iter().map(|label| label.sighting).collect();
    let truth: Vec<Sighting> = truth.into_iter().filter(|seen| (seen.frame as usize).is_multiple_of(step)).collect();
    let watched =
        SceneSettings { zones: camera.zones.clone(), lines: camera.lines.clone(), heartbeat: Duration::from_secs(10) };
    let ideal = follow(&super::follow::as_found(&truth), step, &watched)?;
    Ok(AsRun { tracks: evaluate(&truth, &tracks), zones: zones::compare(&ideal.events, &events), ways })
}

/// A fact of a person in the words of [`zones`].
fn event(fact: &Fact) -> Option<Event> {
    let (class, key) = match &fact.payload {
        Payload::ZoneEntered(told) => (told.class, format!("entered {}", told.zone)),
        Payload::ZoneExited(told) => (told.class, format!("exited {}", told.zone)),
        Payload::ZoneDwelled(told) => (told.class, format!("dwelled {}", told.zone)),
        Payload::LineCrossed(told) => (told.class, format!("crossed {} {:?}", told.line, told.direction)),
        _ => return None,
    };
    (class == ToldClass::Person).then_some(Event { key, at: fact.at })
}
