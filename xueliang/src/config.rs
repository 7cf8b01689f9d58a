//! The settings file: one TOML for both halves; each reads its own tables, and every mistake is told at once.

use std::path::Path;

#[cfg(feature = "alerting")]
use xueliang_alerting::AlertingSettings;
#[cfg(feature = "ingest")]
use xueliang_ingest::{
    IngestSettings,
    authorization::{self, State},
};
#[cfg(feature = "ingest")]
use xueliang_settings::Reader;
use xueliang_settings::{Document, Mistakes};

/// Reads `[ingest]`; leaves alerting's tables alone, and the cameras to the worker, which reads them again when they change.
#[cfg(feature = "ingest")]
pub fn ingest(file: &Path) -> Result<IngestSettings, Mistakes> {
    read_ingest(file, IngestSettings::read_worker)
}

/// Reads `[ingest]` and every camera; any mistake refuses the whole.
#[cfg(feature = "ingest")]
fn ingest_with_cameras(file: &Path) -> Result<IngestSettings, Mistakes> {
    read_ingest(file, IngestSettings::read).and_then(IngestSettings::with_camera_files)
}

#[cfg(feature = "ingest")]
fn read_ingest(
    file: &Path,
    read: impl FnOnce(&mut Reader<'_>) -> Option<IngestSettings>,
) -> Result<IngestSettings, Mistakes> {
    Document::load(file)?.read(|root| {
        root.ignore("alerting");
        root.ignore("rule");
        root.ignore("calendar");
        root.ignore("silence");
        root.ignore("notify");
        root.ignore("deadline");
        read(root)
    })
}

/// Reads `[alerting]` and the rules; leaves ingest's tables alone.
#[cfg(feature = "alerting")]
pub fn alerting(file: &Path) -> Result<AlertingSettings, Mistakes> {
    AlertingSettings::load(file)
}

/// Reads both halves; the mistakes of both come together.
#[cfg(all(feature = "ingest", feature = "alerting"))]
pub fn one_box(file: &Path) -> Result<(IngestSettings, AlertingSettings), Mistakes> {
    both(ingest(file), alerting(file))
}

/// Both halves, or the mistakes of both.
#[cfg(all(feature = "ingest", feature = "alerting"))]
fn both(
    ingest: Result<IngestSettings, Mistakes>,
    alerting: Result<AlertingSettings, Mistakes>,
) -> Result<(IngestSettings, AlertingSettings), Mistakes> {
    match (ingest, alerting) {
        (Ok(ingest), Ok(alerting)) => Ok((ingest, alerting)),
        (ingest, alerting) => {
            let of_ingest = ingest.err().into_iter().flat_map(|mistakes| mistakes.0);
            let of_alerting = alerting.err().into_iter().flat_map(|mistakes| mistakes.0);
            let mut all: Vec<_> = of_ingest.chain(of_alerting).collect();
            all.sort();
            all.dedup();
            Err(Mistakes(all))
        }
    }
}

/// Cameras without a mistake that are not pulled today.
#[cfg(feature = "ingest")]
fn tell_suspended(settings: &IngestSettings) {
    let today = authorization::today(jiff::Timestamp::now());
    for camera in &settings.cameras {
        if let State::Suspended { why } = authorization::state(&camera.authorization, today) {
            let (file, line) = (camera.file.display(), camera.line);
            println!("{file}:{line}: camera {}: {}", camera.id, authorization::cause(&why));
        }
    }
}

/// Enabled rules that no camera of the file can make fire, for want of their zone or line.
#[cfg(all(feature = "ingest", feature = "alerting"))]
fn tell_blind(ingest: &IngestSettings, alerting: &AlertingSettings) {
    use xueliang_rules::Place;

    // The cameras of a registry are not known here.
    if ingest.registry.is_some() {
        return;
    }
    for rule in alerting.rules.iter().filter(|rule| rule.enabled) {
        let (what, id) = match &rule.place {
            Place::Zone(id) => ("zone", id.as_str()),
            Place::Line(id) => ("line", id.as_str()),
            Place::Device => continue,
        };
        let has_it = ingest.cameras.iter().filter(|camera| rule.watches(&camera.id.clone().into())).any(|camera| {
            let mut lines = camera.lines.iter();
            camera.zones.iter().any(|zone| what == "zone" && zone.id == id)
                || lines.any(|line| what == "line" && line.id() == id)
        });
        if !has_it {
            println!("rule {}: never fires: no camera that it looks at has a {what} \"{id}\"", rule.id);
        }
    }
}

/// Checks what stands in the file: the half whose table is there, or both.
pub fn validate(file: &Path) -> anyhow::Result<()> {
    let tables = Document::load(file)?.top_level_keys();
    let has = |table: &str| tables.iter().any(|key| key == table);
    match (has("ingest"), has("alerting")) {
        #[cfg(feature = "ingest")]
        (true, false) => tell_suspended(&ingest_with_cameras(file)?),
        #[cfg(feature = "alerting")]
        (false, true) => drop(alerting(file)?),
        #[cfg(all(feature = "ingest", feature = "alerting"))]
        _ => {
            let (ingest, alerting) = both(ingest_with_cameras(file), alerting(file))?;
            tell_suspended(&ingest);
            tell_blind(&ingest, &alerting);
        }
        #[cfg(not(all(feature = "ingest", feature = "alerting")))]
        _ => anyhow::bail!("{}: this build reads only one of [ingest] and [alerting]", file.display()),
    }
    println!("{}: no mistakes", file.display());
    Ok(())
}
