//! How soon an incident is in the console: from the moment when its rule's T is over to the event of the live stream.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use xueliang_alerting::{
    AlertingSettings, OneBox,
    consume::embedded::{Delivery, channel},
    start,
};
use xueliang_events::{Event, TrackId};
use xueliang_settings::Document;

use super::street::{Street, entered, event, rules};
use crate::Bench;

/// Events a second.
const RATE: u64 = 1000;
/// How often events are handed over, as a source does.
const EVERY: Duration = Duration::from_millis(50);
/// New intruders of each portion; each opens an incident two seconds later.
const INTRUDERS: u64 = 1;
const CAMERAS: u64 = 200;

/// The 99th percentile over all incidents of a window.
pub fn p99_ms(bench: &Bench) -> Result<f64> {
    let folder = tempfile::tempdir().context("no room for a store")?;
    let latencies = bench.runtime.block_on(measure(folder.path(), bench.common.window()))?;
    ensure!(latencies.len() >= 20, "only {} incidents were seen", latencies.len());
    let nth = (latencies.len() * 99).div_ceil(100) - 1;
    Ok(latencies.get(nth).copied().unwrap_or_default())
}

async fn measure(folder: &Path, window: Duration) -> Result<Vec<f64>> {
    let (events, source) = channel(4);
    let shutdown = CancellationToken::new();
    let one_box = OneBox { source, probes: Vec::new() };
    let (started, running) =
        start(settings(folder)?, Some(one_box), prometheus::Registry::new(), shutdown.clone()).await?;
    let desk = Desk::sign_in(&format!("http://{}", started.listen_addr), folder).await?;
    let stream = desk.follow(None).await?;
    let n_portions = u64::try_from(window.as_millis() / EVERY.as_millis())?;
    let seen = tokio::spawn(listen(desk, stream, usize::try_from(n_portions * INTRUDERS)?));
    feed(&events, n_portions).await?;
    let seen = tokio::time::timeout(Duration::from_secs(20), seen).await;
    shutdown.cancel();
    running.ended().await;
    let mut latencies = seen.context("not every incident came")???;
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

/// Hands events over at the rate, or as fast as they are taken in, intruders' among the first so many portions; then others for
/// four seconds, in which the last of them open incidents.
async fn feed(events: &mpsc::Sender<Delivery>, n_portions: u64) -> Result<()> {
    let street = Street::new(CAMERAS, Timestamp::now());
    let per_portion = RATE * u64::try_from(EVERY.as_millis())? / 1000;
    let mut ticks = tokio::time::interval(EVERY);
    let n_after = u64::try_from(Duration::from_secs(4).as_millis() / EVERY.as_millis())?;
    let (mut nth, mut position, mut intruder) = (0, 0, 0);
    for nth_portion in 0..n_portions + n_after {
        ticks.tick().await;
        let mut portion = Vec::new();
        if nth_portion < n_portions {
            for _ in 0..INTRUDERS {
                portion.push(intrusion(intruder)?);
                intruder += 1;
            }
        }
        while (portion.len() as u64) < per_portion {
            let now = Timestamp::now();
            portion.push(Event { time: now, received_at: now, ..street.event(nth)? });
            nth += 1;
        }
        let numbered = portion.iter().zip(position..).map(|(event, at)| Ok((at, event.to_json()?)));
        let numbered: Result<Vec<(u64, Vec<u8>)>> = numbered.collect();
        position += per_portion;
        let (done, stored) = oneshot::channel();
        events
            .send(Delivery { log_id: "bench".to_owned(), events: numbered?, done })
            .await
            .context("alerting has ended")?;
        stored.await.context("the events were not stored")?;
    }
    Ok(())
}

/// Somebody steps onto a lawn that no other event tells of, and stays.
fn intrusion(nth: u64) -> Result<Event> {
    event(&format!("intruder-{nth}"), 0, Timestamp::now(), entered(TrackId(1))?)
}

/// Milliseconds of each intruder's incident from the end of T until it is read here. Like a console, whoever is cut off for being
/// too slow comes back with the last change that it saw.
async fn listen(desk: Desk, mut stream: reqwest::Response, n_expected: usize) -> Result<Vec<f64>> {
    let (mut seen, mut pending, mut last) = (BTreeMap::new(), String::new(), None);
    loop {
        let Some(part) = stream.chunk().await? else {
            stream = desk.follow(last.as_deref()).await?;
            pending.clear();
            continue;
        };
        let now = Timestamp::now();
        pending.push_str(&String::from_utf8_lossy(&part));
        while let Some(end) = pending.find('\n') {
            let line: String = pending.drain(..=end).collect();
            if let Some(id) = line.trim_end().strip_prefix("id: ") {
                last = Some(id.to_owned());
            }
            let Some(data) = line.trim_end().strip_prefix("data: ") else { continue };
            let incident: Value = serde_json::from_str(data)?;
            let device = incident["device"]["id"].as_str().unwrap_or_default();
            let Some(opened_at) = incident["opened_at"].as_str().filter(|_| device.starts_with("intruder")) else {
                continue;
            };
            let late = now.duration_since(opened_at.parse()?).as_secs_f64() * 1000.0;
            seen.entry(device.to_owned()).or_insert(late);
        }
        if seen.len() >= n_expected {
            return Ok(seen.into_values().collect());
        }
    }
}

/// A person on duty at a console.
pub struct Desk {
    address: String,
    http: reqwest::Client,
}

impl Desk {
    /// Signs in with the first password.
    pub async fn sign_in(address: &str, folder: &Path) -> Result<Self> {
        let passwords = std::fs::read_to_string(folder.join("initial-passwords.txt"))?;
        let password = passwords.lines().find_map(|line| line.strip_prefix("operator ")).context("no operator")?;
        let http = reqwest::Client::builder().cookie_store(true).build()?;
        let credentials = json!({ "account": "operator", "password": password });
        let answer = http.post(format!("{address}/api/v1/session")).json(&credentials).send().await?;
        answer.error_for_status()?;
        Ok(Self { address: address.to_owned(), http })
    }

    async fn follow(&self, last_seen: Option<&str>) -> Result<reqwest::Response> {
        let mut asked = self.http.get(format!("{}/api/v1/stream", self.address));
        if let Some(last_seen) = last_seen {
            asked = asked.header("last-event-id", last_seen);
        }
        Ok(asked.send().await?.error_for_status()?)
    }

    /// Asks for a page and reads all of it.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.address)).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }
}

/// Alerting on loopback, with its store in this folder.
pub fn settings(folder: &Path) -> Result<AlertingSettings> {
    let text = format!("[alerting]\nlisten = \"127.0.0.1:0\"\ndata_dir = {folder:?}\nregion = \"3402\"\n{}", rules());
    Ok(Document::from_text("bench.toml", text).read(AlertingSettings::read)?)
}
