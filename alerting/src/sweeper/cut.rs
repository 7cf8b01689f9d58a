//! Takes the audit's oldest rows out of the store: into an archive up to a signed checkpoint, then, and only then, out of the table.
//! Archives go after three years (RULES P16, P27; docs/audit.md, "How long").
//!
//! A crash between archive and table leaves rows that are in both; the next time writes the archive anew.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{SweepError, Sweeper};
use crate::{
    audit::{
        CheckpointLog, Head, Keys, PublicKey, Witness,
        lines::{self, Unreadable},
        retention::{ARCHIVE_MONTHS, ArchiveError, Cut, archive, months_before},
    },
    files::keep,
    store::{
        Stored, Tx, audit,
        deletions::{Deleted, Receipt, Rule, receipt},
    },
};

/// Rows that are read at once.
const STEP: usize = 1_000;

/// Why rows or archives stay.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The checkpoints, the keys or the archives.
    #[error("{0} can't be read or written; check the path, its permissions and its disk")]
    File(PathBuf, #[source] io::Error),
    /// A checkpoint.
    #[error("a checkpoint can't be read")]
    Checkpoint(#[from] Unreadable),
    /// A row.
    #[error("the archive was not made")]
    Archive(#[from] ArchiveError),
}

/// Rows that are in an archive.
struct Archived {
    file: String,
    last: Head,
}

pub(super) async fn run(sweeper: &Sweeper, now: Timestamp) -> Result<(), SweepError> {
    let hot_from = months_before(now, sweeper.audit.keep_months);
    let oldest = sweeper.store.read(|tx| audit::after(tx, 0, 1)).await?;
    if oldest.first().is_some_and(|row| row.entry.utc < hot_from) {
        let (checkpoints, archives) = (sweeper.audit.checkpoints.clone(), sweeper.archives.clone());
        let archived = sweeper.store.read(move |tx| archive_rows(tx, (&checkpoints, &archives), hot_from)).await?;
        if let Some(Archived { file, last }) = archived? {
            let settings = format!("keep_months={}", sweeper.audit.keep_months);
            sweeper
                .permitted(now, move |tx| {
                    let n = audit::cut(tx, last)?;
                    let told =
                        Receipt { kind: Deleted::Audit, object: &file, n, rule: Rule::Archived, settings: &settings };
                    receipt(tx, now, told)
                })
                .await?;
        }
    }
    drop_archives(sweeper, now).await
}

fn archive_rows(
    tx: &Tx<'_>,
    (checkpoints, archives): (&Path, &Path),
    hot_from: Timestamp,
) -> Stored<Result<Option<Archived>, CutError>> {
    let head = audit::head(tx)?;
    let Some(first) = audit::after(tx, 0, 1)?.first().map(|row| row.seq) else { return Ok(Ok(None)) };
    let mut pages = Pages { tx, next: first - 1, page: Vec::new().into_iter() };
    Ok(archive_from(&mut pages, (checkpoints, archives), (head, hot_from)).and_then(|archived| {
        let Some(archived) = archived else { return Ok(None) };
        let reasons = archives.join(archived.file.replace(".jsonl", ".reasons.jsonl"));
        write_reasons(tx, archived.last, &reasons).map(|()| Some(archived))
    }))
}

fn archive_from(
    pages: &mut Pages<'_>,
    (checkpoints, archives): (&Path, &Path),
    (head, hot_from): (Head, Timestamp),
) -> Result<Option<Archived>, CutError> {
    let file = checkpoints.join(CheckpointLog::FILE);
    let open = || File::open(&file).map(|open| lines::checkpoints(BufReader::new(open)));
    let wrong = |error| CutError::File(file.clone(), error);
    let Some(cut) = Cut::choose(open().map_err(wrong)?, head, hot_from)? else { return Ok(None) };
    if cut.anchor.head.seq <= pages.next {
        return Ok(None);
    }
    let keys = keys(checkpoints).map_err(|error| CutError::File(checkpoints.to_owned(), error))?;
    let witness = Witness { checkpoints: open().map_err(wrong)?, keys: &keys };
    let name = format!("audit-{}-{}.jsonl", pages.next + 1, cut.anchor.head.seq);
    let to = archives.join(&name);
    // Its rows are still in the store, so it is what a crash left before they were deleted.
    let made = fs::create_dir_all(archives).and_then(|()| if to.exists() { fs::remove_file(&to) } else { Ok(()) });
    made.map_err(|error| CutError::File(to.clone(), error))?;
    let archived = archive(pages, witness, &cut, &to)?;
    Ok(Some(Archived { file: name, last: archived.last() }))
}

/// Every public key that lies beside the checkpoints.
fn keys(checkpoints: &Path) -> io::Result<Keys> {
    let mut keys = Keys::default();
    for entry in fs::read_dir(checkpoints)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "pem") {
            keys.0.push(PublicKey::load(&file).map_err(io::Error::other)?);
        }
    }
    Ok(keys)
}

/// Reasons of records of provision are kept as long as these; the others end here.
fn write_reasons(tx: &Tx<'_>, last: Head, file: &Path) -> Result<(), CutError> {
    let wrong = |error| CutError::File(file.to_owned(), error);
    let reasons = audit::provision_reasons(tx, last.seq).map_err(|error| wrong(io::Error::other(error)))?;
    if reasons.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    for (seq, reason) in &reasons {
        lines::write_reason(&mut text, *seq, reason).map_err(wrong)?;
    }
    let text = String::from_utf8(text).map_err(|error| wrong(io::Error::other(error)))?;
    keep(file, &text, 0o600).map_err(wrong)
}

/// The store's rows in their order, a page at a time.
struct Pages<'p> {
    tx: &'p Tx<'p>,
    next: u64,
    page: std::vec::IntoIter<crate::audit::AuditRow>,
}

impl Iterator for &mut Pages<'_> {
    type Item = Result<crate::audit::AuditRow, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            match audit::after(self.tx, self.next, STEP) {
                Ok(rows) => self.page = rows.into_iter(),
                Err(error) => return Some(Err(Unreadable(error.to_string()))),
            }
        }
        let row = self.page.next()?;
        self.next = row.seq;
        Some(Ok(row))
    }
}

/// Archives that have been there for three years: all their rows are older.
async fn drop_archives(sweeper: &Sweeper, now: Timestamp) -> Result<(), SweepError> {
    let (folder, old) = (sweeper.archives.clone(), months_before(now, ARCHIVE_MONTHS));
    let found = tokio::task::spawn_blocking(move || old_archives(&folder, old));
    for file in found.await.map_err(|_| SweepError::Ended)?? {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        sweeper
            .permitted(now, move |tx| {
                let told = Receipt {
                    kind: Deleted::AuditArchive,
                    object: &name,
                    n: 1,
                    rule: Rule::Over,
                    settings: "months=36",
                };
                receipt(tx, now, told)
            })
            .await?;
        let removed = tokio::task::spawn_blocking(move || fs::remove_file(&file).map_err(|error| (file, error)));
        let removed = removed.await.map_err(|_| SweepError::Ended)?;
        removed.map_err(|(file, error)| CutError::File(file, error))?;
    }
    Ok(())
}

fn old_archives(folder: &Path, old: Timestamp) -> Result<Vec<PathBuf>, CutError> {
    let wrong = |error| CutError::File(folder.to_owned(), error);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let made_at = entry.metadata().and_then(|metadata| metadata.modified()).map_err(wrong)?;
        if Timestamp::try_from(made_at).is_ok_and(|made_at| made_at < old) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
