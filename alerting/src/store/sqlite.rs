//! SQLite: one file, WAL, writers that take their turn.

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{OpenFlags, params_from_iter, types::ValueRef};

use super::{
    StoreError, Stored,
    connection::Kind,
    sql::{Row, Value},
};

/// Of each connection: ids of events are random, so that nearly each touches another page of their index.
const CACHE_KIB: i64 = 64 * 1024;
/// 32 MB of log before it is brought into the file: pages that many transactions touch are then written once.
const CHECKPOINT_PAGES: i64 = 8_000;

/// A connection to the file.
pub struct Sqlite(rusqlite::Connection);

impl Sqlite {
    /// Opens or makes the file.
    pub fn open(file: &Path) -> Stored<Self> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::Folder(folder.to_owned(), error))?;
        }
        let connection = rusqlite::Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // The source forgets a batch after the commit; with NORMAL a power loss could take it back.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(Self(connection))
    }

    /// Opens a file that is there; nothing can be written through it.
    pub fn open_to_read(file: &Path) -> Stored<Self> {
        let connection = rusqlite::Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(Self(connection))
    }

    /// Begins a transaction.
    pub fn begin(&self, kind: Kind) -> Stored<()> {
        self.batch(match kind {
            Kind::Write => "BEGIN IMMEDIATE",
            Kind::Read => "BEGIN DEFERRED",
        })
    }

    /// Carries out statements without parameters.
    pub fn batch(&self, sql: &str) -> Stored<()> {
        Ok(self.0.execute_batch(sql)?)
    }

    /// Carries one statement out.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Stored<u64> {
        Ok(self.0.prepare_cached(sql)?.execute(params_from_iter(params))? as u64)
    }

    /// What a query gives.
    pub fn rows(&self, sql: &str, params: &[Value]) -> Stored<Vec<Row>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let columns: Arc<[String]> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut found = statement.query(params_from_iter(params))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = (0..columns.len()).map(|index| read(row.get_ref(index)?));
            rows.push(Row { columns: Arc::clone(&columns), values: values.collect::<Stored<_>>()? });
        }
        Ok(rows)
    }
}

fn read(value: ValueRef<'_>) -> Stored<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(StoreError::Corrupt { what: "a text", value: "not UTF-8".to_owned() }),
        },
        ValueRef::Blob(_) => return Err(StoreError::Corrupt { what: "a column", value: "a blob".to_owned() }),
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput::Borrowed, ValueRef as Ref};
        Ok(Borrowed(match self {
            Value::Null => Ref::Null,
            Value::Int(number) => Ref::Integer(*number),
            Value::Real(number) => Ref::Real(*number),
            Value::Text(text) => Ref::Text(text.as_bytes()),
        }))
    }
}
