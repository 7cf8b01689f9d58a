//! Random requests that are often near to what is permitted: few names, few regions, boundary times.

use proptest::{prelude::*, sample::select};
use xueliang_alerting::{
    access::{Action, Approval, Assignment, Context, Grant, Kind, Person, Purpose, Resource},
    workflow::Role,
};

use crate::{after, now, oracle};

/// A request with all that it borrows.
#[derive(Debug, Clone)]
pub struct Case {
    pub person: Person,
    pub action: Action,
    thing: Resource<'static>,
    approvers: Vec<String>,
    context: Context<'static>,
    grant: Option<Grant>,
}

impl Case {
    pub fn thing(&self) -> Resource<'_> {
        Resource { approvers: &self.approvers, ..self.thing }
    }

    pub fn context(&self) -> Context<'_> {
        Context { grant: self.grant.as_ref(), ..self.context }
    }
}

/// Requests for these actions.
pub fn cases(actions: Vec<Action>) -> impl Strategy<Value = Case> {
    select(actions).prop_flat_map(|action| {
        let grant = proptest::option::weighted(0.9, grant(action));
        (person(action), thing(action), context(action), (grant, any::<bool>())).prop_map(
            move |(person, (thing, approvers), mut context, (mut grant, is_sound))| {
                // Every other grant fits, or nothing that needs one would ever be permitted.
                if is_sound && let Some(purpose) = context.purpose {
                    let sound = crate::grant(action, purpose);
                    context.range = Some(sound.range);
                    grant = Some(Grant { account: person.account.clone(), object: thing.id.to_owned(), ..sound });
                }
                Case { person, action, thing, approvers, context, grant }
            },
        )
    })
}

fn account() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just("me"), 1 => Just("other"), 1 => Just("third")].prop_map(str::to_owned)
}

fn somebody() -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::weighted(0.7, select(vec!["me", "other", "third"]))
}

fn department() -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::weighted(0.9, select(vec!["roads", "roads", "water"]))
}

fn region() -> impl Strategy<Value = &'static str> {
    select(vec!["3402", "3402", "340203", "340203001", "340203001002003", "34020", "3403", "340", ""])
}

fn person(action: Action) -> impl Strategy<Value = Person> {
    let role = move || prop_oneof![2 => select(oracle::roles(action)), 1 => select(Role::ALL.to_vec())];
    let end = || proptest::option::weighted(0.3, select(vec![now(), after(1), after(-1), after(86_400)]));
    let given = move || (role(), region(), end());
    // One role in several regions is as common as several roles.
    let several = proptest::collection::vec(given(), 0..3);
    let same = (role(), proptest::collection::vec((region(), end()), 1..4))
        .prop_map(|(role, places)| places.into_iter().map(|(region, end)| (role, region, end)).collect::<Vec<_>>());
    let centre = || select(vec![Role::Operator, Role::Dispatcher, Role::Supervisor]);
    let shift = proptest::collection::vec((centre(), region(), end()), 1..4);
    (account(), department(), prop_oneof![1 => several, 4 => same, 1 => shift]).prop_map(
        |(account, department, assignments)| Person {
            display_name: account.clone(),
            account,
            department: department.map(str::to_owned),
            training_valid_until: None,
            assignments: assignments
                .into_iter()
                .map(|(role, region, valid_until)| Assignment { role, region: region.to_owned(), valid_until })
                .collect(),
        },
    )
}

