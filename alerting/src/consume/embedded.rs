//! The source of one box: ingest's own log, handed over through a bounded channel.
//!
//! A delivery is answered only after its transaction has committed; a delivery without an answer is to be given again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{Intake, Message, Source, TICK};
use crate::store::{
    StoreError,
    apply::{Batch, ReadUntil},
};

/// Events of one log, in its order.
#[derive(Debug)]
pub struct Delivery {
    /// The log's name; it stays the same across restarts.
    pub log_id: String,
    /// Positions, rising, with each event as it would go to Kafka.
    pub events: Vec<(u64, Vec<u8>)>,
    /// Answered when the events are stored for good.
    pub done: oneshot::Sender<()>,
}

/// The receiving end.
#[derive(Debug)]
pub struct EmbeddedSource {
    deliveries: mpsc::Receiver<Delivery>,
}

/// A bounded way from ingest to alerting within one process.
pub fn channel(n_deliveries: usize) -> (mpsc::Sender<Delivery>, EmbeddedSource) {
    let (sender, deliveries) = mpsc::channel(n_deliveries.max(1));
    (sender, EmbeddedSource { deliveries })
}

impl Source for EmbeddedSource {
    async fn run(mut self, intake: Intake, shutdown: CancellationToken) {
        intake.health.set(true, "embedded log");
        intake.metrics.source_up.set(1);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let delivery = tokio::select! {
                biased;
                delivery = self.deliveries.recv() => delivery,
                () = shutdown.cancelled() => None,
                // Nothing waits to be taken: all has been read until now.
                _ = ticks.tick() => {
                    tick(&intake).await;
                    continue;
                }
            };
            match delivery {
                Some(delivery) => take(&intake, delivery, &shutdown).await,
                None => break,
            }
        }
        intake.metrics.source_up.set(0);
        intake.health.set(false, "the embedded log has ended");
    }
}

async fn tick(intake: &Intake) {
    let at = Timestamp::now();
    let ticked = async {
        for log in intake.due_logs(at).await? {
            intake.tick(ReadUntil { log, expected: None, at }).await?;
        }
        Ok::<(), StoreError>(())
    };
    if let Err(error) = ticked.await {
        tracing::warn!(error = crate::error_chain(&error), "tick failed, the next one tries again");
    }
}

/// Tries until the store takes it, or until shutdown.
async fn take(intake: &Intake, delivery: Delivery, shutdown: &CancellationToken) {
    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(5);
    let Delivery { log_id, events, done } = delivery;
    let messages: Vec<Message> = events.into_iter().map(|(position, bytes)| Message::read(position, bytes)).collect();
    let log = format!("embedded:{log_id}");
    let batch = Batch { origin: (log_id, 0), log, expected: None, messages };
    let mut pause = FIRST_PAUSE;
    loop {
        match intake.take(batch.clone()).await {
            Ok(_) => {
                if intake.health.set(true, "embedded log") {
                    tracing::info!("store takes events again");
                }
                let _ = done.send(());
                return;
            }
            Err(error) => {
                let chain = crate::error_chain(&error);
                tracing::error!(error = chain, retry_in = ?pause, "events can't be stored");
                intake.health.set(false, "the store refuses events");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = shutdown.cancelled() => return,
        }
    }
}
