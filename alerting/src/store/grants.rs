//! Grants in the store: asked for, approved and used in one transaction each with the policies' answer and the register's row.
//!
//! Invariants: whatever is asked is registered whether it is permitted or not; a step names the version it saw; a repetition under
//! the same idempotency key changes nothing. Grants of broken glass are `break_glass.rs`'s; holds `holds.rs`'s.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Stored, Tx,
    audit::{self, Asked},
    columns::{json, key, to_json},
    idempotency::{Keyed, Used},
    incidents,
    sql::{Row, params},
};
use crate::{
    access::{self, Action, Approval, Asker, Context, Denied, Kind, Permit, Resource},
    grant::{Actor, Course, Ended, Refused, Request, Sealed, Step, Unfit},
};

/// For how long a list goes back.
const LISTED_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Most of them in a list.
const LISTED: usize = 500;

/// A grant, or a request for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: Uuid,
    /// The incident whose pictures it is about.
    pub incident: IncidentId,
    /// The incident's region when it was asked for.
    pub region: String,
    /// What is asked for.
    pub request: Request,
    /// How it went.
    pub course: Course,
    /// Counts its steps from 1.
    pub version: u64,
    /// True when nobody approved: the glass was broken.
    pub is_break_glass: bool,
    /// What was said of it afterwards.
    pub review: Option<Review>,
}

/// What somebody said of broken glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Whether it was right.
    pub is_justified: bool,
    /// Why, in words.
    pub note: String,
}

impl Grant {
    /// The same as the policies look at it; `None` until it is given, and when it was taken back.
    pub fn right(&self) -> Option<access::Grant> {
        let course = &self.course;
        let approval = match (self.is_break_glass, &course.supervisor, &course.privacy_officer) {
            (true, ..) => Approval::BreakGlass,
            (false, Some(supervisor), Some(privacy_officer)) => {
                Approval::FourEyes { supervisor: supervisor.clone(), privacy_officer: privacy_officer.clone() }
            }
            _ => return None,
        };
        Some(access::Grant {
            account: course.requester.clone(),
            action: self.request.action.action(),
            object: self.incident.to_string(),
            purpose: self.request.purpose,
            range: self.request.range,
            granted_at: course.granted_at.filter(|_| course.ended.is_none())?,
            expires_at: course.expires_at()?,
            approval,
        })
    }

    /// Who may approve, refuse or review it.
    pub fn allows(&self, asker: Asker<'_>, action: Action, context: Context<'_>) -> Result<Permit, Denied> {
        let (id, approvers) = (self.id.to_string(), self.course.approvers());
        let resource = Resource {
            id: &id,
            requester: Some(&self.course.requester),
            approvers: &approvers,
            requested_at: Some(self.course.requested_at),
            ..Resource::new(Kind::Grant, &self.region)
        };
        asker.access.authorize(asker.person, action, resource, context)
    }
}

/// A request as it was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The incident.
    pub incident: IncidentId,
    /// Chosen by the client; a repetition carries the same one.
    pub key: String,
    /// What is asked for.
    pub request: Request,
}

/// A step as it was given.
#[derive(Debug, Clone)]
pub struct GivenStep {
    /// The grant.
    pub grant: Uuid,
    /// Chosen by the client.
    pub key: String,
    /// The version that the person saw.
    pub version: u64,
    /// What to do.
    pub step: Step,
    /// In words.
    pub note: Option<String>,
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No such thing.
    #[error("there is no such thing here")]
    Unknown,
    /// The policies say no.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What is asked for can't be.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The course of a grant says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Somebody else was faster.
    #[error("it has changed: it has version {0} now")]
    Version(u64),
    /// The key was used for something else.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// Not as it stands.
    #[error("{0}")]
    NotNow(&'static str),
}

/// What the register says of an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registered<'a> {
    /// The action.
    pub action: Action,
    /// Of what.
    pub resource: &'a str,
    /// In words.
    pub reason: Option<&'a str>,
}

