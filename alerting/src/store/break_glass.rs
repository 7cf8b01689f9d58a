//! Broken glass (RULES B): in an emergency a supervisor opens a short grant alone; a privacy officer says afterwards whether it was
//! right, and until then the same person breaks no other.
//!
//! It stands in the incident's timeline, in the register, and among the grants that privacy officers are shown as due for review.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use xueliang_events::IncidentId;

use super::{
    Stored, Tx,
    changes::{self, NewChange},
    grants::{Grant, Registered, Rejection, Review, insert, load, made_before, through_door, update},
    idempotency::{Keyed, Used},
    incidents::{self, Incident},
    sql::params,
};
use crate::{
    access::{Action, Asker, Context, Purpose},
    grant::{BROKEN_FOR, Course, REVIEW_WITHIN, Request, Sealed, Terms, Unfit},
};

/// How long before the incident began the range begins.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// What was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The incident.
    pub incident: IncidentId,
    /// Chosen by the client.
    pub key: String,
    /// Why, in words.
    pub reason: String,
    /// For how many minutes.
    pub minutes: u32,
}

/// A review as it was given.
#[derive(Debug, Clone)]
pub struct GivenReview {
    /// The grant.
    pub grant: Uuid,
    /// Chosen by the client.
    pub key: String,
    /// The version that the person saw.
    pub version: u64,
    /// Whether it was right.
    pub is_justified: bool,
    /// Why, in words.
    pub note: String,
}

/// Until when broken glass is to be reviewed.
pub fn review_due_at(grant: &Grant) -> Option<Timestamp> {
    grant.is_break_glass.then(|| grant.course.requested_at.checked_add(REVIEW_WITHIN).unwrap_or(Timestamp::MAX))
}

/// Breaks the glass; the grant's id.
pub fn break_glass(
    tx: &Tx<'_>,
    asker: Asker<'_>,
    given: &Given,
    context: Context<'_>,
) -> Stored<Result<Uuid, Rejection>> {
    let Some(incident) = incidents::load(tx, given.incident)? else { return Ok(Err(Rejection::Unknown)) };
    let account = &asker.person.account;
    let keyed = Keyed::new(account, &given.key, &(given.incident, &given.reason, given.minutes))?;
    let used = keyed.used(tx)?;
    // A repetition must not be held up by what it did itself.
    if used == Used::ForThis {
        return made_before(tx, (account, &given.key));
    }
    let unreviewed_break_glass = has_unreviewed(tx, account)?;
    let context = Context { has_reason: !given.reason.trim().is_empty(), unreviewed_break_glass, ..context }
        .for_purpose(Purpose::EmergencyResponse);
    let permit = asker.access.authorize(asker.person, Action::BreakGlass, incident.resource(), context);
    let resource = format!("incident/{}/break_glass", given.incident);
    let registered = Registered { action: Action::BreakGlass, resource: &resource, reason: Some(&given.reason) };
    through_door(tx, (asker, context), (registered, permit), |_| {
        if used == Used::ForAnother {
            return Ok(Err(Rejection::KeyReused));
        }
        let id = broken(tx, account, (given, &incident), context.now)?;
        keyed.remember(tx, context.now)?;
        Ok(Ok(id))
    })
}

fn broken(tx: &Tx<'_>, account: &str, (given, incident): (&Given, &Incident), now: Timestamp) -> Stored<Uuid> {
    let lasts = Duration::from_secs(u64::from(given.minutes) * 60);
    let course = Course::break_glass(account, lasts, now);
    let from = incident.opened_at.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
    let grant = Grant {
        id: Uuid::new_v4(),
        incident: incident.id,
        region: incident.region.clone(),
        request: Request {
            action: Sealed::ViewOriginal,
            purpose: Purpose::EmergencyResponse,
            reason: given.reason.clone(),
            range: (from.min(now), course.expires_at().unwrap_or(now)),
            minutes: given.minutes,
            terms: Terms::default(),
        },
        course,
        version: 1,
        is_break_glass: true,
        review: None,
    };
    insert(tx, &grant, &given.key)?;
    let change = NewChange {
        incident: incident.id,
        version: incident.version,
        at: now,
        actor: ("person", account),
        action: Action::BreakGlass.as_str(),
        from: Some(incident.state),
        to: incident.state,
        reason: None,
        comment: Some(&given.reason),
        fields: None,
    };
    changes::append(tx, change)?;
    Ok(grant.id)
}

impl Given {
    /// Whether this may be asked for at all.
    pub fn check(&self) -> Result<(), Unfit> {
        let most = BROKEN_FOR.as_secs() / 60;
        if !(1..=most).contains(&u64::from(self.minutes)) {
            return Err(Unfit { field: "minutes", cure: format!("write 1 to {most}") });
        }
        if self.reason.trim().is_empty() || self.reason.chars().count() > 200 {
            return Err(Unfit { field: "reason", cure: "say why, in 1 to 200 characters".to_owned() });
        }
        Ok(())
    }
}

fn has_unreviewed(tx: &Tx<'_>, account: &str) -> Stored<bool> {
    tx.value(
        "SELECT EXISTS (SELECT 1 FROM grant_request WHERE requester = ?1 AND is_break_glass = 1 AND reviewed_at IS NULL)",
        params![account],
    )
}

/// Says whether breaking the glass was right.
pub fn review(
    tx: &Tx<'_>,
    asker: Asker<'_>,
    given: &GivenReview,
    context: Context<'_>,
) -> Stored<Result<(), Rejection>> {
    let account = &asker.person.account;
    let keyed = Keyed::new(account, &given.key, &(given.grant, given.version, given.is_justified, &given.note))?;
    let used = keyed.used(tx)?;
    if used == Used::ForThis {
        return Ok(Ok(()));
    }
    let Some(mut grant) = load(tx, given.grant)?.filter(|grant| grant.is_break_glass) else {
        return Ok(Err(Rejection::Unknown));
    };
    let context = Context { has_reason: true, ..context.for_purpose(grant.request.purpose) };
    let permit = grant.allows(asker, Action::ReviewBreakGlass, context);
    let resource = format!("grant/{}/review", grant.id);
    let registered = Registered { action: Action::ReviewBreakGlass, resource: &resource, reason: Some(&given.note) };
    through_door(tx, (asker, context), (registered, permit), |_| {
        if used == Used::ForAnother {
            return Ok(Err(Rejection::KeyReused));
        }
        if grant.version != given.version {
            return Ok(Err(Rejection::Version(grant.version)));
        }
        if grant.review.is_some() {
            return Ok(Err(Rejection::NotNow("this was reviewed already")));
        }
        let (by, note) = (account.clone(), given.note.clone());
        grant.review = Some(Review { by, at: context.now, is_justified: given.is_justified, note });
        grant.version += 1;
        update(tx, &grant)?;
        keyed.remember(tx, context.now)?;
        Ok(Ok(()))
    })
}
