//! What people rely on, case by case.

use xueliang_alerting::{
    access::{Action, Approval, Assignment, Context, Denied, Grant, Kind, Purpose, Resource, Scope},
    workflow::{Command, Role},
};

use crate::{ACCESS, after, given, grant, now, person, ready};

fn incident(region: &str) -> Resource<'_> {
    Resource { id: "thing", ..Resource::new(Kind::Incident, region) }
}

fn handling() -> Context<'static> {
    Context { has_reason: true, ..Context::new(now(), Some(after(1))).for_purpose(Purpose::IncidentHandling) }
}

fn denied_by(role: Role, action: Action, resource: Resource<'_>, context: Context<'_>) -> Vec<String> {
    let person = person(&[given(role, "3402")]);
    match ACCESS.authorize(&person, action, resource, context) {
        Ok(permit) => panic!("{role:?} {action:?} is permitted by {:?}", permit.rules()),
        Err(denied) => denied.rules().to_vec(),
    }
}

#[test]
fn assignments_bind_role_region_and_time_together() {
    let ends = |assignment, at| Assignment { valid_until: Some(at), ..assignment };
    let centre = person(&[
        given(Role::Operator, "3402"),
        given(Role::Supervisor, "340299"),
        ends(given(Role::Dispatcher, "3402"), now()),
        ends(given(Role::Dispatcher, "3403"), after(1)),
    ]);
    let check = |command, region, permitted: bool| {
        let permit = ACCESS.authorize(&centre, Action::Command(command), incident(region), handling());
        assert_eq!(permit.is_ok(), permitted, "{command:?} {region}");
    };
    check(Command::Report, "340203001002003", true);
    check(Command::Report, "3405", false);
    check(Command::Close, "340203", false);
    check(Command::Close, "340299001", true);
    check(Command::File, "340203", false);
    check(Command::File, "340301", true);
}

#[test]
fn a_permit_names_what_gave_it() {
    let centre =
        person(&[given(Role::Operator, "3402"), given(Role::Supervisor, "340299"), given(Role::Dispatcher, "3403")]);
    let permit = ACCESS.authorize(&centre, Action::ReadIncident, incident("340299"), handling()).unwrap();
    assert_eq!(permit.roles(), [Role::Operator, Role::Supervisor]);
    assert_eq!(permit.assignments(), &centre.assignments[..2]);
    assert_eq!(permit.rules(), ["centre-watch"]);
}

#[test]
fn own_is_by_department_or_by_task() {
    let check = |role, action, resource: Resource<'_>, permitted: bool| {
        let person = person(&[given(role, "3402")]);
        let permit = ACCESS.authorize(&person, action, resource, handling());
        assert_eq!(permit.is_ok(), permitted, "{role:?} {action:?} {resource:?}");
    };
    let here = incident("340203");
    let ours = Resource { department: Some("roads"), ..here };
    let handle = Action::Command(Command::Handle);
    check(Role::DeptLiaison, handle, ours, true);
    check(Role::DeptLiaison, handle, Resource { department: Some("water"), ..here }, false);
    check(Role::DeptLiaison, handle, here, false);
    check(Role::DeptLiaison, handle, Resource { region: "3403", ..ours }, false);
    let sent = Resource { checker: Some("me"), ..here };
    let verifies = Resource { verifier: Some("me"), ..here };
    let reported = Resource { reporter: Some("me"), ..here };
    let checked = Action::Command(Command::Checked);
    check(Role::GridWorker, checked, sent, true);
    check(Role::GridWorker, checked, Resource { checker: Some("other"), ..here }, false);
    check(Role::GridWorker, checked, verifies, false);
    check(Role::GridWorker, Action::ViewStill, sent, true);
    check(Role::GridWorker, Action::ViewStill, verifies, true);
    check(Role::GridWorker, Action::ViewStill, reported, false);
    check(Role::GridWorker, Action::ReadIncident, reported, true);
    check(Role::GridWorker, Action::ReadIncident, here, false);
}

#[test]
fn p18_reading_needs_a_fitting_purpose_and_pictures_a_reason() {
    let context = handling();
    let by = |action, context| denied_by(Role::Operator, action, incident("3402"), context);
    assert_eq!(by(Action::ReadIncident, Context { purpose: None, ..context }), ["P18-purpose-of-incidents"]);
    let curious = context.for_purpose(Purpose::AggregateStatistics);
    assert_eq!(by(Action::ViewStill, curious), ["P18-purpose-of-incidents"]);
    assert_eq!(by(Action::ViewStill, Context { has_reason: false, ..context }), ["P18-reason"]);
    let operator = person(&[given(Role::Operator, "3402")]);
    let unreasoned = Context { has_reason: false, ..context };
    assert!(ACCESS.authorize(&operator, Action::ReadIncident, incident("3402"), unreasoned).is_ok());
}

