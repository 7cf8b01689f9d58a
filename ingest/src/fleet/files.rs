//! Cameras from files: the settings file and every `*.toml` of the folder that it names; read again when they change.
//!
//! A file that was good before and has a mistake now is refused whole: its cameras go on as they were. In a file that is new, a bad
//! row is one bad camera. A file that goes away from a folder that can be read takes its cameras with it; a folder or file that can't
//! be read, or is suddenly empty, takes nothing. Nothing is ever written. Not here: when to read (`watch`).

mod watch;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use xueliang_events::CameraId;
use xueliang_settings::{Document, Mistake, Mistakes, Row};

pub use watch::{Reload, Reloaded, Watcher};

use crate::{
    fleet::Wanted,
    settings::{CameraDefaults, CameraFiles, CameraSettings, list_toml},
};

/// What the files say now.
pub struct Reading {
    /// Every camera, those with mistakes as refused ones.
    pub cameras: Vec<Wanted>,
    /// All that is wrong.
    pub mistakes: Vec<Mistake>,
}

/// Reads the files and remembers what was good in each.
pub struct FileSource {
    files: CameraFiles,
    /// What the settings file said last without a mistake of all cameras.
    defaults: CameraDefaults,
    good: BTreeMap<PathBuf, Vec<CameraSettings>>,
}

/// One file's part of a reading.
struct Part {
    good: Vec<CameraSettings>,
    refused: Vec<Wanted>,
}

impl FileSource {
    /// A source that has read nothing yet.
    pub fn new(files: CameraFiles) -> Self {
        Self { files, defaults: CameraDefaults::default(), good: BTreeMap::new() }
    }

    /// The files that it looks at.
    pub fn files(&self) -> &CameraFiles {
        &self.files
    }

    /// Reads all files.
    pub fn read(&mut self) -> Reading {
        let mut mistakes = Vec::new();
        let mut parts = BTreeMap::new();
        let settings = self.files.settings.clone();
        match read_defaults(&settings) {
            Ok(Some(defaults)) => self.defaults = defaults,
            Ok(None) => {}
            Err(more) => mistakes.extend(more.0),
        }
        let mut paths = vec![settings.clone()];
        parts.insert(settings.clone(), self.read_file(&settings, true, &mut mistakes));
        match self.folder_files() {
            Ok(files) => {
                for path in &files {
                    parts.insert(path.clone(), self.read_file(path, false, &mut mistakes));
                }
                paths.extend(files);
            }
            Err(mistake) => {
                mistakes.push(mistake);
                let known = self.good.iter().filter(|(path, _)| **path != settings);
                for (path, good) in known {
                    paths.push(path.clone());
                    parts.insert(path.clone(), Part { good: good.clone(), refused: Vec::new() });
                }
            }
        }
        let cameras = merge(&paths, &mut parts, &mut mistakes);
        self.good = parts.into_iter().map(|(path, part)| (path, part.good)).collect();
        mistakes.sort();
        mistakes.dedup();
        Reading { cameras, mistakes }
    }

    /// The files of the folder, if it can be believed.
    fn folder_files(&self) -> Result<Vec<PathBuf>, Mistake> {
        let Some(folder) = &self.files.folder else { return Ok(Vec::new()) };
        let files = list_toml(folder)?;
        let known = self.good.iter().any(|(path, cameras)| *path != self.files.settings && !cameras.is_empty());
        if files.is_empty() && known {
            let problem = "the folder is suddenly empty; its cameras go on";
            let cure = "put the files back, or empty it while the worker is stopped";
            return Err(mistake(folder, "ingest.cameras", (problem, cure)));
        }
        Ok(files)
    }

    fn read_file(&self, path: &Path, is_settings: bool, mistakes: &mut Vec<Mistake>) -> Part {
        let before = self.good.get(path).filter(|cameras| !cameras.is_empty());
        let keep = |refused| Part { good: before.cloned().unwrap_or_default(), refused };
        let rows = match load(path, is_settings, &self.defaults) {
            Ok(Some(rows)) => rows,
            Ok(None) if before.is_none() => return keep(Vec::new()),
            Ok(None) => {
                let cure = "write the cameras again, or remove the file to remove them";
                mistakes.push(mistake(path, ".", ("the file is suddenly empty; its cameras go on", cure)));
                return keep(Vec::new());
            }
            Err(more) => {
                mistakes.extend(more.0);
                return keep(Vec::new());
            }
        };
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for row in rows {
            match row.read {
                Ok(camera) => good.push(camera),
                Err(more) => {
                    refused.extend(refuse(row.id.as_deref(), &more));
                    mistakes.extend(more.0);
                }
            }
        }
        if before.is_some() && !refused.is_empty() {
            keep_but_prohibited(keep(refused), &good)
        } else {
            Part { good, refused }
        }
    }
}

