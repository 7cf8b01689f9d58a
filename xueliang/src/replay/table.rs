//! A replay's result for people: tables in the calendar's time zone.

use jiff::{Timestamp, tz::TimeZone};
use xueliang_rules::replay::{Comparison, Incident, Outcome, Sides};

use super::{Shown, compare};

/// The whole text.
pub fn write(shown: &Shown<'_>, zone: &TimeZone) -> String {
    let mut text = head(shown, zone);
    match shown.outcomes {
        [a, b] => {
            text += &side_by_side(shown, a, b);
            let compared = compare(a, b);
            text += &comparison(&compared);
            if shown.list {
                text += &list("only in A", &compared.only_a, zone);
                text += &list("only in B", &compared.only_b, zone);
            }
            if !compared.is_whole {
                text += "\nThere are too many to compare all: only the first 200000 were. Narrow --from and --to.\n";
            }
        }
        outcomes => {
            for outcome in outcomes {
                text += &rules(outcome, zone);
                if shown.list {
                    text += &list("incidents", &outcome.incidents, zone);
                }
            }
        }
    }
    text
}

fn head(shown: &Shown<'_>, zone: &TimeZone) -> String {
    let Some(outcome) = shown.outcomes.first() else { return String::new() };
    let Outcome { n_events, n_devices, first_at, last_at, n_late, n_stale, .. } = outcome;
    let mut text = format!("{n_events} events of {n_devices} devices");
    if let (Some(first_at), Some(last_at)) = (first_at, last_at) {
        let (first, last) = (local(*first_at, zone), local(*last_at, zone));
        text += &format!(", {first} to {last} ({:.1} h)", outcome.days() * 24.0);
    }
    text += "\n";
    let counts = [
        (shown.n_refused, "refused lines"),
        (shown.n_outside, "events outside --from and --to"),
        (*n_late, "events without effect, repeated or too late"),
        (*n_stale, "events without effect, of workers that had lost their camera"),
        (shown.n_disabled as u64, "rules not enabled and left out (--all takes them too)"),
    ];
    for (n, what) in counts.iter().filter(|(n, _)| *n > 0) {
        text += &format!("{what}: {n}\n");
    }
    if (0.0..1.0).contains(&outcome.days()) {
        text += "less than a day was recorded: \"a day\" is what it would come to\n";
    }
    let hours = shown.open_for.as_secs_f64() / 3600.0;
    text + &format!(
        "an incident counts as open for {hours:.2} h; counted place by place: alerting makes one incident of devices within 50 m, \
         and of cameras of one county that fail within a minute of each other\n\n"
    )
}

fn rules(outcome: &Outcome, zone: &TimeZone) -> String {
    let head = ["rule", "version", "category", "firings", "incidents", "a day", "busiest device", "first", "last"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let time = |at: Option<Timestamp>| at.map_or_else(none, |at| local(at, zone));
    for tally in &outcome.tallies {
        rows.push(vec![
            tally.rule.to_string(),
            tally.version.to_string(),
            tally.category.as_str().to_owned(),
            tally.n_firings.to_string(),
            tally.n_incidents.to_string(),
            a_day(tally.n_incidents, outcome.days()),
            tally.busiest().map_or_else(none, |(device, n)| format!("{device} ({n})")),
            time(tally.first_at),
            time(tally.last_at),
        ]);
    }
    let (firings, incidents) = (outcome.n_firings().to_string(), outcome.n_incidents().to_string());
    let a_day = a_day(outcome.n_incidents(), outcome.days());
    rows.push([vec!["all".to_owned(), none(), none(), firings, incidents, a_day], vec![none(); 3]].concat());
    aligned(&rows)
}

fn side_by_side(shown: &Shown<'_>, a: &Outcome, b: &Outcome) -> String {
    let head = ["", "rules", "firings", "incidents", "a day"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for ((side, file), outcome) in ["A", "B"].iter().zip(shown.files).zip([a, b]) {
        rows.push(vec![
            format!("{side} {}", file.display()),
            outcome.tallies.len().to_string(),
            outcome.n_firings().to_string(),
            outcome.n_incidents().to_string(),
            a_day(outcome.n_incidents(), outcome.days()),
        ]);
    }
    aligned(&rows) + "\n"
}

fn comparison(compared: &Comparison) -> String {
    let counts = |sides: &Sides| -> Vec<String> {
        let Sides { n_a, n_b, n_both } = *sides;
        [n_a, n_b, n_both, n_a.saturating_sub(n_both), n_b.saturating_sub(n_both)].map(|n| n.to_string()).to_vec()
    };
    let head = |first: &[&str]| -> Vec<String> {
        first.iter().chain(&["A", "B", "in both", "only in A", "only in B"]).map(|name| (*name).to_owned()).collect()
    };
    let version = |version: Option<u32>| version.map_or_else(none, |version| version.to_string());
    let mut rules = vec![head(&["firings of", "category", "version A", "version B"])];
    rules.extend(compared.rules.iter().map(|row| {
        let (rule, category) = (row.rule.to_string(), row.category.as_str().to_owned());
        [vec![rule, category, version(row.version_a), version(row.version_b)], counts(&row.firings)].concat()
    }));
    let mut categories = vec![head(&["incidents of"])];
    for (category, sides) in &compared.categories {
        categories.push([vec![category.as_str().to_owned()], counts(sides)].concat());
    }
    format!("{}\n{}", aligned(&rules), aligned(&categories))
}

fn list(title: &str, incidents: &[Incident], zone: &TimeZone) -> String {
    let mut rows = Vec::new();
    for one in incidents {
        let values = one.values.iter().map(|value| {
            let unit = value.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
            format!("{} {}{unit}", value.name, (value.value * 100.0).round() / 100.0)
        });
        let more = (one.n_firings > 1).then(|| format!("{} firings until {}", one.n_firings, local(one.last_at, zone)));
        rows.push(vec![
            local(one.opened_at, zone),
            format!("{} {}", one.rule, one.version),
            format!("{} {}", one.category.as_str(), one.urgency.as_str()),
            format!("{} {}", one.device, one.place),
            values.chain(more).collect::<Vec<_>>().join(", "),
        ]);
    }
    format!("\n{title}: {}\n{}", incidents.len(), aligned(&rows))
}

fn a_day(n: u64, days: f64) -> String {
    if days > 0.0 { format!("{:.1}", n as f64 / days) } else { none() }
}

fn local(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn none() -> String {
    "-".to_owned()
}

/// Columns as wide as their widest cell; numbers stand to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let column = |nth: usize| rows.iter().filter_map(move |row| row.get(nth));
    let widths: Vec<usize> =
        (0..n_columns).map(|nth| column(nth).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let is_number = |cell: &String| cell == "-" || cell.parse::<f64>().is_ok();
    let to_right: Vec<bool> = (0..n_columns).map(|nth| column(nth).skip(1).all(is_number)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).zip(&to_right).map(|((cell, width), to_right)| {
            if *to_right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text += "\n";
    }
    text
}
