//! The gate decides, before anything is decoded, what becomes of an access unit.
//!
//! It takes access units and, from the analysis, verdicts on the pictures that were looked at; it gives jobs for the decoders.
//! Policies: everything, keyframes only, or as needed (`adaptive`).

mod adaptive;
mod kept;
mod sizes;

use jiff::{SignedDuration, Timestamp};
use xueliang_events::payload::GateEvidence;

use crate::{access_unit::AccessUnit, settings::GatePolicy};
use adaptive::Adaptive;

/// Keyframes further apart can't stand for what is between them: somebody may come and go.
const KEYFRAMES_SUFFICE_WITHIN: SignedDuration = SignedDuration::from_millis(2600);

/// How an access unit is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Alone, by a decoder that all cameras share.
    Still,
    /// In sequence, by the camera's leased decoder.
    Stream,
}

/// What a picture is decoded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Analysis as it happens: a newer picture may take its place.
    Live,
    /// Analysis of what was kept before the gate opened: none of it may be skipped.
    CatchUp,
    /// To see whether anything is new.
    Check,
}

/// Work for the decoders, in order.
pub enum Job {
    /// A stream begins: what its decoder knew before is void.
    BeginStream,
    /// Decode this.
    Decode {
        /// The access unit.
        unit: AccessUnit,
        /// How.
        mode: Mode,
        /// What for.
        purpose: Purpose,
    },
    /// The stream ends; its decoder is given back.
    EndStream,
    /// Nothing moved up to this capture time: whoever stood there at the last look stands there still.
    Carry {
        /// Until when.
        at: Timestamp,
    },
}

/// What the analysis found in the watched area of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nobody and nothing.
    Nobody,
    /// Somebody, who stands still.
    Standing,
    /// Somebody moves, came or went.
    Moving,
}

/// What the analysis says of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// When the picture was taken.
    pub at: Timestamp,
    /// What it was decoded for.
    pub purpose: Purpose,
    /// What was found.
    pub finding: Finding,
    /// Whether nothing in the zones waits for time to pass.
    pub is_settled: bool,
}

/// What a gate goes by, for status and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Everything is decoded: asked for, or nothing else would do.
    Everything,
    /// Keyframes, and what lies between them when one differs.
    Keyframes,
    /// Encoded sizes, and a keyframe now and then.
    Sizes,
    /// Keyframes of the sub-stream.
    SubKeyframes,
    /// Encoded sizes of the sub-stream, and a keyframe now and then.
    SubSizes,
}

impl Evidence {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Everything, Self::Keyframes, Self::Sizes, Self::SubKeyframes, Self::SubSizes];

    /// The name for status and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Evidence::Everything => "everything",
            Evidence::Keyframes => "keyframes",
            Evidence::Sizes => "sizes",
            Evidence::SubKeyframes => "sub_keyframes",
            Evidence::SubSizes => "sub_sizes",
        }
    }

    /// The wire's form.
    pub fn on_the_wire(self) -> GateEvidence {
        match self {
            Evidence::Everything => GateEvidence::Everything,
            Evidence::Keyframes => GateEvidence::Keyframes,
            Evidence::Sizes => GateEvidence::Sizes,
            Evidence::SubKeyframes => GateEvidence::SubKeyframes,
            Evidence::SubSizes => GateEvidence::SubSizes,
        }
    }

    fn of_sub_stream(self) -> Self {
        match self {
            Evidence::Keyframes => Evidence::SubKeyframes,
            Evidence::Sizes => Evidence::SubSizes,
            other => other,
        }
    }
}

/// One camera's gate.
pub enum Gate {
    /// All access units.
    Always {
        /// Whether the stream has begun.
        streams: bool,
    },
    /// Keyframes only.
    Keyframes,
    /// As needed.
    Adaptive(Box<Adaptive>),
}

impl Gate {
    /// A gate with this policy.
    pub fn new(policy: GatePolicy) -> Self {
        match policy {
            GatePolicy::Always => Gate::Always { streams: false },
            GatePolicy::Keyframes => Gate::Keyframes,
            GatePolicy::Adaptive => Gate::Adaptive(Box::new(Adaptive::new())),
        }
    }

    /// From now on the gate looks at a sub-stream, whose access units come by [`Gate::watch`]; or no longer.
    pub fn watch_sub_stream(&mut self, yes: bool) {
        if let Gate::Adaptive(gate) = self {
            gate.watch_sub_stream(yes);
        }
    }

    /// Takes an access unit of the sub-stream; the jobs of it that come back are of the sub-stream, all others of the main one.
    pub fn watch(&mut self, unit: AccessUnit, may_open: bool) -> Vec<Job> {
        let mut jobs = Vec::new();
        if let Gate::Adaptive(gate) = self {
            gate.watch(unit, may_open, &mut jobs);
        }
        jobs
    }

    /// Judges one access unit; `may_open` says whether a stream decoder is to be had.
    pub fn take(&mut self, unit: AccessUnit, may_open: bool) -> Vec<Job> {
        let mut jobs = Vec::new();
        let decode = |unit, mode| Job::Decode { unit, mode, purpose: Purpose::Live };
        match self {
            Gate::Always { streams } => {
                if may_open && unit.keyframe && !*streams {
                    *streams = true;
                    jobs.push(Job::BeginStream);
                }
                if *streams {
                    jobs.push(decode(unit, Mode::Stream));
                } else if unit.keyframe {
                    jobs.push(decode(unit, Mode::Still));
                }
            }
            Gate::Keyframes if unit.keyframe => jobs.push(decode(unit, Mode::Still)),
            Gate::Keyframes => {}
            Gate::Adaptive(gate) => gate.take(unit, may_open, &mut jobs),
        }
        jobs
    }

    /// Hears the analysis.
    pub fn hear(&mut self, verdict: Verdict, may_open: bool) -> Vec<Job> {
        let mut jobs = Vec::new();
        if let Gate::Adaptive(gate) = self {
            gate.hear(verdict, may_open, &mut jobs);
        }
        jobs
    }

    /// Whether it needs a stream decoder now.
    pub fn is_open(&self) -> bool {
        match self {
            Gate::Always { streams } => *streams,
            Gate::Keyframes => false,
            Gate::Adaptive(gate) => gate.is_open(),
        }
    }

    /// Whether it would be open if there were a stream decoder.
    pub fn is_starved(&self) -> bool {
        match self {
            Gate::Always { streams } => !streams,
            Gate::Keyframes => false,
            Gate::Adaptive(gate) => gate.is_starved(),
        }
    }

    /// What it goes by.
    pub fn evidence(&self) -> Evidence {
        match self {
            Gate::Always { .. } => Evidence::Everything,
            Gate::Keyframes => Evidence::Keyframes,
            Gate::Adaptive(gate) => gate.evidence(),
        }
    }

    /// The session ended; what was learned of the camera stays.
    pub fn interrupted(&mut self) {
        match self {
            Gate::Always { streams } => *streams = false,
            Gate::Keyframes => {}
            Gate::Adaptive(gate) => gate.interrupted(),
        }
    }
}
