//! The report: the box, how it was measured, the figures, and everything behind them; as a table, as JSON, and as one HTML file.

mod compare;
mod html;
mod plot;

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use compare::compare;

use crate::{
    Bench,
    args::Common,
    figure::{Evidence, Figure},
    machine,
    measure::Found,
};

/// All that one run of the bench found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The box.
    pub machine: Value,
    /// How it was measured.
    pub settings: Value,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What is behind them, by measurement.
    pub details: Map<String, Value>,
}

/// An error when a report could not be written where the flags name, before hours were spent on it. What is there stays as it is.
pub fn check_places(common: &Common) -> Result<()> {
    for path in [&common.json, &common.html].into_iter().flatten() {
        let is_new = !path.exists();
        std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("can't write {}; name another file", path.display()))?;
        if is_new {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

impl Report {
    /// An empty report of this box.
    pub fn new(bench: &Bench) -> Self {
        let common = &bench.common;
        let settings = json!({
            "version": env!("CARGO_PKG_VERSION"), "build": if cfg!(debug_assertions) { "debug" } else { "release" },
            "at": jiff::Timestamp::now().to_string(), "quick": common.quick, "thorough": common.thorough, "reference": common.reference,
            "runs": common.runs(), "window_s": common.window().as_secs(), "warmup_s": common.warmup().as_secs(),
            "model": bench.place.manifest.file_stem().map(|name| name.to_string_lossy()), "provider": common.provider,
            "threads": common.threads, "load_before": machine::load(),
        });
        Self { machine: machine::machine(), settings, figures: Vec::new(), details: Map::new() }
    }

    /// Takes what a measurement found.
    pub fn add(&mut self, name: &str, found: Found) {
        let evidence =
            Evidence { is_quick: self.settings["quick"] == true, is_debug: self.settings["build"] == "debug" };
        self.figures.extend(found.figures.into_iter().map(|figure| figure.judged(evidence)));
        if !found.details.is_null() {
            self.details.insert(name.to_owned(), found.details);
        }
    }

    /// Says that a measurement failed.
    pub fn fail(&mut self, name: &str, cause: &str) {
        self.details.insert(name.to_owned(), json!({ "failed": cause }));
    }

    /// Prints the table and writes the files that the flags name.
    pub fn finish(&mut self, common: &Common) -> Result<()> {
        if let Some(settings) = self.settings.as_object_mut() {
            settings.insert("load_after".to_owned(), json!(machine::load()));
        }
        println!("{}", self.table());
        if let Some(path) = &common.json {
            let text = serde_json::to_string_pretty(self)? + "\n";
            std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
        }
        if let Some(path) = &common.html {
            std::fs::write(path, html::page(self)).with_context(|| format!("can't write {}", path.display()))?;
        }
        Ok(())
    }

    fn table(&self) -> String {
        let cores = &self.machine["cores"];
        let mut text =
            format!("\n{} ({cores} cores)", self.machine["processor"].as_str().unwrap_or("unknown processor"));
        if self.settings["build"] == "debug" {
            text += "\nThis is a debug build: its numbers say nothing about a release.";
        }
        let columns = ["figure", "value", "unit", "goal", "met", "n", "min", "max"];
        let [name, value, unit, goal, met, n, min, max] = columns;
        let _ = write!(text, "\n{name:<24}{value:>12} {unit:<9}{goal:>8} {met:<4}{n:>3}{min:>12}{max:>12}");
        for figure in &self.figures {
            let goal = figure.goal.as_deref().unwrap_or("-");
            let met = figure.met.map_or("-", |met| if met { "yes" } else { "NO" });
            let (value, min, max) = (number(figure.value), number(figure.min), number(figure.max));
            // Writing to a string can't fail.
            let _ = write!(
                text,
                "\n{:<24}{value:>12} {:<9}{goal:>8} {met:<4}{:>3}{min:>12}{max:>12}",
                figure.name, figure.unit, figure.n
            );
        }
        for (figure, note) in self.figures.iter().filter_map(|figure| Some((figure, figure.note.as_ref()?))) {
            let _ = write!(text, "\n{}: {note}", figure.name);
        }
        text += &self.stages();
        if self.figures.is_empty() {
            text += "\nno figure was measured";
        }
        text
    }
}

impl Report {
    /// Where `pipeline` found the time of a busy camera to go.
    fn stages(&self) -> String {
        let mut text = String::new();
        let gates = self.details.get("pipeline").and_then(|pipeline| pipeline["gates"].as_object());
        for (gate, told) in gates.into_iter().flatten() {
            let _ = write!(
                text,
                "\n\n{:<24}{:>12}{:>12}{:>16}",
                format!("stage ({gate})"),
                "ms",
                "times/s",
                "cores/camera"
            );
            for (stage, row) in told["stages"].as_object().into_iter().flatten() {
                let [ms, per_s, cores] =
                    ["ms", "per_s", "cores_per_camera"].map(|key| row[key].as_f64().map_or("-".to_owned(), number));
                let _ = write!(text, "\n{stage:<24}{ms:>12}{per_s:>12}{cores:>16}");
            }
        }
        let health = self.details.get("pipeline").and_then(|pipeline| pipeline["picture_health_ms"].as_f64());
        if let Some(ms) = health {
            let _ = write!(text, "\npicture health: {} ms a keyframe of 1080p", number(ms));
        }
        text
    }
}

/// Four digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
pub(crate) fn sample(values: &[(&str, &[f64])]) -> Report {
    let figures = values.iter().filter_map(|(name, runs)| Figure::of(name, runs)).collect();
    let machine = json!({ "processor": "Test <CPU>", "cores": 2 });
    Report { machine, settings: json!({ "build": "release" }), figures, details: Map::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_figure_with_its_goal() {
        let table = sample(&[("prepost_share", &[0.1, 0.2, 0.3])]).table();
        assert!(table.contains("prepost_share") && table.contains("<= 0.15") && table.contains("NO"), "{table}");
    }

    #[test]
    fn the_table_has_the_time_of_each_stage() {
        let mut report = sample(&[("session_mb", &[3.0])]);
        let stages = json!({ "decode": { "ms": 1.25, "per_s": 25.0, "cores_per_camera": 0.031 } });
        let pipeline = json!({ "gates": { "always": { "stages": stages } }, "picture_health_ms": 2.5 });
        report.details.insert("pipeline".to_owned(), pipeline);
        let table = report.table();
        for wanted in ["stage (always)", "decode", "1.25", "0.0310", "2.50 ms a keyframe"] {
            assert!(table.contains(wanted), "{wanted}: {table}");
        }
    }

    #[test]
    fn a_place_that_can_t_be_written_is_found_first_and_what_can_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Some(folder.path().join(name));
        std::fs::write(folder.path().join("old.json"), "{}").unwrap();
        check_places(&Common { json: at("old.json"), html: at("new.html"), ..Common::default() }).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("old.json")).unwrap(), "{}");
        assert!(!folder.path().join("new.html").exists());
        let error = check_places(&Common { json: at("nowhere/a.json"), ..Common::default() }).unwrap_err();
        assert!(error.to_string().contains("nowhere/a.json; name another"), "{error:#}");
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let report = sample(&[("session_mb", &[3.0]), ("cameras_carried", &[20.0])]);
        let text = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.figures, report.figures);
    }
}
