//! Who may do what where (RULES B, P18): behaviour, a differential test against a second author's table, the committed table
//! itself, and which action each route asks for. `XUELIANG_BLESS=1 cargo test -p xueliang-alerting` rewrites the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

mod behaviour;
mod cases;
mod differential;
mod oracle;
mod routes;
mod table;

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use prometheus::IntCounter;
use xueliang_alerting::{
    access::{Access, Action, Approval, Assignment, Context, Grant, Person, Purpose},
    region::RegionScheme,
    workflow::Role,
};

static ACCESS: LazyLock<Access> =
    LazyLock::new(|| Access::load(RegionScheme::default(), IntCounter::new("alarms", "alarms").unwrap()).unwrap());

fn now() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn given(role: Role, region: &str) -> Assignment {
    Assignment { role, region: region.to_owned(), valid_until: None }
}

fn person(assignments: &[Assignment]) -> Person {
    Person {
        account: "me".to_owned(),
        display_name: "me".to_owned(),
        department: Some("roads".to_owned()),
        assignments: assignments.to_vec(),
        training_valid_until: None,
    }
}

/// A grant of four eyes that allows this action with `thing`, for two hours from now.
fn grant(action: Action, purpose: Purpose) -> Grant {
    Grant {
        account: "me".to_owned(),
        action,
        object: "thing".to_owned(),
        purpose,
        range: (after(-3600), after(-1800)),
        granted_at: now(),
        expires_at: after(7200),
        approval: Approval::FourEyes { supervisor: "other".to_owned(), privacy_officer: "third".to_owned() },
    }
}

/// All that can be asked of somebody: training, reason, a range within the grant.
fn ready(purpose: Purpose, grant: &Grant) -> Context<'_> {
    Context {
        has_reason: true,
        range: Some((after(-3600), after(-1800))),
        grant: Some(grant),
        ..Context::new(now(), Some(after(86_400))).for_purpose(purpose)
    }
}
