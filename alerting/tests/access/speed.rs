//! How long one decision takes. Ignored, for it says something only in a release build:
//! `cargo test --release -p xueliang-alerting --test access -- --ignored --nocapture speed`.

use std::time::Instant;

use xueliang_alerting::{
    access::{Action, Context, Kind, Purpose, Resource},
    workflow::{Command, Role},
};

use crate::{ACCESS, after, given, grant, now, person, ready};

const N_ROUNDS: u32 = 20_000;
const BOUND_US: f64 = 50.0;

#[test]
#[ignore = "measures; run it in release"]
fn a_decision_takes_at_most_50_microseconds() {
    let thing = Resource {
        id: "thing",
        department: Some("roads"),
        checker: Some("other"),
        reporter: Some("third"),
        ..Resource::new(Kind::Incident, "340203001002003")
    };
    let handling =
        Context { has_reason: true, ..Context::new(now(), Some(after(1))).for_purpose(Purpose::IncidentHandling) };
    let sealed = grant(Action::ViewOriginal, Purpose::IncidentHandling);
    let raw = ready(Purpose::IncidentHandling, &sealed);
    let close = Action::Command(Command::Close);
    let one = [given(Role::Supervisor, "3402")];
    let three =
        [given(Role::Operator, "3402"), given(Role::Dispatcher, "340203"), given(Role::Supervisor, "340203001")];
    let measured = [
        ("read_incident, 1 assignment", measure(&one, Action::ReadIncident, thing, handling)),
        ("close, 1 assignment", measure(&one, close, thing, handling)),
        ("view_original with a grant, 1 assignment", measure(&one, Action::ViewOriginal, thing, raw)),
        ("read_incident, 3 assignments", measure(&three, Action::ReadIncident, thing, handling)),
        ("view_original with a grant, 3 assignments", measure(&three, Action::ViewOriginal, thing, raw)),
    ];
    for (name, took_us) in measured {
        println!("{name}: {took_us:.1} µs");
    }
    let debug = cfg!(debug_assertions);
    for (name, took_us) in &measured[..3] {
        assert!(debug || *took_us <= BOUND_US, "{name}: {took_us:.1} µs");
    }
}

fn measure(
    assignments: &[xueliang_alerting::access::Assignment],
    action: Action,
    thing: Resource<'_>,
    context: Context<'_>,
) -> f64 {
    let person = person(assignments);
    let began = Instant::now();
    for _ in 0..N_ROUNDS {
        assert!(ACCESS.authorize(&person, action, thing, context).is_ok());
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(N_ROUNDS)
}
