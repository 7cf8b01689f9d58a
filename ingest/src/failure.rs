//! Why a camera session ended, as a device state and a cause in an integrator's words: what is wrong and what cures it.
//!
//! retina's messages may quote packets in hex, so they never travel further than this file (RULES P11): each is turned into
//! one of our own sentences.

use std::time::Duration;

use jiff::SignedDuration;
use xueliang_events::payload::DeviceState;

/// How long the library waits for an answer to a keepalive where it does not say.
const KEEPALIVE: Duration = Duration::from_secs(30);

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
    /// The camera knows no way of logging in that keeps the password secret.
    #[error(
        "the camera only knows basic authentication, which shows the password to the network; switch it to digest, or set allow_basic"
    )]
    BasicRefused,
    /// The account is right, but the camera's digest nonces expire before they are used.
    #[error(
        "the account is right, but the camera's digest nonce expired twice in a row; update its firmware or check its clock"
    )]
    StaleNonce,
    /// The camera answered with an error.
    #[error("the camera answered {status} to {step}; {}", cure(*.status))]
    Rejected {
        /// What was asked.
        step: &'static str,
        /// RTSP status.
        status: u16,
    },
    /// A redirect that isn't followed.
    #[error("the camera redirects {problem}; enter the address that it redirects to")]
    Redirected {
        /// Where it leads, without an address.
        problem: &'static str,
    },
    /// What came is not RTSP or RTP.
    #[error(
        "{step}: what came is not valid RTSP or RTP; check that address and port belong to a camera's RTSP service"
    )]
    Garbled {
        /// What was being done.
        step: &'static str,
    },
    /// The camera's answer lacks what is needed.
    #[error("{step}: the camera's answer lacks what RTSP demands; update its firmware or choose another stream of it")]
    Misdescribed {
        /// What was being done.
        step: &'static str,
    },
    /// The other side closed the connection.
    #[error(
        "the camera closed the connection, and perhaps ended the session first; see whether it restarted, serves too many viewers or wants another account"
    )]
    Closed,
    /// The connection broke in the middle of a packet.
    #[error("the connection broke in the middle of a packet; check cabling, switches and the camera's power")]
    CutShort,
    /// The packets' order can't be made sense of.
    #[error(
        "{n_packets} packets in a row came out of order; connecting anew, restart the camera's stream if it recurs"
    )]
    Disordered {
        /// How many.
        n_packets: u32,
    },
    /// Packets of another stream came.
    #[error("the camera began another stream on the same connection; connecting anew")]
    SourceChanged,
    /// One picture is larger than any picture should be.
    #[error("a coded picture is larger than {} MB; lower the camera's resolution or bit rate", .limit >> 20)]
    Oversized {
        /// The bound, bytes.
        limit: usize,
    },
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
    #[error(
        "connected, but no picture for {} s, perhaps because the camera ended the session; connecting anew, restart the camera's stream if it recurs",
        .within.as_secs()
    )]
    Stalled {
        /// The deadline.
        within: Duration,
    },
    /// Packets came, and no picture was whole.
    #[error(
        "no whole picture for {} s: {n_lost} packets lost or out of order; check the network, or set its transport to tcp",
        .within.as_secs()
    )]
    Incomplete {
        /// Packets.
        n_lost: u64,
        /// The deadline.
        within: Duration,
    },
    /// Pictures come that no decoder understands.
    #[error("{n_units} coded pictures came and none could be decoded; check coding and profile in the camera")]
    Undecodable {
        /// How many.
        n_units: u64,
    },
    /// This machine's clock was set while the session ran.
    #[error("this machine's clock was set by {} s; the session begins anew in the new time", .by.as_secs())]
    ClockStepped {
        /// Forward when positive.
        by: SignedDuration,
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
            Failure::Unreachable { .. } | Failure::Closed | Failure::CutShort => DeviceState::Unreachable,
            Failure::AuthFailed { .. } | Failure::BasicRefused | Failure::StaleNonce => DeviceState::AuthFailed,
            Failure::Stalled { .. } | Failure::Incomplete { .. } | Failure::NoAnswer { .. } => DeviceState::Stalled,
            Failure::SourceChanged | Failure::ClockStepped { .. } => DeviceState::Connecting,
            Failure::Rejected { .. }
            | Failure::Redirected { .. }
            | Failure::Garbled { .. }
            | Failure::Misdescribed { .. }
            | Failure::Disordered { .. }
            | Failure::Oversized { .. }
            | Failure::NoVideo { .. }
            | Failure::Undecodable { .. }
            | Failure::Local { .. } => DeviceState::Refused,
        }
    }

    /// Its name as a label of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Unreachable { .. } => "unreachable",
            Failure::AuthFailed { .. } => "auth_failed",
            Failure::BasicRefused => "basic_refused",
            Failure::StaleNonce => "stale_nonce",
            Failure::Rejected { .. } => "rejected",
            Failure::Redirected { .. } => "redirected",
            Failure::Garbled { .. } => "garbled",
            Failure::Misdescribed { .. } => "misdescribed",
            Failure::Closed => "closed",
            Failure::CutShort => "cut_short",
            Failure::Disordered { .. } => "disordered",
            Failure::SourceChanged => "source_changed",
            Failure::Oversized { .. } => "oversized",
            Failure::NoVideo { .. } => "no_video",
            Failure::NoAnswer { .. } => "no_answer",
            Failure::Stalled { .. } => "stalled",
            Failure::Incomplete { .. } => "incomplete",
            Failure::Undecodable { .. } => "undecodable",
            Failure::ClockStepped { .. } => "clock_stepped",
            Failure::Local { .. } => "local",
        }
    }

    /// Reads retina's error; `step` is what was being done.
    pub fn from_retina(error: &retina::Error, step: &'static str) -> Self {
        match error.status_code() {
            Some(status) => Self::from_status(status, step),
            None => Self::from_message(&error.to_string(), step),
        }
    }

    /// Reads the status of an RTSP answer that could not be used.
    pub fn from_status(status: u16, step: &'static str) -> Self {
        match status {
            401 | 403 => Failure::AuthFailed { status },
            ..300 => Failure::Misdescribed { step },
            _ => Failure::Rejected { step, status },
        }
    }

    /// Reads the operating system's refusal of a connection.
    pub fn from_connect(cause: &str) -> Self {
        let cause: String = cause.chars().take(120).collect();
        // Out of memory, files, addresses or buffers: not the camera's fault.
        let ours = [12, 23, 24, 99, 105].map(|code| format!("(os error {code})"));
        if ours.iter().any(|code| cause.contains(code)) {
            return Failure::Local { cause: format!("{cause}; raise its limits (ulimit -n) or give it fewer cameras") };
        }
        Failure::Unreachable { cause }
    }

    /// Reads one of the library's messages.
    pub fn from_message(message: &str, step: &'static str) -> Self {
        let first_line = message.lines().next().unwrap_or_default();
        if let Some(cause) = first_line.strip_prefix("Unable to connect to RTSP server: ") {
            return Self::from_connect(cause);
        }
        let broken = first_line.starts_with("Error reading from RTSP peer: ")
            || first_line.starts_with("Error writing to RTSP peer");
        if broken {
            let lower = first_line.to_lowercase();
            let closed = ["reset", "closed", "eof", "broken pipe", "end of file"];
            return if lower.contains("failed to respond to keepalive") || lower.contains("unable to write keepalive") {
                let within = lower.rsplit("within ").next().and_then(|within| within.parse::<SignedDuration>().ok());
                let within = within.and_then(|within| Duration::try_from(within).ok()).unwrap_or(KEEPALIVE);
                Failure::NoAnswer { step: "keepalive", within }
            } else if closed.iter().any(|word| lower.contains(word)) {
                Failure::Closed
            } else {
                Failure::Unreachable { cause: "the connection broke".to_owned() }
            };
        }
        if first_line.contains("Incomplete RTSP message at EOF") {
            return Failure::CutShort;
        }
        Failure::Garbled { step }
    }
}

