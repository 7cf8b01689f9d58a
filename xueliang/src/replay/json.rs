//! A replay's result for programs; times are UTC.

use serde_json::{Value, json};
use xueliang_rules::replay::{Comparison, Incident, Outcome, Sides, Tally};

use super::{Shown, compare};

/// The whole text.
pub fn write(shown: &Shown<'_>) -> serde_json::Result<String> {
    let sides = shown.outcomes.iter().zip(shown.files).map(|(outcome, file)| {
        let rules: Vec<Value> = outcome.tallies.iter().map(|tally| rule(tally, outcome.days())).collect();
        let (file, n_firings, n_incidents) = (file.display().to_string(), outcome.n_firings(), outcome.n_incidents());
        let mut side = json!({ "file": file, "n_firings": n_firings, "n_incidents": n_incidents, "rules": rules });
        if shown.list && shown.outcomes.len() == 1 {
            side["incidents"] = outcome.incidents.iter().map(incident).collect();
        }
        side
    });
    let mut whole = json!({
        "events": shown.outcomes.first().map(|outcome| events(shown, outcome)),
        "open_for_s": shown.open_for.as_secs_f64(),
        "n_disabled_rules": shown.n_disabled,
        "replays": sides.collect::<Vec<_>>(),
    });
    if let [a, b] = shown.outcomes {
        whole["comparison"] = comparison(&compare(a, b), shown.list);
    }
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}

fn events(shown: &Shown<'_>, outcome: &Outcome) -> Value {
    json!({
        "n_taken": outcome.n_events,
        "n_refused": shown.n_refused,
        "n_outside": shown.n_outside,
        "n_late": outcome.n_late,
        "n_stale": outcome.n_stale,
        "n_devices": outcome.n_devices,
        "first_at": outcome.first_at.map(|at| at.to_string()),
        "last_at": outcome.last_at.map(|at| at.to_string()),
    })
}

fn rule(tally: &Tally, days: f64) -> Value {
    let busiest = tally.busiest().map(|(device, n)| json!({ "device": device.as_str(), "n_firings": n }));
    json!({
        "rule": tally.rule.as_str(),
        "version": tally.version,
        "category": tally.category.as_str(),
        "n_firings": tally.n_firings,
        "n_incidents": tally.n_incidents,
        "n_incidents_a_day": (days > 0.0).then(|| tally.n_incidents as f64 / days),
        "busiest": busiest,
        "first_at": tally.first_at.map(|at| at.to_string()),
        "last_at": tally.last_at.map(|at| at.to_string()),
    })
}

fn incident(one: &Incident) -> Value {
    let values = one.values.iter().map(|value| json!({ "name": value.name, "value": value.value, "unit": value.unit }));
    json!({
        "rule": one.rule.as_str(),
        "version": one.version,
        "category": one.category.as_str(),
        "urgency": one.urgency.as_str(),
        "device": one.device.as_str(),
        "place": one.place.to_string(),
        "started_at": one.started_at.to_string(),
        "opened_at": one.opened_at.to_string(),
        "last_at": one.last_at.to_string(),
        "n_firings": one.n_firings,
        "values": values.collect::<Vec<_>>(),
    })
}

fn comparison(compared: &Comparison, list: bool) -> Value {
    let rules = compared.rules.iter().map(|row| {
        let mut value = sides(&row.firings);
        value["rule"] = row.rule.as_str().into();
        value["category"] = row.category.as_str().into();
        value["version_a"] = row.version_a.into();
        value["version_b"] = row.version_b.into();
        value
    });
    let categories = compared.categories.iter().map(|(category, counts)| {
        let mut value = sides(counts);
        value["category"] = category.as_str().into();
        value
    });
    let mut whole = json!({
        "is_whole": compared.is_whole,
        "firings_by_rule": rules.collect::<Vec<_>>(),
        "incidents_by_category": categories.collect::<Vec<_>>(),
    });
    if list {
        whole["incidents_only_a"] = compared.only_a.iter().map(incident).collect();
        whole["incidents_only_b"] = compared.only_b.iter().map(incident).collect();
    }
    whole
}

fn sides(sides: &Sides) -> Value {
    let Sides { n_a, n_b, n_both } = *sides;
    let (n_only_a, n_only_b) = (n_a.saturating_sub(n_both), n_b.saturating_sub(n_both));
    json!({ "n_a": n_a, "n_b": n_b, "n_both": n_both, "n_only_a": n_only_a, "n_only_b": n_only_b })
}
