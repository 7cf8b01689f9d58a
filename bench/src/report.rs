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
        if self.figures.is_empty() {
            text += "\nno figure was measured";
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
    fn a_report_is_read_back_as_it_was_written() {
        let report = sample(&[("session_mb", &[3.0]), ("cameras_carried", &[20.0])]);
        let text = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.figures, report.figures);
    }
}
