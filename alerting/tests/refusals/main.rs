//! RULES D: what is refused by design, one test a row. Each proves from the committed artefacts (API description, event schemas,
//! policies' schema, closed lists, settings keys, migrations, locked dependencies) that nothing is there which could carry it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

mod artefacts;
mod linter;
mod rules;

use std::{collections::BTreeSet, sync::LazyLock};

use jiff::Timestamp;
use prometheus::IntCounter;
use serde_json::{Value, json};
use xueliang_alerting::{
    AlertingSettings,
    access::{Access, Action, Assignment, Context, Person, Purpose, Resource},
    accounts::tokens::TokenPurpose,
    api::shapes::{ViewQuery, grants::GrantRequest},
    region::RegionScheme,
    workflow::{Command, Role, State, edge},
};
use xueliang_settings::Document;

use crate::linter::Row;

static ACCESS: LazyLock<Access> =
    LazyLock::new(|| Access::load(RegionScheme::default(), IntCounter::new("alarms", "alarms").unwrap()).unwrap());

#[test]
fn faces_are_not_recognised() {
    linter::check(Row::Faces);
    // What a camera may say of what it saw is one of six words.
    let classes = artefacts::enums(&artefacts::event_schemas(), "class");
    let allowed = ["person", "bicycle", "motorcycle", "car", "bus", "truck"].map(str::to_owned);
    assert_eq!(classes, BTreeSet::from(allowed));
}

#[test]
fn there_are_no_watch_lists() {
    linter::check(Row::WatchLists);
    // Nothing that is kept is about a person who is no user of the software.
    let tables = artefacts::tables();
    assert!(tables.contains("incident") && tables.contains("account"), "the test looked at nothing");
    for about in ["person", "people", "subject", "identity", "resident", "citizen", "gallery"] {
        assert!(!tables.iter().any(|table| table.contains(about)), "{about}: {tables:?}");
    }
}

#[test]
fn plates_are_not_read() {
    linter::check(Row::Plates);
}

#[test]
fn nobody_is_recognised_again() {
    linter::check(Row::Reidentification);
}

#[test]
fn p08_people_have_no_attributes() {
    linter::check(Row::Attributes);
}

