//! PostgreSQL: statements of the store's thread on one connection, which is made anew when it was lost.
//!
//! Writers of all instances take their turn by an advisory lock, so that a transaction sees all that was decided before it and
//! changes are numbered in the order in which they become visible. The thread blocks on its own small runtime; a server that
//! doesn't answer within `ANSWER_WITHIN` costs the connection, not the thread.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, sync::Arc, time::Duration};

use futures::future::try_join_all;
use tokio::runtime::Runtime;
use tokio_postgres::{
    Client, Statement,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};

use super::{
    StoreError, Stored,
    connection::Kind,
    each::{Column, Holds},
    sql::{Row, Value},
};

mod settings;

pub use settings::{PostgresSettings, Tls};

/// How long the server may take for one statement.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The server ends what takes longer, or waits longer for its turn.
const BOUNDS: &str = "SET statement_timeout = '25s'; SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s'";

/// A connection to the server.
pub struct Postgres {
    settings: PostgresSettings,
    runtime: Runtime,
    session: RefCell<Option<Session>>,
}

struct Session {
    client: Client,
    /// Prepared once a connection, by the text that the store uses.
    statements: RefCell<HashMap<String, Statement>>,
}

impl Postgres {
    /// Connects.
    pub fn open(settings: PostgresSettings) -> Stored<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StoreError::Thread)?;
        let postgres = Self { settings, runtime, session: RefCell::new(None) };
        postgres.connect()?;
        Ok(postgres)
    }

    /// Begins a transaction, on a new connection where the old one was lost.
    pub fn begin(&self, kind: Kind) -> Stored<()> {
        if self.session.borrow().as_ref().is_none_or(|session| session.client.is_closed()) {
            self.connect()?;
        }
        let begun = self.batch(match kind {
            // Any number, as long as it is always the same; the lock belongs to the database.
            Kind::Write => "BEGIN; SELECT pg_advisory_xact_lock(7155)",
            Kind::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        });
        if begun.is_err() {
            // Whose turn did not come stands in a transaction that failed; the next one begins on a connection of its own.
            *self.session.borrow_mut() = None;
        }
        begun
    }

    /// Carries out statements without parameters.
    pub fn batch(&self, sql: &str) -> Stored<()> {
        self.answer(async |session| session.client.batch_execute(sql).await)
    }

    /// Carries out a migration, which may take as long as it needs.
    pub fn migrate(&self, sql: &str) -> Stored<()> {
        let unbounded = format!("SET LOCAL statement_timeout = 0; {sql}; SET LOCAL statement_timeout = '25s'");
        let session = self.session.borrow();
        let Some(session) = session.as_ref() else { return Err(StoreError::NoAnswer) };
        Ok(self.runtime.block_on(session.client.batch_execute(&unbounded))?)
    }

    /// Carries one statement out.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Stored<u64> {
        self.answer(async |session| {
            let statement = session.prepared(sql).await?;
            session.client.execute_raw(&statement, params).await
        })
    }

    /// Carries a statement out for each of the rows, without waiting for the answer to one before the next is sent.
    pub fn execute_each(&self, sql: &str, rows: &[Vec<Value>]) -> Stored<Vec<u64>> {
        self.answer(async |session| {
            let statement = session.prepared(sql).await?;
            try_join_all(rows.iter().map(|row| session.client.execute_raw(&statement, row))).await
        })
    }

    /// What a query gives.
    pub fn rows(&self, sql: &str, params: &[Value]) -> Stored<Vec<Row>> {
        self.query(sql, &params.iter().map(|value| value as _).collect::<Vec<_>>())
    }

    /// What a query gives that takes an array for each column of these rows.
    pub fn rows_of_arrays(&self, sql: &str, columns: &[Column], rows: &[Vec<Value>]) -> Stored<Vec<Row>> {
        let arrays = (0..).zip(columns).map(|(index, (name, holds))| {
            let array = Array::of(rows.iter().map(|row| row.get(index).unwrap_or(&Value::Null)), *holds);
            array.ok_or_else(|| StoreError::Corrupt { what: "a column of another kind", value: (*name).to_owned() })
        });
        let arrays: Vec<Array<'_>> = arrays.collect::<Stored<_>>()?;
        self.query(sql, &arrays.iter().map(Array::as_parameter).collect::<Vec<_>>())
    }

    fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Stored<Vec<Row>> {
        let (statement, found) = self.answer(async |session| {
            let statement = session.prepared(sql).await?;
            let found = session.client.query(&statement, params).await?;
            Ok((statement, found))
        })?;
        let columns: Arc<[String]> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let rows = found.into_iter().map(|row| {
            let values = (0..columns.len()).map(|index| row.try_get::<_, Read>(index).map(|read| read.0));
            let values = values.collect::<Result<Vec<Value>, _>>()?;
            Ok(Row { columns: Arc::clone(&columns), values })
        });
        rows.collect()
    }

    fn connect(&self) -> Stored<()> {
        let connected = self.runtime.block_on(async {
            tokio::time::timeout(CONNECT_WITHIN, self.settings.connect()).await.map_err(|_| StoreError::NoAnswer)?
        });
        let client = connected?;
        *self.session.borrow_mut() = Some(Session { client, statements: RefCell::default() });
        self.batch(BOUNDS)
    }

    /// Waits for the server's answer; a connection that gives none, or is lost, is given up.
    fn answer<T>(&self, ask: impl AsyncFnOnce(&Session) -> Result<T, tokio_postgres::Error>) -> Stored<T> {
        let answered = {
            let session = self.session.borrow();
            let Some(session) = session.as_ref() else { return Err(StoreError::NoAnswer) };
            self.runtime.block_on(async { tokio::time::timeout(ANSWER_WITHIN, ask(session)).await })
        };
        match answered {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if error.is_closed() || error.as_db_error().is_none() {
                    *self.session.borrow_mut() = None;
                }
                Err(error.into())
            }
            Err(_) => {
                *self.session.borrow_mut() = None;
                Err(StoreError::NoAnswer)
            }
        }
    }
}

