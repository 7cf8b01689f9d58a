//! Idempotency keys: a client's repetition of the same request is recognised, another request under its key is refused.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{Stored, Tx, columns::to_json, sql::params};

/// `Some(true)` for the same request again, `Some(false)` for another one under its key.
pub fn known(tx: &Tx<'_>, (account, key): (&str, &str), request: &str) -> Stored<Option<bool>> {
    let known = tx.row("SELECT request FROM idempotency WHERE account = ?1 AND key = ?2", params![account, key])?;
    known.map(|known| Ok(known.first::<String>()? == request)).transpose()
}

/// Remembers a request that was carried out.
pub fn remember(tx: &Tx<'_>, (account, key): (&str, &str), request: &str, at: Timestamp) -> Stored<()> {
    tx.execute(
        "INSERT INTO idempotency (account, key, request, at) VALUES (?1, ?2, ?3, ?4)",
        params![account, key, request, at],
    )?;
    Ok(())
}

/// What stands for a request: equal for equal ones.
pub fn fingerprint(request: &impl serde::Serialize) -> Stored<String> {
    Ok(hex::encode(Sha256::digest(to_json("a request", request)?)))
}
