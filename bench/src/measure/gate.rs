//! The same footage under every gate, played through the real pipeline by capture time: which zone events are found, how much later, at what cost.
//!
//! Each mix is played three times over, with new noise of the sensor each time it comes round: a gate that has learnt its camera must find what one that
//! has not yet learnt it finds.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result};
use jiff::Timestamp;
use prometheus::Registry;
use serde_json::{Map, Value, json};
use xueliang_events::Payload;
use xueliang_ingest::{
    access_unit::{AccessUnit, Codec},
    analyse::Fact,
    metrics::Metrics,
    offline::{Decided, Offline, OfflineCounts},
    snapshots::SnapshotStore,
};

use super::{Found, detector};
use crate::{
    Bench,
    args::{Coding, GateArgs, Kind, Rate, Size},
    figure::{Figure, median, quantile},
    footage::{self, Spec, word},
    progress,
    rig::{self, Watch},
    simcam::{self, Footage},
};

/// Two events of one kind and place whose times are this close are the same: a gate that looks only at keyframes may be two seconds late.
const SAME_WITHIN: f64 = 3.0;
/// Most times that a mix is played over: the first before the gate knows its camera. A quick run has one less.
const LOOPS: usize = 3;
/// Room for redacted snapshots while footage plays.
pub const SNAPSHOT_BYTES: u64 = 64 << 20;

