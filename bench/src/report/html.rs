//! The report as one HTML file that needs nothing else: the figures, and plots of processor time, latency, cameras and memory.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Report, number,
    plot::{self, Series, escaped},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--muted:#777}
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{padding:.35rem .6rem;text-align:left;border-bottom:1px solid var(--line)}
td:nth-child(4){white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.yes{color:#2c8a45;font-weight:600}.no{color:#c0392b;font-weight:600}small{color:var(--muted)}
svg{width:100%;height:auto;display:block}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:0 1.5rem}
svg text{font:11px system-ui,sans-serif;fill:currentColor}
svg .grid{stroke:#8884;stroke-width:1}
pre{overflow:auto;font-size:12px;border:1px solid var(--line);padding:.6rem}";

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>xueliang bench</title><style>{STYLE}</style><h1>xueliang bench</h1>{}",
        machine(report)
    );
    html += &figures(report);
    html += "<div class=\"plots\">";
    for (title, note, plot) in plots(report) {
        let _ = write!(html, "<section><h2>{}</h2><small>{}</small>{plot}</section>", escaped(&title), escaped(&note));
    }
    html += "</div>";
    let details = serde_json::to_string_pretty(&report.details).unwrap_or_default();
    let _ = write!(
        html,
        "<h2>Details</h2><details><summary>all that was measured</summary><pre>{}</pre></details>",
        escaped(&details)
    );
    html + "</html>\n"
}

fn machine(report: &Report) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (machine, settings) = (&report.machine, &report.settings);
    let facts = [
        ("", &machine["processor"]),
        ("cores", &machine["cores"]),
        ("memory MB", &machine["memory_mb"]),
        ("system", &machine["system"]),
        ("model", &settings["model"]),
        ("provider", &settings["provider"]),
        ("threads", &settings["threads"]),
        ("build", &settings["build"]),
        ("at", &settings["at"]),
    ];
    let facts = facts.map(|(label, value)| format!("{label} <b>{}</b>", escaped(&text(value))));
    format!("<p>{}</p>", facts.join(" · "))
}

fn figures(report: &Report) -> String {
    let mut html = String::from(
        "<h2>Figures</h2><table><tr><th>figure<th class=\"n\">median<th>unit<th>goal<th>met<th class=\"n\">runs<th class=\"n\">min\
         <th class=\"n\">max</tr>",
    );
    for figure in &report.figures {
        let met = match figure.met {
            Some(true) => "<span class=\"yes\">yes</span>",
            Some(false) => "<span class=\"no\">no</span>",
            None => "",
        };
        let _ = write!(
            html,
            "<tr><td>{}<br><small>{}</small><td class=\"n\">{}<td>{}<td>{}<td>{met}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}</tr>",
            escaped(&figure.name),
            escaped(
                &figure.note.as_ref().map_or(figure.says().to_owned(), |note| format!("{}; {note}", figure.says()))
            ),
            number(figure.value),
            escaped(&figure.unit),
            escaped(figure.goal.as_deref().unwrap_or("")),
            figure.n,
            number(figure.min),
            number(figure.max)
        );
    }
    html + "</table>"
}

/// Title, note and plot of whatever was measured.
fn plots(report: &Report) -> Vec<(String, String, String)> {
    let mut plots = Vec::new();
    if let Some(gates) = report.details.get("pipeline").and_then(|pipeline| pipeline["gates"].as_object()) {
        for (gate, told) in gates {
            let note = format!("busy street, gate {gate}: share of one core for each camera");
            let stages = shares(&told["stages"], |row| row["cores_per_camera"].as_f64());
            plots.push((
                format!("Processor time by stage ({gate})"),
                note.clone(),
                plot::bars("stage", "cores a camera", &stages),
            ));
            let threads = shares(&told["threads_cores_per_camera"], Value::as_f64);
            plots.push((
                format!("Processor time by threads ({gate})"),
                note,
                plot::bars("threads", "cores a camera", &threads),
            ));
        }
        let latencies: Vec<Series> =
            gates.iter().map(|(gate, told)| distribution(gate, &told["latencies_s"])).collect();
        let note = "share of events that came within this time after capture, busy street".to_owned();
        plots.push((
            "Latency".to_owned(),
            note,
            plot::lines("seconds from capture to event", "share of events", &latencies),
        ));
    }
    for ratio in ["ratio", "quiet ratio", "busy ratio"] {
        plots.extend(report.details.get(ratio).and_then(of_ratio));
    }
    if let Some(cameras) = report.details.get("cameras") {
        plots.extend(of_cameras(cameras));
    }
    if let Some(rows) = report.details.get("memory").and_then(|memory| memory["runs"].as_array()) {
        let all: Vec<Series> =
            rows.iter().enumerate().map(|(nth, row)| series(&format!("run {}", nth + 1), &row["samples"])).collect();
        let note = "one camera, footage played as fast as the box can".to_owned();
        plots.push(("Memory".to_owned(), note, plot::lines("hours of footage", "MB", &all)));
    }
    plots
}

