//! What `xueliang bench` is told: what to measure, on what footage, with which model, and where the report goes.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Most sessions that can be asked for.
pub const MOST_SESSIONS: u32 = 100_000;

/// Measures what this box carries and where its time goes.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub what: What,
    /// How to measure.
    #[command(flatten)]
    pub common: Common,
}

const EXAMPLES: &str = "\
Examples:
  xueliang bench all --quick                          a first look in several minutes
  xueliang bench all --reference --json box.json --html box.html
                                                      everything, beside the pipeline that users have today
  xueliang bench cameras --kind quiet --size 1080p    how many mostly quiet 1080p cameras this box carries
  xueliang bench cameras --urls cameras.txt --authorization permits.toml --user admin --password-file pw
                                                      the same with your own cameras, one RTSP address a line
  xueliang bench sessions --sessions 1000             sessions without decoding: memory, processor, jitter
  xueliang bench bus --brokers kafka:9092 --topic-prefix bench.
                                                      events a second through the outbox into Kafka, in topics of their own
  xueliang bench alerting --postgres /run/postgresql:5432
                                                      events a second into incidents, on both stores; latency and lists
  xueliang bench compare before.json after.json       two reports side by side

Footage is made once by ffmpeg and kept (--footage-dir). The model, its weights and ONNX Runtime are looked for where
./check and ./demo put them (XUELIANG_CACHE, else .cache); elsewhere say --model, --weights and --onnxruntime.
Other work on the box makes noise: trust ratios, which are taken in pairs, more than absolute numbers.";

/// The measurements.
#[derive(Subcommand, Clone, Debug)]
pub enum What {
    /// Find how many cameras of a kind this box carries: the analysed rate, the latency and the drops must hold.
    Cameras(CamerasArgs),
    /// Play the same footage under always, keyframes and adaptive: events found and missed, delay, processor time.
    Gate(GateArgs),
    /// Frames a second through the detector, beside Python ONNX Runtime.
    Detector,
    /// Precision, recall, MOTA and IDF1 of detector and tracker against boxes that were set by eye.
    Accuracy,
    /// Where the time goes: each stage of busy cameras, and an idle camera beside demuxing only.
    Pipeline,
    /// Events a second through the outbox, into Kafka or to alerting in the same process.
    Bus(BusArgs),
    /// Events into incidents and their effects, on SQLite and PostgreSQL; how soon they are seen; lists over a large store.
    Alerting(AlertingArgs),
    /// Sessions pulled without decoding: memory, processor, jitter.
    Sessions(SessionsArgs),
    /// Memory over long footage time, played as fast as the box can.
    Memory(MemoryArgs),
    /// All of the above.
    All,
    /// Two reports (--json) side by side.
    Compare {
        /// The first report.
        a: PathBuf,
        /// The second report.
        b: PathBuf,
    },
    /// Play footage as RTSP cameras until standard input closes; the bench starts this itself.
    #[command(hide = true)]
    Serve(ServeArgs),
    /// Pull cameras and tell what it costs; the bench starts this itself.
    #[command(hide = true)]
    Pull(PullArgs),
    /// Play footage through one camera's pipeline and tell the memory; the bench starts this itself.
    #[command(hide = true)]
    Soak(SoakArgs),
}

impl What {
    /// Whether it looks at pictures.
    pub fn needs_model(&self) -> bool {
        !matches!(self, What::Alerting(_) | What::Bus(_) | What::Compare { .. } | What::Serve(_) | What::Sessions(_))
    }
}

