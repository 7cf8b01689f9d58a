//! The outbox's file: SQLite with a write-ahead log, fsynced at each commit, so that kill -9 and power loss cost nothing.
//!
//! Positions only grow. The writer appends; the forwarder reads in order and forgets what was acknowledged. At the bound the
//! oldest occupancy events go first; nothing else is ever dropped (DESIGN 3).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, params};

use super::memory::{self, Remember, Remembered};

/// Rows dropped at a time when the log is at its bound.
const DROP_STEP: i64 = 256;

/// Why the log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder can't be made.
    #[error("can't make the folder {}: {source}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("the outbox's file: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The bound is reached and nothing that waits may be dropped.
    #[error(
        "the outbox holds {n_bytes} bytes of at most {max_bytes} and nothing in it may be dropped; bring the broker back or raise ingest.outbox_bytes"
    )]
    Full {
        /// Bytes held.
        n_bytes: i64,
        /// The bound.
        max_bytes: u64,
    },
    /// No thread could be started.
    #[error("can't start the outbox's thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// An event to append.
pub struct Record {
    /// True when it may go at the bound.
    pub droppable: bool,
    /// Kafka's topic.
    pub topic: &'static str,
    /// Kafka's key.
    pub key: String,
    /// The event as JSON.
    pub body: Vec<u8>,
}

/// An event that waits.
pub struct StoredEvent {
    /// Its place, from 1.
    pub position: i64,
    /// Kafka's topic.
    pub topic: String,
    /// Kafka's key.
    pub key: String,
    /// The event as JSON.
    pub body: Vec<u8>,
}

/// The writer's end.
pub struct Log {
    connection: Connection,
    max_bytes: u64,
}

impl Log {
    /// Opens or makes the file.
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self, LogError> {
        if let Some(folder) = path.parent() {
            let failed = |source| LogError::Folder { path: folder.to_owned(), source };
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let connection = connect(path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS event (
                 position INTEGER PRIMARY KEY AUTOINCREMENT,
                 droppable INTEGER NOT NULL,
                 topic TEXT NOT NULL,
                 key TEXT NOT NULL,
                 body BLOB NOT NULL
             );
             CREATE INDEX IF NOT EXISTS event_droppable ON event (position) WHERE droppable;
             CREATE TABLE IF NOT EXISTS held (one INTEGER PRIMARY KEY CHECK (one = 1), events INTEGER NOT NULL, bytes INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS log (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL);
             INSERT OR IGNORE INTO held VALUES (1, 0, 0);
             CREATE TRIGGER IF NOT EXISTS event_in AFTER INSERT ON event BEGIN
                 UPDATE held SET events = events + 1, bytes = bytes + length(new.body);
             END;
             CREATE TRIGGER IF NOT EXISTS event_out AFTER DELETE ON event BEGIN
                 UPDATE held SET events = events - 1, bytes = bytes - length(old.body);
             END;",
        )?;
        connection.execute_batch(memory::TABLES)?;
        let id = uuid::Uuid::new_v4().to_string();
        connection.execute("INSERT OR IGNORE INTO log VALUES (1, ?1)", [id])?;
        Ok(Self { connection, max_bytes })
    }

    /// Appends all records, with what is to be remembered of them, or none; how many old ones had to go for them.
    pub fn append(&mut self, records: &[Record], remember: &[Remember]) -> Result<u64, LogError> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO event (droppable, topic, key, body) VALUES (?1, ?2, ?3, ?4)")?;
            for record in records {
                insert.execute(params![record.droppable, record.topic, record.key, record.body])?;
            }
        }
        remember.iter().try_for_each(|remember| memory::write(&transaction, remember))?;
        let n_dropped = make_room(&transaction, self.max_bytes)?;
        transaction.commit()?;
        Ok(n_dropped)
    }

    /// Events held.
    pub fn n_events(&self) -> i64 {
        held(&self.connection).map_or(0, |(n_events, _)| n_events)
    }

    /// Bytes held.
    pub fn n_bytes(&self) -> i64 {
        held(&self.connection).map_or(0, |(_, n_bytes)| n_bytes)
    }
}

/// The forwarder's end.
pub struct LogReader {
    connection: Connection,
}

