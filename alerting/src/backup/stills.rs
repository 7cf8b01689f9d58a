//! Stills in a backup: those that its rows tell of, each under its digest, so that its name proves its bytes.
//!
//! A still that no row tells of is not carried: nobody would ever find and delete it (RULES P16).

use std::{collections::BTreeSet, fs, io, path::Path};

use xueliang_events::values::Digest;

use super::{BackupError, Step, Tell, damaged, folder::sync};
use crate::{
    evidence::{self, copy, relative},
    store::sql::Value,
};

/// Digests in order; 32 bytes each, for there may be very many.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stills(BTreeSet<[u8; 32]>);

/// What came of copying.
#[derive(Debug, Default)]
pub struct Copied {
    /// Digest and bytes of each, in order.
    pub stills: Vec<(Digest, u64)>,
    /// Those whose bytes are not what their names say.
    pub damaged: Vec<Digest>,
}

impl Stills {
    /// Adds the digests in a row of those stills that the folder has.
    pub fn note(&mut self, row: &[Value], evidence_dir: &Path) {
        for value in row {
            let Value::Text(text) = value else { continue };
            for digest in digests(text) {
                let mut bytes = [0; 32];
                if hex::decode_to_slice(digest.as_str(), &mut bytes).is_ok()
                    && !self.0.contains(&bytes)
                    && evidence_dir.join(relative(&digest)).exists()
                {
                    self.0.insert(bytes);
                }
            }
        }
    }

    /// Adds one.
    pub fn insert(&mut self, digest: &Digest) {
        let mut bytes = [0; 32];
        if hex::decode_to_slice(digest.as_str(), &mut bytes).is_ok() {
            self.0.insert(bytes);
        }
    }

    /// The digests, in order.
    pub fn iter(&self) -> impl Iterator<Item = Digest> {
        self.0.iter().filter_map(|bytes| Digest::try_from(hex::encode(bytes)).ok())
    }

    /// Copies the stills from the evidence for good. One that was deleted meanwhile is left out; it had lived long enough.
    pub fn copy(&self, from: &Path, to: &Path, tell: Tell<'_>) -> Result<Copied, BackupError> {
        let mut copied = Copied::default();
        let mut folders = BTreeSet::new();
        for digest in self.iter() {
            let (source, target) = (from.join(relative(&digest)), to.join(relative(&digest)));
            match copy(&source, &target, &digest) {
                Ok(()) => {
                    let n_bytes =
                        fs::metadata(&target).map_err(|error| BackupError::Write(target.clone(), error))?.len();
                    folders.extend(target.parent().map(Path::to_owned));
                    copied.stills.push((digest, n_bytes));
                }
                // Ours or a full disk's errors and the evidence's come from one function; reading again tells which.
                Err(error) => match evidence::read(&source, &digest) {
                    Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                    Err(_) => copied.damaged.push(digest),
                    Ok(_) => return Err(BackupError::Write(target, error)),
                },
            }
            tell(Step { doing: "copying", what: "stills", n_done: copied.stills.len() as u64 });
        }
        folders.insert(to.to_owned());
        folders.extend(to.parent().map(Path::to_owned));
        for folder in folders {
            sync(&folder).map_err(|error| BackupError::Write(folder, error))?;
        }
        Ok(copied)
    }

    /// Refuses stills that are missing, changed, or too many.
    pub fn verify(&self, folder: &Path, tell: Tell<'_>) -> Result<(), BackupError> {
        for (n_before, digest) in self.iter().enumerate() {
            let file = folder.join(relative(&digest));
            evidence::read(&file, &digest).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => damaged(&file, "is missing"),
                io::ErrorKind::Other => damaged(&file, "was changed: its name is not its hash"),
                _ => BackupError::Read(file.clone(), error),
            })?;
            tell(Step { doing: "checking", what: "stills", n_done: n_before as u64 + 1 });
        }
        Ok(())
    }

    /// True when a path within the folder of stills is one of these.
    pub fn has(&self, within: &Path) -> bool {
        let name = within.with_extension("");
        let name: String = name.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let mut bytes = [0; 32];
        let Ok(digest) = Digest::try_from(name) else { return false };
        relative(&digest) == within
            && hex::decode_to_slice(digest.as_str(), &mut bytes).is_ok()
            && self.0.contains(&bytes)
    }
}

fn digests(text: &str) -> impl Iterator<Item = Digest> {
    let runs = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|run| run.len() == 64);
    runs.filter_map(|run| Digest::try_from(run.to_owned()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_alone_and_in_json() {
        let digest = "0123456789abcdef".repeat(4);
        let check = |text: &str, n_expected: usize| assert_eq!(digests(text).count(), n_expected, "{text}");
        check(&digest, 1);
        check(&format!("{{\"snapshot\":{{\"sha256\":\"{digest}\"}},\"other\":\"{digest}\"}}"), 2);
        check(&format!("{digest}0"), 0);
        check(&digest.to_uppercase(), 0);
        check(&digest[1..], 0);
        check("", 0);
    }

    #[test]
    fn only_the_exact_path_of_a_still_is_its_own() {
        let digest = Digest::try_from("ab".repeat(32)).unwrap();
        let mut stills = Stills::default();
        stills.insert(&digest);
        let path = relative(&digest);
        assert!(stills.has(&path));
        for other in [path.with_extension("png"), path.with_extension(""), Path::new("x").join(&path)] {
            assert!(!stills.has(&other), "{other:?}");
        }
        assert!(!stills.has(Path::new(&format!("{}.jpg", digest.as_str()))));
    }
}
