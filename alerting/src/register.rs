//! Signs the head of the audit in a second place, now and then, and says when that can't be done (RULES P27).
//!
//! At the start the last signed row must be in the store with the hash that was signed: else rows were lost or changed, which is
//! told in `/readyz` and in the log until somebody has verified and restored. Rows go on to be written meanwhile.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::{AuditSettings, CheckpointError, CheckpointLog, Pace},
    consume::Health,
    error_chain,
    store::{Store, StoreError, audit},
};

/// The file of the key that signs, in the store's folder.
const KEY: &str = "audit-key.pem";
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the head was not signed.
#[derive(Debug, thiserror::Error)]
enum RegisterError {
    #[error("the audit can't be read")]
    Store(#[from] StoreError),
    #[error("the audit's head can't be signed")]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "row {0} of the audit was signed and is not in the store as it was: rows were lost or changed; verify it (docs/audit.md) \
         before anything else"
    )]
    Lost(u64),
    #[error("the thread that signs has ended")]
    Ended,
}

/// Signs until shutdown; `health` says whether that works.
pub async fn run(
    settings: AuditSettings,
    data_dir: &Path,
    (store, health): (Store, Health),
    shutdown: CancellationToken,
) {
    let key_file = data_dir.join(KEY);
    let mut log = None;
    loop {
        match run_once(&settings, &key_file, &store, &mut log).await {
            Ok(()) => {
                if health.set(true, "signed checkpoints are written") {
                    tracing::info!("the audit's head is signed");
                }
            }
            Err(error) => {
                let chain = error_chain(&error);
                if health.set(false, &chain) {
                    tracing::error!(error = chain, "the audit's head is not signed");
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    let at_once = Pace { every_rows: 1, ..settings.pace };
    if let Err(error) = run_once(&AuditSettings { pace: at_once, ..settings }, &key_file, &store, &mut log).await {
        tracing::error!(error = error_chain(&error), "the audit's last rows are not signed; the next start signs them");
    }
}

async fn run_once(
    settings: &AuditSettings,
    key_file: &Path,
    store: &Store,
    log: &mut Option<CheckpointLog>,
) -> Result<(), RegisterError> {
    let mut open = match log.take() {
        Some(open) => open,
        None => opened(settings, key_file, store).await?,
    };
    let head = store.read(audit::head).await?;
    let now = Timestamp::now();
    if !settings.pace.is_due(open.last(), head, now) {
        *log = Some(open);
        return Ok(());
    }
    let signed = tokio::task::spawn_blocking(move || open.sign(head, now).map(|_| open));
    *log = Some(signed.await.map_err(|_| RegisterError::Ended)??);
    Ok(())
}

async fn opened(settings: &AuditSettings, key_file: &Path, store: &Store) -> Result<CheckpointLog, RegisterError> {
    let (settings, key_file) = (settings.clone(), key_file.to_owned());
    let opened = tokio::task::spawn_blocking(move || CheckpointLog::open(&settings, &key_file));
    let log = opened.await.map_err(|_| RegisterError::Ended)??;
    if let Some(last) = log.last() {
        let (seq, signed) = (last.head.seq, last.head.hash);
        let found = store.read(move |tx| audit::hash_of(tx, seq)).await?;
        if found != Some(signed) {
            return Err(RegisterError::Lost(seq));
        }
    }
    Ok(log)
}
