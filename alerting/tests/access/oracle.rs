//! RULES B written a second time, by hand and without Cedar: what the policies are compared with.

use jiff::{SignedDuration, Timestamp};
use xueliang_alerting::{
    access::{Action, Approval, Assignment, Context, Kind, Person, Purpose, Resource},
    workflow::{Command, Role},
};

use Action as A;

pub fn permits(person: &Person, action: Action, thing: Resource<'_>, context: Context<'_>) -> bool {
    let live = |given: &&Assignment| given.valid_until.is_none_or(|end| context.now < end);
    let live: Vec<&Assignment> = person.assignments.iter().filter(live).collect();
    let apart = live.iter().any(|one| live.iter().any(|other| !together(one.role, other.role)));
    !apart && live.into_iter().any(|given| permits_by(person, given, action, thing, context))
}

/// The roles that may do something like it somewhere.
pub fn roles(action: Action) -> Vec<Role> {
    let may = |role: &Role| action.kinds().iter().any(|kind| !matches!(reach(*role, action, *kind), Reach::No));
    Role::ALL.iter().copied().filter(may).collect()
}

fn together(one: Role, other: Role) -> bool {
    const CENTRE: [Role; 3] = [Role::Operator, Role::Dispatcher, Role::Supervisor];
    one == other || (CENTRE.contains(&one) && CENTRE.contains(&other))
}

fn permits_by(person: &Person, given: &Assignment, action: Action, thing: Resource<'_>, context: Context<'_>) -> bool {
    let is_service = SERVICES.contains(&given.role);
    let is_trained = context.training_valid_until.is_some_and(|end| context.now < end);
    let is_level = [4, 6, 9, 12, 15].contains(&given.region.len());
    let me = Some(person.account.as_str());
    let is_reached = match reach(given.role, action, thing.kind) {
        Reach::No => false,
        Reach::Region => true,
        Reach::Department => person.department.is_some() && person.department.as_deref() == thing.department,
        Reach::Sent => thing.checker == me,
        Reach::Task => thing.checker == me || thing.verifier == me,
        Reach::TaskOrReport => thing.checker == me || thing.verifier == me || thing.reporter == me,
    };
    is_level
        && thing.region.starts_with(&given.region)
        && thing.region.chars().all(|c| c.is_ascii_digit())
        && (is_service || is_trained)
        && is_reached
        && purposes(action).is_none_or(|fitting| context.purpose.is_some_and(|purpose| fitting.contains(&purpose)))
        && (context.has_reason || !needs_reason(action))
        && (!needs_grant(action) || has_grant(person, given.role, action, thing, context))
        && keeps_apart(person, action, thing, context)
}

const SERVICES: [Role; 7] = [
    Role::Job,
    Role::IngestWorker,
    Role::Notifier,
    Role::ReportExport,
    Role::Sweeper,
    Role::IncidentReader,
    Role::DeviceReader,
];

enum Reach {
    No,
    Region,
    Department,
    Sent,
    Task,
    TaskOrReport,
}

fn reach(role: Role, action: Action, kind: Kind) -> Reach {
    use Command as C;
    let is = |holds: bool, reach| if holds { reach } else { Reach::No };
    match role {
        Role::GridWorker => match action {
            A::ReadIncident | A::Comment | A::Attach => Reach::TaskOrReport,
            A::ViewStill | A::ReadAttachment => Reach::Task,
            A::Command(C::Checked) => Reach::Sent,
            A::ReportIncident => Reach::Region,
            _ => Reach::No,
        },
        Role::Operator | Role::Dispatcher | Role::Supervisor => {
            let shared = match action {
                A::ReadIncident | A::ViewStill | A::ReadAttachment | A::ReadDevices => true,
                A::ReadRules | A::Comment | A::ViewOriginal => true,
                A::RequestGrant => kind == Kind::Incident,
                _ => false,
            };
            is(shared || own(role, action), Reach::Region)
        }
        Role::DeptLiaison => match action {
            A::ReadIncident | A::ViewStill | A::ReadAttachment | A::Comment | A::Attach | A::Acknowledge => {
                Reach::Department
            }
            A::Command(C::Return | C::Handle | C::Feedback | C::Rework) => Reach::Department,
            _ => Reach::No,
        },
        Role::CameraIntegrator => {
            is(matches!(action, A::ReadDevices | A::RegisterCamera | A::Calibrate), Reach::Region)
        }
        Role::PrivacyOfficer => {
            let decides = matches!(action, A::ApproveGrant | A::ReviewBreakGlass | A::SetMasks | A::SetRetention);
            is(decides || matches!(action, A::ReadDevices | A::ReadRules), Reach::Region)
        }
        Role::Auditor => is(matches!(action, A::ReadAudit | A::VerifyAudit | A::ReadRules), Reach::Region),
        Role::SystemAdmin => {
            is(matches!(action, A::ManageAccounts | A::ChangeRules | A::ReadRules | A::ReadDevices), Reach::Region)
        }
        Role::SecurityAdmin => {
            let asks = action == A::RequestGrant && kind == Kind::Deployment;
            is(asks || matches!(action, A::ManagePolicy | A::ReadRules), Reach::Region)
        }
        Role::AuditAdmin => is(matches!(action, A::ReadAudit | A::VerifyAudit), Reach::Region),
        Role::Job => is(action == A::Command(C::Evaluate), Reach::Region),
        Role::IngestWorker => is(action == A::PushEvents, Reach::Region),
        Role::Notifier => is(action == A::Notify, Reach::Region),
        Role::ReportExport => is(action == A::MakeReport, Reach::Region),
        Role::Sweeper => is(action == A::DeleteExpired, Reach::Region),
        Role::IncidentReader => is(action == A::ReadIncident, Reach::Region),
        Role::DeviceReader => is(action == A::ReadDevices, Reach::Region),
    }
}

