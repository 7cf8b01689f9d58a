//! `xueliang backup` and `xueliang restore`: alerting's store and kept stills into a folder, and back into an empty store.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;
use xueliang_alerting::backup::{self, BackupError, Deployment, Step, Summary, Tell};

use crate::{Settings, config};

/// What to back up, or to verify.
#[derive(Args)]
pub struct Backup {
    #[command(flatten)]
    settings: Settings,
    /// The folder to make; its parent folder must be there.
    #[arg(long, value_name = "DIR", required_unless_present = "verify")]
    to: Option<PathBuf>,
    /// Verify this backup instead: that every file is there and every byte is what it was.
    #[arg(long, value_name = "DIR", conflicts_with = "to")]
    verify: Option<PathBuf>,
}

/// What to restore.
#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    settings: Settings,
    /// The folder of the backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

impl Backup {
    /// Makes or verifies a backup.
    pub async fn run(self) -> anyhow::Result<()> {
        if let Some(folder) = self.verify {
            let shown = folder.display().to_string();
            let verified = blocking(move |tell| backup::verify(&folder, tell)).await?;
            println!("{shown} is whole: {}", told(&verified));
            return Ok(());
        }
        let of = deployment(&self.settings)?;
        let (Some(to), evidence_dir) = (self.to, of.evidence_dir.clone()) else { return Ok(()) };
        let shown = to.display().to_string();
        let made = blocking(move |tell| backup::backup(&of, &to, jiff::Timestamp::now(), tell)).await?;
        for digest in &made.damaged {
            let (folder, rest) = digest.as_str().split_at(2);
            let file = evidence_dir.join(folder).join(rest).with_extension("jpg");
            eprintln!("{} is damaged and was left out", file.display());
        }
        println!("{shown}: {}", told(&made));
        Ok(())
    }
}

impl Restore {
    /// Restores a backup.
    pub async fn run(self) -> anyhow::Result<()> {
        let into = deployment(&self.settings)?;
        let from = self.from;
        let shown = from.display().to_string();
        let restored = blocking(move |tell| backup::restore(&from, &into, tell)).await?;
        println!("{shown} is restored: {}", told(&restored));
        Ok(())
    }
}

fn deployment(settings: &Settings) -> anyhow::Result<Deployment> {
    let alerting = config::alerting(&settings.config)?;
    Ok(Deployment { evidence_dir: alerting.evidence_dir(), place: alerting.store })
}

/// Databases and files block; progress is shown where somebody looks.
async fn blocking(
    work: impl FnOnce(Tell<'_>) -> Result<Summary, BackupError> + Send + 'static,
) -> anyhow::Result<Summary> {
    let done = tokio::task::spawn_blocking(move || {
        let is_watched = std::io::stderr().is_terminal();
        let done = work(&mut |step| {
            if is_watched {
                show(step);
            }
        });
        if is_watched {
            eprint!("\r\x1b[K");
        }
        done
    });
    Ok(done.await??)
}

fn show(step: Step<'_>) {
    let Step { doing, what, n_done } = step;
    eprint!("\r\x1b[K{doing} {what}: {n_done}");
    // A terminal that doesn't take it shows no progress, and that is all.
    let _ = std::io::stderr().flush();
}

fn told(summary: &Summary) -> String {
    let Summary { made_at, schema, n_tables, n_rows, n_stills, n_bytes, damaged: _ } = summary;
    format!("made at {made_at}, schema {schema}, {n_tables} tables, {n_rows} rows, {n_stills} stills, {n_bytes} bytes")
}
