//! The audit in the store: each row is written in the transaction of what it tells of, before anything is served (RULES P19).

use jiff::Timestamp;

use super::{
    StoreError, Stored, Tx,
    columns::{json, key, to_json},
    sql::{Row, Value, params},
};
use crate::{
    access::{Access, Denied, Permit, Person, Purpose},
    audit::{AuditRow, Decision, Entry, Hash, Head, Reason, append},
};

/// What somebody asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who.
    pub person: &'a Person,
    /// When.
    pub at: Timestamp,
    /// What for, when it was said.
    pub purpose: Option<Purpose>,
    /// In words.
    pub reason: Option<&'a str>,
    /// The action's key.
    pub action: &'a str,
    /// Of what: its kind and id.
    pub resource: &'a str,
}

/// Which rows are looked for; by number, newest first.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Only of this account or service.
    pub actor: Option<String>,
    /// Only of this action.
    pub action: Option<String>,
    /// Only of this thing.
    pub resource: Option<String>,
    /// Only rows before this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Writes down what was asked for and what was decided.
pub fn register(tx: &Tx<'_>, access: &Access, asked: Asked<'_>, decided: Result<&Permit, &Denied>) -> Stored<()> {
    let (decision, rule_ids, assignment) = match decided {
        Ok(permit) => {
            let assignment = permit.assignments().first().map(|by| format!("{}@{}", by.role.as_str(), by.region));
            (Decision::Permit, permit.rules().to_vec(), assignment)
        }
        Err(denied) => (Decision::Deny, denied.rules().to_vec(), None),
    };
    write(tx, access, asked, Outcome { decision, rule_ids, assignment })
}

/// Writes down what became of something that was asked for: what was permitted and then refused for another cause is a denial.
pub fn settle<T, E>(
    tx: &Tx<'_>,
    access: &Access,
    asked: Asked<'_>,
    (permit, done): (&Result<Permit, Denied>, &Result<T, E>),
) -> Stored<()> {
    match (permit, done) {
        (Ok(_), Err(_)) => note(tx, access, asked, Decision::Deny),
        (permit, _) => register(tx, access, asked, permit.as_ref()),
    }
}

/// Writes down something that no policy decides: signing in, a command that the workflow refused.
pub fn note(tx: &Tx<'_>, access: &Access, asked: Asked<'_>, decision: Decision) -> Stored<()> {
    write(tx, access, asked, Outcome { decision, rule_ids: Vec::new(), assignment: None })
}

struct Outcome {
    decision: Decision,
    rule_ids: Vec<String>,
    assignment: Option<String>,
}

fn write(tx: &Tx<'_>, access: &Access, asked: Asked<'_>, outcome: Outcome) -> Stored<()> {
    let corrupt = |value: String| StoreError::Corrupt { what: "an audit row of ours", value };
    let reason = asked.reason.map(Reason::new);
    let entry = Entry {
        utc: asked.at,
        actor: asked.person.account.clone(),
        unit: asked.person.department.clone(),
        assignment: outcome.assignment,
        purpose: asked.purpose.map(|purpose| purpose.as_str().to_owned()),
        reason: reason.as_ref().map(Reason::commitment),
        action: asked.action.to_owned(),
        resource: asked.resource.to_owned(),
        decision: outcome.decision,
        rule_ids: outcome.rule_ids,
        policy_hash: access.policy_hash().parse().map_err(|_| corrupt(access.policy_hash().to_owned()))?,
    };
    let row = append(head(tx)?, entry).map_err(|error| corrupt(error.to_string()))?;
    insert(tx, &row)?;
    if let Some(Reason { salt, text }) = reason {
        let params = params![row.seq, hex::encode(salt), text];
        tx.execute("INSERT INTO audit_reason (seq, salt, text) VALUES (?1, ?2, ?3)", params)?;
    }
    Ok(())
}

/// The last row's number and hash.
pub fn head(tx: &Tx<'_>) -> Stored<Head> {
    let row = tx.row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", &[])?;
    row.map_or(Ok(Head::GENESIS), |row| Ok(Head { seq: row.get("seq")?, hash: hash(&row, "hash")? }))
}

/// The hash of the row with this number.
pub fn hash_of(tx: &Tx<'_>, seq: u64) -> Stored<Option<Hash>> {
    let row = tx.row("SELECT hash FROM audit WHERE seq = ?1", params![seq])?;
    row.map(|row| hash(&row, "hash")).transpose()
}

/// Rows after this number, in their order.
pub fn after(tx: &Tx<'_>, seq: u64, limit: usize) -> Stored<Vec<AuditRow>> {
    let rows = tx.rows("SELECT * FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2", params![seq, limit])?;
    rows.iter().map(read).collect()
}

