//! What is handed out or published with a grant: redacted stills and a manifest, in one ZIP file.
//!
//! In: what a grant opened, and a way to the stills' bytes. Out: the file. Invariants: nothing but redacted stills goes in, each
//! under its digest, which the manifest repeats; a still that is gone is named as missing; nothing is called evidence. A picture
//! that was not redacted has no way in (RULES P23): the only bytes are those of stills that the incident may show.

use std::io::{Cursor, Write as _};

use jiff::Timestamp;
use serde::Serialize;
use xueliang_events::values::Digest;
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::store::sealed::{Opened, Still};

/// Most bytes of pictures in one file.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What is handed out.
#[derive(Debug)]
pub struct Handed {
    /// When.
    pub at: Timestamp,
    /// What the grant opened.
    pub opened: Opened,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// More than the bound of a package.
    #[error("the stills in this range have more than {} MB; ask for a part of it", MAX_BYTES / 1_000_000)]
    TooLarge,
    /// It can't be written.
    #[error("the file can't be made")]
    Zip(#[from] ZipError),
    /// It can't be written.
    #[error("the file can't be written")]
    Write(#[from] std::io::Error),
    /// The manifest can't be written.
    #[error("the manifest can't be written")]
    Manifest(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Manifest<'a> {
    version: u32,
    incident: String,
    category: &'a str,
    grant: String,
    action: &'a str,
    purpose: &'a str,
    account: &'a str,
    supervisor: Option<&'a str>,
    privacy_officer: Option<&'a str>,
    handed_at: Timestamp,
    from: Timestamp,
    until: Timestamp,
    evidentiary: bool,
    redacted: bool,
    stills: Vec<Listed>,
    missing: Vec<String>,
}

#[derive(Serialize)]
struct Listed {
    file: String,
    sha256: String,
    taken_at: Timestamp,
    bytes: usize,
}

/// Packs the stills.
pub fn pack(handed: &Handed, load: impl Fn(&Digest) -> Option<Vec<u8>>) -> Result<Vec<u8>, PackError> {
    // JPEGs don't get smaller.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let (mut stills, mut missing, mut n_bytes) = (Vec::new(), Vec::new(), 0);
    for Still { sha256, taken_at } in &handed.opened.stills {
        let Some(bytes) = load(sha256) else {
            missing.push(sha256.as_str().to_owned());
            continue;
        };
        n_bytes += bytes.len();
        if n_bytes > MAX_BYTES {
            return Err(PackError::TooLarge);
        }
        let file = format!("{}.jpg", sha256.as_str());
        zip.start_file(&file, options)?;
        zip.write_all(&bytes)?;
        stills.push(Listed { file, sha256: sha256.as_str().to_owned(), taken_at: *taken_at, bytes: bytes.len() });
    }
    zip.start_file("manifest.json", options)?;
    zip.write_all(&serde_json::to_vec_pretty(&manifest(handed, stills, missing))?)?;
    Ok(zip.finish()?.into_inner())
}

fn manifest(handed: &Handed, stills: Vec<Listed>, missing: Vec<String>) -> Manifest<'_> {
    let Opened { grant, incident, range, .. } = &handed.opened;
    Manifest {
        version: 1,
        incident: incident.id.to_string(),
        category: incident.category.as_str(),
        grant: grant.id.to_string(),
        action: grant.request.action.as_str(),
        purpose: grant.request.purpose.as_str(),
        account: &grant.course.requester,
        supervisor: grant.course.supervisor.as_deref(),
        privacy_officer: grant.course.privacy_officer.as_deref(),
        handed_at: handed.at,
        from: range.0,
        until: range.1,
        evidentiary: false,
        redacted: true,
        stills,
        missing,
    }
}