/// What an integrator does about an RTSP status.
fn cure(status: u16) -> &'static str {
    match status {
        404 | 410 => "check the path in its address",
        453 | 503 => "it serves as many viewers as it can; end others or use its sub-stream",
        454 => "it forgot the session; connecting anew",
        459..=461 => "set the camera's transport to the other of tcp and udp",
        500..=599 => "restart the camera or update its firmware",
        _ => "check the path in its address and the stream's settings",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        assert_eq!(Failure::from_message(message, "play").kind(), expected, "{message}");
    }

    #[test]
    fn a_keepalive_s_own_deadline_is_told() {
        let told = "Error reading from RTSP peer: Server failed to respond to keepalive 5 within 1.5s";
        let failure = Failure::from_message(told, "play");
        assert_eq!(failure, Failure::NoAnswer { step: "keepalive", within: Duration::from_millis(1500) });
    }

    #[test]
    fn each_message_of_the_library_has_its_own_cause() {
        check("Unable to connect to RTSP server: Connection refused (os error 111)", "unreachable");
        check("Unable to connect to RTSP server: Too many open files (os error 24)", "local");
        check("Error reading from RTSP peer: Connection reset by peer (os error 104)\n\nconn: x", "closed");
        check("Error reading from RTSP peer: EOF while expecting response to PLAY CSeq 4\n\nconn: x", "closed");
        check("Error reading from RTSP peer: Server failed to respond to keepalive 5 within 15s\n", "no_answer");
        check("Error reading from RTSP peer: No route to host (os error 113)\n\nconn: x", "unreachable");
        check("RTSP framing error: Incomplete RTSP message at EOF (x); buffered:\n00", "cut_short");
        check("RTSP framing error: Invalid RTSP message: x; buffered:\n24 00", "garbled");
    }

    #[test]
    fn bytes_that_a_message_quotes_never_reach_the_cause() {
        let quoted = "RTSP framing error: Invalid RTSP message: 00 00 00 01 67; buffered:\n00000001";
        assert!(!Failure::from_message(quoted, "play").to_string().contains("00"));
    }

    #[test]
    fn a_status_says_what_to_do() {
        let text = |status| Failure::from_status(status, "describe").to_string();
        assert!(text(404).contains("path") && text(453).contains("viewers") && text(461).contains("udp"));
        assert_eq!(Failure::from_status(401, "play").state(), DeviceState::AuthFailed);
        assert_eq!(Failure::from_status(200, "setup").kind(), "misdescribed");
    }

    proptest::proptest! {
        #[test]
        fn any_message_becomes_a_cause(message: String) {
            let failure = Failure::from_message(&message, "play");
            proptest::prop_assert!(failure.to_string().len() < 600);
        }
    }
}