/// Reasons after this number, in their order.
pub fn reasons_after(tx: &Tx<'_>, seq: u64, limit: usize) -> Stored<Vec<(u64, Reason)>> {
    let sql = "SELECT seq, salt, text FROM audit_reason WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let rows = tx.rows(sql, params![seq, limit])?;
    rows.iter().map(|row| Ok((row.get("seq")?, reason(row)?))).collect()
}

/// Reasons of records of provision up to this number: what was handed out, published, or asked for by an organ of state.
pub fn provision_reasons(tx: &Tx<'_>, last: u64) -> Stored<Vec<(u64, Reason)>> {
    let rows = tx.rows(
        "SELECT audit_reason.seq, salt, text FROM audit_reason JOIN audit ON audit.seq = audit_reason.seq
         WHERE audit.seq <= ?1 AND (audit.action IN ('export', 'release') OR audit.purpose = 'statutory_request')
         ORDER BY audit_reason.seq",
        params![last],
    )?;
    rows.iter().map(|row| Ok((row.get("seq")?, reason(row)?))).collect()
}

/// Deletes the rows up to one that is in an archive, with their reasons; how many. A row that isn't the archived one stops it.
pub fn cut(tx: &Tx<'_>, last: Head) -> Stored<u64> {
    if hash_of(tx, last.seq)? != Some(last.hash) {
        return Ok(0);
    }
    tx.execute("DELETE FROM audit_reason WHERE seq <= ?1", params![last.seq])?;
    tx.execute("DELETE FROM audit WHERE seq <= ?1", params![last.seq])
}

/// The newest rows that are looked for, each with its reason while that is kept.
pub fn search(tx: &Tx<'_>, search: &Search) -> Stored<Vec<(AuditRow, Option<String>)>> {
    let mut conditions = vec!["1 = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let texts = [("actor", &search.actor), ("action", &search.action), ("resource", &search.resource)];
    for (column, text) in texts {
        if let Some(text) = text {
            values.push(text.into());
            conditions.push(format!("{column} = ?{}", values.len()));
        }
    }
    if let Some(before) = search.before {
        values.push(before.into());
        conditions.push(format!("audit.seq < ?{}", values.len()));
    }
    let sql = format!(
        "SELECT audit.*, audit_reason.text AS reason_text FROM audit LEFT JOIN audit_reason
         ON audit_reason.seq = audit.seq WHERE {} ORDER BY audit.seq DESC LIMIT {}",
        conditions.join(" AND "),
        search.limit
    );
    let rows = tx.rows(&sql, &values)?;
    rows.iter().map(|row| Ok((read(row)?, row.get("reason_text")?))).collect()
}

fn insert(tx: &Tx<'_>, row: &AuditRow) -> Stored<()> {
    let Entry { utc, actor, unit, assignment, purpose, reason, action, resource, decision, rule_ids, policy_hash } =
        &row.entry;
    tx.execute(
        "INSERT INTO audit (seq, utc, actor, unit, assignment, purpose, reason, action, resource, decision, rule_ids,
         policy_hash, prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            row.seq,
            *utc,
            actor,
            unit,
            assignment,
            purpose,
            reason.map(|reason| reason.to_string()),
            action,
            resource,
            match decision {
                Decision::Permit => "permit",
                Decision::Deny => "deny",
            },
            to_json("rule ids", rule_ids)?,
            policy_hash.to_string(),
            row.prev_hash.to_string(),
            row.hash.to_string(),
        ],
    )?;
    Ok(())
}

/// As it stands, whatever it is: whether it holds is the verifier's question.
fn read(row: &Row) -> Stored<AuditRow> {
    let decision = key(row, "decision", |text| match text {
        "permit" => Some(Decision::Permit),
        "deny" => Some(Decision::Deny),
        _ => None,
    })?;
    let reason: Option<String> = row.get("reason")?;
    let entry = Entry {
        utc: row.get("utc")?,
        actor: row.get("actor")?,
        unit: row.get("unit")?,
        assignment: row.get("assignment")?,
        purpose: row.get("purpose")?,
        reason: reason.map(|_| hash(row, "reason")).transpose()?,
        action: row.get("action")?,
        resource: row.get("resource")?,
        decision,
        rule_ids: json("rule ids", &row.get::<String>("rule_ids")?)?,
        policy_hash: hash(row, "policy_hash")?,
    };
    Ok(AuditRow { seq: row.get("seq")?, entry, prev_hash: hash(row, "prev_hash")?, hash: hash(row, "hash")? })
}

fn hash(row: &Row, column: &'static str) -> Stored<Hash> {
    key(row, column, |text| text.parse().ok())
}

fn reason(row: &Row) -> Stored<Reason> {
    let salt = key(row, "salt", |text| hex::decode(text).ok()?.try_into().ok())?;
    Ok(Reason { salt, text: row.get("text")? })
}
