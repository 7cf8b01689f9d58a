//! How the connection to a broker is, and why it ended, in our own words: the client's may quote packets.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rumqttc::{ConnectReturnCode, ConnectionError, StateError};
use tokio::time::Instant;

/// A broker that is away for less is not told.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state of one connection; cheap to clone.
#[derive(Clone)]
pub struct LinkHealth(Arc<Mutex<State>>);

#[derive(Debug, Clone)]
enum State {
    Connected { refused: Option<String> },
    Away { since: Instant, cause: String },
}

impl LinkHealth {
    /// A connection that is about to be made.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Away { since: Instant::now(), cause: "not connected yet".to_owned() })))
    }

    /// What is wrong with it now, if anything.
    pub fn trouble(&self) -> Option<String> {
        match &*self.0.lock() {
            State::Connected { refused } => refused.clone(),
            State::Away { since, cause } if since.elapsed() > PATIENCE => {
                Some(format!("the MQTT broker has been away for {} s: {cause}", since.elapsed().as_secs()))
            }
            State::Away { .. } => None,
        }
    }

    pub(super) fn connected(&self) {
        *self.0.lock() = State::Connected { refused: None };
    }

    pub(super) fn refused(&self, cause: String) {
        *self.0.lock() = State::Connected { refused: Some(cause) };
    }

    /// True when this is news.
    pub(super) fn disconnected(&self, cause: &str) -> bool {
        let mut state = self.0.lock();
        let (since, is_news) = match &*state {
            State::Connected { .. } => (Instant::now(), true),
            State::Away { since, cause: known } => (*since, known != cause),
        };
        *state = State::Away { since, cause: cause.to_owned() };
        is_news
    }
}

impl Default for LinkHealth {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the connection ended or could not be made.
pub fn cause_of(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(error) => format!("no connection: {error}; check address, port and network"),
        ConnectionError::Tls(error) => {
            format!("TLS failed: {error}; check tls.ca_file, and that the certificate is for the name in address")
        }
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => "the broker refused the account; check user name, password and its rights".to_owned(),
        ConnectionError::ConnectionRefused(ConnectReturnCode::BadClientId) => {
            "the broker refused the client_id; choose another".to_owned()
        }
        ConnectionError::ConnectionRefused(_) => "the broker refused the connection; see its log".to_owned(),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            "no answer in time; check that port and TLS fit the broker, and its load".to_owned()
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) | ConnectionError::RequestsDone => {
            "the broker closed the connection; another worker may use the same client_id".to_owned()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker fell silent; check network and load".to_owned(),
        ConnectionError::MqttState(StateError::Deserialization(_)) => {
            "what came is no MQTT, or a message is larger than 16 MiB; check the port, or take the message off the broker".to_owned()
        }
        ConnectionError::MqttState(StateError::Io(error)) => format!("the connection broke: {error}"),
        ConnectionError::MqttState(_) | ConnectionError::NotConnAck(_) => {
            "what came is not valid MQTT 3.1.1; check that address and port belong to a broker".to_owned()
        }
    }
}
