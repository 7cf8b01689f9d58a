//! The `[ingest]` table and the cameras, read once into typed values.
//!
//! Cameras stand as `[[camera]]` in the same file or in any `*.toml` of the folder that `cameras` names beside it. All mistakes of
//! all files are reported together.

mod authorization;
mod camera;
mod defaults;
mod intake;
mod json;
mod networks;
mod originals;
mod sensor;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use xueliang_events::CAMERAS_TOPIC;
use xueliang_inference::SessionSettings;
use xueliang_settings::{AllowedEndpoints, Document, Mistake, Mistakes, Reader};

use crate::{
    decode::{DecoderSettings, Engine, SkipLoopFilter},
    registry::RegistrySettings,
};

pub use authorization::Inherited;
pub use camera::{CameraSettings, Credentials, GatePolicy, StreamTransport, SubStream, SubStreamUse};
pub use defaults::{CameraDefaults, ImportDefaults};
pub use intake::{BrokerSettings, IntakeSettings, PushSettings};
pub use json::{read_json_camera, without_place};
pub use networks::DeclaredNetworks;
pub use originals::SealedOriginals;
pub use sensor::{SensorGroup, SensorSettings, SensorShape, TopicWay};

/// Where the model and the runtime that executes it are.
#[derive(Debug, Clone)]
pub struct ModelSettings {
    /// The manifest (TOML) that names the model.
    pub manifest: PathBuf,
    /// The id of the impact assessment that permits it (RULES P30).
    pub assessment: String,
    /// The folder with the weights.
    pub folder: PathBuf,
    /// The ONNX Runtime shared library; without it `ORT_DYLIB_PATH`, then the system's search path.
    pub onnxruntime: Option<PathBuf>,
    /// Execution providers in order of preference, and threads.
    pub session: SessionSettings,
}

/// How a worker runs.
#[derive(Debug, Clone)]
pub struct IngestSettings {
    /// Outbox and snapshots live here.
    pub data_dir: PathBuf,
    /// Where a worker that runs alone answers `/healthz`, `/readyz` and `/metrics`.
    pub listen: SocketAddr,
    /// The model.
    pub model: ModelSettings,
    /// Threads that detect, each with its own session of the model.
    pub n_detectors: usize,
    /// Threads that decode.
    pub n_decode_threads: usize,
    /// Decoders that active cameras may lease at once.
    pub n_stream_decoders: usize,
    /// How pictures are decoded.
    pub decoder: DecoderSettings,
    /// A connected camera that delivers nothing for so long is stalled.
    pub stall_after: Duration,
    /// Time for a camera to answer each step of the connection.
    pub connect_timeout: Duration,
    /// The outbox's bound on disk, bytes.
    pub outbox_bytes: u64,
    /// The snapshot folder's bound, bytes.
    pub snapshot_bytes: u64,
    /// To whom originals are sealed, and for how long; `None`: there are none.
    pub sealed_originals: Option<SealedOriginals>,
    /// Kafka's bootstrap servers, `host:port`, several with commas; `None`: events go to alerting in this process.
    pub brokers: Option<String>,
    /// The registry that the city's cameras come from, if any.
    pub registry: Option<RegistrySettings>,
    /// What lets a client change the cameras by API; `None`: there is no such API.
    pub api: Option<ApiToken>,
    /// What holds for all cameras beside what is written of each.
    pub camera_defaults: CameraDefaults,
    /// The cameras that run from start to end.
    pub cameras: Vec<CameraSettings>,
    /// Where the cameras stand that may change while the worker runs.
    pub camera_files: Option<CameraFiles>,
    /// The sensors and the ways by which their readings come.
    pub intake: IntakeSettings,
}

/// A secret that a client of the API must know.
#[derive(Clone)]
pub struct ApiToken(String);

impl ApiToken {
    /// True for the same token; takes as long for any other of the same length.
    pub fn is(&self, given: &str) -> bool {
        let differs = self.0.bytes().zip(given.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
        self.0.len() == given.len() && differs == 0
    }
}

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiToken(…)")
    }
}

/// The files that cameras stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraFiles {
    /// The settings file itself.
    pub settings: PathBuf,
    /// The folder that it names for more.
    pub folder: Option<PathBuf>,
}

