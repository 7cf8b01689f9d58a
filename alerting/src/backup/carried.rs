//! What of the store is not carried as it stands: a reviewed list with reasons. Everything else is carried.

use crate::store::{schema::Table, sql::Value};

/// Tables that a backup leaves out, and why.
pub const LEFT_OUT: [(&str, &str); 3] = [
    ("session", "people sign in again: a copy of a backup must not be a way in"),
    ("machine_token", "machines get new tokens: a backup must not bring back one that was revoked since"),
    ("idempotency", "tells repeated requests for a day; a repetition across a restore meets a changed version"),
];

/// Columns that a restored row begins anew with.
const RESET: [(&str, &str, Value); 2] = [
    // Whoever held the lease is not there any more.
    ("outbox", "leased_until", Value::Int(0)),
    ("notification", "leased_until", Value::Int(0)),
];

/// The columns of a table that begin anew, by their place, with what they begin with.
pub fn reset(table: &Table) -> Vec<(usize, Value)> {
    let place = |column: &str| table.columns.iter().position(|found| found.name == column);
    let of_table = RESET.iter().filter(|(name, _, _)| *name == table.name);
    of_table.filter_map(|(_, column, value)| Some((place(column)?, value.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        connection::{Connection, Kind},
        migrate, schema, testing,
    };

    /// A lease or a token that a later migration adds is to be judged here.
    #[test]
    fn every_lease_is_reset_and_every_token_left_out() {
        testing::on_both(|place| {
            let mut connection = Connection::open(place).unwrap();
            let tables = connection.run(Kind::Write, |tx| {
                migrate::up_to(tx, migrate::SCHEMA)?;
                schema::tables(tx)
            });
            let tables = tables.unwrap();
            for (name, _) in LEFT_OUT {
                assert!(tables.iter().any(|table| table.name == name), "{name} is no table any more");
            }
            let carried = tables.iter().filter(|table| LEFT_OUT.iter().all(|(name, _)| *name != table.name));
            for table in carried {
                let reset = reset(table);
                for (place, column) in table.columns.iter().enumerate() {
                    let at = format!("{}.{}", table.name, column.name);
                    assert!(!column.name.contains("token"), "{at}");
                    let is_lease = column.name.contains("lease");
                    assert_eq!(reset.iter().any(|(of, _)| *of == place), is_lease, "{at}");
                }
            }
        });
    }
}
