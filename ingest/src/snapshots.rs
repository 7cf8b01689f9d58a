//! Redacted snapshots on disk, named by their digest, bounded in age and bytes.
//!
//! A file is written beside its place and renamed, so a digest never names half a picture. Alerting copies what an incident links;
//! what nobody links goes after 72 h (RULES P16) or when the folder is full, oldest first.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use xueliang_events::values::{Digest, SnapshotRef};
use xueliang_inference::redact::Snapshot;

use crate::metrics::Metrics;

/// Nothing that no incident links is kept longer (RULES P16).
const MAX_AGE: Duration = Duration::from_secs(72 * 3600);

/// Why a snapshot was not kept.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk refused it.
    #[error("can't write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its digest or size has no wire form.
    #[error("the snapshot's digest or size has no wire form")]
    Reference,
}

/// The folder.
#[derive(Clone)]
pub struct SnapshotStore {
    folder: PathBuf,
    max_bytes: u64,
    metrics: Metrics,
}

impl SnapshotStore {
    /// A store in `folder`, which is made when the first snapshot comes.
    pub fn new(folder: PathBuf, max_bytes: u64, metrics: Metrics) -> Self {
        Self { folder, max_bytes, metrics }
    }

    /// Keeps a snapshot under `<first two hex digits>/<the others>.jpg`.
    pub fn keep(&self, snapshot: Snapshot) -> Result<SnapshotRef, SnapshotError> {
        let size = |pixels: u32| u16::try_from(pixels).map_err(|_| SnapshotError::Reference);
        let sha256 = Digest::try_from(snapshot.digest.clone()).map_err(|_| SnapshotError::Reference)?;
        let reference = SnapshotRef { width: size(snapshot.width)?, height: size(snapshot.height)?, sha256 };
        let path = self.path_of(&reference.sha256);
        write_whole(&path, snapshot.jpeg()).map_err(|source| SnapshotError::Write { path, source })?;
        self.metrics.snapshot_kept();
        Ok(reference)
    }

    /// Counts a snapshot that could not be made or kept.
    pub fn count_failure(&self) {
        self.metrics.snapshot_failed();
    }

    /// Removes what is too old, then the oldest until the folder fits its bound; how many files went.
    pub fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let mut files = list(&self.folder)?;
        files.sort_by_key(|file| file.modified_at);
        let mut n_bytes: u64 = files.iter().map(|file| file.n_bytes).sum();
        let mut n_removed = 0;
        for file in files {
            let age = now.duration_since(file.modified_at).unwrap_or_default();
            if age <= MAX_AGE && n_bytes <= self.max_bytes {
                break;
            }
            fs::remove_file(&file.path)?;
            n_bytes -= file.n_bytes;
            n_removed += 1;
        }
        Ok(n_removed)
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        let (folder, file) = digest.as_str().split_at(2);
        self.folder.join(folder).join(format!("{file}.jpg"))
    }
}

struct StoredFile {
    path: PathBuf,
    modified_at: SystemTime,
    n_bytes: u64,
}

fn list(folder: &Path) -> io::Result<Vec<StoredFile>> {
    let mut files = Vec::new();
    if !folder.exists() {
        return Ok(files);
    }
    for subfolder in fs::read_dir(folder)? {
        let subfolder = subfolder?.path();
        if !subfolder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(subfolder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            files.push(StoredFile { path: entry.path(), modified_at: metadata.modified()?, n_bytes: metadata.len() });
        }
    }
    Ok(files)
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.part", uuid::Uuid::new_v4().simple()));
    fs::write(&beside, bytes)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, max_bytes: u64) -> SnapshotStore {
        SnapshotStore::new(folder.to_owned(), max_bytes, Metrics::new(&prometheus::Registry::new()).unwrap())
    }

    fn put(folder: &Path, name: &str, age: Duration, n_bytes: usize) {
        let path = folder.join("aa").join(name);
        write_whole(&path, &vec![0; n_bytes]).unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn p16_old_snapshots_go_and_the_sweep_is_idempotent() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "old.jpg", MAX_AGE + Duration::from_secs(60), 10);
        put(folder.path(), "young.jpg", Duration::from_secs(60), 10);
        let store = store(folder.path(), 1000);
        assert_eq!(store.sweep(SystemTime::now()).unwrap(), 1);
        assert_eq!(store.sweep(SystemTime::now()).unwrap(), 0);
        assert!(folder.path().join("aa/young.jpg").exists());
    }

    #[test]
    fn full_folder_loses_its_oldest() {
        let folder = tempfile::tempdir().unwrap();
        for (name, minutes) in [("a.jpg", 3), ("b.jpg", 2), ("c.jpg", 1)] {
            put(folder.path(), name, Duration::from_secs(60 * minutes), 100);
        }
        assert_eq!(store(folder.path(), 150).sweep(SystemTime::now()).unwrap(), 2);
        assert!(folder.path().join("aa/c.jpg").exists());
    }

    #[test]
    fn missing_folder_holds_nothing() {
        assert_eq!(store(Path::new("/nonexistent/snapshots"), 1).sweep(SystemTime::now()).unwrap(), 0);
    }
}
