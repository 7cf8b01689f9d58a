//! `xueliang alerting`: events in from Kafka, incidents out.

use std::path::Path;

use anyhow::{Context, bail};
use prometheus::Registry;
use xueliang_alerting::Started;

use crate::{config, shutdown};

/// Runs one instance until a signal.
pub async fn run(file: &Path) -> anyhow::Result<()> {
    let settings = config::alerting(file)?;
    if settings.kafka.is_none() {
        bail!("{}: [alerting.kafka] brokers is missing; add it, or run `xueliang up` for one box", file.display());
    }
    let shutdown = shutdown::on_signal()?;
    let started = xueliang_alerting::start(settings, None, Registry::new(), shutdown.clone());
    let (started, running) = started.await.context("alerting can't start")?;
    tell(started);
    shutdown.cancelled().await;
    running.ended().await;
    Ok(())
}

/// Says where the console is and how to sign in, and shows incidents on the terminal as they open.
pub fn tell(started: Started) {
    let Started { listen_addr, has_tls, initial_passwords, mut incidents } = started;
    println!("console: {}://{listen_addr}", if has_tls { "https" } else { "http" });
    if let Some(file) = initial_passwords {
        println!("first sign-in: accounts and passwords are in {}", file.display());
    }
    tokio::spawn(async move {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match incidents.recv().await {
                Ok(opened) => println!("incident  {}  {}  |  {}", opened.device, opened.summary.zh, opened.summary.en),
                Err(RecvError::Lagged(n_missed)) => println!("… and {n_missed} more incidents"),
                Err(RecvError::Closed) => return,
            }
        }
    });
}