/// Registers what was decided and does what is permitted.
pub(super) fn through_door<T>(
    tx: &Tx<'_>,
    (asker, context): (Asker<'_>, Context<'_>),
    (registered, permit): (Registered<'_>, Result<Permit, Denied>),
    work: impl FnOnce(&Permit) -> Stored<Result<T, Rejection>>,
) -> Stored<Result<T, Rejection>> {
    let asked = Asked {
        person: asker.person,
        at: context.now,
        purpose: context.purpose,
        reason: registered.reason,
        action: registered.action.as_str(),
        resource: registered.resource,
    };
    let done = match &permit {
        Ok(permit) => work(permit)?,
        Err(denied) => Err(denied.clone().into()),
    };
    audit::settle(tx, asker.access, asked, (&permit, &done))?;
    Ok(done)
}

/// Asks for a grant; its id.
pub fn request(tx: &Tx<'_>, asker: Asker<'_>, given: &Given, context: Context<'_>) -> Stored<Result<Uuid, Rejection>> {
    let account = &asker.person.account;
    let keyed = keyed(account, given)?;
    let used = keyed.used(tx)?;
    if used == Used::ForThis {
        return made_before(tx, (account, &given.key));
    }
    let Some(incident) = incidents::load(tx, given.incident)? else { return Ok(Err(Rejection::Unknown)) };
    let Request { purpose, reason, .. } = &given.request;
    let context = Context { has_reason: true, ..context.for_purpose(*purpose) };
    let permit = asker.access.authorize(asker.person, Action::RequestGrant, incident.resource(), context);
    let resource = format!("incident/{}/{}", given.incident, given.request.action.as_str());
    let registered = Registered { action: Action::RequestGrant, resource: &resource, reason: Some(reason) };
    through_door(tx, (asker, context), (registered, permit), |_| {
        if used == Used::ForAnother {
            return Ok(Err(Rejection::KeyReused));
        }
        if let Err(unfit) = given.request.check(context.now) {
            return Ok(Err(unfit.into()));
        }
        if asked_since_yesterday(tx, account, context.now)? >= REQUESTS_A_DAY {
            return Ok(Err(Rejection::NotNow("this account has asked for 50 grants within 24 hours")));
        }
        let lasts = Duration::from_secs(u64::from(given.request.minutes) * 60);
        let course = Course::request(account, lasts, context.now);
        let grant = Grant {
            id: Uuid::new_v4(),
            incident: given.incident,
            region: incident.region.clone(),
            request: given.request.clone(),
            course,
            version: 1,
            is_break_glass: false,
            review: None,
        };
        insert(tx, &grant, &given.key)?;
        keyed.remember(tx, context.now)?;
        Ok(Ok(grant.id))
    })
}

/// So many requests of one account leave room for those of others in the list of those who decide.
const REQUESTS_A_DAY: u64 = 50;

fn asked_since_yesterday(tx: &Tx<'_>, account: &str, now: Timestamp) -> Stored<u64> {
    let since = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    let sql = "SELECT count(*) FROM grant_request WHERE requested_at > ?1 AND requester = ?2 AND is_break_glass = 0";
    tx.value(sql, params![since, account])
}

/// The id of what was made under this key before.
pub(super) fn made_before(tx: &Tx<'_>, (account, key): (&str, &str)) -> Stored<Result<Uuid, Rejection>> {
    let sql =
        "SELECT id FROM grant_request WHERE requester = ?1 AND request_key = ?2 ORDER BY requested_at DESC LIMIT 1";
    match tx.row(sql, params![account, key])? {
        Some(row) => Ok(Ok(id(&row, "id")?)),
        None => Ok(Err(Rejection::KeyReused)),
    }
}

/// Approves, refuses or withdraws.
pub fn take_step(
    tx: &Tx<'_>,
    asker: Asker<'_>,
    given: &GivenStep,
    context: Context<'_>,
) -> Stored<Result<(), Rejection>> {
    let account = &asker.person.account;
    let keyed = Keyed::new(account, &given.key, &(given.grant, given.step.as_str(), given.version, &given.note))?;
    let used = keyed.used(tx)?;
    // Before the policies, who deny a second approval by the same person.
    if used == Used::ForThis {
        return Ok(Ok(()));
    }
    let Some(mut grant) = load(tx, given.grant)? else { return Ok(Err(Rejection::Unknown)) };
    let context = Context { has_reason: true, ..context.for_purpose(grant.request.purpose) };
    let (action, permit) = match given.step {
        Step::Approve | Step::Refuse => (Action::ApproveGrant, grant.allows(asker, Action::ApproveGrant, context)),
        Step::Withdraw => {
            let resource = Resource::new(Kind::Incident, &grant.region);
            (Action::RequestGrant, asker.access.authorize(asker.person, Action::RequestGrant, resource, context))
        }
    };
    let resource = format!("grant/{}/{}", grant.id, given.step.as_str());
    let registered = Registered { action, resource: &resource, reason: given.note.as_deref() };
    through_door(tx, (asker, context), (registered, permit), |permit| {
        if used == Used::ForAnother {
            return Ok(Err(Rejection::KeyReused));
        }
        if grant.version != given.version {
            return Ok(Err(Rejection::Version(grant.version)));
        }
        let actor = Actor { account, roles: permit.roles(), note: given.note.as_deref() };
        match grant.course.advance(given.step, actor, context.now) {
            Ok(course) => grant.course = course,
            Err(refused) => return Ok(Err(refused.into())),
        }
        grant.version += 1;
        update(tx, &grant)?;
        keyed.remember(tx, context.now)?;
        Ok(Ok(()))
    })
}

/// One grant.
pub fn load(tx: &Tx<'_>, id: Uuid) -> Stored<Option<Grant>> {
    let row = tx.row("SELECT * FROM grant_request WHERE id = ?1", params![id.to_string()])?;
    row.as_ref().map(read).transpose()
}

/// Broken glass that nobody has reviewed, then what waits for somebody, then the newest grants of the last 30 days; who may see which is the caller's to ask.
pub fn newest(tx: &Tx<'_>, now: Timestamp) -> Stored<Vec<Grant>> {
    const UNREVIEWED: &str = "is_break_glass = 1 AND reviewed_at IS NULL";
    let since = now.checked_sub(LISTED_FOR).unwrap_or(Timestamp::MIN);
    let sql = format!(
        "SELECT * FROM grant_request WHERE requested_at >= ?1 OR ({UNREVIEWED})
         ORDER BY CASE WHEN {UNREVIEWED} THEN 0 WHEN granted_at IS NULL AND ended_at IS NULL THEN 1 ELSE 2 END,
         requested_at DESC, id DESC LIMIT ?2"
    );
    tx.rows(&sql, params![since, LISTED])?.iter().map(read).collect()
}

pub(super) fn insert(tx: &Tx<'_>, grant: &Grant, key: &str) -> Stored<()> {
    let Request { action, purpose, reason, range, minutes, terms } = &grant.request;
    tx.execute(
        "INSERT INTO grant_request (id, request_key, incident, region, action, purpose, reason, range_from, range_until,
         minutes, terms, requester, requested_at, version, granted_at, is_break_glass)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        params![
            grant.id.to_string(),
            key,
            grant.incident.to_string(),
            &grant.region,
            action.as_str(),
            purpose.as_str(),
            reason,
            range.0,
            range.1,
            *minutes,
            to_json("terms", terms)?,
            &grant.course.requester,
            grant.course.requested_at,
            grant.version,
            grant.course.granted_at,
            grant.is_break_glass,
        ],
    )?;
    Ok(())
}

