//! Uses a grant: the policies are asked with it, the use is registered, and what lies in its range is told (RULES P19, P21–P23).
//!
//! Only stills that the incident may show are told, and these are redacted; what people attached is never among them. The sealed
//! original of one still is asked for by itself, with a grant to see originals and no other; each is a row of the register.

use jiff::Timestamp;
use uuid::Uuid;
use xueliang_events::{IncidentId, values::Digest};

use super::{
    Stored, Tx,
    columns::key,
    grants::{self, Grant, Registered, Rejection, through_door},
    incidents::{self, Incident},
    sql::{Row, params},
};
use crate::{
    access::{Asker, Context, Purpose, Resource},
    grant::{Sealed, Unfit},
};

/// Most stills that are handed out at once.
pub const MAX_STILLS: usize = 200;

/// What is wanted with a grant.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of which incident.
    pub incident: IncidentId,
    /// By which grant.
    pub grant: Uuid,
    /// To do what.
    pub action: Sealed,
    /// From when to when; all of the grant's range when it isn't said.
    pub range: (Option<Timestamp>, Option<Timestamp>),
}

/// What a grant opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The grant.
    pub grant: Grant,
    /// The incident.
    pub incident: Incident,
    /// The devices that it is about.
    pub devices: Vec<String>,
    /// From when to when it was opened.
    pub range: (Timestamp, Timestamp),
    /// The redacted stills in that range, oldest first.
    pub stills: Vec<Still>,
}

/// A redacted still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Still {
    /// Its digest.
    pub sha256: Digest,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// An original that is wanted with a grant.
#[derive(Debug, Clone)]
pub struct WantedOriginal {
    /// Of which incident.
    pub incident: IncidentId,
    /// By which grant.
    pub grant: Uuid,
    /// Of which still.
    pub still: Digest,
    /// Why nobody can open it here, if so.
    pub obstacle: Option<&'static str>,
}

/// Whether somebody may open the original of a still now; within which times it must have been taken.
///
/// Asked of the policies and registered whatever comes of it, also without such a grant and without such a still.
pub fn open_original(
    tx: &Tx<'_>,
    asker: Asker<'_>,
    wanted: &WantedOriginal,
    context: Context<'_>,
) -> Stored<Result<(Timestamp, Timestamp), Rejection>> {
    let Some(incident) = incidents::load(tx, wanted.incident)? else { return Ok(Err(Rejection::Unknown)) };
    let grant = grants::load(tx, wanted.grant)?;
    let (object, right) = (wanted.incident.to_string(), grant.as_ref().and_then(Grant::right));
    let taken_at = taken_at(tx, wanted.incident, &wanted.still)?;
    let range = taken_at.map(|at| (at, at)).or(grant.as_ref().map(|grant| grant.request.range));
    let purpose = grant.as_ref().map(|grant| grant.request.purpose);
    let context = Context { has_reason: grant.is_some(), range, grant: right.as_ref(), purpose, ..context };
    let action = Sealed::ViewOriginal.action();
    let permit = asker.access.authorize(asker.person, action, Resource { id: &object, ..incident.resource() }, context);
    let named = format!("incident/{object}/{}/{}/{}", action.as_str(), wanted.grant, wanted.still.as_str());
    let reason = grant.as_ref().map(|grant| grant.request.reason.as_str());
    let registered = Registered { action, resource: &named, reason };
    through_door(tx, (asker, context), (registered, permit), |_| {
        // P22: it shows others too, and nothing here covers them.
        if purpose == Some(Purpose::DataSubjectAccess) {
            let cure = "for data_subject_access no original is opened here, for it shows others too;                         view it at the device's recorder, with the others covered";
            return Ok(Err(Unfit { field: "grant", cure: cure.to_owned() }.into()));
        }
        let Some(range) = grant.as_ref().filter(|_| taken_at.is_some()).map(|grant| grant.request.range) else {
            return Ok(Err(Rejection::Unknown));
        };
        Ok(wanted.obstacle.map_or(Ok(range), |why| Err(Rejection::NotNow(why))))
    })
}

/// When a still of this incident was taken; `None` when the incident doesn't show it.
fn taken_at(tx: &Tx<'_>, incident: IncidentId, still: &Digest) -> Stored<Option<Timestamp>> {
    let sql = "SELECT taken_at FROM incident_snapshot WHERE incident = ?1 AND sha256 = ?2";
    tx.row(sql, params![incident.to_string(), still.as_str()])?.map(|row| row.first()).transpose()
}

/// Opens what a grant covers.
pub fn open(tx: &Tx<'_>, asker: Asker<'_>, wanted: &Wanted, context: Context<'_>) -> Stored<Result<Opened, Rejection>> {
    let (Some(incident), Some(grant)) = (incidents::load(tx, wanted.incident)?, grants::load(tx, wanted.grant)?) else {
        return Ok(Err(Rejection::Unknown));
    };
    let range = (wanted.range.0.unwrap_or(grant.request.range.0), wanted.range.1.unwrap_or(grant.request.range.1));
    let (object, right) = (wanted.incident.to_string(), grant.right());
    let context = Context { has_reason: true, range: Some(range), grant: right.as_ref(), ..context }
        .for_purpose(grant.request.purpose);
    let (action, resource) = (wanted.action.action(), Resource { id: &object, ..incident.resource() });
    let permit = asker.access.authorize(asker.person, action, resource, context);
    let named = format!("incident/{object}/{}/{}", wanted.action.as_str(), grant.id);
    let registered = Registered { action, resource: &named, reason: Some(&grant.request.reason) };
    let opened = through_door(tx, (asker, context), (registered, permit), |_| {
        let stills = stills(tx, wanted.incident, range)?;
        if stills.len() > MAX_STILLS {
            let cure = format!("more than {MAX_STILLS} stills lie in this range; ask for a part of it");
            return Ok(Err(Unfit { field: "until", cure }.into()));
        }
        Ok(Ok((stills, devices(tx, wanted.incident)?)))
    });
    Ok(opened?.map(|(stills, devices)| Opened { grant: grant.clone(), incident, devices, range, stills }))
}

fn stills(tx: &Tx<'_>, incident: IncidentId, (from, until): (Timestamp, Timestamp)) -> Stored<Vec<Still>> {
    let rows = tx.rows(
        "SELECT sha256, taken_at FROM incident_snapshot WHERE incident = ?1 AND taken_at >= ?2 AND taken_at <= ?3
         ORDER BY taken_at, sha256 LIMIT ?4",
        params![incident.to_string(), from, until, MAX_STILLS + 1],
    )?;
    let still = |row| {
        let sha256 = key(row, "sha256", |text| Digest::try_from(text.to_owned()).ok())?;
        Ok(Still { sha256, taken_at: row.get("taken_at")? })
    };
    rows.iter().map(still).collect()
}

fn devices(tx: &Tx<'_>, incident: IncidentId) -> Stored<Vec<String>> {
    let sql =
        "SELECT DISTINCT device FROM incident_device WHERE incident = ?1 AND device <> '' ORDER BY device LIMIT 1000";
    tx.rows(sql, params![incident.to_string()])?.iter().map(Row::first).collect()
}

#[cfg(test)]
mod tests;
