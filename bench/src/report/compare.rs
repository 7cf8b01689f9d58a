//! Two reports side by side: each figure, their ratio, and which is better.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Report, number};
use crate::figure::{Figure, more_is_better};

/// A difference within the spread of the runs, or below this share, is no difference.
const SAME: f64 = 0.03;

/// Prints the comparison.
pub fn compare(a: &Path, b: &Path) -> Result<()> {
    let (first, second) = (read(a)?, read(b)?);
    let Some(text) = told(&first, &second) else {
        bail!("{} and {} have no figure in common", a.display(), b.display());
    };
    println!("{text}");
    Ok(())
}

fn read(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no report of `xueliang bench --json`", path.display()))
}

/// `None` when they have no figure in common.
fn told(a: &Report, b: &Report) -> Option<String> {
    let name = |report: &Report| report.machine["processor"].as_str().unwrap_or("unknown").to_owned();
    let mut text =
        format!("A: {}   B: {}\n{:<24}{:>12}{:>12}{:>9}  B is", name(a), name(b), "figure", "A", "B", "B : A");
    let header = text.lines().count();
    for of_a in &a.figures {
        let Some(of_b) = b.figures.iter().find(|figure| figure.name == of_a.name) else { continue };
        let (verdict, ratio) = (verdict(of_a, of_b), of_b.value / of_a.value);
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "\n{:<24}{:>12}{:>12}{ratio:>9.2}  {verdict}",
            of_a.name,
            number(of_a.value),
            number(of_b.value)
        );
    }
    if text.lines().count() == header {
        return None;
    }
    for (setting, of_a, of_b) in differing(a, b) {
        let _ = write!(text, "\nnot measured alike: {setting} is {of_a} in A, {of_b} in B");
    }
    for (name, one, other) in [("A", a, b), ("B", b, a)] {
        let missing = one.figures.iter().filter(|of| !other.figures.iter().any(|figure| figure.name == of.name));
        let missing: Vec<&str> = missing.map(|figure| figure.name.as_str()).collect();
        if !missing.is_empty() {
            let _ = write!(text, "\nonly in {name}: {}", missing.join(", "));
        }
    }
    Some(text)
}

/// Settings that are not the same, but for when it was and what else ran.
fn differing(a: &Report, b: &Report) -> Vec<(String, Value, Value)> {
    let of = |report: &Report| report.settings.as_object().cloned().unwrap_or_default();
    let (a, b) = (of(a), of(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let names = names.into_iter().filter(|name| !["at", "load_before", "load_after"].contains(&name.as_str()));
    let both = names
        .map(|name| (name.clone(), a.get(name).cloned().unwrap_or_default(), b.get(name).cloned().unwrap_or_default()));
    both.filter(|(_, of_a, of_b)| of_a != of_b).collect()
}

fn verdict(a: &Figure, b: &Figure) -> &'static str {
    let overlap = a.n > 1 && b.n > 1 && a.min <= b.max && b.min <= a.max;
    let change = (b.value - a.value) / a.value.abs().max(f64::MIN_POSITIVE);
    if overlap || change.abs() < SAME || !change.is_finite() {
        "the same"
    } else if (change > 0.0) == more_is_better(&a.name) {
        "better"
    } else {
        "worse"
    }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn better_follows_the_figure_and_overlapping_runs_are_the_same() {
        let a = sample(&[("session_mb", &[10.0]), ("detector_ratio", &[1.0]), ("prepost_share", &[0.10, 0.12, 0.14])]);
        let b = sample(&[("session_mb", &[5.0]), ("detector_ratio", &[0.5]), ("prepost_share", &[0.09, 0.11, 0.13])]);
        let text = told(&a, &b).unwrap();
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        assert!(line("session_mb").ends_with("better"), "{text}");
        assert!(line("detector_ratio").ends_with("worse"), "{text}");
        assert!(line("prepost_share").ends_with("the same"), "{text}");
    }

    #[test]
    fn reports_without_a_common_figure_can_t_be_compared() {
        assert_eq!(told(&sample(&[("session_mb", &[1.0])]), &sample(&[("gate_recall", &[1.0])])), None);
    }

    #[test]
    fn what_differs_and_what_is_missing_is_named() {
        let mut a = sample(&[("session_mb", &[1.0]), ("gate_recall", &[1.0])]);
        let b = sample(&[("session_mb", &[1.0]), ("rss_growth", &[0.0])]);
        a.settings["quick"] = true.into();
        a.settings["at"] = "yesterday".into();
        let text = told(&a, &b).unwrap();
        for wanted in ["quick is true in A, null in B", "only in A: gate_recall", "only in B: rss_growth"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("yesterday"), "{text}");
    }
}
