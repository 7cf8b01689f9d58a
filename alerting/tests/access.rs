//! Role × action, every cell (RULES B), and the region scope.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

use jiff::Timestamp;
use xueliang_alerting::{
    access::{Action, Assignment, Person, Reach, Resource, authorize, reach},
    workflow::{Command, Role},
};

#[test]
fn table_is_as_reviewed() {
    // One row a role: incident, still, devices, rules (`-` never, `R` region, `O` own), then the commands.
    const TABLE: [(&str, &str, &[&str]); 9] = [
        ("grid_worker", "OO--", &["checked"]),
        ("operator", "RRRR", &["discard", "report"]),
        ("dispatcher", "RRRR", &["check", "void", "file", "dispatch", "redispatch", "arbitrate", "rework", "verify"]),
        ("supervisor", "RRRR", &["redispatch", "reject", "close", "suspend", "resume", "reopen"]),
        ("dept_liaison", "OO--", &["return", "handle", "feedback", "rework"]),
        ("camera_integrator", "--R-", &[]),
        ("privacy_officer", "---R", &[]),
        ("auditor", "---R", &[]),
        ("job", "----", &[]),
    ];
    assert_eq!(TABLE.len(), Role::ALL.len());
    for (role, reads, commands) in TABLE {
        let role = Role::parse(role).unwrap();
        let letter = |action| match reach(role, action) {
            Reach::Never => '-',
            Reach::Region => 'R',
            Reach::Own => 'O',
        };
        let actions = [Action::ReadIncident, Action::ViewStill, Action::ReadDevices, Action::ReadRules];
        assert_eq!(actions.map(letter).iter().collect::<String>(), reads, "{role:?}");
        for command in Command::ALL {
            let may = reach(role, Action::Command(*command)) != Reach::Never;
            assert_eq!(may, commands.contains(&command.as_str()), "{role:?} {command:?}");
        }
    }
}

#[test]
fn assignments_bind_role_region_and_time_together() {
    let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    let earlier: Timestamp = "2026-11-23T07:00:00Z".parse().unwrap();
    let given = |role, region: &str, valid_until| Assignment { role, region: region.to_owned(), valid_until };
    let person = Person {
        account: "me".to_owned(),
        display_name: "me".to_owned(),
        department: Some("roads".to_owned()),
        assignments: vec![
            given(Role::Operator, "3402", None),
            given(Role::Supervisor, "340299", None),
            given(Role::Dispatcher, "3402", Some(earlier)),
            given(Role::DeptLiaison, "3403", None),
            given(Role::GridWorker, "3404", None),
        ],
    };
    let check = |command, region, department, checker, permitted| {
        let resource = Resource { region, department, checker };
        let permit = authorize(&person, Action::Command(command), resource, now);
        assert_eq!(permit.is_ok(), permitted, "{command:?} {region} {department:?} {checker:?}");
    };
    check(Command::Report, "340203001002003", None, None, true);
    check(Command::Report, "3405", None, None, false);
    check(Command::Close, "340203", None, None, false);
    check(Command::Close, "340299001", None, None, true);
    check(Command::File, "340203", None, None, false);
    check(Command::Handle, "340301", Some("roads"), None, true);
    check(Command::Handle, "340301", Some("water"), None, false);
    check(Command::Handle, "340203", Some("roads"), None, false);
    check(Command::Checked, "340401", None, Some("me"), true);
    check(Command::Checked, "340401", None, Some("other"), false);
}
