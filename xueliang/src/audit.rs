//! `xueliang audit`: whether exported rows hold, told to a person or as JSON.
//!
//! Rows come from any iterator; here from files. Needs no settings and no running system: an auditor runs it elsewhere.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use xueliang_alerting::{
    audit::{
        AuditRow, Extent, FirstBad, Keys, PublicKey, Verified, Witness,
        lines::{self, Unreadable},
        retention::{HOT_MONTHS, months_before},
        verify,
    },
    store::{
        Place, audit,
        connection::{Connection, Kind},
    },
};

use crate::config;

/// What can be done with the audit.
#[derive(Subcommand)]
pub enum Command {
    /// Verify exported rows against signed checkpoints; names the first bad row and then ends with 1. Formats: docs/audit.md.
    Verify {
        /// The rows: archives first, in order, then what is live.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        against: Against,
    },
    /// Write the store's rows to new files, while alerting runs or not: one JSON object a line, for `verify`. Formats: docs/audit.md.
    Export {
        /// The settings file (TOML).
        #[arg(short, long, value_name = "FILE", env = "XUELIANG_CONFIG", default_value = "xueliang.toml")]
        config: PathBuf,
        /// Where the rows go.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Where the reasons go, which hold personal text; left out, they stay in the store.
        #[arg(long, value_name = "FILE")]
        reasons: Option<PathBuf>,
    },
    /// Show the ids of public keys, to compare them with what you were told.
    Key {
        /// The keys (PEM).
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// What rows are verified against, and how the answer is given.
#[derive(Args)]
pub struct Against {
    /// The checkpoints.
    #[arg(long, value_name = "FILE")]
    checkpoints: PathBuf,
    /// A public key (PEM) that you trust; give each that has signed.
    #[arg(long = "key", required = true, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The reasons; deleted ones are not missed.
    #[arg(long, value_name = "FILE")]
    reasons: Option<PathBuf>,
    /// The rows are archives alone: they may begin after any checkpoint, and end with one.
    #[arg(long)]
    archive: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// Runs one command.
pub fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Verify { files, against } => {
            let rows: Result<Vec<_>, _> = files.iter().map(|file| rows_of(file)).collect();
            against.verify(rows?.into_iter().flatten())
        }
        Command::Export { config, to, reasons } => export(&config::alerting(config)?.store, to, reasons.as_deref()),
        Command::Key { files } => {
            for file in files {
                println!("{}  {}", PublicKey::load(file)?.id(), file.display());
            }
            Ok(())
        }
    }
}

/// All rows of one moment.
fn export(place: &Place, to: &Path, reasons: Option<&Path>) -> anyhow::Result<()> {
    // The store blocks on a runtime of its own, which it may not do on a thread that drives one.
    let written = std::thread::scope(|scope| scope.spawn(|| write(place, to, reasons)).join());
    let (n_rows, n_reasons) = written.map_err(|_| anyhow::anyhow!("the export ended unexpectedly"))??;
    println!("{n_rows} rows exported, {n_reasons} reasons");
    Ok(())
}

fn write(place: &Place, to: &Path, reasons: Option<&Path>) -> anyhow::Result<(u64, u64)> {
    const PORTION: usize = 10_000;
    let mut connection = Connection::open(place).context("the store can't be opened")?;
    connection.run(Kind::Read, |tx| {
        let (mut out, mut n_rows, mut last) = (New::create(to)?, 0, 0);
        loop {
            let rows = audit::after(tx, last, PORTION)?;
            let Some(end) = rows.last() else { break };
            last = end.seq;
            n_rows += rows.len() as u64;
            rows.iter().try_for_each(|row| lines::write_row(&mut out.writer, row)).with_context(|| out.name())?;
        }
        out.finish()?;
        let Some(reasons) = reasons else { return Ok((n_rows, 0)) };
        let (mut out, mut n_reasons, mut last) = (New::create(reasons)?, 0, 0);
        loop {
            let found = audit::reasons_after(tx, last, PORTION)?;
            let Some((end, _)) = found.last() else { break };
            last = *end;
            n_reasons += found.len() as u64;
            let mut each = found.iter();
            each.try_for_each(|(seq, reason)| lines::write_reason(&mut out.writer, *seq, reason))
                .with_context(|| out.name())?;
        }
        out.finish()?;
        Ok((n_rows, n_reasons))
    })
}

/// A new file that only its owner reads.
struct New<'p> {
    path: &'p Path,
    writer: BufWriter<File>,
}

impl<'p> New<'p> {
    fn create(path: &'p Path) -> anyhow::Result<Self> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).with_context(|| format!("{} can't be made; name a new file", path.display()))?;
        Ok(Self { path, writer: BufWriter::new(file) })
    }

    fn name(&self) -> String {
        format!("{} can't be written", self.path.display())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.writer.flush().and_then(|()| self.writer.get_ref().sync_all()).with_context(|| self.name())
    }
}

