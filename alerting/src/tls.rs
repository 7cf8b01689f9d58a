//! TLS on the API's own listener: `[alerting.tls]` names a certificate and its key, and renewed files are taken over.
//!
//! In: files. Out: a listener whose connections are encrypted. Invariants: settings that can't be used are refused at the
//! start, later ones change nothing; nobody who is slow to shake hands keeps others waiting, and such are few. Not here:
//! a proxy that ends TLS before us (`behind_tls`).

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::serve::Listener;
use parking_lot::RwLock;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};
use tokio_util::sync::CancellationToken;
use xueliang_settings::Reader;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Who has not shaken hands by then is cut off.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// So many shake hands at once; more wait in the system's queue.
const HANDSHAKES_AT_ONCE: usize = 256;

/// A certificate and its key, read.
#[derive(Clone)]
pub struct Tls {
    cert_file: PathBuf,
    key_file: PathBuf,
    seen: [Stamp; 2],
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads `[alerting.tls]`; `None` means that a mistake was reported.
    pub fn read(section: &mut Reader<'_>) -> Option<Self> {
        let base = section.file().parent().map(PathBuf::from).unwrap_or_default();
        let cert_file = section.required::<PathBuf>("cert_file").map(|file| base.join(file));
        let key_file = section.required::<PathBuf>("key_file").map(|file| base.join(file));
        let (cert_file, key_file) = (cert_file?, key_file?);
        let seen = [stamp(&cert_file), stamp(&key_file)];
        match load(&cert_file, &key_file) {
            Ok(config) => Some(Self { cert_file, key_file, seen, config }),
            Err(Unusable { key, problem }) => {
                section.refuse(
                    key,
                    problem,
                    "name PEM files: the certificate with those that vouch for it, and its key",
                );
                None
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.cert_file.display())
    }
}

/// Which setting can't be used, and why.
#[derive(Debug, PartialEq, Eq)]
struct Unusable {
    key: &'static str,
    problem: String,
}

fn load(cert_file: &Path, key_file: &Path) -> Result<Arc<ServerConfig>, Unusable> {
    let of_cert =
        |problem: String| Unusable { key: "cert_file", problem: format!("{}: {problem}", cert_file.display()) };
    let of_key = |problem: String| Unusable { key: "key_file", problem: format!("{}: {problem}", key_file.display()) };
    let chain = CertificateDer::pem_file_iter(cert_file).map_err(|error| of_cert(error.to_string()))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| of_cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(of_cert("holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| of_key(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| of_cert(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| of_key(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Connections that have shaken hands.
pub(crate) struct TlsListener {
    local_addr: SocketAddr,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    /// Encrypts what comes to this listener, until shutdown.
    pub fn new(tls: Tls, listener: TcpListener, shutdown: CancellationToken) -> io::Result<Self> {
        const QUEUE: usize = 16;
        let local_addr = listener.local_addr()?;
        let (sender, accepted) = mpsc::channel(QUEUE);
        let config = Arc::new(RwLock::new(Arc::clone(&tls.config)));
        tokio::spawn(renew(tls, Arc::clone(&config), shutdown.clone()));
        tokio::spawn(accept(listener, config, sender, shutdown));
        Ok(Self { local_addr, accepted })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // Only at shutdown, which the server waits for itself.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr)
    }
}

type Shared = Arc<RwLock<Arc<ServerConfig>>>;

async fn accept(
    mut listener: TcpListener,
    config: Shared,
    sender: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, address) = tokio::select! {
            () = shutdown.cancelled() => return,
            // axum's own way of accepting: it waits a little when there are no more file descriptors.
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&config.read()));
        let (sender, ends) = (sender.clone(), shutdown.clone());
        tokio::spawn(async move {
            let _place = place;
            let shaken = tokio::select! {
                () = ends.cancelled() => return,
                shaken = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)) => shaken,
            };
            match shaken {
                Ok(Ok(stream)) => drop(sender.send((stream, address)).await),
                Ok(Err(error)) => tracing::debug!(%error, %address, "no tls handshake"),
                Err(_) => tracing::debug!(%address, "no tls handshake in time"),
            }
        });
    }
}

/// Takes renewed files over; files that can't be used are told and change nothing.
async fn renew(tls: Tls, config: Shared, shutdown: CancellationToken) {
    let Tls { cert_file, key_file, mut seen, .. } = tls;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let found = [stamp(&cert_file), stamp(&key_file)];
        if found == seen {
            continue;
        }
        seen = found;
        let (cert, key) = (cert_file.clone(), key_file.clone());
        match tokio::task::spawn_blocking(move || load(&cert, &key)).await {
            Ok(Ok(renewed)) => {
                *config.write() = renewed;
                tracing::info!(file = %cert_file.display(), "a renewed certificate is in use");
            }
            Ok(Err(Unusable { problem, .. })) => {
                tracing::error!(problem, "a renewed certificate can't be used, the one before stays");
            }
            Err(error) => tracing::error!(%error, "a renewed certificate was not read"),
        }
    }
}

/// What tells that a file has changed.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
