//! Accounts with their assignments, and their sessions.

use jiff::Timestamp;

use super::{Stored, Tx, columns::key, sql::params};
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
pub fn is_empty(tx: &Tx<'_>) -> Stored<bool> {
    tx.value("SELECT NOT EXISTS (SELECT 1 FROM account)", &[])
}

/// Adds an account with its password's hash.
pub fn add(tx: &Tx<'_>, person: &Person, password: &str) -> Stored<()> {
    tx.execute(
        "INSERT INTO account (id, display_name, password, department, training_valid_until) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![&person.account, &person.display_name, password, &person.department, person.training_valid_until],
    )?;
    for assignment in &person.assignments {
        tx.execute(
            "INSERT INTO assignment (account, role, region, valid_until) VALUES (?1, ?2, ?3, ?4)",
            params![&person.account, assignment.role.as_str(), &assignment.region, assignment.valid_until],
        )?;
    }
    Ok(())
}

/// The hash of an account's password.
pub fn password(tx: &Tx<'_>, account: &str) -> Stored<Option<String>> {
    let row = tx.row("SELECT password FROM account WHERE id = ?1", params![account])?;
    row.map(|row| row.first()).transpose()
}

/// An account with its assignments.
pub fn load(tx: &Tx<'_>, account: &str) -> Stored<Option<Person>> {
    let sql = "SELECT display_name, department, training_valid_until FROM account WHERE id = ?1";
    let Some(found) = tx.row(sql, params![account])? else { return Ok(None) };
    let rows = tx.rows("SELECT role, region, valid_until FROM assignment WHERE account = ?1", params![account])?;
    let assignments = rows.iter().map(|row| {
        let role = key(row, "role", Role::parse)?;
        Ok(Assignment { role, region: row.get("region")?, valid_until: row.get("valid_until")? })
    });
    Ok(Some(Person {
        account: account.to_owned(),
        display_name: found.get("display_name")?,
        department: found.get("department")?,
        assignments: assignments.collect::<Stored<_>>()?,
        training_valid_until: found.get("training_valid_until")?,
    }))
}

/// Begins a session.
pub fn begin(tx: &Tx<'_>, session: &Session) -> Stored<()> {
    let Session { token_sha256, account, csrf_token, expires_at } = session;
    tx.execute(
        "INSERT INTO session (token_sha256, account, csrf_token, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![token_sha256, account, csrf_token, *expires_at],
    )?;
    Ok(())
}

/// The session of a token with its person, while it lasts.
pub fn session(tx: &Tx<'_>, token_sha256: &str, now: Timestamp) -> Stored<Option<(Session, Person)>> {
    let found = tx.row(
        "SELECT account, csrf_token, expires_at FROM session WHERE token_sha256 = ?1 AND expires_at > ?2",
        params![token_sha256, now],
    )?;
    let Some(found) = found else { return Ok(None) };
    let (account, csrf_token, expires_at): (String, _, _) =
        (found.get("account")?, found.get("csrf_token")?, found.get("expires_at")?);
    let Some(person) = load(tx, &account)? else { return Ok(None) };
    Ok(Some((Session { token_sha256: token_sha256.to_owned(), account, csrf_token, expires_at }, person)))
}

/// Ends a session.
pub fn end(tx: &Tx<'_>, token_sha256: &str) -> Stored<()> {
    tx.execute("DELETE FROM session WHERE token_sha256 = ?1", params![token_sha256])?;
    Ok(())
}