pub(super) fn update(tx: &Tx<'_>, grant: &Grant) -> Stored<()> {
    let (course, review) = (&grant.course, grant.review.as_ref());
    let ended = course.ended.as_ref();
    tx.execute(
        "UPDATE grant_request SET version = ?2, supervisor = ?3, privacy_officer = ?4, granted_at = ?5,
         is_withdrawn = ?6, ended_by = ?7, ended_at = ?8, ended_note = ?9, reviewed_by = ?10, reviewed_at = ?11,
         is_justified = ?12, review_note = ?13 WHERE id = ?1",
        params![
            grant.id.to_string(),
            grant.version,
            &course.supervisor,
            &course.privacy_officer,
            course.granted_at,
            ended.map(|ended| ended.is_withdrawn),
            ended.map(|ended| ended.by.as_str()),
            ended.map(|ended| ended.at),
            ended.and_then(|ended| ended.note.as_deref()),
            review.map(|review| review.by.as_str()),
            review.map(|review| review.at),
            review.map(|review| review.is_justified),
            review.map(|review| review.note.as_str()),
        ],
    )?;
    Ok(())
}

fn keyed(account: &str, given: &Given) -> Stored<Keyed> {
    let Request { action, purpose, reason, range, minutes, terms } = &given.request;
    let said = (given.incident, action.as_str(), purpose.as_str(), reason, range, minutes, terms);
    Keyed::new(account, &given.key, &said)
}

pub(super) fn id(row: &Row, column: &'static str) -> Stored<Uuid> {
    key(row, column, |text| text.parse().ok())
}

fn read(row: &Row) -> Stored<Grant> {
    let minutes: u32 = row.get("minutes")?;
    let request = Request {
        action: key(row, "action", Sealed::parse)?,
        purpose: key(row, "purpose", access::Purpose::parse)?,
        reason: row.get("reason")?,
        range: (row.get("range_from")?, row.get("range_until")?),
        minutes,
        terms: json("terms", &row.get::<String>("terms")?)?,
    };
    let course = Course {
        requester: row.get("requester")?,
        requested_at: row.get("requested_at")?,
        lasts: Duration::from_secs(u64::from(minutes) * 60),
        supervisor: row.get("supervisor")?,
        privacy_officer: row.get("privacy_officer")?,
        granted_at: row.get("granted_at")?,
        ended: read_ended(row)?,
    };
    Ok(Grant {
        id: id(row, "id")?,
        incident: key(row, "incident", |text| text.parse().ok())?,
        region: row.get("region")?,
        request,
        course,
        version: row.get("version")?,
        is_break_glass: row.get("is_break_glass")?,
        review: read_review(row)?,
    })
}

fn read_ended(row: &Row) -> Stored<Option<Ended>> {
    let Some(by) = row.get::<Option<String>>("ended_by")? else { return Ok(None) };
    let is_withdrawn = row.get("is_withdrawn")?;
    Ok(Some(Ended { is_withdrawn, by, at: row.get("ended_at")?, note: row.get("ended_note")? }))
}

fn read_review(row: &Row) -> Stored<Option<Review>> {
    let Some(by) = row.get::<Option<String>>("reviewed_by")? else { return Ok(None) };
    let is_justified = row.get("is_justified")?;
    Ok(Some(Review { by, at: row.get("reviewed_at")?, is_justified, note: row.get("review_note")? }))
}

#[cfg(test)]
pub(super) mod tests;
