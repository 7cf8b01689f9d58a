//! `xueliang camera`: the registry of a city's cameras, written and read by hand.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Map, Value};
use xueliang_ingest::{
    authorization,
    registry::{
        import::{read_import, suspended},
        publish::Registry,
    },
    settings::ImportDefaults,
};

/// What to do with the registry.
#[derive(Subcommand)]
pub enum Camera {
    /// Put the cameras of files into the registry: TOML with `[[camera]]`, or CSV with a column for each key. Good rows are imported,
    /// bad ones are told and make the command fail.
    Import {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Partitions of the topic when it has to be made: the most workers that can share the cameras.
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(i32).range(1..=10_000))]
        partitions: i32,
        /// A worker's settings file: cameras get what its `[ingest.authorization]` says and they don't, and must stand in its
        /// declared_networks.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Show the cameras of the registry, one JSON object a line.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Remove cameras from the registry: whoever pulls them stops.
    Remove {
        /// The cameras' ids.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        at: At,
    },
}

/// Where the registry is.
#[derive(Args)]
pub struct At {
    /// Kafka's bootstrap servers: host:port, several with commas.
    #[arg(long, env = "XUELIANG_BROKERS")]
    brokers: String,
    /// The registry's topic.
    #[arg(long, default_value = xueliang_ingest::registry::CAMERAS_TOPIC)]
    topic: String,
}

impl At {
    fn registry(&self) -> Registry {
        Registry::new(&self.brokers, &self.topic)
    }
}

/// Runs one command.
pub async fn run(command: Camera) -> anyhow::Result<()> {
    match command {
        Camera::Import { files, partitions, config, at } => {
            let defaults = config.as_deref().map(ImportDefaults::load).transpose()?.unwrap_or_default();
            import(&files, &defaults, partitions, &at.registry()).await
        }
        Camera::List { at } => list(&at.registry()),
        Camera::Remove { ids, at } => {
            let ids: Result<Vec<_>, _> = ids.iter().map(|id| id.parse()).collect();
            at.registry().remove(&ids?).await.context("the cameras can't be removed")
        }
    }
}

async fn import(
    files: &[PathBuf],
    defaults: &ImportDefaults,
    n_partitions: i32,
    registry: &Registry,
) -> anyhow::Result<()> {
    let (mut cameras, mut n_refused) = (Vec::new(), 0);
    for file in files {
        for row in read_import(file, defaults)? {
            match row.read {
                Ok(camera) => {
                    tell_suspended(camera.0.as_str(), &camera.1);
                    cameras.push(camera);
                }
                Err(mistakes) => {
                    n_refused += 1;
                    for mistake in &mistakes.0 {
                        let said = xueliang_ingest::settings::without_place(mistake);
                        eprintln!("{}: {}: {said}", file.display(), row.place);
                    }
                }
            }
        }
    }
    let n_cameras = cameras.len();
    if n_cameras > 0 {
        registry.prepare(n_partitions).await.context("the registry can't be prepared")?;
        registry.put(cameras).await.context("the cameras can't be imported")?;
    }
    println!("{n_cameras} cameras imported, {n_refused} refused");
    if n_refused > 0 {
        bail!("{n_refused} rows were refused; correct them and import again");
    }
    Ok(())
}

fn list(registry: &Registry) -> anyhow::Result<()> {
    let cameras = tokio::task::block_in_place(|| registry.list()).context("the registry can't be read")?;
    for (id, camera) in cameras {
        match camera {
            Ok(settings) => {
                tell_suspended(&id, &settings);
                println!("{}", Value::Object(settings));
            }
            Err(cause) => println!("{}", serde_json::json!({ "id": id, "refused": cause })),
        }
    }
    Ok(())
}

/// Beside the records, which stay records: a camera that nobody pulls today, and why.
fn tell_suspended(id: &str, settings: &Map<String, Value>) {
    let why = suspended(settings, authorization::today(Timestamp::now()));
    if !why.is_empty() {
        eprintln!("{id}: {}", authorization::cause(&why));
    }
}