impl Session {
    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&sql.replace('?', "$")).await?;
        const KEPT: usize = 256;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= KEPT {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        column: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) if *column == Type::INT4 => i32::try_from(*number)?.to_sql(column, out),
            Value::Int(number) => number.to_sql(column, out),
            Value::Real(number) => number.to_sql(column, out),
            Value::Text(text) => storable(text).to_sql(column, out),
        }
    }

    /// The schema has no other column types; a statement that means another one fails with the server's words.
    fn accepts(column: &Type) -> bool {
        matches!(*column, Type::INT4 | Type::INT8 | Type::FLOAT8 | Type::TEXT | Type::VARCHAR)
    }

    to_sql_checked!();
}

/// The server takes no null character in a text; events and file names may hold one.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A column of many rows.
enum Array<'v> {
    Int(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Text(Vec<Option<Cow<'v, str>>>),
}

impl<'v> Array<'v> {
    /// `None` when one of the values is of another kind.
    fn of(values: impl Iterator<Item = &'v Value>, holds: Holds) -> Option<Self> {
        match holds {
            Holds::Int => {
                read(values, |value| if let Value::Int(number) = value { Some(*number) } else { None }).map(Array::Int)
            }
            Holds::Real => read(values, |value| if let Value::Real(number) = value { Some(*number) } else { None })
                .map(Array::Real),
            Holds::Text => {
                read(values, |value| if let Value::Text(text) = value { Some(storable(text)) } else { None })
                    .map(Array::Text)
            }
        }
    }

    fn as_parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Array::Int(numbers) => numbers,
            Array::Real(numbers) => numbers,
            Array::Text(texts) => texts,
        }
    }
}

fn read<'v, T>(
    values: impl Iterator<Item = &'v Value>,
    read: impl Fn(&'v Value) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    values.map(|value| if *value == Value::Null { Some(None) } else { read(value).map(Some) }).collect()
}

/// A column as it comes.
struct Read(Value);

impl<'a> FromSql<'a> for Read {
    fn from_sql(column: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *column {
            Type::BOOL => Value::Int(bool::from_sql(column, raw)?.into()),
            Type::INT4 => Value::Int(i32::from_sql(column, raw)?.into()),
            Type::INT8 => Value::Int(i64::from_sql(column, raw)?),
            Type::FLOAT8 => Value::Real(f64::from_sql(column, raw)?),
            _ => Value::Text(String::from_sql(column, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(column: &Type) -> bool {
        matches!(*column, Type::BOOL | Type::INT4 | Type::INT8 | Type::FLOAT8 | Type::TEXT | Type::VARCHAR)
    }
}
