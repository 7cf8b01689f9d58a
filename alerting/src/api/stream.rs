//! The live stream: server-sent events of incidents and devices in scope.
//!
//! An incident's event carries the number of its change; a client that comes back with it as `Last-Event-ID` gets what it
//! missed. A client that is too slow is cut off, and so is one whose session or token has ended.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::State,
    http::HeaderMap,
    response::sse::{Event, Sse},
    routing::get,
};
use serde::Serialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use xueliang_rules::Calendar;

use super::{
    Api, devices, incidents,
    person::{Follower, asked_now},
    problem::Answer,
    shapes::{Device, IncidentSummary, ProblemBody},
};
use crate::{
    access::{Access, Action, Person, Purpose, Scope},
    live::{self, Item},
};

const HEARTBEAT: Duration = Duration::from_secs(15);
const QUEUE: usize = 64;

#[derive(OpenApi)]
#[openapi(paths(follow), components(schemas(IncidentSummary, Device)))]
struct Described;

pub(super) fn document() -> Document {
    Described::openapi()
}

/// Outside the time limit that all other routes have.
pub(super) fn route() -> Router<Api> {
    Router::new().route("/api/v1/stream", get(follow))
}

/// Follow what changes: `event: incident` with an IncidentSummary, `event: device` with a Device.
#[utoipa::path(
    get, path = "/api/v1/stream", operation_id = "follow_changes", tag = "stream",
    params(("last-event-id" = Option<String>, Header, description = "The last change that was seen.")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 401, body = ProblemBody))
)]
async fn follow(
    State(api): State<Api>,
    follower: Follower,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    // Listening begins before the past is read, so that nothing falls between.
    let items = api.live.listen();
    let last_seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<i64>().ok());
    let missed = match last_seen {
        Some(seq) => api.store.read(move |transaction| live::changed(transaction, seq)).await?,
        None => Vec::new(),
    };
    let (sender, events) = mpsc::channel(QUEUE);
    let client = Client { scopes: Scopes::of(&api.access, &follower.person), sender, follower };
    tokio::spawn(async move {
        let _gauge = Counted::new(&api);
        let missed = missed.into_iter().map(|(seq, incident)| Item::Incident(seq, incident.into())).collect();
        client.serve(&api, items, missed).await;
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
    async fn serve(mut self, api: &Api, mut items: broadcast::Receiver<Item>, missed: Vec<Item>) {
        if self.sender.send(Ok(Event::default().comment("follows"))).await.is_err() {
            return;
        }
        for item in missed {
            if let Some(event) = self.event(&item, api.procedure().calendar())
                && self.sender.send(Ok(event)).await.is_err()
            {
                return;
            }
        }
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
                item = items.recv() => match item {
                    Ok(item) => self.event(&item, api.procedure().calendar()),
                    // Too slow: the client comes back with the last change that it saw.
                    Err(_) => return,
                },
            };
            if let Some(event) = event
                && self.sender.try_send(Ok(event)).is_err()
            {
                return;
            }
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

/// Counts a client for as long as it is there.
struct Counted(prometheus::IntGauge);

impl Counted {
    fn new(api: &Api) -> Self {
        let gauge = api.metrics.stream_clients.clone();
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
