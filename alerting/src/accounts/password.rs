//! Passwords and other secrets: made at random, hashed with argon2id, compared.
//!
//! Invariant: hashing never runs on an async thread. Not here: how many are hashed at once, which the caller bounds.

use argon2::{
    Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{SaltString, rand_core::OsRng},
};
use rand::{Rng as _, distr::Alphanumeric};
use sha2::{Digest as _, Sha256};

use super::AccountError;

/// A password's hash, with its salt and parameters.
pub(super) async fn hash(password: String) -> Result<String, AccountError> {
    let hashed = tokio::task::spawn_blocking(move || {
        let salt = SaltString::generate(&mut OsRng);
        Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    let hashed = hashed.await.map_err(|error| AccountError::Hash(error.to_string()))?;
    hashed.map_err(|error| AccountError::Hash(error.to_string()))
}

/// True when this is the password of the hash.
pub(super) async fn verify(password: String, expected: String) -> Result<bool, AccountError> {
    let verified = tokio::task::spawn_blocking(move || {
        PasswordHash::new(&expected)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    });
    verified.await.map_err(|error| AccountError::Hash(error.to_string()))
}

/// Letters and digits that nobody guesses: six bits, less a little, for each.
pub(super) fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

/// What is kept of a token.
pub(super) fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

/// Compares secrets without telling by the time where they differ.
pub fn same_secret(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}
