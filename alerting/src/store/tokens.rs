//! What machines sign in with: by digest, with one purpose, a region and an end.

use jiff::Timestamp;

use super::{
    Stored, Tx,
    columns::key,
    sql::{Row, params},
};
use crate::accounts::tokens::TokenPurpose;

/// A token as it is kept: by its digest, never itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineToken {
    /// Its name, given once.
    pub name: String,
    /// What it is for.
    pub purpose: TokenPurpose,
    /// Where.
    pub region: String,
    /// The id of the impact assessment that permits it; empty for one that was made before it was asked for.
    pub assessment: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last.
    pub used_at: Option<Timestamp>,
}

impl MachineToken {
    /// True while it is good.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Adds a token; false when the name was given before.
pub fn add(tx: &Tx<'_>, token: &MachineToken, token_sha256: &str) -> Stored<bool> {
    let MachineToken { name, purpose, region, assessment, made_at, expires_at, .. } = token;
    let n_added = tx.execute(
        "INSERT INTO machine_token (name, purpose, region, token_sha256, made_at, expires_at, assessment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (name) DO NOTHING",
        params![name, purpose.as_str(), region, token_sha256, *made_at, *expires_at, assessment],
    )?;
    Ok(n_added > 0)
}

/// The token of this digest, while it is good.
pub fn live(tx: &Tx<'_>, token_sha256: &str, now: Timestamp) -> Stored<Option<MachineToken>> {
    let row = tx.row("SELECT * FROM machine_token WHERE token_sha256 = ?1", params![token_sha256])?;
    let token = row.map(|row| read(&row)).transpose()?;
    Ok(token.filter(|token| token.is_live(now)))
}

/// All tokens by name, also those that have ended.
pub fn all(tx: &Tx<'_>) -> Stored<Vec<MachineToken>> {
    tx.rows("SELECT * FROM machine_token ORDER BY name", &[])?.iter().map(read).collect()
}

/// Revokes a token; false when there is none of this name that was not revoked.
pub fn revoke(tx: &Tx<'_>, name: &str, now: Timestamp) -> Stored<bool> {
    let sql = "UPDATE machine_token SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, params![name, now])? > 0)
}

/// A token was used.
pub fn used(tx: &Tx<'_>, name: &str, now: Timestamp) -> Stored<()> {
    tx.execute("UPDATE machine_token SET used_at = ?2 WHERE name = ?1", params![name, now])?;
    Ok(())
}

fn read(row: &Row) -> Stored<MachineToken> {
    Ok(MachineToken {
        name: row.get("name")?,
        purpose: key(row, "purpose", TokenPurpose::parse)?,
        region: row.get("region")?,
        assessment: row.get("assessment")?,
        made_at: row.get("made_at")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        used_at: row.get("used_at")?,
    })
}
