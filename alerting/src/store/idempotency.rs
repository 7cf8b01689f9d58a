//! What was asked for under which key, so that a repetition of a request changes nothing and is answered alike.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Stored, Tx, columns::to_json, sql::params};

/// How a key was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// Never.
    Never,
    /// For the same request.
    ForThis,
    /// For another one.
    ForAnother,
}

/// A request under a key of its account.
#[derive(Debug, Clone)]
pub struct Keyed {
    account: String,
    key: String,
    request: String,
}

impl Keyed {
    /// A request by all that it says.
    pub fn new(account: &str, key: &str, request: &impl Serialize) -> Stored<Self> {
        let request = hex::encode(Sha256::digest(to_json("a request", request)?));
        Ok(Self { account: account.to_owned(), key: key.to_owned(), request })
    }

    /// How the key was used before.
    pub fn used(&self, tx: &Tx<'_>) -> Stored<Used> {
        let sql = "SELECT request FROM idempotency WHERE account = ?1 AND key = ?2";
        let Some(known) = tx.row(sql, params![&self.account, &self.key])? else { return Ok(Used::Never) };
        Ok(if known.first::<String>()? == self.request { Used::ForThis } else { Used::ForAnother })
    }

    /// Remembers the request.
    pub fn remember(&self, tx: &Tx<'_>, now: Timestamp) -> Stored<()> {
        tx.execute(
            "INSERT INTO idempotency (account, key, request, at) VALUES (?1, ?2, ?3, ?4)",
            params![&self.account, &self.key, &self.request, now],
        )?;
        Ok(())
    }
}
