//! Sends what the outbox holds to Kafka: idempotent, acknowledged by all replicas, deleted when it has arrived.

use std::time::Duration;

use jiff::Timestamp;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    consume::kafka::KafkaSettings,
    live::Live,
    metrics::Metrics,
    store::{Store, outbox},
};

/// How often the outbox is looked at when nothing wakes it: another process may have written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error("the outbox can't be read")]
    Store(#[from] crate::store::StoreError),
    #[error("{0} of {1} messages did not arrive")]
    NotArrived(usize, usize),
}

/// Publishes until shutdown.
pub async fn run(settings: KafkaSettings, store: Store, (live, metrics): (Live, Metrics), shutdown: CancellationToken) {
    let producer: Result<FutureProducer, _> = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "20000")
        .create();
    let producer = match producer {
        Ok(producer) => producer,
        Err(error) => return tracing::error!(%error, "kafka producer can't be made, incidents are not published"),
    };
    loop {
        let pause = match run_once(&producer, &store).await {
            Ok(0) => LOOK_EVERY,
            Ok(n_sent) => {
                metrics.published.inc_by(n_sent as u64);
                continue;
            }
            Err(error) => {
                tracing::warn!(error = crate::error_chain(&error), "incidents not published, tried again");
                LOOK_EVERY
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = live.woken() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Sends one portion, in order; returns how many arrived.
async fn run_once(producer: &FutureProducer, store: &Store) -> Result<usize, PublishError> {
    let messages = store.write(|transaction| outbox::lease(transaction, Timestamp::now())).await?;
    if messages.is_empty() {
        return Ok(0);
    }
    let sends = messages.iter().map(|message| {
        let record = FutureRecord::to(&message.topic).key(&message.key).payload(&message.json);
        producer.send(record, Timeout::After(Duration::from_secs(5)))
    });
    let (mut arrived, mut failed) = (Vec::new(), Vec::new());
    for (message, sent) in messages.iter().zip(sends.collect::<Vec<_>>()) {
        match sent.await {
            Ok(_) => arrived.push(message.seq),
            Err((error, _)) => {
                tracing::debug!(topic = message.topic, %error, "not delivered");
                failed.push(message.seq);
            }
        }
    }
    let (n_arrived, n_failed) = (arrived.len(), failed.len());
    store.write(move |transaction| outbox::settle(transaction, &arrived, &failed)).await?;
    if n_failed > 0 { Err(PublishError::NotArrived(n_failed, n_arrived + n_failed)) } else { Ok(n_arrived) }
}
