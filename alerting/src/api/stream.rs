//! The live stream: server-sent events of incidents and devices in scope.
//!
//! An incident's event carries the number of its change; a client that comes back with it as `Last-Event-ID` gets what it
//! missed. A client that is too slow is cut off, and so is one whose session or token has ended.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::sse::{Event, Sse},
    routing::get,
};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use xueliang_rules::Calendar;

use super::{
    Api, devices,
    health::StreamHealth,
    incidents,
    person::{Follower, asked_now, check_in_force},
    problem::{Answer, Problem},
    shapes::{Device, IncidentSummary, ProblemBody},
};
use crate::{
    access::{Access, Action, Person, Purpose, Scope},
    live::{self, Item},
};

const HEARTBEAT: Duration = Duration::from_secs(15);
const QUEUE: usize = 64;
/// How long a client may take for what is in its queue.
const PATIENCE: Duration = Duration::from_secs(10);
/// Streams that one account may follow at once: a person's pages, or a platform's instances.
const MAX_STREAMS: usize = 24;

#[derive(OpenApi)]
#[openapi(paths(follow), components(schemas(IncidentSummary, Device, StreamHealth)))]
struct Described;

pub(super) fn document() -> Document {
    Described::openapi()
}

/// Outside the time limit that all other routes have.
pub(super) fn route() -> Router<Api> {
    Router::new().route("/api/v1/stream", get(follow))
}

/// Follow what changes: `event: incident` with an IncidentSummary, `event: device` with a Device, `event: health` with a
/// StreamHealth at the beginning and when a part ceases to work or works again.
#[utoipa::path(
    get, path = "/api/v1/stream", operation_id = "follow_changes", tag = "stream",
    params(("last-event-id" = Option<String>, Header, description = "The last change that was seen.")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 429, body = ProblemBody))
)]
async fn follow(
    State(api): State<Api>,
    follower: Follower,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    check_in_force(&follower.person)?;
    let place = Place::take(&api, &follower.person.account)?;
    // Listening begins before the past is read, so that nothing falls between.
    let items = api.live.listen();
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<i64>().ok());
    let (sender, events) = mpsc::channel(QUEUE);
    let client = Client { scopes: Scopes::of(&api.access, &follower.person), sender, follower };
    tokio::spawn(async move {
        let _place = place;
        client.serve(&api, items, last_seen).await;
    });
    Ok(Sse::new(ReceiverStream::new(events)))
}

struct Scopes {
    incidents: Scope,
    devices: Scope,
}

impl Scopes {
    fn of(access: &Access, person: &Person) -> Self {
        let asked = |purpose| asked_now(person).for_purpose(purpose);
        Self {
            incidents: access.scope(person, Action::ReadIncident, asked(Purpose::IncidentHandling)),
            devices: access.scope(person, Action::ReadDevices, asked(Purpose::DeviceMaintenance)),
        }
    }
}

struct Client {
    scopes: Scopes,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    follower: Follower,
}

impl Client {
    /// Sends all that changed after `seq`, a page at a time; false when the client is gone or the store fails, and it is to come again.
    async fn catch_up(&mut self, api: &Api, mut seq: i64) -> bool {
        loop {
            let missed = match api.store.read(move |transaction| live::changed(transaction, seq)).await {
                Ok(missed) => missed,
                Err(error) => {
                    tracing::warn!(error = crate::error_chain(&error), "what a follower missed can't be read");
                    return false;
                }
            };
            let Some((last, _)) = missed.last() else { return true };
            seq = *last;
            for (seq, incident) in missed {
                let item = Item::Incident(seq, incident.into());
                if let Some(event) = self.event(&item, api.procedure().calendar())
                    && !self.send(api, event).await
                {
                    return false;
                }
            }
        }
    }

    async fn serve(mut self, api: &Api, mut items: broadcast::Receiver<Item>, last_seen: Option<i64>) {
        if !self.send(api, Event::default().comment("follows")).await {
            return;
        }
        if let Some(seq) = last_seen
            && !self.catch_up(api, seq).await
        {
            return;
        }
        let mut health = api.condition.follow();
        health.mark_changed();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.reset();
        loop {
            let event = tokio::select! {
                () = api.shutdown.cancelled() => return,
                () = self.sender.closed() => return,
                _ = heartbeat.tick() => {
                    if !self.still_signed_in(api).await {
                        return;
                    }
                    Some(Event::default().comment("heartbeat"))
                }
                Ok(()) = health.changed() => json("health", &*health.borrow_and_update()),
                item = items.recv() => match item {
                    Ok(item) => self.event(&item, api.procedure().calendar()),
                    // Too slow: the client comes back with the last change that it saw.
                    Err(_) => return,
                },
            };
            if let Some(event) = event
                && !self.send(api, event).await
            {
                return;
            }
        }
    }

    /// False when the client is gone or takes too long; nobody else waits for it meanwhile.
    async fn send(&self, api: &Api, event: Event) -> bool {
        tokio::select! {
            () = api.shutdown.cancelled() => false,
            sent = tokio::time::timeout(PATIENCE, self.sender.send(Ok(event))) => matches!(sent, Ok(Ok(()))),
        }
    }

    /// Asked again with each heartbeat, so that an ended session, token or role ends the stream.
    async fn still_signed_in(&mut self, api: &Api) -> bool {
        let is_there = self.follower.is_still_there(api).await;
        self.scopes = Scopes::of(&api.access, &self.follower.person);
        is_there
    }

    fn event(&self, item: &Item, calendar: &Calendar) -> Option<Event> {
        match item {
            Item::Incident(seq, incident) if self.scopes.incidents.covers(incident.resource()) => {
                json("incident", &incidents::summary(incident, calendar)).map(|event| event.id(seq.to_string()))
            }
            Item::Device(device) if self.scopes.devices.covers(devices::resource(device)) => {
                json("device", &devices::shape(device))
            }
            _ => None,
        }
    }
}

fn json(name: &str, value: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(value).ok()
}

/// How many streams each account follows; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Followers(Arc<Mutex<HashMap<String, usize>>>);

/// A client's place for as long as it is there.
struct Place {
    followers: Followers,
    account: String,
    gauge: prometheus::IntGauge,
}

impl Place {
    fn take(api: &Api, account: &str) -> Result<Self, Problem> {
        let followers = api.followers.clone();
        let mut counts = followers.0.lock();
        let n_streams = counts.entry(account.to_owned()).or_default();
        if *n_streams >= MAX_STREAMS {
            api.metrics.throttled.inc();
            let detail = format!("this account follows {MAX_STREAMS} streams already; close a page");
            return Err(Problem::too_many(&detail, HEARTBEAT.as_secs()));
        }
        *n_streams += 1;
        drop(counts);
        let gauge = api.metrics.stream_clients.clone();
        gauge.inc();
        Ok(Self { followers, account: account.to_owned(), gauge })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.dec();
        let mut counts = self.followers.0.lock();
        if let Some(n_streams) = counts.get_mut(&self.account) {
            *n_streams -= 1;
            if *n_streams == 0 {
                counts.remove(&self.account);
            }
        }
    }
}
