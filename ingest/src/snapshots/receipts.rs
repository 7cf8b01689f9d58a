//! What went from a snapshot folder (RULES P16): a line a sweep, of how many files and of a hash of their names, which are the
//! digests of what was in them. Written before anything goes, so that a crash leaves a receipt too many, never one too few.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const FILE: &str = "receipts.jsonl";
/// A sweep each ten minutes fills it in half a year; the file before it is kept.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Says what goes now.
pub(super) fn write(folder: &Path, going: &[PathBuf], at: Timestamp) -> io::Result<()> {
    let path = folder.join(FILE);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
        fs::rename(&path, path.with_extension("1.jsonl"))?;
    }
    let names = going.iter().filter_map(|path| path.strip_prefix(folder).ok());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    let sha256: String = Sha256::digest(names.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
    let line = json!({ "at": at, "files": names.len(), "sha256_of_names": sha256 });
    let mut file = fs::File::options().create(true).append(true).open(path)?;
    writeln!(file, "{line}")?;
    file.sync_data()
}
