//! The table role × action × resource, asked of the policies cell by cell and committed for people to review.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use xueliang_alerting::{
    access::{Action, Context, Denied, Kind, Purpose, Resource},
    workflow::Role,
};

use crate::{
    ACCESS, given, grant, person, ready,
    routes::{Asks, ROUTES},
};

const HEAD: &str = "# Who may do what

Made from `src/access/policies.cedar` by `XUELIANG_BLESS=1 cargo test -p xueliang-alerting --test access`; don't edit it, review its changes.

A cell says what a role may do in the region of its assignment, given what the second table demands:
**R** everything there · **D** what its own department was given · **S** what this person was sent to look at · **V** what this person verifies ·
**O** what this person reported · **–** nothing, as no policy permits it · **✗** nothing, and a policy forbids it for good.
Besides: nobody dispatches or closes what they reported, closes what they handled, approves an own request, or changes the own account.

";

#[test]
fn committed_table_is_current() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("access-table.md");
    let current = table();
    if std::env::var_os("XUELIANG_BLESS").is_some() {
        fs::write(&file, &current).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(committed, current, "bless it with XUELIANG_BLESS=1 if the change is meant");
}

fn table() -> String {
    let mut text = HEAD.to_owned();
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    writeln!(text, "| action | of | {} |", roles.join(" | ")).unwrap();
    writeln!(text, "|---|---|{}", "---|".repeat(roles.len())).unwrap();
    for action in Action::all() {
        for kind in action.kinds() {
            let cells: Vec<String> = Role::ALL.iter().map(|role| cell(*role, action, *kind)).collect();
            writeln!(text, "| {} | {} | {} |", action.as_str(), kind.as_str(), cells.join(" | ")).unwrap();
        }
    }
    text.push_str("\n## What an action demands\n\n| action | purposes | besides |\n|---|---|---|\n");
    for action in Action::all() {
        writeln!(text, "| {} | {} | {} |", action.as_str(), purposes(action), demands(action)).unwrap();
    }
    text.push_str("\n## What a route asks for\n\n| route | actions |\n|---|---|\n");
    for (id, asks) in ROUTES {
        let actions = match asks {
            Asks::Public => "none: before sign-in".to_owned(),
            Asks::SignedIn => "none: one's own session".to_owned(),
            Asks::Commands => "the command that is given".to_owned(),
            Asks::Actions(actions) => actions.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", "),
        };
        writeln!(text, "| {id} | {actions} |").unwrap();
    }
    text
}

/// Something in the region with which the person has nothing to do.
fn foreign(kind: Kind) -> Resource<'static> {
    let thing = Resource { id: "thing", ..Resource::new(kind, "340203") };
    match kind {
        Kind::Incident | Kind::Attachment => Resource {
            department: Some("water"),
            checker: Some("other"),
            verifier: Some("other"),
            reporter: Some("other"),
            handler: Some("other"),
            ..thing
        },
        Kind::Grant => Resource { requester: Some("fourth"), requested_at: Some(crate::now()), ..thing },
        _ => thing,
    }
}

fn cell(role: Role, action: Action, kind: Kind) -> String {
    let thing = foreign(kind);
    let ties = [
        ("D", Resource { department: Some("roads"), ..thing }),
        ("S", Resource { checker: Some("me"), ..thing }),
        ("V", Resource { verifier: Some("me"), ..thing }),
        ("O", Resource { reporter: Some("me"), ..thing }),
    ];
    if ask(role, action, thing).is_ok() {
        return "R".to_owned();
    }
    let tied: String =
        ties.iter().filter(|(_, tied)| ask(role, action, *tied).is_ok()).map(|(letter, _)| *letter).collect();
    if !tied.is_empty() {
        return tied;
    }
    let forbidden = |thing| matches!(ask(role, action, thing), Err(Denied::Forbidden(_)));
    if ties.iter().all(|(_, tied)| forbidden(*tied)) { "✗" } else { "–" }.to_owned()
}

/// The best answer over all purposes, with everything that can be demanded.
fn ask(role: Role, action: Action, thing: Resource<'_>) -> Result<(), Denied> {
    let mut answers = Purpose::ALL.iter().map(|purpose| {
        let grant = grant(action, *purpose);
        answer(role, action, thing, ready(*purpose, &grant))
    });
    let mut best = answers.next().unwrap();
    for answer in answers {
        let is_less_final = matches!((&best, &answer), (Err(Denied::Forbidden(_)), Err(Denied::NotPermitted)));
        let is_better = answer.is_ok() || is_less_final;
        if best.is_err() && is_better {
            best = answer;
        }
    }
    best
}

fn answer(role: Role, action: Action, thing: Resource<'_>, context: Context<'_>) -> Result<(), Denied> {
    ACCESS.authorize(&person(&[given(role, "3402")]), action, thing, context).map(|_| ())
}

/// Each request that is permitted: role, thing, purpose.
fn permitted(action: Action) -> Vec<(Role, Resource<'static>, Purpose)> {
    let mut found = Vec::new();
    for kind in action.kinds() {
        let own = Resource { department: Some("roads"), checker: Some("me"), ..foreign(*kind) };
        for role in Role::ALL {
            for purpose in Purpose::ALL {
                let grant = grant(action, *purpose);
                if answer(*role, action, own, ready(*purpose, &grant)).is_ok() {
                    found.push((*role, own, *purpose));
                }
            }
        }
    }
    found
}

fn purposes(action: Action) -> String {
    let found: BTreeSet<Purpose> = permitted(action).into_iter().map(|(_, _, purpose)| purpose).collect();
    if found.len() == Purpose::ALL.len() {
        return "any".to_owned();
    }
    found.iter().map(|purpose| purpose.as_str()).collect::<Vec<_>>().join(", ")
}

fn demands(action: Action) -> String {
    let found = permitted(action);
    let demands = |change: fn(Context<'_>) -> Context<'_>| {
        found.iter().all(|(role, thing, purpose)| {
            let grant = grant(action, *purpose);
            answer(*role, action, *thing, change(ready(*purpose, &grant))).is_err()
        })
    };
    let demanded = [
        ("purpose", demands(|context| Context { purpose: None, ..context })),
        ("reason", demands(|context| Context { has_reason: false, ..context })),
        ("grant of four eyes", demands(|context| Context { grant: None, ..context })),
        ("range within the grant", demands(|context| Context { range: None, ..context })),
        ("valid training record", demands(|context| Context { training_valid_until: None, ..context })),
        ("earlier break-glass reviewed", demands(|context| Context { unreviewed_break_glass: true, ..context })),
    ];
    demanded.iter().filter(|(_, is_demanded)| *is_demanded).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