/// Plays every mix.
pub fn run(bench: &Bench, args: &GateArgs) -> Result<Found> {
    let (mut matches, mut recalls, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    let mut by_kind: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut mixes = Vec::new();
    let specs: Vec<Spec> =
        specs(bench).into_iter().filter(|spec| args.kind.is_none_or(|kind| spec.kind == kind)).collect();
    for (nth, spec) in specs.iter().enumerate() {
        progress::say(&format!(
            "mix {} of {}: {}, played {} times over",
            nth + 1,
            specs.len(),
            spec.name(),
            times(bench)
        ));
        let footage = Takes::read(spec, bench)?;
        let always = play(bench, &footage, "always")?;
        let mut row = Map::new();
        row.insert("footage".to_owned(), json!(spec.name()));
        row.insert("always".to_owned(), always.told(None));
        for gate in ["keyframes", "adaptive"] {
            let played = play(bench, &footage, gate)?;
            let found = Match::of(&always.events, &played.events);
            row.insert(gate.to_owned(), played.told(Some(&found)));
            progress::say(&format!("{gate:<9} {}", found.told(&played, &always)));
            if gate == "adaptive" {
                by_kind.entry(word(spec.kind)).or_default().extend(&found.delays_ms);
                recalls.extend(found.recall());
                delays.extend(median(&found.delays_ms));
                matches.push(found);
            }
        }
        mixes.push(Value::Object(row));
    }
    let (found, asked) = matches.iter().fold((0, 0), |sum, of| (sum.0 + of.delays_ms.len(), sum.1 + of.asked));
    let all_delays: Vec<f64> = matches.iter().flat_map(|of| of.delays_ms.iter().copied()).collect();
    let mut figures = Vec::new();
    if asked > 0 {
        figures.extend(Figure::pooled("gate_recall", found as f64 / asked as f64, &recalls));
    }
    figures.extend(median(&all_delays).and_then(|delay| Figure::pooled("gate_delay_ms", delay, &delays)));
    for (kind, delays) in &by_kind {
        progress::say(&format!("{kind}: {}", delays_in_words(delays)));
    }
    let [first, later] =
        [0..1, 1..LOOPS].map(|loops| Loops::sum(matches.iter().flat_map(|of| &of.loops[loops.clone()])));
    progress::say(&format!("found before the gates knew their cameras: {first}; after: {later}"));
    let details = json!({
        "events": asked, "found": found, "times_over": times(bench), "first_time": first.told(), "later_times": later.told(),
        "delays_ms": by_kind.iter().map(|(kind, delays)| (kind.clone(), delays_told(delays))).collect::<Map<_, _>>(),
        "mixes": mixes,
    });
    let found = Found { figures, details };
    Ok(if args.kind.is_some() { found.unproven("only mixes of one kind (--kind)") } else { found })
}

fn times(bench: &Bench) -> usize {
    if bench.common.quick { LOOPS - 1 } else { LOOPS }
}

fn delays_in_words(delays: &[f64]) -> String {
    let ms = |share| quantile(delays, share).map_or("-".to_owned(), |ms| format!("{ms:+.0} ms"));
    format!("half of {} events at most {} later, 9 of 10 at most {}", delays.len(), ms(0.5), ms(0.9))
}

fn delays_told(delays: &[f64]) -> Value {
    json!({ "events": delays.len(), "median": median(delays), "p90": quantile(delays, 0.9) })
}

/// Mixes of both codings, rate controls, keyframe intervals and sizes; all of them when thorough.
fn specs(bench: &Bench) -> Vec<Spec> {
    use {Coding::*, Kind::*, Rate::*, Size::*};
    let spec = |kind, codec, rate, gop, size| {
        let plain = Spec::plain(kind, size, &bench.common);
        Spec { codec, rate, gop, ..plain }
    };
    if bench.common.quick {
        return vec![
            spec(Quiet, H264, Crf, 50, P576),
            spec(Weather, H264, Crf, 50, P576),
            spec(Mix, H264, Crf, 50, P576),
            spec(Mix, H264, Cbr, 50, P576),
        ];
    }
    if !bench.common.thorough {
        return vec![
            spec(Quiet, H264, Crf, 50, P576),
            spec(Quiet, H264, Cbr, 50, P576),
            spec(Weather, H264, Crf, 50, P576),
            spec(Weather, H264, Cbr, 50, P576),
            spec(Mix, H264, Crf, 25, P576),
            spec(Mix, H264, Crf, 250, P576),
            spec(Mix, H264, Cbr, 50, P576),
            spec(Mix, H265, Crf, 50, P576),
            spec(Busy, H264, Crf, 50, P576),
            spec(Mix, H265, Cbr, 50, P576),
            spec(Quiet, H264, Crf, 50, P1080),
            spec(Busy, H264, Crf, 50, P1080),
        ];
    }
    let mut all = Vec::new();
    for kind in [Quiet, Weather, Mix, Busy] {
        for (codec, rate) in [(H264, Crf), (H264, Cbr), (H265, Crf), (H265, Cbr)] {
            for gop in [25, 50, 250] {
                all.extend([P576, P1080].map(|size| spec(kind, codec, rate, gop, size)));
            }
        }
    }
    all
}

/// A mix twice: the same goes on, with another noise of the sensor.
struct Takes {
    both: [Footage; 2],
    times: usize,
}

impl Takes {
    fn read(spec: &Spec, bench: &Bench) -> Result<Self> {
        let take = |noise| Spec { noise, ..*spec }.read(&bench.place);
        Ok(Self { both: [take(0)?, take(1)?], times: times(bench) })
    }

    /// Access units of all times that it is played.
    fn len(&self) -> usize {
        self.both[0].len() * self.times
    }

    fn unit(&self, index: usize) -> AccessUnit {
        unit(&self.both[index / self.both[0].len() % 2], index, gate_start())
    }

    /// Which time a moment belongs to.
    fn nth_time(&self, at: Timestamp) -> usize {
        let since = at.duration_since(gate_start()).as_secs_f64().max(0.0);
        ((since / self.both[0].duration().as_secs_f64()) as usize).min(LOOPS - 1)
    }
}

/// One zone event, as far as two runs can agree on it.
struct Seen {
    key: String,
    at: Timestamp,
    decided_at: Timestamp,
    /// Which time that the mix was played.
    nth_time: usize,
}

struct Played {
    events: Vec<Seen>,
    counts: OfflineCounts,
    evidence: &'static str,
}

fn play(bench: &Bench, footage: &Takes, gate: &str) -> Result<Played> {
    let state = tempfile::tempdir().context("no room for snapshots")?;
    let mut offline = offline(bench, gate, state.path())?;
    let mut events = Vec::new();
    for index in 0..footage.len() {
        if index % 25 == 0 {
            progress::check()?;
        }
        let decided = offline.push(footage.unit(index))?;
        let seen = |Decided { fact, decided_at }: &Decided| seen(fact, *decided_at, footage.nth_time(fact.at));
        events.extend(decided.iter().filter_map(seen));
    }
    // What is said to leave only because the footage ends is no finding.
    offline.finish();
    Ok(Played { events, counts: offline.counts(), evidence: offline.evidence().as_str() })
}

/// One camera on the bench's street, offline; its snapshots go to a folder.
pub fn offline(bench: &Bench, gate: &str, state: &Path) -> Result<Offline> {
    let cameras = rig::cameras(bench, &["rtsp://127.0.0.1/offline".to_owned()], &Watch::with_gate(gate))?;
    let camera = cameras.into_iter().next().context("no camera")?;
    let snapshots = SnapshotStore::new(state.to_owned(), SNAPSHOT_BYTES, Metrics::new(&Registry::new())?);
    Ok(Offline::new(camera, detector::load(bench)?, snapshots))
}

/// A fixed moment, so that runs agree.
fn gate_start() -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

/// The access unit at a place of the endless loop, taken at its due time.
pub fn unit(footage: &Footage, index: usize, start: Timestamp) -> AccessUnit {
    let (bytes, keyframe) = footage.access_unit(index);
    let since = Duration::from_secs(1) / footage::FPS * u32::try_from(index).unwrap_or(u32::MAX);
    AccessUnit {
        codec: coding(footage.codec()),
        keyframe,
        captured_at: start + since,
        lost_packets: 0,
        bytes: bytes.into(),
    }
}

fn coding(codec: simcam::Codec) -> Codec {
    match codec {
        simcam::Codec::H264 => Codec::H264,
        simcam::Codec::H265 => Codec::H265,
    }
}

fn seen(decided: &Fact, decided_at: Timestamp, nth_time: usize) -> Option<Seen> {
    let key = match &decided.payload {
        Payload::ZoneEntered(event) => format!("entered {} {:?}", event.zone, event.class),
        Payload::ZoneExited(event) => format!("exited {} {:?}", event.zone, event.class),
        Payload::ZoneDwelled(event) => format!("dwelled {} {:?}", event.zone, event.class),
        Payload::LineCrossed(event) => format!("crossed {} {:?} {:?}", event.line, event.class, event.direction),
        _ => return None,
    };
    Some(Seen { key, at: decided.at, decided_at, nth_time })
}

/// How a run's events agree with those of `always`.
struct Match {
    asked: usize,
    /// Events that `always` did not have.
    surplus: Vec<String>,
    missed: Vec<String>,
    /// Of each event found: how much later it was decided.
    delays_ms: Vec<f64>,
    /// The events by the time that they were played.
    loops: [Loops; LOOPS],
}

/// Events asked for and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Loops {
    asked: usize,
    found: usize,
}

