//! The `[ingest]` table and the cameras, read once into typed values.
//!
//! Cameras stand as `[[camera]]` in the same file or in any `*.toml` of the folder that `cameras` names beside it. All mistakes of
//! all files are reported together.

mod camera;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use xueliang_inference::SessionSettings;
use xueliang_settings::{Document, Mistake, Mistakes, Reader};

pub use camera::{CameraSettings, Credentials, GatePolicy, StreamTransport};

/// Where the model and the runtime that executes it are.
#[derive(Debug, Clone)]
pub struct ModelSettings {
    /// The manifest (TOML) that names the model.
    pub manifest: PathBuf,
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
    /// A connected camera that delivers nothing for so long is stalled.
    pub stall_after: Duration,
    /// Time for a camera to answer each step of the connection.
    pub connect_timeout: Duration,
    /// The outbox's bound on disk, bytes.
    pub outbox_bytes: u64,
    /// The snapshot folder's bound, bytes.
    pub snapshot_bytes: u64,
    /// Kafka's bootstrap servers, `host:port`, several with commas; `None`: events go to alerting in this process.
    pub brokers: Option<String>,
    /// The cameras.
    pub cameras: Vec<CameraSettings>,
    cameras_folder: Option<PathBuf>,
}

impl IngestSettings {
    /// Reads `[ingest]` and `[[camera]]` of the file that `root` stands on.
    pub fn read(root: &mut Reader<'_>) -> Option<Self> {
        let base = root.file().parent().map(Path::to_owned).unwrap_or_default();
        let mut ingest = root.section("ingest");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let data_dir = ingest.required::<PathBuf>("data_dir");
        let listen = read_listen(&mut ingest);
        let model = read_model(&mut ingest, &base);
        let n_detectors = positive(&mut ingest, "detectors", 1);
        let n_decode_threads = positive(&mut ingest, "decode_threads", cores.div_ceil(2));
        let n_stream_decoders = positive(&mut ingest, "stream_decoders", 16 * cores);
        let stall_after = ingest.or("stall_after", Duration::from_secs(10));
        let connect_timeout = ingest.or("connect_timeout", Duration::from_secs(10));
        let outbox_bytes = ingest.or("outbox_bytes", 2 << 30);
        let snapshot_bytes = ingest.or("snapshot_bytes", 1 << 30);
        let brokers = read_brokers(&mut ingest);
        let cameras_folder = ingest.optional::<PathBuf>("cameras").map(|folder| base.join(folder));
        ingest.finish();
        Some(Self {
            data_dir: base.join(data_dir?),
            listen: listen?,
            model: model?,
            n_detectors: n_detectors?,
            n_decode_threads: n_decode_threads?,
            n_stream_decoders: n_stream_decoders?,
            stall_after,
            connect_timeout,
            outbox_bytes,
            snapshot_bytes,
            brokers,
            cameras: read_cameras(root),
            cameras_folder,
        })
    }

    /// Adds the cameras of the folder and checks all cameras against each other.
    pub fn with_camera_files(mut self) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let files = self.cameras_folder.as_deref().map(|folder| camera_files(folder, &mut mistakes));
        for file in files.unwrap_or_default() {
            match Document::load(&file).and_then(|document| document.read(|root| Some(read_cameras(root)))) {
                Ok(cameras) => self.cameras.extend(cameras),
                Err(more) => mistakes.extend(more.0),
            }
        }
        refuse_repeated_ids(&self.cameras, &mut mistakes);
        if mistakes.is_empty() { Ok(self) } else { Err(Mistakes(mistakes)) }
    }
}

fn read_cameras(root: &mut Reader<'_>) -> Vec<CameraSettings> {
    root.sections("camera").iter_mut().filter_map(CameraSettings::read).collect()
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
    Some(ModelSettings { manifest: base.join(manifest?), folder: base.join(folder?), onnxruntime, session })
}

fn read_brokers(ingest: &mut Reader<'_>) -> Option<String> {
    if !ingest.has("kafka") {
        ingest.section("kafka");
        return None;
    }
    let mut kafka = ingest.section("kafka");
    let brokers: Option<String> = kafka.required("brokers");
    if brokers.as_ref().is_some_and(|brokers| brokers.contains('@') || brokers.contains("://")) {
        kafka.refuse("brokers", "holds more than addresses", "write host:port, several with commas");
    }
    kafka.finish();
    brokers
}

