//! Where the tests' deployments keep their things, and a test on both stores.

use std::path::Path;

use xueliang_alerting::store::{Place, postgres::PostgresSettings};

use crate::databases;

/// Where a box keeps its things: everything in a folder, or the store in a database.
pub struct Site {
    folder: tempfile::TempDir,
    pub place: Place,
}

impl Site {
    pub fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File(folder.path().join("data/alerting.sqlite"));
        Self { folder, place }
    }

    pub fn postgres() -> Option<Self> {
        let (host, port, database) = databases::new()?;
        let user = "postgres".to_owned();
        let settings = PostgresSettings { host, port, database, user, password: None, tls: None };
        Some(Self { folder: tempfile::tempdir().unwrap(), place: Place::Postgres(settings) })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The table of settings that names the store.
    pub fn store_settings(&self) -> String {
        match &self.place {
            Place::File(_) => String::new(),
            Place::Postgres(PostgresSettings { host, port, database, user, .. }) => format!(
                "[alerting.postgres]\nhost = {host:?}\nport = {port}\ndatabase = {database:?}\nuser = {user:?}\n"
            ),
        }
    }
}

/// The same test on both stores.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            #[tokio::test]
            async fn file() {
                super::$test(&crate::Site::file()).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(site) = crate::Site::postgres() {
                    super::$test(&site).await;
                }
            }
        }
    )*};
}

pub(crate) use on_both;
