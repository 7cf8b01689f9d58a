//! Cameras that were added by API: kept in the worker's own folder, never in the settings.
//!
//! The file is replaced as a whole and synced before the fleet hears of a change, so a crash leaves the one or the other. A file that
//! can't be read is put aside, not overwritten. A camera that another source wants can't be changed here.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::{Map, Value};
use xueliang_events::CameraId;
use xueliang_settings::{Mistake, Mistakes};

use crate::{
    fleet::{Fleet, Origin, Wanted},
    settings::{CameraDefaults, read_json_camera, without_place},
};

type Cameras = BTreeMap<CameraId, Map<String, Value>>;

/// Why a camera can't be kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Its settings can't be used.
    #[error("the camera's settings have mistakes")]
    Mistakes(#[source] Mistakes),
    /// It is not the API's.
    #[error("camera {id} comes from {origin}; change it there")]
    Elsewhere {
        /// The camera.
        id: CameraId,
        /// Who wants it.
        origin: Origin,
    },
    /// It is nobody's.
    #[error("there is no camera {0}")]
    Unknown(CameraId),
    /// The file can't be written.
    #[error("{} can't be written: {source}", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The cameras of the API; cheap to clone.
#[derive(Clone)]
pub struct Kept {
    fleet: Fleet,
    path: Arc<Path>,
    /// The file beside which password files stand.
    beside: Arc<Path>,
    defaults: Arc<CameraDefaults>,
    cameras: Arc<Mutex<Cameras>>,
}

impl Kept {
    /// Reads what was kept in `data_dir` and starts it.
    pub fn open(data_dir: &Path, beside: &Path, defaults: CameraDefaults, fleet: Fleet) -> Self {
        let path = data_dir.join("cameras.json");
        let cameras = read(&path).unwrap_or_else(|error| {
            let aside = path.with_extension("json.damaged");
            let saved = fs::rename(&path, &aside).is_ok();
            tracing::error!(file = %path.display(), error, saved, "cameras added by API can't be read; put aside");
            Cameras::new()
        });
        let (path, beside, defaults) = (path.into(), beside.into(), Arc::new(defaults));
        let kept = Self { fleet, path, beside, defaults, cameras: Arc::new(Mutex::new(cameras)) };
        kept.tell(&kept.cameras.lock());
        kept
    }

    /// Adds or replaces a camera; may block on the disk.
    pub fn put(&self, id: &CameraId, mut settings: Map<String, Value>) -> Result<(), KeepError> {
        self.check_origin(id)?;
        if settings.get("id").is_some_and(|given| given.as_str() != Some(id.as_str())) {
            let (key, problem) = ("id".to_owned(), "is not the id in the path".to_owned());
            let cure = "leave it out, or write the same".to_owned();
            return Err(KeepError::Mistakes(Mistakes(vec![Mistake {
                file: self.beside.to_path_buf(),
                line: 1,
                key,
                problem,
                cure,
            }])));
        }
        settings.insert("id".to_owned(), Value::String(id.to_string()));
        read_json_camera(&settings, &self.beside, &self.defaults).map_err(KeepError::Mistakes)?;
        self.change(|cameras| drop(cameras.insert(id.clone(), settings)))
    }

    /// Removes a camera; may block on the disk.
    pub fn remove(&self, id: &CameraId) -> Result<(), KeepError> {
        self.check_origin(id)?;
        if !self.cameras.lock().contains_key(id) {
            return Err(KeepError::Unknown(id.clone()));
        }
        self.change(|cameras| drop(cameras.remove(id)))
    }

    fn check_origin(&self, id: &CameraId) -> Result<(), KeepError> {
        match self.fleet.origin(id) {
            None | Some(Origin::Api) => Ok(()),
            Some(origin) => Err(KeepError::Elsewhere { id: id.clone(), origin }),
        }
    }

    /// Writes the changed set, then starts and stops what follows from it.
    fn change(&self, edit: impl FnOnce(&mut Cameras)) -> Result<(), KeepError> {
        let mut cameras = self.cameras.lock();
        let mut changed = cameras.clone();
        edit(&mut changed);
        write(&self.path, &changed).map_err(|source| KeepError::Disk { path: self.path.to_path_buf(), source })?;
        *cameras = changed;
        self.tell(&cameras);
        Ok(())
    }

    fn tell(&self, cameras: &Cameras) {
        let wanted = |(id, settings): (&CameraId, &Map<String, Value>)| {
            let camera = read_json_camera(settings, &self.beside, &self.defaults).map_err(|mistakes| {
                let mistakes: Vec<String> = mistakes.0.iter().map(without_place).collect();
                format!("api: {}", mistakes.join("; "))
            });
            Wanted { id: id.clone(), camera, epoch: None }
        };
        self.fleet.want(Origin::Api, cameras.iter().map(wanted).collect());
    }
}

fn read(path: &Path) -> Result<Cameras, String> {
    match fs::read(path) {
        Ok(bytes) => {
            let cameras: BTreeMap<String, Map<String, Value>> =
                serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            let by_id = cameras.into_iter().map(|(id, settings)| Ok((id.parse()?, settings)));
            by_id.collect::<Result<_, xueliang_events::ids::InvalidId>>().map_err(|error| error.to_string())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Cameras::new()),
        Err(error) => Err(error.to_string()),
    }
}

fn write(path: &Path, cameras: &Cameras) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    let by_name: BTreeMap<&str, &Map<String, Value>> =
        cameras.iter().map(|(id, settings)| (id.as_str(), settings)).collect();
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(&by_name)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        authorization::testing::json as authorization,
        fleet::testing::{Bed, bed},
    };

    fn settings(value: Value) -> Map<String, Value> {
        let Value::Object(settings) = value else { panic!("an object") };
        settings
    }

    fn open(bed: &Bed) -> Kept {
        Kept::open(bed.folder.path(), Path::new("x.toml"), CameraDefaults::default(), bed.fleet.clone())
    }

    fn ids(bed: &Bed) -> Vec<String> {
        bed.fleet.cameras().into_iter().map(|view| view.id.to_string()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_added_is_there_after_a_restart() {
        let first = bed();
        let kept = open(&first);
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        kept.put(&a, settings(json!({ "url": "rtsp://127.0.0.1:1/1", "authorization": authorization() }))).unwrap();
        kept.put(&b, settings(json!({ "id": "b", "url": "rtsp://127.0.0.1:1/1", "authorization": authorization() })))
            .unwrap();
        kept.remove(&a).unwrap();
        assert_eq!(ids(&first), ["b"]);
        assert!(matches!(kept.remove(&a), Err(KeepError::Unknown(_))));
        first.fleet.stop().await;
        let second = Bed { folder: first.folder, ..bed() };
        open(&second);
        assert_eq!(ids(&second), ["b"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_refused_changes_nothing() {
        let bed = bed();
        let kept = open(&bed);
        let a: CameraId = "a".parse().unwrap();
        for wrong in [json!({}), json!({ "url": "http://h/1" }), json!({ "id": "b", "url": "rtsp://h/1" })] {
            assert!(matches!(kept.put(&a, settings(wrong)), Err(KeepError::Mistakes(_))));
        }
        let given = json!({ "id": "a", "url": "rtsp://10.0.0.1/1", "authorization": authorization() });
        let given = read_json_camera(&settings(given), Path::new("x"), &CameraDefaults::default()).unwrap();
        bed.fleet.want(Origin::Files, vec![given.into()]);
        let taken = kept.put(&a, settings(json!({ "url": "rtsp://h/2" })));
        assert!(matches!(taken, Err(KeepError::Elsewhere { origin: Origin::Files, .. })));
        assert!(!bed.folder.path().join("cameras.json").exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_file_is_put_aside() {
        let bed = bed();
        fs::write(bed.folder.path().join("cameras.json"), "{\"a\": ").unwrap();
        open(&bed);
        assert_eq!(fs::read(bed.folder.path().join("cameras.json.damaged")).unwrap(), b"{\"a\": ");
    }
}
