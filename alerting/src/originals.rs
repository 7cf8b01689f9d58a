//! Sealed originals at the centre: ciphertext of what a redacted still was made of, and the key that opens it in memory.
//!
//! In: the key's file, ciphertext. Out: a picture that is wiped when it is dropped, with the still and the time that its worker
//! wrote into it. Invariants: nothing here writes a picture that was not redacted; no message, log or debug text shows the key.
//! Who may open what is `store/sealed.rs`'s; where ciphertext lies, `evidence.rs`'s.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use jiff::Timestamp;
use xueliang_events::values::Digest;
use xueliang_settings::Reader;
use zeroize::Zeroizing;

use crate::secret::{Secret, required_secret};

/// How ciphertext begins.
pub(crate) const MAGIC: &[u8] = b"age-encryption.org/v1\n";
/// First word of what a worker seals.
const FORMAT: &str = "xueliang-original-1";
/// Longest first line.
const MAX_LINE: usize = 200;

/// The key that opens sealed originals.
#[derive(Clone)]
pub struct OriginalsKey(Identity);

/// Why a text is no such key. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("holds no age secret key, or several")]
pub struct NoKey;

/// Why a sealed original stays shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// Sealed to another key, or damaged.
    #[error("it was sealed to another key, or is damaged")]
    Sealed,
    /// Opened, but no worker of ours wrote that.
    #[error("what was sealed is no original of a still")]
    Foreign,
    /// Of another still, or taken at another time than the grant names.
    #[error("it is of another still or time than the grant names")]
    Other,
}

/// Why a new key was not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A key is never overwritten: what was sealed to it could not be opened any more.
    #[error("{0} is there already; choose another file, for what was sealed to a lost key stays shut")]
    Exists(PathBuf),
    /// The file.
    #[error("{0} can't be written; check the path and its permissions")]
    Write(PathBuf, #[source] io::Error),
}

/// A picture that was not redacted, as JPEG; wiped when it is dropped.
pub struct Original {
    plain: Zeroizing<Vec<u8>>,
    begins: usize,
}

impl AsRef<[u8]> for Original {
    fn as_ref(&self) -> &[u8] {
        self.plain.get(self.begins..).unwrap_or_default()
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Original(…)")
    }
}

impl OriginalsKey {
    /// Reads `[alerting.sealed_originals]`; `None` means that a mistake was reported.
    pub fn read(section: &mut Reader<'_>, folders: &[&Path]) -> Option<Self> {
        const KEYS: [&str; 2] = ["key_file", "key_env"];
        let secret = required_secret(section, KEYS);
        if let Some(file) = section.optional::<PathBuf>(KEYS[0]) {
            let base = section.file().parent().map(PathBuf::from).unwrap_or_default();
            check_file(section, &base.join(file), folders);
        }
        let key = Self::parse(&secret?);
        if let Err(error) = &key {
            let written = KEYS.into_iter().find(|key| section.has(key)).unwrap_or(KEYS[0]);
            section.refuse(written, error.to_string(), "make one with `xueliang sealed-key FILE`");
        }
        key.ok()
    }

    /// The one key in a text; lines that begin with `#` say something about it.
    fn parse(text: &Secret) -> Result<Self, NoKey> {
        let lines = text.reveal().lines().map(str::trim);
        let mut keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (keys.next(), keys.next()) {
            (Some(key), None) => key.parse().map(Self).map_err(|_| NoKey),
            _ => Err(NoKey),
        }
    }

    /// Makes a key in a new file that only its owner reads.
    pub fn make(file: &Path) -> Result<Self, MakeError> {
        let key = Self(Identity::generate());
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let secret = key.0.to_string();
        let written = options.open(file).and_then(|mut written| {
            writeln!(written, "# public key: {}", key.recipient())?;
            writeln!(written, "{}", secret.expose_secret())?;
            written.sync_all()
        });
        match written {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(MakeError::Exists(file.to_owned())),
            Err(error) => Err(MakeError::Write(file.to_owned(), error)),
        }
    }

    /// The public key, for the workers' `recipient`.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Opens the original of a still that was taken within a range.
    pub fn open(&self, sealed: &[u8], still: &Digest, range: (Timestamp, Timestamp)) -> Result<Original, Shut> {
        let decryptor = age::Decryptor::new_buffered(sealed).map_err(|_| Shut::Sealed)?;
        let opened = decryptor.decrypt(std::iter::once(&self.0 as &dyn age::Identity)).map_err(|_| Shut::Sealed)?;
        // What was sealed is shorter than its ciphertext, so the vector never grows and leaves a copy behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
        opened.take(sealed.len() as u64).read_to_end(&mut plain).map_err(|_| Shut::Sealed)?;
        let end = plain.iter().take(MAX_LINE).position(|byte| *byte == b'\n').ok_or(Shut::Foreign)?;
        let line = std::str::from_utf8(plain.get(..end).unwrap_or_default()).map_err(|_| Shut::Foreign)?;
        let (of, taken_at) = read_line(line).ok_or(Shut::Foreign)?;
        if of != *still || !(range.0..=range.1).contains(&taken_at) {
            return Err(Shut::Other);
        }
        Ok(Original { plain, begins: end + 1 })
    }
}

impl fmt::Debug for OriginalsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OriginalsKey({})", self.recipient())
    }
}

/// The still and the time that a worker sealed with the picture.
fn read_line(line: &str) -> Option<(Digest, Timestamp)> {
    let mut words = line.split(' ');
    let (format, still, taken_at) = (words.next()?, words.next()?, words.next()?);
    let read = (Digest::try_from(still.to_owned()).ok()?, taken_at.parse().ok()?);
    (format == FORMAT && words.next().is_none()).then_some(read)
}

/// A key that others read, or that lies with what it opens, protects nothing.
fn check_file(section: &Reader<'_>, file: &Path, folders: &[&Path]) {
    let Ok(place) = file.canonicalize() else { return };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = place.metadata().map(|metadata| metadata.permissions().mode()).unwrap_or_default();
        if mode & 0o077 != 0 {
            section.refuse("key_file", "may be read by others", "make it private (chmod 600), or make a new pair");
        }
    }
    let is_inside = |folder: &&Path| folder.canonicalize().is_ok_and(|folder| place.starts_with(folder));
    if folders.iter().any(is_inside) {
        let cure = "keep it elsewhere, away from data_dir, snapshot_dir and their backups";
        section.refuse("key_file", "lies with what it opens", cure);
    }
}

#[cfg(test)]
pub(crate) mod tests;
