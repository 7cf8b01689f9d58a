//! What one camera's analysis tells its gate: whether somebody moves, stands or is not there, in the area that matters.
//!
//! A picture that was decoded only to see whether anything is new is compared with the background first; where nothing changed,
//! who stood there still stands there. Only cells that changed can show somebody new. Memory only; nothing here leaves the process.

use std::{collections::HashMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use xueliang_inference::{
    BBox, Background, Change, ClassSet, Detection, Detections, Frame, Point, Thumbnail, Track, TrackHandle, WatchedArea,
};

use crate::{
    gate::{Finding, Purpose},
    settings::CameraSettings,
};

/// Checked pictures without any change are detected all the same so often.
const DETECT_EVERY: Duration = Duration::from_millis(19_500);
/// While pictures come in sequence, all of one is looked at so often.
const WHOLE_EVERY: Duration = Duration::from_secs(4);
/// At first everything is looked at: nobody knows yet who stands there.
const KNOWN_AFTER: Duration = Duration::from_secs(5);
/// Whoever stands where nothing changes may be missed so often in a row: detectors blink. After as many they are looked for in every
/// picture, and after so many more they are gone.
const MISSES: u32 = 3;
const GONE_AFTER: u32 = 12;
/// Whoever is in a part of a picture is taken in with this share of their size around them.
const AROUND: f32 = 0.1;
/// The background is learned from analysed pictures so often.
const LEARN_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// Shares of a picture that become background: without change, looked at and found empty, and while somebody is near.
const ABSORBED: (f32, f32) = (0.1, 0.3);
/// Whoever moved by this share of their height, or grew by it, has moved.
const MOVED: f32 = 0.3;
/// Score from which a detection where something changed may be somebody new.
const MAYBE_NEW: f32 = 0.2;
/// Score from which a detection that no track explains is somebody new.
const SURELY_NEW: f32 = 0.5;
/// Whoever moved within this time is not background.
const STANDS_AFTER: SignedDuration = SignedDuration::from_secs(3);
/// Around whoever moves the background is not learned, for shadows and reflections, in this share of their size.
const NEAR: f32 = 0.5;
/// Overlap of one and the same who stands still.
const SAME_PLACE: f32 = 0.5;

/// One camera's attention, for one session.
pub struct Attention {
    background: Background,
    classes: ClassSet,
    places: HashMap<TrackHandle, Place>,
    /// Everyone who was visible when last looked at.
    visible: Vec<Track>,
    begun_at: Option<Timestamp>,
    detected_at: Option<Timestamp>,
    /// When all of a picture was detected.
    whole_at: Option<Timestamp>,
    learned_at: Option<Timestamp>,
}

/// Where a track stood when it last moved.
struct Place {
    bbox: BBox,
    moved_at: Timestamp,
    /// It was seen in a picture that did not differ from the background: as long as that stays so, it is there.
    in_background: bool,
    /// Looks in a row that did not recognise it.
    n_missed: u32,
}

/// A picture as attention sees it.
pub struct Sight {
    at: Timestamp,
    now: Thumbnail,
    change: Change,
}

impl Sight {
    fn since(&self, last: Timestamp) -> Duration {
        self.at.duration_since(last).unsigned_abs()
    }
}

impl Place {
    fn stands(&self, at: Timestamp) -> bool {
        at.duration_since(self.moved_at).abs() >= STANDS_AFTER
    }
}

/// What a look at a picture found.
#[derive(Clone, Copy)]
pub struct Looked<'a> {
    /// Best first.
    pub found: &'a [Detection],
    /// Where was looked, if not everywhere.
    pub part: Option<&'a BBox>,
}

impl<'a> From<&'a Detections> for Looked<'a> {
    fn from(detections: &'a Detections) -> Self {
        Self { found: detections.candidates(), part: detections.part() }
    }
}

/// What a checked picture comes to.
pub enum Checked {
    /// Somebody is new, moved or gone: everything since the last check is needed.
    New,
    /// All as before: what the tracker is to take in.
    AsBefore(Vec<Detection>),
}

impl Attention {
    /// Attention for this camera's zones and lines.
    pub fn new(camera: &CameraSettings) -> Self {
        let zones = camera.zones.iter().map(|zone| &zone.polygon);
        let lines = camera.lines.iter().map(|line| line.ends());
        let background = Background::new(WatchedArea::around(zones, lines));
        let looked_at = |class| {
            camera.zones.iter().any(|zone| zone.classes.contains(class))
                || camera.lines.iter().any(|line| line.classes().contains(class))
                || (camera.zones.is_empty() && camera.lines.is_empty())
        };
        let classes: Vec<_> = xueliang_inference::Class::ALL.into_iter().filter(|class| looked_at(*class)).collect();
        Self {
            background,
            classes: ClassSet::of(&classes),
            places: HashMap::new(),
            visible: Vec::new(),
            begun_at: None,
            detected_at: None,
            whole_at: None,
            learned_at: None,
        }
    }

