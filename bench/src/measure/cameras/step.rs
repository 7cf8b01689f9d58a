//! One number of cameras, judged: what was counted in a window of two halves, against the criterion. Pure.

use serde::Serialize;

use crate::{
    figure::quantile,
    rig::{Reading, Window},
};

/// Share of the asked analyses that must be done.
const MIN_ANALYSED: f64 = 0.95;
/// Seconds from capture to events that this share of the pictures of now may take.
const MAX_AGE: (f64, f64) = (1.0, 0.99);
/// What a gate had kept is late by its nature: it began at the keyframe before. Beyond the time between keyframes it may take so many seconds.
const CATCH_UP_SECONDS: f64 = 1.0;
/// Drops above this share are too many.
const MAX_DROPPED: f64 = 0.01;
/// From one half of the window to the next, the share of drops of a stage may grow by this.
const MAX_GROWTH: f64 = 0.005;
/// The criterion in words.
pub const CRITERION: &str = "all cameras deliver to the end; none waits for a decoder; analysed >= 95 % of the asked; p99 from capture to events <= 1 s for \
     pictures analysed as they come, and <= the time between keyframes + 1 s (rounded up to 1.5, 2, 3, 5 or 10 s) for those that a gate had kept; drops <= 1 % \
     of the access units, and of no stage more in the second half of the window than in the first, but for 0.5 %; what is refused is tried twice";

/// What was asked of the cameras.
pub struct Asked<'a> {
    /// The gate's policy.
    pub gate: &'a str,
    /// Frames analysed a second.
    pub fps: f64,
    /// Seconds between keyframes.
    pub keyframes_every_s: f64,
}

/// One number of cameras, tried.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Step {
    /// How many.
    pub cameras: usize,
    /// Whether the criterion held.
    pub carried: bool,
    /// If not, why.
    pub why: String,
    analysed_per_s: f64,
    /// Of what was asked: by the flags under `always`, by the gate under the others.
    analysed_share: f64,
    dropped_share: f64,
    /// Keyframes that were all that was analysed of a camera whose gate should have been open.
    starved_keyframes: f64,
    /// Share of the pictures analysed as they came whose events were out within a second.
    in_time_share: Option<f64>,
    /// Within so many seconds 99 of 100 pictures were analysed that a gate had kept.
    catch_up_p99_s: Option<f64>,
    catch_up_bound_s: f64,
    /// Of all events, those of pictures that a gate had kept included.
    p50_s: Option<f64>,
    p99_s: Option<f64>,
    n_events: usize,
    /// Cores of this program.
    pub cores: f64,
    /// Cores of the simulated cameras.
    pub simulator_cores: Option<f64>,
    /// Memory of this program.
    pub memory_mb: f64,
}

impl Step {
    /// Cameras that did not even all play.
    pub fn refused(cameras: usize, why: String) -> Self {
        Self { cameras, why, ..Self::default() }
    }

    /// Judges what was read before, half-way and after; `n_live` cameras deliver at the end.
    pub fn judge(cameras: usize, n_live: usize, readings: &[Reading; 3], latencies: &[f32], asked: &Asked) -> Self {
        let [before, between, after] = readings;
        let (window, halves) = (after.since(before), [between.since(before), after.since(between)]);
        let ages: Vec<f64> = latencies.iter().map(|age| f64::from(*age)).collect();
        let mut step = Self {
            cameras,
            analysed_per_s: window.grew("xueliang_inferences_total", "") / window.seconds,
            analysed_share: analysed_share(cameras, &window, asked),
            dropped_share: window.grew("xueliang_frames_dropped_total", "") / units(&window),
            starved_keyframes: starved(&window, asked.gate),
            in_time_share: window.share_within("xueliang_picture_age_seconds", "live", MAX_AGE.0),
            catch_up_p99_s: window.kept_to("xueliang_picture_age_seconds", "catch_up", MAX_AGE.1),
            catch_up_bound_s: catch_up_bound(asked.keyframes_every_s),
            p50_s: quantile(&ages, 0.5),
            p99_s: quantile(&ages, 0.99),
            n_events: latencies.len(),
            cores: window.cores,
            ..Self::default()
        };
        step.why = step.fault(n_live, &halves).unwrap_or_default();
        step.carried = step.why.is_empty();
        step
    }

