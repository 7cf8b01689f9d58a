//! Restores a backup into an empty store of either kind: verified first, then stills, then all rows in one transaction.

use std::path::Path;

use super::{
    BackupError, Deployment, Step, Summary, Tell,
    check::Verified,
    damaged,
    manifest::{MANIFEST, Manifest, STILLS, TableEntry},
    rows::Reader,
};
use crate::{
    evidence::relative,
    store::{
        Tx,
        connection::{Connection, Kind},
        migrate,
        schema::{self, Table},
    },
};

/// How many rows are in memory, and sent to the database, at once.
const PORTION: usize = 500;

/// Restores a backup; blocks, so never on an async thread. A restore that is cut off leaves the store empty.
pub fn restore(from: &Path, into: &Deployment, tell: Tell<'_>) -> Result<Summary, BackupError> {
    let Verified { manifest, stills } = Verified::new(from, &mut *tell)?;
    let mut connection = Connection::open(&into.place)?;
    connection.run(Kind::Read, |tx| refuse_unless_empty(tx, &manifest))?;
    // Before the rows: a still that no row tells of yet misleads nobody, an incident without its still does.
    std::fs::create_dir_all(&into.evidence_dir)
        .map_err(|error| BackupError::Write(into.evidence_dir.clone(), error))?;
    let stills_dir = from.join(STILLS);
    let copied = stills.copy(&stills_dir, &into.evidence_dir, &mut *tell)?;
    if copied.stills.len() as u64 != manifest.stills.rows {
        let changed = copied.damaged.first();
        let file = changed.map_or(stills_dir.clone(), |digest| stills_dir.join(relative(digest)));
        return Err(damaged(&file, "was changed while it was restored"));
    }
    connection.run(Kind::Write, |tx| {
        refuse_unless_empty(tx, &manifest)?;
        migrate::up_to(tx, manifest.schema)?;
        fill(tx, from, &manifest, &mut *tell)?;
        migrate::up_to(tx, migrate::SCHEMA)?;
        tell(Step { doing: "writing", what: "everything", n_done: manifest.summary().n_rows });
        Ok::<_, BackupError>(())
    })?;
    Ok(manifest.summary())
}

/// No row in any table: rows of two stores never mix.
fn refuse_unless_empty(tx: &Tx<'_>, manifest: &Manifest) -> Result<(), BackupError> {
    if !schema::is_store(tx)? {
        return match schema::tables(tx)?.into_iter().next() {
            Some(foreign) => Err(BackupError::NotEmpty(foreign.name)),
            None => Ok(()),
        };
    }
    for table in schema::tables(tx)? {
        if !table.is_empty(tx)? {
            return Err(BackupError::NotEmpty(table.name));
        }
    }
    let store = migrate::applied(tx)?.len();
    if store > manifest.schema {
        return Err(BackupError::Ahead { store, backup: manifest.schema });
    }
    Ok(())
}

fn fill(tx: &Tx<'_>, from: &Path, manifest: &Manifest, tell: Tell<'_>) -> Result<(), BackupError> {
    let tables = schema::tables(tx)?;
    let file = from.join(MANIFEST);
    let known = |entry: &TableEntry| tables.iter().any(|table| table.name == entry.table);
    if let Some(unknown) = manifest.tables.iter().find(|entry| !known(entry)) {
        return Err(damaged(&file, format!("tells of table {}, which its schema does not have", unknown.table)));
    }
    for table in &tables {
        if manifest.left_out.iter().any(|left_out| left_out.table == table.name) {
            continue;
        }
        let entry = manifest.tables.iter().find(|entry| entry.table == table.name);
        let entry = entry.ok_or_else(|| damaged(&file, format!("lacks table {}", table.name)))?;
        if *entry != TableEntry::new(table, entry.last_number, entry.contents.clone()) {
            return Err(damaged(&file, format!("tells of other columns of table {} than its schema has", table.name)));
        }
        fill_table(tx, &entry.file(from), (table, entry), &mut *tell)?;
    }
    Ok(())
}

/// Hashes what it reads once more, so that a file that was changed since it was verified undoes everything.
fn fill_table(
    tx: &Tx<'_>,
    file: &Path,
    (table, entry): (&Table, &TableEntry),
    tell: Tell<'_>,
) -> Result<(), BackupError> {
    let holds: Vec<_> = table.columns.iter().map(|column| column.holds).collect();
    let mut reader = Reader::open(file, &entry.contents, &holds)?;
    let mut n_done = 0;
    loop {
        let rows = reader.portion(PORTION)?;
        table.insert(tx, &rows).map_err(|error| BackupError::Rows(file.to_owned(), error))?;
        n_done += rows.len() as u64;
        tell(Step { doing: "writing", what: &table.name, n_done });
        if rows.len() < PORTION {
            break;
        }
    }
    match entry.last_number {
        Some(last) => Ok(table.number_beyond(tx, last)?),
        None => Ok(()),
    }
}
