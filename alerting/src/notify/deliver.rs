//! One message to one receiver, once: what became of it, and whether to try again.
//!
//! A [`Courier`] speaks for one channel. It follows no redirect and uses no proxy, for either would lead beyond the allowed
//! endpoints; it waits no longer than the channel's patience and reads no more than it needs. What it says of a failure holds no
//! secret and no body. Not here: when to try again ([`super::retry`]).

mod email;
mod robot;
pub mod sign;
mod webhook;

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Certificate, Client, Response, StatusCode, header::RETRY_AFTER, redirect};

use super::{
    Message,
    retry::retry_after,
    settings::Channel,
    way::{Email, Robot, Way, Webhook},
};
use crate::error_chain;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Delivered,
    /// It may arrive later.
    Retry {
        /// The least wait that the receiver asked for.
        after: Option<Duration>,
        /// What went wrong.
        reason: String,
    },
    /// It never will.
    Dead {
        /// What went wrong.
        reason: String,
    },
}

impl Delivery {
    fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    fn dead(reason: impl Into<String>) -> Self {
        Self::Dead { reason: reason.into() }
    }
}

/// Why a channel can't be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// The HTTP client.
    #[error("channel {0}: HTTP can't be prepared")]
    Http(String, #[source] reqwest::Error),
    /// The SMTP client.
    #[error("channel {0}: SMTP can't be prepared")]
    Smtp(String, #[source] lettre::transport::smtp::Error),
}

/// Speaks for one channel.
pub struct Courier {
    channel: Channel,
    line: Line,
}

enum Line {
    Webhook(Webhook, Client),
    Robot(Robot, Client),
    Email(Box<(Email, email::Transport)>),
}

impl Courier {
    /// Prepares a channel; certificates of the system are read here.
    pub fn new(channel: Channel) -> Result<Self, CourierError> {
        let (patience, http) = (channel.patience, |error| CourierError::Http(channel.name.clone(), error));
        let line = match &channel.way {
            Way::Webhook(way) => Line::Webhook(way.clone(), client(patience, way.ca.as_deref()).map_err(http)?),
            Way::Robot(way) => Line::Robot(way.clone(), client(patience, None).map_err(http)?),
            Way::Email(way) => {
                let transport = email::transport(way, patience);
                let smtp = |error| CourierError::Smtp(channel.name.clone(), error);
                Line::Email(Box::new((way.clone(), transport.map_err(smtp)?)))
            }
        };
        Ok(Self { channel, line })
    }

    /// The channel.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Delivers a message; takes as long as the channel's patience at most.
    pub async fn deliver(&self, message: &Message, now: Timestamp) -> Delivery {
        let Channel { voice, patience, .. } = &self.channel;
        let attempt = async {
            match &self.line {
                Line::Webhook(way, client) => webhook::send(client, way, (message, voice), now).await,
                Line::Robot(way, client) => robot::send(client, way, (message, voice), now).await,
                Line::Email(line) => email::send(&line.1, &line.0, (message, voice), now).await,
            }
        };
        match tokio::time::timeout(*patience, attempt).await {
            Ok(delivery) => delivery,
            Err(_) => Delivery::retry(format!("no answer within {} s", patience.as_secs())),
        }
    }
}

fn client(patience: Duration, ca: Option<&[u8]>) -> Result<Client, reqwest::Error> {
    const CONNECT: Duration = Duration::from_secs(5);
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT.min(patience))
        .timeout(patience)
        .user_agent(concat!("xueliang/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = ca {
        for certificate in Certificate::from_pem_bundle(pem)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build()
}

/// What an HTTP status says; `None` for 2xx.
fn judge(response: &Response, now: Timestamp) -> Option<Delivery> {
    let status = response.status();
    if status.is_success() {
        return None;
    }
    let reason = format!("answered {}", status.as_u16());
    let is_passing = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    );
    if status.is_client_error() && !is_passing {
        return Some(Delivery::Dead { reason });
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
    Some(Delivery::Retry { after, reason })
}

/// A request that got no answer. URLs may carry a token, so they are left out.
fn unanswered(error: reqwest::Error) -> Delivery {
    Delivery::retry(error_chain(&error.without_url()))
}