impl LogReader {
    /// Opens a log that [`Log::open`] made.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Ok(Self { connection: connect(path)? })
    }

    /// The log's own id: positions count within it.
    pub fn id(&self) -> Result<String, LogError> {
        Ok(self.connection.query_row("SELECT id FROM log", [], |row| row.get(0))?)
    }

    /// What was remembered of readings.
    pub fn remembered(&self) -> Result<Remembered, LogError> {
        Ok(memory::read(&self.connection)?)
    }

    /// The oldest events behind `position`.
    pub fn read_after(&self, position: i64, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        let mut select = self.connection.prepare_cached(
            "SELECT position, topic, key, body FROM event WHERE position > ?1 ORDER BY position LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![position, limit], |row| {
            Ok(StoredEvent { position: row.get(0)?, topic: row.get(1)?, key: row.get(2)?, body: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets everything up to and including `position`.
    pub fn forget_through(&self, position: i64) -> Result<(), LogError> {
        self.connection.prepare_cached("DELETE FROM event WHERE position <= ?1")?.execute([position])?;
        Ok(())
    }

    /// Events and bytes held.
    pub fn held(&self) -> Result<(i64, i64), LogError> {
        Ok(held(&self.connection)?)
    }
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    Ok(connection)
}

fn held(connection: &Connection) -> Result<(i64, i64), rusqlite::Error> {
    let mut select = connection.prepare_cached("SELECT events, bytes FROM held")?;
    select.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn make_room(connection: &Connection, max_bytes: u64) -> Result<u64, LogError> {
    let mut n_dropped = 0;
    loop {
        let (_, n_bytes) = held(connection)?;
        if u64::try_from(n_bytes).unwrap_or(0) <= max_bytes {
            return Ok(n_dropped);
        }
        let mut oldest = connection.prepare_cached(
            "SELECT max(position) FROM (SELECT position FROM event WHERE droppable ORDER BY position LIMIT ?1)",
        )?;
        let through: Option<i64> = oldest.query_row([DROP_STEP], |row| row.get(0)).optional()?.flatten();
        let Some(through) = through else { return Err(LogError::Full { n_bytes, max_bytes }) };
        let n_rows = connection.execute("DELETE FROM event WHERE droppable AND position <= ?1", [through])?;
        n_dropped += n_rows as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(droppable: bool, n_bytes: usize) -> Record {
        Record { droppable, topic: "t", key: "k".to_owned(), body: vec![b'x'; n_bytes] }
    }

    fn log(max_bytes: u64) -> (tempfile::TempDir, PathBuf, Log) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let log = Log::open(&path, max_bytes).unwrap();
        (folder, path, log)
    }

    #[test]
    fn forgotten_positions_are_never_used_again() {
        let (_folder, path, mut log) = log(1 << 20);
        log.append(&[record(false, 10), record(false, 10)], &[]).unwrap();
        let reader = LogReader::open(&path).unwrap();
        reader.forget_through(2).unwrap();
        assert_eq!(reader.held().unwrap(), (0, 0));
        log.append(&[record(false, 10)], &[]).unwrap();
        let positions: Vec<i64> = reader.read_after(0, 9).unwrap().iter().map(|event| event.position).collect();
        assert_eq!(positions, [3]);
    }

    #[test]
    fn occupancy_goes_first_and_nothing_else_goes() {
        let (_folder, path, mut log) = log(1000);
        log.append(&[record(true, 400), record(false, 400)], &[]).unwrap();
        assert_eq!(log.append(&[record(false, 400)], &[]).unwrap(), 1);
        assert!(matches!(log.append(&[record(false, 400)], &[]), Err(LogError::Full { .. })));
        let reader = LogReader::open(&path).unwrap();
        assert_eq!(reader.held().unwrap(), (2, 800));
        reader.forget_through(2).unwrap();
        assert_eq!(log.append(&[record(false, 400)], &[]).unwrap(), 0);
    }

    #[test]
    fn the_log_keeps_its_id() {
        let (_folder, path, log) = log(1000);
        let id = LogReader::open(&path).unwrap().id().unwrap();
        drop(log);
        drop(Log::open(&path, 1000).unwrap());
        assert_eq!(LogReader::open(&path).unwrap().id().unwrap(), id);
    }
}
