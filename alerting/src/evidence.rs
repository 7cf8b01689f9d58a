//! Redacted stills: found by digest where ingest keeps them, copied beside the store when an incident shows them; where this
//! centre can open them, each with the sealed original that lies beside it.
//!
//! Invariants: a path is built from a validated digest only; a copy is kept only when its bytes have that digest. A still
//! that is gone or damaged leaves the incident without it, never the incident out. A sealed original is copied as ciphertext,
//! only with its still, and goes before it.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use xueliang_events::values::Digest;

use crate::originals::MAGIC;

/// Longest still or sealed original that is kept, bytes.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// The ending of a still.
const STILL: &str = "jpg";
/// The ending of a sealed original.
const SEALED: &str = "age";
/// Only alerting's own account reads a sealed original.
const SEALED_MODE: u32 = 0o600;
/// As the system's mask has it.
const STILL_MODE: u32 = 0o666;

/// Where stills come from and go to.
#[derive(Debug, Clone)]
pub struct Evidence {
    from: Option<PathBuf>,
    to: PathBuf,
    takes_originals: bool,
}

impl Evidence {
    /// Copies from ingest's folder, if there is one here, to ours; stills alone.
    pub fn new(from: Option<PathBuf>, to: PathBuf) -> Self {
        Self { from, to, takes_originals: false }
    }

    /// The same, with the sealed originals of those stills where this centre can open them.
    pub fn with_originals(self, takes_originals: bool) -> Self {
        Self { takes_originals, ..self }
    }

    /// Keeps a copy; true when it is there and sound.
    pub fn keep(&self, digest: &Digest) -> bool {
        let kept = self.to.join(relative(digest));
        if !kept.exists() {
            let Some(from) = &self.from else { return false };
            if let Err(error) = copy(&from.join(relative(digest)), &kept, digest) {
                tracing::warn!(sha256 = digest.as_str(), %error, "still can't be kept, incident goes without it");
                return false;
            }
        }
        self.keep_original(digest);
        true
    }

    /// Keeps the sealed original of a kept still, if ingest made one.
    fn keep_original(&self, digest: &Digest) {
        let Some(from) = self.from.as_ref().filter(|_| self.takes_originals) else { return };
        let (source, kept) = (from.join(relative_sealed(digest)), self.to.join(relative_sealed(digest)));
        if kept.exists() || !source.exists() {
            return;
        }
        let copied = read_sealed(&source).and_then(|bytes| place(&bytes, &kept, SEALED_MODE));
        if let Err(error) = copied {
            tracing::warn!(sha256 = digest.as_str(), %error, "sealed original can't be kept, the still goes without it");
        }
    }

    /// Removes a kept still, after its sealed original.
    pub fn remove(&self, digest: &Digest) -> io::Result<()> {
        match fs::remove_file(self.to.join(relative_sealed(digest))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
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
                // One that lost its still goes like a still.
                (Some(digest), Some(STILL | SEALED)) => found.stills.push(digest),
                (Some(_), Some(extension)) if extension.starts_with("part") => found.torn.push(file),
                _ => tracing::warn!(file = %file.display(), "this is no still of ours, it stays"),
            }
        }
        Ok(found)
    }

    /// Keeps a picture that people attached.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let kept = self.to.join(relative(digest));
        if kept.exists() { Ok(()) } else { place(bytes, &kept, STILL_MODE) }
    }

    /// The bytes of a kept still; `None` when it is gone or damaged.
    pub fn load(&self, digest: &Digest) -> Option<Vec<u8>> {
        read(&self.to.join(relative(digest)), digest).ok()
    }

    /// Whether a kept still has its sealed original here.
    pub fn has_original(&self, digest: &Digest) -> bool {
        self.to.join(relative_sealed(digest)).exists()
    }

    /// The ciphertext of a kept still's original; `None` when there is none.
    pub fn load_original(&self, digest: &Digest) -> Option<Vec<u8>> {
        read_sealed(&self.to.join(relative_sealed(digest))).ok()
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
    Path::new(folder).join(format!("{rest}.{STILL}"))
}

/// Where its sealed original stands there.
fn relative_sealed(digest: &Digest) -> PathBuf {
    relative(digest).with_extension(SEALED)
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

/// A file's bytes, when they are ciphertext: a picture under that name is never taken for one.
fn read_sealed(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > MAX_BYTES {
        return Err(io::Error::other("too long"));
    }
    let bytes = fs::read(file)?;
    if bytes.starts_with(MAGIC) { Ok(bytes) } else { Err(io::Error::other("it is not sealed")) }
}

/// Puts a sound still at its place; half of one never has its name.
pub(crate) fn copy(from: &Path, to: &Path, digest: &Digest) -> io::Result<()> {
    place(&read(from, digest)?, to, STILL_MODE)
}

fn place(bytes: &[u8], to: &Path, mode: u32) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // Not the name of another kind's part, for what is there keeps its mode.
    let ending = to.extension().unwrap_or_default().to_string_lossy();
    let part = to.with_extension(format!("part{}-{ending}", std::process::id()));
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut written = options.open(&part)?;
    written.write_all(bytes)?;
    written.sync_all()?;
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

    #[test]
    fn sealed_originals_come_with_their_stills_only_where_they_can_be_opened() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        let digest = |bytes: &[u8]| Digest::try_from(hex::encode(Sha256::digest(bytes))).unwrap();
        let ciphertext = [MAGIC, b"ciphertext"].concat();
        let put = |file: PathBuf, bytes: &[u8]| {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        };
        let (one, bare, forged) = (digest(b"one"), digest(b"bare"), digest(b"forged"));
        for (still, bytes) in [(&one, &b"one"[..]), (&bare, b"bare"), (&forged, b"forged")] {
            put(from.join(relative(still)), bytes);
        }
        put(from.join(relative_sealed(&one)), &ciphertext);
        put(from.join(relative_sealed(&forged)), b"\xff\xd8\xff a picture");
        put(from.join(relative_sealed(&digest(b"no still"))), &ciphertext);

        let without = Evidence::new(Some(from.clone()), folder.path().join("without"));
        assert!(without.keep(&one) && !without.has_original(&one));
        let to = folder.path().join("with");
        let evidence = Evidence::new(Some(from), to.clone()).with_originals(true);
        assert!([&one, &bare, &forged].into_iter().all(|still| evidence.keep(still)));
        assert!(!evidence.keep(&digest(b"no still")) && !evidence.has_original(&digest(b"no still")));
        assert_eq!([&one, &bare, &forged].map(|still| evidence.has_original(still)), [true, false, false]);
        assert_eq!(evidence.load_original(&one), Some(ciphertext));
        assert_eq!(fs::metadata(to.join(relative_sealed(&one))).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(evidence.load(&one).unwrap(), b"one");

        evidence.remove(&one).unwrap();
        evidence.remove(&bare).unwrap();
        assert!(!evidence.has_original(&one) && evidence.load(&one).is_none() && evidence.load(&bare).is_none());
    }
}