    /// Compares a picture with the quiet one.
    pub fn see(&self, frame: &Frame) -> Sight {
        let now = Thumbnail::of(frame);
        let change = self.background.compare(&now);
        Sight { at: frame.captured_at(), now, change }
    }

    /// A picture in which nothing changed: who is still there. `None`: it must be detected.
    pub fn unchanged(&mut self, sight: &Sight, purpose: Purpose) -> Option<Vec<Detection>> {
        let every = if purpose == Purpose::Check { DETECT_EVERY } else { WHOLE_EVERY };
        let is_due = self.detected_at.is_none_or(|last| sight.since(last) >= every);
        if is_due
            || !self.knows(sight)
            || !sight.change.is_empty()
            || self.visible.iter().any(|track| self.is_unsure(track))
        {
            return None;
        }
        self.background.absorb(&sight.now, ABSORBED.0, &[]);
        Some(self.standing())
    }

    /// The part of the picture where something changed, and all of whoever is there; `None`: all of it must be looked at.
    pub fn region(&self, sight: &Sight) -> Option<BBox> {
        if self.whole_at.is_none_or(|last| sight.since(last) >= WHOLE_EVERY) || !self.knows(sight) {
            return None;
        }
        let unsure = self.visible.iter().filter(|track| self.is_unsure(track)).map(|track| track.bbox.dilated(AROUND));
        let mut region = unsure.chain(sight.change.bounds()).reduce(|one, other| one.union(&other))?;
        // Whoever is cut by the edge would not be recognised.
        loop {
            let reached = |track: &&Track| track.bbox.iou(&region) > 0.0 && !region.holds(&track.bbox.dilated(AROUND));
            let Some(track) = self.visible.iter().find(reached) else { return Some(region) };
            region = region.union(&track.bbox.dilated(2.0 * AROUND));
        }
    }

    /// What was found, and who stands where nothing changed and was not looked at, or not recognised this time.
    pub fn complete(&mut self, sight: &Sight, looked: Looked) -> Vec<Detection> {
        let mut found = looked.found.to_vec();
        let was_looked_at = |bbox: &BBox| looked.part.is_none_or(|part| part.holds(bbox));
        for track in &self.visible {
            let Some(place) = self.places.get_mut(&track.handle) else { continue };
            let is_changed = sight.change.touches(&track.bbox);
            if is_among(looked.found, &track.bbox) {
                place.n_missed = 0;
                place.in_background |= !is_changed && place.stands(sight.at);
            } else if place.in_background && !is_changed {
                place.n_missed += u32::from(was_looked_at(&track.bbox));
                place.in_background = place.n_missed <= GONE_AFTER;
                found.extend(place.in_background.then(|| standing(track)));
            }
        }
        found
    }

    /// Whether only a detector can tell that it is still there.
    fn is_unsure(&self, track: &Track) -> bool {
        self.matters(track.class, &track.bbox) && !self.is_in_background(track)
    }

    /// Whether it is there as long as nothing changes.
    fn is_in_background(&self, track: &Track) -> bool {
        self.places.get(&track.handle).is_some_and(|place| place.in_background && place.n_missed <= MISSES)
    }

    /// Whether enough was seen to tell what is new.
    fn knows(&self, sight: &Sight) -> bool {
        self.is_experienced(sight.at)
    }

    /// Whether enough was seen by this time to tell what is new.
    pub fn is_experienced(&self, at: Timestamp) -> bool {
        let since = |begun_at| at.duration_since(begun_at).unsigned_abs();
        self.background.is_learned() && self.begun_at.is_some_and(|begun_at| since(begun_at) >= KNOWN_AFTER)
    }

    /// Who was there at the last look, as good as detected where they were.
    pub fn standing(&self) -> Vec<Detection> {
        self.visible.iter().map(standing).collect()
    }

    /// A picture that was decoded for a check, with what was detected in it.
    pub fn check(&mut self, sight: &Sight, looked: Looked) -> Checked {
        self.looked(sight.at, looked);
        let Sight { now, change, .. } = sight;
        let found = looked.found;
        if found.iter().any(|found| self.is_new(found, change)) || self.is_anyone_gone(found, change) {
            return Checked::New;
        }
        self.background.absorb(now, ABSORBED.1, &[]);
        Checked::AsBefore(self.complete(sight, looked))
    }

