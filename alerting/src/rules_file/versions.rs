//! Versions of rules that are read again: whoever reads "rule crowd, version 2" at an incident must find what it meant.
//!
//! A rule's meaning is all of it but its version, whether it is enabled, which devices it looks at, and its papers (owner,
//! legal basis, department, assessment, deadline). The calendar is the deployer's data and belongs to no rule.

use xueliang_rules::{Rule, RuleSet};
use xueliang_settings::{Document, Mistakes};

/// Refuses rules that mean something else than `before` under a version that is not higher, and versions that fall.
pub(super) fn check(document: &Document, before: &RuleSet) -> Result<(), Mistakes> {
    let rows = document.rows("rule", |row| {
        let now = Rule::read(row)?;
        if let Some((problem, cure)) = before.iter().find(|known| known.id == now.id).and_then(|it| judge(it, &now)) {
            row.refuse("version", problem, cure);
        }
        Some(())
    })?;
    let mistakes: Vec<_> = rows.into_iter().filter_map(|row| row.read.err()).flat_map(|mistakes| mistakes.0).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
}

/// What is wrong with a rule that follows `before`, and the cure.
fn judge(before: &Rule, now: &Rule) -> Option<(String, String)> {
    let in_force = before.version;
    let differs = differs(before, now);
    if now.version > in_force {
        return None;
    }
    if !differs.is_empty() {
        let id = &now.id;
        let problem = format!("rule {id} means something else than the version {in_force} that is in force: {differs}");
        return Some((problem, format!("raise version to {}", u64::from(in_force) + 1)));
    }
    let problem = format!("{} is behind the {in_force} that is in force", now.version);
    (now.version < in_force).then(|| (problem, format!("write {in_force} or more")))
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
    if names.is_empty() && !means_the_same(before, now) { "another key".to_owned() } else { names.join(", ") }
}

fn means_the_same(before: &Rule, now: &Rule) -> bool {
    let like_now = Rule {
        version: now.version,
        enabled: now.enabled,
        devices: now.devices.clone(),
        governance: now.governance.clone(),
        ..before.clone()
    };
    like_now == *now
}
