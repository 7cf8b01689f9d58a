//! The file of checkpoints in the second place: appended, made to last, never rewritten.
//!
//! In: the head and the time. Out: a signed line, when one is due. The file is opened anew and its last line read for each, so one
//! that was taken away or set back is noticed. Only a torn last line is ever cut off: nobody was told of it. Instances that share
//! the file take turns by its lock.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    checkpoint::Checkpoint,
    key::{KeyError, PublicKey, Signer},
    lines,
    row::Head,
    settings::AuditSettings,
};
use crate::files::{keep, sync_folder};

/// Longer than two lines.
const TAIL: u64 = 4096;

/// Why checkpoints can't be written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file.
    #[error("{0} can't be read or written; check the path, its permissions and its disk")]
    File(PathBuf, #[source] io::Error),
    /// The key.
    #[error("the key of checkpoints can't be used")]
    Key(#[from] KeyError),
    /// There is a key, so there were checkpoints.
    #[error(
        "{file} is missing although its key is there: restore it, or move {key_file} away to begin anew under a new key"
    )]
    Gone {
        /// The missing file.
        file: PathBuf,
        /// The key.
        key_file: PathBuf,
    },
    /// The file has fewer lines than we saw.
    #[error("{file} ends before row {seq}, which was signed there: restore it")]
    SetBack {
        /// The file.
        file: PathBuf,
        /// The last row that we know was signed.
        seq: u64,
    },
    /// Its last line.
    #[error("the last line of {0} can't be read ({1}): restore it")]
    Damaged(PathBuf, String),
    /// The chain has another row than the one that was signed.
    #[error("row {0} is not the one that was signed: verify the audit before anything else")]
    Contradicted(u64),
}

/// The checkpoints of this deployment.
#[derive(Debug)]
pub struct CheckpointLog {
    file: PathBuf,
    signer: Signer,
    last: Option<Checkpoint>,
}

impl CheckpointLog {
    /// The file's name in its folder.
    pub const FILE: &str = "checkpoints.jsonl";

    /// Opens the file, or makes it and the key at the first start; the public key is put beside the checkpoints.
    pub fn open(settings: &AuditSettings, key_file: &Path) -> Result<Self, CheckpointError> {
        let file = settings.checkpoints.join(Self::FILE);
        let wrong = |error| CheckpointError::File(file.clone(), error);
        if !file.exists() {
            if key_file.exists() {
                return Err(CheckpointError::Gone { file, key_file: key_file.to_owned() });
            }
            // Before the key: a crash between the two must not look like a lost file.
            fs::create_dir_all(&settings.checkpoints).map_err(wrong)?;
            make(&file).map_err(wrong)?;
        }
        let signer = Signer::load_or_make(key_file)?;
        let public_key = signer.public_key();
        let public_file = settings.checkpoints.join(format!("{}.pem", public_key.id()));
        if !public_file.exists() {
            let kept = keep(&public_file, &public_key.to_pem(), 0o644);
            kept.map_err(|error| CheckpointError::File(public_file.clone(), error))?;
        }
        let (last, _) = read_end(&file, &mut File::open(&file).map_err(wrong)?)?;
        Ok(Self { file, signer, last })
    }

    /// The last one that we know of. At the start the row of its number must have its hash, else rows are lost or changed.
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref()
    }

    /// Where they are.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The key that signs now, for the auditor.
    pub fn public_key(&self) -> PublicKey {
        self.signer.public_key()
    }

    /// Signs a head and makes the line last. `None` when it, or a later one, is signed already.
    pub fn sign(&mut self, head: Head, now: Timestamp) -> Result<Option<Checkpoint>, CheckpointError> {
        let wrong = |error| CheckpointError::File(self.file.clone(), error);
        let mut file = File::options().read(true).write(true).open(&self.file).map_err(wrong)?;
        match file.lock() {
            // Some network shares know no locks; there one instance writes.
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(wrong(error)),
            _ => {}
        }
        let (last, end) = read_end(&self.file, &mut file)?;
        let seq_of = |checkpoint: &Option<Checkpoint>| checkpoint.as_ref().map_or(0, |known| known.head.seq);
        if seq_of(&last) < seq_of(&self.last) {
            return Err(CheckpointError::SetBack { file: self.file.clone(), seq: seq_of(&self.last) });
        }
        if last.as_ref().is_some_and(|last| last.head.seq == head.seq && last.head.hash != head.hash) {
            return Err(CheckpointError::Contradicted(head.seq));
        }
        let signed = (head.seq > seq_of(&last)).then(|| Checkpoint::sign(&self.signer, head, last.as_ref(), now));
        if let Some(checkpoint) = &signed {
            write_at(&mut file, end, checkpoint).map_err(wrong)?;
        }
        self.last = signed.clone().or(last);
        Ok(signed)
    }
}

/// Makes an empty file; one that another instance was faster to make stays.
fn make(file: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).open(file) {
        Ok(made) => made.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    sync_folder(file)
}

fn write_at(file: &mut File, end: u64, checkpoint: &Checkpoint) -> io::Result<()> {
    let mut line = Vec::new();
    lines::write_checkpoint(&mut line, checkpoint)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&line)?;
    file.sync_all()
}

