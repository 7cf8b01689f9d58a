//! Milliseconds of each stage, for each provider, thread count and size of camera. All of them take turns, so that noise
//! of the machine hits each alike; medians are told.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use xueliang_inference::{Detector, Frame, Model, Provider, SessionSettings, Timings};

use super::{Files, Size, frame, read_frames};

/// What to measure.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    files: Files,
    /// What to run on, several with commas: cpu, openvino, cuda, tensorrt. One that does not run is an error.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "cpu")]
    provider: Vec<Provider>,
    /// Threads of one inference, several with commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    threads: Vec<usize>,
    /// Sizes of camera, several with commas.
    #[arg(long, value_name = "WxH", value_delimiter = ',', default_value = "768x576,1920x1080")]
    size: Vec<Size>,
    /// Raw I420 frames of the first size; without them made-up pictures are used.
    #[arg(long, value_name = "FILE")]
    frames: Option<std::path::PathBuf>,
    /// Frames measured for each row.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// One combination under measurement.
struct Row {
    detector: Detector,
    provider: Provider,
    threads: usize,
    size: Size,
    frames: Vec<Frame>,
    timings: Vec<Timings>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let mut rows = rows(options)?;
    for round in 0..options.rounds as usize + 1 {
        for row in &mut rows {
            let settings = row.detector.settings();
            let detections = row.detector.detect(&row.frames[round % row.frames.len()], &settings)?;
            // The first makes the network of the frame's shape.
            if round > 0 {
                row.timings.push(detections.timings);
            }
        }
    }
    let figures: Vec<Value> = rows.iter().map(figures).collect();
    if options.json {
        println!("{}", json!({ "figures": figures }));
    } else {
        print_table(&figures);
    }
    Ok(())
}

fn rows(options: &Options) -> anyhow::Result<Vec<Row>> {
    let (manifest, runtime) = (options.files.manifest()?, options.files.runtime()?);
    let mut rows = Vec::new();
    for &provider in &options.provider {
        for &threads in &options.threads {
            for (index, &size) in options.size.iter().enumerate() {
                let settings = SessionSettings { providers: vec![provider], require: true, intra_threads: threads };
                let model = Model::load(&runtime, &manifest, &options.files.weights, &settings)
                    .with_context(|| format!("{} can't be measured on {provider}", manifest.name))?;
                let frames = match &options.frames {
                    Some(path) if index == 0 => read_frames(path, size)?,
                    _ => vec![frame(made_up(size), size)?],
                };
                rows.push(Row { detector: Detector::new(model), provider, threads, size, frames, timings: Vec::new() });
            }
        }
    }
    Ok(rows)
}

/// Stripes: what is in the picture does not change how long it takes.
fn made_up(size: Size) -> Vec<u8> {
    (0..size.packed_len()).map(|place| (place % 200) as u8 + 20).collect()
}

fn figures(row: &Row) -> Value {
    let of = |stage: fn(&Timings) -> Duration| median(row.timings.iter().map(stage).collect());
    let (preprocess, infer, decode) = (of(|t| t.preprocess), of(|t| t.infer), of(|t| t.decode));
    let network = row.detector.model().networks().pop();
    json!({
        "model": row.detector.model().name(),
        "provider": row.provider.as_str(),
        "threads": row.threads,
        "camera": row.size.to_string(),
        "input": network.map(|facts| format!("{}x{}", facts.width, facts.height)),
        "n": row.timings.len(),
        "preprocess_ms": preprocess,
        "infer_ms": infer,
        "decode_ms": decode,
        "prepost_share": (preprocess + decode) / infer,
        "frames_per_second": 1000.0 / of(|t| t.preprocess + t.infer + t.decode),
    })
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn print_table(figures: &[Value]) {
    let columns = [
        ("provider", 9),
        ("threads", 8),
        ("camera", 10),
        ("input", 8),
        ("preprocess_ms", 14),
        ("infer_ms", 9),
        ("decode_ms", 10),
        ("prepost_share", 14),
        ("frames_per_second", 18),
    ];
    println!("{}", columns.map(|(name, width)| format!("{name:>width$}")).join(" "));
    for row in figures {
        let cells = columns.map(|(name, width)| match &row[name] {
            Value::Number(number) if number.is_f64() => format!("{:>width$.3}", number.as_f64().unwrap_or_default()),
            Value::String(text) => format!("{text:>width$}"),
            other => format!("{:>width$}", other.to_string()),
        });
        println!("{}", cells.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let times = [9, 1, 2].map(Duration::from_millis).to_vec();
        assert_eq!(median(times), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
