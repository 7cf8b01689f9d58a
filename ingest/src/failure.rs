//! Why a camera session ended, as a device state and a cause in an integrator's words.
//!
//! retina's messages may quote packets in hex, so they never travel further than this file (RULES P11): each is turned into
//! one of our own sentences.

use std::time::Duration;

use xueliang_events::payload::DeviceState;

/// Why a session ended or could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("no connection: {cause}; check address, port, power and cabling")]
    Unreachable {
        /// The operating system's word.
        cause: String,
    },
    /// The credentials are wrong or missing.
    #[error("the camera refused the account ({status}); check user name, password and the account's rights")]
    AuthFailed {
        /// RTSP status.
        status: u16,
    },
    /// The camera answered with an error.
    #[error("the camera answered {status} to the request; check the path in its address")]
    Rejected {
        /// RTSP status.
        status: u16,
    },
    /// What came is not RTSP or RTP.
    #[error(
        "{step}: what came is not valid RTSP or RTP; check that address and port belong to a camera's RTSP service"
    )]
    Garbled {
        /// What was being done.
        step: &'static str,
    },
    /// The other side closed the connection.
    #[error("the camera closed the connection")]
    Closed,
    /// No video that can be decoded.
    #[error("no H.264 or H.265 stream among {offered:?}; choose one of these codings in the camera")]
    NoVideo {
        /// What the camera offers.
        offered: Vec<String>,
    },
    /// A step of the connection took too long.
    #[error("{step}: no answer within {} s; check the camera's load and the network", .within.as_secs())]
    NoAnswer {
        /// What was being done.
        step: &'static str,
        /// The deadline.
        within: Duration,
    },
    /// Connected, and nothing came.
    #[error("connected, but no picture for {} s; restart the camera's stream", .within.as_secs())]
    Stalled {
        /// The deadline.
        within: Duration,
    },
    /// Pictures come that no decoder understands.
    #[error("{n_units} coded pictures came and none could be decoded; check coding and profile in the camera")]
    Undecodable {
        /// How many.
        n_units: u64,
    },
    /// This machine can't.
    #[error("this machine can't: {cause}")]
    Local {
        /// Why.
        cause: String,
    },
}

impl Failure {
    /// The device state that says so.
    pub fn state(&self) -> DeviceState {
        match self {
            Failure::Unreachable { .. } | Failure::Closed => DeviceState::Unreachable,
            Failure::AuthFailed { .. } => DeviceState::AuthFailed,
            Failure::Stalled { .. } | Failure::NoAnswer { .. } => DeviceState::Stalled,
            Failure::Rejected { .. }
            | Failure::Garbled { .. }
            | Failure::NoVideo { .. }
            | Failure::Undecodable { .. }
            | Failure::Local { .. } => DeviceState::Refused,
        }
    }

    /// Reads retina's error; `step` is what was being done.
    pub fn from_retina(error: &retina::Error, step: &'static str) -> Self {
        match error.status_code() {
            Some(status @ (401 | 403)) => return Failure::AuthFailed { status },
            Some(status) if status >= 300 => return Failure::Rejected { status },
            _ => {}
        }
        let message = error.to_string();
        let first_line = message.lines().next().unwrap_or_default();
        if let Some(cause) = first_line.strip_prefix("Unable to connect to RTSP server: ") {
            return Failure::Unreachable { cause: cause.chars().take(120).collect() };
        }
        if first_line.starts_with("Error reading from RTSP peer: ")
            || first_line.starts_with("Error writing to RTSP peer")
        {
            let closed = ["reset", "closed", "eof", "broken pipe", "end of file"];
            let lower = first_line.to_lowercase();
            let is_closed = closed.iter().any(|word| lower.contains(word));
            return if is_closed { Failure::Closed } else { Failure::Garbled { step } };
        }
        Failure::Garbled { step }
    }
}