impl Loops {
    fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        all.fold(Self::default(), |sum, of| Self { asked: sum.asked + of.asked, found: sum.found + of.found })
    }

    fn told(self) -> Value {
        let recall = (self.asked > 0).then(|| self.found as f64 / self.asked as f64);
        json!({ "events": self.asked, "found": self.found, "recall": recall })
    }
}

impl std::fmt::Display for Loops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} events", self.found, self.asked)
    }
}

impl Match {
    /// Pairs events of one kind and place, nearest first.
    fn of(wanted: &[Seen], found: &[Seen]) -> Self {
        let apart = |a: &Seen, b: &Seen| a.at.duration_since(b.at).as_secs_f64().abs();
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (nth, event) in wanted.iter().enumerate() {
            let near = found.iter().enumerate().filter(|(_, other)| other.key == event.key);
            pairs.extend(near.map(|(other, seen)| (apart(event, seen), nth, other)));
        }
        pairs.retain(|(apart, ..)| *apart <= SAME_WITHIN);
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut matched = vec![None; wanted.len()];
        let mut taken = vec![false; found.len()];
        for (_, nth, other) in pairs {
            if matched[nth].is_none() && !taken[other] {
                (matched[nth], taken[other]) = (Some(other), true);
            }
        }
        let later = |nth: usize, other: usize| {
            1000.0 * found[other].decided_at.duration_since(wanted[nth].decided_at).as_secs_f64()
        };
        let delays_ms = matched.iter().enumerate().filter_map(|(nth, other)| Some(later(nth, (*other)?))).collect();
        let mut loops = [Loops::default(); LOOPS];
        for (event, other) in wanted.iter().zip(&matched) {
            loops[event.nth_time].asked += 1;
            loops[event.nth_time].found += usize::from(other.is_some());
        }
        let told = |event: &Seen| format!("{} at {}", event.key, event.at);
        let missed = wanted.iter().zip(&matched).filter(|(_, other)| other.is_none()).map(|(event, _)| told(event));
        let surplus = found.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(event, _)| told(event));
        Self { asked: wanted.len(), surplus: surplus.collect(), missed: missed.collect(), delays_ms, loops }
    }

    /// `None` when `always` saw nothing either.
    fn recall(&self) -> Option<f64> {
        (self.asked > 0).then(|| self.delays_ms.len() as f64 / self.asked as f64)
    }

    fn told(&self, played: &Played, always: &Played) -> String {
        let delay = median(&self.delays_ms).map_or(String::new(), |delay| format!("  {delay:+.0} ms"));
        let later = Loops::sum(self.loops[1..].iter());
        let cost = played.working().as_secs_f64() / always.working().as_secs_f64().max(f64::MIN_POSITIVE);
        format!(
            "{:3} of {:3} events ({} and {later}){delay}  {:.0} % of the work  {} more",
            self.delays_ms.len(),
            self.asked,
            self.loops[0],
            100.0 * cost,
            self.surplus.len()
        )
    }
}

