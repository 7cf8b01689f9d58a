//! Alerting: events into effects in the store, how soon an incident is seen, lists over a large store, decisions and the audit.

mod decide;
mod latency;
mod lists;
mod street;
mod take;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;
use xueliang_alerting::store::{Place, postgres::PostgresSettings};

use super::Found;
use crate::{Bench, args::AlertingArgs, progress};

/// Runs all of them, on SQLite and, where a server is named, on PostgreSQL.
pub fn run(bench: &Bench, args: &AlertingArgs) -> Result<Found> {
    let mut found = take(bench, args)?;
    let latencies = runs(bench, "incident latency", "ms", || latency::p99_ms(bench))?;
    let n_incidents = args.incidents.unwrap_or(if bench.common.quick { 20_000 } else { 1_000_000 });
    progress::say(&format!("storing {n_incidents} incidents"));
    let archive = lists::Archive::filled(n_incidents)?;
    let lists = runs(bench, "lists", "ms", || archive.p95_ms(bench))?;
    let decisions = runs(bench, "one decision", "µs", decide::authorize_us)?;
    let verified = runs(bench, "audit rows verified", "a second", decide::audit_rows_per_s)?;
    found = found.with("incident_latency_p99_ms", &latencies);
    found = found.with("authorize_us", &decisions).with("audit_rows_per_s", &verified);
    let of_lists = Found::default().with("list_p95_ms", &lists);
    let enough = n_incidents >= 1_000_000;
    let of_lists = if enough { of_lists } else { of_lists.unproven("fewer than 1,000,000 stored incidents") };
    found.figures.extend(of_lists.figures);
    Ok(found)
}

/// Events a second of one core, into effects that are stored.
fn take(bench: &Bench, args: &AlertingArgs) -> Result<Found> {
    let n_events = args.events.unwrap_or(if bench.common.quick { 10_000 } else { 200_000 });
    let mut found = Found::default();
    let mut details = serde_json::Map::new();
    for (name, server) in [("sqlite", None), ("pg", args.postgres.as_ref())] {
        if name == "pg" && server.is_none() {
            progress::say("PostgreSQL was not measured: name a server with --postgres HOST:PORT");
            continue;
        }
        let (mut rates, mut seen) = (Vec::new(), Vec::new());
        for run in 0..bench.common.runs() {
            progress::check()?;
            let site = Site::new(server.map(String::as_str))?;
            let taken = take::run(&site, n_events)?;
            progress::say(&format!("run {}: {taken}", run + 1));
            rates.push(taken.events_per_s_core());
            seen.push(taken.details());
        }
        found = found.with(&format!("events_per_s_core_{name}"), &rates);
        details.insert(name.to_owned(), json!(seen));
    }
    Ok(Found { details: details.into(), ..found })
}

fn runs(bench: &Bench, what: &str, unit: &str, measure: impl Fn() -> Result<f64>) -> Result<Vec<f64>> {
    let run = |nth: u32| {
        progress::check()?;
        let value = measure()?;
        progress::say(&format!("run {}: {what} {value:.1} {unit}", nth + 1));
        Ok(value)
    };
    (0..bench.common.runs()).map(run).collect()
}

/// A new store for one run; a database is dropped at the end.
struct Site {
    folder: TempDir,
    place: Place,
    server: Option<Server>,
}

/// Where the database of a run is.
struct Server {
    host: String,
    port: u16,
    database: String,
}

impl Site {
    fn new(server: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir().context("no room for a store")?;
        let Some(server) = server else {
            let place = Place::File(folder.path().join("alerting.sqlite"));
            return Ok(Self { folder, place, server: None });
        };
        let (host, port) = server.rsplit_once(':').context("--postgres is HOST:PORT")?;
        let port = port.parse().context("--postgres is HOST:PORT")?;
        let database = format!("xueliang_bench_{}_{}", std::process::id(), suffix(folder.path()));
        let server = Server { host: host.to_owned(), port, database };
        server.run("createdb", &[])?;
        let (host, database, user) = (server.host.clone(), server.database.clone(), "postgres".to_owned());
        let place = Place::Postgres(PostgresSettings { host, port, database, user, password: None, tls: None });
        Ok(Self { folder, place, server: Some(server) })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = &self.server
            && let Err(error) = server.run("dropdb", &["--force"])
        {
            progress::say(&format!("database {} is left behind: {error:#}", server.database));
        }
    }
}

impl Server {
    /// Runs one of PostgreSQL's client programs on the database.
    fn run(&self, program: &str, flags: &[&str]) -> Result<()> {
        let mut command = std::process::Command::new(program);
        command
            .args(["-h", &self.host, "-p", &self.port.to_string(), "-U", "postgres"])
            .args(flags)
            .arg(&self.database);
        let status = command.status().with_context(|| format!("{program} of PostgreSQL's client programs"))?;
        anyhow::ensure!(status.success(), "{program} failed");
        Ok(())
    }
}

/// The temporary folder's name is unique already.
fn suffix(folder: &std::path::Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}