impl IngestSettings {
    /// Reads `[ingest]` and `[[camera]]` of the file that `root` stands on; any mistake in a camera refuses the whole.
    pub fn read(root: &mut Reader<'_>) -> Option<Self> {
        let settings = Self::read_worker(root);
        let defaults = settings.as_ref().map(|settings| settings.camera_defaults.clone()).unwrap_or_default();
        let cameras = read_cameras(root, &defaults);
        settings.map(|settings| Self { cameras, ..settings })
    }

    /// Reads `[ingest]` and leaves the cameras to the fleet, for which a bad row is one bad camera.
    pub fn read_worker(root: &mut Reader<'_>) -> Option<Self> {
        root.ignore("camera");
        let base = root.file().parent().map(Path::to_owned).unwrap_or_default();
        let mut ingest = root.section("ingest");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let data_dir = ingest.required::<PathBuf>("data_dir");
        let listen = read_listen(&mut ingest);
        let model = read_model(&mut ingest, &base);
        let n_detectors = positive(&mut ingest, "detectors", 1);
        let n_decode_threads = positive(&mut ingest, "decode_threads", cores.div_ceil(2));
        let n_stream_decoders = positive(&mut ingest, "stream_decoders", 16 * cores);
        let decoder = read_decoder(&mut ingest);
        let stall_after = ingest.or("stall_after", Duration::from_secs(10));
        let connect_timeout = ingest.or("connect_timeout", Duration::from_secs(10));
        let outbox_bytes = ingest.or("outbox_bytes", 2 << 30);
        let snapshot_bytes = ingest.or("snapshot_bytes", 1 << 30);
        let sealed_originals = SealedOriginals::read(&mut ingest);
        let allowed = AllowedEndpoints::read(&mut ingest);
        let brokers = read_brokers(&mut ingest, &allowed);
        let camera_defaults = CameraDefaults::read(&mut ingest);
        let registry = read_registry(&mut ingest, (brokers.as_deref(), listen), &camera_defaults);
        let api = read_api(&mut ingest, &base);
        let folder = ingest.optional::<PathBuf>("cameras").map(|folder| base.join(folder));
        let intake = IntakeSettings::read(root, &mut ingest, &allowed);
        ingest.finish();
        Some(Self {
            data_dir: base.join(data_dir?),
            listen: listen?,
            model: model?,
            n_detectors: n_detectors?,
            n_decode_threads: n_decode_threads?,
            n_stream_decoders: n_stream_decoders?,
            decoder,
            stall_after,
            connect_timeout,
            outbox_bytes,
            snapshot_bytes,
            sealed_originals,
            brokers,
            registry,
            api,
            camera_defaults,
            cameras: Vec::new(),
            camera_files: Some(CameraFiles { settings: root.file().to_owned(), folder }),
            intake,
        })
    }

    /// Adds the cameras of the folder and checks all cameras against each other; none of them changes afterwards.
    pub fn with_camera_files(mut self) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let folder = self.camera_files.take().and_then(|files| files.folder);
        let files = folder.as_deref().map(|folder| {
            list_toml(folder).unwrap_or_else(|mistake| {
                mistakes.push(mistake);
                Vec::new()
            })
        });
        for file in files.unwrap_or_default() {
            match Document::load(&file)
                .and_then(|document| document.read(|root| Some(read_cameras(root, &self.camera_defaults))))
            {
                Ok(cameras) => self.cameras.extend(cameras),
                Err(more) => mistakes.extend(more.0),
            }
        }
        refuse_repeated_ids(&self.cameras, &mut mistakes);
        if mistakes.is_empty() { Ok(self) } else { Err(Mistakes(mistakes)) }
    }
}

fn read_cameras(root: &mut Reader<'_>, defaults: &CameraDefaults) -> Vec<CameraSettings> {
    let mut sections = root.sections("camera");
    sections.iter_mut().filter_map(|camera| CameraSettings::read(camera, defaults)).collect()
}

fn read_listen(ingest: &mut Reader<'_>) -> Option<SocketAddr> {
    if ingest.has("listen") {
        ingest.required_text("listen")
    } else {
        ingest.optional::<String>("listen");
        Some(SocketAddr::from(([127, 0, 0, 1], 8601)))
    }
}

