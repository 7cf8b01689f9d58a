//! One thread that hands each playing camera its next access unit when it is due.
//!
//! Due times come from the monotonic clock and the count of units sent, so a late wake-up delays a unit but never
//! shifts the ones after it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use gstreamer_app::AppSrc;
use gstreamer_rtsp_server::RTSPMedia;
use gstreamer_rtsp_server::gst;
use gstreamer_rtsp_server::gst::prelude::*;
use gstreamer_rtsp_server::prelude::*;

use super::Footage;

/// How long a stream that is not yet running waits for its next try.
const RETRY: Duration = Duration::from_millis(20);
/// How long the thread sleeps when no camera plays.
const IDLE: Duration = Duration::from_secs(3600);

/// Owns the thread, which ends when this and every `Feeds` are gone.
pub(super) struct Pacer {
    feeds: Feeds,
}

/// Where new streams are announced.
#[derive(Clone)]
pub(super) struct Feeds {
    added: Sender<Feed>,
    began: Instant,
}

impl Pacer {
    pub(super) fn start() -> Self {
        let (added, receiver) = channel();
        std::thread::spawn(move || run(&receiver));
        Self { feeds: Feeds { added, began: Instant::now() } }
    }

    pub(super) fn feeds(&self) -> Feeds {
        self.feeds.clone()
    }
}

impl Feeds {
    /// Starts to feed a stream that a first client asked for, at the keyframe where its camera stands now.
    pub(super) fn add(&self, media: &RTSPMedia, footage: Footage, offset: Duration) {
        let source = media.element().downcast::<gst::Bin>().ok().and_then(|bin| bin.by_name("source"));
        let Some(source) = source.and_then(|element| element.downcast::<AppSrc>().ok()) else { return };
        source.set_caps(Some(footage.caps()));
        let next = footage.keyframe_before(offset + self.began.elapsed());
        let feed = Feed { source: source.downgrade(), footage, first: next, next, timeline: None, due: Instant::now() };
        // The thread is gone only when the server is being dropped.
        let _ = self.added.send(feed);
    }
}

fn run(added: &Receiver<Feed>) {
    let mut feeds: Vec<Feed> = Vec::new();
    loop {
        let now = Instant::now();
        feeds.retain_mut(|feed| feed.due > now || feed.push(now));
        let wait = feeds.iter().map(|feed| feed.due.saturating_duration_since(Instant::now())).min();
        match added.recv_timeout(wait.unwrap_or(IDLE)) {
            Ok(feed) => feeds.push(feed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// One stream that is being fed.
struct Feed {
    source: gst::glib::WeakRef<AppSrc>,
    footage: Footage,
    first: usize,
    next: usize,
    timeline: Option<Timeline>,
    due: Instant,
}

/// The moment of the first access unit, on both clocks.
#[derive(Clone, Copy)]
struct Timeline {
    instant: Instant,
    running: gst::ClockTime,
}

impl Feed {
    /// Sends the unit that is due. False when the stream has ended.
    fn push(&mut self, now: Instant) -> bool {
        let Some(source) = self.source.upgrade() else { return false };
        // A pipeline hands out its clock before its base time: a running time read in between is hours ahead, and
        // the sink would wait for it. Once an element plays it has both.
        let state = source.current_state();
        let Some(running) = source.current_running_time().filter(|_| state == gst::State::Playing) else {
            self.due = now + RETRY;
            return state != gst::State::Null || self.timeline.is_none();
        };
        let timeline = *self.timeline.get_or_insert(Timeline { instant: now, running });
        let mut unit = self.footage.unit(self.next).copy();
        if let Some(unit) = unit.get_mut() {
            unit.set_pts(timeline.running + self.elapsed(self.next));
            unit.set_dts(None);
        }
        self.next += 1;
        self.due = timeline.instant + Duration::from(self.elapsed(self.next));
        source.push_buffer(unit).is_ok()
    }

    fn elapsed(&self, index: usize) -> gst::ClockTime {
        let n_units = u64::try_from(index - self.first).unwrap_or(0);
        let interval = u64::try_from(self.footage.interval().as_nanos()).unwrap_or(0);
        gst::ClockTime::from_nseconds(interval * n_units)
    }
}
