//! Which of a camera's streams are pulled: its only one, its sub-stream alone, or both, the gate looking at the smaller.

use crate::{
    access_unit::AccessUnit,
    failure::Failure,
    session::{Deadlines, Session},
    settings::{CameraSettings, GatePolicy, SubStreamUse},
};

/// Width from which a sub-stream is enough to detect from: half as much again as the detectors' input.
const ENOUGH_WIDTH: u32 = 640;

/// The sessions of one camera.
pub(super) struct Streams {
    /// What is decoded.
    pub decoded: Session,
    /// What the gate looks at instead, if it does.
    pub watched: Option<Session>,
    /// Why the sub-stream is not used, when it should be.
    pub remark: Option<String>,
}

/// An access unit and which stream it is of.
pub(super) enum Next {
    /// Of the stream that is decoded.
    Decoded(AccessUnit),
    /// Of the one that the gate looks at.
    Watched(AccessUnit),
}

impl Streams {
    /// Connects to what is needed. A sub-stream that fails leaves the main one.
    pub async fn open(camera: &CameraSettings, deadlines: Deadlines) -> Result<Self, Failure> {
        let main = camera.endpoint();
        let (Some(sub), Some(endpoint)) = (&camera.sub, camera.sub_endpoint()) else {
            return Ok(Self { decoded: Session::open(&main, deadlines).await?, watched: None, remark: None });
        };
        let opened = match Session::open(&endpoint, deadlines).await {
            Ok(session) if detects(sub.used_for, session.size()) => {
                return Ok(Self { decoded: session, watched: None, remark: None });
            }
            opened => opened,
        };
        let decoded = Session::open(&main, deadlines).await?;
        let (watched, remark) = match opened {
            // Only an adaptive gate has a use for two streams.
            Ok(session) => (Some(session).filter(|_| camera.gate == GatePolicy::Adaptive), None),
            Err(failure) => (None, Some(format!("the sub-stream is not used: {failure}"))),
        };
        Ok(Self { decoded, watched, remark })
    }

    /// The next access unit of either. Safe to cancel.
    pub async fn next(&mut self) -> Result<Next, Failure> {
        let Some(watched) = &mut self.watched else { return self.decoded.next().await.map(Next::Decoded) };
        tokio::select! {
            unit = self.decoded.next() => unit.map(Next::Decoded),
            unit = watched.next() => unit.map(Next::Watched),
        }
    }

    /// What is wrong although it plays.
    pub fn trouble(&self) -> Option<String> {
        let of_watched = self.watched.as_ref().and_then(Session::remark);
        self.decoded.remark().or_else(|| self.remark.clone()).or(of_watched)
    }
}

fn detects(used_for: SubStreamUse, size: Option<(u32, u32)>) -> bool {
    match used_for {
        SubStreamUse::Detect => true,
        SubStreamUse::Gate => false,
        SubStreamUse::Auto => size.is_some_and(|(width, height)| width.max(height) >= ENOUGH_WIDTH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_stream_of_enough_size_is_all_that_is_pulled() {
        use SubStreamUse::{Auto, Detect, Gate};
        assert!(detects(Auto, Some((704, 576))));
        assert!(detects(Auto, Some((480, 640))));
        assert!(!detects(Auto, Some((352, 288))));
        assert!(!detects(Auto, None));
        assert!(detects(Detect, Some((352, 288))));
        assert!(!detects(Gate, Some((1280, 720))));
    }
}