/// Bars of both sides beside each other: medians over the runs.
fn of_ratio(ratio: &Value) -> Option<(String, String, String)> {
    let runs = ratio["runs"].as_array()?;
    let bars = [("ours", "ours_cores_per_camera"), ("reference", "reference_cores_per_camera")].map(|(name, key)| {
        let all: Vec<f64> = runs.iter().filter_map(|run| run[key].as_f64()).collect();
        (name.to_owned(), crate::figure::median(&all).unwrap_or(0.0))
    });
    let note =
        format!("{}; {}", ratio["footage"].as_str().unwrap_or_default(), ratio["counted"].as_str().unwrap_or_default());
    Some(("Beside the reference".to_owned(), note, plot::bars("side", "cores a camera", &bars)))
}

fn of_cameras(cameras: &Value) -> Vec<(String, String, String)> {
    let mut steps: Vec<&Value> = cameras["steps"].as_array().map(|steps| steps.iter().collect()).unwrap_or_default();
    steps.sort_by_key(|step| step["cameras"].as_u64());
    let line = |name: &str, key: &str| Series {
        name: name.to_owned(),
        points: steps.iter().filter_map(|step| Some((step["cameras"].as_f64()?, step[key].as_f64()?))).collect(),
    };
    let note = cameras["kind"].as_str().unwrap_or_default().to_owned();
    let rate = [line("analysed share", "analysed_share"), line("p99 latency, s", "p99_s")];
    let cores = [line("this program", "cores"), line("simulated cameras", "simulator_cores")];
    let mut n_before = 0.0;
    let counted: Vec<(f64, f64)> = cameras["latencies_s"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| {
            n_before += row[1].as_f64()?;
            Some((row[0].as_f64()? + 0.1, n_before))
        })
        .collect();
    let points = counted.iter().map(|(second, n)| (*second, n / n_before.max(1.0))).collect();
    let latency = [Series { name: "the most that were carried".to_owned(), points }];
    let latency = plot::lines("seconds from capture to event, the last for all above", "share of events", &latency);
    vec![
        ("Latency of the cameras".to_owned(), note.clone(), latency),
        ("Cameras against rate".to_owned(), note.clone(), plot::lines("cameras", "share, seconds", &rate)),
        ("Cameras against processor".to_owned(), note.clone(), plot::lines("cameras", "cores", &cores)),
        ("Cameras against memory".to_owned(), note, plot::lines("cameras", "MB", &[line("this program", "memory_mb")])),
    ]
}

fn shares(rows: &Value, of: impl Fn(&Value) -> Option<f64>) -> Vec<(String, f64)> {
    let rows = rows.as_object().into_iter().flatten();
    rows.filter_map(|(name, row)| Some((name.clone(), of(row)?))).collect()
}

fn series(name: &str, points: &Value) -> Series {
    let pairs = points.as_array().into_iter().flatten();
    let points = pairs.filter_map(|pair| Some((pair[0].as_f64()?, pair[1].as_f64()?))).collect();
    Series { name: name.to_owned(), points }
}

/// Which share of the values lies at or below each of them, in 50 steps.
fn distribution(name: &str, values: &Value) -> Series {
    let values: Vec<f64> = values.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let steps = if values.is_empty() { 0 } else { 50 };
    let at = |step: i32| f64::from(step) / 50.0;
    let points = (0..=steps).filter_map(|step| Some((crate::figure::quantile(&values, at(step))?, at(step)))).collect();
    Series { name: name.to_owned(), points }
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn the_page_has_all_figures_and_needs_nothing_from_outside() {
        let mut report = sample(&[("prepost_share", &[0.1]), ("cameras_carried", &[12.0])]);
        let steps =
            serde_json::json!([{ "cameras": 4, "analysed_share": 1.0, "p99_s": 0.2, "cores": 0.5, "memory_mb": 80.0 }]);
        let latencies = serde_json::json!([[0.0, 3], [0.1, 1]]);
        let cameras = serde_json::json!({ "kind": "quiet", "steps": steps, "latencies_s": latencies });
        report.details.insert("cameras".to_owned(), cameras);
        let runs = serde_json::json!([{ "ours_cores_per_camera": 0.02, "reference_cores_per_camera": 0.5 }]);
        report.details.insert("busy ratio".to_owned(), serde_json::json!({ "footage": "busy", "runs": runs }));
        let html = page(&report);
        for wanted in [
            "prepost_share",
            "cameras_carried",
            "Test &lt;CPU&gt;",
            "<svg",
            "Cameras against rate",
            "Latency of the cameras",
            "reference: 0.5",
        ] {
            assert!(html.contains(wanted), "{wanted}");
        }
        let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http:", "https:", "<script", "<link", "src="] {
            assert!(!without_namespace.contains(outside), "{outside}");
        }
    }
}
