//! What both databases have in common: values, rows, and a transaction that takes the same SQL.
//!
//! Parameters are written `?1`, `?2`, …; statements keep to what SQLite and PostgreSQL both understand. Times are microseconds,
//! booleans 0 and 1, so that a column means the same in both. Not here: connections, which each database has its own of.

use jiff::Timestamp;

use super::{StoreError, Stored, columns::micros, connection::Connection};

/// A value of a column or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number, also a time or a yes and no.
    Int(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
}

/// The parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::sql::Value::from($value)),*][..] };
}
pub(crate) use params;

/// A transaction on either database.
pub struct Tx<'c>(pub(super) &'c Connection);

impl Tx<'_> {
    /// Carries a statement out; how many rows it touched.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Stored<u64> {
        match self.0 {
            Connection::Sqlite(sqlite) => sqlite.execute(sql, params),
            Connection::Postgres(postgres) => postgres.execute(sql, params),
        }
    }

    /// Carries a statement out for each of the rows, in their order; how many rows each touched.
    pub fn execute_each(&self, sql: &str, rows: &[Vec<Value>]) -> Stored<Vec<u64>> {
        match self.0 {
            Connection::Sqlite(sqlite) => rows.iter().map(|row| sqlite.execute(sql, row)).collect(),
            Connection::Postgres(postgres) => postgres.execute_each(sql, rows),
        }
    }

    /// What a query gives.
    pub fn rows(&self, sql: &str, params: &[Value]) -> Stored<Vec<Row>> {
        match self.0 {
            Connection::Sqlite(sqlite) => sqlite.rows(sql, params),
            Connection::Postgres(postgres) => postgres.rows(sql, params),
        }
    }

    /// The first row of a query, if it gives one.
    pub fn row(&self, sql: &str, params: &[Value]) -> Stored<Option<Row>> {
        Ok(self.rows(sql, params)?.into_iter().next())
    }

    /// The first column of a query that always gives a row.
    pub fn value<T: FromValue>(&self, sql: &str, params: &[Value]) -> Stored<T> {
        let row = self.row(sql, params)?;
        row.ok_or_else(|| StoreError::Corrupt { what: "an answer without a row", value: sql.to_owned() })?.first()
    }

    /// True on PostgreSQL.
    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.0, Connection::Postgres(_))
    }

    /// Carries out a migration.
    pub(super) fn migrate(&self, sql: &str) -> Stored<()> {
        match self.0 {
            Connection::Sqlite(sqlite) => sqlite.batch(sql),
            Connection::Postgres(postgres) => postgres.migrate(sql),
        }
    }

    /// Carries out statements without parameters.
    pub fn batch(&self, sql: &str) -> Stored<()> {
        match self.0 {
            Connection::Sqlite(sqlite) => sqlite.batch(sql),
            Connection::Postgres(postgres) => postgres.batch(sql),
        }
    }
}

/// A row with the names of its columns.
#[derive(Debug, Clone)]
pub struct Row {
    pub(super) columns: std::sync::Arc<[String]>,
    pub(super) values: Vec<Value>,
}

impl Row {
    /// The value of a column.
    pub fn get<T: FromValue>(&self, column: &'static str) -> Stored<T> {
        let index = self.columns.iter().position(|name| name == column);
        let value = index.and_then(|index| self.values.get(index));
        read(column, value)
    }

    /// The values, in the columns' order.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// The first column.
    pub fn first<T: FromValue>(&self) -> Stored<T> {
        read("a column", self.values.first())
    }
}

fn read<T: FromValue>(what: &'static str, value: Option<&Value>) -> Stored<T> {
    let read = value.and_then(T::from_value);
    read.ok_or_else(|| StoreError::Corrupt { what, value: format!("{value:?}").chars().take(120).collect() })
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// `None` when it is something else.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Int(number) = value { Some(*number) } else { None }
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(i64::cast_unsigned)
    }
}

impl FromValue for u32 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Real(number) => Some(*number),
            Value::Int(number) => Some(*number as f64),
            Value::Null | Value::Text(_) => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
}

impl FromValue for Timestamp {
    fn from_value(value: &Value) -> Option<Self> {
        Timestamp::from_microsecond(i64::from_value(value)?).ok()
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

macro_rules! values {
    ($($type:ty => $value:expr),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                let make: fn($type) -> Value = $value;
                make(value)
            }
        }
    )*};
}

values! {
    i64 => Value::Int,
    i32 => |number| Value::Int(number.into()),
    u32 => |number| Value::Int(number.into()),
    u64 => |number| Value::Int(number.cast_signed()),
    usize => |number| Value::Int((number as u64).cast_signed()),
    bool => |yes| Value::Int(yes.into()),
    f64 => Value::Real,
    String => Value::Text,
    Timestamp => |at| Value::Int(micros(at)),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Text(text.clone())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        value.as_deref().into()
    }
}