    /// A picture that was analysed: what the gate is to know. Only where the picture changed can anybody have moved: a detector
    /// that finds a parked car now and then moves nothing.
    pub fn follow(&mut self, sight: &Sight, tracks: &[Track], looked: Looked) -> Finding {
        self.looked(sight.at, looked);
        let Sight { at, now, change } = sight;
        let (at, found) = (*at, looked.found);
        let relevant: Vec<&Track> = tracks.iter().filter(|track| self.matters(track.class, &track.bbox)).collect();
        let gone = relevant.iter().any(|track| !track.visible && change.touches(&track.bbox));
        let new = found.iter().any(|found| {
            found.confidence >= SURELY_NEW
                && self.matters(found.class, &found.bbox)
                && change.touches(&found.bbox)
                && !tracks.iter().any(|track| track.bbox.iou(&found.bbox) > 0.0)
        });
        let mut moved = false;
        for track in tracks {
            moved |= self.has_moved(at, track) && change.touches(&track.bbox) && self.matters(track.class, &track.bbox);
        }
        self.places.retain(|handle, _| tracks.iter().any(|track| track.handle == *handle));
        self.learn(at, now, tracks, found);
        self.visible = tracks.iter().filter(|track| track.visible).copied().collect();
        match (gone || new || moved, relevant.is_empty()) {
            (true, _) => Finding::Moving,
            (false, false) => Finding::Standing,
            (false, true) => Finding::Nobody,
        }
    }

    fn looked(&mut self, at: Timestamp, looked: Looked) {
        self.begun_at.get_or_insert(at);
        self.detected_at = Some(at);
        if looked.part.is_none() {
            self.whole_at = Some(at);
        }
    }

    /// Who is there after a picture that showed nothing new.
    pub fn confirm(&mut self, tracks: &[Track]) -> Finding {
        self.visible = tracks.iter().filter(|track| track.visible).copied().collect();
        let anyone = self.visible.iter().any(|track| self.matters(track.class, &track.bbox));
        if anyone { Finding::Standing } else { Finding::Nobody }
    }

    /// Everything but who moved of late, or may be somebody new, becomes background, slowly.
    fn learn(&mut self, at: Timestamp, now: &Thumbnail, tracks: &[Track], found: &[Detection]) {
        if self.learned_at.is_some_and(|last| at.duration_since(last).abs() < LEARN_EVERY) {
            return;
        }
        self.learned_at = Some(at);
        let moves = |track: &&Track| self.places.get(&track.handle).is_none_or(|place| !place.stands(at));
        let moving = tracks.iter().filter(moves).map(|track| track.bbox);
        let is_tracked = |found: &&Detection| tracks.iter().any(|track| track.bbox.iou(&found.bbox) > 0.0);
        let new = found.iter().filter(|found| found.confidence >= MAYBE_NEW && !is_tracked(found)).map(|new| new.bbox);
        let spared: Vec<BBox> = moving.chain(new).map(|bbox| bbox.dilated(NEAR)).collect();
        self.background.absorb(now, ABSORBED.1, &spared);
    }

    fn has_moved(&mut self, at: Timestamp, track: &Track) -> bool {
        let bbox = track.bbox;
        let stays = self.places.get(&track.handle).is_some_and(|place| {
            let (was, is) = (place.bbox.anchor(), bbox.anchor());
            let reach = MOVED * place.bbox.h;
            (is.x - was.x).hypot(is.y - was.y) <= reach && (bbox.h - place.bbox.h).abs() <= reach
        });
        if !stays {
            self.places.insert(track.handle, Place { bbox, moved_at: at, in_background: false, n_missed: 0 });
        }
        !stays
    }

    fn is_new(&self, found: &Detection, change: &Change) -> bool {
        found.confidence >= MAYBE_NEW
            && self.matters(found.class, &found.bbox)
            && change.touches(&found.bbox)
            && !self.visible.iter().any(|track| track.bbox.iou(&found.bbox) >= SAME_PLACE)
    }

    fn is_anyone_gone(&self, found: &[Detection], change: &Change) -> bool {
        self.visible.iter().any(|track| {
            self.matters(track.class, &track.bbox)
                && (change.touches(&track.bbox) || !self.is_in_background(track))
                && !is_among(found, &track.bbox)
        })
    }

    fn matters(&self, class: xueliang_inference::Class, bbox: &BBox) -> bool {
        let Point { x, y } = bbox.anchor();
        self.classes.contains(class) && self.background.watched().contains(Point { x, y })
    }
}

fn is_among(found: &[Detection], bbox: &BBox) -> bool {
    found.iter().any(|found| found.bbox.iou(bbox) >= SAME_PLACE)
}

/// Who stands where nothing changed is as good as detected there.
fn standing(track: &Track) -> Detection {
    Detection { class: track.class, confidence: track.confidence.max(SURELY_NEW), bbox: track.bbox }
}

#[cfg(test)]
mod tests;
