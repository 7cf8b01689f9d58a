//! What workers tell each other without the brokers: how long ago each heard of the group.
//!
//! A worker's client id in the group names its process and address, so everyone knows everyone else; the answer at `/v1/group` names
//! the process again, so an address that leads elsewhere is no answer. Nothing but an age passes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest wait for another worker's answer.
const ANSWER: Duration = Duration::from_millis(700);
/// Longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 4096;
const CLIENT: &str = "xueliang-ingest.";

/// This worker's contact with the group; cheap to clone.
#[derive(Clone)]
pub struct Contact {
    worker: Arc<str>,
    state: Arc<Mutex<(Instant, Option<String>)>>,
}

impl Default for Contact {
    fn default() -> Self {
        let waits = "has not joined the registry's group yet".to_owned();
        Self {
            worker: uuid::Uuid::new_v4().to_string().into(),
            state: Arc::new(Mutex::new((Instant::now(), Some(waits)))),
        }
    }
}

impl Contact {
    /// The process's own name among the workers.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// How long ago this worker heard of the group.
    pub fn age(&self) -> Duration {
        self.state.lock().0.elapsed()
    }

    /// What is wrong with the registry now, if anything.
    pub fn trouble_now(&self) -> Option<String> {
        self.state.lock().1.clone()
    }

    /// The answer to another worker.
    pub fn tell(&self) -> serde_json::Value {
        let age_ms = u64::try_from(self.age().as_millis()).unwrap_or(u64::MAX);
        serde_json::json!({ "worker": &*self.worker, "contact_age_ms": age_ms })
    }

    pub(super) fn heard(&self) {
        self.state.lock().0 = Instant::now();
    }

    pub(super) fn trouble(&self, trouble: Option<String>) {
        let mut state = self.state.lock();
        if state.1 != trouble {
            match &trouble {
                Some(cause) => tracing::warn!(cause, "registry"),
                None => tracing::info!("the registry answers"),
            }
            state.1 = trouble;
        }
    }

    pub(super) fn client_id(&self, advertise: &str) -> String {
        format!("{CLIENT}{}@{advertise}", self.worker)
    }
}

/// Another worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its process's name.
    pub worker: String,
    address: String,
}

impl Peer {
    /// Reads a member's client id; a member that is no worker of ours pulls no cameras.
    pub fn parse(client_id: &str) -> Option<Self> {
        let (worker, address) = client_id.strip_prefix(CLIENT)?.split_once('@')?;
        Some(Self { worker: worker.to_owned(), address: address.to_owned() })
    }

    /// How long ago it heard of the group; `None` when it does not say.
    pub async fn age(&self) -> Option<Duration> {
        let answer = tokio::time::timeout(ANSWER, self.ask()).await.ok()?.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let answer: serde_json::Value = serde_json::from_str(body).ok()?;
        if answer.get("worker")?.as_str()? != self.worker {
            return None;
        }
        Some(Duration::from_millis(answer.get("contact_age_ms")?.as_u64()?))
    }

    async fn ask(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let request = format!("GET /v1/group HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with this body.
    async fn worker(body: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn a_worker_answers_for_itself_only() {
        let contact = Contact::default();
        let address = worker(contact.tell().to_string()).await;
        let peer = Peer::parse(&contact.client_id(&address)).unwrap();
        assert_eq!(peer.worker, contact.worker());
        assert!(peer.age().await.is_some_and(|age| age < Duration::from_secs(60)));

        let address = worker(Contact::default().tell().to_string()).await;
        let stranger = Peer::parse(&contact.client_id(&address)).unwrap();
        assert_eq!(stranger.age().await, None, "an address that leads to somebody else");
        let nobody = Peer::parse(&contact.client_id("127.0.0.1:1")).unwrap();
        assert_eq!(nobody.age().await, None);
        let garbled = Peer::parse(&contact.client_id(&worker("no json".to_owned()).await)).unwrap();
        assert_eq!(garbled.age().await, None);
        assert_eq!(Peer::parse("some-tool"), None);
    }
}
