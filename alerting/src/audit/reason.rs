//! Personal text beside the chain: the row holds a commitment to it and nothing else.
//!
//! Without the salt nobody can guess the text from its commitment; with it nobody can give another text. Text and salt are deleted
//! together, and the chain goes on to hold.

use super::canonical::{Canonical, Hash};

const DOMAIN: &str = "xueliang/audit/reason/v1";

/// A text and the salt of its commitment.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason {
    /// Drawn for this text alone.
    pub salt: [u8; 32],
    /// What somebody wrote, or other personal text of the row.
    pub text: String,
}

impl Reason {
    /// A text with a fresh salt.
    pub fn new(text: impl Into<String>) -> Self {
        Self { salt: rand::random(), text: text.into() }
    }

    /// What the row holds.
    pub fn commitment(&self) -> Hash {
        Canonical::new(DOMAIN).bytes(&self.salt).bytes(self.text.as_bytes()).hash()
    }

    /// Whether this is the text that a row was committed to.
    pub fn fits(&self, commitment: Hash) -> bool {
        self.commitment() == commitment
    }
}

/// The text stays out of logs.
impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reason")
    }
}
