//! Many rows in one statement: they stand in it as the relation `each`.
//!
//! PostgreSQL gets them as arrays and answers once; SQLite, which is asked without a way between, carries the statement out for one
//! row after another. So a statement must mean the same both ways: no two rows of it touch the same row of a table.

use super::{
    Stored, Tx,
    connection::Connection,
    sql::{Row, Value},
};

/// What a column of `each` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Whole numbers, times, yes and no.
    Int,
    /// Numbers.
    Real,
    /// Texts.
    Text,
}

/// A column of `each`.
pub type Column = (&'static str, Holds);

impl Tx<'_> {
    /// Carries out a statement that reads `each`; what it gives, in the rows' order only on SQLite.
    pub fn each(&self, columns: &[Column], rows: &[Vec<Value>], sql: &str) -> Stored<Vec<Row>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match self.0 {
            Connection::Sqlite(sqlite) => {
                let sql = with(columns, |nth, _| format!("?{nth}"), "VALUES ", sql);
                let found: Stored<Vec<Vec<Row>>> = rows.iter().map(|row| sqlite.rows(&sql, row)).collect();
                Ok(found?.into_iter().flatten().collect())
            }
            Connection::Postgres(postgres) => {
                let array = |nth, holds| format!("?{nth}::{}[]", type_of(holds));
                postgres.rows_of_arrays(&with(columns, array, "SELECT * FROM unnest", sql), columns, rows)
            }
        }
    }
}

fn with(columns: &[Column], parameter: impl Fn(usize, Holds) -> String, given: &str, sql: &str) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let parameters: Vec<String> = (1..).zip(columns).map(|(nth, (_, holds))| parameter(nth, *holds)).collect();
    format!("WITH each ({}) AS ({given}({})) {sql}", names.join(", "), parameters.join(", "))
}

fn type_of(holds: Holds) -> &'static str {
    match holds {
        Holds::Int => "BIGINT",
        Holds::Real => "DOUBLE PRECISION",
        Holds::Text => "TEXT",
    }
}

#[cfg(test)]
mod tests {
    use super::{Holds::*, *};
    use crate::store::{Store, connection::Kind, sql::params, testing};

    const COLUMNS: [Column; 4] = [("id", Text), ("n", Int), ("x", Real), ("note", Text)];

    #[test]
    fn rows_go_in_and_are_found_by_their_keys() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let found = store.write_blocking(|tx| {
                tx.batch("CREATE TABLE try (id TEXT PRIMARY KEY, n BIGINT, x DOUBLE PRECISION, note TEXT)")?;
                let rows = [
                    params!["a", 1, 0.5, "它"].to_vec(),
                    params!["b", -2, None::<f64>, None::<String>].to_vec(),
                    params!["a", 3, 1.0, "again"].to_vec(),
                ];
                let insert = "INSERT INTO try (id, n, x, note) SELECT * FROM each WHERE true ON CONFLICT DO NOTHING RETURNING id";
                let mut new: Vec<String> =
                    tx.each(&COLUMNS, &rows, insert)?.iter().map(Row::first).collect::<Stored<_>>()?;
                new.sort();
                assert_eq!(new, ["a", "b"], "the first of two with one key");
                let update = "UPDATE try SET n = each.n, note = each.note FROM each WHERE try.id = each.id";
                tx.each(&COLUMNS, &[params!["b", 7, None::<f64>, "x"].to_vec()], update)?;
                let keys = ["b", "none", "a"].map(|id| params![id].to_vec());
                let select = "SELECT try.* FROM each JOIN try ON try.id = each.id";
                let mut found = tx.each(&COLUMNS[..1], &keys, select)?;
                found.sort_by_key(|row| row.get::<String>("id").unwrap_or_default());
                assert!(tx.each(&COLUMNS, &[], insert)?.is_empty());
                Ok(found.into_iter().map(Row::into_values).collect::<Vec<_>>())
            });
            let (a, b) = (params!["a", 1, 0.5, "它"].to_vec(), params!["b", 7, None::<f64>, "x"].to_vec());
            assert_eq!(found.unwrap(), [a, b]);
        });
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let wrong = store.write_blocking(|tx| {
                let rows = [params!["x"].to_vec()];
                tx.each(&[("n", Int)], &rows, "INSERT INTO position (log, next) SELECT 'l', n FROM each")
            });
            assert!(wrong.is_err(), "{wrong:?}");
        });
    }

    #[test]
    fn a_text_with_a_null_character_is_stored() {
        testing::on_both(|place| {
            let store = Store::open(place).unwrap();
            let taken = store.write_blocking(|tx| {
                let insert = "INSERT INTO position (log, next) SELECT log, 0 FROM each";
                tx.each(&[("log", Text)], &[params!["a\0b"].to_vec()], insert)?;
                tx.execute("INSERT INTO position (log, next) VALUES (?1, 0)", params!["c\0d"])
            });
            assert_eq!(taken.unwrap(), 1);
        });
    }

    #[test]
    fn whose_turn_to_write_does_not_come_begins_anew() {
        testing::on_both(|place| {
            let (mut one, mut other) = (Connection::open(place).unwrap(), Connection::open(place).unwrap());
            if let Connection::Postgres(postgres) = &other {
                postgres.batch("SET lock_timeout = '50ms'").unwrap();
                one.run(Kind::Write, |_| {
                    let waited: Stored<()> = other.run(Kind::Write, |_| Ok(()));
                    assert!(waited.is_err());
                    Ok::<(), crate::store::StoreError>(())
                })
                .unwrap();
            }
            other.run(Kind::Write, |tx| tx.batch("SELECT 1")).unwrap();
        });
    }
}
