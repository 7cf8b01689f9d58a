//! Grants over HTTP: four eyes, what they open, and that nothing is served that can't be registered.

use super::*;

/// A box with one incident that shows a still, and a second supervisor.
async fn with_an_incident(site: &Site) -> (Box, String, SnapshotRef) {
    let alerting = Box::start(site).await;
    let (id, still) = an_incident(site, &alerting).await;
    (alerting, id, still)
}

pub async fn an_incident(site: &Site, alerting: &Box) -> (String, SnapshotRef) {
    let still = put_still(site.path(), b"jpeg");
    let mut camera = Camera::new("gate-1", an_hour_ago());
    alerting.deliver(0, &intrusion(&mut camera, Some(still.clone()))).await;
    let id = alerting.sign_in(site.path(), "operator").await.incidents().await[0]["id"].as_str().unwrap().to_owned();
    in_store(
        site,
        "INSERT INTO account (id, display_name, password, department, training_valid_until, confidentiality_signed_on)
             SELECT 'second-chief', 'second', password, department, training_valid_until, confidentiality_signed_on FROM account WHERE id = 'supervisor';
         INSERT INTO assignment (account, role, region)
             SELECT 'second-chief', role, region FROM assignment WHERE account = 'supervisor'",
    )
    .await;
    let file = site.path().join("data/initial-passwords.txt");
    let passwords = fs::read_to_string(&file).unwrap();
    let first = passwords.lines().find_map(|line| line.strip_prefix("supervisor ")).unwrap();
    fs::write(&file, format!("{passwords}second-chief {first}\n")).unwrap();
    (id, still)
}

pub async fn in_store(site: &Site, sql: &'static str) {
    let place = site.place.clone();
    let done = tokio::task::spawn_blocking(move || {
        Connection::open(&place).unwrap().run(Kind::Write, |tx| tx.batch(sql)).unwrap();
    });
    done.await.unwrap();
}

impl Desk {
    pub async fn ask(&self, path: &str, key: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}/api/v1{path}", self.address));
        let request = request.header("x-csrf-token", &self.csrf).header("idempotency-key", key).json(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    pub async fn fetch(&self, path: &str) -> (StatusCode, Vec<u8>) {
        let answer = self.http.get(format!("{}/api/v1{path}", self.address)).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }
}

pub fn asked(incident: &str, action: &str) -> Value {
    json!({
        "incident": incident, "action": action, "purpose": "incident_handling", "reason": "the owner asks",
        "from": an_hour_ago().checked_sub(SignedDuration::from_mins(5)).unwrap().to_string(),
        "until": Timestamp::now().to_string(),
    })
}

pub async fn two_people_open_an_export_and_its_use_is_registered(site: &Site) {
    let (alerting, id, still) = with_an_incident(site).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let (second, privacy) =
        (alerting.sign_in(site.path(), "second-chief").await, alerting.sign_in(site.path(), "privacy").await);
    let request = asked(&id, "export");
    let (status, grant) = chief.ask("/grants", "ask-export", &request).await;
    assert_eq!((status, &grant["state"], &grant["may"]), (StatusCode::OK, &json!("requested"), &json!(["withdraw"])));
    let (_, again) = chief.ask("/grants", "ask-export", &request).await;
    assert_eq!(again["id"], grant["id"], "a repetition asks once");
    let grant = grant["id"].as_str().unwrap();
    let export = format!("/incidents/{id}/export?grant={grant}");
    assert_eq!(chief.fetch(&export).await.0, StatusCode::FORBIDDEN, "nobody has approved");

    let (_, listed) = privacy.get("/grants").await;
    assert_eq!(listed["items"][0]["may"], json!(["approve", "refuse"]), "{listed}");
    let approve = format!("/grants/{grant}/approve");
    let (status, _) = chief.ask(&approve, "approve-own", &json!({ "version": 1 })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, once) = privacy.ask(&approve, "approve-one", &json!({ "version": 1 })).await;
    assert_eq!((status, &once["state"]), (StatusCode::OK, &json!("approved")), "{once}");
    assert_eq!(chief.fetch(&export).await.0, StatusCode::FORBIDDEN, "one is not two");
    let (status, _) = second.ask(&approve, "approve-old", &json!({ "version": 1 })).await;
    assert_eq!(status, StatusCode::CONFLICT, "an old version");
    let (_, twice) = second.ask(&approve, "approve-two", &json!({ "version": 2 })).await;
    assert_eq!(twice["state"], "granted", "{twice}");

    let (status, zip) = chief.fetch(&export).await;
    assert_eq!(status, StatusCode::OK);
    let has = |text: &str| zip.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(&format!("{}.jpg", still.sha256.as_str())) && has("\"evidentiary\": false") && has("jpeg"));
    assert_eq!(second.fetch(&export).await.0, StatusCode::FORBIDDEN, "it is one person's");
    assert_eq!(chief.fetch(&format!("/incidents/{id}/release?grant={grant}")).await.0, StatusCode::FORBIDDEN);
    let auditor = alerting.sign_in(site.path(), "auditor").await;
    let (_, page) = auditor.get(&format!("/audit?resource=incident/{id}/export/{grant}")).await;
    let decisions: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|row| &row["permitted"]).collect();
    assert_eq!(decisions, [false, true, false, false]);
    assert_eq!(page["items"][1]["reason"], "the owner asks");
    alerting.stop().await;
}