/// Flags of every measurement.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Short windows, few runs, small footage: a first look, not a verdict.
    #[arg(long, global = true)]
    pub quick: bool,
    /// Every combination of codec, rate control, keyframe interval and size. Takes hours.
    #[arg(long, global = true, conflicts_with = "quick")]
    pub thorough: bool,
    /// Also run the pipeline users have today: ffmpeg at 5 fps, 640 pixels wide, into Python ONNX Runtime. Of `cameras` on quiet and busy streets
    /// only; both sides then watch 4 cameras with H.264 at 1080p, whatever --size, --codec, --rate, --gop, --fps and --gate say.
    #[arg(long, global = true)]
    pub reference: bool,
    /// Runs of each figure; its value is their median [default: 5, quick: 1].
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: Option<u32>,
    /// Length of each measured window [default: 30, quick: 5].
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub window: Option<u64>,
    /// Time to settle before each window [default: 20, quick: 4].
    #[arg(long, global = true, value_name = "SECONDS")]
    pub warmup: Option<u64>,
    /// Write the report as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one HTML file with plots.
    #[arg(long, global = true, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The model's manifest [default: models/yolox_nano.toml of the checkout].
    #[arg(long, global = true, value_name = "FILE", env = "XUELIANG_BENCH_MODEL")]
    pub model: Option<PathBuf>,
    /// The folder with the model's weights [default: models in the cache].
    #[arg(long, global = true, value_name = "FOLDER", env = "XUELIANG_BENCH_WEIGHTS")]
    pub weights: Option<PathBuf>,
    /// ONNX Runtime's shared library [default: ORT_DYLIB_PATH, then the cache's].
    #[arg(long, global = true, value_name = "FILE", env = "XUELIANG_ONNXRUNTIME")]
    pub onnxruntime: Option<PathBuf>,
    /// Execution provider.
    #[arg(long, global = true, default_value = "cpu", value_parser = ["cpu", "openvino", "cuda", "tensorrt"])]
    pub provider: String,
    /// Threads of one inference, ours and the reference's.
    #[arg(long, global = true, default_value_t = 1)]
    pub threads: usize,
    /// Python with numpy, onnxruntime and opencv, for the reference [default: bench-python in the cache, which deploy/dev/install.sh bench makes; else
    /// PYTHON, the cache's, python3].
    #[arg(long, global = true, value_name = "FILE")]
    pub python: Option<PathBuf>,
    /// Where footage is kept [default: bench in the cache].
    #[arg(long, global = true, value_name = "FOLDER")]
    pub footage_dir: Option<PathBuf>,
}

impl Common {
    /// Runs of each figure.
    pub fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// Seconds of a measured window.
    pub fn window(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.window.unwrap_or(if self.quick { 5 } else { 30 }))
    }

    /// Seconds to settle before it.
    pub fn warmup(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.warmup.unwrap_or(if self.quick { 4 } else { 20 }))
    }
}

/// Which footage.
#[derive(Args, Clone, Debug)]
pub struct FootageArgs {
    /// What goes on in the picture.
    #[arg(long, value_enum, default_value_t = Kind::Quiet)]
    pub kind: Kind,
    /// Coding.
    #[arg(long, value_enum, default_value_t = Coding::H264)]
    pub codec: Coding,
    /// Size.
    #[arg(long, value_enum, default_value_t = Size::P1080)]
    pub size: Size,
    /// Rate control.
    #[arg(long, value_enum, default_value_t = Rate::Crf)]
    pub rate: Rate,
    /// Pictures from keyframe to keyframe.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=250))]
    pub gop: u32,
}

/// What goes on in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Kind {
    /// An empty street: sensor noise and flicker only.
    Idle,
    /// 90 % of the time nothing, now and then one walker.
    Quiet,
    /// One walker each on a calm street, in rain, among headlights, before swaying trees, and at night.
    Weather,
    /// Quiet stretches, single walkers, and a busy hour.
    Mix,
    /// The busy street, all the time.
    Busy,
}

/// Coding of the footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Coding {
    /// H.264.
    H264,
    /// H.265.
    H265,
}

/// Rate control of the footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Rate {
    /// Constant quality: sizes follow what happens.
    Crf,
    /// Strictly constant bit rate: sizes say nothing.
    Cbr,
}

/// Size of the footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Size {
    /// 768×576.
    #[value(name = "576p")]
    P576,
    /// 1920×1080.
    #[value(name = "1080p")]
    P1080,
}

