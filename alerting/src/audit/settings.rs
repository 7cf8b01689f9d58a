//! The audit's part of the settings: `[alerting.audit]`, and when a checkpoint is due.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use xueliang_settings::Reader;

use super::{checkpoint::Checkpoint, retention::HOT_MONTHS, row::Head};

/// Most months for which rows stay in the store: there is no "forever" (RULES P16).
const MOST_MONTHS: u32 = 120;

/// Where checkpoints go, how often, and how long rows stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// The folder of checkpoints: another place than the store.
    pub checkpoints: PathBuf,
    /// How often one is signed.
    pub pace: Pace,
    /// For how many calendar months rows stay in the store.
    pub keep_months: u32,
}

/// A checkpoint is due after so many rows or so long, whichever comes first, when there is a new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Rows.
    pub every_rows: u64,
    /// Time.
    pub every: Duration,
}

impl AuditSettings {
    /// Reads `[alerting.audit]`. Without a folder, checkpoints go beside the store's; another disk or machine is better.
    pub fn read(audit: &mut Reader<'_>, base: &Path, data_dir: &Path) -> Self {
        let checkpoints = audit.optional::<PathBuf>("checkpoints").map(|folder| base.join(folder));
        if checkpoints.as_ref().is_some_and(|folder| folder.starts_with(data_dir)) {
            let cure = "name a folder in another place, best on another disk or machine";
            audit.refuse("checkpoints", "lies in [alerting] data_dir, beside what it vouches for", cure);
        }
        let every_rows = audit.or("every_rows", 1000_u64);
        if !(1..=100_000).contains(&every_rows) {
            audit.refuse("every_rows", format!("{every_rows} is out of bounds"), "write 1 to 100000");
        }
        let every = audit.or("every", Duration::from_secs(60));
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&every) {
            audit.refuse("every", "is out of bounds", "write \"1s\" to \"24h\"");
        }
        let keep_months = audit.or("keep_months", HOT_MONTHS);
        if !(HOT_MONTHS..=MOST_MONTHS).contains(&keep_months) {
            let cure = format!("write {HOT_MONTHS} to {MOST_MONTHS}; older rows go to archives");
            audit.refuse("keep_months", format!("{keep_months} is out of bounds"), cure);
        }
        let checkpoints = checkpoints.unwrap_or_else(|| beside(data_dir));
        Self { checkpoints, pace: Pace { every_rows, every }, keep_months }
    }
}

fn beside(data_dir: &Path) -> PathBuf {
    let name = data_dir.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    data_dir.with_file_name(format!("{name}-checkpoints"))
}

impl Pace {
    /// Whether the head should be signed now. A clock that was set back doesn't put it off.
    pub fn is_due(&self, last: Option<&Checkpoint>, head: Head, now: Timestamp) -> bool {
        let n_new = head.seq.saturating_sub(last.map_or(0, |last| last.head.seq));
        let is_old = last.is_none_or(|last| now.duration_since(last.utc).unsigned_abs() >= self.every);
        n_new >= self.every_rows || (n_new > 0 && is_old)
    }
}

#[cfg(test)]
mod tests {
    use xueliang_settings::Document;

    use super::*;
    use crate::audit::{Hash, Signer};

    fn read(text: &str) -> Result<AuditSettings, Vec<String>> {
        let document = Document::from_text("x.toml", text);
        let read = document.read(|root| {
            let mut audit = root.section("audit");
            let read = AuditSettings::read(&mut audit, Path::new("/etc/x"), Path::new("/var/x/alerting"));
            audit.finish();
            Some(read)
        });
        read.map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn p27_checkpoints_never_go_into_the_stores_folder() {
        assert_eq!(read("").unwrap().checkpoints, Path::new("/var/x/alerting-checkpoints"));
        assert_eq!(read("[audit]\ncheckpoints = \"c\"").unwrap().checkpoints, Path::new("/etc/x/c"));
        let refused = read("[audit]\ncheckpoints = \"/var/x/alerting/c\"").unwrap_err();
        assert!(refused[0].contains("name a folder in another place"), "{refused:?}");
    }

    #[test]
    fn p27_rows_stay_six_months_at_least_and_never_forever() {
        assert_eq!(read("").unwrap().keep_months, 6);
        assert_eq!(read("[audit]\nkeep_months = 12").unwrap().keep_months, 12);
        for months in [0, 5, 121] {
            let refused = read(&format!("[audit]\nkeep_months = {months}")).unwrap_err();
            assert!(refused[0].contains("write 6 to 120"), "{refused:?}");
        }
    }

    #[test]
    fn mistakes_name_the_key_and_the_cure() {
        let mistakes = [
            ("every_rows = 0", "x.toml:2: audit.every_rows: 0 is out of bounds; write 1 to 100000"),
            ("every = \"25h\"", "x.toml:2: audit.every: is out of bounds; write \"1s\" to \"24h\""),
            ("every_row = 1", "unknown key; did you mean \"every_rows\"?"),
        ];
        for (text, expected) in mistakes {
            let refused = read(&format!("[audit]\n{text}")).unwrap_err();
            assert!(refused[0].contains(expected), "{refused:?}");
        }
    }

    #[test]
    fn p27_a_checkpoint_is_due_after_rows_or_time() {
        let pace = Pace { every_rows: 10, every: Duration::from_secs(60) };
        let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
        let head = |seq| Head { seq, hash: Hash::ZERO };
        let last = Checkpoint::sign(&Signer::generate().unwrap(), head(5), None, at(0));
        let cases = [
            (None, 0, 0, false),
            (None, 1, 0, true),
            (Some(&last), 5, 600, false),
            (Some(&last), 6, 59, false),
            (Some(&last), 6, 60, true),
            (Some(&last), 14, 1, false),
            (Some(&last), 15, 1, true),
            (Some(&last), 6, -3600, true),
        ];
        for (last, seq, second, is_due) in cases {
            assert_eq!(pace.is_due(last, head(seq), at(second)), is_due, "row {seq} at {second}");
        }
    }
}
