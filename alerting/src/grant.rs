//! A grant of four eyes (RULES B): asked for by one person, approved by two others, used within hours.
//!
//! In: a course, a step, who takes it, the time. Out: the course afterwards, or why not. Invariants: nothing is granted without a
//! supervisor and a privacy officer who are two people and neither of whom asked; a request waits 24 h at most, a grant holds
//! 4 h at most. What may be asked for is `grant/terms.rs`'s. Not here: storage, and whether somebody has the role in that region,
//! which [`crate::access`] says.

use std::time::Duration;

use jiff::Timestamp;

use crate::workflow::{Role, vocabulary};

mod terms;

pub use terms::{Document, MAX_DAYS, MAX_MINUTES, Officer, Request, Sealed, Terms, Unfit};

/// How long a request waits for its approvers.
pub const PENDING_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a grant of broken glass holds at most.
pub const BROKEN_FOR: Duration = Duration::from_secs(15 * 60);
/// Within which time somebody says whether breaking the glass was right.
pub const REVIEW_WITHIN: Duration = Duration::from_secs(24 * 3600);

vocabulary! {
    /// Where a request stands.
    State {
        /// Nobody has approved. → approved, refused, withdrawn, lapsed
        Requested => "requested",
        /// One of the two has approved. → granted, refused, withdrawn, lapsed
        Approved => "approved",
        /// Both have, or the glass was broken. → withdrawn, expired
        Granted => "granted",
        /// Somebody who may approve said no.
        Refused => "refused",
        /// Taken back by whoever asked.
        Withdrawn => "withdrawn",
        /// Nobody decided in time.
        Lapsed => "lapsed",
        /// Its time is over.
        Expired => "expired",
    }
}

vocabulary! {
    /// What can be done with a request.
    Step {
        /// Say yes.
        Approve => "approve",
        /// Say no.
        Refuse => "refuse",
        /// Take one's own back.
        Withdraw => "withdraw",
    }
}

/// How a request went so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Who asked.
    pub requester: String,
    /// When.
    pub requested_at: Timestamp,
    /// How long the grant holds once it is given.
    pub lasts: Duration,
    /// The supervisor who approved.
    pub supervisor: Option<String>,
    /// The privacy officer who approved.
    pub privacy_officer: Option<String>,
    /// Since when it is granted.
    pub granted_at: Option<Timestamp>,
    /// How it ended before its time.
    pub ended: Option<Ended>,
}

/// An end before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// True when it was taken back, false when it was refused.
    pub is_withdrawn: bool,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    pub note: Option<String>,
}

/// Who takes a step.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// The account.
    pub account: &'a str,
    /// The roles that gave the permit.
    pub roles: &'a [Role],
    /// What they say to it.
    pub note: Option<&'a str>,
}

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not from here.
    #[error("this request is {} already", .0.as_str())]
    NotNow(State),
    /// Whoever asked doesn't decide.
    #[error("whoever asked for a grant neither approves nor refuses it")]
    OwnRequest,
    /// Only whoever asked takes it back.
    #[error("only whoever asked takes a request back")]
    NotOwn,
    /// There is a supervisor, or a privacy officer, already.
    #[error("a {} has approved already; the other approver is a {}", .0.as_str(), other(*.0).as_str())]
    SeatTaken(Role),
    /// The same person again.
    #[error("two people approve; you are one of them already")]
    SamePerson,
    /// Neither of the two roles.
    #[error("a supervisor and a privacy officer approve")]
    NoSeat,
}

fn other(seat: Role) -> Role {
    if seat == Role::Supervisor { Role::PrivacyOfficer } else { Role::Supervisor }
}

impl Course {
    /// A new request.
    pub fn request(requester: &str, lasts: Duration, now: Timestamp) -> Self {
        Self {
            requester: requester.to_owned(),
            requested_at: now,
            lasts: lasts.min(Duration::from_secs(u64::from(MAX_MINUTES) * 60)),
            supervisor: None,
            privacy_officer: None,
            granted_at: None,
            ended: None,
        }
    }

    /// Broken glass: granted at once, to the one who breaks it.
    pub fn break_glass(supervisor: &str, lasts: Duration, now: Timestamp) -> Self {
        Self { granted_at: Some(now), ..Self::request(supervisor, lasts.min(BROKEN_FOR), now) }
    }

    /// Where it stands at this time.
    pub fn state(&self, now: Timestamp) -> State {
        match (&self.ended, self.expires_at()) {
            (Some(ended), _) if ended.is_withdrawn => State::Withdrawn,
            (Some(_), _) => State::Refused,
            (None, Some(expires_at)) if now >= expires_at => State::Expired,
            (None, Some(_)) => State::Granted,
            (None, None) if now > later(self.requested_at, PENDING_FOR) => State::Lapsed,
            (None, None) if self.approvers().is_empty() => State::Requested,
            (None, None) => State::Approved,
        }
    }

    /// Until when the grant holds, once it is given.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.granted_at.map(|at| later(at, self.lasts))
    }

    /// Who approved so far.
    pub fn approvers(&self) -> Vec<String> {
        [&self.supervisor, &self.privacy_officer].into_iter().flatten().cloned().collect()
    }

    /// Takes a step.
    pub fn advance(&self, step: Step, actor: Actor<'_>, now: Timestamp) -> Result<Self, Refused> {
        let is_own = actor.account == self.requester;
        let state = self.state(now);
        match (state, step) {
            (State::Requested | State::Approved, Step::Approve) if !is_own => self.approve(actor, now),
            (State::Requested | State::Approved, Step::Refuse) if !is_own => Ok(self.end(false, actor, now)),
            (State::Requested | State::Approved, Step::Approve | Step::Refuse) => Err(Refused::OwnRequest),
            (State::Requested | State::Approved | State::Granted, Step::Withdraw) if is_own => {
                Ok(self.end(true, actor, now))
            }
            (State::Requested | State::Approved | State::Granted, Step::Withdraw) => Err(Refused::NotOwn),
            (state, _) => Err(Refused::NotNow(state)),
        }
    }

    fn approve(&self, actor: Actor<'_>, now: Timestamp) -> Result<Self, Refused> {
        let mut next = self.clone();
        let seat = actor.roles.iter().copied().find(|role| matches!(role, Role::Supervisor | Role::PrivacyOfficer));
        let (taken, seat) = match seat {
            Some(Role::Supervisor) => (&mut next.supervisor, Role::Supervisor),
            Some(role) => (&mut next.privacy_officer, role),
            None => return Err(Refused::NoSeat),
        };
        if self.approvers().iter().any(|approver| approver == actor.account) {
            return Err(Refused::SamePerson);
        }
        if taken.is_some() {
            return Err(Refused::SeatTaken(seat));
        }
        *taken = Some(actor.account.to_owned());
        if next.supervisor.is_some() && next.privacy_officer.is_some() {
            next.granted_at = Some(now);
        }
        Ok(next)
    }

    fn end(&self, is_withdrawn: bool, actor: Actor<'_>, now: Timestamp) -> Self {
        let (by, note) = (actor.account.to_owned(), actor.note.map(str::to_owned));
        Self { ended: Some(Ended { is_withdrawn, by, at: now, note }), ..self.clone() }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
