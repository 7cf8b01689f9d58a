//! Cameras per core beside the pipeline that users have today: the same simulated cameras, the same model, the same threads, in turns.
//!
//! On the busy street both sides are asked for every fifth of a second, and each is charged for the pictures that it analysed. On the quiet street the
//! gate asks for what is worth it, so ours is charged for its cameras' whole time, and what it drops takes the verdict away; the reference is charged for
//! what it analysed. Either way, falling behind makes nobody look cheaper or dearer.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Found;
use crate::{
    Bench,
    args::{CamerasArgs, Kind, Size},
    footage::{self, Spec},
    progress,
    reference::{Reference, Spent},
    rig::{Rig, Watch, Window},
    serve::Street,
};

/// Cameras on each side.
const CAMERAS: usize = 4;
/// Analysed frames a second on each side.
const FPS: f64 = 5.0;
/// Ours drops no larger share of the access units than this.
const MAX_DROPPED: f64 = 0.01;
/// On a busy street ours analyses at least this share of what is asked.
const MIN_ANALYSED: f64 = 0.95;

/// An error with its cure where the flags of `cameras` ask for a ratio that there is not.
pub fn check(args: &CamerasArgs) -> Result<()> {
    if args.urls.is_some() {
        bail!(
            "--reference needs simulated cameras, which play the same to both sides; leave --urls out, or --reference"
        );
    }
    match args.footage.kind {
        Kind::Quiet | Kind::Busy => Ok(()),
        Kind::Idle | Kind::Weather | Kind::Mix => {
            bail!(
                "only quiet and busy streets have a figure beside the reference; say --kind quiet or --kind busy, or leave --reference out"
            )
        }
    }
}

/// Measures both sides in turns on this kind of street.
pub fn run(bench: &Bench, kind: Kind) -> Result<Found> {
    let name = match kind {
        Kind::Busy => "cameras_busy_ratio",
        Kind::Quiet => "cameras_quiet_ratio",
        Kind::Idle | Kind::Weather | Kind::Mix => bail!("there is no ratio of this street"),
    };
    let spec = Spec::plain(kind, Size::P1080, &bench.common);
    spec.file(&bench.place)?;
    progress::say(&format!(
        "both sides watch {CAMERAS} cameras with {} at {} pictures/s, whatever other flags say; ours adaptive at {FPS} analysed/s",
        spec.name(),
        footage::FPS
    ));
    let (mut ratios, mut runs, mut about, mut doubts) = (Vec::new(), Vec::new(), Value::Null, Vec::new());
    for run in 1..=bench.common.runs() {
        let ours = Ours::of(&ours(bench, &spec)?, kind);
        let (spent, told) = reference(bench, &spec)?;
        about = told;
        // A reference that falls behind is charged only for what it analysed.
        let reference_each = (spent.ffmpeg + spent.python) / (spent.frames / FPS);
        let ratio = reference_each / ours.each;
        progress::say(&format!(
            "run {run}: ours {:.2} % of a core a camera, reference {:.2} %, ratio {ratio:.1}; ours analysed {:.1}/s and dropped {:.2} %",
            100.0 * ours.each,
            100.0 * reference_each,
            ours.analysed_per_s,
            100.0 * ours.dropped_share
        ));
        doubts.extend(ours.doubt(kind).map(|doubt| format!("run {run}: {doubt}")));
        ratios.push(ratio);
        let mut row = ours.told;
        row["ratio"] = json!(ratio);
        row["reference_cores_per_camera"] = json!(reference_each);
        row["reference_ffmpeg_cores"] = json!(spent.ffmpeg / (spent.frames / FPS));
        row["reference_python_cores"] = json!(spent.python / (spent.frames / FPS));
        row["reference_analysed_per_s"] = json!(spent.frames / length(bench, &spec).as_secs_f64());
        runs.push(row);
    }
    let counted = match kind {
        Kind::Busy => "each side's cores, by the pictures it analysed at 5 a second and camera",
        _ => {
            "ours: cores by cameras, dropped <= 1 %; reference: cores, by the pictures it analysed at 5 a second and camera"
        }
    };
    doubts.extend(Reference::doubt(&about));
    let details = json!({
        "footage": spec.name(), "cameras": CAMERAS, "pictures_per_s": footage::FPS, "fps": FPS, "gate": "adaptive", "counted": counted,
        "reference": about, "runs": runs,
    });
    let found = Found { details, ..Found::default() }.with(name, &ratios);
    Ok(if doubts.is_empty() { found } else { found.unproven(&doubts.join("; ")) })
}

/// What our side did and is charged for.
struct Ours {
    /// Cores of one camera.
    each: f64,
    analysed_per_s: f64,
    dropped_share: f64,
    told: Value,
}

