//! Deletes what has lived long enough, every hour: rows with their receipts, then files, then what the folder holds that no row tells
//! of (RULES P16).
//!
//! It asks the policies like everybody else, as the service `sweeper`, and registers the hash of the receipts of each transaction.
//! Each part may fail and be tried again an hour later; nothing depends on the order in which a crash cuts them off.

use std::{io, path::PathBuf, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use xueliang_events::values::Digest;

use crate::{
    access::{Access, Action, Assignment, Context, Denied, Kind, Person, Resource},
    audit::AuditSettings,
    error_chain,
    evidence::{Evidence, Found},
    retention::{Retention, UNLINKED_STILLS},
    store::{
        Store, StoreError, Stored, Tx,
        audit::{Asked, register},
        deletions::{Deleted, Receipt, Rule, doom, hash, newest, receipt, remove_files},
        sweep::sweep,
    },
    workflow::Role,
};

mod cut;

/// How often.
const EVERY: Duration = Duration::from_secs(3600);
/// Most stills of the folder that are asked about in one transaction.
const STEP: usize = 500;

/// Why a part was not done.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The policies.
    #[error("the policies don't let the sweeper delete")]
    Denied(#[from] Denied),
    /// The folder of stills.
    #[error("the folder of stills can't be read")]
    Evidence(#[source] io::Error),
    /// The audit stays as it is.
    #[error("the audit's oldest rows stay")]
    Cut(#[from] cut::CutError),
    /// A thread.
    #[error("a thread of the sweeper has ended")]
    Ended,
}

/// What deletes.
#[derive(Debug, Clone)]
pub struct Sweeper {
    /// The store.
    pub store: Store,
    /// The kept stills.
    pub evidence: Evidence,
    /// The door.
    pub access: Access,
    /// The deployment's region.
    pub region: String,
    /// How long things are kept.
    pub retention: Retention,
    /// How long the audit is.
    pub audit: AuditSettings,
    /// Where archives of the audit go.
    pub archives: PathBuf,
}

/// Sweeps until shutdown.
pub async fn run(sweeper: Sweeper, shutdown: CancellationToken) {
    let mut often = tokio::time::interval(EVERY);
    often.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = often.tick() => {}
        }
        if let Err(error) = sweeper.run_once(Timestamp::now()).await {
            tracing::warn!(
                error = error_chain(&error),
                "not everything was deleted that is over, tried again in an hour"
            );
        }
    }
}

impl Sweeper {
    /// Deletes all that is over at this time.
    pub async fn run_once(&self, now: Timestamp) -> Result<(), SweepError> {
        let retention = self.retention;
        while self.permitted(now, move |tx| sweep(tx, &retention, now)).await? {}
        self.doom_unlinked(now).await?;
        self.remove_files().await?;
        cut::run(self, now).await
    }

    /// Asks the policies, deletes, and registers the receipts of it; all in one transaction.
    pub(crate) async fn permitted<T: Send + 'static>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static,
    ) -> Result<T, SweepError> {
        let (access, region) = (self.access.clone(), self.region.clone());
        let done = self.store.write(move |tx| {
            let person = service(&region);
            let (action, resource) = (Action::DeleteExpired, Resource::new(Kind::Deployment, &region));
            let permit = match access.authorize(&person, action, resource, Context::new(now, None)) {
                Ok(permit) => permit,
                Err(denied) => return Ok(Err(denied)),
            };
            let before = newest(tx)?;
            let done = work(tx)?;
            let last = newest(tx)?;
            if last > before {
                let resource = format!("deletion/{}-{last}/{}", before + 1, hash(tx, (before, last))?);
                let (purpose, reason) = (None, None);
                let asked =
                    Asked { person: &person, at: now, purpose, reason, action: action.as_str(), resource: &resource };
                register(tx, &access, asked, Ok(&permit))?;
            }
            Ok(Ok(done))
        });
        Ok(done.await??)
    }

    /// What the folder holds that no incident shows: a batch that failed after it had copied, or another instance's leavings.
    async fn doom_unlinked(&self, now: Timestamp) -> Result<(), SweepError> {
        let old = now.checked_sub(UNLINKED_STILLS).unwrap_or(Timestamp::MIN);
        for shelf in 0..=u8::MAX {
            let evidence = self.evidence.clone();
            let found = tokio::task::spawn_blocking(move || evidence.older_than(shelf, old)).await;
            let Found { stills, torn } = found.map_err(|_| SweepError::Ended)?.map_err(SweepError::Evidence)?;
            for step in stills.chunks(STEP) {
                let (step, settings) = (step.to_vec(), self.retention.told());
                self.permitted(now, move |tx| doom_each(tx, &step, &settings, now)).await?;
            }
            if !torn.is_empty() {
                let (n, settings) = (torn.len() as u64, self.retention.told());
                let told = Receipt { kind: Deleted::TornStill, object: "", n, rule: Rule::Unlinked, settings: "" };
                self.permitted(now, move |tx| receipt(tx, now, Receipt { settings: &settings, ..told })).await?;
                let removed = tokio::task::spawn_blocking(move || torn.iter().try_for_each(std::fs::remove_file)).await;
                removed.map_err(|_| SweepError::Ended)?.map_err(SweepError::Evidence)?;
            }
        }
        Ok(())
    }

    async fn remove_files(&self) -> Result<(), SweepError> {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let evidence = self.evidence.clone();
            after = self.store.write(move |tx| remove_files(tx, &from, |still| evidence.remove(still))).await?;
        }
        Ok(())
    }
}

fn doom_each(tx: &Tx<'_>, stills: &[Digest], settings: &str, now: Timestamp) -> Stored<()> {
    for still in stills {
        if doom(tx, still.as_str(), now)? {
            let object = format!("still/{}", still.as_str());
            let told = Receipt { kind: Deleted::Still, object: &object, n: 1, rule: Rule::Unlinked, settings };
            receipt(tx, now, told)?;
        }
    }
    Ok(())
}

/// The part of the software that may delete, and nothing else (RULES B).
fn service(region: &str) -> Person {
    let assignment = Assignment { role: Role::Sweeper, region: region.to_owned(), valid_until: None };
    let account = Role::Sweeper.as_str().to_owned();
    let (display_name, assignments) = (account.clone(), vec![assignment]);
    Person { account, display_name, department: None, assignments, training_valid_until: None }
}

#[cfg(test)]
mod tests;
