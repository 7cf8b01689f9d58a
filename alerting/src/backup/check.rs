//! Verifies a backup: every file is there, none is too many, and every byte is what it was.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use xueliang_events::values::Digest;

use super::{
    BackupError, Step, Summary, Tell, damaged,
    folder::refuse_unfinished,
    manifest::{MANIFEST, MANIFEST_HASH, Manifest, STILLS, STILLS_LIST, TABLES},
    rows::Reader,
    stills::Stills,
};
use crate::store::{schema::Holds, sql::Value};

/// How many rows between two steps that are told.
const PORTION: usize = 500;

/// Verifies a backup without restoring it.
pub fn verify(from: &Path, tell: Tell<'_>) -> Result<Summary, BackupError> {
    Ok(Verified::new(from, tell)?.manifest.summary())
}

/// A backup whose every byte is what it was.
#[derive(Debug)]
pub struct Verified {
    /// What it holds.
    pub manifest: Manifest,
    /// Its stills.
    pub stills: Stills,
}

impl Verified {
    /// Verifies a backup.
    pub fn new(from: &Path, tell: Tell<'_>) -> Result<Self, BackupError> {
        refuse_unfinished(from)?;
        let manifest = Manifest::read(from)?;
        let stills = list_stills(from, &manifest)?;
        refuse_extra(from, &manifest, &stills)?;
        for entry in &manifest.tables {
            let (file, holds) = (entry.file(from), entry.holds().unwrap_or_default());
            let mut rows = Reader::open(&file, &entry.contents, &holds)?;
            let mut n_done = 0;
            loop {
                let n_rows = rows.portion(PORTION)?.len();
                n_done += n_rows as u64;
                tell(Step { doing: "checking", what: &entry.table, n_done });
                if n_rows < PORTION {
                    break;
                }
            }
        }
        stills.verify(&from.join(STILLS), tell)?;
        Ok(Self { manifest, stills })
    }
}

fn list_stills(from: &Path, manifest: &Manifest) -> Result<Stills, BackupError> {
    let file = from.join(STILLS_LIST);
    let mut list = Reader::open(&file, &manifest.stills, &[Holds::Text, Holds::Int])?;
    let mut stills = Stills::default();
    while let Some(row) = list.next_row()? {
        let digest = match row.into_iter().next() {
            Some(Value::Text(text)) => Digest::try_from(text).ok(),
            _ => None,
        };
        stills.insert(&digest.ok_or_else(|| damaged(&file, "holds something that is no digest"))?);
    }
    Ok(stills)
}

/// Refuses whatever the manifest doesn't tell of: somebody put it there.
fn refuse_extra(from: &Path, manifest: &Manifest, stills: &Stills) -> Result<(), BackupError> {
    let mut known: BTreeSet<PathBuf> = manifest.tables.iter().map(|entry| entry.file(from)).collect();
    known.extend([MANIFEST, MANIFEST_HASH, STILLS_LIST].map(|name| from.join(name)));
    let (tables_dir, stills_dir) = (from.join(TABLES), from.join(STILLS));
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error: io::Error| BackupError::Read(folder.clone(), error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            let within_stills = path.strip_prefix(&stills_dir).ok();
            let is_known = if kind.is_dir() {
                path == tables_dir || within_stills.is_some_and(|within| within.components().count() <= 1)
            } else {
                kind.is_file() && (known.contains(&path) || within_stills.is_some_and(|within| stills.has(within)))
            };
            if !is_known {
                return Err(damaged(&path, "is not of this backup"));
            }
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}
