//! `manifest.json`: what a backup holds, file by file, and the hash that vouches for the manifest itself.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use xueliang_events::values::Digest;

use super::{
    BackupError, Summary, damaged,
    rows::{Contents, create_private},
};
use crate::store::{
    migrate,
    schema::{Holds, Table},
};

/// The form of the folder; a later one that older programs can't read has another number.
const FORMAT: usize = 1;

/// The manifest.
pub const MANIFEST: &str = "manifest.json";
/// Its hash, as `sha256sum` writes it.
pub const MANIFEST_HASH: &str = "manifest.json.sha256";
/// The folder of the tables' rows.
pub const TABLES: &str = "tables";
/// The list of the stills: digest and bytes of each.
pub const STILLS_LIST: &str = "stills.jsonl";
/// The folder of the stills.
pub const STILLS: &str = "stills";

/// Longest manifest that is read, bytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: usize,
    /// When the backup was made.
    pub made_at: Timestamp,
    /// The store's schema.
    pub schema: usize,
    /// The hashes of the migrations that led to it.
    pub migrations: Vec<String>,
    /// The tables, parents first.
    pub tables: Vec<TableEntry>,
    /// Tables that are not in it.
    pub left_out: Vec<LeftOut>,
    /// The list of stills.
    pub stills: Contents,
    /// The bytes of the stills.
    pub still_bytes: u64,
    /// Stills that were damaged already.
    pub damaged_stills: Vec<Digest>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableEntry {
    /// Its name.
    pub table: String,
    /// Its columns, in the rows' order.
    pub columns: Vec<ColumnEntry>,
    /// The last number that the database gave out, where it numbers the rows.
    pub last_number: Option<i64>,
    /// Its rows.
    pub contents: Contents,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnEntry {
    /// Its name.
    pub name: String,
    /// `integer`, `real` or `text`.
    pub holds: String,
}

/// A table that is not in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Its name.
    pub table: String,
    /// Why.
    pub reason: String,
}

impl Manifest {
    /// A manifest of this program's format, of a store with these migrations.
    pub fn new(made_at: Timestamp, migrations: Vec<String>) -> Self {
        Self {
            format: FORMAT,
            made_at,
            schema: migrations.len(),
            migrations,
            tables: Vec::new(),
            left_out: Vec::new(),
            stills: Contents { rows: 0, bytes: 0, sha256: hex::encode(Sha256::digest(b"")) },
            still_bytes: 0,
            damaged_stills: Vec::new(),
        }
    }

    /// Writes it and its hash, for good.
    pub fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let put = |name: &str, bytes: &[u8]| {
            let file = folder.join(name);
            let written = create_private(&file).and_then(|mut to| to.write_all(bytes).and_then(|()| to.sync_all()));
            written.map_err(|error| BackupError::Write(file, error))
        };
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| BackupError::Write(folder.join(MANIFEST), io::Error::other(error)))?;
        bytes.push(b'\n');
        put(MANIFEST, &bytes)?;
        put(MANIFEST_HASH, hash_line(&bytes).as_bytes())
    }

    /// Reads the manifest of a whole backup that this program can restore.
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let (file, hash_file) = (folder.join(MANIFEST), folder.join(MANIFEST_HASH));
        let (bytes, hash) = (read(&file)?, read(&hash_file)?);
        if hash != hash_line(&bytes).as_bytes() {
            return Err(damaged(&file, format!("was changed: its hash is not that in {}", hash_file.display())));
        }
        // Before the rest: a newer manifest may have keys that this program doesn't know.
        let number = |json: &serde_json::Value, key| json.get(key).and_then(serde_json::Value::as_u64);
        let json = serde_json::from_slice(&bytes).map_err(|error| damaged(&file, error.to_string()))?;
        for (what, known) in [("format", FORMAT), ("schema", migrate::SCHEMA)] {
            let found = number(&json, what).unwrap_or(0) as usize;
            if found > known {
                return Err(BackupError::Newer { file, what, found, known });
            }
        }
        let manifest: Self = serde_json::from_value(json).map_err(|error| damaged(&file, error.to_string()))?;
        manifest.check(&file)?;
        Ok(manifest)
    }

    fn check(&self, file: &Path) -> Result<(), BackupError> {
        if self.migrations.is_empty() || self.migrations.len() != self.schema {
            return Err(damaged(file, "has not as many migrations as its schema says"));
        }
        let differs = migrate::hashes().zip(&self.migrations).position(|(ours, theirs)| ours != *theirs);
        if let Some(index) = differs {
            return Err(BackupError::OtherHistory { file: file.to_owned(), number: index + 1 });
        }
        for entry in &self.tables {
            // The name becomes a path.
            let is_name = entry.table.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if !is_name || entry.table.is_empty() || entry.holds().is_none() {
                return Err(damaged(file, format!("tells of {:?}, which is no table of a store", entry.table)));
            }
        }
        Ok(())
    }

    /// What it comes to.
    pub fn summary(&self) -> Summary {
        let of_tables =
            |count: fn(&Contents) -> u64| self.tables.iter().map(|table| count(&table.contents)).sum::<u64>();
        Summary {
            made_at: self.made_at,
            schema: self.schema,
            n_tables: self.tables.len(),
            n_rows: of_tables(|contents| contents.rows),
            n_stills: self.stills.rows,
            n_bytes: of_tables(|contents| contents.bytes) + self.still_bytes,
            damaged: self.damaged_stills.clone(),
        }
    }
}

impl TableEntry {
    /// The entry of a table.
    pub fn new(table: &Table, last_number: Option<i64>, contents: Contents) -> Self {
        let columns = table.columns.iter();
        let columns =
            columns.map(|column| ColumnEntry { name: column.name.clone(), holds: column.holds.as_str().to_owned() });
        Self { table: table.name.clone(), columns: columns.collect(), last_number, contents }
    }

    /// What its columns hold; `None` where that is unknown.
    pub fn holds(&self) -> Option<Vec<Holds>> {
        self.columns.iter().map(|column| Holds::parse(&column.holds)).collect()
    }

    /// The file of its rows.
    pub fn file(&self, folder: &Path) -> PathBuf {
        table_file(folder, &self.table)
    }
}

/// The file of a table's rows.
pub fn table_file(folder: &Path, table: &str) -> PathBuf {
    folder.join(TABLES).join(format!("{table}.jsonl"))
}

fn hash_line(bytes: &[u8]) -> String {
    format!("{}  {MANIFEST}\n", hex::encode(Sha256::digest(bytes)))
}

fn read(file: &Path) -> Result<Vec<u8>, BackupError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => damaged(file, "is missing: this is no backup, or one that did not end"),
        _ => BackupError::Read(file.to_owned(), error),
    };
    if fs::metadata(file).map_err(failed)?.len() > LONGEST {
        return Err(damaged(file, "is too long"));
    }
    fs::read(file).map_err(failed)
}
