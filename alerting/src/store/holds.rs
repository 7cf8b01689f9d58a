//! Holds (RULES P17): pictures that a case needs are kept beyond their end, for 30 days at most, by a grant that two people gave.
//!
//! A hold bears its grant's id, so that a grant makes one; a new grant renews it. It ends by itself, and the next sweep deletes.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Stored, Tx,
    columns::key,
    grants::{self, Grant, Registered, Rejection, id, through_door},
    incidents::{self, Incident},
    sql::{Row, params},
};
use crate::{
    access::{Asker, Context, Resource},
    grant::{MAX_DAYS, Sealed},
};

/// For how long a list goes back.
const LISTED_FOR: Duration = Duration::from_secs(90 * 86_400);
/// Most of them in a list.
const LISTED: usize = 500;

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The grant that it rests on.
    pub grant: Uuid,
    /// The incident whose pictures and events are held.
    pub incident: IncidentId,
    /// The case that they are held for.
    pub case: String,
    /// Who placed it.
    pub placed_by: String,
    /// When.
    pub placed_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// Places a hold by a grant; the same again changes nothing.
pub fn place(tx: &Tx<'_>, asker: Asker<'_>, grant: Uuid, context: Context<'_>) -> Stored<Result<Hold, Rejection>> {
    let Some(grant) = grants::load(tx, grant)? else { return Ok(Err(Rejection::Unknown)) };
    let Some(incident) = incidents::load(tx, grant.incident)? else { return Ok(Err(Rejection::Unknown)) };
    let account = &asker.person.account;
    if let Some(placed) = load(tx, grant.id, account)? {
        return Ok(Ok(placed));
    }
    let (object, right) = (grant.incident.to_string(), grant.right());
    let context = Context { has_reason: true, range: Some(grant.request.range), grant: right.as_ref(), ..context }
        .for_purpose(grant.request.purpose);
    let resource = Resource { id: &object, ..incident.resource() };
    let permit = asker.access.authorize(asker.person, Sealed::Hold.action(), resource, context);
    let named = format!("incident/{object}/hold/{}", grant.id);
    let registered =
        Registered { action: Sealed::Hold.action(), resource: &named, reason: Some(&grant.request.reason) };
    through_door(tx, (asker, context), (registered, permit), |_| placed(tx, account, &grant, context.now))
}

fn placed(tx: &Tx<'_>, account: &str, grant: &Grant, now: Timestamp) -> Stored<Result<Hold, Rejection>> {
    let sql = "SELECT emptied_at FROM incident WHERE id = ?1";
    if tx.value::<Option<Timestamp>>(sql, params![grant.incident.to_string()])?.is_some() {
        return Ok(Err(Rejection::NotNow("its pictures were deleted at their end: there is nothing to hold")));
    }
    let days = grant.request.terms.days.unwrap_or_default().min(MAX_DAYS);
    let ends_at = now.checked_add(Duration::from_secs(u64::from(days) * 86_400)).unwrap_or(Timestamp::MAX);
    tx.execute(
        "INSERT INTO hold (id, incident, case_name, placed_by, placed_at, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            grant.id.to_string(),
            grant.incident.to_string(),
            grant.request.terms.case.as_deref().unwrap_or_default(),
            account,
            now,
            ends_at,
        ],
    )?;
    Ok(load(tx, grant.id, account)?.ok_or(Rejection::Unknown))
}

/// The hold of a grant, by whom it was given to.
fn load(tx: &Tx<'_>, grant: Uuid, account: &str) -> Stored<Option<Hold>> {
    let row = tx.row("SELECT * FROM hold WHERE id = ?1 AND placed_by = ?2", params![grant.to_string(), account])?;
    row.as_ref().map(read).transpose()
}

/// The newest holds of the last 90 days with their incidents; who may see which is the caller's to ask.
pub fn newest(tx: &Tx<'_>, now: Timestamp) -> Stored<Vec<(Hold, Incident)>> {
    let since = now.checked_sub(LISTED_FOR).unwrap_or(Timestamp::MIN);
    let sql = "SELECT * FROM hold WHERE placed_at >= ?1 ORDER BY placed_at DESC, id LIMIT ?2";
    let mut holds = Vec::new();
    for row in tx.rows(sql, params![since, LISTED])? {
        let hold = read(&row)?;
        if let Some(incident) = incidents::load(tx, hold.incident)? {
            holds.push((hold, incident));
        }
    }
    Ok(holds)
}

fn read(row: &Row) -> Stored<Hold> {
    Ok(Hold {
        grant: id(row, "id")?,
        incident: key(row, "incident", |text| text.parse().ok())?,
        case: row.get("case_name")?,
        placed_by: row.get("placed_by")?,
        placed_at: row.get("placed_at")?,
        ends_at: row.get("ends_at")?,
    })
}

#[cfg(test)]
mod tests;
