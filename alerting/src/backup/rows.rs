//! Rows as lines of JSON: one array for each row, hashed and counted as it is written and as it is read.
//!
//! Whole numbers are JSON's; numbers stand as text, so that they come back to the last bit. Invariant: a [`Reader`] that has
//! given its last row without an error has read exactly the bytes that the entry tells of.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{BackupError, damaged};
use crate::store::{schema::Holds, sql::Value};

/// Longest line, bytes: far beyond any row, so that a wrong file can't fill the memory.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// What a file of rows holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// How many.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their hash.
    pub sha256: String,
}

/// Writes rows to a new file that only its owner reads.
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    line: Vec<u8>,
    n_rows: u64,
    n_bytes: u64,
}

impl Writer {
    /// Makes the file.
    pub fn create(path: PathBuf) -> Result<Self, BackupError> {
        let file = create_private(&path).map_err(|error| BackupError::Write(path.clone(), error))?;
        let (file, hash) = (BufWriter::new(file), Sha256::new());
        Ok(Self { path, file, hash, line: Vec::new(), n_rows: 0, n_bytes: 0 })
    }

    /// Adds a row.
    pub fn write(&mut self, row: &[Value]) -> Result<(), BackupError> {
        self.line.clear();
        let written = encode(row, &mut self.line).and_then(|()| self.file.write_all(&self.line));
        written.map_err(|error| BackupError::Write(self.path.clone(), error))?;
        self.hash.update(&self.line);
        self.n_rows += 1;
        self.n_bytes += self.line.len() as u64;
        Ok(())
    }

    /// How many rows so far.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Brings everything to disk.
    pub fn finish(mut self) -> Result<Contents, BackupError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|error| BackupError::Write(self.path, error))?;
        Ok(Contents { rows: self.n_rows, bytes: self.n_bytes, sha256: hex::encode(self.hash.finalize()) })
    }
}

/// Makes a new file that only its owner reads: rows hold the hashes of passwords.
pub fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Reads the rows of a file, and refuses a file that is not as its entry tells.
pub struct Reader<'r> {
    path: &'r Path,
    contents: &'r Contents,
    columns: &'r [Holds],
    file: BufReader<File>,
    hash: Sha256,
    line: Vec<u8>,
    n_rows: u64,
    n_bytes: u64,
}

impl<'r> Reader<'r> {
    /// Opens a file that should hold this.
    pub fn open(path: &'r Path, contents: &'r Contents, columns: &'r [Holds]) -> Result<Self, BackupError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged(path, "is missing")),
            Err(error) => return Err(BackupError::Read(path.to_owned(), error)),
        };
        let (file, hash) = (BufReader::new(file), Sha256::new());
        Ok(Self { path, contents, columns, file, hash, line: Vec::new(), n_rows: 0, n_bytes: 0 })
    }

    /// The next row; `None` after the last one, when the file was what it should be.
    pub fn next_row(&mut self) -> Result<Option<Vec<Value>>, BackupError> {
        self.line.clear();
        let read = self.file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.line);
        if read.map_err(|error| BackupError::Read(self.path.to_owned(), error))? == 0 {
            return self.end().map(|()| None);
        }
        self.hash.update(&self.line);
        self.n_rows += 1;
        self.n_bytes += self.line.len() as u64;
        if self.n_bytes > self.contents.bytes || self.line.last() != Some(&b'\n') {
            return Err(damaged(self.path, format!("is not {} bytes long", self.contents.bytes)));
        }
        let wrong = |what| damaged(self.path, format!("line {} {what}", self.n_rows));
        decode(&self.line, self.columns).map(Some).map_err(wrong)
    }

    /// The next rows, at most so many; none after the last.
    pub fn portion(&mut self, at_most: usize) -> Result<Vec<Vec<Value>>, BackupError> {
        let mut rows = Vec::new();
        while rows.len() < at_most
            && let Some(row) = self.next_row()?
        {
            rows.push(row);
        }
        Ok(rows)
    }

    fn end(&self) -> Result<(), BackupError> {
        let Contents { rows, bytes, sha256 } = self.contents;
        if self.n_bytes != *bytes {
            return Err(damaged(self.path, format!("is {} bytes long instead of {bytes}", self.n_bytes)));
        }
        if hex::encode(self.hash.clone().finalize()) != *sha256 {
            return Err(damaged(self.path, "was changed: its hash is not the manifest's"));
        }
        if self.n_rows != *rows {
            return Err(damaged(self.path, format!("has {} rows instead of {rows}", self.n_rows)));
        }
        Ok(())
    }
}

