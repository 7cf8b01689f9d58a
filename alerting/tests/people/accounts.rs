//! Accounts as an administrator changes them while alerting runs.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use reqwest::StatusCode;
use xueliang_alerting::{
    access::Assignment,
    accounts::administration::{Administration, AdministrationError, NewAccount},
    workflow::Role,
};

use crate::{Box, Site, on_both};

on_both!(
    an_account_is_made_given_roles_trained_and_disabled_while_alerting_runs,
    p29_roles_of_different_people_never_meet_in_one_account,
    what_can_not_be_is_refused_with_its_cure,
);

fn given(role: Role, region: &str) -> Assignment {
    Assignment { role, region: region.to_owned(), valid_until: None }
}

fn new(account: &str, role: Role) -> NewAccount {
    NewAccount {
        account: account.to_owned(),
        display_name: "值守".to_owned(),
        department: None,
        assignment: given(role, "340203"),
        training: None,
    }
}

fn days_from_now(days: i32) -> Date {
    let today = Timestamp::now().to_zoned(TimeZone::get("Asia/Shanghai").unwrap()).date();
    today.checked_add(Span::new().days(days)).unwrap()
}

async fn administration(site: &Site) -> Administration {
    Administration::open(&site.settings(""), "local:tester", Some("drill".to_owned())).await.unwrap()
}

async fn an_account_is_made_given_roles_trained_and_disabled_while_alerting_runs(site: &Site) {
    let alerting = Box::start(site).await;
    let admin = administration(site).await;
    let name = || "li.2".to_owned();
    let password = admin.add(new("li.2", Role::Operator), None).await.unwrap().unwrap();
    let operator = alerting.sign_in("li.2", &password).await;
    assert_eq!(alerting.get(&operator, "/api/v1/incidents").await, StatusCode::FORBIDDEN, "not trained yet");
    let training = admin.training(days_from_now(0), days_from_now(-1)).unwrap();
    admin.train(name(), training).await.unwrap();
    assert_eq!(alerting.get(&operator, "/api/v1/incidents").await, StatusCode::OK, "at once, to the end of the day");

    // Each change of what it may do ends its sessions.
    let check_ended = async |http, expected| assert_eq!(alerting.get(http, "/api/v1/session").await, expected);
    admin.assign(name(), given(Role::Dispatcher, "340203001")).await.unwrap();
    check_ended(&operator, StatusCode::UNAUTHORIZED).await;
    let operator = alerting.sign_in("li.2", &password).await;
    admin.revoke(name(), (Role::Dispatcher, "340203001".to_owned())).await.unwrap();
    check_ended(&operator, StatusCode::UNAUTHORIZED).await;
    let operator = alerting.sign_in("li.2", &password).await;
    assert_eq!(admin.set_password(name(), Some("correct horse".to_owned())).await.unwrap(), None);
    check_ended(&operator, StatusCode::UNAUTHORIZED).await;
    let operator = alerting.sign_in("li.2", "correct horse").await;
    admin.disable(name()).await.unwrap();
    check_ended(&operator, StatusCode::UNAUTHORIZED).await;
    let http = reqwest::Client::new();
    let refused = alerting.try_sign_in(&http, "li.2", "correct horse").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    admin.enable(name()).await.unwrap();
    alerting.sign_in("li.2", "correct horse").await;

    let accounts = admin.accounts().await.unwrap();
    let (li, locked_until) = accounts.iter().find(|(account, _)| account.person.account == "li.2").unwrap();
    assert_eq!((li.signed_on, li.disabled_at, *locked_until), (Some(days_from_now(-1)), None, None));
    let (first, _) = accounts.iter().find(|(account, _)| account.person.account == "operator").unwrap();
    assert_eq!(first.signed_on, None, "nobody has signed for the first accounts");
    assert!(first.person.training_valid_until.is_some());

    let audit = site.audit().await;
    let changes: Vec<&String> = audit.iter().filter(|row| row.starts_with("local:tester")).collect();
    let (until, signed) = (days_from_now(0), days_from_now(-1));
    let expected = [
        "add_account account/li.2/operator@340203".to_owned(),
        format!("record_training account/li.2/until {until}, signed {signed}"),
        "assign_role account/li.2/dispatcher@340203001".to_owned(),
        "revoke_role account/li.2/dispatcher@340203001".to_owned(),
        "set_password account/li.2".to_owned(),
        "disable_account account/li.2".to_owned(),
        "enable_account account/li.2".to_owned(),
    ];
    assert_eq!(changes, expected.map(|row| format!("local:tester {row} permit")).iter().collect::<Vec<_>>());
    alerting.stop().await;
}

