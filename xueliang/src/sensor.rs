//! `xueliang sensor`: tools for who sets sensors up.

use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;

use crate::{Settings, config};

/// What can be done with sensors.
#[derive(Subcommand)]
pub enum Command {
    /// Listen to the brokers of the settings and show for each message which sensor and value it would become, or why it is
    /// refused. Stores nothing, and takes no message away from a worker that runs.
    Probe {
        #[command(flatten)]
        settings: Settings,
        /// How long to listen.
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
    },
}

/// Runs a command.
pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Probe { settings, seconds } = command;
    let file = settings.config;
    let intake = config::ingest(&file)?.intake;
    if intake.brokers.is_empty() {
        bail!("{}: there is no [ingest.mqtt] to listen to", file.display());
    }
    xueliang_ingest::sensor::probe::probe(&intake, Duration::from_secs(seconds), |line| println!("{line}")).await;
    Ok(())
}