/// What only one of the centre's roles does.
fn own(role: Role, action: Action) -> bool {
    use Command as C;
    match role {
        Role::Operator => matches!(action, A::ReportIncident | A::Attach | A::Command(C::Discard | C::Report)),
        Role::Dispatcher => match action {
            A::Command(C::Check | C::Void | C::File | C::Dispatch | C::Redispatch) => true,
            A::Command(C::Arbitrate | C::Rework | C::Verify) => true,
            other => other == A::ReadStatistics,
        },
        Role::Supervisor => match action {
            A::Command(C::Redispatch | C::Reject | C::Close | C::Suspend | C::Resume | C::Reopen) => true,
            A::Supervise | A::Acknowledge | A::ApproveGrant | A::BreakGlass | A::ReadStatistics => true,
            other => matches!(other, A::Export | A::Release | A::Hold),
        },
        _ => false,
    }
}

fn purposes(action: Action) -> Option<&'static [Purpose]> {
    use Purpose as P;
    match action {
        A::ReadIncident | A::ViewStill | A::ReadAttachment => {
            Some(&[P::PublicSafetyWatch, P::IncidentHandling, P::EmergencyResponse])
        }
        A::ViewOriginal | A::Export | A::Release => {
            Some(&[P::IncidentHandling, P::EmergencyResponse, P::StatutoryRequest, P::DataSubjectAccess])
        }
        A::BreakGlass => Some(&[P::EmergencyResponse]),
        A::ReadDevices => {
            Some(&[P::PublicSafetyWatch, P::IncidentHandling, P::EmergencyResponse, P::DeviceMaintenance])
        }
        A::ReadRules => Some(&[P::PublicSafetyWatch, P::DeviceMaintenance, P::ComplianceAudit]),
        A::ReadAudit | A::VerifyAudit => Some(&[P::ComplianceAudit]),
        A::ReadStatistics | A::MakeReport => Some(&[P::AggregateStatistics]),
        _ => None,
    }
}

fn needs_reason(action: Action) -> bool {
    needs_grant(action)
        || matches!(action, A::ViewStill | A::ReadAttachment | A::RequestGrant | A::BreakGlass | A::Supervise)
}

fn needs_grant(action: Action) -> bool {
    matches!(action, A::ViewOriginal | A::Export | A::Release | A::Hold | A::ManagePolicy)
}

fn has_grant(person: &Person, role: Role, action: Action, thing: Resource<'_>, context: Context<'_>) -> bool {
    let Some(grant) = context.grant else { return false };
    let lasts = |from: Timestamp, until: Timestamp| until.duration_since(from);
    let approved = match &grant.approval {
        Approval::FourEyes { supervisor, privacy_officer } => {
            supervisor != privacy_officer
                && *supervisor != grant.account
                && *privacy_officer != grant.account
                && lasts(grant.granted_at, grant.expires_at) <= SignedDuration::from_hours(4)
        }
        Approval::BreakGlass => {
            role == Role::Supervisor
                && action == A::ViewOriginal
                && grant.purpose == Purpose::EmergencyResponse
                && lasts(grant.granted_at, grant.expires_at) <= SignedDuration::from_mins(15)
        }
    };
    let in_range = match (action, context.range) {
        (A::Hold | A::ManagePolicy, _) => true,
        (_, Some((from, until))) => from <= until && grant.range.0 <= from && until <= grant.range.1,
        (_, None) => false,
    };
    approved
        && in_range
        && grant.action == action
        && grant.account == person.account
        && !thing.id.is_empty()
        && grant.object == thing.id
        && Some(grant.purpose) == context.purpose
        && grant.granted_at <= context.now
        && context.now < grant.expires_at
}

/// What depends on who did what before.
fn keeps_apart(person: &Person, action: Action, thing: Resource<'_>, context: Context<'_>) -> bool {
    let me = Some(person.account.as_str());
    let is_others = thing.requester.is_some() && thing.requester != me;
    match action {
        A::Command(Command::Dispatch | Command::Redispatch) => thing.reporter != me,
        A::Command(Command::Close) => thing.reporter != me && thing.handler != me,
        A::ManageAccounts => thing.id != person.account,
        A::BreakGlass => !context.unreviewed_break_glass,
        A::ReviewBreakGlass => is_others,
        A::ApproveGrant => {
            let in_time =
                thing.requested_at.is_some_and(|at| context.now.duration_since(at) <= SignedDuration::from_hours(24));
            is_others && in_time && !thing.approvers.contains(&person.account)
        }
        _ => true,
    }
}
