//! What people enter by themselves, and what they ask to be counted.

use super::*;

const GRID: &str = "340203001002003";

impl Desk {
    async fn post(&self, path: &str, key: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}/api/v1{path}", self.address));
        let request = request.header("x-csrf-token", &self.csrf).header("idempotency-key", key).json(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn attach(&self, id: &str, key: &str, bytes: Vec<u8>) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}/api/v1/incidents/{id}/attachments", self.address));
        let request = request.header("x-csrf-token", &self.csrf).header("idempotency-key", key).body(bytes);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn bytes(&self, path: &str) -> (StatusCode, String, Vec<u8>) {
        let answer = self.http.get(format!("{}/api/v1{path}", self.address)).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status(), kind, answer.bytes().await.unwrap().to_vec())
    }
}

fn told() -> Value {
    json!({ "entry": "hotline", "category": "road_flood", "urgency": "A", "grid": GRID,
            "position": [118.376451, 31.326319], "text": "积水约二十厘米" })
}

pub async fn c04_what_the_hotline_hears_is_an_incident_without_a_device(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let (status, incident) = operator.post("/incidents", "key-00000001", &told()).await;
    assert_eq!(status, StatusCode::CREATED, "{incident}");
    assert_eq!((&incident["state"], &incident["entry"]), (&json!("reported"), &json!("hotline")));
    assert_eq!((&incident["device"], &incident["rule"], &incident["code"]), (&json!(null), &json!(null), &json!(null)));
    assert_eq!(incident["timeline"][0]["comment"], "积水约二十厘米");
    assert!(incident["deadlines"].as_array().unwrap().iter().any(|clock| clock["clock"] == "accept"), "{incident}");
    let id = incident["id"].as_str().unwrap();

    let (status, again) = operator.post("/incidents", "key-00000001", &told()).await;
    assert_eq!((status, again["id"].as_str()), (StatusCode::CREATED, Some(id)), "a repetition is the same one");
    assert_eq!(operator.incidents().await.len(), 1);
    let mut other = told();
    other["grid"] = json!("340203001002004");
    assert_eq!(operator.post("/incidents", "key-00000001", &other).await.0, StatusCode::CONFLICT);

    for (field, value) in [
        ("entry", json!("rule")),
        ("category", json!("protest")),
        ("urgency", json!("Z")),
        ("grid", json!("street")),
        ("position", json!([200.0, 0.0])),
        ("position", json!([1.0])),
        ("text", json!("a\u{202e}b")),
    ] {
        let mut wrong = told();
        wrong[field] = value;
        let (status, problem) = operator.post("/incidents", "key-00000002", &wrong).await;
        assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)), "{problem}");
    }
    let mut beyond = told();
    beyond["grid"] = json!("110101001002003");
    assert_eq!(operator.post("/incidents", "key-00000003", &beyond).await.0, StatusCode::FORBIDDEN);
    let dispatcher = alerting.sign_in(site.path(), "dispatcher").await;
    assert_eq!(dispatcher.post("/incidents", "key-00000004", &told()).await.0, StatusCode::FORBIDDEN);

    let file = json!({ "command": "file", "version": 1 });
    let (status, filed) = dispatcher.command(id, "key-00000005", &file).await;
    assert_eq!(status, StatusCode::OK, "{filed}");
    let code = filed["code"].as_str().unwrap();
    assert!(code.starts_with("340203-") && code.ends_with("-00001") && code.len() == 21, "{code}");
    let (_, found) = dispatcher.get(&format!("/incidents?code={code}")).await;
    assert_eq!(found["items"][0]["id"], id);
    alerting.stop().await;
}