fn encode(row: &[Value], line: &mut Vec<u8>) -> io::Result<()> {
    for (place, value) in row.iter().enumerate() {
        line.push(if place == 0 { b'[' } else { b',' });
        match value {
            Value::Null => line.extend_from_slice(b"null"),
            Value::Int(number) => write!(line, "{number}")?,
            Value::Real(number) => write!(line, "\"{number}\"")?,
            Value::Text(text) => serde_json::to_writer(&mut *line, text)?,
        }
    }
    line.extend_from_slice(b"]\n");
    Ok(())
}

fn decode(line: &[u8], columns: &[Holds]) -> Result<Vec<Value>, &'static str> {
    use serde_json::Value as Json;
    let cells: Vec<Json> = serde_json::from_slice(line).map_err(|_| "is no JSON array")?;
    if cells.len() != columns.len() {
        return Err("has another number of columns than the manifest says");
    }
    let values = cells.into_iter().zip(columns).map(|(cell, holds)| {
        let value = match (holds, cell) {
            (_, Json::Null) => Some(Value::Null),
            (Holds::Int, Json::Number(number)) => number.as_i64().map(Value::Int),
            (Holds::Real, Json::String(text)) => text.parse().ok().map(Value::Real),
            (Holds::Text, Json::String(text)) => Some(Value::Text(text)),
            _ => None,
        };
        value.ok_or("holds something else than its columns do")
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns() -> impl Strategy<Value = Vec<(Holds, Value)>> {
        let null = |holds| Just((holds, Value::Null));
        let cell = prop_oneof![
            any::<i64>().prop_map(|number| (Holds::Int, Value::Int(number))),
            prop::num::f64::ANY.prop_map(|number| (Holds::Real, Value::Real(number))),
            ".*".prop_map(|text| (Holds::Text, Value::Text(text))),
            null(Holds::Int),
            null(Holds::Real),
            null(Holds::Text),
        ];
        prop::collection::vec(cell, 1..8)
    }

    fn same(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Real(one), Value::Real(other)) if one.is_nan() => other.is_nan(),
            (Value::Real(one), Value::Real(other)) => one.to_bits() == other.to_bits(),
            _ => one == other,
        }
    }

    proptest! {
        #[test]
        fn a_row_comes_back_to_the_last_bit(row in columns()) {
            let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
            let mut line = Vec::new();
            encode(&values, &mut line).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let back = decode(&line, &columns).unwrap();
            prop_assert!(back.iter().zip(&values).all(|(one, other)| same(one, other)), "{:?}", back);
        }
    }

    #[test]
    fn a_line_that_is_no_row_of_its_table_is_refused() {
        let check = |line: &str, holds: &[Holds], refused: &str| {
            assert!(decode(line.as_bytes(), holds).unwrap_err().contains(refused), "{line}");
        };
        check("[1", &[Holds::Int], "no JSON array");
        check("{\"a\": 1}", &[Holds::Int], "no JSON array");
        check("[1, 2]", &[Holds::Int], "another number of columns");
        check("[1.5]", &[Holds::Int], "something else");
        check("[9223372036854775808]", &[Holds::Int], "something else");
        check("[1.5]", &[Holds::Real], "something else");
        check("[\"x\"]", &[Holds::Real], "something else");
        check("[1]", &[Holds::Text], "something else");
        check("[true]", &[Holds::Int], "something else");
    }
}
