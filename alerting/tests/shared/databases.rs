//! New databases on the PostgreSQL that `./check` starts (`deploy/dev/postgres.sh`).

use std::sync::atomic::{AtomicU32, Ordering};

/// A new database: the server's socket folder, its port, and the database's name; `None`, told as skipped, without a server.
pub fn new() -> Option<(String, u16, String)> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = std::env::var("XUELIANG_TEST_POSTGRES") else {
        eprintln!("SKIPPED: on PostgreSQL, for XUELIANG_TEST_POSTGRES names none; ./check starts one");
        return None;
    };
    let (folder, port) = server.rsplit_once(':').expect("XUELIANG_TEST_POSTGRES is FOLDER:PORT");
    let port: u16 = port.parse().expect("a port");
    let database = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let made = std::process::Command::new("createdb")
        .args(["-h", folder, "-p", &port.to_string(), "-U", "postgres", &database])
        .status()
        .expect("createdb of PostgreSQL's client programs");
    assert!(made.success(), "createdb failed");
    Some((folder.to_owned(), port, database))
}
