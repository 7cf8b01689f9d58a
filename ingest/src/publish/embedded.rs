//! One box: events go to alerting in the same process through a bounded channel and are answered after its commit.

use tokio::sync::{mpsc, oneshot};

use crate::{outbox::StoredEvent, publish::PublishError};

/// Events with their positions in one log; `done` is answered once their effects are stored.
pub struct EmbeddedBatch {
    /// The log that the positions count in.
    pub log_id: String,
    /// Position and JSON of each event, in order.
    pub events: Vec<(u64, Vec<u8>)>,
    /// The answer.
    pub done: oneshot::Sender<()>,
}

/// The sending end.
pub struct EmbeddedSink(pub mpsc::Sender<EmbeddedBatch>);

impl EmbeddedSink {
    pub(super) async fn publish(&mut self, log_id: &str, batch: Vec<StoredEvent>) -> Result<(), PublishError> {
        let (done, answer) = oneshot::channel();
        let events = batch.into_iter().map(|event| (event.position.unsigned_abs(), event.body)).collect();
        let batch = EmbeddedBatch { log_id: log_id.to_owned(), events, done };
        self.0.send(batch).await.map_err(|_| PublishError::Gone("alerting"))?;
        answer.await.map_err(|_| PublishError::Gone("alerting's answer"))
    }
}
