//! Redacted snapshots on disk, named by their digest, bounded in age and bytes; where the settings say so, the sealed original of
//! each beside it, under the same name with the ending `age`.
//!
//! A file is written beside its place and renamed, so a digest never names half a picture. Alerting copies what an incident links;
//! what nobody links goes after 72 h (RULES P16) or when the folder is full, oldest first. A sealed original never outlives its
//! snapshot here. Pictures that were not redacted are no argument and no value of this file: a frame goes into the seal.

mod receipts;

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use xueliang_events::values::{Digest, SnapshotRef};
use xueliang_inference::{
    Frame,
    redact::{RedactSettings, Snapshot},
    seal::{SealError, seal},
};

use crate::{metrics::Metrics, settings::SealedOriginals};

/// Nothing that no incident links is kept longer (RULES P16).
pub(crate) const MAX_AGE: Duration = Duration::from_secs(72 * 3600);
/// The ending of a snapshot.
const REDACTED: &str = "jpg";
/// The ending of a sealed original.
const SEALED: &str = "age";
/// Only the worker's own account reads a sealed original.
const SEALED_MODE: u32 = 0o600;
/// As the system's mask has it.
const REDACTED_MODE: u32 = 0o666;

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
    /// What it was made of could not be sealed.
    #[error("the original can't be sealed: {0}")]
    Seal(#[from] SealError),
}

/// The folder.
#[derive(Clone)]
pub struct SnapshotStore {
    folder: PathBuf,
    max_bytes: u64,
    originals: Option<SealedOriginals>,
    metrics: Metrics,
}

impl SnapshotStore {
    /// A store in `folder`, which is made when the first snapshot comes. It seals nothing.
    pub fn new(folder: PathBuf, max_bytes: u64, metrics: Metrics) -> Self {
        Self { folder, max_bytes, originals: None, metrics }
    }

    /// The same, which also seals originals where the settings say so.
    pub fn with_originals(self, originals: Option<SealedOriginals>) -> Self {
        Self { originals, ..self }
    }

    /// Keeps a snapshot under `<first two hex digits>/<the others>.jpg`.
    pub fn keep(&self, snapshot: &Snapshot) -> Result<SnapshotRef, SnapshotError> {
        let size = |pixels: u32| u16::try_from(pixels).map_err(|_| SnapshotError::Reference);
        let sha256 = Digest::try_from(snapshot.digest.clone()).map_err(|_| SnapshotError::Reference)?;
        let reference = SnapshotRef { width: size(snapshot.width)?, height: size(snapshot.height)?, sha256 };
        let path = self.path_of(&reference.sha256, REDACTED);
        write_whole(&path, snapshot.jpeg(), REDACTED_MODE).map_err(|source| SnapshotError::Write { path, source })?;
        self.metrics.snapshot_kept();
        Ok(reference)
    }

    /// Seals what a kept snapshot was made of, where the settings say so. A failure is counted and told; the event goes on
    /// without.
    pub fn seal(&self, frame: &Frame, (snapshot, kept): (&Snapshot, &SnapshotRef), settings: &RedactSettings) {
        let Some(SealedOriginals { recipient, .. }) = &self.originals else { return };
        let path = self.path_of(&kept.sha256, SEALED);
        let sealed = seal(frame, snapshot, settings, recipient).map_err(SnapshotError::from).and_then(|sealed| {
            write_whole(&path, sealed.bytes(), SEALED_MODE).map_err(|source| SnapshotError::Write { path, source })
        });
        self.metrics.original_sealed(sealed.is_ok());
        if let Err(cause) = sealed {
            tracing::warn!(%cause, "no sealed original");
        }
    }

    /// Counts a snapshot that could not be made or kept.
    pub fn count_failure(&self) {
        self.metrics.snapshot_failed();
    }

    /// Removes what is too old, then the oldest until the folder fits its bound, and leaves a receipt; how many files went.
    pub fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let going = self.to_go(list(&self.folder)?, now);
        if going.is_empty() {
            return Ok(0);
        }
        receipts::write(&self.folder, &going, Timestamp::try_from(now).map_err(io::Error::other)?)?;
        let mut n_removed = 0;
        for path in &going {
            n_removed += usize::from(remove(path)?);
        }
        Ok(n_removed)
    }

    /// What goes, in this order.
    fn to_go(&self, mut files: Vec<StoredFile>, now: SystemTime) -> Vec<PathBuf> {
        files.sort_by_key(|file| file.modified_at);
        let sizes: HashMap<&Path, u64> = files.iter().map(|file| (&*file.path, file.n_bytes)).collect();
        let mut n_bytes: u64 = sizes.values().sum();
        let (mut going, mut known) = (Vec::new(), HashSet::new());
        for file in &files {
            let age = now.duration_since(file.modified_at).unwrap_or_default();
            if age <= self.max_age(&file.path) && n_bytes <= self.max_bytes {
                continue;
            }
            // Its sealed original first: a crash in between leaves none without its snapshot.
            let beside = Some(file.path.with_extension(SEALED)).filter(|beside| *beside != file.path);
            for path in beside.into_iter().chain([file.path.clone()]) {
                if let Some(size) = sizes.get(&*path).filter(|_| known.insert(path.clone())) {
                    n_bytes = n_bytes.saturating_sub(*size);
                    going.push(path);
                }
            }
        }
        going
    }

    fn max_age(&self, path: &Path) -> Duration {
        let is_sealed = path.extension().is_some_and(|ending| ending == SEALED);
        self.originals.as_ref().filter(|_| is_sealed).map_or(MAX_AGE, |originals| originals.keep.min(MAX_AGE))
    }

    fn path_of(&self, digest: &Digest, ending: &str) -> PathBuf {
        let (folder, file) = digest.as_str().split_at(2);
        self.folder.join(folder).join(format!("{file}.{ending}"))
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

/// False when there was nothing.
fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.part", uuid::Uuid::new_v4().simple()));
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options.open(&beside)?.write_all(bytes)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests;
