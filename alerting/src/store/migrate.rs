//! Brings the schema forward: numbered files, each applied once and never changed afterwards.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::{StoreError, Stored};

const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/001_first.sql"),
    include_str!("migrations/002_owner.sql"),
    include_str!("migrations/003_device_session.sql"),
];

pub(super) fn run(connection: &mut Connection, file: &Path) -> Stored<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, sha256 TEXT NOT NULL) STRICT",
    )?;
    let applied: Vec<String> = transaction
        .prepare("SELECT sha256 FROM migration ORDER BY number")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if applied.len() > MIGRATIONS.len() {
        return Err(StoreError::Newer { file: file.to_owned(), found: applied.len(), known: MIGRATIONS.len() });
    }
    for (index, migration) in MIGRATIONS.iter().enumerate() {
        let number = index + 1;
        let sha256 = hex::encode(Sha256::digest(migration));
        match applied.get(index) {
            Some(before) if *before == sha256 => {}
            Some(_) => return Err(StoreError::MigrationChanged(number)),
            None => {
                transaction.execute_batch(migration)?;
                transaction.execute("INSERT INTO migration VALUES (?1, ?2)", (number, sha256))?;
            }
        }
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_applied_once_and_guarded() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, Path::new("x")).unwrap();
        run(&mut connection, Path::new("x")).unwrap();
        connection.execute("UPDATE migration SET sha256 = 'other'", []).unwrap();
        assert!(matches!(run(&mut connection, Path::new("x")), Err(StoreError::MigrationChanged(1))));
        connection.execute("INSERT INTO migration VALUES (99, '')", []).unwrap();
        assert!(matches!(run(&mut connection, Path::new("x")), Err(StoreError::Newer { .. })));
    }
}