/// The last whole line, and where it ends.
fn read_end(path: &Path, file: &mut File) -> Result<(Option<Checkpoint>, u64), CheckpointError> {
    let wrong = |error| CheckpointError::File(path.to_owned(), error);
    let len = file.metadata().map_err(wrong)?.len();
    let begin = len.saturating_sub(TAIL);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(begin)).map_err(wrong)?;
    file.take(TAIL).read_to_end(&mut tail).map_err(wrong)?;
    let Some(newline) = tail.iter().rposition(|byte| *byte == b'\n') else {
        let is_torn_first = begin == 0;
        let damaged = || CheckpointError::Damaged(path.to_owned(), "it has no end".to_owned());
        return if is_torn_first { Ok((None, 0)) } else { Err(damaged()) };
    };
    let line = tail[..newline].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let last = lines::checkpoint(line).map_err(|cause| CheckpointError::Damaged(path.to_owned(), cause))?;
    Ok((Some(last), begin + newline as u64 + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audit::{Keys, Pace, testing::chain};

    fn settings(folder: &Path) -> AuditSettings {
        let pace = Pace { every_rows: 2, every: Duration::from_secs(60) };
        AuditSettings { checkpoints: folder.join("second/place"), pace, keep_months: 6 }
    }

    fn now() -> Timestamp {
        "2026-11-23T08:00:00Z".parse().unwrap()
    }

    #[test]
    fn p27_checkpoints_of_several_starts_and_keys_are_one_chain() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, key_file) = (settings(folder.path()), folder.path().join("key.pem"));
        let rows = chain(5);
        let mut log = CheckpointLog::open(&settings, &key_file).unwrap();
        assert!(log.last().is_none());
        let first = log.sign(rows[0].head(), now()).unwrap().unwrap();
        assert_eq!(log.sign(rows[0].head(), now()).unwrap(), None, "a head is signed once");
        let first_key = log.public_key();
        let mut log = CheckpointLog::open(&settings, &key_file).unwrap();
        assert_eq!((log.last(), log.public_key()), (Some(&first), first_key.clone()));
        log.sign(rows[2].head(), now()).unwrap().unwrap();

        // Another key: the file is moved away.
        fs::rename(&key_file, folder.path().join("old.pem")).unwrap();
        let mut log = CheckpointLog::open(&settings, &key_file).unwrap();
        let third = log.sign(rows[4].head(), now()).unwrap().unwrap();
        assert_ne!(third.key_id, first.key_id);
        let read: Vec<_> = lines::checkpoints(io::BufReader::new(File::open(log.file()).unwrap())).collect();
        let read: Vec<Checkpoint> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read.len(), 3);
        assert!(read.windows(2).all(|pair| pair[1].previous == pair[0].fingerprint()));
        let public =
            |id: &str| PublicKey::load(&settings.checkpoints.join(format!("{id}.pem"))).expect("a public key beside");
        let keys = Keys(vec![public(&first.key_id.to_string()), public(&third.key_id.to_string())]);
        assert!(read.iter().all(|checkpoint| checkpoint.is_signed_by(keys.get(checkpoint.key_id).unwrap())));
    }

    #[test]
    fn p27_a_torn_last_line_is_cut_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, key_file) = (settings(folder.path()), folder.path().join("key.pem"));
        let rows = chain(3);
        let mut log = CheckpointLog::open(&settings, &key_file).unwrap();
        let whole = |log: &CheckpointLog| fs::read(log.file()).unwrap();
        fs::write(log.file(), "{\"v\":1,\"se").unwrap();
        log.sign(rows[0].head(), now()).unwrap();
        let one = whole(&log);
        assert_eq!(lines::checkpoints(one.as_slice()).map(Result::unwrap).count(), 1, "a torn first line is none");
        fs::write(log.file(), [&one[..], &one[..100]].concat()).unwrap();
        assert_eq!(lines::checkpoints(whole(&log).as_slice()).map(Result::unwrap).count(), 1, "read past while torn");
        let mut log = CheckpointLog::open(&settings, &key_file).unwrap();
        log.sign(rows[1].head(), now()).unwrap();
        let two = whole(&log);
        assert!(two.starts_with(&one));
        assert_eq!(lines::checkpoints(two.as_slice()).map(Result::unwrap).count(), 2);
    }

    #[test]
    fn p27_a_file_that_is_taken_away_or_set_back_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, key_file) = (settings(folder.path()), folder.path().join("key.pem"));
        let rows = chain(3);
        let mut log = CheckpointLog::open(&settings, &key_file).unwrap();
        log.sign(rows[0].head(), now()).unwrap();
        let one = fs::read(log.file()).unwrap();
        log.sign(rows[1].head(), now()).unwrap();
        fs::write(log.file(), &one).unwrap();
        assert!(matches!(log.sign(rows[2].head(), now()), Err(CheckpointError::SetBack { seq: 2, .. })));
        fs::write(log.file(), [&one[..], b"{}\n"].concat()).unwrap();
        assert!(matches!(log.sign(rows[2].head(), now()), Err(CheckpointError::Damaged(..))));
        fs::remove_file(log.file()).unwrap();
        assert!(matches!(log.sign(rows[2].head(), now()), Err(CheckpointError::File(..))));
        assert!(matches!(CheckpointLog::open(&settings, &key_file), Err(CheckpointError::Gone { .. })));
    }

    #[test]
    fn p27_another_row_than_the_signed_one_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, key_file) = (settings(folder.path()), folder.path().join("key.pem"));
        let mut log = CheckpointLog::open(&settings, &key_file).unwrap();
        let head = chain(2)[1].head();
        log.sign(head, now()).unwrap();
        let other = Head { hash: crate::audit::Hash([7; 32]), ..head };
        assert!(matches!(log.sign(other, now()), Err(CheckpointError::Contradicted(2))));
    }

    #[cfg(unix)]
    #[test]
    fn p27_the_private_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (settings, key_file) = (settings(folder.path()), folder.path().join("key.pem"));
        let log = CheckpointLog::open(&settings, &key_file).unwrap();
        assert_eq!(fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&key_file).unwrap().contains(&log.public_key().to_pem()));
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = CheckpointLog::open(&settings, &key_file);
        assert!(matches!(refused, Err(CheckpointError::Key(KeyError::Open(_)))));
    }
}
