//! A receiver of webhooks on this machine, which takes everything and remembers it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Runtime};

/// A message that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its `webhook-id`: the same for a repetition of the same message.
    pub id: String,
    /// Its body.
    pub body: Value,
}

type Messages = Arc<Mutex<Vec<Received>>>;

/// The receiver; it goes when this is dropped.
pub struct Receiver {
    addr: SocketAddr,
    messages: Messages,
    _runtime: Runtime,
}

impl Receiver {
    /// Listens on a free port.
    pub fn start() -> Result<Self> {
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = listener.local_addr().context("a listener without an address")?;
        let messages = Messages::default();
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&messages));
        runtime.spawn(async { axum::serve(listener, router).await });
        Ok(Self { addr, messages, _runtime: runtime })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where messages are sent to.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.addr)
    }

    /// All that came so far, in the order of arrival.
    pub fn messages(&self) -> Vec<Received> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn take(State(messages): State<Messages>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let (Some(id), Ok(body)) = (id, serde_json::from_slice(&body)) else { return StatusCode::BAD_REQUEST };
    messages.lock().unwrap_or_else(PoisonError::into_inner).push(Received { id: id.to_owned(), body });
    StatusCode::NO_CONTENT
}
