//! Backups: a folder that holds the store and its kept stills in one form for both databases, and the way back.
//!
//! [`backup()`] reads one consistent state while alerting runs; [`verify`] tells whether a folder is whole and unchanged;
//! [`restore`] fills an empty store from it, of either kind. Invariants: a folder gets its name only when everything is in it
//! and on disk; nothing is written into a store before every byte of the folder was verified; what is refused is named with
//! its cause and cure. Not here: when backups are made, and where they are kept.

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use xueliang_events::values::Digest;

use crate::store::{Place, StoreError};

mod carried;
mod check;
mod folder;
mod make;
mod manifest;
mod restore;
mod rows;
mod stills;
#[cfg(test)]
mod tests;

pub use check::verify;
pub use make::backup;
pub use restore::restore;

/// What a backup is of, or restored into.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where the store is.
    pub place: Place,
    /// The folder of the kept stills.
    pub evidence_dir: PathBuf,
}

/// A step that was just done; the next one may take a while.
#[derive(Debug, Clone, Copy)]
pub struct Step<'s> {
    /// What is done: `reading`, `checking`, `copying` or `writing`.
    pub doing: &'static str,
    /// With what: a table, or `stills`.
    pub what: &'s str,
    /// How many rows or stills so far.
    pub n_done: u64,
}

/// Who is told of each step.
pub type Tell<'t> = &'t mut dyn FnMut(Step<'_>);

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// When it was made.
    pub made_at: Timestamp,
    /// The store's schema.
    pub schema: usize,
    /// Tables.
    pub n_tables: usize,
    /// Rows of all tables.
    pub n_rows: u64,
    /// Stills.
    pub n_stills: u64,
    /// Bytes of rows and stills.
    pub n_bytes: u64,
    /// Stills that were damaged when the backup was made, and are not in it.
    pub damaged: Vec<Digest>,
}

/// Why there is no backup, or why it was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store said no.
    #[error("the store can't be read or written")]
    Store(#[from] StoreError),
    /// A table's rows are refused by the store.
    #[error("{0}: the store refuses its rows")]
    Rows(PathBuf, #[source] StoreError),
    /// There is nothing to back up.
    #[error("{0} holds no store of alerting; name the settings file that alerting runs with")]
    NoStore(String),
    /// The target exists.
    #[error("{0} exists already; name a folder that does not")]
    Exists(PathBuf),
    /// An earlier backup to the same target was cut off, or is under way.
    #[error("{0} is of a backup that did not end; unless it is still being made, delete that folder and try again")]
    Unfinished(PathBuf),
    /// A file can't be read.
    #[error("{0} can't be read; see that it exists and that this account may read it")]
    Read(PathBuf, #[source] io::Error),
    /// A file can't be written.
    #[error("{0} can't be written; see that its folder exists, has room, and that this account may write there")]
    Write(PathBuf, #[source] io::Error),
    /// The backup is not what it was.
    #[error("{file}: {problem}; take another copy of the backup, or another backup")]
    Damaged {
        /// The file that is wrong.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The backup was written by a newer program.
    #[error("{file} is of {what} {found}, this program knows {known}; restore with the newer program")]
    Newer {
        /// The manifest.
        file: PathBuf,
        /// Format or schema.
        what: &'static str,
        /// The backup's.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// The backup and this program came by their schemas on different ways.
    #[error("{file} has another migration {number} than this program; restore with the program that made the backup")]
    OtherHistory {
        /// The manifest.
        file: PathBuf,
        /// The first migration that differs.
        number: usize,
    },
    /// The store holds something already.
    #[error("the store holds rows in table {0} already; name a new file, or an empty database")]
    NotEmpty(String),
    /// The store is empty, but of a newer schema than the backup.
    #[error("the store has schema {store} already, the backup {backup}; name a new file, or an empty database")]
    Ahead {
        /// The store's schema.
        store: usize,
        /// The backup's.
        backup: usize,
    },
}

fn damaged(file: &Path, problem: impl Into<String>) -> BackupError {
    BackupError::Damaged { file: file.to_owned(), problem: problem.into() }
}
