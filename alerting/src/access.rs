//! Who may do what where: one question, [`Access::authorize`], that policies answer (RULES B, P18).
//!
//! In: a person, an action, a resource, a context. Out: a [`Permit`], which handlers take, or why not. Invariants: default
//! deny; each assignment, a triple of role, region and end, is asked for on its own, so that a role never meets another's
//! region; a policy that can't be evaluated denies and raises the alarm. The table that comes of it is committed as
//! `access-table.md`. Not here: accounts, sessions, the audit.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use prometheus::IntCounter;

use crate::{region::RegionScheme, workflow::Role};

mod action;
mod policies;
mod request;
mod scope;
mod separation;
mod terms;

pub use action::Action;
pub use policies::PolicyError;
use policies::{Asked, Fault, Policies, Verdict};
pub use request::{Approval, Context, Grant, Kind, Purpose, Resource};
pub use scope::{Part, Scope};
pub use separation::{Conflict, check_assignments};

/// A role in a region until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: Role,
    /// The region's code, a level of the scheme.
    pub region: String,
    /// When it ends, if it does.
    pub valid_until: Option<Timestamp>,
}

/// Somebody signed in, or a part of the software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub account: String,
    /// The name that others see.
    pub display_name: String,
    /// The department it belongs to.
    pub department: Option<String>,
    /// What it is there for.
    pub assignments: Vec<Assignment>,
    /// The end of its training and confidentiality record (RULES P20); without one a person does nothing.
    pub training_valid_until: Option<Timestamp>,
}

impl Person {
    /// True for a part of the software.
    pub fn is_service(&self) -> bool {
        self.assignments.iter().any(|assignment| assignment.role.is_service())
    }
}

/// The door; cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    policies: Policies,
    regions: RegionScheme,
    alarms: IntCounter,
}

/// The right to do one thing, once; only [`Access::authorize`] makes it.
#[derive(Debug)]
pub struct Permit {
    assignments: Vec<Assignment>,
    roles: Vec<Role>,
    rules: Vec<String>,
}

impl Permit {
    /// The assignments that gave it.
    pub fn assignments(&self) -> &[Assignment] {
        &self.assignments
    }

    /// The roles that gave it, in the order of the assignments.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The ids of the policies that decided, for the audit.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No policy permits it.
    #[error("no role of this account allows that here")]
    NotPermitted,
    /// These policies forbid it.
    #[error("not allowed here ({})", .0.join(", "))]
    Forbidden(Vec<String>),
    /// The account holds roles that must be different people's.
    #[error("this account holds roles that exclude each other: {0}")]
    Conflict(Conflict),
    /// A policy could not be evaluated. It was logged and counted; somebody must look.
    #[error("this could not be decided, so it is not allowed")]
    Alarm,
}

impl Denied {
    /// The ids of the policies that decided, for the audit.
    pub fn rules(&self) -> &[String] {
        match self {
            Denied::Forbidden(rules) => rules,
            Denied::NotPermitted | Denied::Conflict(_) | Denied::Alarm => &[],
        }
    }
}

/// Somebody before the door.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The door.
    pub access: &'a Access,
    /// Who.
    pub person: &'a Person,
}

impl Access {
    /// Reads the built-in policies; `alarms` counts decisions that could not be made.
    pub fn load(regions: RegionScheme, alarms: IntCounter) -> Result<Self, PolicyError> {
        Policies::load(policies::SCHEMA, policies::POLICIES).map(|policies| Self::with(policies, regions, alarms))
    }

    fn with(policies: Policies, regions: RegionScheme, alarms: IntCounter) -> Self {
        Self(Arc::new(Inner { policies, regions, alarms }))
    }

    /// Asks for one resource.
    pub fn authorize(
        &self,
        person: &Person,
        action: Action,
        resource: Resource<'_>,
        context: Context<'_>,
    ) -> Result<Permit, Denied> {
        check_live(person, context.now).map_err(Denied::Conflict)?;
        self.decide(person, action, resource, context).unwrap_or_else(|fault| {
            self.alarm(action, &fault);
            Err(Denied::Alarm)
        })
    }

    /// All that a person may do a reading action on; empty for other actions.
    pub fn scope(&self, person: &Person, action: Action, context: Context<'_>) -> Scope {
        if !scope::is_listed(action) || check_live(person, context.now).is_err() {
            return Scope::default();
        }
        let assignments = person.assignments.iter();
        let parts = assignments.map(|assignment| scope::parts(self, (person, assignment), action, context));
        let parts: Result<Vec<Vec<Part>>, Fault> = parts.collect();
        match parts {
            Ok(parts) => Scope(parts.into_iter().flatten().collect()),
            Err(fault) => {
                self.alarm(action, &fault);
                Scope::default()
            }
        }
    }

    /// SHA-256 of schema and policies, for each row of the audit.
    pub fn policy_hash(&self) -> &str {
        self.policies().hash()
    }

    /// The scheme of region codes.
    pub fn regions(&self) -> &RegionScheme {
        &self.0.regions
    }

    fn policies(&self) -> &Policies {
        &self.0.policies
    }

    fn decide(
        &self,
        person: &Person,
        action: Action,
        resource: Resource<'_>,
        context: Context<'_>,
    ) -> Result<Result<Permit, Denied>, Fault> {
        let assignments = person.assignments.as_slice();
        let asked = Asked { person, assignments, action, resource, context, regions: self.regions() };
        let verdicts = self.policies().ask(asked)?;
        let mut permit = Permit { assignments: Vec::new(), roles: Vec::new(), rules: Vec::new() };
        let mut forbidding = Vec::new();
        for (assignment, verdict) in assignments.iter().zip(verdicts) {
            match verdict {
                Verdict::Permitted(rules) => {
                    permit.roles.push(assignment.role);
                    permit.assignments.push(assignment.clone());
                    permit.rules.extend(rules);
                }
                Verdict::Forbidden(rules) => forbidding.extend(rules),
                Verdict::Silent => {}
            }
        }
        for rules in [&mut permit.rules, &mut forbidding] {
            rules.sort_unstable();
            rules.dedup();
        }
        Ok(match (permit.assignments.is_empty(), forbidding.is_empty()) {
            (false, _) => Ok(permit),
            (true, false) => Err(Denied::Forbidden(forbidding)),
            (true, true) => Err(Denied::NotPermitted),
        })
    }

    fn alarm(&self, action: Action, Fault(error): &Fault) {
        self.0.alarms.inc();
        tracing::error!(action = action.as_str(), error, "a policy could not be evaluated, so it was denied");
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({})", self.policy_hash())
    }
}

/// Assignments that exclude each other are refused when they are given; an account that has them all the same does nothing.
fn check_live(person: &Person, now: Timestamp) -> Result<(), Conflict> {
    let live = person.assignments.iter().filter(|assignment| assignment.valid_until.is_none_or(|end| now < end));
    separation::check_roles(live.map(|assignment| assignment.role))
}

#[cfg(test)]
mod tests;
