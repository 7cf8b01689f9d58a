//! Which of a camera's streams are pulled: its only one, its sub-stream alone, or both, the gate looking at the smaller.
//!
//! A sub-stream that fails, at first or later, leaves the main one, which goes on; it is tried again with growing pauses. One whose
//! description does not tell its size is judged by its first keyframe.

use futures::future::BoxFuture;

use super::pause_after;
use crate::{
    access_unit::AccessUnit,
    backoff::{Admission, Backoff, Pauses},
    failure::Failure,
    session::{Deadlines, Endpoint, Session},
    settings::{CameraSettings, GatePolicy, SubStreamUse},
};

/// Width from which a sub-stream is enough to detect from: half as much again as the detectors' input.
const ENOUGH_WIDTH: u32 = 640;

/// The sessions of one camera.
pub(super) struct Streams {
    /// What is decoded.
    pub decoded: Session,
    sub: Sub,
}

/// What comes next.
pub(super) enum Next {
    /// An access unit of the stream that is decoded.
    Decoded(AccessUnit),
    /// One of the stream that the gate looks at.
    Watched(AccessUnit),
    /// From now on the gate has a sub-stream to look at, or no longer.
    Watching(bool),
    /// From now on the sub-stream is decoded and nothing else is pulled; it begins with this, if that came already.
    Switched(Option<AccessUnit>),
}

/// The sub-stream beside the one that is decoded.
enum Sub {
    /// There is none, or nothing to do with it.
    Unused,
    /// It plays, and its first keyframe will tell how large it is.
    Unmeasured(Box<(Session, Plan)>),
    /// The gate looks at it.
    Watched(Box<(Session, Plan)>),
    /// It failed, and comes back when it can.
    Away { cause: String, back: BoxFuture<'static, (Result<Session, Failure>, Plan)> },
}

/// How a sub-stream is connected to and what becomes of it.
struct Plan {
    endpoint: Endpoint,
    deadlines: Deadlines,
    admission: Admission,
    used_for: SubStreamUse,
    is_gate_adaptive: bool,
    backoff: Backoff,
}

impl Streams {
    /// Connects to what is needed.
    pub async fn open(camera: &CameraSettings, deadlines: Deadlines, admission: &Admission) -> Result<Self, Failure> {
        let main = camera.endpoint();
        let Some(plan) = Plan::of(camera, deadlines, admission) else {
            return Ok(Self { decoded: open(&main, deadlines, admission).await?, sub: Sub::Unused });
        };
        let sub = match open(&plan.endpoint, deadlines, admission).await {
            Ok(session) => match plan.detects_from(&session) {
                Some(true) => return Ok(Self { decoded: session, sub: Sub::Unused }),
                Some(false) => plan.watch(session),
                None => Sub::Unmeasured(Box::new((session, plan))),
            },
            Err(failure) => plan.come_back_after(&failure),
        };
        Ok(Self { decoded: open(&main, deadlines, admission).await?, sub })
    }

    /// What comes next of either. Safe to cancel.
    pub async fn next(&mut self) -> Result<Next, Failure> {
        tokio::select! {
            unit = self.decoded.next() => unit.map(Next::Decoded),
            next = self.sub.next() => Ok(match next {
                SubNext::Unit(unit) => Next::Watched(unit),
                SubNext::Watching(yes) => Next::Watching(yes),
                SubNext::Detects(session, first) => {
                    self.decoded = *session;
                    Next::Switched(first)
                }
            }),
        }
    }

    /// Whether the gate has a sub-stream to look at.
    pub fn is_watching(&self) -> bool {
        matches!(self.sub, Sub::Watched(_))
    }

    /// Leaves the sub-stream that the gate looked at.
    pub fn leave_sub(&mut self, failure: &Failure) {
        self.sub.leave(failure);
    }

