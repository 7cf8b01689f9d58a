//! Who may do what where: one table, role × action, and one function that asks it (RULES B, P18).
//!
//! An [`authorize`]d action becomes a [`Permit`]; handlers that touch an incident take one. Default deny. Assignments are
//! triples (role, region, end); a region covers every code that begins with it. Not here: accounts and sessions.

use jiff::Timestamp;

use crate::workflow::{self, Command, Role, State};

/// A role in a region until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: Role,
    /// The region's code; covers all codes that begin with it.
    pub region: String,
    /// When it ends, if it does.
    pub valid_until: Option<Timestamp>,
}

/// Somebody signed in.
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
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See incidents, without their stills.
    ReadIncident,
    /// See an incident's redacted stills.
    ViewStill,
    /// See devices and how they are.
    ReadDevices,
    /// See the rules.
    ReadRules,
    /// Move an incident.
    Command(Command),
}

/// What it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The region it lies in.
    pub region: &'a str,
    /// The department an incident was given to.
    pub department: Option<&'a str>,
    /// The grid worker who was sent to look.
    pub checker: Option<&'a str>,
}

/// How far a role reaches with an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Not at all.
    Never,
    /// Everything in the assignment's region.
    Region,
    /// In the region, and only what was given to the person or its department.
    Own,
}

/// The table.
pub fn reach(role: Role, action: Action) -> Reach {
    use Action::{Command, ReadDevices, ReadIncident, ReadRules, ViewStill};
    use Reach::{Never, Own, Region};
    match (role, action) {
        (Role::GridWorker | Role::DeptLiaison, ReadIncident | ViewStill) => Own,
        (Role::Operator | Role::Dispatcher | Role::Supervisor, ReadIncident | ViewStill | ReadDevices | ReadRules) => {
            Region
        }
        (Role::CameraIntegrator, ReadDevices) => Region,
        (Role::PrivacyOfficer | Role::Auditor, ReadRules) => Region,
        (Role::GridWorker | Role::DeptLiaison, Command(command)) if takes(role, command) => Own,
        (Role::Operator | Role::Dispatcher | Role::Supervisor, Command(command)) if takes(role, command) => Region,
        _ => Never,
    }
}

fn takes(role: Role, command: Command) -> bool {
    State::ALL.iter().filter_map(|state| workflow::edge(*state, command)).any(|edge| edge.roles.contains(&role))
}

/// The right to do one thing, once; only [`authorize`] makes it.
#[derive(Debug)]
pub struct Permit {
    roles: Vec<Role>,
}

impl Permit {
    /// The roles that gave it.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }
}

/// No role of this person reaches that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no role of this account allows that here")]
pub struct Denied;

/// Asks the table for one resource.
pub fn authorize(person: &Person, action: Action, resource: Resource<'_>, now: Timestamp) -> Result<Permit, Denied> {
    let grants = scope(person, action, now);
    let roles: Vec<Role> = grants.0.iter().filter(|grant| grant.covers(resource)).map(|grant| grant.role).collect();
    if roles.is_empty() { Err(Denied) } else { Ok(Permit { roles }) }
}

/// All that a person may do an action on; empty when it may not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(pub Vec<Grant>);

/// One part of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role it comes from.
    pub role: Role,
    /// The region.
    pub region: String,
    /// Only incidents given to this department.
    pub department: Option<String>,
    /// Only incidents this account was sent to.
    pub checker: Option<String>,
}

impl Scope {
    /// True when the resource is within.
    pub fn covers(&self, resource: Resource<'_>) -> bool {
        self.0.iter().any(|grant| grant.covers(resource))
    }
}

impl Grant {
    fn covers(&self, resource: Resource<'_>) -> bool {
        let mine = |wanted: &Option<String>, given: Option<&str>| wanted.is_none() || wanted.as_deref() == given;
        resource.region.starts_with(&self.region)
            && mine(&self.department, resource.department)
            && mine(&self.checker, resource.checker)
    }
}

/// Asks the table for everything at once.
pub fn scope(person: &Person, action: Action, now: Timestamp) -> Scope {
    let mut grants = Vec::new();
    for assignment in &person.assignments {
        if assignment.valid_until.is_some_and(|end| end <= now) {
            continue;
        }
        let role = assignment.role;
        let own = match reach(role, action) {
            Reach::Never => continue,
            Reach::Region => (None, None),
            Reach::Own if role == Role::GridWorker => (None, Some(person.account.clone())),
            // A liaison without a department has nothing of its own.
            Reach::Own => match &person.department {
                Some(department) => (Some(department.clone()), None),
                None => continue,
            },
        };
        let (department, checker) = own;
        grants.push(Grant { role, region: assignment.region.clone(), department, checker });
    }
    Scope(grants)
}