fn read_model(ingest: &mut Reader<'_>, base: &Path) -> Option<ModelSettings> {
    let mut model = ingest.section("model");
    let manifest = model.required::<PathBuf>("manifest");
    let assessment = read_assessment(&mut model);
    let folder = model.required::<PathBuf>("folder");
    let onnxruntime = model.optional::<PathBuf>("onnxruntime").map(|library| base.join(library));
    let defaults = SessionSettings::default();
    let providers = if model.has("providers") { model.texts("providers") } else { defaults.providers };
    let session = SessionSettings {
        providers,
        require: model.or("require", defaults.require),
        intra_threads: model.or("threads", defaults.intra_threads),
    };
    model.finish();
    let (manifest, folder) = (base.join(manifest?), base.join(folder?));
    Some(ModelSettings { manifest, assessment: assessment?, folder, onnxruntime, session })
}

/// Without it no model looks at anybody.
fn read_assessment(model: &mut Reader<'_>) -> Option<String> {
    let assessment: Option<String> = model.optional("assessment");
    let assessment = assessment.filter(|id| !id.trim().is_empty());
    if assessment.is_none() {
        let cure = "add assessment = \"…\": the id of the model's impact assessment; another model needs another";
        model.refuse("assessment", "is missing, and no model is run without it", cure);
    }
    assessment
}

fn read_decoder(ingest: &mut Reader<'_>) -> DecoderSettings {
    let engines = [("libav", Engine::Libav), ("va", Engine::Va), ("nvdec", Engine::Nvdec), ("v4l2", Engine::V4l2)];
    let filters = [
        ("none", SkipLoopFilter::None),
        ("nonref", SkipLoopFilter::NonReference),
        ("nonkey", SkipLoopFilter::NonKey),
        ("all", SkipLoopFilter::All),
    ];
    let engine = ingest.choice("decoder", &engines).unwrap_or_default();
    if engine != Engine::Libav && ingest.has("skip_loop_filter") {
        ingest.refuse("skip_loop_filter", "only libav can leave out the loop filter", "leave one of the two out");
    }
    let skip_loop_filter = ingest.choice("skip_loop_filter", &filters).unwrap_or_default();
    DecoderSettings { engine, skip_loop_filter }
}