#[test]
fn p20_an_expired_training_record_stops_everything_a_person_does() {
    for action in Action::all() {
        for kind in action.kinds() {
            for role in Role::ALL.iter().filter(|role| !role.is_service()) {
                for training_valid_until in [None, Some(now())] {
                    let grant = grant(action, Purpose::IncidentHandling);
                    let context = Context { training_valid_until, ..ready(Purpose::IncidentHandling, &grant) };
                    let resource = Resource { id: "thing", ..Resource::new(*kind, "3402") };
                    let rules = denied_by(*role, action, resource, context);
                    assert!(rules.contains(&"P20-training".to_owned()), "{role:?} {action:?} {rules:?}");
                }
            }
        }
    }
}

#[test]
fn p25_an_integrator_sees_health_and_no_picture() {
    let maintenance = handling().for_purpose(Purpose::DeviceMaintenance);
    let integrator = person(&[given(Role::CameraIntegrator, "3402")]);
    for action in [Action::ReadDevices, Action::RegisterCamera, Action::Calibrate] {
        let camera = Resource::new(Kind::Device, "340203");
        assert!(ACCESS.authorize(&integrator, action, camera, maintenance).is_ok(), "{action:?}");
    }
    for action in [Action::ViewStill, Action::ViewOriginal, Action::ReadAttachment, Action::Export, Action::Release] {
        for purpose in Purpose::ALL {
            let grant = grant(action, *purpose);
            let thing = Resource { id: "thing", ..Resource::new(action.kinds()[0], "340203") };
            let rules = denied_by(Role::CameraIntegrator, action, thing, ready(*purpose, &grant));
            assert!(rules.contains(&"P25-integrator-imagery".to_owned()), "{action:?} {rules:?}");
        }
    }
}

#[test]
fn p29_an_account_with_two_administrators_does_nothing() {
    let both = person(&[given(Role::SystemAdmin, "3402"), given(Role::AuditAdmin, "3402")]);
    let audit = Resource::new(Kind::Audit, "3402");
    let context = handling().for_purpose(Purpose::ComplianceAudit);
    let denied = ACCESS.authorize(&both, Action::ReadAudit, audit, context).unwrap_err();
    assert!(matches!(denied, Denied::Conflict(_)), "{denied:?}");
    assert_eq!(ACCESS.scope(&both, Action::ReadAudit, context), Scope::default());
    // One that has ended conflicts with nothing.
    let ended = Assignment { valid_until: Some(now()), ..given(Role::SystemAdmin, "3402") };
    let one = person(&[ended, given(Role::AuditAdmin, "3402")]);
    assert!(ACCESS.authorize(&one, Action::ReadAudit, audit, context).is_ok());
    // Nobody gives roles to himself.
    let own = Resource { id: "me", ..Resource::new(Kind::Account, "3402") };
    assert_eq!(denied_by(Role::SystemAdmin, Action::ManageAccounts, own, context), ["P29-own-account"]);
}

#[test]
fn p32_no_machine_moves_an_incident_but_to_count_it() {
    for role in Role::ALL.iter().filter(|role| role.is_service()) {
        for command in Command::ALL.iter().filter(|command| **command != Command::Evaluate) {
            let rules = denied_by(*role, Action::Command(*command), incident("3402"), handling());
            assert!(rules.contains(&"P32-no-machine-decides".to_owned()), "{role:?} {command:?}");
        }
    }
    let job = person(&[given(Role::Job, "3402")]);
    assert!(ACCESS.authorize(&job, Action::Command(Command::Evaluate), incident("3402"), handling()).is_ok());
}

#[test]
fn each_service_does_one_thing() {
    for role in Role::ALL.iter().filter(|role| role.is_service()) {
        let service = person(&[given(*role, "3402")]);
        let permitted = Action::all().filter(|action| {
            action.kinds().iter().any(|kind| {
                Purpose::ALL.iter().any(|purpose| {
                    let grant = grant(*action, *purpose);
                    let thing = Resource { id: "thing", ..Resource::new(*kind, "3402") };
                    ACCESS.authorize(&service, *action, thing, ready(*purpose, &grant)).is_ok()
                })
            })
        });
        assert_eq!(permitted.count(), 1, "{role:?}");
    }
}

