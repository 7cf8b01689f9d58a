//! The store's tables as the database itself tells them, so that what a later migration adds is never forgotten.
//!
//! Tables come with their parents first: rows can be put in, in that order, without a reference that leads nowhere. Not
//! here: the table of migrations, which `super::migrate` keeps.

use super::{
    StoreError, Stored, Tx,
    sql::{Row, Value, params},
};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, by their place among [`Self::columns`].
    pub key: Vec<usize>,
    /// The column that the database numbers by itself.
    pub numbered: Option<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Whole numbers.
    Int,
    /// Numbers.
    Real,
    /// Texts.
    Text,
}

/// Every table of the store but the migrations', parents first.
pub fn tables(tx: &Tx<'_>) -> Stored<Vec<Table>> {
    let mut tables: Vec<Table> = Vec::new();
    let mut keys: Vec<Vec<(i64, usize)>> = Vec::new();
    for row in tx.rows(if tx.is_postgres() { POSTGRES_COLUMNS } else { SQLITE_COLUMNS }, &[])? {
        let name: String = row.get("of_table")?;
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table { name, columns: Vec::new(), key: Vec::new(), numbered: None });
            keys.push(Vec::new());
        }
        let (Some(table), Some(key)) = (tables.last_mut(), keys.last_mut()) else { continue };
        let column = read_column(&row)?;
        if let Some(place) = row.get("place_in_key")? {
            key.push((place, table.columns.len()));
        }
        if row.get("is_numbered")? {
            table.numbered = Some(column.name.clone());
        }
        table.columns.push(column);
    }
    for (table, mut key) in tables.iter_mut().zip(keys) {
        if key.is_empty() {
            return Err(StoreError::Corrupt { what: "a table without a primary key", value: table.name.clone() });
        }
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, column)| column).collect();
    }
    parents_first(tx, tables)
}

/// True when the database has the table of migrations, so somebody made a store of it.
pub fn is_store(tx: &Tx<'_>) -> Stored<bool> {
    tx.value(
        if tx.is_postgres() {
            "SELECT to_regclass('migration') IS NOT NULL"
        } else {
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration')"
        },
        &[],
    )
}

impl Table {
    /// The rows that come next after a key, at most so many, in the order of their keys.
    pub fn rows_after(&self, tx: &Tx<'_>, key: Option<&[Value]>, at_most: usize) -> Stored<Vec<Vec<Value>>> {
        let ordered = list(self.key.iter().filter_map(|index| self.columns.get(*index)).map(|column| &*column.name));
        let beyond =
            if key.is_some() { format!("WHERE ({ordered}) > ({})", marks(self.key.len())) } else { String::new() };
        let sql = format!(
            "SELECT {} FROM {} {beyond} ORDER BY {ordered} LIMIT {at_most}",
            self.column_list(),
            quoted(&self.name)
        );
        Ok(tx.rows(&sql, key.unwrap_or_default())?.into_iter().map(Row::into_values).collect())
    }

    /// The key of a row.
    pub fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().filter_map(|index| row.get(*index)).cloned().collect()
    }

    /// Puts rows in.
    pub fn insert(&self, tx: &Tx<'_>, rows: &[Vec<Value>]) -> Stored<()> {
        let (name, columns) = (quoted(&self.name), self.column_list());
        let sql = format!("INSERT INTO {name} ({columns}) VALUES ({})", marks(self.columns.len()));
        tx.execute_each(&sql, rows).map(|_| ())
    }

    /// True when it has no row.
    pub fn is_empty(&self, tx: &Tx<'_>) -> Stored<bool> {
        tx.value(&format!("SELECT NOT EXISTS (SELECT 1 FROM {})", quoted(&self.name)), &[])
    }

    /// The last number that the database gave out, 0 before the first; `None` for a table that it doesn't number.
    pub fn last_number(&self, tx: &Tx<'_>) -> Stored<Option<i64>> {
        let Some(column) = &self.numbered else { return Ok(None) };
        if tx.is_postgres() {
            let sql = format!(
                "SELECT greatest(pg_sequence_last_value(pg_get_serial_sequence(?1, ?2)::regclass), max({}), 0) FROM {}",
                quoted(column),
                quoted(&self.name)
            );
            return tx.value(&sql, params![quoted(&self.name), column]).map(Some);
        }
        tx.value("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0)", params![&self.name]).map(Some)
    }

    /// Lets the database number what comes next beyond this.
    pub fn number_beyond(&self, tx: &Tx<'_>, last: i64) -> Stored<()> {
        let Some(column) = self.numbered.as_ref().filter(|_| last > 0) else { return Ok(()) };
        if tx.is_postgres() {
            let sql = "SELECT setval(pg_get_serial_sequence(?1, ?2)::regclass, ?3)";
            return tx.rows(sql, params![quoted(&self.name), column, last]).map(|_| ());
        }
        tx.execute("DELETE FROM sqlite_sequence WHERE name = ?1", params![&self.name])?;
        tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", params![&self.name, last]).map(|_| ())
    }

    fn column_list(&self) -> String {
        list(self.columns.iter().map(|column| &*column.name))
    }
}

