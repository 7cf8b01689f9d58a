//! A connection to either database, and transactions on it.

use std::{fmt, path::PathBuf};

use super::{
    StoreError, Stored,
    postgres::{Postgres, PostgresSettings},
    sql::Tx,
    sqlite::Sqlite,
};

/// Where the store is.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In a PostgreSQL database.
    Postgres(PostgresSettings),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Postgres(settings) => {
                let PostgresSettings { database, host, port, .. } = settings;
                write!(f, "database {database} at {host}:{port}")
            }
        }
    }
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes; one at a time over all processes that share the store.
    Write,
    /// Looks at one consistent state.
    Read,
}

/// A connection.
pub enum Connection {
    /// To a file.
    Sqlite(Sqlite),
    /// To a database server.
    Postgres(Box<Postgres>),
}

impl Connection {
    /// Opens the store; blocks, so never on an async thread.
    pub fn open(place: &Place) -> Stored<Self> {
        Ok(match place {
            Place::File(file) => Self::Sqlite(Sqlite::open(file)?),
            Place::Postgres(settings) => Self::Postgres(Box::new(Postgres::open(settings.clone())?)),
        })
    }

    /// Opens a store that is there, for reading alone; blocks too.
    pub fn open_to_read(place: &Place) -> Stored<Self> {
        match place {
            Place::File(file) if !file.exists() => Err(StoreError::Missing(place.to_string())),
            Place::File(file) => Ok(Self::Sqlite(Sqlite::open_to_read(file)?)),
            Place::Postgres(_) => Self::open(place),
        }
    }

    /// Runs `work` in one transaction that is committed when it succeeds.
    pub fn run<T, E: From<StoreError>>(
        &mut self,
        kind: Kind,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin(kind)?,
            Self::Postgres(postgres) => postgres.begin(kind)?,
        }
        let tx = Tx(self);
        let done = work(&tx).and_then(|value| tx.batch("COMMIT").map(|()| value).map_err(E::from));
        if done.is_err()
            && let Err(error) = tx.batch("ROLLBACK")
        {
            // The next begin finds out: SQLite has rolled back by itself, PostgreSQL connects anew.
            tracing::debug!(error = crate::error_chain(&error), "nothing to roll back");
        }
        done
    }
}
