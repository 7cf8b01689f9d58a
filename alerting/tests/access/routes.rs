//! Which action each route asks for. A route without a row here fails the build; so does a row without a route.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use xueliang_alerting::{
    access::{Action, Context, Kind, Purpose, Resource},
    workflow::{Command, Role},
};

use crate::{ACCESS, given, grant, person, ready};

/// What a route asks for.
pub enum Asks {
    /// Nothing: it is before sign-in.
    Public,
    /// That somebody is signed in; it shows that person's own session and no more.
    SignedIn,
    /// These actions.
    Actions(&'static [Action]),
    /// The action of the command that is given.
    Commands,
}

/// By operation id, as in `openapi.json`.
pub const ROUTES: &[(&str, Asks)] = &[
    ("attach_picture", Asks::Actions(&[Action::Attach])),
    ("break_glass", Asks::Actions(&[Action::BreakGlass])),
    ("current_session", Asks::SignedIn),
    ("decide_grant", Asks::Actions(&[Action::ApproveGrant, Action::RequestGrant])),
    ("export_stills", Asks::Actions(&[Action::Export])),
    ("follow_changes", Asks::Actions(&[Action::ReadIncident, Action::ReadDevices])),
    ("get_attachment", Asks::Actions(&[Action::ReadAttachment])),
    ("get_incident", Asks::Actions(&[Action::ReadIncident])),
    ("get_nuisance", Asks::Actions(&[Action::ReadRules, Action::ReadIncident])),
    ("get_report", Asks::Actions(&[Action::ReadStatistics])),
    ("get_snapshot", Asks::Actions(&[Action::ViewStill])),
    ("give_command", Asks::Commands),
    ("list_audit", Asks::Actions(&[Action::ReadAudit])),
    ("list_devices", Asks::Actions(&[Action::ReadDevices])),
    ("list_grants", Asks::Actions(&[Action::ApproveGrant, Action::ReviewBreakGlass])),
    ("list_holds", Asks::Actions(&[Action::ReadIncident, Action::SetRetention])),
    ("list_incidents", Asks::Actions(&[Action::ReadIncident])),
    ("list_rule_versions", Asks::Actions(&[Action::ReadRules])),
    ("list_rules", Asks::Actions(&[Action::ReadRules])),
    ("list_statics", Asks::Actions(&[Action::ReadDevices])),
    ("make_note", Asks::Actions(&[Action::Supervise, Action::Acknowledge, Action::Comment])),
    ("report_incident", Asks::Actions(&[Action::ReportIncident])),
    ("open_sealed", Asks::Actions(&[Action::ViewOriginal])),
    ("place_hold", Asks::Actions(&[Action::Hold])),
    ("release_stills", Asks::Actions(&[Action::Release])),
    ("request_grant", Asks::Actions(&[Action::RequestGrant])),
    ("review_break_glass", Asks::Actions(&[Action::ReviewBreakGlass])),
    ("sign_in", Asks::Public),
    ("sign_out", Asks::SignedIn),
    ("view_original", Asks::Actions(&[Action::ViewOriginal])),
];

impl Asks {
    pub fn actions(&self) -> Vec<Action> {
        match self {
            Asks::Public | Asks::SignedIn => Vec::new(),
            Asks::Actions(actions) => actions.to_vec(),
            Asks::Commands => Command::ALL.iter().copied().map(Action::Command).collect(),
        }
    }
}

/// Each operation's id with its description.
fn operations() -> BTreeMap<String, Value> {
    let document = xueliang_alerting::api::document();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values().cloned().collect::<Vec<_>>());
    operations.filter_map(|found| Some((found.get("operationId")?.as_str()?.to_owned(), found))).collect()
}

/// The routes that answer with an image, alone or packed, and what they ask for.
fn image_routes() -> Vec<(String, Vec<Action>)> {
    let gives_image = |found: &Value| {
        let responses = found["responses"].as_object().unwrap().values();
        let mut contents = responses.filter_map(|response| response["content"].as_object());
        contents.any(|content| content.keys().any(|kind| kind.starts_with("image/") || kind == "application/zip"))
    };
    let images = operations().into_iter().filter(|(_, found)| gives_image(found));
    let asked = images.map(|(id, _)| {
        let (_, asks) = ROUTES.iter().find(|(known, _)| *known == id).unwrap();
        let actions = asks.actions();
        (id, actions)
    });
    asked.collect()
}

#[test]
fn p18_every_route_has_a_row() {
    let routes: BTreeSet<String> = operations().into_keys().collect();
    let rows: BTreeSet<String> = ROUTES.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(rows.len(), ROUTES.len(), "a route has two rows");
    assert_eq!(routes, rows, "say in ROUTES which action a new route asks for");
}

#[test]
fn p14_redacted_images_have_one_access_path() {
    let images = image_routes();
    assert!(!images.is_empty(), "the test looked at nothing");
    for (id, actions) in images {
        assert!(!actions.is_empty(), "{id} shows an image and asks for nothing");
        for action in actions {
            let kind = action.kinds().first().copied().unwrap_or(Kind::Incident);
            for role in Role::ALL {
                let somebody = person(&[given(*role, "3402")]);
                for purpose in Purpose::ALL {
                    let grant = grant(action, *purpose);
                    let thing = Resource { id: "thing", ..Resource::new(kind, "3402") };
                    let silent = Context { has_reason: false, ..ready(*purpose, &grant) };
                    let denied = ACCESS.authorize(&somebody, action, thing, silent).unwrap_err();
                    assert!(denied.rules().contains(&"P18-reason".to_owned()), "{id} by {role:?}: {denied:?}");
                    let aimless = Context { purpose: None, ..ready(*purpose, &grant) };
                    let denied = ACCESS.authorize(&somebody, action, thing, aimless).unwrap_err();
                    assert!(denied.rules().iter().any(|rule| rule.starts_with("P18-purpose")), "{id}: {denied:?}");
                }
            }
        }
    }
}

#[test]
fn p25_an_integrator_is_denied_on_each_image_route() {
    let images = image_routes();
    assert!(!images.is_empty(), "the test looked at nothing");
    let integrator = person(&[given(Role::CameraIntegrator, "3402")]);
    for (id, actions) in images {
        assert!(!actions.is_empty(), "{id} shows an image and asks for nothing");
        for action in actions {
            let kind = action.kinds().first().copied().unwrap_or(Kind::Incident);
            for purpose in Purpose::ALL {
                let grant = grant(action, *purpose);
                let thing = Resource { id: "thing", ..Resource::new(kind, "3402") };
                let denied = ACCESS.authorize(&integrator, action, thing, ready(*purpose, &grant)).unwrap_err();
                assert!(denied.rules().contains(&"P25-integrator-imagery".to_owned()), "{id}: {denied:?}");
            }
        }
    }
}
