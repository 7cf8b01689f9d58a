//! The policies against the oracle, and scopes against the policies.

use std::{cell::RefCell, collections::BTreeMap};

use proptest::test_runner::{Config, TestError, TestRunner};
use xueliang_alerting::access::{Action, Denied};

use crate::{
    ACCESS,
    cases::{Case, cases},
    oracle,
};

#[test]
fn p18_policies_say_what_the_oracle_says() {
    let seen = counted(8000, Action::all().collect(), |case| {
        let expected = oracle::permits(&case.person, case.action, case.thing(), case.context());
        let answer = ACCESS.authorize(&case.person, case.action, case.thing(), case.context());
        assert_ne!(answer.as_ref().err(), Some(&Denied::Alarm));
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        expected
    });
    // The cases reach both answers of every action.
    for action in Action::all() {
        let [n_denied, n_permitted] = seen.get(action.as_str()).copied().unwrap_or_default();
        assert!(n_denied > 0 && n_permitted > 0, "{action:?}: {n_permitted} permitted, {n_denied} denied");
    }
}

/// The actions of lists.
const LISTED: [Action; 8] = [
    Action::ReadIncident,
    Action::ViewStill,
    Action::ReadAttachment,
    Action::ReadDevices,
    Action::ReadRules,
    Action::ReadAudit,
    Action::VerifyAudit,
    Action::ReadStatistics,
];

#[test]
fn a_scope_covers_exactly_what_is_permitted() {
    let seen = counted(3000, LISTED.to_vec(), |case| {
        let scope = ACCESS.scope(&case.person, case.action, case.context());
        let permitted = ACCESS.authorize(&case.person, case.action, case.thing(), case.context()).is_ok();
        assert_eq!(scope.covers(case.thing()), permitted, "{scope:?}");
        permitted
    });
    for action in LISTED {
        let [n_denied, n_permitted] = seen.get(action.as_str()).copied().unwrap_or_default();
        assert!(n_denied > 0 && n_permitted > 0, "{action:?}: {n_permitted} permitted, {n_denied} denied");
    }
}

#[test]
fn actions_that_no_list_shows_have_an_empty_scope() {
    counted(500, Action::all().filter(|action| !LISTED.contains(action)).collect(), |case| {
        assert!(ACCESS.scope(&case.person, case.action, case.context()).0.is_empty());
        false
    });
}

/// Runs cases; counts by action how many were denied and permitted.
fn counted(n_cases: u32, actions: Vec<Action>, check: impl Fn(&Case) -> bool) -> BTreeMap<&'static str, [u32; 2]> {
    let seen: RefCell<BTreeMap<&'static str, [u32; 2]>> = RefCell::default();
    let config = Config { cases: n_cases, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&cases(actions), |case| {
        let permitted = check(&case);
        seen.borrow_mut().entry(case.action.as_str()).or_default()[usize::from(permitted)] += 1;
        Ok(())
    });
    match run {
        Ok(()) => seen.into_inner(),
        Err(TestError::Fail(reason, case)) => panic!("{reason}\n{case:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