    /// What breaks the criterion.
    fn fault(&self, n_live: usize, halves: &[Window; 2]) -> Option<String> {
        let late = self.in_time_share.filter(|share| *share < MAX_AGE.1).map(|share| 1.0 - share);
        let late_catch_up = self.catch_up_p99_s.filter(|p99| *p99 > self.catch_up_bound_s);
        if n_live < self.cameras {
            Some(format!("only {n_live} deliver at the end"))
        } else if self.starved_keyframes > 0.0 {
            Some("a camera waited for a decoder; raise ingest.stream_decoders".to_owned())
        } else if self.analysed_share < MIN_ANALYSED {
            Some(format!("only {:.0} % of the asked were analysed", 100.0 * self.analysed_share))
        } else if let Some(late) = late {
            Some(format!("{:.1} % of the pictures took more than a second to their events", 100.0 * late))
        } else if late_catch_up.is_some() {
            let bound = self.catch_up_bound_s;
            Some(format!("more than 1 % of the pictures that a gate had kept took more than {bound} s to their events"))
        } else if self.dropped_share > MAX_DROPPED {
            Some(format!("{:.1} % of the access units were dropped", 100.0 * self.dropped_share))
        } else {
            let stages = [("decode", "decoding"), ("detect", "detection")];
            let growing = stages.into_iter().find(|(stage, _)| grows(halves, stage));
            growing.map(|(_, words)| format!("ever more is dropped before {words}"))
        }
    }

    /// One line of progress.
    pub fn told(&self) -> String {
        let Self { cameras, cores, analysed_per_s, .. } = self;
        let verdict = if self.carried { "carried".to_owned() } else { format!("too many: {}", self.why) };
        let p99 = self.p99_s.map_or("no events".to_owned(), |p99| format!("p99 {:.0} ms", 1000.0 * p99));
        let simulator = self.simulator_cores.map_or(String::new(), |cores| format!(" (simulator {cores:.2})"));
        format!("{cameras:4} cameras  {cores:.2} cores{simulator}  {analysed_per_s:.1} analysed/s  {p99}  {verdict}")
    }
}

fn units(window: &Window) -> f64 {
    window.grew("xueliang_access_units_total", "").max(1.0)
}

/// Analysed pictures by those asked for. `always` asks for all that the flags say; other gates for what they let through: what was analysed, what was dropped
/// before detection, and of what was dropped before decoding as many as would have been analysed of it.
fn analysed_share(cameras: usize, window: &Window, asked: &Asked) -> f64 {
    let analysed = window.grew("xueliang_inferences_total", "");
    let before_detection = window.grew("xueliang_frames_dropped_total", "detect");
    let before_decoding = window.grew("xueliang_frames_dropped_total", "decode");
    let fps_of_source = units(window) / window.seconds / cameras as f64;
    let analysed_of_each = (asked.fps / fps_of_source.max(1.0)).min(1.0);
    let let_through = analysed + before_detection + before_decoding * analysed_of_each;
    let by_the_flags = if asked.gate == "always" { cameras as f64 * asked.fps * window.seconds } else { 0.0 };
    let all = let_through.max(by_the_flags);
    if all > 0.0 { analysed / all } else { 1.0 }
}

/// A gate that decodes keyframes alone for analysis, though it would open, has no decoder; `keyframes` never opens.
fn starved(window: &Window, gate: &str) -> f64 {
    if gate == "keyframes" { 0.0 } else { window.grew("xueliang_gate_decisions_total", " still") }
}

/// The bound for pictures that a gate had kept: the next that ages are counted by.
fn catch_up_bound(keyframes_every_s: f64) -> f64 {
    let counted_by = [1.0, 1.5, 2.0, 3.0, 5.0, 10.0];
    let wanted = keyframes_every_s + CATCH_UP_SECONDS;
    counted_by.into_iter().find(|bound| *bound >= wanted).unwrap_or(f64::INFINITY)
}

