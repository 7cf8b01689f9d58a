//! Makes a backup: all rows of one consistent state, then the stills that they tell of, then the manifest.

use std::path::Path;

use jiff::Timestamp;

use super::{
    BackupError, Deployment, Step, Summary, Tell,
    carried::{self, LEFT_OUT},
    folder::Unfinished,
    manifest::{LeftOut, Manifest, STILLS, STILLS_LIST, TableEntry, table_file},
    rows::Writer,
    stills::Stills,
};
use crate::store::{
    Place, StoreError, Tx,
    connection::{Connection, Kind},
    migrate,
    schema::{self, Table},
    sql::Value,
};

/// How many rows are in memory at once.
const PORTION: usize = 500;

/// Makes a backup in a new folder while alerting goes on; blocks, so never on an async thread.
pub fn backup(of: &Deployment, to: &Path, now: Timestamp, tell: Tell<'_>) -> Result<Summary, BackupError> {
    let mut connection = open(&of.place)?;
    let folder = Unfinished::begin(to)?;
    let mut made = Made { of, folder: folder.path(), stills: Stills::default(), tell };
    let mut manifest = connection.run(Kind::Read, |tx| made.read(tx, now))?;
    drop(connection);
    made.copy_stills(&mut manifest)?;
    (made.tell)(Step { doing: "writing", what: "manifest", n_done: 0 });
    manifest.write(folder.path())?;
    (made.tell)(Step { doing: "writing", what: "manifest", n_done: 1 });
    folder.finish()?;
    Ok(manifest.summary())
}

/// A backup in the making.
struct Made<'m> {
    of: &'m Deployment,
    folder: &'m Path,
    stills: Stills,
    tell: Tell<'m>,
}

impl Made<'_> {
    /// Writes the rows of all tables; what the store holds changes meanwhile only for others.
    fn read(&mut self, tx: &Tx<'_>, now: Timestamp) -> Result<Manifest, BackupError> {
        if !schema::is_store(tx)? {
            return Err(BackupError::NoStore(self.of.place.to_string()));
        }
        let migrations = migrate::applied(tx)?;
        if migrations.len() > migrate::SCHEMA {
            return Err(StoreError::Newer { found: migrations.len(), known: migrate::SCHEMA }.into());
        }
        let mut manifest = Manifest::new(now, migrations);
        for table in schema::tables(tx)? {
            match LEFT_OUT.iter().find(|(name, _)| *name == table.name) {
                Some((_, reason)) => {
                    manifest.left_out.push(LeftOut { table: table.name, reason: (*reason).to_owned() });
                }
                None => manifest.tables.push(self.read_table(tx, &table)?),
            }
        }
        Ok(manifest)
    }

    fn read_table(&mut self, tx: &Tx<'_>, table: &Table) -> Result<TableEntry, BackupError> {
        let mut writer = Writer::create(table_file(self.folder, &table.name))?;
        let reset = carried::reset(table);
        let mut last: Option<Vec<Value>> = None;
        loop {
            let mut rows = table.rows_after(tx, last.as_deref(), PORTION)?;
            for row in &mut rows {
                for (place, value) in &reset {
                    row[*place] = value.clone();
                }
                self.stills.note(row, &self.of.evidence_dir);
                writer.write(row)?;
            }
            (self.tell)(Step { doing: "reading", what: &table.name, n_done: writer.n_rows() });
            match rows.last() {
                Some(row) if rows.len() == PORTION => last = Some(table.key_of(row)),
                _ => break,
            }
        }
        Ok(TableEntry::new(table, table.last_number(tx)?, writer.finish()?))
    }

    fn copy_stills(&mut self, manifest: &mut Manifest) -> Result<(), BackupError> {
        let copied = self.stills.copy(&self.of.evidence_dir, &self.folder.join(STILLS), &mut *self.tell)?;
        let mut list = Writer::create(self.folder.join(STILLS_LIST))?;
        for (digest, n_bytes) in &copied.stills {
            list.write(&[digest.as_str().into(), (*n_bytes).into()])?;
            manifest.still_bytes += n_bytes;
        }
        manifest.stills = list.finish()?;
        manifest.damaged_stills = copied.damaged;
        Ok(())
    }
}

/// Opening would make a file that is not there.
fn open(place: &Place) -> Result<Connection, BackupError> {
    match place {
        Place::File(file) if !file.exists() => Err(BackupError::NoStore(place.to_string())),
        _ => Ok(Connection::open(place)?),
    }
}