/// What is refused whole still says where no camera may be: that is never put off until the file is right.
fn keep_but_prohibited(mut kept: Part, read: &[CameraSettings]) -> Part {
    for camera in &mut kept.good {
        let said = read.iter().find(|read| read.id == camera.id);
        if let Some(said) = said.filter(|said| said.authorization.place.is_prohibited()) {
            camera.authorization.clone_from(&said.authorization);
        }
    }
    kept
}

/// What the settings file says of all cameras; `None` when nothing stands in it.
fn read_defaults(settings: &Path) -> Result<Option<CameraDefaults>, Mistakes> {
    let document = Document::load(settings)?;
    if document.is_empty() { Ok(None) } else { CameraDefaults::of(&document).map(Some) }
}

/// The file's rows; `None` when nothing stands in it.
fn load(
    path: &Path,
    is_settings: bool,
    defaults: &CameraDefaults,
) -> Result<Option<Vec<Row<CameraSettings>>>, Mistakes> {
    let document = Document::load(path)?;
    if document.is_empty() {
        return Ok(None);
    }
    if !is_settings {
        document.read(|root| {
            root.ignore("camera");
            Some(())
        })?;
    }
    document.rows("camera", |camera| CameraSettings::read(camera, defaults)).map(Some)
}

/// A camera that can't run, when its id can be read.
fn refuse(id: Option<&str>, mistakes: &Mistakes) -> Option<Wanted> {
    let id = CameraId::from_str(id?).ok()?;
    let cause: Vec<String> = mistakes.0.iter().map(in_short).collect();
    Some(Wanted { id, camera: Err(cause.join("; ")), epoch: None })
}

/// A mistake without its folder: the cause of a status travels further than a log does.
fn in_short(mistake: &Mistake) -> String {
    let Mistake { file, line, key, problem, cure } = mistake;
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{file}:{line}: {key}: {problem}; {cure}")
}

/// All cameras of all files; of two with one id the first counts.
fn merge(paths: &[PathBuf], parts: &mut BTreeMap<PathBuf, Part>, mistakes: &mut Vec<Mistake>) -> Vec<Wanted> {
    let mut first: BTreeMap<CameraId, (PathBuf, usize)> = BTreeMap::new();
    let mut cameras = Vec::new();
    for path in paths {
        let Some(part) = parts.get_mut(path) else { continue };
        part.good.retain(|camera| match first.get(&camera.id) {
            None => {
                first.insert(camera.id.clone(), (camera.file.clone(), camera.line));
                true
            }
            Some((file, line)) => {
                let problem = format!("camera {} stands already at {}:{line}", camera.id, file.display());
                let cure = "give each camera its own id";
                let (file, line) = (camera.file.clone(), camera.line);
                mistakes.push(Mistake { line, ..mistake(&file, "camera.id", (&problem, cure)) });
                false
            }
        });
        cameras.extend(part.good.iter().cloned().map(Wanted::from));
    }
    let refused = paths.iter().filter_map(|path| parts.get(path)).flat_map(|part| &part.refused);
    cameras.extend(refused.filter(|wanted| !first.contains_key(&wanted.id)).cloned());
    cameras
}

fn mistake(file: &Path, key: &str, (problem, cure): (&str, &str)) -> Mistake {
    let (key, problem, cure) = (key.to_owned(), problem.to_owned(), cure.to_owned());
    Mistake { file: file.to_owned(), line: 1, key, problem, cure }
}

/// A file's inode, length and time of change.
type Stamp = (u64, u64, i64, i64);

/// What tells whether a file changed without reading it: also right where a mount swaps a link.
fn signature(files: &CameraFiles) -> Vec<(PathBuf, Option<Stamp>)> {
    use std::os::unix::fs::MetadataExt;
    let mut paths = vec![files.settings.clone()];
    if let Some(folder) = &files.folder {
        paths.push(folder.clone());
        paths.extend(list_toml(folder).unwrap_or_default());
    }
    let of = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
    };
    paths.into_iter().map(|path| (path.clone(), of(&path))).collect()
}

#[cfg(test)]
mod tests;
