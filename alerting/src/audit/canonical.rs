//! The bytes that are hashed and signed, and the hash.
//!
//! Invariant: two different contents never have the same bytes. Each begins with its domain, which no other use has; numbers have
//! eight bytes, texts their length before them, and what may be left out a mark before it.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Stands where nothing came before.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        from_hex(text).map(Self)
    }
}

/// A text that should stand for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not {0} hexadecimal digits")]
pub struct NotHex(usize);

/// Exactly so many bytes.
pub(super) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| NotHex(2 * N))?;
    Ok(bytes)
}

/// Canonical bytes while they are put together.
pub(super) struct Canonical(Vec<u8>);

impl Canonical {
    /// Begins with the domain and a zero byte.
    pub fn new(domain: &str) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(domain.as_bytes());
        bytes.push(0);
        Self(bytes)
    }

    /// Bytes whose number the domain fixes, or that stand last.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Eight bytes, the most significant first.
    pub fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Microseconds since 1970 as a signed number.
    pub fn time(self, at: jiff::Timestamp) -> Self {
        self.bytes(&at.as_microsecond().to_be_bytes())
    }

    /// The length of its UTF-8, then the UTF-8.
    pub fn text(self, text: &str) -> Self {
        self.number(text.len() as u64).bytes(text.as_bytes())
    }

    /// One byte: 0 alone, or 1 before the rest.
    pub fn optional<T>(self, value: Option<T>, put: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            None => self.bytes(&[0]),
            Some(value) => put(self.bytes(&[1]), value),
        }
    }

    /// Its SHA-256.
    pub fn hash(&self) -> Hash {
        Hash(Sha256::digest(&self.0).into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
