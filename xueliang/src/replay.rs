//! `xueliang replay`: recorded events through the rules, to see before enabling them what they would find.
//!
//! In: events, from files or from alerting's store; one set of rules, or two side by side. Out: a table or JSON on standard
//! output, refused lines and throughput on standard error. Nothing is stored, published or notified.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use xueliang_alerting::{group::JOIN_WITHIN, settings::load_rules};
use xueliang_events::Event;
use xueliang_rules::{
    Engine, RuleSet,
    replay::{Outcome, Replay, compare},
};

mod json;
mod recording;
mod stored;
mod table;

use recording::{Recording, Refusals};
use stored::Stored;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Which events, which rules, and what to show.
#[derive(Args)]
#[command(after_help = "\
Record what the cameras of a city say, and try the rules on it:
  kcat -C -b kafka-1:9092 -t xueliang.events.v1 -o s@$(date -d yesterday +%s000) -e > events.jsonl
  xueliang replay --config rules.toml --all events.jsonl
  zcat events.jsonl.gz | xueliang replay --config rules.toml --compare stricter.toml --list -

Or on what alerting has kept, while it runs:
  xueliang replay --config xueliang.toml --store --compare stricter.toml
  xueliang replay --config rules.toml --store=/var/lib/xueliang/alerting/alerting.sqlite --from 2026-11-23

A store has all events of as long as [alerting] retention says, 7 days when it is left out, and 90 at most; of the time before
only those of incidents, until these are emptied (keep_closed). The replay says since when all are there, and begins then unless
--from says otherwise. What a worker had more than a day after it happened is left out with a --from or --to.

Events are taken in the order in which workers had them (receivedat); lines may be out of that order by 65536 events, and
files may overlap. What began before the recording is not known, and nothing is assumed of the time after it.")]
pub struct ReplayArgs {
    /// Files with one event (CloudEvents JSON) a line, as on Kafka; - is standard input.
    #[arg(required_unless_present = "store", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Take the events that alerting's store keeps instead: of the settings file (SQLite or PostgreSQL), or of this SQLite file. It
    /// is only read.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, conflicts_with = "files")]
    store: Option<Option<PathBuf>>,
    /// The rules: a settings file, or one with nothing but `[[rule]]` and `[calendar]`.
    #[arg(short, long, value_name = "FILE", env = "XUELIANG_CONFIG", default_value = "xueliang.toml")]
    config: PathBuf,
    /// Other rules, to be shown side by side with these.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Take rules that are not enabled too; they need no papers yet.
    #[arg(long)]
    all: bool,
    /// Leave out events before this: 2026-11-23, 2026-11-23T08:00 (the calendar's time zone) or 2026-11-23T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Leave out events from this on.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// How long an incident counts as open, so that firings of its category and place join it, for nobody closes one here; 24h
    /// when left out, as long as alerting lets them join.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    open_for: Option<Duration>,
    /// Show each incident with what made it fire; with --compare those that only one side has.
    #[arg(long)]
    list: bool,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// From, to before.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    to: Timestamp,
}

/// What is shown.
struct Shown<'s> {
    outcomes: &'s [Outcome],
    files: &'s [&'s Path],
    open_for: Duration,
    n_disabled: usize,
    n_refused: u64,
    n_outside: u64,
    list: bool,
}

/// Where the events come from.
enum Source {
    Files(Recording),
    Store(Box<Stored>),
}

impl Source {
    fn open(args: &ReplayArgs) -> anyhow::Result<Self> {
        match &args.store {
            None => Recording::open(&args.files).map(Self::Files),
            Some(file) => Ok(Self::Store(Box::new(Stored::open(file.clone(), &args.config)?))),
        }
    }

    fn within(&mut self, span: Span, zone: &TimeZone) -> Span {
        match self {
            Self::Files(_) => span,
            Self::Store(stored) => stored.within(span, zone),
        }
    }

    fn end(self) -> anyhow::Result<Refusals> {
        match self {
            Self::Files(recording) => recording.end(),
            Self::Store(stored) => stored.end(),
        }
    }
}

impl Iterator for Source {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        match self {
            Self::Files(recording) => recording.next(),
            Self::Store(stored) => stored.next(),
        }
    }
}

