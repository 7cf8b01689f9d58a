//! What the store's tests have in common.

use jiff::Timestamp;
use tempfile::TempDir;
use xueliang_events::{Event, Payload, SessionId, Source};

use super::{Place, Store, postgres::PostgresSettings};

#[path = "../../tests/shared/databases.rs"]
mod databases;

/// An event of a camera's first session that was captured and received at the same time.
pub fn event(camera: &str, sequence: u64, at: Timestamp, payload: Payload) -> Event {
    Event {
        source: Source::Camera(camera.parse().unwrap()),
        session: SessionId(uuid::Uuid::nil()),
        sequence,
        time: at,
        received_at: at,
        grid: None,
        owner_epoch: None,
        payload,
    }
}

/// A new store in a file.
pub fn sqlite() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Place::File(folder.path().join("a.sqlite"))).unwrap();
    (folder, store)
}

/// Runs a check on a new store in a file, and on one in a new database of the server that `./check` starts.
pub fn on_both(check: impl Fn(&Place)) {
    let folder = tempfile::tempdir().unwrap();
    check(&Place::File(folder.path().join("a.sqlite")));
    if let Some((host, port, database)) = databases::new() {
        check(&postgres(&host, port, &database));
    }
}

/// A database of that server.
pub fn postgres(host: &str, port: u16, database: &str) -> Place {
    let (host, database, user) = (host.to_owned(), database.to_owned(), "postgres".to_owned());
    Place::Postgres(PostgresSettings { host, port, database, user, password: None, tls: None })
}
