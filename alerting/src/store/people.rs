//! Accounts with their assignments, and their sessions.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};

use super::{
    Stored,
    columns::{key, micros, timestamp},
};
use crate::{
    access::{Assignment, Person},
    workflow::Role,
};

/// A session as it is kept: by its token's digest, never the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the token.
    pub token_sha256: String,
    /// The account.
    pub account: String,
    /// What every changing request must repeat.
    pub csrf_token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// True when there is no account yet.
pub fn is_empty(transaction: &Transaction<'_>) -> Stored<bool> {
    Ok(transaction.query_row("SELECT NOT EXISTS (SELECT 1 FROM account)", [], |row| row.get(0))?)
}

/// Adds an account with its password's hash.
pub fn add(transaction: &Transaction<'_>, person: &Person, password: &str) -> Stored<()> {
    transaction.execute(
        "INSERT INTO account (id, display_name, password, department) VALUES (?1, ?2, ?3, ?4)",
        (&person.account, &person.display_name, password, &person.department),
    )?;
    for assignment in &person.assignments {
        transaction.execute(
            "INSERT INTO assignment (account, role, region, valid_until) VALUES (?1, ?2, ?3, ?4)",
            (&person.account, assignment.role.as_str(), &assignment.region, assignment.valid_until.map(micros)),
        )?;
    }
    Ok(())
}

/// The hash of an account's password.
pub fn password(transaction: &Transaction<'_>, account: &str) -> Stored<Option<String>> {
    let mut statement = transaction.prepare_cached("SELECT password FROM account WHERE id = ?1")?;
    Ok(statement.query_row([account], |row| row.get(0)).optional()?)
}

/// An account with its assignments.
pub fn load(transaction: &Transaction<'_>, account: &str) -> Stored<Option<Person>> {
    let mut statement = transaction.prepare_cached("SELECT display_name, department FROM account WHERE id = ?1")?;
    let found: Option<(String, Option<String>)> =
        statement.query_row([account], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((display_name, department)) = found else { return Ok(None) };
    let mut statement =
        transaction.prepare_cached("SELECT role, region, valid_until FROM assignment WHERE account = ?1")?;
    let mut rows = statement.query([account])?;
    let mut assignments = Vec::new();
    while let Some(row) = rows.next()? {
        assignments.push(Assignment {
            role: key(row, "role", Role::parse)?,
            region: row.get("region")?,
            valid_until: row.get::<_, Option<i64>>("valid_until")?.map(timestamp).transpose()?,
        });
    }
    Ok(Some(Person { account: account.to_owned(), display_name, department, assignments }))
}

/// Begins a session.
pub fn begin(transaction: &Transaction<'_>, session: &Session) -> Stored<()> {
    let Session { token_sha256, account, csrf_token, expires_at } = session;
    transaction.execute(
        "INSERT INTO session (token_sha256, account, csrf_token, expires_at) VALUES (?1, ?2, ?3, ?4)",
        (token_sha256, account, csrf_token, micros(*expires_at)),
    )?;
    Ok(())
}

/// The session of a token with its person, while it lasts.
pub fn session(transaction: &Transaction<'_>, token_sha256: &str, now: Timestamp) -> Stored<Option<(Session, Person)>> {
    let mut statement =
        transaction.prepare_cached("SELECT account, csrf_token, expires_at FROM session WHERE token_sha256 = ?1")?;
    let found: Option<(String, String, i64)> =
        statement.query_row([token_sha256], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    let Some((account, csrf_token, expires_at)) = found else { return Ok(None) };
    let expires_at = timestamp(expires_at)?;
    if expires_at <= now {
        return Ok(None);
    }
    let Some(person) = load(transaction, &account)? else { return Ok(None) };
    Ok(Some((Session { token_sha256: token_sha256.to_owned(), account, csrf_token, expires_at }, person)))
}

/// Ends a session.
pub fn end(transaction: &Transaction<'_>, token_sha256: &str) -> Stored<()> {
    transaction.execute("DELETE FROM session WHERE token_sha256 = ?1", [token_sha256])?;
    Ok(())
}