fn thing(action: Action) -> impl Strategy<Value = (Resource<'static>, Vec<String>)> {
    let region = prop_oneof![
        2 => Just("340203001002003"),
        1 => select(vec!["340203001", "3402", "3403", "3402030", "34020x", ""]),
    ];
    let what = (select(action.kinds().to_vec()), select(vec!["thing", "thing", "thing", "another", "me", ""]), region);
    let ties = (department(), somebody(), somebody(), somebody(), somebody());
    let requester = prop_oneof![3 => Just(Some("other")), 1 => somebody()];
    let request = (
        requester,
        proptest::collection::vec(account(), 0..2),
        proptest::option::weighted(0.9, select(vec![now(), now(), after(-86_400), after(-86_401)])),
    );
    (what, ties, request).prop_map(|((kind, id, region), ties, (requester, approvers, requested_at))| {
        let (department, checker, verifier, reporter, handler) = ties;
        let is_incident = matches!(kind, Kind::Incident | Kind::Attachment);
        let is_grant = kind == Kind::Grant;
        let thing = Resource {
            id,
            department: department.filter(|_| is_incident),
            checker: checker.filter(|_| is_incident),
            verifier: verifier.filter(|_| is_incident),
            reporter: reporter.filter(|_| is_incident),
            handler: handler.filter(|_| is_incident),
            requester: requester.filter(|_| is_grant),
            requested_at: requested_at.filter(|_| is_grant),
            ..Resource::new(kind, region)
        };
        (thing, if is_grant { approvers } else { Vec::new() })
    })
}

fn context(action: Action) -> impl Strategy<Value = Context<'static>> {
    let training = proptest::option::weighted(
        0.95,
        select(vec![after(1), after(86_400), after(86_400), after(86_400), now(), after(-1)]),
    );
    let range = proptest::option::weighted(0.95, select(vec![(-10, -5), (-10, -5), (0, 0), (-11, -5), (-5, -10)]));
    (purpose(action), proptest::bool::weighted(0.9), training, range, proptest::bool::weighted(0.1)).prop_map(
        |(purpose, has_reason, training_valid_until, range, unreviewed_break_glass)| Context {
            purpose,
            has_reason,
            range: range.map(|(from, until)| (after(from), after(until))),
            unreviewed_break_glass,
            ..Context::new(now(), training_valid_until)
        },
    )
}

/// Often one that fits.
fn purpose(action: Action) -> impl Strategy<Value = Option<Purpose>> {
    let likely = match action.kinds() {
        [Kind::Audit] => Purpose::ComplianceAudit,
        [Kind::Statistics] => Purpose::AggregateStatistics,
        [Kind::Device | Kind::Rule] => Purpose::DeviceMaintenance,
        _ => Purpose::EmergencyResponse,
    };
    prop_oneof![
        6 => Just(Some(likely)),
        3 => select(Purpose::ALL.to_vec()).prop_map(Some),
        1 => Just(None),
    ]
}

fn grant(action: Action) -> impl Strategy<Value = Grant> {
    let what = (
        account(),
        prop_oneof![9 => Just(action), 1 => select(Action::all().collect::<Vec<_>>())],
        prop_oneof![6 => Just("thing"), 1 => Just("another"), 1 => Just("")],
        select(Purpose::ALL.to_vec()),
    );
    let when = (
        select(vec![(-10, -5), (-10, 0), (-10, 0), (-9, 0)]),
        select(vec![0, 0, 0, 1, -1]),
        select(vec![900, 900, 901, 14_400, 14_401, 0]),
    );
    let approval = prop_oneof![
        4 => Just(("other", "third")),
        1 => (select(vec!["me", "other", "third"]), select(vec!["me", "other", "third"])),
    ];
    let approval = prop_oneof![
        3 => approval.prop_map(|(supervisor, privacy_officer)| Approval::FourEyes {
            supervisor: supervisor.to_owned(),
            privacy_officer: privacy_officer.to_owned(),
        }),
        1 => Just(Approval::BreakGlass),
    ];
    (what, when, approval).prop_map(
        |((account, action, object, purpose), ((from, until), granted, lasts), approval)| Grant {
            account,
            action,
            object: object.to_owned(),
            purpose,
            range: (after(from), after(until)),
            granted_at: after(granted),
            expires_at: after(granted + lasts),
            approval,
        },
    )
}
