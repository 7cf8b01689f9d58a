//! Which events of a device come late: within a session its sequence decides, between sessions who had the device later.
//!
//! No clock orders sessions, for a worker's clock may be set back. A greater owner epoch is newer. Else a session that was never
//! heard is newer than all before it: one worker sends its sessions in their order. An ended session's word is late. Should two
//! workers pull one device without knowing of each other, the ended one is heard again when the other has been silent for
//! [`RESUMES_AFTER`], by its own clock, less what that was seen to run ahead.
//!
//! What may come at any time and in any order without effect: every repetition of the last [`MAX_ENDED`] sessions, what they
//! had not delivered when they ended, and everything of earlier owners.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use xueliang_events::{Event, SessionId};

use crate::memory::Memory;

/// How long the session after it must be silent before an ended one is believed to go on.
const RESUMES_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// A clock that goes back by more than this within a session was set; less is disorder.
const DISORDER: SignedDuration = SignedDuration::from_secs(30);
/// Ended sessions that are remembered. A session is a run of the device's pipeline, so they are few; repetitions from before are
/// the store's to recognise, by their ids.
const MAX_ENDED: usize = 16;

/// The newest event taken in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Newest {
    pub session: SessionId,
    pub sequence: u64,
    /// The latest capture time of this session.
    pub time: Timestamp,
    /// The latest time at which an event of this session was had, by its worker's clock.
    #[serde(default)]
    pub heard_at: Timestamp,
    /// The newest owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
}

/// A session that another one came after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    session: SessionId,
    sequence: u64,
    /// How far its clock ran ahead of the present session's, at least.
    ahead_ms: i64,
}

/// What an event changes in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted {
    pub session_changed: bool,
    /// The clock was set back: times from before may lie in the future.
    pub set_back: bool,
}

impl Memory {
    /// Repeated or overtaken.
    pub(crate) fn has_passed(&self, event: &Event) -> bool {
        let Some(newest) = self.newest else { return false };
        if newest.session == event.session {
            return event.sequence <= newest.sequence;
        }
        if let (Some(known), Some(epoch)) = (newest.epoch, event.owner_epoch)
            && known != epoch
        {
            return epoch < known;
        }
        let ended = self.ended.iter().find(|ended| ended.session == event.session);
        ended.is_some_and(|ended| {
            let heard_at = moved(event.received_at, -SignedDuration::from_millis(ended.ahead_ms));
            event.sequence <= ended.sequence || heard_at <= moved(newest.heard_at, RESUMES_AFTER)
        })
    }

    /// Puts an event that was not passed into the order.
    pub(crate) fn put_in_order(&mut self, event: &Event) -> Noted {
        let Event { session, sequence, time, received_at, owner_epoch, .. } = *event;
        let first = Newest { session, sequence, time, heard_at: received_at, epoch: owner_epoch };
        let Some(newest) = self.newest else {
            self.newest = Some(first);
            return Noted { session_changed: false, set_back: false };
        };
        let session_changed = newest.session != session;
        let set_back =
            if session_changed { time < newest.time } else { moved(received_at, DISORDER) < newest.heard_at };
        if session_changed {
            self.end_session(newest, event);
        }
        let begins_anew = session_changed || set_back;
        self.newest = Some(Newest {
            time: if begins_anew { time } else { newest.time.max(time) },
            heard_at: if begins_anew { received_at } else { newest.heard_at.max(received_at) },
            epoch: newest.epoch.max(owner_epoch),
            ..first
        });
        Noted { session_changed, set_back }
    }

    fn end_session(&mut self, newest: Newest, next: &Event) {
        let step_ms = newest.heard_at.duration_since(next.received_at).as_millis().max(0);
        let step_ms = i64::try_from(step_ms).unwrap_or(i64::MAX);
        self.ended.retain(|ended| ended.session != next.session);
        self.ended.iter_mut().for_each(|ended| ended.ahead_ms = ended.ahead_ms.saturating_add(step_ms));
        self.ended.push(Ended { session: newest.session, sequence: newest.sequence, ahead_ms: step_ms });
        let n_surplus = self.ended.len().saturating_sub(MAX_ENDED);
        self.ended.drain(..n_surplus);
    }
}

fn moved(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