async fn p29_roles_of_different_people_never_meet_in_one_account(site: &Site) {
    let admin = administration(site).await;
    let administrators = [Role::SystemAdmin, Role::SecurityAdmin, Role::AuditAdmin];
    for role in administrators {
        admin.add(new(&role.as_str().replace('_', "-"), role), None).await.unwrap();
    }
    let conflict = async |account: &str, assignment: Assignment| {
        let refused = admin.assign(account.to_owned(), assignment).await;
        assert!(matches!(refused, Err(AdministrationError::Conflict(_))), "{account}: {refused:?}");
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("must be different people (RULES P29)"), "{said}");
    };
    for role in administrators {
        let account = role.as_str().replace('_', "-");
        for other in Role::ALL.iter().filter(|other| **other != role && !other.is_service()) {
            // Not even elsewhere.
            if *other != Role::DeptLiaison {
                conflict(&account, given(*other, "3499")).await;
            }
        }
        // The same role elsewhere is the same person's.
        admin.assign(account, given(role, "340204")).await.unwrap();
    }
    // One that has ended conflicts with nothing.
    admin.add(new("was-operator", Role::Operator), None).await.unwrap();
    conflict("was-operator", given(Role::Auditor, "340203")).await;
    site.change("UPDATE assignment SET valid_until = 1 WHERE account = 'was-operator'").await;
    admin.assign("was-operator".to_owned(), given(Role::Auditor, "340203")).await.unwrap();
    // Nor can the ended one be given an end to come.
    conflict("was-operator", given(Role::Operator, "340203")).await;
    let refused = site.audit().await.into_iter().filter(|row| row.ends_with(" deny")).count();
    assert_eq!(refused, 3 * 9 + 2, "what was tried is registered");
}

async fn what_can_not_be_is_refused_with_its_cure(site: &Site) {
    let admin = administration(site).await;
    let check = |refused: Result<(), AdministrationError>, expected: &str| {
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    };
    let add = async |new: NewAccount| admin.add(new, None).await.map(|_| ());
    for name in ["", "Li", "li/2", "local:root", "token:x", "-li", "li li", &"a".repeat(65)] {
        check(add(new(name, Role::Operator)).await, "can't be a name");
    }
    add(new("li", Role::Operator)).await.unwrap();
    check(add(new("li", Role::Operator)).await, "there is one named \"li\" already");
    check(add(NewAccount { display_name: " ".to_owned(), ..new("a", Role::Operator) }).await, "the display name");
    check(add(new("a", Role::Notifier)).await, "xueliang token add");
    check(add(new("a", Role::DeptLiaison)).await, "--department");
    check(add(NewAccount { assignment: given(Role::Operator, "34"), ..new("a", Role::Operator) }).await, "digits");
    let short = admin.add(new("a", Role::Operator), Some("short".to_owned())).await.map(|_| ());
    check(short, "at least 12 characters");
    check(admin.assign("nobody".to_owned(), given(Role::Operator, "3402")).await, "there is no account \"nobody\"");
    check(admin.assign("li".to_owned(), given(Role::DeptLiaison, "3402")).await, "--department");
    check(admin.revoke("li".to_owned(), (Role::Operator, "3402".to_owned())).await, "does not have operator");
    check(admin.enable("li".to_owned()).await, "enabled already");
    check(admin.training(days_from_now(-1), days_from_now(-2)).map(|_| ()), "is over already");
    check(admin.training(days_from_now(9), days_from_now(1)).map(|_| ()), "has not come yet");
    check(admin.training(days_from_now(3 * 366 + 1), days_from_now(0)).map(|_| ()), "more than 3 years");
    assert_eq!(site.audit().await.len(), 1, "what was refused changed nothing");
}