/// Replays and shows what came of it.
pub fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let files: Vec<&Path> = [Some(args.config.as_path()), args.compare.as_deref()].into_iter().flatten().collect();
    let read: Vec<RuleSet> = files.iter().map(|file| load_rules(file)).collect::<Result<_, _>>()?;
    let n_disabled = read.iter().flat_map(RuleSet::iter).filter(|rule| !rule.enabled && !args.all).count();
    let zone = read.first().map_or(TimeZone::UTC, |rules| rules.calendar().zone().clone());
    let (span, open_for) = (span(args, &zone)?, args.open_for.unwrap_or(JOIN_WITHIN));
    let rules = read.into_iter().map(|rules| if args.all { rules.with_all_enabled() } else { rules });
    let replays: Vec<Replay> = rules.map(|rules| Replay::new(Engine::new(rules), open_for)).collect();

    let mut source = Source::open(args)?;
    let span = source.within(span, &zone);
    let began = Instant::now();
    let (outcomes, n_outside) = feed(replays, &mut source, span);
    let refusals = source.end()?;
    let n_events = outcomes.first().map_or(0, |outcome| outcome.n_events) + n_outside;
    refusals.tell();
    if n_events == 0 {
        let what = if args.store.is_some() { "rows" } else { "lines" };
        bail!("there is no event to replay: of {} {what} all were refused; each must be one CloudEvent", refusals.n);
    }
    let (seconds, per_second) = (began.elapsed().as_secs_f64(), n_events as f64 / began.elapsed().as_secs_f64());
    let shown = Shown {
        outcomes: &outcomes,
        files: &files,
        open_for,
        n_disabled,
        n_refused: refusals.n,
        n_outside,
        list: args.list,
    };
    print(&if args.json { json::write(&shown)? } else { table::write(&shown, &zone) })?;
    eprintln!("{n_events} events in {seconds:.1} s, {per_second:.0} events/s");
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("the result can't be written"),
    }
}

/// Lets every replay take the events that lie in the span; also how many don't.
fn feed(mut replays: Vec<Replay>, events: impl Iterator<Item = Event>, span: Span) -> (Vec<Outcome>, u64) {
    let (mut progress, mut n_outside, mut goes_beyond) = (Progress::new(), 0, false);
    for event in events {
        progress.tell(event.time);
        goes_beyond |= event.time >= span.to;
        if event.time < span.from || event.time >= span.to {
            n_outside += 1;
            continue;
        }
        replays.iter_mut().for_each(|replay| replay.take(&event));
    }
    progress.clear();
    if goes_beyond {
        replays.iter_mut().for_each(|replay| replay.pass(span.to));
    }
    (replays.into_iter().map(Replay::finish).collect(), n_outside)
}

fn span(args: &ReplayArgs, zone: &TimeZone) -> anyhow::Result<Span> {
    let read = |text: &Option<String>, key: &str, default: Timestamp| match text {
        None => Ok(default),
        Some(text) => time(text, zone).with_context(|| {
            format!("--{key} {text:?} is no time; write 2026-11-23, 2026-11-23T08:00 or 2026-11-23T08:00:00+08:00")
        }),
    };
    let span = Span { from: read(&args.from, "from", Timestamp::MIN)?, to: read(&args.to, "to", Timestamp::MAX)? };
    if span.from >= span.to {
        bail!("--to is not after --from; give a later one");
    }
    Ok(span)
}

fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    match text.parse::<Timestamp>() {
        Ok(at) => Ok(at),
        Err(_) => Ok(text.parse::<DateTime>()?.to_zoned(zone.clone())?.timestamp()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    xueliang_settings::parse_duration(text).ok_or_else(|| "write a number and ms, s, m, h or d, such as 24h".to_owned())
}

/// One line on a terminal that says how far it is; silent elsewhere.
struct Progress {
    is_told: bool,
    began: Instant,
    told: Instant,
    n_events: u64,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { is_told: std::io::stderr().is_terminal(), began: now, told: now, n_events: 0 }
    }

    fn tell(&mut self, at: Timestamp) {
        self.n_events += 1;
        // The clock is asked now and then only.
        if !self.is_told || !self.n_events.is_multiple_of(256) || self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let per_second = self.n_events as f64 / self.began.elapsed().as_secs_f64();
        eprint!("\r\x1b[K{} events, {per_second:.0}/s, at {at:.0}", self.n_events);
    }

    fn clear(&self) {
        if self.is_told {
            eprint!("\r\x1b[K");
        }
    }
}