    /// What is wrong although it plays.
    pub fn trouble(&self) -> Option<String> {
        self.decoded.remark().or_else(|| match &self.sub {
            Sub::Unused => None,
            Sub::Unmeasured(playing) | Sub::Watched(playing) => playing.0.remark(),
            Sub::Away { cause, .. } => Some(cause.clone()),
        })
    }
}

/// What a sub-stream brings.
enum SubNext {
    Unit(AccessUnit),
    Watching(bool),
    Detects(Box<Session>, Option<AccessUnit>),
}

impl Sub {
    async fn next(&mut self) -> SubNext {
        loop {
            match self {
                Self::Unused => std::future::pending().await,
                Self::Unmeasured(playing) => match playing.0.next().await {
                    Ok(unit) if unit.keyframe => return self.measured(unit),
                    Ok(_) => {}
                    Err(failure) => self.leave(&failure),
                },
                Self::Watched(watched) => match watched.0.next().await {
                    Ok(unit) => return SubNext::Unit(unit),
                    Err(failure) => {
                        self.leave(&failure);
                        return SubNext::Watching(false);
                    }
                },
                Self::Away { back, .. } => match back.await {
                    (Ok(session), plan) => match plan.detects_from(&session) {
                        Some(true) => {
                            *self = Self::Unused;
                            return SubNext::Detects(Box::new(session), None);
                        }
                        Some(false) => {
                            *self = plan.watch(session);
                            return SubNext::Watching(matches!(self, Self::Watched(_)));
                        }
                        None => *self = Self::Unmeasured(Box::new((session, plan))),
                    },
                    (Err(failure), plan) => *self = plan.come_back_after(&failure),
                },
            }
        }
    }

    /// Its first keyframe came. One that does not tell its size either is taken for a small one.
    fn measured(&mut self, first: AccessUnit) -> SubNext {
        if let Self::Unmeasured(playing) = std::mem::replace(self, Self::Unused) {
            let (session, plan) = *playing;
            if plan.detects_from(&session) == Some(true) {
                return SubNext::Detects(Box::new(session), Some(first));
            }
            *self = plan.watch(session);
        }
        SubNext::Watching(matches!(self, Self::Watched(_)))
    }

    fn leave(&mut self, failure: &Failure) {
        if let Self::Unmeasured(playing) | Self::Watched(playing) = std::mem::replace(self, Self::Unused) {
            *self = playing.1.come_back_after(failure);
        }
    }
}

impl Plan {
    fn of(camera: &CameraSettings, deadlines: Deadlines, admission: &Admission) -> Option<Self> {
        let (sub, endpoint) = (camera.sub.as_ref()?, camera.sub_endpoint()?);
        Some(Self {
            endpoint,
            deadlines,
            admission: admission.clone(),
            used_for: sub.used_for,
            is_gate_adaptive: camera.gate == GatePolicy::Adaptive,
            backoff: Backoff::new(Pauses::default()),
        })
    }

    /// Whether it is enough to detect from; nothing while its size decides and is not known.
    fn detects_from(&self, session: &Session) -> Option<bool> {
        detects(self.used_for, session.size())
    }

    /// Only an adaptive gate has a use for two streams.
    fn watch(self, session: Session) -> Sub {
        if self.is_gate_adaptive { Sub::Watched(Box::new((session, self))) } else { Sub::Unused }
    }

    fn come_back_after(mut self, failure: &Failure) -> Sub {
        let cause = format!("the sub-stream is not used: {failure}");
        let pause = pause_after(failure, &mut self.backoff);
        let back = async move {
            tokio::time::sleep(pause).await;
            (open(&self.endpoint, self.deadlines, &self.admission).await, self)
        };
        Sub::Away { cause, back: Box::pin(back) }
    }
}

/// Opens a session when it is its turn; with an account that is a turn for each of two connections, the first of which only asks.
async fn open(endpoint: &Endpoint, deadlines: Deadlines, admission: &Admission) -> Result<Session, Failure> {
    admission.wait_for(if endpoint.credentials.is_some() { 2 } else { 1 }).await;
    Session::open(endpoint, deadlines).await
}

fn detects(used_for: SubStreamUse, size: Option<(u32, u32)>) -> Option<bool> {
    match used_for {
        SubStreamUse::Detect => Some(true),
        SubStreamUse::Gate => Some(false),
        SubStreamUse::Auto => size.map(|(width, height)| width.max(height) >= ENOUGH_WIDTH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_stream_of_enough_size_is_all_that_is_pulled() {
        use SubStreamUse::{Auto, Detect, Gate};
        assert_eq!(detects(Auto, Some((704, 576))), Some(true));
        assert_eq!(detects(Auto, Some((480, 640))), Some(true));
        assert_eq!(detects(Auto, Some((352, 288))), Some(false));
        assert_eq!(detects(Auto, None), None, "its first keyframe tells");
        assert_eq!(detects(Detect, None), Some(true));
        assert_eq!(detects(Detect, Some((352, 288))), Some(true));
        assert_eq!(detects(Gate, None), Some(false));
        assert_eq!(detects(Gate, Some((1280, 720))), Some(false));
    }
}