fn read_brokers(ingest: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<String> {
    if !ingest.has("kafka") {
        ingest.section("kafka");
        return None;
    }
    let mut kafka = ingest.section("kafka");
    let brokers: Option<String> = kafka.required("brokers");
    if brokers.as_ref().is_some_and(|brokers| brokers.contains('@') || brokers.contains("://")) {
        kafka.refuse("brokers", "holds more than addresses", "write host:port, several with commas");
    } else if let Some(brokers) = &brokers {
        allowed.check_all(&kafka, "brokers", brokers);
    }
    kafka.finish();
    brokers
}

fn read_registry(
    ingest: &mut Reader<'_>,
    (brokers, listen): (Option<&str>, Option<SocketAddr>),
    defaults: &CameraDefaults,
) -> Option<RegistrySettings> {
    let given = ingest.has("registry");
    let mut registry = ingest.section("registry");
    let settings = RegistrySettings {
        brokers: brokers.unwrap_or_default().to_owned(),
        group: registry.or("group", "xueliang-ingest".to_owned()),
        topic: registry.or("topic", CAMERAS_TOPIC.to_owned()),
        session_timeout: registry.or("session_timeout", Duration::from_secs(6)),
        advertise: registry.or("advertise", listen.map(|listen| listen.to_string()).unwrap_or_default()),
        beside: ingest.file().to_owned(),
        defaults: defaults.networks_only(),
    };
    registry.finish();
    if given && brokers.is_none() {
        ingest.refuse("registry", "needs Kafka", "add [ingest.kafka] brokers = \"host:9092\"");
    }
    if !(Duration::from_secs(1)..=Duration::from_secs(300)).contains(&settings.session_timeout) {
        let cure = "write \"6s\" to \"300s\", within the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms";
        registry.refuse("session_timeout", "is out of range", cure);
    }
    given.then_some(settings)
}

fn read_api(ingest: &mut Reader<'_>, base: &Path) -> Option<ApiToken> {
    const SHORTEST: usize = 16;
    if !ingest.has("api") {
        ingest.section("api");
        return None;
    }
    let mut api = ingest.section("api");
    let file: Option<PathBuf> = api.required("token_file");
    api.finish();
    let cure = "name a file (mode 0600) with one line of at least 16 random characters";
    match std::fs::read_to_string(base.join(file?)) {
        Ok(text) if text.trim().len() >= SHORTEST => Some(ApiToken(text.trim().to_owned())),
        Ok(_) => {
            api.refuse("token_file", "the token is too short", cure);
            None
        }
        Err(error) => {
            api.refuse("token_file", format!("can't be read: {error}"), cure);
            None
        }
    }
}

fn positive(reader: &mut Reader<'_>, key: &'static str, default: usize) -> Option<usize> {
    let number = reader.or(key, default);
    if number == 0 {
        reader.refuse(key, "is 0", "write 1 or more");
    }
    (number > 0).then_some(number)
}

/// The `*.toml` files of a folder, by name.
pub(crate) fn list_toml(folder: &Path) -> Result<Vec<PathBuf>, Mistake> {
    let refused = |error: std::io::Error| Mistake {
        file: folder.to_owned(),
        line: 1,
        key: "ingest.cameras".to_owned(),
        problem: format!("the folder can't be read: {error}"),
        cure: "create it or leave the key out".to_owned(),
    };
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).and_then(Iterator::collect).map_err(refused);
    let paths = entries?.into_iter().map(|entry: std::fs::DirEntry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    Ok(files)
}

fn refuse_repeated_ids(cameras: &[CameraSettings], mistakes: &mut Vec<Mistake>) {
    let mut first = HashMap::new();
    for camera in cameras {
        let Some((file, line)) = first.insert(&camera.id, (&camera.file, camera.line)) else { continue };
        mistakes.push(Mistake {
            file: camera.file.clone(),
            line: camera.line,
            key: "camera.id".to_owned(),
            problem: format!("camera {} stands already at {}:{line}", camera.id, file.display()),
            cure: "give each camera its own id".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[ingest]\ndata_dir = \"state\"\n[ingest.model]\nmanifest = \"m.toml\"\nassessment = \"PIA-1\"\nfolder = \"weights\"\n";

    fn read(text: &str) -> Result<IngestSettings, Vec<String>> {
        let document = Document::from_text("/etc/xueliang/city.toml", format!("{HEAD}{text}"));
        document
            .read(IngestSettings::read)
            .and_then(IngestSettings::with_camera_files)
            .map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
    }

    fn refused(text: &str, expected: &str) {
        let mistakes = read(text).expect_err("should be refused");
        assert!(mistakes.iter().any(|mistake| mistake.contains(expected)), "{expected:?} is not in {mistakes:#?}");
    }

    const CAMERA: &str = "[[camera]]\nid = \"gate\"\nurl = \"rtsp://10.0.0.1/1\"\n\
        authorization = { legal_class = \"799-9-other\", responsible_unit = \"Unit\", \
        place = \"street\", first_used_on = \"2026-01-01\" }\n";

    #[test]
    fn paths_are_relative_to_the_file() {
        let settings = read(CAMERA).unwrap();
        assert_eq!(settings.data_dir, Path::new("/etc/xueliang/state"));
        assert_eq!(settings.model.manifest, Path::new("/etc/xueliang/m.toml"));
        assert_eq!(settings.cameras.len(), 1);
    }

    #[test]
    fn p30_a_model_without_its_assessment_is_refused() {
        assert_eq!(read("").unwrap().model.assessment, "PIA-1");
        for absent in ["", "assessment = \"\"\n", "assessment = \" \"\n"] {
            let text = HEAD.replace("assessment = \"PIA-1\"\n", absent);
            let found = Document::from_text("city.toml", text).read(IngestSettings::read).unwrap_err().to_string();
            assert!(
                found.contains("ingest.model.assessment: is missing, and no model is run without it; add"),
                "{found}"
            );
        }
    }

    #[test]
    fn camera_mistakes_name_line_and_cure() {
        refused(
            &format!("{CAMERA}{CAMERA}"),
            "city.toml:11: camera.id: camera gate stands already at /etc/xueliang/city.toml:7",
        );
        refused(
            "[[camera]]\nid = \"gate\"\nurl = \"rtsp://me:secret@10.0.0.1/1\"\n",
            "city.toml:9: camera[0].url: carries credentials",
        );
        refused("[[camera]]\nid = \"gate\"\nurl = \"http://10.0.0.1/1\"\n", "rtsp://");
        refused(&format!("{CAMERA}speed = 3\n"), "city.toml:11: camera[0].speed: unknown key");
        refused(
            &format!("{CAMERA}[[camera.zone]]\nid = \"z\"\npoints = [[0, 0], [1, 1]]\n"),
            "camera[0].zone[0].points:",
        );
        refused(
            &format!("{CAMERA}[[camera.zone]]\nid = \"z\"\npoints = [[0, 0], [1, 1], [1, 0], [0, 1]]\n"),
            "city.toml:13:",
        );
        refused(&format!("{CAMERA}gate = \"sometimes\"\n"), "write one of adaptive, always, keyframes");
        refused(&format!("{CAMERA}classes = [\"face\"]\n"), "unknown key");
    }

    #[test]
    fn the_decoder_is_chosen_by_name() {
        let read = |keys: &str| {
            let text = HEAD.replace("[ingest]\n", &format!("[ingest]\n{keys}"));
            let settings = Document::from_text("/etc/xueliang/city.toml", text).read(IngestSettings::read);
            settings.map(|settings| settings.decoder).map_err(|mistakes| mistakes.0[0].to_string())
        };
        assert_eq!(read("").unwrap(), DecoderSettings::default());
        let unfiltered = DecoderSettings { skip_loop_filter: SkipLoopFilter::None, ..DecoderSettings::default() };
        assert_eq!(read("skip_loop_filter = \"none\"\n").unwrap(), unfiltered);
        assert_eq!(read("decoder = \"va\"\n").unwrap().engine, Engine::Va);
        assert!(read("decoder = \"fast\"\n").unwrap_err().contains("write one of libav, va, nvdec, v4l2"));
        let both = read("decoder = \"va\"\nskip_loop_filter = \"all\"\n").unwrap_err();
        assert!(both.contains("city.toml:3") && both.contains("leave one of the two out"), "{both}");
    }

    #[test]
    fn a_registry_needs_kafka_and_has_defaults() {
        refused("[ingest.registry]\n", "needs Kafka");
        let settings =
            read("[ingest.registry]\nsession_timeout = \"8s\"\n[ingest.kafka]\nbrokers = \"localhost:9092\"\n")
                .unwrap();
        let registry = settings.registry.unwrap();
        assert_eq!((registry.group.as_str(), registry.topic.as_str()), ("xueliang-ingest", CAMERAS_TOPIC));
        assert_eq!((registry.session_timeout, registry.advertise.as_str()), (Duration::from_secs(8), "127.0.0.1:8601"));
        assert_eq!(read("").unwrap().registry, None);
    }

    #[test]
    fn the_api_needs_a_token_that_is_hard_to_guess() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let text = format!("[ingest.api]\ntoken_file = {file:?}\n");
        refused(&text, "can't be read");
        std::fs::write(&file, "short\n").unwrap();
        refused(&text, "too short");
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let token = read(&text).unwrap().api.unwrap();
        assert!(token.is("0123456789abcdef") && !token.is("0123456789abcdeX") && !token.is("") && !token.is("0123"));
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn secrets_never_appear_in_mistakes() {
        let mistakes = read("[[camera]]\nid = \"gate\"\nurl = \"rtsp://me:secret@10.0.0.1/1\"\n").unwrap_err();
        assert!(mistakes.iter().all(|mistake| !mistake.contains("secret")), "{mistakes:?}");
    }

    #[test]
    fn all_mistakes_of_all_cameras_come_at_once() {
        let mistakes =
            read(&format!("{}{CAMERA}zzz = 1\n", CAMERA.replace("gate", "a b").replace("url", "uri"))).unwrap_err();
        assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
    }

    #[test]
    fn cameras_are_also_read_from_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cameras")).unwrap();
        std::fs::write(folder.path().join("cameras/a.toml"), CAMERA).unwrap();
        std::fs::write(folder.path().join("cameras/b.toml"), CAMERA.replace("gate", "yard")).unwrap();
        let text = format!(
            "{}cameras = \"cameras\"\n[ingest.model]\nmanifest = \"m\"\nassessment = \"PIA-1\"\nfolder = \"w\"\n",
            "[ingest]\ndata_dir = \"s\"\n"
        );
        let document = Document::from_text(folder.path().join("city.toml"), text);
        let settings = document.read(IngestSettings::read).unwrap().with_camera_files().unwrap();
        let ids: Vec<String> = settings.cameras.iter().map(|camera| camera.id.to_string()).collect();
        assert_eq!(ids, ["gate", "yard"]);
    }
}
