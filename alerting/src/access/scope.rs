//! All that somebody may read, as parts that a list query can filter by.
//!
//! Made by asking the policies about things that lie in the assignment's region and have at most one tie to the person, so
//! that there is no second table. A property test shows that a scope covers what `authorize` permits, and nothing else.

use super::{
    Access, Action, Assignment, Context, Person, Resource,
    policies::{Asked, Fault, Verdict},
};
use crate::workflow::Role;

/// All that a person may do a reading action on; empty when nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(pub Vec<Part>);

/// One part of a scope: a region, narrowed by what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The role it comes from.
    pub role: Role,
    /// The region; covers all codes that begin with it.
    pub region: String,
    /// Only incidents given to this department.
    pub department: Option<String>,
    /// Only incidents this account was sent to.
    pub checker: Option<String>,
    /// Only incidents this account verifies.
    pub verifier: Option<String>,
    /// Only incidents this account reported.
    pub reporter: Option<String>,
}

impl Scope {
    /// True when the resource, of the kind that the action is asked of, is within.
    pub fn covers(&self, resource: Resource<'_>) -> bool {
        self.0.iter().any(|part| part.covers(resource))
    }
}

impl Part {
    fn covers(&self, resource: Resource<'_>) -> bool {
        let is = |wanted: &Option<String>, given: Option<&str>| wanted.is_none() || wanted.as_deref() == given;
        resource.region.starts_with(&self.region)
            && resource.region.bytes().all(|byte| byte.is_ascii_digit())
            && is(&self.department, resource.department)
            && is(&self.checker, resource.checker)
            && is(&self.verifier, resource.verifier)
            && is(&self.reporter, resource.reporter)
    }

    fn resource<'p>(&'p self, action: Action) -> Resource<'p> {
        let kind = action.kinds().first().copied().unwrap_or(super::Kind::Incident);
        Resource {
            department: self.department.as_deref(),
            checker: self.checker.as_deref(),
            verifier: self.verifier.as_deref(),
            reporter: self.reporter.as_deref(),
            ..Resource::new(kind, &self.region)
        }
    }
}

/// True for actions of lists; whether others are permitted also depends on who did what before, which no part can say.
pub(super) fn is_listed(action: Action) -> bool {
    matches!(
        action,
        Action::ReadIncident
            | Action::ViewStill
            | Action::ReadAttachment
            | Action::ReadDevices
            | Action::ReadRules
            | Action::ReadAudit
            | Action::VerifyAudit
            | Action::ReadStatistics
    )
}

/// The parts of one assignment.
pub(super) fn parts(
    access: &Access,
    (person, assignment): (&Person, &Assignment),
    action: Action,
    context: Context<'_>,
) -> Result<Vec<Part>, Fault> {
    let whole = Part {
        role: assignment.role,
        region: assignment.region.clone(),
        department: None,
        checker: None,
        verifier: None,
        reporter: None,
    };
    let permitted = |part: &Part| {
        let (resource, regions) = (part.resource(action), access.regions());
        let assignments = std::slice::from_ref(assignment);
        let verdicts = access.policies().ask(Asked { person, assignments, action, resource, context, regions })?;
        Ok(matches!(verdicts.as_slice(), [Verdict::Permitted(_)]))
    };
    if permitted(&whole)? {
        return Ok(vec![whole]);
    }
    let me = Some(person.account.clone());
    let mut tied = vec![
        Part { checker: me.clone(), ..whole.clone() },
        Part { verifier: me.clone(), ..whole.clone() },
        Part { reporter: me, ..whole.clone() },
    ];
    if person.department.is_some() {
        tied.push(Part { department: person.department.clone(), ..whole });
    }
    let mut parts = Vec::new();
    for part in tied {
        if permitted(&part)? {
            parts.push(part);
        }
    }
    Ok(parts)
}
