//! Redacted stills: found by digest where ingest keeps them, copied beside the store when an incident shows them.
//!
//! Invariants: a path is built from a validated digest only; a copy is kept only when its bytes have that digest. A still
//! that is gone or damaged leaves the incident without it, never the incident out.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use xueliang_events::values::Digest;

/// Longest still that is kept, bytes.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Where stills come from and go to.
#[derive(Debug, Clone)]
pub struct Evidence {
    from: Option<PathBuf>,
    to: PathBuf,
}

impl Evidence {
    /// Copies from ingest's folder, if there is one here, to ours.
    pub fn new(from: Option<PathBuf>, to: PathBuf) -> Self {
        Self { from, to }
    }

    /// Keeps a copy; true when it is there and sound.
    pub fn keep(&self, digest: &Digest) -> bool {
        let kept = self.to.join(relative(digest));
        if kept.exists() {
            return true;
        }
        let Some(from) = &self.from else { return false };
        match copy(&from.join(relative(digest)), &kept, digest) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(sha256 = digest.as_str(), %error, "still can't be kept, incident goes without it");
                false
            }
        }
    }

    /// Removes a kept still.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        fs::remove_file(self.to.join(relative(digest)))
    }

    /// What was put on one of the 256 shelves before a time.
    pub fn older_than(&self, shelf: u8, old: Timestamp) -> io::Result<Found> {
        let name = hex::encode([shelf]);
        let folder = self.to.join(&name);
        let mut found = Found::default();
        if !folder.exists() {
            return Ok(found);
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let put_at = entry.metadata().and_then(|metadata| metadata.modified())?;
            if Timestamp::try_from(put_at).is_ok_and(|put_at| put_at >= old) {
                continue;
            }
            let file = entry.path();
            let (stem, extension) = (file.file_stem(), file.extension().map(|extension| extension.to_string_lossy()));
            let digest = stem.and_then(|rest| Digest::try_from(format!("{name}{}", rest.to_string_lossy())).ok());
            match (digest, extension.as_deref()) {
                (Some(digest), Some("jpg")) => found.stills.push(digest),
                (Some(_), Some(extension)) if extension.starts_with("part") => found.torn.push(file),
                _ => tracing::warn!(file = %file.display(), "this is no still of ours, it stays"),
            }
        }
        Ok(found)
    }

    /// Keeps a picture that people attached.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let kept = self.to.join(relative(digest));
        if kept.exists() { Ok(()) } else { place(bytes, &kept) }
    }

    /// The bytes of a kept still; `None` when it is gone or damaged.
    pub fn load(&self, digest: &Digest) -> Option<Vec<u8>> {
        read(&self.to.join(relative(digest)), digest).ok()
    }
}

/// What lies on a shelf.
#[derive(Debug, Default)]
pub struct Found {
    /// Stills.
    pub stills: Vec<Digest>,
    /// What a crash left of copying one.
    pub torn: Vec<PathBuf>,
}

/// Where a still stands in a folder of stills.
pub(crate) fn relative(digest: &Digest) -> PathBuf {
    let (folder, rest) = digest.as_str().split_at(2);
    Path::new(folder).join(format!("{rest}.jpg"))
}

/// A still's bytes, when they have its digest.
pub(crate) fn read(file: &Path, digest: &Digest) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > MAX_BYTES {
        return Err(io::Error::other("too long"));
    }
    let bytes = fs::read(file)?;
    if hex::encode(Sha256::digest(&bytes)) == digest.as_str() {
        Ok(bytes)
    } else {
        Err(io::Error::other("its bytes don't have its digest"))
    }
}

/// Puts a sound still at its place; half of one never has its name.
pub(crate) fn copy(from: &Path, to: &Path, digest: &Digest) -> io::Result<()> {
    place(&read(from, digest)?, to)
}

fn place(bytes: &[u8], to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let part = to.with_extension(format!("part{}", std::process::id()));
    fs::write(&part, bytes)?;
    fs::File::open(&part)?.sync_all()?;
    fs::rename(&part, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_stills_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let evidence = Evidence::new(Some(from.clone()), to);
        let digest = |bytes: &[u8]| Digest::try_from(hex::encode(Sha256::digest(bytes))).unwrap();
        let put = |digest: &Digest, bytes: &[u8]| {
            let file = from.join(relative(digest));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        };
        let (sound, damaged, gone) = (digest(b"sound"), digest(b"damaged"), digest(b"gone"));
        put(&sound, b"sound");
        put(&damaged, b"other");
        assert!(evidence.keep(&sound) && !evidence.keep(&damaged) && !evidence.keep(&gone));
        fs::remove_dir_all(&from).unwrap();
        assert_eq!(evidence.load(&sound).unwrap(), b"sound");
        assert!(evidence.keep(&sound), "kept stills outlive ingest's");
        assert_eq!(evidence.load(&damaged), None);
    }
}
