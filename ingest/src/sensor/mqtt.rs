//! One MQTT broker: a persistent session at QoS 1, in which a message is acknowledged only when its reading is on disk.
//!
//! Two tasks: one keeps the connection (and comes back with jittered backoff), one takes messages in order and acknowledges them in
//! order. When the outbox is slow the second stops taking, the first stops reading, and the broker keeps what is not acknowledged.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesOrdered};
use jiff::Timestamp;
use rand::Rng;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeFilter, SubscribeReasonCode,
    TlsConfiguration, Transport,
};
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    checks::Arrival,
    intake::Intake,
    link::{LinkHealth, cause_of},
    payload::MAX_MESSAGE_BYTES,
};
use crate::{
    outbox::{Delivery, Written},
    settings::BrokerSettings,
};

/// Packet ids there are: no broker can have more messages under way, so no acknowledgement ever waits for room.
const PACKET_IDS: usize = 1 << 16;
/// Messages that may wait to be taken.
const MAX_WAITING: usize = 256;
/// Messages that may be on their way to the disk.
const MAX_UNDERWAY: usize = 4096;
/// Largest packet that is read off the wire. MQTT 3.1.1 has no way to tell the broker, so it is generous.
const MAX_PACKET: usize = 16 << 20;
/// First and longest pause before a reconnect.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A connection that lived so long starts the backoff anew.
const SETTLED_AFTER: Duration = Duration::from_secs(30);
/// Time for the last acknowledgements at shutdown.
const GRACE: Duration = Duration::from_secs(3);

/// The connection to one broker.
pub struct Link {
    index: usize,
    broker: BrokerSettings,
    filters: Vec<String>,
    intake: Arc<Intake>,
    health: LinkHealth,
}

enum Work {
    Message {
        generation: u64,
        publish: Publish,
        at: Timestamp,
    },
    /// The broker does not know our session: nothing will be delivered again.
    FreshSession,
}

impl Link {
    /// A link that is not connected yet.
    pub fn new(index: usize, broker: BrokerSettings, intake: Arc<Intake>, health: LinkHealth) -> Self {
        let filters = intake.desk.filters(index);
        Self { index, broker, filters, intake, health }
    }

    /// The name under which deliveries are remembered.
    pub fn session(broker: &BrokerSettings) -> String {
        format!("{}@{}", broker.client_id, broker.name)
    }

    /// Receives until `stop`; `deliveries` are those remembered from before the restart.
    pub async fn run(self, deliveries: HashMap<u16, [u8; 32]>, stop: CancellationToken) {
        let (client, mut connection) = AsyncClient::new(options(&self.broker), PACKET_IDS);
        connection.network_options.set_connection_timeout(10);
        let (work, waiting) = mpsc::channel(MAX_WAITING);
        let generation = Arc::new(AtomicU64::new(0));
        let taker = Taker {
            index: self.index,
            session: Self::session(&self.broker),
            intake: Arc::clone(&self.intake),
            client: client.clone(),
            generation: Arc::clone(&generation),
            deliveries,
        };
        let taking = tokio::spawn(taker.run(waiting));
        self.keep(&mut connection, (&client, &generation), work, &stop).await;
        if tokio::time::timeout(GRACE, finish(taking, &client, &mut connection)).await.is_err() {
            tracing::warn!(
                broker = self.broker.name,
                "the broker was left without goodbye; what is unacknowledged comes again"
            );
        }
        self.intake.metrics.connected(&self.broker.name, false);
    }

    /// Keeps the connection until `stop`.
    async fn keep(
        &self,
        connection: &mut EventLoop,
        (client, generation): (&AsyncClient, &AtomicU64),
        work: mpsc::Sender<Work>,
        stop: &CancellationToken,
    ) {
        let mut backoff = Backoff::default();
        loop {
            let event = tokio::select! {
                event = connection.poll() => event,
                () = stop.cancelled() => return,
            };
            let item = match event {
                Ok(Event::Incoming(packet)) => {
                    if matches!(packet, Packet::ConnAck(_)) {
                        backoff.connected_at = Some(Instant::now());
                    }
                    self.heard(packet, client, generation.load(Ordering::SeqCst))
                }
                Ok(Event::Outgoing(_)) => None,
                Err(error) => {
                    // Acknowledgements of the old connection must not reach the new one.
                    generation.fetch_add(1, Ordering::SeqCst);
                    connection.clean();
                    connection.state.events.clear();
                    self.disconnected(cause_of(&error));
                    tokio::select! {
                        () = tokio::time::sleep(backoff.pause()) => {}
                        () = stop.cancelled() => return,
                    }
                    None
                }
            };
            let Some(item) = item else { continue };
            tokio::select! {
                sent = work.send(item) => if sent.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    /// What the taker has to do about a packet.
    fn heard(&self, packet: Packet, client: &AsyncClient, generation: u64) -> Option<Work> {
        match packet {
            Packet::Publish(publish) => {
                self.intake.metrics.message(&self.broker.name);
                Some(Work::Message { generation, publish: bounded(publish), at: Timestamp::now() })
            }
            Packet::ConnAck(answer) => {
                self.connected(client, answer.session_present);
                (!answer.session_present).then_some(Work::FreshSession)
            }
            Packet::SubAck(answer) => {
                let refused = answer.return_codes.iter().filter(|code| **code == SubscribeReasonCode::Failure);
                self.subscribed(refused.count());
                None
            }
            _ => None,
        }
    }

    fn connected(&self, client: &AsyncClient, session_present: bool) {
        tracing::info!(broker = self.broker.name, session_present, "MQTT broker connected");
        self.intake.metrics.connected(&self.broker.name, true);
        self.health.connected();
        // Also in a session that is still there: the settings may have changed since.
        let filters = self.filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        if client.try_subscribe_many(filters).is_err() {
            tracing::error!(broker = self.broker.name, "the subscription found no room");
        }
    }

    fn subscribed(&self, n_refused: usize) {
        if n_refused > 0 {
            let cause = format!("the broker refuses {n_refused} subscriptions; let the account read these topics");
            tracing::error!(broker = self.broker.name, cause, "MQTT subscription refused");
            self.health.refused(cause);
        }
    }

    fn disconnected(&self, cause: String) {
        self.intake.metrics.connected(&self.broker.name, false);
        self.intake.metrics.disconnected(&self.broker.name);
        if self.health.disconnected(&cause) {
            tracing::warn!(broker = self.broker.name, cause, "MQTT broker away");
        }
    }
}

/// Acknowledges what was taken and says goodbye; what comes meanwhile stays with the broker.
async fn finish(mut taking: JoinHandle<()>, client: &AsyncClient, connection: &mut EventLoop) {
    let mut is_taken = false;
    loop {
        tokio::select! {
            _ = &mut taking, if !is_taken => {
                is_taken = true;
                if client.try_disconnect().is_err() {
                    return;
                }
            }
            event = connection.poll() => match event {
                Err(_) | Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
                Ok(_) => {}
            },
        }
    }
}

/// Jittered exponential pauses, which begin anew after a connection that lasted.
struct Backoff {
    next: Duration,
    connected_at: Option<Instant>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: BACKOFF.0, connected_at: None }
    }
}

impl Backoff {
    fn pause(&mut self) -> Duration {
        if self.connected_at.take().is_some_and(|at| at.elapsed() > SETTLED_AFTER) {
            self.next = BACKOFF.0;
        }
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..1.0));
        self.next = (self.next * 2).min(BACKOFF.1);
        pause
    }
}

