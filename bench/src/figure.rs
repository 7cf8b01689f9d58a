//! The figures that the bench reports: names, goals, and medians over runs.

use serde::{Deserialize, Serialize};

/// One figure of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name; never changes.
    pub name: String,
    /// The median of the runs; what several runs saw together where it is pooled.
    pub value: f64,
    /// What it counts.
    pub unit: String,
    /// The goal in words, as `>= 15`; none for figures that only inform.
    pub goal: Option<String>,
    /// Whether the goal is met.
    pub met: Option<bool>,
    /// How many runs; of a pooled figure how many parts, of what always gives the same one.
    pub n: usize,
    /// The smallest run.
    pub min: f64,
    /// The largest run.
    pub max: f64,
    /// What keeps it from saying whether the goal is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a figure was measured, as far as a verdict depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Short windows and footage.
    pub is_quick: bool,
    /// Not the program that users run.
    pub is_debug: bool,
}

/// A verdict needs so many runs.
const LEAST_RUNS: usize = 5;

/// Where a goal lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
    /// It only informs; more is better.
    MoreIsBetter,
    /// It only informs; less is better.
    LessIsBetter,
}

/// All figures: name, unit, goal, and what they say.
pub const FIGURES: [(&str, &str, Goal, &str); 30] = [
    ("cameras_quiet_ratio", "ratio", Goal::AtLeast(15.0), "cameras per core on a 90 % quiet street, ours : reference"),
    ("cameras_busy_ratio", "ratio", Goal::AtLeast(2.5), "cameras per core on an always busy street, ours : reference"),
    ("gate_recall", "share", Goal::AtLeast(0.98), "zone events of always that adaptive also finds"),
    ("gate_delay_ms", "ms", Goal::AtMost(200.0), "median delay that adaptive adds to them"),
    ("idle_demux_ratio", "ratio", Goal::AtMost(6.0), "an idle camera's processor time : demuxing only"),
    ("prepost_share", "share", Goal::AtMost(0.15), "preprocessing and output decoding : inference"),
    ("detector_ratio", "ratio", Goal::AtLeast(1.0), "detector throughput : Python ONNX Runtime"),
    ("session_mb", "MB", Goal::AtMost(12.0), "memory of one more idle camera"),
    ("rss_growth", "share", Goal::AtMost(0.05), "growth of memory over 24 h of footage, after the first tenth"),
    ("track_precision", "share", Goal::MoreIsBetter, "tracked boxes that show a person, 5 analysed fps"),
    ("track_recall", "share", Goal::MoreIsBetter, "labelled persons that a track shows"),
    ("track_mota", "share", Goal::MoreIsBetter, "1 − misses, false alarms and switches of tracks, by labelled persons"),
    ("track_idf1", "share", Goal::MoreIsBetter, "how far one track stands for one person all along"),
    ("zone_precision", "share", Goal::MoreIsBetter, "zone and line events of tracks that labelled persons cause too"),
    ("zone_recall", "share", Goal::MoreIsBetter, "zone and line events of labelled persons that tracks tell too"),
    (
        "track_precision_as_run",
        "share",
        Goal::MoreIsBetter,
        "the same as the worker runs it under adaptive: parts, and tracks carried",
    ),
    ("track_recall_as_run", "share", Goal::MoreIsBetter, "labelled persons that a track shows, as the worker runs it"),
    ("track_mota_as_run", "share", Goal::MoreIsBetter, "MOTA of the tracks as the worker runs it"),
    ("track_idf1_as_run", "share", Goal::MoreIsBetter, "IDF1 of the tracks as the worker runs it"),
    (
        "zone_precision_as_run",
        "share",
        Goal::MoreIsBetter,
        "zone and line events as the worker runs it that labelled persons cause too",
    ),
    ("zone_recall_as_run", "share", Goal::MoreIsBetter, "zone and line events of labelled persons that it tells too"),
    ("cameras_carried", "cameras", Goal::MoreIsBetter, "cameras of the asked kind that this box carries"),
    ("bus_events_per_s", "events/s", Goal::MoreIsBetter, "events through the outbox, acknowledged"),
    (
        "events_per_s_core_sqlite",
        "events/s",
        Goal::AtLeast(20_000.0),
        "events through rules into stored effects, a core, SQLite",
    ),
    (
        "events_per_s_core_pg",
        "events/s",
        Goal::AtLeast(10_000.0),
        "the same with PostgreSQL, its connection's process included",
    ),
    (
        "incident_latency_p99_ms",
        "ms",
        Goal::AtMost(500.0),
        "from the end of a rule's T to the console, at 1,000 events/s",
    ),
    ("authorize_us", "µs", Goal::AtMost(50.0), "one decision of the access policies"),
    ("audit_rows_per_s", "rows/s", Goal::AtLeast(200_000.0), "audit rows read as exported and verified"),
    ("list_p95_ms", "ms", Goal::AtMost(100.0), "lists with filters over 1,000,000 stored incidents"),
    ("sessions_jitter_p99_ms", "ms", Goal::LessIsBetter, "unevenness of arrival when many sessions are pulled"),
];