impl Ours {
    fn of(window: &Window, kind: Kind) -> Self {
        let analysed_per_s = window.grew("xueliang_inferences_total", "") / window.seconds;
        let dropped = window.grew("xueliang_frames_dropped_total", "");
        let dropped_share = dropped / window.grew("xueliang_access_units_total", "").max(1.0);
        let charged_for = if kind == Kind::Busy { analysed_per_s / FPS } else { CAMERAS as f64 };
        let each = window.cores / charged_for;
        let told = json!({
            "ours_cores_per_camera": each, "ours_cores": window.cores, "ours_decisions_per_s": window.decisions(CAMERAS),
            "ours_threads": window.threads, "ours_analysed_per_s": analysed_per_s, "ours_dropped_share": dropped_share,
            "ours_decoded_per_s": window.grew("xueliang_frames_decoded_total", "") / window.seconds,
        });
        Self { each, analysed_per_s, dropped_share, told }
    }

    /// Why this says nothing of whether a goal is met.
    fn doubt(&self, kind: Kind) -> Option<String> {
        let asked = FPS * CAMERAS as f64;
        if self.dropped_share > MAX_DROPPED {
            Some(format!(
                "ours dropped {:.1} % of the access units; close what else runs on the box",
                100.0 * self.dropped_share
            ))
        } else if kind == Kind::Busy && self.analysed_per_s < MIN_ANALYSED * asked {
            Some(format!(
                "ours analysed {:.1} of {asked} a second; close what else runs on the box",
                self.analysed_per_s
            ))
        } else {
            None
        }
    }
}

/// Together the cameras play every part of the loop at least once in a window.
fn length(bench: &Bench, spec: &Spec) -> Duration {
    bench.common.window().max(Duration::from_secs(u64::from(spec.seconds)) / CAMERAS as u32)
}

fn ours(bench: &Bench, spec: &Spec) -> Result<Window> {
    let street = Street::start(&spec.file(&bench.place)?, spec.codec, CAMERAS)?;
    let rig = Rig::start(bench, &street.urls, &Watch { fps: FPS as f32, ..Watch::with_gate("adaptive") })?;
    rig.wait_until_live()?;
    progress::pause(spec.settling(&bench.common))?;
    let window = rig.window(length(bench, spec))?;
    let n_live = rig.n_live()?;
    ensure!(n_live == CAMERAS, "only {n_live} of {CAMERAS} cameras delivered to the end");
    Ok(window)
}

fn reference(bench: &Bench, spec: &Spec) -> Result<(Spent, Value)> {
    let street = Street::start(&spec.file(&bench.place)?, spec.codec, CAMERAS)?;
    let mut reference = Reference::pipeline(bench, &street.urls, spec.pixels())?;
    reference.wait_for_frames().context("the reference does not get its pictures")?;
    progress::pause(bench.common.warmup().min(Duration::from_secs(5)))?;
    let spent = reference.window(length(bench, spec))?;
    ensure!(spent.frames > 0.0, "the reference analysed nothing");
    Ok((spent, reference.about.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        args::{Coding, FootageArgs, Rate},
        rig::testing::window,
    };

    fn ours(analysed: f64, dropped: f64, kind: Kind) -> Ours {
        let counters = [
            ("xueliang_inferences_total a", analysed),
            ("xueliang_frames_dropped_total a decode", dropped),
            ("xueliang_access_units_total a", 1000.0),
        ];
        Ours::of(&window(10.0, &counters), kind)
    }

    #[test]
    fn on_a_busy_street_ours_is_charged_for_what_it_analysed_as_the_reference_is() {
        let (whole, half) = (ours(200.0, 0.0, Kind::Busy), ours(100.0, 500.0, Kind::Busy));
        assert_eq!((whole.each, whole.doubt(Kind::Busy)), (0.25, None));
        assert_eq!(half.each, 0.5, "half of the work for the same cores is twice as dear");
        assert!(half.doubt(Kind::Busy).unwrap().contains("50.0 %"));
        assert!(ours(180.0, 0.0, Kind::Busy).doubt(Kind::Busy).unwrap().contains("18.0 of 20 a second"));
    }

    #[test]
    fn on_a_quiet_street_ours_is_charged_for_its_cameras_and_may_drop_nothing() {
        let quiet = ours(20.0, 10.0, Kind::Quiet);
        assert_eq!((quiet.each, quiet.doubt(Kind::Quiet)), (0.25, None));
        assert!(ours(20.0, 11.0, Kind::Quiet).doubt(Kind::Quiet).is_some());
    }

    #[test]
    fn a_ratio_that_there_is_not_is_refused_with_a_cure() {
        let args = |kind, urls: Option<&str>| CamerasArgs {
            footage: FootageArgs { kind, codec: Coding::H264, size: Size::P1080, rate: Rate::Crf, gop: 50 },
            urls: urls.map(Into::into),
            ..CamerasArgs::usual()
        };
        assert!(check(&args(Kind::Quiet, None)).is_ok() && check(&args(Kind::Busy, None)).is_ok());
        for kind in [Kind::Idle, Kind::Weather, Kind::Mix] {
            assert!(check(&args(kind, None)).unwrap_err().to_string().contains("--kind quiet"), "{kind:?}");
        }
        assert!(check(&args(Kind::Quiet, Some("a.txt"))).unwrap_err().to_string().contains("leave --urls out"));
    }
}
