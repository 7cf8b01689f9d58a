//! The store: one SQLite file, or a PostgreSQL database; one thread that writes, a few that read.
//!
//! Several processes may share it: writers take their turn, and nothing that a transaction decides on is remembered between
//! transactions. The source is told that a batch is done after the commit, and then forgets it. Invariant: effects and
//! consumed position are committed together.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

pub use connection::Place;
use connection::{Connection, Kind};
pub use sql::Tx;

pub mod apply;
pub mod audit;
pub mod break_glass;
pub mod cases;
pub mod changes;
pub mod columns;
pub mod commands;
pub mod connection;
pub mod deadlines;
pub mod deletions;
pub mod devices;
pub mod each;
pub mod entries;
pub mod events;
pub mod facts;
pub mod failures;
pub mod grants;
pub mod holds;
mod idempotency;
pub mod incidents;
pub mod memories;
pub(crate) mod migrate;
pub mod notes;
pub mod notify;
pub mod outbox;
pub mod owners;
pub mod people;
pub mod postgres;
pub mod rule_versions;
pub mod schema;
pub mod sealed;
pub mod sql;
mod sqlite;
pub mod statics;
#[cfg(test)]
mod storms;
pub mod sweep;
#[cfg(test)]
pub(crate) mod testing;
pub mod tokens;
pub mod uptime;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no.
    #[error("the store failed")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL said no.
    #[error("the database failed")]
    Postgres(#[from] tokio_postgres::Error),
    /// PostgreSQL said nothing.
    #[error("the database does not answer")]
    NoAnswer,
    /// A thread can't be started.
    #[error("the store's threads can't be started")]
    Thread(#[source] std::io::Error),
    /// A value in the store can't be read.
    #[error("the store holds {what} that can't be read: {value:?}")]
    Corrupt {
        /// What.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// The store was written by a newer version.
    #[error("the store has schema {found}, this program knows {known}; run the newer program")]
    Newer {
        /// Its schema.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// The store was written by an older version, and is only read.
    #[error("the store has schema {found}, this program reads {known}; start alerting of this version on it once")]
    Older {
        /// Its schema.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// There is none.
    #[error("{0} holds no store of alerting")]
    Missing(String),
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

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the store, brings its schema up to date and starts its threads; blocks, so never on an async thread.
    pub fn open(place: &Place) -> Stored<Self> {
        const READERS: usize = 3;
        let mut writing = Connection::open(place)?;
        migrate::run(&mut writing)?;
        let mut reading = Vec::new();
        for _ in 0..READERS {
            reading.push(Connection::open(place)?);
        }
        Ok(Self { writer: serve("store-write", vec![writing])?, reader: serve("store-read", reading)? })
    }

    /// Runs `work` in one transaction that is committed when it succeeds.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let (job, answer) = in_transaction(Kind::Write, work);
        self.writer.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// The same for a thread that may block.
    pub fn write_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        let (job, answer) = in_transaction(Kind::Write, work);
        self.writer.blocking_send(job).map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Runs `work` on one consistent state that it doesn't change.
    pub async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static) -> Stored<T> {
        let (job, answer) = in_transaction(Kind::Read, work);
        self.reader.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

fn in_transaction<T: Send + 'static>(
    kind: Kind,
    work: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static,
) -> (Job, oneshot::Receiver<Stored<T>>) {
    let (answer_to, answer) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        let _ = answer_to.send(connection.run(kind, work));
    });
    (job, answer)
}

/// A thread for each connection; whoever is free takes the next job. When all are busy and the queue is full, askers wait.
fn serve(name: &str, connections: Vec<Connection>) -> Stored<mpsc::Sender<Job>> {
    const QUEUE: usize = 64;
    let (sender, jobs) = mpsc::channel::<Job>(QUEUE);
    let jobs = Arc::new(Mutex::new(jobs));
    for mut connection in connections {
        let jobs = Arc::clone(&jobs);
        let run = move || {
            loop {
                let job = jobs.lock().blocking_recv();
                let Some(job) = job else { return };
                job(&mut connection);
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(StoreError::Thread)?;
    }
    Ok(sender)
}
