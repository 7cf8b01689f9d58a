//! How long rows stay, and how the oldest leave: as a whole prefix, after they are in an archive that ends with a signed row.
//!
//! In: rows, checkpoints, the time. Out: an archive file, and an [`Archived`] that lets the store delete exactly its rows. Invariant:
//! no row younger than the limit leaves, none leaves unverified, and the last row stays. Months are calendar months, in UTC.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::{Span, Timestamp, tz::TimeZone};

use super::{
    checkpoint::Checkpoint,
    lines::{self, Unreadable},
    row::{AuditRow, Head},
    verify::{Extent, FirstBad, Verified, Verifier, Witness},
};
use crate::files::sync_folder;

/// Fewest calendar months for which rows stay in the store (RULES P27).
pub const HOT_MONTHS: u32 = 6;
/// Fewest calendar months for which archives are kept: three years, for the records of provision in them (RULES P27).
pub const ARCHIVE_MONTHS: u32 = 36;

/// So many calendar months before; on a day that a month lacks, the end of its last one, so that the answer never goes back.
pub fn months_before(now: Timestamp, n_months: u32) -> Timestamp {
    let now = now.to_zoned(TimeZone::UTC);
    let Ok(before) = now.checked_sub(Span::new().months(i64::from(n_months))) else { return Timestamp::MIN };
    let lacks_the_day = before.day() != now.day();
    let end = if lacks_the_day { before.end_of_day() } else { Ok(before) };
    end.map_or(Timestamp::MIN, |end| end.timestamp())
}

/// Where the store may be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The last row that may leave.
    pub anchor: Checkpoint,
    /// No row from this time on may leave.
    pub hot_from: Timestamp,
}

impl Cut {
    /// At the latest checkpoint that was signed before `hot_from` and isn't the head; the head stays.
    pub fn choose(
        checkpoints: impl IntoIterator<Item = Result<Checkpoint, Unreadable>>,
        head: Head,
        hot_from: Timestamp,
    ) -> Result<Option<Self>, Unreadable> {
        let mut cut = None;
        for checkpoint in checkpoints {
            let checkpoint = checkpoint?;
            if checkpoint.utc < hot_from && checkpoint.head.seq < head.seq {
                cut = Some(Self { anchor: checkpoint, hot_from });
            }
        }
        Ok(cut)
    }
}

/// Rows that are in an archive now; only [`archive`] makes it.
#[derive(Debug)]
pub struct Archived {
    last: Head,
    verified: Verified,
}

impl Archived {
    /// The last row that the store may delete, with all before it.
    pub fn last(&self) -> Head {
        self.last
    }

    /// What was archived.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }
}

