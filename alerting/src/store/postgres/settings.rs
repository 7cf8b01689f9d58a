//! Where the PostgreSQL server is, and how it is reached.
//!
//! Beyond this machine the connection is encrypted and the server proves itself (RULES P26, P34): `ca_file` names the
//! authority that vouches for it.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use tokio_postgres::{Client, Config, NoTls, config::SslMode};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};
use xueliang_settings::Reader;

use super::CONNECT_WITHIN;
use crate::{
    secret::{Secret, read_secret},
    store::Stored,
};

/// How to reach the server.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Its name or address, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// The role's password, when it needs one.
    pub password: Option<Secret>,
    /// How it is encrypted; `None` within this machine only.
    pub tls: Option<Tls>,
}

/// The authorities that vouch for the server.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tls {}

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, database, user, .. } = self;
        write!(f, "PostgresSettings({user} at {host}:{port}/{database})")
    }
}

impl PostgresSettings {
    /// Reads `[alerting.postgres]`.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let host = reader.or("host", "/run/postgresql".to_owned());
        let port = reader.or("port", 5432);
        let database = reader.or("database", "xueliang".to_owned());
        let user = reader.or("user", "xueliang".to_owned());
        let password = read_secret(reader, ["password_file", "password_env"]);
        let tls = read_tls(reader);
        if tls == Some(None) && !is_local(&host) {
            let cure = "add ca_file = the certificate of the authority that vouches for the server";
            reader.refuse("host", format!("{host} is beyond this machine, and nothing says how to encrypt"), cure);
        }
        Some(Self { host, port, database, user, password: password?, tls: tls? })
    }

    /// Connects, and lets the connection run on the current runtime.
    pub(super) async fn connect(&self) -> Stored<Client> {
        let mut config = Config::new();
        config.host(&self.host).port(self.port).dbname(&self.database).user(&self.user);
        config.application_name("xueliang").connect_timeout(CONNECT_WITHIN);
        if let Some(password) = &self.password {
            config.password(password.reveal());
        }
        match &self.tls {
            None => {
                let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
                tokio::spawn(ended(connection));
                Ok(client)
            }
            Some(Tls(tls)) => {
                let tls = tokio_postgres_rustls::MakeRustlsConnect::new(ClientConfig::clone(tls));
                let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls).await?;
                tokio::spawn(ended(connection));
                Ok(client)
            }
        }
    }
}

async fn ended(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::warn!(error = crate::error_chain(&error), "connection to the database lost");
    }
}

/// The outer `None` means that a mistake was reported.
fn read_tls(reader: &mut Reader<'_>) -> Option<Option<Tls>> {
    let Some(file) = reader.optional::<PathBuf>("ca_file") else { return Some(None) };
    let base = reader.file().parent().map(PathBuf::from).unwrap_or_default();
    match trusting(&base.join(&file)) {
        Ok(tls) => Some(Some(tls)),
        Err(error) => {
            reader.refuse("ca_file", format!("{}: {error}", file.display()), "name a file of PEM certificates");
            None
        }
    }
}

fn trusting(file: &std::path::Path) -> Result<Tls, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Tls(Arc::new(config)))
}

/// A socket's folder, or this machine itself.
fn is_local(host: &str) -> bool {
    host.starts_with('/') || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use xueliang_settings::Document;

    use super::*;

    fn read(text: &str) -> Result<PostgresSettings, String> {
        let document = Document::from_text("alerting.toml", text.to_owned());
        let read = document.read(PostgresSettings::read);
        read.map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn p34_a_server_beyond_this_machine_is_reached_encrypted_only() {
        for local in ["", "host = \"127.0.0.1\"", "host = \"::1\"", "host = \"localhost\"", "host = \"/tmp\""] {
            assert!(read(local).is_ok(), "{local}");
        }
        for beyond in ["10.1.2.3", "db.city.example"] {
            let mistakes = read(&format!("host = \"{beyond}\"")).unwrap_err();
            assert!(mistakes.contains("nothing says how to encrypt"), "{mistakes}");
        }
        assert!(read("ca_file = \"none.pem\"").unwrap_err().contains("none.pem"));
    }

    #[test]
    fn the_password_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hidden\n").unwrap();
        let settings = read(&format!("password_file = {file:?}")).unwrap();
        assert_eq!(settings.password.as_ref().map(Secret::reveal), Some("hidden"));
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