/// Flags of `cameras`.
#[derive(Args, Clone, Debug)]
pub struct CamerasArgs {
    /// Which footage.
    #[command(flatten)]
    pub footage: FootageArgs,
    /// What is decoded: what the gate finds worth it, everything, or keyframes.
    #[arg(long, default_value = "adaptive", value_parser = ["adaptive", "always", "keyframes"])]
    pub gate: String,
    /// Frames analysed a second.
    #[arg(long, default_value_t = 5.0)]
    pub fps: f32,
    /// Cameras to begin with.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub start: u32,
    /// Cameras to stop at.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    pub max: u32,
    /// RTSP addresses, one a line, instead of simulated cameras.
    #[arg(long, value_name = "FILE")]
    pub urls: Option<PathBuf>,
    /// What lets the cameras of --urls be pulled: the keys of `[camera.authorization]` in a settings file, one a line.
    #[arg(long, value_name = "FILE")]
    pub authorization: Option<PathBuf>,
    /// User name for --urls.
    #[arg(long, requires = "password_file")]
    pub user: Option<String>,
    /// File whose first line is the password for --urls.
    #[arg(long, requires = "user")]
    pub password_file: Option<PathBuf>,
}

impl CamerasArgs {
    /// What `all` measures: mostly quiet 1080p cameras.
    pub fn usual() -> Self {
        Self {
            footage: FootageArgs {
                kind: Kind::Quiet,
                codec: Coding::H264,
                size: Size::P1080,
                rate: Rate::Crf,
                gop: 50,
            },
            gate: "adaptive".to_owned(),
            fps: 5.0,
            start: 4,
            max: 512,
            urls: None,
            authorization: None,
            user: None,
            password_file: None,
        }
    }
}

/// Flags of `gate`.
#[derive(Args, Clone, Debug, Default)]
pub struct GateArgs {
    /// Only this kind of footage.
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
}

/// Flags of `bus`.
#[derive(Args, Clone, Debug, Default)]
pub struct BusArgs {
    /// Kafka's bootstrap servers; without them events go to a reader in the same process.
    #[arg(long)]
    pub brokers: Option<String>,
    /// What stands before the names of the topics that --brokers writes into, such as bench. ; the events are made up, and nobody should take them for real.
    #[arg(long, value_name = "PREFIX", requires = "brokers")]
    pub topic_prefix: Option<String>,
    /// Events of each run [default: 50000, quick: 5000].
    #[arg(long)]
    pub events: Option<u32>,
}

/// Flags of `alerting`.
#[derive(Args, Clone, Debug, Default)]
pub struct AlertingArgs {
    /// Events of each run [default: 200000, quick: 10000].
    #[arg(long)]
    pub events: Option<usize>,
    /// Stored incidents that lists go over [default: 1000000, quick: 20000].
    #[arg(long)]
    pub incidents: Option<u64>,
    /// A PostgreSQL server on this machine, whose user postgres may make databases: its socket's folder or address, and its port. Without it only
    /// SQLite is measured.
    #[arg(long, value_name = "HOST:PORT")]
    pub postgres: Option<String>,
}

/// Flags of `sessions`.
#[derive(Args, Clone, Debug, Default)]
pub struct SessionsArgs {
    /// Sessions at once [default: 100, quick: 20].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_SESSIONS)))]
    pub sessions: Option<u32>,
}

/// Flags of `memory`.
#[derive(Args, Clone, Debug, Default)]
pub struct MemoryArgs {
    /// Footage time of each run, hours; only 24 or more say whether the goal is met [default: 1, quick: 0.05, thorough: 24].
    #[arg(long)]
    pub hours: Option<f64>,
}

/// Flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// MP4 file to play.
    #[arg(long)]
    pub file: PathBuf,
    /// Its coding.
    #[arg(long, value_enum)]
    pub codec: Coding,
    /// Cameras to play it as.
    #[arg(long)]
    pub cameras: usize,
}

/// Flags of `pull`.
#[derive(Args, Clone, Debug)]
pub struct PullArgs {
    /// RTSP addresses, one a line.
    #[arg(long)]
    pub urls: PathBuf,
    /// Settle so long before the measured window.
    #[arg(long)]
    pub settle: u64,
    /// The measured window.
    #[arg(long)]
    pub seconds: u64,
    /// Run a whole worker with this gate; without it access units are pulled and dropped.
    #[arg(long)]
    pub gate: Option<String>,
}

/// Flags of `soak`.
#[derive(Args, Clone, Debug)]
pub struct SoakArgs {
    /// MP4 file to play over and over.
    #[arg(long)]
    pub file: PathBuf,
    /// Its coding.
    #[arg(long, value_enum)]
    pub codec: Coding,
    /// Footage time to play.
    #[arg(long)]
    pub hours: f64,
}