/// Why rows were not archived; nothing may be deleted then.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// They don't hold.
    #[error("the rows don't hold, so they stay")]
    Bad(#[from] FirstBad),
    /// One is too young: the clock was set back when the checkpoint was signed.
    #[error("row {seq} is of {utc}, too young to leave; choose an earlier checkpoint")]
    Young {
        /// Its number.
        seq: u64,
        /// Its time.
        utc: Timestamp,
    },
    /// The rows end before the cut.
    #[error("the rows end with {0}, not where they are to be cut")]
    Short(u64),
    /// The file.
    #[error("{0} can't be written; check the path, its permissions and its disk")]
    File(PathBuf, #[source] io::Error),
}

/// Verifies the store's rows up to the cut while it writes them to a new file, and makes the file last.
pub fn archive<R, C>(rows: R, witness: Witness<'_, C>, cut: &Cut, file: &Path) -> Result<Archived, ArchiveError>
where
    R: IntoIterator<Item = Result<AuditRow, Unreadable>>,
    C: Iterator<Item = Result<Checkpoint, Unreadable>>,
{
    let wrong = |error| ArchiveError::File(file.to_owned(), error);
    if file.exists() {
        return Err(wrong(io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    let part = file.with_extension("part");
    let mut out = BufWriter::new(File::create(&part).map_err(wrong)?);
    let mut verifier = Verifier::new(std::iter::empty(), witness, Extent::Archive);
    for row in rows {
        let row = row.map_err(|cause| verifier.unreadable(cause))?;
        if row.seq > cut.anchor.head.seq {
            break;
        }
        verifier.row(&row)?;
        if row.entry.utc >= cut.hot_from {
            return Err(ArchiveError::Young { seq: row.seq, utc: row.entry.utc });
        }
        lines::write_row(&mut out, &row).map_err(wrong)?;
    }
    let verified = verifier.finish()?;
    if verified.last != cut.anchor.head.seq {
        return Err(ArchiveError::Short(verified.last));
    }
    finish(out, &part, file).map_err(wrong)?;
    Ok(Archived { last: cut.anchor.head, verified })
}

fn finish(mut out: BufWriter<File>, part: &Path, file: &Path) -> io::Result<()> {
    out.flush()?;
    out.get_ref().sync_all()?;
    fs::rename(part, file)?;
    sync_folder(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::{
        Keys, append,
        testing::{START, entry, signed_each},
        verify,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn p27_months_are_calendar_months() {
        let cases = [
            ("2026-11-23T08:00:00Z", 6, "2026-05-23T08:00:00Z"),
            ("2026-08-31T00:00:00Z", 6, "2026-02-28T23:59:59.999999999Z"),
            ("2028-08-31T00:00:00Z", 6, "2028-02-29T23:59:59.999999999Z"),
            ("2026-03-31T23:59:59Z", 1, "2026-02-28T23:59:59.999999999Z"),
            ("2026-11-23T08:00:00Z", 36, "2023-11-23T08:00:00Z"),
        ];
        for (now, n_months, expected) in cases {
            assert_eq!(months_before(at(now), n_months), at(expected), "{n_months} months before {now}");
        }
    }

    proptest! {
        #[test]
        fn p27_what_may_leave_once_may_leave_ever_after(second in 0..4_000_000_000_i64, later in 0..40_000_000_i64) {
            let now = |second| Timestamp::from_second(second).unwrap();
            let (limit, later_limit) = (months_before(now(second), 6), months_before(now(second + later), 6));
            prop_assert!(limit <= later_limit);
            let six_later = limit.to_zoned(TimeZone::UTC).checked_add(Span::new().months(6)).unwrap();
            prop_assert!(six_later.timestamp() <= now(second), "six whole months have passed");
        }
    }

    /// A row a day from `START` on, each third one signed at once.
    fn a_row_a_day(n_rows: u64) -> (Vec<AuditRow>, Vec<Checkpoint>, Keys) {
        let mut rows: Vec<AuditRow> = Vec::new();
        for day in 0..n_rows {
            let head = rows.last().map_or(Head::GENESIS, AuditRow::head);
            let utc = START.checked_add(jiff::SignedDuration::from_hours(24 * day as i64)).unwrap();
            rows.push(append(head, entry(utc)).unwrap());
        }
        let (checkpoints, keys) = signed_each(3, &rows);
        (rows, checkpoints, keys)
    }

    #[test]
    fn p27_archive_and_rest_verify_alone_and_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit-1.jsonl");
        let (rows, checkpoints, keys) = a_row_a_day(300);
        let witness = || Witness { checkpoints: checkpoints.iter().cloned().map(Ok), keys: &keys };
        let now = START.checked_add(jiff::SignedDuration::from_hours(24 * 300)).unwrap();
        let hot_from = months_before(now, HOT_MONTHS);
        let cut = Cut::choose(witness().checkpoints, rows[299].head(), hot_from).unwrap().unwrap();
        assert!(cut.anchor.utc < hot_from && hot_from.duration_since(cut.anchor.utc).as_hours() <= 3 * 24);
        let archived = archive(rows.iter().cloned().map(Ok), witness(), &cut, &file).unwrap();
        let n_archived = archived.last().seq as usize;
        assert_eq!((archived.last(), archived.verified().first), (cut.anchor.head, 1));

        let read = || lines::rows(io::BufReader::new(File::open(&file).unwrap()));
        let rest = || rows[n_archived..].iter().cloned().map(Ok);
        let live = Extent::Live { hot_from };
        let verified = verify(read(), [], witness(), Extent::Archive).unwrap();
        assert_eq!(verified.n_rows as usize, n_archived);
        let verified = verify(rest(), [], witness(), live).unwrap();
        assert_eq!(verified.first as usize, n_archived + 1);
        let verified = verify(read().chain(rest()), [], witness(), live).unwrap();
        assert_eq!((verified.first, verified.last), (1, 300));

        // The next archive begins where this one ended.
        let later = months_before(now.checked_add(jiff::SignedDuration::from_hours(24 * 60)).unwrap(), HOT_MONTHS);
        let next = Cut::choose(witness().checkpoints, rows[299].head(), later).unwrap().unwrap();
        let archived = archive(rest(), witness(), &next, &folder.path().join("audit-2.jsonl")).unwrap();
        assert_eq!((archived.verified().first as usize, archived.last()), (n_archived + 1, next.anchor.head));
    }

    #[test]
    fn p27_nothing_leaves_that_is_young_bad_or_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit.jsonl");
        let (mut rows, checkpoints, keys) = a_row_a_day(12);
        let witness = || Witness { checkpoints: checkpoints.iter().cloned().map(Ok), keys: &keys };
        let choose = |hot_from| Cut::choose(witness().checkpoints, rows[11].head(), hot_from).unwrap();
        assert_eq!(choose(START), None, "all are young");
        let cut = choose(Timestamp::MAX).unwrap();
        assert_eq!(cut.anchor.head.seq, 9, "the head stays");
        let archived = |rows: &[AuditRow], cut: &Cut| archive(rows.iter().cloned().map(Ok), witness(), cut, &file);
        let young = Cut { hot_from: rows[4].entry.utc, ..cut.clone() };
        assert!(matches!(archived(&rows, &young), Err(ArchiveError::Young { seq: 5, .. })));
        assert!(matches!(archived(&rows[..6], &cut), Err(ArchiveError::Short(6))));
        assert!(matches!(archived(&rows[..7], &cut), Err(ArchiveError::Bad(FirstBad { seq: 7, .. }))));
        rows[3].entry.actor.push('x');
        assert!(matches!(archived(&rows, &cut), Err(ArchiveError::Bad(FirstBad { seq: 4, .. }))));
        assert!(!file.exists());
    }
}