/// Takes messages in order, and acknowledges in order what is on disk.
struct Taker {
    index: usize,
    session: String,
    intake: Arc<Intake>,
    client: AsyncClient,
    generation: Arc<AtomicU64>,
    deliveries: HashMap<u16, [u8; 32]>,
}

impl Taker {
    async fn run(mut self, mut waiting: mpsc::Receiver<Work>) {
        let mut underway = FuturesOrdered::new();
        loop {
            tokio::select! {
                Some((generation, publish)) = underway.next() => self.acknowledge(generation, &publish),
                work = waiting.recv(), if underway.len() < MAX_UNDERWAY => match work {
                    Some(Work::FreshSession) => self.deliveries.clear(),
                    Some(Work::Message { generation, mut publish, at }) => {
                        let stored = self.take(&publish, at).await;
                        publish.payload = Default::default();
                        underway.push_back(async move {
                            let is_stored = match stored {
                                Some(written) => written.wait().await,
                                None => true,
                            };
                            (if is_stored { generation } else { NEVER }, publish)
                        });
                    }
                    None => break,
                },
            }
        }
        while let Some((generation, publish)) = underway.next().await {
            self.acknowledge(generation, &publish);
        }
    }

    async fn take(&mut self, publish: &Publish, at: Timestamp) -> Option<Written> {
        let delivery = (publish.qos != QoS::AtMostOnce).then(|| self.delivery(publish));
        if let Some(delivery) = &delivery {
            let known = self.deliveries.insert(delivery.packet, delivery.digest);
            if publish.dup && known == Some(delivery.digest) {
                return Some(self.intake.redelivered().await);
            }
        }
        let arrival = Arrival { at, retained: publish.retain };
        let taken = self.intake.desk.take_message((self.index, &publish.topic), &publish.payload, arrival);
        self.intake.store(taken, delivery).await
    }

    fn delivery(&self, publish: &Publish) -> Delivery {
        let mut hash = Sha256::new();
        hash.update(publish.topic.len().to_be_bytes());
        hash.update(&publish.topic);
        hash.update(&publish.payload);
        Delivery { session: self.session.clone(), packet: publish.pkid, digest: hash.finalize().into() }
    }

    /// On the connection it came by; otherwise the broker delivers it again, and it is recognised.
    fn acknowledge(&self, generation: u64, publish: &Publish) {
        let is_current = self.generation.load(Ordering::SeqCst) == generation;
        if publish.qos != QoS::AtMostOnce && is_current && self.client.try_ack(publish).is_err() {
            tracing::error!("an acknowledgement found no room; the broker will deliver the message again");
        }
    }
}

/// A generation that no connection has.
const NEVER: u64 = u64::MAX;

/// Too much of a message is not kept while it waits; that it is too much shows all the same.
fn bounded(mut publish: Publish) -> Publish {
    if let Some(beginning) = publish.payload.get(..=MAX_MESSAGE_BYTES) {
        publish.payload = beginning.to_vec().into();
    }
    publish
}

pub(super) fn options(broker: &BrokerSettings) -> MqttOptions {
    let (host, port) = &broker.address;
    let mut options = MqttOptions::new(&broker.client_id, host, *port);
    options.set_clean_session(false);
    options.set_manual_acks(true);
    options.set_keep_alive(broker.keep_alive);
    options.set_max_packet_size(MAX_PACKET, MAX_MESSAGE_BYTES);
    if let Some(credentials) = &broker.credentials {
        options.set_credentials(&credentials.username, &credentials.password);
    }
    if let Some(tls) = &broker.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
    }
    options
}
