//! Lists with filters over a store that has seen years: over HTTP, as the console asks.

use std::time::Instant;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use xueliang_alerting::{
    OneBox,
    consume::embedded::channel,
    start,
    store::{Place, Store, sql},
    workflow::State,
};
use xueliang_events::payload::Category;

use super::latency::{Desk, settings};
use crate::Bench;

/// Of the stored incidents so many are still open, spread over the open states.
const OPEN: u64 = 2_000;
const CAMERAS: u64 = 3_000;
const GRIDS: u64 = 400;

/// A store with many incidents.
pub struct Archive(TempDir);

impl Archive {
    /// Fills a store; it takes minutes.
    pub fn filled(n_incidents: u64) -> Result<Self> {
        let folder = tempfile::tempdir().context("no room for a store")?;
        fill(&Store::open(&Place::File(folder.path().join("alerting.sqlite")))?, n_incidents)?;
        Ok(Self(folder))
    }

    /// The 95th percentile of all lists asked for, of an alerting that has just been started on it.
    pub fn p95_ms(&self, bench: &Bench) -> Result<f64> {
        let folder = self.0.path();
        bench.runtime.block_on(async {
            let (_events, source) = channel(1);
            let shutdown = CancellationToken::new();
            let one_box = OneBox { source, probes: Vec::new() };
            let (started, running) =
                start(settings(folder)?, Some(one_box), prometheus::Registry::new(), shutdown.clone()).await?;
            let desk = Desk::sign_in(&format!("http://{}", started.listen_addr), folder).await?;
            let asked = ask(&desk).await;
            shutdown.cancel();
            running.ended().await;
            asked
        })
    }
}

/// Incidents of two years, the newest of them open.
fn fill(store: &Store, n_incidents: u64) -> Result<()> {
    const PORTION: u64 = 20_000;
    let now = Timestamp::now();
    for from in (0..n_incidents).step_by(usize::try_from(PORTION)?) {
        crate::progress::check()?;
        let rows: Vec<Vec<sql::Value>> =
            (from..n_incidents.min(from + PORTION)).map(|nth| incident(nth, n_incidents, now)).collect();
        store.write_blocking(move |tx| {
            tx.execute_each(
                "INSERT INTO incident (id, category, state, is_open, urgency, version, opened_at, updated_at, device,
                 place, grid, region, rule, rule_version, measures)
                 VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7, ?8, ?9, ?9, 'bench', 1, '[]')",
                &rows,
            )
        })?;
    }
    Ok(())
}

fn incident(nth: u64, n_incidents: u64, now: Timestamp) -> Vec<sql::Value> {
    const EVERY_S: u64 = 63;
    let age = n_incidents - nth;
    let opened_at = now.checked_sub(SignedDuration::from_secs((age * EVERY_S).cast_signed())).unwrap_or(now);
    let states: Vec<State> = State::ALL.iter().copied().filter(|state| state.is_open() == (age <= OPEN)).collect();
    let pick = |n: u64, salt: u64| (nth.wrapping_mul(2_654_435_761).wrapping_add(salt * 97) >> 7) % n;
    let state = states[usize::try_from(pick(states.len() as u64, 1)).unwrap_or(0)];
    let category = Category::ALL[usize::try_from(pick(Category::ALL.len() as u64, 2)).unwrap_or(0)];
    let urgency = ["A", "B", "C"][usize::try_from(pick(3, 3)).unwrap_or(0)];
    let camera = pick(CAMERAS, 4);
    let grid = format!("3402{:02}{:03}{:03}{:03}", 3 + camera % 4, 1, 1 + camera % 10, 1 + camera % GRIDS);
    vec![
        uuid::Uuid::from_u128(u128::from(nth) << 64 | u128::from(pick(u64::MAX, 5))).to_string().into(),
        category.as_str().into(),
        state.as_str().into(),
        state.is_open().into(),
        urgency.into(),
        opened_at.into(),
        format!("camera-{camera}").into(),
        "zone/z".into(),
        grid.into(),
    ]
}

/// Each filter's first pages; how long each answer took.
async fn ask(desk: &Desk) -> Result<f64> {
    const FILTERS: [&str; 14] = [
        "",
        "state=suspected",
        "state=suspected,reported,checking",
        "state=closed",
        "state=discarded,void,closed,evaluated",
        "category=crowding",
        "category=camera_offline&state=closed",
        "category=crowding,zone_intrusion&state=suspected",
        "device=camera-1234",
        "device=camera-77&state=discarded",
        "region=340204",
        "region=340204001002&category=gas_leak",
        "region=340203&state=arbitration",
        "urgency=A&state=suspected,reported",
    ];
    const PAGES: usize = 3;
    const ROUNDS: usize = 5;
    let mut took_ms = Vec::new();
    for filter in (0..ROUNDS).flat_map(|_| FILTERS) {
        let mut before = String::new();
        for _ in 0..PAGES {
            crate::progress::check()?;
            let asked = Instant::now();
            let page = desk.get(&format!("/api/v1/incidents?limit=50&{filter}{before}")).await?;
            took_ms.push(asked.elapsed().as_secs_f64() * 1000.0);
            match page.get("next").and_then(Value::as_str) {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
    }
    took_ms.sort_by(f64::total_cmp);
    let nth = (took_ms.len() * 95).div_ceil(100) - 1;
    Ok(took_ms.get(nth).copied().unwrap_or_default())
}