#[test]
fn raw_needs_a_grant_of_four_eyes_that_fits() {
    let purpose = Purpose::StatutoryRequest;
    let sound = grant(Action::ViewOriginal, purpose);
    let operator = person(&[given(Role::Operator, "3402")]);
    let thing = incident("340203");
    let permit = |grant: &Grant, context: Context<'_>| {
        ACCESS.authorize(&operator, Action::ViewOriginal, thing, Context { grant: Some(grant), ..context })
    };
    let context = ready(purpose, &sound);
    assert!(permit(&sound, context).is_ok());
    let check = |change: fn(&mut Grant), rule: &str| {
        let mut unfit = sound.clone();
        change(&mut unfit);
        let denied = permit(&unfit, context).unwrap_err();
        assert!(denied.rules().contains(&rule.to_owned()), "{rule}: {denied:?}");
    };
    check(|grant| grant.account = "other".to_owned(), "four-eyes-grant");
    check(|grant| grant.object = "another".to_owned(), "four-eyes-grant");
    check(|grant| grant.action = Action::Export, "four-eyes-grant");
    check(|grant| grant.purpose = Purpose::EmergencyResponse, "four-eyes-grant");
    check(|grant| grant.granted_at = after(1), "four-eyes-grant");
    check(|grant| grant.expires_at = now(), "four-eyes-grant");
    check(|grant| grant.expires_at = after(4 * 3600 + 1), "four-eyes-approvers");
    check(|grant| grant.range.0 = after(-3599), "four-eyes-range");
    check(|grant| grant.range.1 = after(-1801), "four-eyes-range");
    check(|grant| grant.approval = Approval::BreakGlass, "break-glass-bounds");
    let approvers: [fn(&mut Grant); 3] = [
        |grant| grant.approval = approved("other", "other"),
        |grant| grant.approval = approved("me", "third"),
        |grant| grant.approval = approved("other", "me"),
    ];
    for change in approvers {
        check(change, "four-eyes-approvers");
    }
    let none = Context { grant: None, ..context };
    assert_eq!(denied_by(Role::Operator, Action::ViewOriginal, thing, none), ["four-eyes-grant"]);
    let unranged = permit(&sound, Context { range: None, ..context }).unwrap_err();
    assert_eq!(unranged.rules(), ["four-eyes-range"]);
}

fn approved(supervisor: &str, privacy_officer: &str) -> Approval {
    Approval::FourEyes { supervisor: supervisor.to_owned(), privacy_officer: privacy_officer.to_owned() }
}

#[test]
fn glass_is_broken_by_a_supervisor_in_an_emergency_and_reviewed_before_the_next() {
    let emergency = handling().for_purpose(Purpose::EmergencyResponse);
    let supervisor = person(&[given(Role::Supervisor, "3402")]);
    let here = incident("340203");
    assert!(ACCESS.authorize(&supervisor, Action::BreakGlass, here, emergency).is_ok());
    let unreviewed = Context { unreviewed_break_glass: true, ..emergency };
    assert_eq!(denied_by(Role::Supervisor, Action::BreakGlass, here, unreviewed), ["break-glass"]);
    assert_eq!(denied_by(Role::Supervisor, Action::BreakGlass, here, handling()), ["break-glass"]);
    let taken = Grant {
        approval: Approval::BreakGlass,
        expires_at: after(900),
        ..grant(Action::ViewOriginal, Purpose::EmergencyResponse)
    };
    let context = ready(Purpose::EmergencyResponse, &taken);
    assert!(ACCESS.authorize(&supervisor, Action::ViewOriginal, here, context).is_ok());
    let longer = Grant { expires_at: after(901), ..taken.clone() };
    let longer = Context { grant: Some(&longer), ..context };
    assert_eq!(denied_by(Role::Supervisor, Action::ViewOriginal, here, longer), ["break-glass-bounds"]);
    let export = Grant { action: Action::Export, ..taken.clone() };
    let export = Context { grant: Some(&export), ..context };
    assert_eq!(denied_by(Role::Supervisor, Action::Export, here, export), ["break-glass-bounds"]);
}

#[test]
fn nobody_approves_an_own_request_twice_or_late() {
    let approvers = ["me".to_owned()];
    let request = Resource {
        requester: Some("other"),
        requested_at: Some(after(-86_400)),
        ..Resource::new(Kind::Grant, "340203")
    };
    for role in [Role::Supervisor, Role::PrivacyOfficer] {
        let approver = person(&[given(role, "3402")]);
        assert!(ACCESS.authorize(&approver, Action::ApproveGrant, request, handling()).is_ok(), "{role:?}");
        let by = |request| denied_by(role, Action::ApproveGrant, request, handling());
        assert_eq!(by(Resource { requester: Some("me"), ..request }), ["four-eyes-own-request"]);
        assert_eq!(by(Resource { requester: None, ..request }), ["four-eyes-own-request"]);
        assert_eq!(by(Resource { approvers: &approvers, ..request }), ["four-eyes-approved-twice"]);
        assert_eq!(by(Resource { requested_at: Some(after(-86_401)), ..request }), ["four-eyes-pending-24h"]);
    }
}

#[test]
fn who_reported_neither_dispatches_nor_closes() {
    let all =
        person(&[given(Role::Operator, "3402"), given(Role::Dispatcher, "3402"), given(Role::Supervisor, "3402")]);
    let mine = Resource { reporter: Some("me"), ..incident("340203") };
    let handled = Resource { handler: Some("me"), ..incident("340203") };
    let check = |command, resource, permitted: bool| {
        let permit = ACCESS.authorize(&all, Action::Command(command), resource, handling());
        assert_eq!(permit.is_ok(), permitted, "{command:?} {resource:?}");
    };
    check(Command::Dispatch, mine, false);
    check(Command::Redispatch, mine, false);
    check(Command::Close, mine, false);
    check(Command::Close, handled, false);
    check(Command::Dispatch, incident("340203"), true);
    check(Command::Close, incident("340203"), true);
}
