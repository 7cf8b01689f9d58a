//! The tokens that may push readings: only their hashes are kept, and every comparison takes the same time.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Fewest characters of a token: what is shorter can be guessed.
const MIN_CHARACTERS: usize = 20;

/// Hashes of the tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens(Vec<[u8; 32]>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

/// Why tokens can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file can't be read.
    #[error("{}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no token.
    #[error("line {line} is neither a token of {MIN_CHARACTERS} or more characters nor sha256: and 64 hex digits")]
    Weak {
        /// The line, from 1.
        line: usize,
    },
    /// No line holds a token.
    #[error("it holds no token")]
    Empty,
}

impl Tokens {
    /// Reads a file: one token or `sha256:<hex>` a line; empty lines and lines that begin with # say nothing.
    pub fn load(path: &Path) -> Result<Self, TokensError> {
        let text = std::fs::read_to_string(path);
        Self::parse(&text.map_err(|source| TokensError::Unreadable { path: path.to_owned(), source })?)
    }

    fn parse(text: &str) -> Result<Self, TokensError> {
        let mut hashes = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let hash = match line.strip_prefix("sha256:") {
                Some(digits) => from_hex(digits),
                None => (line.chars().count() >= MIN_CHARACTERS).then(|| Sha256::digest(line).into()),
            };
            hashes.push(hash.ok_or(TokensError::Weak { line: index + 1 })?);
        }
        if hashes.is_empty() { Err(TokensError::Empty) } else { Ok(Self(hashes)) }
    }

    /// True when the token is one of these.
    pub fn admit(&self, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.0.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&hash)).into()
    }
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_plain_or_as_their_hash() {
        let token = "correct-horse-battery-staple";
        let hash: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
        for text in
            [format!("# gateway\n{token}\n"), format!("sha256:{hash}"), format!("another-long-enough-one\n{token}")]
        {
            let tokens = Tokens::parse(&text).unwrap();
            assert!(tokens.admit(token));
            for wrong in ["", "correct-horse-battery-stapl", &hash, &format!("sha256:{hash}")] {
                assert!(!tokens.admit(wrong), "{wrong:?}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        assert!(matches!(Tokens::parse("short"), Err(TokensError::Weak { line: 1 })));
        assert!(matches!(Tokens::parse("\nsha256:beef"), Err(TokensError::Weak { line: 2 })));
        assert!(matches!(Tokens::parse("# nothing\n"), Err(TokensError::Empty)));
        assert_eq!(format!("{:?}", Tokens::parse("correct-horse-battery-staple").unwrap()), "Tokens(1)");
    }
}