pub async fn mistakes_in_a_request_name_their_field(site: &Site) {
    let (alerting, id, _) = with_an_incident(site).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let plain = asked(&id, "export");
    let document = |n_officers: usize| {
        let officers: Vec<Value> =
            (0..n_officers).map(|number| json!({ "unit": "a bureau", "document": number.to_string() })).collect();
        json!({ "basis": "an article", "number": "17", "from": plain["from"], "until": plain["until"], "officers": officers })
    };
    let with = |changes: Value| {
        let mut body = plain.clone();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    };
    let statutory = |document: Value| with(json!({ "purpose": "statutory_request", "document": document }));
    let cases = [
        (with(json!({ "action": "copy" })), "action"),
        (with(json!({ "minutes": 241 })), "minutes"),
        (with(json!({ "until": "2099-01-01T00:00:00Z" })), "until"),
        (with(json!({ "purpose": "data_subject_access" })), "purpose"),
        (statutory(document(1)), "document.officers"),
        (statutory(Value::Null), "document"),
    ];
    for (number, (body, field)) in cases.into_iter().enumerate() {
        let (status, problem) = chief.ask("/grants", &format!("mistake-{number}"), &body).await;
        assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{problem}");
    }
    let (status, _) = chief.ask("/grants", "statutory", &statutory(document(2))).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = chief.ask("/grants", "named-person", &with(json!({ "person": "x" }))).await;
    assert_eq!(
        (status, &problem["field"]),
        (StatusCode::BAD_REQUEST, &json!("person")),
        "no field takes anybody whom a camera saw"
    );
    alerting.stop().await;
}

pub async fn broken_glass_says_where_the_originals_are_and_is_reviewed(site: &Site) {
    let (alerting, id, _) = with_an_incident(site).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let privacy = alerting.sign_in(site.path(), "privacy").await;
    let body = json!({ "incident": id, "reason": "smoke in the yard" });
    let (status, broken) = chief.ask("/break-glass", "break-one", &body).await;
    assert_eq!((status, &broken["state"], &broken["break_glass"]), (StatusCode::OK, &json!("granted"), &json!(true)));
    let grant = broken["id"].as_str().unwrap();
    let (status, opened) = chief.get(&format!("/incidents/{id}/sealed?grant={grant}")).await;
    assert_eq!((status, &opened["kept_here"], &opened["devices"]), (StatusCode::OK, &json!(false), &json!(["gate-1"])));
    let (status, _) = chief.ask("/break-glass", "break-two", &body).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the first is not reviewed");
    let (_, listed) = privacy.get("/grants").await;
    assert_eq!(listed["items"][0]["may"], json!(["review"]), "the privacy officer is told: {listed}");
    let review = json!({ "version": 1, "justified": true, "note": "there was smoke" });
    let (status, reviewed) = privacy.ask(&format!("/grants/{grant}/review"), "review-one", &review).await;
    assert_eq!((status, &reviewed["review"]["justified"]), (StatusCode::OK, &json!(true)), "{reviewed}");
    let (status, _) = chief.ask("/break-glass", "break-two", &body).await;
    assert_eq!(status, StatusCode::OK);
    let (_, one) = chief.get(&format!("/incidents/{id}")).await;
    let actions: Vec<&Value> = one["timeline"].as_array().unwrap().iter().map(|row| &row["action"]).collect();
    assert_eq!(actions, ["open", "break_glass", "break_glass"]);
    alerting.stop().await;
}

pub async fn a_hold_is_placed_by_its_grant_and_listed(site: &Site) {
    let (alerting, id, _) = with_an_incident(site).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let (second, privacy) =
        (alerting.sign_in(site.path(), "second-chief").await, alerting.sign_in(site.path(), "privacy").await);
    let mut request = asked(&id, "hold");
    request["case"] = json!("case 5");
    request["days"] = json!(30);
    let (_, grant) = chief.ask("/grants", "ask-hold", &request).await;
    let grant = grant["id"].as_str().unwrap();
    let place = json!({ "grant": grant });
    assert_eq!(chief.ask("/holds", "place-early", &place).await.0, StatusCode::FORBIDDEN);
    let approve = format!("/grants/{grant}/approve");
    second.ask(&approve, "approve-one", &json!({ "version": 1 })).await;
    privacy.ask(&approve, "approve-two", &json!({ "version": 2 })).await;
    let (status, hold) = chief.ask("/holds", "place-hold", &place).await;
    assert_eq!((status, &hold["case"], &hold["active"]), (StatusCode::OK, &json!("case 5"), &json!(true)), "{hold}");
    for desk in [&chief, &privacy] {
        let (_, listed) = desk.get("/holds").await;
        assert_eq!(listed["items"], json!([hold]));
    }
    let auditor = alerting.sign_in(site.path(), "auditor").await;
    assert_eq!(auditor.get("/holds").await.1["items"], json!([]));
    alerting.stop().await;
}

pub async fn p19_audit_store_down_means_no_imagery(site: &Site) {
    let (alerting, id, still) = with_an_incident(site).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let (_, broken) = chief.ask("/break-glass", "break-one", &json!({ "incident": id, "reason": "smoke" })).await;
    let views = [
        format!("/incidents/{id}/snapshots/{}?purpose=incident_handling&reason=look", still.sha256.as_str()),
        format!("/incidents/{id}/sealed?grant={}", broken["id"].as_str().unwrap()),
    ];
    for view in &views {
        assert_eq!(chief.fetch(view).await.0, StatusCode::OK, "{view}");
    }
    in_store(site, "ALTER TABLE audit RENAME TO audit_away").await;
    let exports =
        ["export", "release"].map(|what| format!("/incidents/{id}/{what}?grant={}", broken["id"].as_str().unwrap()));
    for view in views.iter().chain(&exports) {
        let (status, bytes) = chief.fetch(view).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{view}");
        assert!(!bytes.windows(4).any(|window| window == b"jpeg"), "{view}");
    }
    in_store(site, "ALTER TABLE audit_away RENAME TO audit").await;
    assert_eq!(chief.fetch(&views[0]).await.0, StatusCode::OK, "it is the register that was missing");
    alerting.stop().await;
}
