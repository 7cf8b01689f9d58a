//! `xueliang notify-test`: sends a message that says that it is a test, and tells what the receiver answered.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use xueliang_alerting::notify::{Courier, Delivery, Message};

use crate::config;

/// Which channel to try.
#[derive(Args)]
pub struct NotifyTest {
    /// The channel's name in `[[notify]]`.
    #[arg(long, value_name = "NAME")]
    channel: String,
    /// The settings file (TOML).
    #[arg(short, long, value_name = "FILE", env = "XUELIANG_CONFIG", default_value = "xueliang.toml")]
    config: PathBuf,
}

/// Tries it once.
pub async fn run(arguments: NotifyTest) -> anyhow::Result<()> {
    let NotifyTest { channel: name, config: file } = arguments;
    let settings = config::alerting(&file)?;
    let names: Vec<&str> = settings.channels.iter().map(|channel| channel.name.as_str()).collect();
    let Some(channel) = settings.channels.iter().find(|channel| channel.name == name) else {
        bail!("{}: no channel {name:?}; known: {}", file.display(), names.join(", "));
    };
    let courier = Courier::new(channel.clone()).context("the channel can't be prepared")?;
    let now = Timestamp::now();
    match courier.deliver(&Message::test(now), now).await {
        Delivery::Delivered => println!("{name}: delivered, as {} permits", channel.assessment),
        Delivery::Retry { reason, .. } => bail!("{name}: {reason}; a real message would be tried again"),
        Delivery::Dead { reason } => bail!("{name}: {reason}; a real message would be given up"),
    }
    Ok(())
}