#[test]
fn p07_purpose_is_a_required_closed_list() {
    let purposes: BTreeSet<&str> = Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect();
    let openapi = artefacts::openapi();
    let listed = |schema: &Value| -> BTreeSet<String> {
        schema["enum"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    let known: BTreeSet<String> = purposes.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(listed(&openapi["components"]["schemas"]["Purpose"]), known);
    assert_eq!(artefacts::policy_purposes(), known);
    let images = artefacts::image_operations();
    assert!(!images.is_empty(), "the test looked at nothing");
    for operation in images {
        let parameters = operation["parameters"].as_array().unwrap();
        let named = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name);
        // A grant has its purpose, which whoever asked for it had to name.
        let by_grant = named("grant").is_some_and(|grant| grant["required"] == true);
        let closed = named("purpose").is_some_and(|it| it["required"] == true && listed(&it["schema"]) == known);
        assert!(by_grant || closed, "{operation}");
    }
    let request = &openapi["components"]["schemas"]["GrantRequest"];
    assert!(request["required"].as_array().unwrap().contains(&"purpose".into()), "{request}");
    assert_eq!(request["properties"]["purpose"]["$ref"], "#/components/schemas/Purpose");
    // As a handler reads it.
    let read = serde_json::from_value::<ViewQuery>;
    assert!(read(json!({ "purpose": "incident_handling", "reason": "look" })).is_ok());
    for query in [json!({ "reason": "look" }), json!({ "purpose": "curiosity", "reason": "look" })] {
        let told = read(query.clone()).unwrap_err().to_string();
        assert!(told.contains("purpose") || told.contains("unknown variant `curiosity`"), "{query}: {told}");
    }
}

#[test]
fn p30_a_new_purpose_is_refused_at_each_door() {
    // What is listed here was assessed; another purpose changes these lists, the policies and the API's description at once.
    const ASSESSED: [&str; 8] = [
        "public_safety_watch",
        "incident_handling",
        "emergency_response",
        "statutory_request",
        "data_subject_access",
        "device_maintenance",
        "compliance_audit",
        "aggregate_statistics",
    ];
    assert_eq!(Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect::<Vec<_>>(), ASSESSED);
    let of_machines: Vec<&str> = TokenPurpose::ALL.iter().map(|purpose| purpose.as_str()).collect();
    assert_eq!(of_machines, ["read_incidents", "read_devices", "read_metrics"]);
    for new in ["marketing", "research", "Incident_handling", "incident_handling ", ""] {
        assert_eq!(Purpose::parse(new), None, "{new:?}");
        assert_eq!(TokenPurpose::parse(new), None, "{new:?}");
        assert!(serde_json::from_value::<ViewQuery>(json!({ "purpose": new, "reason": "look" })).is_err(), "{new:?}");
        let request = json!({ "incident": "019abc00-0000-7000-8000-000000000001", "action": "export", "purpose": new, "reason": "r",
            "from": "2026-11-23T08:00:00Z", "until": "2026-11-23T09:00:00Z" });
        let told = serde_json::from_value::<GrantRequest>(request).unwrap_err().to_string();
        assert!(told.contains("unknown variant"), "{new:?}: {told}");
    }
}

#[test]
fn p36_no_call_writes_to_an_original() {
    // A camera is asked what it has, told which stream is wanted, and to play; the session's end is the crate's own TEARDOWN.
    let steps = artefacts::session_steps();
    assert_eq!(steps, ["describe", "setup", "play"].map(str::to_owned).into());
    // What RTSP, ONVIF and object stores would write, record or delete with.
    const WRITES: [&str; 13] = [
        "ANNOUNCE",
        "RECORD",
        "SET_PARAMETER",
        "set_parameter",
        "CreateRecording",
        "DeleteRecording",
        "CreateRecordingJob",
        "SetRecordingConfiguration",
        "DeleteTrack",
        "SystemReboot",
        "SetVideoEncoderConfiguration",
        "PutObject",
        "DeleteObject",
    ];
    let words = artefacts::words_in_sources();
    assert!(
        words.iter().any(|(file, word)| file.ends_with("session.rs") && word == "describe"),
        "the test looked at nothing"
    );
    for (file, word) in words {
        assert!(!WRITES.contains(&word.as_str()), "{file} says {word}");
    }
}

#[test]
fn p10_there_are_no_trajectories() {
    linter::check(Row::Trajectories);
    // The track id of an event is not a column, so nothing can be joined by it.
    let columns = artefacts::sql_names();
    assert!(columns.contains("device") && !columns.contains("track") && !columns.contains("bbox"), "{columns:?}");
}

#[test]
fn nobody_can_be_searched_for() {
    linter::check(Row::FindPerson);
    // No list can be narrowed to a person or by a picture.
    let parameters = artefacts::query_parameters();
    assert!(parameters.contains("state"), "the test looked at nothing");
    for by in ["person", "face", "picture", "image", "photo", "plate", "track", "bbox", "similar", "snapshot"] {
        assert!(!parameters.iter().any(|name| name.contains(by)), "{by}: {parameters:?}");
    }
}

#[test]
fn no_category_aims_at_a_group_of_people() {
    linter::check(Row::Groups);
    const LISTED: [&str; 18] = [
        "zone_intrusion",
        "line_crossed",
        "crowding",
        "over_capacity",
        "dwelling",
        "wrong_way_vehicle",
        "nonmotor_on_motorway",
        "fire_lane_blocked",
        "motor_no_parking",
        "nonmotor_parking",
        "left_object",
        "road_flood",
        "underpass_flood",
        "manhole_open",
        "gas_leak",
        "smoke_fire",
        "camera_tampered",
        "camera_offline",
    ];
    let categories = artefacts::enums(&artefacts::event_schemas(), "category");
    assert!(categories.contains("crowding"), "the test looked at nothing");
    for category in categories {
        assert!(LISTED.contains(&category.as_str()), "{category} is not in RULES C");
    }
}

#[test]
fn p32_nothing_is_punished_or_scored_by_a_machine() {
    linter::check(Row::Penalties);
    for state in State::ALL {
        for command in Command::ALL {
            let Some(edge) = edge(*state, *command) else { continue };
            let by_machine = edge.roles.iter().any(|role| role.is_service());
            // A job counts what is over, and ends a wait at the time that a supervisor set.
            let of_jobs = [(State::Closed, Command::Evaluate), (State::Suspended, Command::Resume)];
            assert!(!by_machine || of_jobs.contains(&(*state, *command)), "{state:?} {command:?}");
        }
    }
}

#[test]
fn there_is_no_audio() {
    linter::check(Row::Audio);
    let kinds = artefacts::content_types();
    assert!(kinds.contains("application/json"), "the test looked at nothing");
    assert!(!kinds.iter().any(|kind| kind.starts_with("audio/") || kind.starts_with("video/")), "{kinds:?}");
}

#[test]
fn raw_pictures_do_not_leave_in_bulk() {
    linter::check(Row::BulkRaw);
    // What leaves as a package is redacted, of one incident, and by a grant of four eyes.
    let is_package =
        |kind: &str| ["zip", "tar", "gzip", "octet-stream", "multipart/mixed"].iter().any(|word| kind.contains(word));
    let packages = artefacts::operations_answering(is_package);
    let names: Vec<&str> = packages.iter().filter_map(|operation| operation["operationId"].as_str()).collect();
    assert_eq!(names, ["export_stills", "release_stills"]);
    for operation in &packages {
        let needs_grant = |parameter: &Value| parameter["name"] == "grant" && parameter["required"] == true;
        assert!(operation["parameters"].as_array().unwrap().iter().any(needs_grant), "{operation}");
    }
    // Without a grant, which is bound to one thing, no role sees or hands out anything.
    for action in [Action::ViewOriginal, Action::Export, Action::Release] {
        nobody_may(action, |context| Context { has_reason: true, ..context }, "four-eyes-grant");
    }
}

#[test]
fn p16_nothing_is_kept_for_ever() {
    linter::check(Row::Retention);
    for endless in ["\"forever\"", "\"never\"", "\"inf\"", "\"40000d\"", "0", "-1", "\"\""] {
        let text = format!("[alerting]\ndata_dir = \"d\"\nregion = \"3402\"\nretention = {endless}\n");
        let read = Document::from_text("xueliang.toml", text).read(AlertingSettings::read);
        assert!(read.unwrap_err().to_string().contains("retention"), "{endless}");
    }
}

#[test]
fn p18_p19_nobody_looks_in_silence() {
    linter::check(Row::SilentViewing);
    let images = artefacts::image_operations();
    assert!(!images.is_empty(), "the test looked at nothing");
    for operation in images {
        // A grant has both: nobody asks for one without them.
        let needed: &[&str] =
            if operation["operationId"] == "view_original" { &["grant"] } else { &["purpose", "reason"] };
        for name in needed {
            let is_required = |parameter: &Value| parameter["name"] == *name && parameter["required"] == true;
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(is_required), "{} can be seen without {name}", operation["operationId"]);
        }
    }
    for action in [Action::ViewStill, Action::ViewOriginal, Action::ReadAttachment, Action::Export, Action::Release] {
        nobody_may(action, |context| Context { has_reason: false, ..context }, "P18-reason");
        nobody_may(action, |context| Context { has_reason: true, purpose: None, ..context }, "P18-purpose");
    }
}

