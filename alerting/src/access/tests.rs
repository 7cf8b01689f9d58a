//! How policies are loaded, and what happens when one can't be evaluated.

use super::*;

const ERRING: &str = r#"
@id("erring")
forbid (principal, action == Action::"read_incident", resource)
when { context.now + 9223372036854775807 > 0 };
"#;

fn access(extra: &str) -> Access {
    let policies = Policies::load(policies::SCHEMA, &format!("{}{extra}", policies::POLICIES)).unwrap();
    Access::with(policies, RegionScheme::default(), IntCounter::new("alarms", "alarms").unwrap())
}

fn person(role: Role) -> Person {
    let assignments = vec![Assignment { role, region: "3402".to_owned(), valid_until: None }];
    Person {
        account: "me".to_owned(),
        display_name: "me".to_owned(),
        department: None,
        assignments,
        training_valid_until: None,
    }
}

fn context() -> Context<'static> {
    let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    Context::new(now, Some(Timestamp::MAX)).for_purpose(Purpose::IncidentHandling)
}

#[test]
fn a_policy_that_errs_denies_and_raises_the_alarm() {
    let incident = Resource::new(Kind::Incident, "340203");
    let operator = person(Role::Operator);
    let sound = access("");
    assert!(sound.authorize(&operator, Action::ReadIncident, incident, context()).is_ok());
    assert_eq!(sound.scope(&operator, Action::ReadIncident, context()).0.len(), 1);
    assert_eq!(sound.0.alarms.get(), 0);

    // Cedar itself would skip the forbid that errs, and permit.
    let erring = access(ERRING);
    let denied = erring.authorize(&operator, Action::ReadIncident, incident, context()).unwrap_err();
    assert_eq!(denied, Denied::Alarm);
    assert_eq!(erring.0.alarms.get(), 1);
    assert_eq!(erring.scope(&operator, Action::ReadIncident, context()), Scope::default());
    assert_eq!(erring.0.alarms.get(), 2);
    // Other actions go on.
    assert!(erring.authorize(&operator, Action::Comment, incident, context()).is_ok());
}

#[test]
fn a_permit_that_errs_denies_even_beside_one_that_holds() {
    let erring = access(&ERRING.replace("forbid", "permit"));
    let incident = Resource::new(Kind::Incident, "340203");
    let denied = erring.authorize(&person(Role::Operator), Action::ReadIncident, incident, context()).unwrap_err();
    assert_eq!(denied, Denied::Alarm);
}

#[test]
fn a_thing_of_the_wrong_kind_is_an_alarm() {
    let access = access("");
    let device = Resource::new(Kind::Device, "340203");
    let denied = access.authorize(&person(Role::Operator), Action::ReadIncident, device, context()).unwrap_err();
    assert_eq!(denied, Denied::Alarm);
    assert_eq!(access.0.alarms.get(), 1);
}

#[test]
fn what_does_not_fit_stops_the_start() {
    let check = |schema: &str, policies: &str, expected: &str| {
        let error = Policies::load(schema, policies).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected), "{expected:?}: {error:?}");
    };
    let (schema, policies) = (policies::SCHEMA, policies::POLICIES);
    check(schema, policies, "");
    check("entity", policies, "schema can't be read");
    check(schema, "permit (principal", "policies can't be read");
    check(schema, "permit (principal, action, resource);", "@id");
    let twice = r#"@id("a") forbid (principal, action, resource);"#;
    check(schema, &twice.repeat(2), "@id");
    // Strict validation: unknown attributes, roles, purposes, actions, and conditions that can never hold.
    let with = |condition: &str| format!("@id(\"a\") permit (principal, action, resource) when {{ {condition} }};");
    check(schema, &with("principal.face == \"x\""), "don't fit their schema");
    check(schema, &with("principal in Role::\"chief\""), "don't fit their schema");
    check(schema, &with("context has purpose && context.purpose == Purpose::\"curiosity\""), "don't fit their schema");
    check(schema, &with("action == Action::\"follow_person\""), "don't fit their schema");
    check(schema, &with("context.now == \"noon\""), "don't fit their schema");
    // Words that only one of schema and program knows.
    let extended = format!(
        "{schema} action \"follow_person\" appliesTo {{ principal: Assignment, resource: Device, context: Asked }};"
    );
    check(&extended, policies, "follow_person is no action");
    check(&schema.replace("\"camera_integrator\", ", ""), &twice.replace("forbid", "permit"), "camera_integrator");
    check(&schema.replace("\"device_maintenance\", ", ""), twice, "device_maintenance");
    check(&schema.replace("\"comment\", ", ""), twice, "comment");
}

#[test]
fn the_policy_hash_changes_with_any_letter() {
    let hash = |extra: &str| access(extra).policy_hash().to_owned();
    assert_eq!(hash(""), hash(""));
    assert_eq!(hash("").len(), 64);
    assert_ne!(hash(""), hash(" "));
}

#[test]
fn slices_leave_out_only_what_names_another_role_or_action() {
    let access = access("");
    let policies = access.policies();
    let ids = |role, action| policies.ids(role, action);
    let close = ids(Role::Dispatcher, Action::Command(crate::workflow::Command::Close));
    for expected in ["never-dispatcher", "own-work-closed", "P20-training", "assignment-ended"] {
        assert!(close.contains(&expected.to_owned()), "{expected}: {close:?}");
    }
    assert!(!close.contains(&"supervisor".to_owned()));
    assert!(ids(Role::CameraIntegrator, Action::ViewOriginal).contains(&"P25-integrator-imagery".to_owned()));
    let all: std::collections::BTreeSet<String> =
        Role::ALL.iter().flat_map(|role| Action::all().flat_map(|action| ids(*role, action))).collect();
    let written = policies::POLICIES.matches("@id(").count();
    assert_eq!(all.len(), written, "a policy concerns nobody");
}
