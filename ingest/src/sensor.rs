//! Sensors in, readings out: MQTT brokers and an HTTP door, one desk that judges every reading, and the state of each sensor.
//!
//! A message is acknowledged when its reading is on disk, and what makes it recognisable is written with it; so nothing is lost and
//! nothing counts twice across reconnects and kill -9. Every refusal is counted by its reason.

pub mod kind;
pub mod topic;

pub mod payload;
pub mod refusal;

pub mod checks;
pub mod clock;

pub mod desk;
pub mod health;

pub mod intake;
pub mod link;
pub mod mqtt;
pub mod probe;
pub mod push;
pub mod token;

use std::{collections::HashMap, net::SocketAddr, net::TcpListener, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use xueliang_events::payload::DeviceState;

use self::{
    desk::Desk, health::Moment, intake::Intake, link::LinkHealth, mqtt::Link, payload::InvalidPointer, push::Door,
};
use crate::{
    metrics::SensorMetrics,
    outbox::{Outbox, Remembered},
    settings::{IntakeSettings, PushSettings},
};

/// How often sensors are looked after.
const TICK: Duration = Duration::from_secs(1);

/// Why sensors can't be listened to.
#[derive(Debug, thiserror::Error)]
pub enum SensorsError {
    /// The HTTP door can't be opened.
    #[error("HTTP push can't listen on {listen}; choose another ingest.push.listen")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The field of a pushed reading can't be named.
    #[error("the value's place in a pushed reading")]
    Pointer(#[from] InvalidPointer),
}

/// All collectors, running.
pub struct Sensors {
    intake: Arc<Intake>,
    links: Vec<(String, LinkHealth)>,
    running: JoinSet<()>,
    stop: CancellationToken,
}

impl Sensors {
    /// Connects to every broker and opens the HTTP door. Must be called within a tokio runtime.
    pub fn start(
        settings: IntakeSettings,
        outbox: Outbox,
        metrics: SensorMetrics,
        remembered: Remembered,
    ) -> Result<Self, SensorsError> {
        let mut remembered = remembered;
        let mut deliveries = std::mem::take(&mut remembered.deliveries);
        let desk = Desk::new(&settings, remembered, Moment::now());
        let intake = Arc::new(Intake::new(desk, metrics, outbox));
        let (mut running, stop, mut links) = (JoinSet::new(), CancellationToken::new(), Vec::new());
        if let Some(PushSettings { listen, tokens }) = settings.push {
            let listener = bind(listen).map_err(|source| SensorsError::Listen { listen, source })?;
            let door = Door::new(Arc::clone(&intake), tokens, "/value".parse()?);
            running.spawn(door.run(listener, stop.clone()));
        }
        for (index, broker) in settings.brokers.into_iter().enumerate() {
            if broker.credentials.is_some() && broker.tls.is_none() {
                tracing::warn!(
                    broker = broker.name,
                    "the password travels in the clear; set tls unless the network is your own"
                );
            }
            let health = LinkHealth::new();
            links.push((broker.name.clone(), health.clone()));
            let known = deliveries.remove(&Link::session(&broker)).unwrap_or_default();
            let link = Link::new(index, broker, Arc::clone(&intake), health);
            running.spawn(link.run(known, stop.clone()));
        }
        let healths = links.iter().map(|(_, health): &(String, LinkHealth)| health.clone()).collect();
        running.spawn(look_after(Arc::clone(&intake), healths, stop.clone()));
        Ok(Self { intake, links, running, stop })
    }

    /// What is wrong with the brokers now, if anything.
    pub fn connecting(&self) -> impl Fn() -> Option<String> + Send + Sync + use<> {
        let links = self.links.clone();
        move || {
            let troubles = links.iter().filter_map(|(name, health)| Some(format!("{name}: {}", health.trouble()?)));
            let troubles: Vec<String> = troubles.collect();
            (!troubles.is_empty()).then(|| troubles.join("; "))
        }
    }

    /// Stops listening, acknowledges what is on disk, and says that the sensors are switched off here.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            if ended.is_err() {
                tracing::error!("a collector of sensors had panicked");
            }
        }
        self.intake.tell(self.intake.desk.goodbye(Timestamp::now())).await;
    }
}

fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    tracing::info!(address = %listener.local_addr()?, "HTTP push");
    Ok(listener)
}

/// Says how the sensors are whenever it changes.
async fn look_after(intake: Arc<Intake>, links: Vec<LinkHealth>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        let way = |broker: usize| links.get(broker).and_then(LinkHealth::trouble);
        intake.tell(intake.desk.announce(Moment::now(), way)).await;
        count(&intake, &intake.desk.n_by_state());
    }
}

fn count(intake: &Intake, n_by_state: &HashMap<DeviceState, usize>) {
    const STATES: [(DeviceState, &str); 4] = [
        (DeviceState::Connecting, "connecting"),
        (DeviceState::Live, "live"),
        (DeviceState::Degraded, "degraded"),
        (DeviceState::Stalled, "stalled"),
    ];
    for (state, name) in STATES {
        intake.metrics.sensors(name, n_by_state.get(&state).copied().unwrap_or_default());
    }
}
