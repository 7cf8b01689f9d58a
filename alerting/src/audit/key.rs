//! The keys of checkpoints (Ed25519): a private one in a file that only its owner reads, public ones for whoever verifies.
//!
//! A key's id is the beginning of its hash, so an id can't be given to another key by mistake. A new key is made where the file is
//! missing: moving the file away changes the key.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
        spki::der::pem::LineEnding,
    },
};
use sha2::{Digest as _, Sha256};

use super::canonical::{NotHex, from_hex};
use crate::files::keep;

/// Longest key file, bytes.
const MAX_PEM: u64 = 4096;

/// Names a key: the first eight bytes of the SHA-256 of the public key's 32.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        from_hex(text).map(Self)
    }
}

/// Why a key can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file.
    #[error("{0} can't be read or written; check the path and its permissions")]
    File(PathBuf, #[source] io::Error),
    /// Others may read the private key.
    #[error("{0} may be read by others; make it private (chmod 600), or move it away to get a new key")]
    Open(PathBuf),
    /// What stands in it.
    #[error("{0} holds no Ed25519 key in PEM; restore it, or move it away to get a new one")]
    NoKey(PathBuf),
    /// The system gives no randomness.
    #[error("no random numbers for a new key: {0}")]
    Random(String),
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads one from a PEM file.
    pub fn load(file: &Path) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_public_key_pem(&read(file)?);
        key.map(Self).map_err(|_| KeyError::NoKey(file.to_owned()))
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        let hash = Sha256::digest(self.0.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        KeyId(id)
    }

    /// As PEM (SubjectPublicKeyInfo), which openssl reads too.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// Whether it signed this message.
    pub fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// The public keys that a verifier trusts.
#[derive(Debug, Clone, Default)]
pub struct Keys(pub Vec<PublicKey>);

impl Keys {
    /// The key of this name.
    pub fn get(&self, id: KeyId) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.id() == id)
    }
}

/// The private key.
pub struct Signer(SigningKey);

impl Signer {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        use rand::{TryRngCore as _, rngs::OsRng};
        let mut secret = [0; 32];
        OsRng.try_fill_bytes(&mut secret).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// The key in the file; a new one, kept there, when there is no file.
    pub fn load_or_make(file: &Path) -> Result<Self, KeyError> {
        if file.exists() {
            return Self::load(file);
        }
        let signer = Self::generate()?;
        let pem = signer.0.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::NoKey(file.to_owned()))?;
        keep(file, pem.as_str(), 0o600).map_err(|error| KeyError::File(file.to_owned(), error))?;
        Ok(signer)
    }

    fn load(file: &Path) -> Result<Self, KeyError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let metadata = fs::metadata(file).map_err(|error| KeyError::File(file.to_owned(), error))?;
            if metadata.permissions().mode() & 0o077 != 0 {
                return Err(KeyError::Open(file.to_owned()));
            }
        }
        let key = SigningKey::from_pkcs8_pem(&read(file)?);
        key.map(Self).map_err(|_| KeyError::NoKey(file.to_owned()))
    }

    /// Its public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The key itself is never shown.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public_key().id())
    }
}

fn read(file: &Path) -> Result<String, KeyError> {
    let wrong = |error| KeyError::File(file.to_owned(), error);
    if fs::metadata(file).map_err(wrong)?.len() > MAX_PEM {
        return Err(KeyError::NoKey(file.to_owned()));
    }
    fs::read_to_string(file).map_err(wrong)
}
