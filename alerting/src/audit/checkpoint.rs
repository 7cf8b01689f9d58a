//! A signed head of the chain: whoever rewrites rows before it is found out by a public key.
//!
//! Checkpoints are a chain too, each names the one before: none can be taken out from between others.

use jiff::Timestamp;

use super::{
    canonical::{Canonical, Hash},
    key::{KeyId, PublicKey, Signer},
    row::Head,
    whole_micros,
};

const DOMAIN: &str = "xueliang/audit/checkpoint/v1";

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The row that it vouches for, and with it all before.
    pub head: Head,
    /// When it was signed.
    pub utc: Timestamp,
    /// By which key.
    pub key_id: KeyId,
    /// The fingerprint of the checkpoint before; zeros at the first.
    pub previous: Hash,
    /// The signature over all of the above.
    pub signature: [u8; 64],
}

impl Checkpoint {
    /// Signs a head as the next after `previous`.
    pub fn sign(signer: &Signer, head: Head, previous: Option<&Self>, now: Timestamp) -> Self {
        let previous = previous.map_or(Hash::ZERO, Self::fingerprint);
        let key_id = signer.public_key().id();
        let unsigned = Self { head, utc: whole_micros(now), key_id, previous, signature: [0; 64] };
        let signature = signer.sign(unsigned.message().as_bytes());
        Self { signature, ..unsigned }
    }

    /// Whether this key signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.key_id == key.id() && key.has_signed(self.message().as_bytes(), &self.signature)
    }

    /// What the next one names it by: the hash of what was signed.
    pub fn fingerprint(&self) -> Hash {
        self.message().hash()
    }

    pub(super) fn message(&self) -> Canonical {
        let message = Canonical::new(DOMAIN).number(self.head.seq).bytes(&self.head.hash.0).time(self.utc);
        message.bytes(&self.key_id.0).bytes(&self.previous.0)
    }
}
