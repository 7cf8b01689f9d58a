//! Tells channels of incidents: one task for each channel plans in the store and delivers what is due.
//!
//! Instances that share the store share the work: a message is planned once and leased by one of them. One that ends between delivery
//! and its mark leaves the message to be delivered again, under the same id.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    error_chain,
    metrics::Metrics,
    notify::{Channel, Courier, Delivery},
    store::{Store, Stored, notify},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Serves one channel until shutdown.
pub async fn run(courier: Courier, store: Store, metrics: Metrics, shutdown: CancellationToken) {
    let channel = Arc::new(courier.channel().clone());
    loop {
        if let Err(error) = run_once(&courier, &channel, &store, &metrics).await {
            let chain = error_chain(&error);
            tracing::warn!(channel = channel.name, error = chain, "notifications can't be planned, tried again");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn run_once(courier: &Courier, channel: &Arc<Channel>, store: &Store, metrics: &Metrics) -> Stored<()> {
    let asked = Arc::clone(channel);
    if !store.read(move |tx| notify::is_any_due(tx, &asked, Timestamp::now())).await? {
        return Ok(());
    }
    loop {
        let planned = Arc::clone(channel);
        if !store.write(move |tx| notify::advance(tx, &planned, Timestamp::now())).await? {
            break;
        }
    }
    loop {
        let leased = Arc::clone(channel);
        let Some(leased) = store.write(move |tx| notify::lease(tx, &leased, Timestamp::now())).await? else {
            return Ok(());
        };
        let delivery = courier.deliver(&leased.message, Timestamp::now()).await;
        let (id, n_tries, told) = (leased.message.id, leased.n_tries, delivery.clone());
        let is_dead = store.write(move |tx| notify::settle(tx, &leased, &told, Timestamp::now())).await?;
        let outcome = match (&delivery, is_dead) {
            (Delivery::Delivered, _) => "delivered",
            (_, true) => "dead",
            (_, false) => "retried",
        };
        metrics.notifications.with_label_values(&[channel.name.as_str(), outcome]).inc();
        match delivery {
            Delivery::Delivered => tracing::info!(channel = channel.name, %id, "notification delivered"),
            Delivery::Retry { reason, .. } | Delivery::Dead { reason } if is_dead => {
                tracing::error!(channel = channel.name, %id, reason, n_tries, "notification given up");
            }
            Delivery::Retry { reason, .. } | Delivery::Dead { reason } => {
                tracing::warn!(channel = channel.name, %id, reason, n_tries, "notification not delivered, tried again");
            }
        }
    }
}
