//! `xueliang sealed-key`: a pair of keys for sealed originals. Needs no settings and no running system.

use std::path::PathBuf;

use clap::Args;
use xueliang_alerting::originals::OriginalsKey;

const HELP: &str = "\
The private key opens what workers sealed, so keep it at the centre alone, away from data_dir and its backups, and a copy in a safe:
what was sealed to a lost key stays shut. The public key opens nothing; it goes to every worker. Docs: docs/grants.md.

  [ingest.sealed_originals]                # at each worker
  recipient = \"age1…\"                      # the public key, which is printed
  assessment = \"number of the impact assessment\"

  [alerting.sealed_originals]              # at the centre
  key_file = \"originals.key\"               # the file, mode 0600

Examples:
  xueliang sealed-key /etc/xueliang/originals.key
  xueliang sealed-key originals-2.key      # a new pair: what was sealed to the old one opens only with the old one";

/// Where the private key goes.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct SealedKey {
    /// A new file for the private key; only its owner may read it, and one that is there is never overwritten.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl SealedKey {
    /// Makes the pair; tells the public key.
    pub fn run(&self) -> anyhow::Result<()> {
        let key = OriginalsKey::make(&self.file)?;
        println!("{}", key.recipient());
        eprintln!(
            "the private key is in {} (mode 0600); the line above is the workers' recipient",
            self.file.display()
        );
        Ok(())
    }
}
