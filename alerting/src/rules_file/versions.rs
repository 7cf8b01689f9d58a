//! Versions of rules that are read again: whoever reads "rule crowd, version 2" at an incident must find what it meant.
//!
//! A rule's meaning is all of it but its version, whether it is enabled, which devices it looks at, and its papers (owner,
//! legal basis, department, assessment, deadline). The calendar is the deployer's data and belongs to no rule.

use std::fmt;

use xueliang_rules::{Rule, RuleId, RuleSet};
use xueliang_settings::{Document, Mistakes};

use crate::store::rule_versions::RuleVersion;

/// A rule that contradicts what one of its versions meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    rule: RuleId,
    problem: String,
    cure: String,
}

/// A version that a rule must not fall behind, with what it means where that can be read.
struct Known<'k> {
    version: u32,
    meaning: Option<&'k Rule>,
    /// "is" in force, or "was".
    tense: &'static str,
}

/// Refuses rules that mean something else than `before`, or than what was `kept`, under a version that is not higher, and versions
/// that fall.
pub(super) fn check(document: &Document, before: &RuleSet, kept: &[RuleVersion]) -> Result<(), Mistakes> {
    let rows = document.rows("rule", |row| {
        if let Some(Conflict { problem, cure, .. }) = conflict(&Rule::read(row)?, before, kept) {
            row.refuse("version", problem, cure);
        }
        Some(())
    })?;
    let mistakes: Vec<_> = rows.into_iter().filter_map(|row| row.read.err()).flat_map(|mistakes| mistakes.0).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
}

/// What contradicts the versions that were kept.
pub(crate) fn conflicts(rules: &RuleSet, kept: &[RuleVersion]) -> Vec<Conflict> {
    rules.iter().filter_map(|rule| conflict(rule, &RuleSet::default(), kept)).collect()
}

fn conflict(now: &Rule, before: &RuleSet, kept: &[RuleVersion]) -> Option<Conflict> {
    let in_force = before.iter().find(|known| known.id == now.id);
    let kept = kept.iter().find(|known| known.rule == now.id);
    // One that this program can't read any more keeps its number.
    let read = kept.and_then(|kept| Rule::from_meaning(&kept.meaning).ok());
    let in_force = in_force.map(|rule| Known { version: rule.version, meaning: Some(rule), tense: "is" });
    let kept = kept.map(|kept| Known { version: kept.version, meaning: read.as_ref(), tense: "was" });
    let (problem, cure) = [in_force, kept].into_iter().flatten().find_map(|known| judge(&known, now))?;
    Some(Conflict { rule: now.id.clone(), problem, cure })
}

/// What is wrong with a rule that follows one that is known, and the cure.
fn judge(known: &Known<'_>, now: &Rule) -> Option<(String, String)> {
    let Known { version, meaning, tense } = known;
    if now.version > *version {
        return None;
    }
    let differs = meaning.map(|meaning| differs(meaning, now)).unwrap_or_default();
    let next = u64::from(*version) + 1;
    if now.version < *version {
        let least = if differs.is_empty() { u64::from(*version) } else { next };
        let problem = format!("{} is behind the {version} that {tense} in force", now.version);
        return Some((problem, format!("write {least} or more")));
    }
    let id = &now.id;
    let problem = format!("rule {id} means something else than the version {version} that {tense} in force: {differs}");
    (!differs.is_empty()).then(|| (problem, format!("raise version to {next}")))
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, problem, cure } = self;
        match problem.starts_with("rule ") {
            true => write!(f, "{problem}; {cure}"),
            false => write!(f, "rule {rule}: version {problem}; {cure}"),
        }
    }
}

/// The parts of the meaning that differ, by name.
fn differs(before: &Rule, now: &Rule) -> String {
    let parts = [
        ("category", before.category == now.category),
        ("its place", before.place == now.place),
        ("classes", before.classes == now.classes),
        ("min_confidence", before.min_confidence == now.min_confidence),
        ("what makes it fire", before.kind == now.kind),
        ("schedule", before.schedule == now.schedule),
        ("cool_down", before.cool_down == now.cool_down),
        ("urgency", before.urgency == now.urgency),
    ];
    let names: Vec<&str> = parts.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
    // A part that has no name here yet is meaning too.
    if names.is_empty() && !before.means_the_same(now) { "another key".to_owned() } else { names.join(", ") }
}
