//! Many sessions pulled by one process without decoding: memory, processor, and how evenly their access units arrive.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Found, pull};
use crate::{
    Bench,
    args::{Kind, SessionsArgs, Size},
    footage::Spec,
    progress,
    serve::Street,
};

/// Pulls them in a child, the simulated cameras in others.
pub fn run(bench: &Bench, args: &SessionsArgs) -> Result<Found> {
    let n = args.sessions.unwrap_or(if bench.common.quick { 20 } else { 100 }) as usize;
    let spec = Spec::plain(Kind::Idle, Size::P1080, &bench.common);
    let street = Street::start(&spec.file(&bench.place)?, spec.codec, n)?;
    let (mut jitters, mut runs, mut n_incomplete) = (Vec::new(), Vec::new(), 0);
    for run in 0..bench.common.runs() {
        let told: Value = pull::in_child(bench, &street.urls, None)?;
        let number = |key: &str| told[key].as_f64().with_context(|| format!("the pulling child told no {key}"));
        let each = (number("memory_bytes")? - number("memory_before_bytes")?) / n as f64 / 1e6;
        let jitter = told["jitter_ms"][1].as_f64().context("the pulling child told no jitter")?;
        let cores = number("cores")?;
        progress::say(&format!(
            "run {}: {} of {n} sessions play, {:.0} access units/s, {cores:.2} cores, {each:.2} MB each, jitter p99 {jitter:.1} ms",
            run + 1,
            number("live")?,
            number("units_per_s")?
        ));
        n_incomplete += u32::from((number("live")? as usize) < n);
        if let Some(trouble) = told["trouble"].as_str() {
            progress::say(&format!("the box did not play them all: {trouble}"));
        }
        jitters.push(jitter);
        let mut row = told.clone();
        row["mb_each"] = json!(each);
        runs.push(row);
    }
    let details = json!({ "footage": spec.name(), "sessions": n, "runs": runs });
    let found = Found { details, ..Found::default() }.with("sessions_jitter_p99_ms", &jitters);
    Ok(if n_incomplete > 0 {
        found.unproven(&format!("in {n_incomplete} runs not all {n} sessions played"))
    } else {
        found
    })
}
