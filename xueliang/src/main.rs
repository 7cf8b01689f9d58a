//! The one binary: `up` runs everything on one box, `ingest` and `alerting` are the halves of a city.
//!
//! Reads the settings, wires the halves together, answers health and metrics, and ends cleanly on a signal.

#[cfg(feature = "alerting")]
mod account;
#[cfg(feature = "alerting")]
mod alerting;
#[cfg(feature = "ingest")]
mod allocator;
#[cfg(feature = "alerting")]
mod audit;
#[cfg(feature = "alerting")]
mod backup;
#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "ingest")]
mod camera;
mod config;
#[cfg(feature = "ingest")]
mod fleet_api;
#[cfg(feature = "ingest")]
mod ingest;
#[cfg(feature = "alerting")]
mod local;
#[cfg(feature = "ingest")]
mod model;
#[cfg(feature = "alerting")]
mod notify;
#[cfg(feature = "ingest")]
mod ops;
#[cfg(feature = "alerting")]
mod replay;
#[cfg(feature = "alerting")]
mod sealed_key;
#[cfg(feature = "ingest")]
mod sensor;
mod shutdown;
#[cfg(feature = "alerting")]
mod token;
#[cfg(all(feature = "ingest", feature = "alerting"))]
mod up;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Turns a city's cameras and sensors into incidents that people act on. It detects; it never identifies.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this box: cameras, rules, incidents, console. Needs no broker and no database server.
    #[cfg(all(feature = "ingest", feature = "alerting"))]
    Up(Settings),
    /// Pull cameras and publish events to Kafka ([ingest.kafka]); run as many as there are boxes.
    #[cfg(feature = "ingest")]
    Ingest(Settings),
    /// Consume events from Kafka ([alerting.kafka]), make incidents, serve the API and the console.
    #[cfg(feature = "alerting")]
    Alerting(Settings),
    /// Say who may sign in to alerting and what they are there for, while it runs; `account --help` has examples.
    #[cfg(feature = "alerting")]
    #[command(subcommand)]
    Account(account::Command),
    /// Let other systems read incidents or devices, one purpose a token; `token --help` has examples.
    #[cfg(feature = "alerting")]
    #[command(subcommand)]
    Token(token::Command),
    /// Export the audit, and verify it with nothing but its files and public keys.
    #[cfg(feature = "alerting")]
    #[command(subcommand)]
    Audit(audit::Command),
    /// Make a pair of keys for sealed originals: workers seal to the public one, the centre opens with the private one.
    #[cfg(feature = "alerting")]
    SealedKey(sealed_key::SealedKey),
    /// Copy alerting's store and kept stills into a new folder, while it runs; the same form for SQLite and PostgreSQL.
    #[cfg(feature = "alerting")]
    Backup(backup::Backup),
    /// Fill an empty store, of either kind, from a backup; alerting must not run on it yet.
    #[cfg(feature = "alerting")]
    Restore(backup::Restore),
    /// Send a test message to a channel of [[notify]] and tell what its receiver answered.
    #[cfg(feature = "alerting")]
    NotifyTest(notify::NotifyTest),
    /// Write and read the registry of a city's cameras.
    #[cfg(feature = "ingest")]
    #[command(subcommand)]
    Camera(camera::Camera),
    /// Look at sensors: what their messages would become.
    #[cfg(feature = "ingest")]
    #[command(subcommand)]
    Sensor(sensor::Command),
    /// Look at a detection model: what it is, whether it may run here, how fast it runs.
    #[cfg(feature = "ingest")]
    #[command(subcommand)]
    Model(model::Command),
    /// Try rules on recorded events: what would fire and which incidents would come of it. Starts nothing, stores nothing.
    #[cfg(feature = "alerting")]
    Replay(replay::ReplayArgs),
    /// Check the settings and say everything that is wrong with them; starts nothing.
    Validate(Settings),
    /// Measure what this box carries: cameras, detector, stages, sessions; `bench --help` has examples.
    #[cfg(feature = "bench")]
    Bench(Box<xueliang_bench::args::BenchArgs>),
}

#[cfg(feature = "ingest")]
impl Command {
    fn runs_cameras(&self) -> bool {
        match self {
            Command::Ingest(_) => true,
            #[cfg(feature = "alerting")]
            Command::Up(_) => true,
            #[cfg(feature = "bench")]
            Command::Bench(_) => true,
            _ => false,
        }
    }
}

#[derive(Args)]
struct Settings {
    /// The settings file (TOML).
    #[arg(short, long, value_name = "FILE", env = "XUELIANG_CONFIG", default_value = "xueliang.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(&cli.command);
    #[cfg(feature = "ingest")]
    if cli.command.runs_cameras() {
        allocator::give_pictures_back();
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xueliang: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    #[cfg(feature = "bench")]
    let cli = match cli.command {
        Command::Bench(args) => return bench::run(*args),
        command => Cli { command },
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(async {
        match cli.command {
            #[cfg(all(feature = "ingest", feature = "alerting"))]
            Command::Up(settings) => up::run(&settings.config).await,
            #[cfg(feature = "ingest")]
            Command::Ingest(settings) => ingest::run(&settings.config).await,
            #[cfg(feature = "alerting")]
            Command::Alerting(settings) => alerting::run(&settings.config).await,
            #[cfg(feature = "alerting")]
            Command::Account(command) => account::run(command).await,
            #[cfg(feature = "alerting")]
            Command::Token(command) => token::run(command).await,
            #[cfg(feature = "alerting")]
            Command::Audit(command) => tokio::task::block_in_place(|| audit::run(&command)),
            #[cfg(feature = "alerting")]
            Command::SealedKey(pair) => pair.run(),
            #[cfg(feature = "alerting")]
            Command::Backup(backup) => backup.run().await,
            #[cfg(feature = "alerting")]
            Command::Restore(restore) => restore.run().await,
            #[cfg(feature = "alerting")]
            Command::NotifyTest(arguments) => notify::run(arguments).await,
            #[cfg(feature = "ingest")]
            Command::Camera(command) => camera::run(command).await,
            #[cfg(feature = "ingest")]
            Command::Sensor(command) => sensor::run(command).await,
            #[cfg(feature = "ingest")]
            Command::Model(command) => tokio::task::block_in_place(|| model::run(&command)),
            #[cfg(feature = "alerting")]
            Command::Replay(args) => tokio::task::block_in_place(|| replay::run(&args)),
            Command::Validate(settings) => config::validate(&settings.config),
            #[cfg(feature = "bench")]
            Command::Bench(_) => Ok(()),
        }
    });
    // Names of cameras may still be resolving in blocking threads; they have nothing to finish.
    runtime.shutdown_background();
    outcome
}

/// Logs go to standard error. retina and rumqttc stay silent: their messages may quote packets (RULES P11). librdkafka repeats itself every two
/// seconds; what matters of it is said by readiness. The bench tells its own progress.
fn start_logging(command: &Command) {
    let level = match command {
        #[cfg(feature = "bench")]
        Command::Bench(_) => "error",
        _ => "info",
    };
    let filter = EnvFilter::try_from_env("XUELIANG_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let directives = ["retina=off", "librdkafka=off", "rdkafka=off", "rumqttc=off"];
    let filter = directives.iter().filter_map(|text| text.parse().ok()).fold(filter, EnvFilter::add_directive);
    let to_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(to_terminal).init();
}
