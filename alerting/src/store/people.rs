//! Accounts with their assignments and records, and their sessions.

use std::time::Duration;

use jiff::{Timestamp, civil::Date};

use super::{
    Stored, Tx,
    columns::key,
    sql::{Row, params},
};
use crate::{
    access::{Assignment, Person},
    workflow::Role,
};

/// How long a session lasts that nobody uses.
pub const IDLE_FOR: Duration = Duration::from_secs(3600);

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
    /// When it was used last.
    pub used_at: Timestamp,
}

/// A training and confidentiality record (RULES P20).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Training {
    /// Until when it holds.
    pub valid_until: Timestamp,
    /// The day on which confidentiality was signed.
    pub signed_on: Date,
}

/// An account as it is administered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose it is.
    pub person: Person,
    /// The day on which confidentiality was signed.
    pub signed_on: Option<Date>,
    /// Since when it is disabled.
    pub disabled_at: Option<Timestamp>,
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
    person.assignments.iter().try_for_each(|assignment| assign(tx, &person.account, assignment))
}

/// The hash of an account's password.
pub fn password(tx: &Tx<'_>, account: &str) -> Stored<Option<String>> {
    let row = tx.row("SELECT password FROM account WHERE id = ?1", params![account])?;
    row.map(|row| row.first()).transpose()
}

/// An account with its assignments.
pub fn load(tx: &Tx<'_>, account: &str) -> Stored<Option<Person>> {
    Ok(administered(tx, account)?.map(|found| found.person))
}

/// The same, unless the account is disabled.
pub fn enabled(tx: &Tx<'_>, account: &str) -> Stored<Option<Person>> {
    Ok(administered(tx, account)?.filter(|found| found.disabled_at.is_none()).map(|found| found.person))
}

/// An account as it is administered.
pub fn administered(tx: &Tx<'_>, account: &str) -> Stored<Option<Account>> {
    let row = tx.row(&format!("SELECT {COLUMNS} FROM account WHERE id = ?1"), params![account])?;
    row.map(|row| read(tx, &row)).transpose()
}

/// All accounts by name.
pub fn all(tx: &Tx<'_>) -> Stored<Vec<Account>> {
    let rows = tx.rows(&format!("SELECT {COLUMNS} FROM account ORDER BY id"), &[])?;
    rows.iter().map(|row| read(tx, row)).collect()
}

/// Gives a role, or the same role another end.
pub fn assign(tx: &Tx<'_>, account: &str, assignment: &Assignment) -> Stored<()> {
    let Assignment { role, region, valid_until } = assignment;
    tx.execute(
        "INSERT INTO assignment (account, role, region, valid_until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (account, role, region) DO UPDATE SET valid_until = ?4",
        params![account, role.as_str(), region, *valid_until],
    )?;
    Ok(())
}

/// Takes a role away; false when the account did not have it.
pub fn unassign(tx: &Tx<'_>, account: &str, (role, region): (Role, &str)) -> Stored<bool> {
    let sql = "DELETE FROM assignment WHERE account = ?1 AND role = ?2 AND region = ?3";
    Ok(tx.execute(sql, params![account, role.as_str(), region])? > 0)
}

/// Writes a training record down.
pub fn train(tx: &Tx<'_>, account: &str, training: Training) -> Stored<()> {
    let Training { valid_until, signed_on } = training;
    tx.execute(
        "UPDATE account SET training_valid_until = ?2, confidentiality_signed_on = ?3 WHERE id = ?1",
        params![account, valid_until, signed_on.to_string()],
    )?;
    Ok(())
}

/// Sets the hash of an account's password.
pub fn set_password(tx: &Tx<'_>, account: &str, password: &str) -> Stored<()> {
    tx.execute("UPDATE account SET password = ?2 WHERE id = ?1", params![account, password])?;
    Ok(())
}

/// Disables an account, or enables it again.
pub fn disable(tx: &Tx<'_>, account: &str, disabled_at: Option<Timestamp>) -> Stored<()> {
    tx.execute("UPDATE account SET disabled_at = ?2 WHERE id = ?1", params![account, disabled_at])?;
    Ok(())
}

/// The account that is known by this subject of a provider.
pub fn by_subject(tx: &Tx<'_>, issuer: &str, subject: &str) -> Stored<Option<String>> {
    let sql = "SELECT account FROM account_link WHERE issuer = ?1 AND sub = ?2";
    tx.row(sql, params![issuer, subject])?.map(|row| row.first()).transpose()
}