pub async fn notes_and_pictures_stand_beside_an_incident(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let supervisor = alerting.sign_in(site.path(), "supervisor").await;
    let (_, incident) = operator.post("/incidents", "key-00000001", &told()).await;
    let id = incident["id"].as_str().unwrap();
    let notes = format!("/incidents/{id}/notes");
    let comment = json!({ "note": "comment", "text": "已联系排水" });
    let (status, noted) = operator.post(&notes, "key-00000002", &comment).await;
    assert_eq!((status, &noted["timeline"][1]["comment"]), (StatusCode::OK, &json!("已联系排水")), "{noted}");
    let (_, again) = operator.post(&notes, "key-00000002", &comment).await;
    assert_eq!(again["timeline"].as_array().unwrap().len(), 2, "a repetition is one note");
    let supervise = json!({ "note": "supervise", "text": "两小时内处置" });
    assert_eq!(operator.post(&notes, "key-00000003", &supervise).await.0, StatusCode::FORBIDDEN);
    let (status, supervised) = supervisor.post(&notes, "key-00000004", &supervise).await;
    assert_eq!((status, &supervised["supervised"]), (StatusCode::OK, &json!(true)), "{supervised}");
    let (status, problem) = supervisor.post(&notes, "key-00000005", &json!({ "note": "supervise" })).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("text")));
    let early = json!({ "note": "acknowledge", "fields": { "clock": "accept" } });
    assert_eq!(supervisor.post(&notes, "key-00000006", &early).await.0, StatusCode::CONFLICT, "nothing is due yet");

    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(64, 48).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let (status, attached) = operator.attach(id, "key-00000007", picture.into_inner()).await;
    assert_eq!(status, StatusCode::CREATED, "{attached}");
    let shown = &attached["attachments"][0];
    assert_eq!((&shown["width"], &shown["account"]), (&json!(64), &json!("operator")));
    let url = format!("/incidents/{id}/attachments/{}", shown["sha256"].as_str().unwrap());
    assert_eq!(operator.bytes(&url).await.0, StatusCode::BAD_REQUEST, "no reason");
    let (status, kind, bytes) = operator.bytes(&format!("{url}?purpose=incident_handling&reason=proof")).await;
    assert_eq!((status, kind.as_str(), &bytes[..2]), (StatusCode::OK, "image/jpeg", &[0xff, 0xd8][..]));
    let (status, problem) = operator.attach(id, "key-00000008", b"<svg/>".to_vec()).await;
    assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("body")), "{problem}");
    let too_long = vec![0; 10 * 1000 * 1000 + 1];
    assert_eq!(operator.attach(id, "key-00000009", too_long).await.0, StatusCode::BAD_REQUEST);
    let auditor = alerting.sign_in(site.path(), "auditor").await;
    assert_eq!(auditor.attach(id, "key-00000010", b"x".to_vec()).await.0, StatusCode::FORBIDDEN);
    let view = format!("{url}?purpose=incident_handling&reason=look");
    assert_eq!(auditor.bytes(&view).await.0, StatusCode::FORBIDDEN);
    let (_, audit) = auditor.get("/audit?action=read_attachment").await;
    let decisions: Vec<_> = audit["items"].as_array().unwrap().iter().map(|row| row["permitted"].clone()).collect();
    assert_eq!(decisions, [json!(false), json!(true)], "{audit}");
    alerting.stop().await;
}

pub async fn reports_and_nuisance_come_from_what_people_did(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let supervisor = alerting.sign_in(site.path(), "supervisor").await;
    let mut camera = Camera::new("gate-1", an_hour_ago());
    alerting.deliver(0, &intrusion(&mut camera, None)).await;
    let id = operator.incidents().await[0]["id"].as_str().unwrap().to_owned();
    let discard = json!({ "command": "discard", "version": 1, "reason": "nothing_there" });
    assert_eq!(operator.command(&id, "key-00000001", &discard).await.0, StatusCode::OK);
    operator.post("/incidents", "key-00000002", &told()).await;

    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    let week = xueliang_alerting::report::Period::week_of(an_hour_ago(), &zone);
    let report = format!("/reports/{week}");
    assert_eq!(operator.get(&report).await.0, StatusCode::FORBIDDEN, "counts are not an operator's");
    let (status, counted) = supervisor.get(&report).await;
    assert_eq!(status, StatusCode::OK, "{counted}");
    let table = |key: &str| {
        counted["tables"].as_array().unwrap().iter().find(|table| table["key"] == key).unwrap()["rows"].clone()
    };
    let by_grid = table("cases_by_grid");
    let ours = by_grid.as_array().unwrap().iter().find(|row| row["name"] == GRID).unwrap();
    assert_eq!((&ours["raised"], &ours["discarded"], &ours["false_alarm_rate"]), (&json!(2), &json!(1), &json!(0.5)));
    let cameras = table("cameras_by_grid");
    assert_eq!(cameras.as_array().unwrap().len(), 2, "{cameras}");
    let (_, published) = supervisor.get(&format!("{report}?audience=published")).await;
    assert!(!published.to_string().contains("gate-1") && published.to_string().contains("<10"), "{published}");
    let (status, kind, csv) = supervisor.bytes(&format!("{report}?format=csv&table=cases_by_grid&language=en")).await;
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/csv; charset=utf-8"));
    assert!(csv.starts_with('\u{feff}') && csv.contains(GRID) && csv.contains("Raised"), "{csv}");
    let (status, _, xlsx) = supervisor.bytes(&format!("{report}?format=xlsx")).await;
    assert_eq!((status, &xlsx[..2]), (StatusCode::OK, &b"PK"[..]));
    for (query, field) in
        [("format=pdf", "format"), ("digits=3", "digits"), ("bin_min=7", "bin_min"), ("region=*", "region")]
    {
        let (status, problem) = supervisor.get(&format!("{report}?{query}")).await;
        assert_eq!((status, problem["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)), "{problem}");
    }
    assert_eq!(supervisor.get("/reports/2026-13").await.1["field"], "period");
    assert_eq!(supervisor.get(&format!("{report}?region=110101")).await.0, StatusCode::FORBIDDEN);

    let (status, nuisance) = operator.get("/nuisance").await;
    assert_eq!(status, StatusCode::OK, "{nuisance}");
    assert_eq!((&nuisance["rules"][0]["key"], &nuisance["rules"][0]["rate"]), (&json!("yard"), &json!(1.0)));
    assert_eq!(nuisance["devices"][0]["key"], "gate-1");
    assert_eq!(nuisance["categories"].as_array().unwrap().len(), 1, "what a person reported is no rule's");
    alerting.stop().await;
}