fn rows_of(file: &Path) -> anyhow::Result<impl Iterator<Item = Result<AuditRow, Unreadable>>> {
    let name = file.display().to_string();
    let named = move |cause: Unreadable| Unreadable(format!("{name}, {cause}"));
    Ok(lines::rows(open(file)?).map(move |row| row.map_err(&named)))
}

impl Against {
    /// Verifies rows from anywhere and prints the answer; `Err` when they don't hold.
    pub fn verify(&self, rows: impl Iterator<Item = Result<AuditRow, Unreadable>>) -> anyhow::Result<()> {
        let keys: Result<Vec<PublicKey>, _> = self.keys.iter().map(|file| PublicKey::load(file)).collect();
        let keys = Keys(keys?);
        let witness = Witness { checkpoints: lines::checkpoints(open(&self.checkpoints)?), keys: &keys };
        let reasons = self.reasons.as_deref().map(open).transpose()?.map(lines::reasons);
        let extent = if self.archive {
            Extent::Archive
        } else {
            Extent::Live { hot_from: months_before(Timestamp::now(), HOT_MONTHS) }
        };
        let verified = verify(rows, reasons.into_iter().flatten(), witness, extent);
        println!("{}", if self.json { as_json(&verified) } else { as_text(&verified) });
        if verified.is_err() {
            bail!("the audit does not hold");
        }
        Ok(())
    }
}

fn open(file: &Path) -> anyhow::Result<BufReader<File>> {
    File::open(file).map(BufReader::new).with_context(|| format!("{} can't be read", file.display()))
}

fn as_text(verified: &Result<Verified, FirstBad>) -> String {
    let Verified { n_rows, first, last, n_checkpoints, last_signed, n_reasons } = match verified {
        Ok(verified) => verified,
        Err(bad) => return format!("first bad row: {bad}"),
    };
    let holds = format!("{n_rows} rows hold ({first} to {last}), {n_checkpoints} checkpoints, {n_reasons} reasons");
    match last.saturating_sub(*last_signed) {
        0 => format!("{holds}\nthe last row is signed; whether rows came after it can't be seen"),
        n_after => format!(
            "{holds}\n{n_after} rows after row {last_signed} are not signed yet: a change or loss there that leaves the chain whole can't be seen"
        ),
    }
}

fn as_json(verified: &Result<Verified, FirstBad>) -> String {
    let answer = match verified {
        Ok(verified) => serde_json::json!({
            "holds": true,
            "n_rows": verified.n_rows,
            "first": verified.first,
            "last": verified.last,
            "n_checkpoints": verified.n_checkpoints,
            "last_signed": verified.last_signed,
            "n_reasons": verified.n_reasons,
        }),
        Err(bad) => serde_json::json!({
            "holds": false,
            "first_bad": { "seq": bad.seq, "what": bad.what.to_string() },
        }),
    };
    answer.to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;
    use crate::Cli;

    const ROWS: &str = include_str!("../../alerting/src/audit/sample/rows.jsonl");

    fn sample(name: &str) -> String {
        format!("{}/../alerting/src/audit/sample/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    /// Runs the command on rows with the sample's checkpoints.
    fn check(rows: &str, more: &[&str]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.jsonl");
        fs::write(&file, rows).unwrap();
        let (checkpoints, key) = (sample("checkpoints.jsonl"), sample("key.pem"));
        let words =
            ["xueliang", "audit", "verify", file.to_str().unwrap(), "--checkpoints", &checkpoints, "--key", &key];
        let cli = Cli::try_parse_from(words.iter().chain(more)).unwrap();
        let crate::Command::Audit(command) = cli.command else { panic!("another command") };
        run(&command).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn p27_exported_rows_verify_with_public_keys_alone() {
        assert_eq!(check(ROWS, &[]), Ok(()));
        assert_eq!(check(ROWS, &["--archive", "--json"]), Ok(()));
        let expected = Err("the audit does not hold".to_owned());
        assert_eq!(check(&ROWS.replacen("operator-7", "operator-8", 1), &[]), expected);
        assert_eq!(check(ROWS.split_inclusive('\n').next().unwrap(), &["--json"]), expected, "one row is missing");
        let refused = check(ROWS, &["--reasons", "no-such-file"]).unwrap_err();
        assert!(refused.contains("no-such-file can't be read"), "{refused}");
    }

    #[test]
    fn p27_the_answer_names_the_first_bad_row_and_what_cannot_be_seen() {
        let bad = Err(FirstBad { seq: 17, what: xueliang_alerting::audit::Fault::Changed });
        assert!(as_text(&bad).starts_with("first bad row: row 17: was changed"));
        assert!(as_json(&bad).starts_with("{\"holds\":false,\"first_bad\":{\"seq\":17,\"what\":\"was changed"));
        let verified = Verified { n_rows: 9, first: 2, last: 10, n_checkpoints: 3, last_signed: 8, n_reasons: 0 };
        assert!(as_text(&Ok(verified)).contains("2 rows after row 8 are not signed yet"));
        assert!(as_json(&Ok(verified)).contains("\"last_signed\":8"));
    }
}
