//! Events consumed, through the rules, and their effects committed: what one core does.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};
use xueliang_alerting::{
    consume::Message,
    evidence::Evidence,
    region::RegionScheme,
    rules_file::Rulebook,
    store::{
        Place, Store,
        apply::{Applier, Batch},
    },
};
use xueliang_rules::RuleSet;
use xueliang_settings::Document;

use super::{
    Site,
    street::{self, Street},
};
use crate::usage;

/// Cameras that the events come from.
const CAMERAS: u64 = 500;
/// As many as alerting takes from Kafka at once.
const BATCH: usize = 2000;

/// What a run took in.
pub struct Taken {
    n_events: usize,
    n_fired: usize,
    n_opened: usize,
    wall: Duration,
    ours: Duration,
    server: Duration,
}

impl Taken {
    /// Events a second of processor time, the database server's connection included.
    pub fn events_per_s_core(&self) -> f64 {
        self.n_events as f64 / (self.ours + self.server).as_secs_f64()
    }

    /// For the report.
    pub fn details(&self) -> Value {
        let Self { n_events, n_fired, n_opened, wall, ours, server } = self;
        json!({
            "events": n_events, "fired": n_fired, "opened": n_opened, "fired_share": *n_fired as f64 / *n_events as f64,
            "wall_s": wall.as_secs_f64(), "cpu_s": ours.as_secs_f64(), "server_cpu_s": server.as_secs_f64(),
        })
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (per_core, per_wall) = (self.events_per_s_core(), self.n_events as f64 / self.wall.as_secs_f64());
        let fired = 100.0 * self.n_fired as f64 / self.n_events as f64;
        write!(f, "{per_core:.0} events/s a core, {per_wall:.0} by the clock, {fired:.2} % fired")
    }
}

/// Takes the events in as they come from Kafka; making them is not counted.
pub fn run(site: &Site, n_events: usize) -> Result<Taken> {
    let street = Street::new(CAMERAS, Timestamp::now());
    let events: Result<Vec<Vec<u8>>> = (0..n_events as u64).map(|nth| Ok(street.event(nth)?.to_json()?)).collect();
    let events = events?;
    let store = Store::open(&site.place)?;
    let applier = Applier {
        rules: Rulebook::new(rules()?),
        evidence: Evidence::new(None, site.folder.path().join("evidence")),
        regions: RegionScheme::default(),
        root_region: "3402".to_owned(),
        publishes: false,
    };
    let server = match site.place {
        Place::File(_) => None,
        Place::Postgres(_) => Some(store.write_blocking(|tx| tx.value::<i64>("SELECT pg_backend_pid()", &[]))?),
    };
    let server_cpu = || server.map_or(Ok(Duration::ZERO), |pid| usage::cpu_of(u32::try_from(pid)?));
    let (started, ours, theirs) =
        (Instant::now(), usage::cpu_of_self(), server_cpu().context("the server's processor time")?);
    let (mut n_fired, mut n_opened) = (0, 0);
    for (nth, part) in events.chunks(BATCH).enumerate() {
        let first = nth * BATCH;
        let read = |(at, bytes): (usize, &Vec<u8>)| Message::read((first + at) as u64, bytes.clone());
        let messages = part.iter().enumerate().map(read).collect();
        let batch = Batch { log: "bench".to_owned(), origin: ("bench".to_owned(), 0), expected: None, messages };
        let applier = applier.clone();
        let effects = store.write_blocking(move |tx| applier.apply(tx, &batch, Timestamp::now()))?;
        anyhow::ensure!(effects.n_refused + effects.n_repeated == 0, "an event was not taken in");
        n_fired += effects.fired.len();
        n_opened += effects.opened.len();
    }
    let (wall, ours, server) = (started.elapsed(), usage::cpu_of_self() - ours, server_cpu()?.saturating_sub(theirs));
    Ok(Taken { n_events, n_fired, n_opened, wall, ours, server })
}

fn rules() -> Result<RuleSet> {
    Ok(Document::from_text("bench.toml", street::rules()).read(|reader| Some(RuleSet::read(reader)))?)
}