impl Figure {
    /// A figure from its runs; `None` without any run or with a name that is not listed.
    pub fn of(name: &str, runs: &[f64]) -> Option<Self> {
        let (name, unit, goal, _) = FIGURES.iter().find(|(listed, ..)| *listed == name)?;
        let value = median(runs)?;
        let (words, met) = match goal {
            Goal::AtLeast(bound) => (Some(format!(">= {bound}")), Some(value >= *bound)),
            Goal::AtMost(bound) => (Some(format!("<= {bound}")), Some(value <= *bound)),
            Goal::MoreIsBetter | Goal::LessIsBetter => (None, None),
        };
        let min = runs.iter().copied().fold(f64::INFINITY, f64::min);
        let max = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self {
            name: (*name).to_owned(),
            value,
            unit: (*unit).to_owned(),
            goal: words,
            met,
            n: runs.len(),
            min,
            max,
            note: None,
        })
    }

    /// A figure over everything that several runs saw together; the runs give its spread.
    pub fn pooled(name: &str, value: f64, runs: &[f64]) -> Option<Self> {
        let pooled = Self::of(name, &[value])?;
        Some(match Self::of(name, runs) {
            Some(spread) => Self { n: spread.n, min: spread.min, max: spread.max, ..pooled },
            None => pooled,
        })
    }

    /// The same, when it does not show whether the goal is met, and why not; notes add up.
    pub fn unproven(self, why: &str) -> Self {
        let note = self.note.map_or_else(|| why.to_owned(), |note| format!("{note}; {why}"));
        Self { met: None, note: Some(note), ..self }
    }

    /// The same with the verdict taken away where the evidence does not carry one.
    pub fn judged(self, evidence: Evidence) -> Self {
        if self.goal.is_none() {
            return self;
        }
        let few = (self.n < LEAST_RUNS).then(|| format!("{} of at least {LEAST_RUNS} runs", self.n));
        let quick = evidence.is_quick.then(|| "--quick is a first look, not a verdict".to_owned());
        let debug = evidence.is_debug.then(|| "a debug build says nothing of a release".to_owned());
        [few, quick, debug].into_iter().flatten().fold(self, |figure, why| figure.unproven(&why))
    }

    /// What it says, for people.
    pub fn says(&self) -> &'static str {
        FIGURES.iter().find(|(name, ..)| *name == self.name).map_or("", |(.., says)| says)
    }
}

/// Whether more of a figure is better.
pub fn more_is_better(name: &str) -> bool {
    let goal = FIGURES.iter().find(|(listed, ..)| *listed == name).map(|(_, _, goal, _)| *goal);
    matches!(goal, Some(Goal::AtLeast(_) | Goal::MoreIsBetter))
}

/// The middle value; the mean of the two middle ones of an even number.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which this share of the values lies, interpolated.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_its_runs_and_says_whether_the_goal_is_met() {
        let figure = Figure::of("cameras_quiet_ratio", &[17.0, 14.0, 16.0, 30.0, 15.5]).unwrap();
        assert_eq!((figure.value, figure.n, figure.min, figure.max), (16.0, 5, 14.0, 30.0));
        assert_eq!((figure.goal.as_deref(), figure.met), (Some(">= 15"), Some(true)));
        assert_eq!(Figure::of("session_mb", &[12.5]).unwrap().met, Some(false));
        assert_eq!(Figure::of("cameras_carried", &[9.0]).unwrap().met, None);
        assert_eq!(Figure::of("gate_recall", &[]), None);
    }

    #[test]
    fn a_verdict_needs_runs_and_a_release() {
        let good = Evidence { is_quick: false, is_debug: false };
        let of = |runs: &[f64], evidence| Figure::of("session_mb", runs).unwrap().judged(evidence);
        assert_eq!(of(&[3.0; 5], good).met, Some(true));
        let check = |figure: Figure, expected: &str| {
            assert_eq!(figure.met, None);
            assert!(figure.note.as_ref().unwrap().contains(expected), "{figure:?}");
        };
        check(of(&[3.0; 4], good), "4 of at least 5 runs");
        check(of(&[3.0; 5], Evidence { is_quick: true, ..good }), "--quick");
        check(of(&[3.0; 5], Evidence { is_debug: true, ..good }), "debug");
        check(
            of(&[3.0], Evidence { is_quick: true, is_debug: true }),
            "runs; --quick is a first look, not a verdict; a debug",
        );
        assert_eq!(Figure::of("cameras_carried", &[3.0]).unwrap().judged(good).note, None);
    }

    #[test]
    fn quantiles_lie_between_the_values() {
        assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 1.0), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