#[test]
fn nothing_is_told_to_strangers() {
    linter::check(Row::Telemetry);
    // Hosts that are named in the sources: documentation, the names of SVG and XMP, an example, and a private address of tests.
    // The two robots are spoken to only where the deployer's `allowed_endpoints` names them (P26).
    let robots = ["oapi.dingtalk.com", "qyapi.weixin.qq.com"];
    let named = ["json-schema.org", "toml.io", "www.w3.org", "ns.adobe.com", "example.org", "10.0.0.1"];
    let known = [&named[..], &robots].concat();
    let hosts = artefacts::hosts_in_sources();
    assert!(hosts.contains("json-schema.org"), "the test looked at nothing");
    for host in hosts {
        // RFC 2606 keeps `.example` for what is made up.
        let is_made_up = host.to_lowercase().ends_with(".example");
        assert!(is_made_up || known.contains(&host.as_str()), "{host} is named in the sources");
    }
}

/// Shows that this rule denies the action to every role, whatever else is given.
fn nobody_may(action: Action, change: fn(Context<'_>) -> Context<'_>, rule: &str) {
    for role in Role::ALL {
        let assignments = vec![Assignment { role: *role, region: "3402".to_owned(), valid_until: None }];
        let (account, department) = ("me".to_owned(), Some("roads".to_owned()));
        let person =
            Person { display_name: account.clone(), account, department, assignments, training_valid_until: None };
        let thing = Resource {
            id: "thing",
            department: Some("roads"),
            checker: Some("me"),
            ..Resource::new(action.kinds()[0], "340203")
        };
        for purpose in Purpose::ALL {
            let context = Context::new(Timestamp::UNIX_EPOCH, Some(Timestamp::MAX)).for_purpose(*purpose);
            let denied = ACCESS.authorize(&person, action, thing, change(context)).unwrap_err();
            assert!(denied.rules().iter().any(|id| id.starts_with(rule)), "{role:?} {action:?}: {denied:?}");
        }
    }
}

#[test]
fn the_linter_finds_what_is_planted() {
    let planted = |source: &str, text: &str| {
        let names = match source {
            "json" => artefacts::json_names(&serde_json::from_str(text).unwrap()),
            "sql" => artefacts::identifiers(text, "--"),
            "cedar" => artefacts::identifiers(text, "//"),
            "rust" => artefacts::settings_keys(text),
            _ => artefacts::locked(text),
        };
        names.into_iter().map(|name| (source.to_owned(), name)).collect::<Vec<_>>()
    };
    let check = |row: Row, source: &str, text: &str, name: &str| {
        let found = linter::findings(row, &planted(source, text));
        assert_eq!(found, [format!("{source}: {name}")], "{row:?}");
    };
    check(Row::Faces, "json", r#"{"properties": {"face_id": {}, "id": {}}}"#, "face_id");
    check(Row::Faces, "json", r#"{"items": [{"properties": {"bestFaceImage": {}}}]}"#, "bestFaceImage");
    check(Row::Plates, "json", r#"{"name": "licence-plate", "in": "query"}"#, "licence-plate");
    check(Row::Reidentification, "json", r#"{"operationId": "re_id_person"}"#, "re_id_person");
    check(Row::Reidentification, "json", r#"{"enum": ["reid"]}"#, "reid");
    check(Row::FindPerson, "json", r#"{"paths": {"/api/v1/search": {}}}"#, "search");
    check(Row::Attributes, "sql", "CREATE TABLE incident (id TEXT, gender TEXT) STRICT; -- age", "gender");
    check(Row::WatchLists, "sql", "CREATE TABLE watch_list (id TEXT)", "watch_list");
    check(Row::Trajectories, "sql", "ALTER TABLE event ADD COLUMN trajectory TEXT", "trajectory");
    check(Row::Groups, "json", r#"{"enum": ["crowding", "petitioners"]}"#, "petitioners");
    check(Row::Groups, "json", r#"{"const": "key_person"}"#, "key_person");
    check(Row::Penalties, "cedar", "entity Incident { credit_score: Long }; // fine", "credit_score");
    check(Row::BulkRaw, "cedar", r#"action "raw_archive" in ["read"];"#, "raw_archive");
    check(Row::Audio, "rust", r#"let on = camera.or("audio", false); camera.refuse("voice", "");"#, "audio");
    check(Row::Retention, "rust", r#"reader.optional::<bool>("keep_forever")"#, "keep_forever");
    check(Row::SilentViewing, "rust", "reader.choice(\n    \"silent_view\", X)", "silent_view");
    check(Row::Telemetry, "lock", "[[package]]\nname = \"sentry-core\"\nversion = \"1\"\n", "sentry-core");
    // Words within words are none.
    assert!(linter::findings(Row::Faces, &planted("json", r#"{"properties": {"surface": {}}}"#)).is_empty());
}

#[test]
fn every_exception_is_still_needed() {
    linter::check_exceptions();
}

#[test]
fn the_artefacts_are_really_read() {
    let names = artefacts::all();
    for (source, name) in [
        ("openapi.json", "evidentiary"),
        ("events", "analysed_fps"),
        ("actions", "read_incident"),
        ("roles", "grid_worker"),
        ("purposes", "compliance_audit"),
        ("policy schema", "training_valid_until"),
        ("settings", "retention"),
        ("migrations", "received_at"),
        ("Cargo.lock", "rusqlite"),
    ] {
        assert!(names.contains(&(source.to_owned(), name.to_owned())), "{source} {name}");
    }
}