impl Holds {
    /// How it is written in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int => "integer",
            Self::Real => "real",
            Self::Text => "text",
        }
    }

    /// From our words, SQLite's or PostgreSQL's.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "integer" | "INTEGER" | "bigint" => Some(Self::Int),
            "real" | "REAL" | "double precision" => Some(Self::Real),
            "text" | "TEXT" => Some(Self::Text),
            _ => None,
        }
    }
}

const SQLITE_COLUMNS: &str = "SELECT t.name AS of_table, c.name AS column_name, c.type AS type,
        nullif(c.pk, 0) AS place_in_key, c.pk > 0 AND instr(t.sql, 'AUTOINCREMENT') > 0 AS is_numbered
    FROM sqlite_master AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND t.name <> 'migration' AND substr(t.name, 1, 7) <> 'sqlite_'
    ORDER BY t.name, c.cid";

/// The catalogue rather than `information_schema`, which hides what the role may only read.
const POSTGRES_COLUMNS: &str = "SELECT t.relname::text AS of_table, a.attname::text AS column_name,
        format_type(a.atttypid, NULL) AS type, array_position(k.indkey::int2[], a.attnum)::bigint AS place_in_key,
        a.attidentity <> '' AS is_numbered
    FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_index AS k ON k.indrelid = t.oid AND k.indisprimary
    WHERE n.nspname = current_schema() AND t.relkind IN ('r', 'p') AND NOT t.relispartition
        AND t.relname <> 'migration'
    ORDER BY t.relname COLLATE \"C\", a.attnum";

const SQLITE_PARENTS: &str = "SELECT t.name AS child, k.\"table\" AS parent
    FROM sqlite_master AS t, pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table'";

const POSTGRES_PARENTS: &str = "SELECT c.relname::text AS child, p.relname::text AS parent
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS p ON p.oid = k.confrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND n.nspname = current_schema()";

fn read_column(row: &Row) -> Stored<Column> {
    let (name, holds): (String, String) = (row.get("column_name")?, row.get("type")?);
    let corrupt = |value| StoreError::Corrupt { what: "a column's type", value };
    let holds = Holds::parse(&holds).ok_or_else(|| corrupt(format!("{holds} of {name}")))?;
    Ok(Column { name, holds })
}

fn parents_first(tx: &Tx<'_>, mut waiting: Vec<Table>) -> Stored<Vec<Table>> {
    let links = tx.rows(if tx.is_postgres() { POSTGRES_PARENTS } else { SQLITE_PARENTS }, &[])?;
    let links: Vec<(String, String)> =
        links.iter().map(|row| Ok((row.get("child")?, row.get("parent")?))).collect::<Stored<_>>()?;
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let names: Vec<String> = waiting.iter().map(|table| table.name.clone()).collect();
        let waits = |table: &Table| {
            links.iter().any(|(child, parent)| *child == table.name && parent != child && names.contains(parent))
        };
        let (still, free): (Vec<_>, Vec<_>) = waiting.into_iter().partition(waits);
        if free.is_empty() {
            return Err(StoreError::Corrupt { what: "tables that refer to each other", value: names.join(", ") });
        }
        ordered.extend(free);
        waiting = still;
    }
    Ok(ordered)
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn marks(n: usize) -> String {
    (1..=n).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        connection::{Connection, Kind},
        migrate, testing,
    };

    #[test]
    fn both_databases_tell_the_same_tables() {
        let told = std::cell::RefCell::new(Vec::new());
        testing::on_both(|place| {
            let mut connection = Connection::open(place).unwrap();
            let found = connection.run(Kind::Write, |tx| {
                assert!(!is_store(tx)?);
                migrate::up_to(tx, migrate::SCHEMA)?;
                assert!(is_store(tx)?);
                tables(tx)
            });
            told.borrow_mut().push(found.unwrap());
        });
        let told = told.into_inner();
        assert!(told.iter().all(|tables| *tables == told[0]));
        let place = |name: &str| told[0].iter().position(|table| table.name == name).unwrap();
        assert!(place("incident") < place("change") && place("account") < place("assignment"));
        let change = &told[0][place("change")];
        assert_eq!((change.numbered.as_deref(), &change.key[..]), (Some("seq"), &[0][..]));
        assert_eq!(told[0][place("assignment")].key, [0, 1, 2]);
    }
}