fn grows(halves: &[Window; 2], stage: &str) -> bool {
    let [first, second] = halves.each_ref().map(|half| {
        let dropped = half.grew("xueliang_frames_dropped_total", stage);
        // What is dropped before detection is one picture in several access units.
        let of = if stage == "detect" { dropped + half.grew("xueliang_inferences_total", "") } else { units(half) };
        dropped / of.max(1.0)
    });
    second > first + MAX_GROWTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::testing::reading;

    const ASKED: Asked = Asked { gate: "adaptive", fps: 5.0, keyframes_every_s: 2.0 };

    /// Four cameras of 25 pictures a second, read every ten seconds; what `change` adds is added to each reading by its place.
    fn judged(asked: &Asked, n_live: usize, change: impl Fn(f64) -> Vec<(&'static str, f64)>) -> Step {
        let readings = [0.0, 1.0, 2.0].map(|nth| {
            let mut counters = vec![
                ("xueliang_access_units_total a", 1000.0 * nth),
                ("xueliang_inferences_total a", 200.0 * nth),
                ("xueliang_picture_age_seconds_count live", 200.0 * nth),
                ("xueliang_picture_age_seconds_le_1.0 live", 200.0 * nth),
            ];
            counters.extend(change(nth));
            reading(10.0 * nth, &counters)
        });
        Step::judge(4, n_live, &readings, &[0.2, 0.4], asked)
    }

    fn check(step: &Step, expected: &str) {
        assert!(!step.carried && step.why.contains(expected), "{step:?}");
    }

    #[test]
    fn cameras_that_are_analysed_in_time_are_carried() {
        let step = judged(&ASKED, 4, |_| Vec::new());
        assert!(step.carried && step.why.is_empty(), "{step:?}");
        assert_eq!((step.analysed_per_s, step.analysed_share, step.in_time_share), (20.0, 1.0, Some(1.0)));
    }

    #[test]
    fn a_camera_that_ended_or_waits_for_a_decoder_is_not_carried() {
        check(&judged(&ASKED, 3, |_| Vec::new()), "only 3 deliver");
        let starved =
            |nth| vec![("xueliang_gate_decisions_total a still", nth), ("xueliang_gate_decisions_total a check", nth)];
        check(&judged(&ASKED, 4, starved), "waited for a decoder");
        let checks = |nth| vec![("xueliang_gate_decisions_total a check", nth)];
        assert!(judged(&ASKED, 4, checks).carried);
        assert!(judged(&Asked { gate: "keyframes", ..ASKED }, 4, starved).carried);
    }

    #[test]
    fn what_a_gate_let_through_and_was_not_analysed_counts() {
        let dropped = |nth| vec![("xueliang_frames_dropped_total a detect", 20.0 * nth)];
        check(&judged(&ASKED, 4, dropped), "only 91 %");
        let before_decoding = |nth| vec![("xueliang_frames_dropped_total a decode", 100.0 * nth)];
        check(&judged(&ASKED, 4, before_decoding), "only 91 %");
        check(&judged(&Asked { gate: "always", fps: 10.0, ..ASKED }, 4, |_| Vec::new()), "only 50 %");
    }

    #[test]
    fn late_pictures_of_now_and_late_pictures_that_were_kept_are_judged_apart() {
        let late = |nth| vec![("xueliang_picture_age_seconds_count live", 210.0 * nth)];
        check(&judged(&ASKED, 4, late), "more than a second");
        let kept = |within: &'static str| {
            move |nth: f64| {
                vec![
                    ("xueliang_picture_age_seconds_count catch_up", 100.0 * nth),
                    ("xueliang_picture_age_seconds_le_2.0 catch_up", 90.0 * nth),
                    (within, 100.0 * nth),
                ]
            }
        };
        let step = judged(&ASKED, 4, kept("xueliang_picture_age_seconds_le_3.0 catch_up"));
        assert!(step.carried && step.catch_up_p99_s == Some(3.0), "{step:?}");
        check(&judged(&ASKED, 4, kept("xueliang_picture_age_seconds_le_5.0 catch_up")), "a gate had kept");
        let long = Asked { keyframes_every_s: 4.0, ..ASKED };
        assert!(judged(&long, 4, kept("xueliang_picture_age_seconds_le_5.0 catch_up")).carried);
    }

    #[test]
    fn drops_may_be_few_and_must_not_grow() {
        let dropped = |stage: &'static str, shares: [f64; 3]| move |nth: f64| vec![(stage, shares[nth as usize])];
        let decode = "xueliang_frames_dropped_total a decode";
        assert!(judged(&ASKED, 4, dropped(decode, [0.0, 8.0, 16.0])).carried);
        check(&judged(&ASKED, 4, dropped(decode, [0.0, 12.0, 24.0])), "1.2 % of the access units");
        check(&judged(&ASKED, 4, dropped(decode, [0.0, 2.0, 12.0])), "before decoding");
        check(
            &judged(&ASKED, 4, dropped("xueliang_frames_dropped_total a detect", [0.0, 1.0, 6.0])),
            "before detection",
        );
    }

    #[test]
    fn cameras_that_never_played_are_refused_with_the_cause() {
        let step = Step::refused(9, "3 of 9 cameras deliver".to_owned());
        assert!(step.told().contains("too many: 3 of 9"), "{}", step.told());
    }
}
