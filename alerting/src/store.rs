//! The embedded store: one SQLite file, one thread that writes, one that reads.
//!
//! WAL with `synchronous=FULL`: the source is told that a batch is done after the commit, and then forgets it; with
//! `NORMAL` a power loss could take back the last commits, and those events would be nowhere. One fsync a batch is cheap.
//! Several processes may share the file: writers take their turn with `BEGIN IMMEDIATE`, and nothing that a transaction
//! decides on is remembered between transactions. Invariant: effects and consumed position are committed together.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

pub mod apply;
pub mod changes;
pub mod columns;
pub mod commands;
pub mod devices;
pub mod incidents;
mod migrate;
pub mod outbox;
pub mod owners;
pub mod people;
#[cfg(test)]
mod storms;
pub mod sweep;
#[cfg(test)]
mod testing;
pub mod views;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("the store failed")]
    Sqlite(#[from] rusqlite::Error),
    /// A value in the store can't be read.
    #[error("the store holds {what} that can't be read: {value:?}")]
    Corrupt {
        /// What.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// The file was written by a newer version.
    #[error("the store {file} has schema {found}, this program knows {known}; run the newer program")]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its schema.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// A migration was changed after it had been applied.
    #[error("migration {0} was changed after it had been applied to this store")]
    MigrationChanged(usize),
    /// The folder or the file can't be made.
    #[error("{0} can't be written")]
    Folder(PathBuf, #[source] std::io::Error),
    /// Another consumer was faster with this log.
    #[error("another consumer has taken log {log} to {found}, expected {expected}")]
    Fenced {
        /// The log.
        log: String,
        /// What the store says.
        found: u64,
        /// What this consumer believed.
        expected: u64,
    },
    /// The store's thread has ended.
    #[error("the store is closed")]
    Closed,
}

/// What the store's functions return.
pub type Stored<T> = Result<T, StoreError>;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: mpsc::Sender<Job>,
    reader: mpsc::Sender<Job>,
}

impl Store {
    /// Opens the file, brings its schema up to date and starts its threads.
    pub fn open(file: &Path) -> Stored<Self> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::Folder(folder.to_owned(), error))?;
        }
        let mut connection = connect(file)?;
        migrate::run(&mut connection, file)?;
        Ok(Self { writer: serve("store-write", connection)?, reader: serve("store-read", connect(file)?)? })
    }

    /// Runs `work` in one transaction that is committed when it succeeds.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let (job, answer) = in_transaction(work);
        self.writer.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// The same for a thread that may block.
    pub fn write_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let (job, answer) = in_transaction(work);
        self.writer.blocking_send(job).map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` on one consistent state that it doesn't change.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let (answer_to, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let read = connection.transaction().map_err(StoreError::from).and_then(|transaction| work(&transaction));
            let _ = answer_to.send(read);
        });
        self.reader.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

fn in_transaction<T: Send + 'static>(
    work: impl FnOnce(&Transaction<'_>) -> Stored<T> + Send + 'static,
) -> (Job, oneshot::Receiver<Stored<T>>) {
    let (answer_to, answer) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        let committed = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::from)
            .and_then(|transaction| {
                let value = work(&transaction)?;
                transaction.commit()?;
                Ok(value)
            });
        let _ = answer_to.send(committed);
    });
    (job, answer)
}

fn connect(file: &Path) -> Stored<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn serve(name: &str, mut connection: Connection) -> Stored<mpsc::Sender<Job>> {
    const QUEUE: usize = 64;
    let (sender, mut jobs) = mpsc::channel::<Job>(QUEUE);
    let run = move || {
        while let Some(job) = jobs.blocking_recv() {
            job(&mut connection);
        }
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| StoreError::Folder(PathBuf::from(name), error))?;
    Ok(sender)
}