impl Played {
    fn working(&self) -> Duration {
        self.counts.decoding + self.counts.detecting
    }

    fn told(&self, found: Option<&Match>) -> Value {
        let OfflineCounts { n_units, n_streamed, n_stills, n_open, n_openings, .. } = self.counts;
        let OfflineCounts { n_analysed, n_detected, n_parts, .. } = self.counts;
        let seconds = n_units as f64 / f64::from(footage::FPS);
        let mut told = json!({
            "events": self.events.len(), "units": n_units, "streamed": n_streamed, "stills": n_stills,
            "analysed": n_analysed, "detected": n_detected, "detected_in_part": n_parts,
            "open_share": n_open as f64 / n_units.max(1) as f64, "openings": n_openings, "evidence": self.evidence,
            "decoding_cores": self.counts.decoding.as_secs_f64() / seconds,
            "detecting_cores": self.counts.detecting.as_secs_f64() / seconds,
        });
        if let Some(found) = found {
            told["found"] = json!(found.delays_ms.len());
            told["missed"] = json!(found.missed);
            told["surplus"] = json!(found.surplus);
            told["first_time"] = found.loops[0].told();
            told["later_times"] = Loops::sum(found.loops[1..].iter()).told();
            told["delays_ms"] = delays_told(&found.delays_ms);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(key: &str, at_ms: i64, decided_ms: i64) -> Seen {
        let time = |ms: i64| gate_start() + jiff::SignedDuration::from_millis(ms);
        let nth_time = usize::from(at_ms >= 5000);
        Seen { key: key.to_owned(), at: time(at_ms), decided_at: time(decided_ms), nth_time }
    }

    #[test]
    fn events_pair_once_by_kind_place_and_time() {
        let wanted = [seen("entered a", 0, 10), seen("entered a", 1000, 1010), seen("exited a", 9000, 9010)];
        let found = [seen("entered a", 1100, 1510), seen("entered b", 0, 0), seen("exited a", 12_001, 12_001)];
        let matched = Match::of(&wanted, &found);
        assert_eq!((matched.asked, matched.delays_ms.as_slice(), matched.surplus.len()), (3, &[500.0][..], 2));
        assert_eq!(matched.missed.len(), 2);
        let of = |asked, found| Loops { asked, found };
        assert_eq!(matched.loops, [of(2, 1), of(1, 0), of(0, 0)], "the first time apart from later ones");
        assert_eq!(Loops::sum(matched.loops.iter()), of(3, 1));
        assert!(matched.missed[0].starts_with("entered a at"), "{:?}", matched.missed);
    }

    #[test]
    fn nothing_to_find_is_no_recall() {
        assert_eq!(Match::of(&[], &[seen("entered a", 0, 0)]).recall(), None);
    }
}