fn positive(reader: &mut Reader<'_>, key: &'static str, default: usize) -> Option<usize> {
    let number = reader.or(key, default);
    if number == 0 {
        reader.refuse(key, "is 0", "write 1 or more");
    }
    (number > 0).then_some(number)
}

fn camera_files(folder: &Path, mistakes: &mut Vec<Mistake>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            mistakes.push(Mistake {
                file: folder.to_owned(),
                line: 1,
                key: "ingest.cameras".to_owned(),
                problem: format!("the folder can't be read: {error}"),
                cure: "create it or leave the key out".to_owned(),
            });
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
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

    const HEAD: &str = "[ingest]\ndata_dir = \"state\"\n[ingest.model]\nmanifest = \"m.toml\"\nfolder = \"weights\"\n";

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

    const CAMERA: &str = "[[camera]]\nid = \"gate\"\nurl = \"rtsp://10.0.0.1/1\"\n";

    #[test]
    fn paths_are_relative_to_the_file() {
        let settings = read(CAMERA).unwrap();
        assert_eq!(settings.data_dir, Path::new("/etc/xueliang/state"));
        assert_eq!(settings.model.manifest, Path::new("/etc/xueliang/m.toml"));
        assert_eq!(settings.cameras.len(), 1);
    }

    #[test]
    fn camera_mistakes_name_line_and_cure() {
        refused(
            &format!("{CAMERA}{CAMERA}"),
            "city.toml:9: camera.id: camera gate stands already at /etc/xueliang/city.toml:6",
        );
        refused(
            "[[camera]]\nid = \"gate\"\nurl = \"rtsp://me:secret@10.0.0.1/1\"\n",
            "city.toml:8: camera[0].url: carries credentials",
        );
        refused("[[camera]]\nid = \"gate\"\nurl = \"http://10.0.0.1/1\"\n", "rtsp://");
        refused(&format!("{CAMERA}speed = 3\n"), "city.toml:9: camera[0].speed: unknown key");
        refused(
            &format!("{CAMERA}[[camera.zone]]\nid = \"z\"\npoints = [[0, 0], [1, 1]]\n"),
            "camera[0].zone[0].points:",
        );
        refused(
            &format!("{CAMERA}[[camera.zone]]\nid = \"z\"\npoints = [[0, 0], [1, 1], [1, 0], [0, 1]]\n"),
            "city.toml:11:",
        );
        refused(&format!("{CAMERA}gate = \"sometimes\"\n"), "write one of adaptive, always, keyframes");
        refused(&format!("{CAMERA}classes = [\"face\"]\n"), "unknown key");
    }

    #[test]
    fn secrets_never_appear_in_mistakes() {
        let mistakes = read("[[camera]]\nid = \"gate\"\nurl = \"rtsp://me:secret@10.0.0.1/1\"\n").unwrap_err();
        assert!(mistakes.iter().all(|mistake| !mistake.contains("secret")), "{mistakes:?}");
    }

    #[test]
    fn all_mistakes_of_all_cameras_come_at_once() {
        let mistakes =
            read("[[camera]]\nid = \"a b\"\n[[camera]]\nid = \"ok\"\nurl = \"rtsp://h/1\"\nzzz = 1\n").unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
    }

    #[test]
    fn cameras_are_also_read_from_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cameras")).unwrap();
        std::fs::write(folder.path().join("cameras/a.toml"), CAMERA).unwrap();
        std::fs::write(folder.path().join("cameras/b.toml"), CAMERA.replace("gate", "yard")).unwrap();
        let text = format!(
            "{}cameras = \"cameras\"\n[ingest.model]\nmanifest = \"m\"\nfolder = \"w\"\n",
            "[ingest]\ndata_dir = \"s\"\n"
        );
        let document = Document::from_text(folder.path().join("city.toml"), text);
        let settings = document.read(IngestSettings::read).unwrap().with_camera_files().unwrap();
        let ids: Vec<String> = settings.cameras.iter().map(|camera| camera.id.to_string()).collect();
        assert_eq!(ids, ["gate", "yard"]);
    }
}