/// Links an account to a subject; false when that is an account's already.
pub fn link(tx: &Tx<'_>, account: &str, (issuer, subject): (&str, &str)) -> Stored<bool> {
    let sql = "INSERT INTO account_link (issuer, sub, account) VALUES (?1, ?2, ?3)
               ON CONFLICT (issuer, sub) DO NOTHING";
    Ok(tx.execute(sql, params![issuer, subject, account])? > 0)
}

/// Takes all links of an account away; false when it has none.
pub fn unlink(tx: &Tx<'_>, account: &str) -> Stored<bool> {
    Ok(tx.execute("DELETE FROM account_link WHERE account = ?1", params![account])? > 0)
}

/// Begins a session.
pub fn begin(tx: &Tx<'_>, session: &Session) -> Stored<()> {
    let Session { token_sha256, account, csrf_token, expires_at, used_at } = session;
    tx.execute(
        "INSERT INTO session (token_sha256, account, csrf_token, expires_at, used_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![token_sha256, account, csrf_token, *expires_at, *used_at],
    )?;
    Ok(())
}

/// The session of a token with its person, while it lasts.
pub fn session(tx: &Tx<'_>, token_sha256: &str, now: Timestamp) -> Stored<Option<(Session, Person)>> {
    let found = tx.row(
        "SELECT account, csrf_token, expires_at, used_at FROM session
         WHERE token_sha256 = ?1 AND expires_at > ?2 AND used_at > ?3",
        params![token_sha256, now, idle_since(now)],
    )?;
    let Some(found) = found else { return Ok(None) };
    let account: String = found.get("account")?;
    let Some(person) = enabled(tx, &account)? else { return Ok(None) };
    let (csrf_token, expires_at, used_at) = (found.get("csrf_token")?, found.get("expires_at")?, found.get("used_at")?);
    Ok(Some((Session { token_sha256: token_sha256.to_owned(), account, csrf_token, expires_at, used_at }, person)))
}

/// A session was used.
pub fn used(tx: &Tx<'_>, token_sha256: &str, now: Timestamp) -> Stored<()> {
    let sql = "UPDATE session SET used_at = ?2 WHERE token_sha256 = ?1 AND used_at < ?2";
    tx.execute(sql, params![token_sha256, now])?;
    Ok(())
}

/// Ends a session.
pub fn end(tx: &Tx<'_>, token_sha256: &str) -> Stored<()> {
    tx.execute("DELETE FROM session WHERE token_sha256 = ?1", params![token_sha256])?;
    Ok(())
}

/// Ends all sessions of an account.
pub fn end_all(tx: &Tx<'_>, account: &str) -> Stored<()> {
    tx.execute("DELETE FROM session WHERE account = ?1", params![account])?;
    Ok(())
}

/// Deletes sessions that have ended; how many.
pub fn sweep(tx: &Tx<'_>, now: Timestamp) -> Stored<u64> {
    tx.execute("DELETE FROM session WHERE expires_at < ?1 OR used_at < ?2", params![now, idle_since(now)])
}

const COLUMNS: &str = "id, display_name, department, training_valid_until, confidentiality_signed_on, disabled_at";

fn read(tx: &Tx<'_>, row: &Row) -> Stored<Account> {
    let account: String = row.get("id")?;
    let sql = "SELECT role, region, valid_until FROM assignment WHERE account = ?1 ORDER BY role, region";
    let rows = tx.rows(sql, params![&account])?;
    let assignments = rows.iter().map(|row| {
        let role = key(row, "role", Role::parse)?;
        Ok(Assignment { role, region: row.get("region")?, valid_until: row.get("valid_until")? })
    });
    let person = Person {
        account,
        display_name: row.get("display_name")?,
        department: row.get("department")?,
        assignments: assignments.collect::<Stored<_>>()?,
        training_valid_until: row.get("training_valid_until")?,
    };
    let signed_on: Option<String> = row.get("confidentiality_signed_on")?;
    let signed_on = signed_on.map(|_| key(row, "confidentiality_signed_on", |text| text.parse().ok())).transpose()?;
    Ok(Account { person, signed_on, disabled_at: row.get("disabled_at")? })
}

fn idle_since(now: Timestamp) -> Timestamp {
    now.checked_sub(IDLE_FOR).unwrap_or(Timestamp::MIN)
}
