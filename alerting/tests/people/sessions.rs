//! Signing in, being locked out, and sessions that end.

use reqwest::{Client, StatusCode};

use crate::{Box, Site, on_both, problem};

on_both!(
    guessing_locks_a_name_for_all_instances_and_over_a_restart,
    a_session_ends_when_nobody_uses_it_and_following_is_no_use,
    a_flood_of_one_account_holds_up_nobody_else,
    an_account_follows_only_so_many_streams,
    what_a_page_asks_for_by_itself_is_no_use_and_what_a_person_does_is,
);

async fn guessing_locks_a_name_for_all_instances_and_over_a_restart(site: &Site) {
    let (one, other) = (Box::start(site).await, Box::start(site).await);
    let http = Client::new();
    let right = site.first_password("operator");
    for nth in 1..=5 {
        let alerting = if nth % 2 == 0 { &one } else { &other };
        let known = problem(alerting.try_sign_in(&http, "operator", "wrong").await).await;
        let unknown = problem(alerting.try_sign_in(&http, "nobody", "wrong").await).await;
        assert_eq!((known.0, &known), (StatusCode::UNAUTHORIZED, &unknown), "{nth}");
    }
    one.stop().await;
    other.stop().await;
    let restarted = Box::start(site).await;
    let known = restarted.try_sign_in(&http, "operator", &right).await;
    let wait: u64 = known.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((600..=900).contains(&wait), "{wait}");
    let unknown = problem(restarted.try_sign_in(&http, "nobody", &right).await).await;
    let known = problem(known).await;
    assert_eq!((known.0, &known), (StatusCode::TOO_MANY_REQUESTS, &unknown));
    restarted.sign_in("auditor", &site.first_password("auditor")).await;

    site.change("UPDATE sign_in_failure SET locked_until = 1").await;
    restarted.sign_in("operator", &right).await;
    let audit = site.audit().await;
    let count = |row: &str| audit.iter().filter(|found| *found == row).count();
    assert_eq!(count("operator sign_in session deny"), 5, "{audit:#?}");
    assert_eq!(count("operator lock_account session deny"), 1, "{audit:#?}");
    assert_eq!(audit.len(), 8, "what is no account's is not registered: {audit:#?}");
    restarted.stop().await;
}

/// 59 of the 60 minutes after which an unused session ends.
const NEARLY: &str = "UPDATE session SET used_at = used_at - 3540000000";
const TWO_MORE_MINUTES: &str = "UPDATE session SET used_at = used_at - 120000000";

async fn a_session_ends_when_nobody_uses_it_and_following_is_no_use(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in("operator", &site.first_password("operator")).await;
    site.change(NEARLY).await;
    assert_eq!(alerting.get(&operator, "/api/v1/session").await, StatusCode::OK, "59 minutes");
    site.change(NEARLY).await;
    assert_eq!(alerting.get(&operator, "/api/v1/session").await, StatusCode::OK, "the use before was noted");
    site.change(NEARLY).await;
    assert_eq!(alerting.get(&operator, "/api/v1/stream").await, StatusCode::OK);
    site.change(TWO_MORE_MINUTES).await;
    assert_eq!(alerting.get(&operator, "/api/v1/session").await, StatusCode::UNAUTHORIZED, "only the stream used it");

    let operator = alerting.sign_in("operator", &site.first_password("operator")).await;
    assert_eq!(alerting.get(&operator, "/api/v1/session").await, StatusCode::OK);
    site.change("UPDATE session SET expires_at = 1").await;
    assert_eq!(alerting.get(&operator, "/api/v1/session").await, StatusCode::UNAUTHORIZED, "12 hours are over");
    alerting.stop().await;
}

async fn a_flood_of_one_account_holds_up_nobody_else(site: &Site) {
    let alerting = Box::with(site, "requests_per_minute = 300").await;
    let operator = alerting.sign_in("operator", &site.first_password("operator")).await;
    let auditor = alerting.sign_in("auditor", &site.first_password("auditor")).await;
    let session = format!("{}/api/v1/session", alerting.address);
    for nth in 1..=300 {
        assert_eq!(operator.get(&session).send().await.unwrap().status(), StatusCode::OK, "{nth}");
    }
    let refused = operator.get(&session).send().await.unwrap();
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(problem(refused).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(alerting.get(&auditor, "/api/v1/session").await, StatusCode::OK);
    let metrics = auditor.get(format!("{}/metrics", alerting.address)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("xueliang_throttled_requests_total 1"), "{metrics}");
    alerting.stop().await;
}

async fn an_account_follows_only_so_many_streams(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in("operator", &site.first_password("operator")).await;
    let auditor = alerting.sign_in("auditor", &site.first_password("auditor")).await;
    let stream = format!("{}/api/v1/stream", alerting.address);
    let mut followed = Vec::new();
    for _ in 0..24 {
        let answer = operator.get(&stream).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        followed.push(answer);
    }
    assert_eq!(problem(operator.get(&stream).send().await.unwrap()).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(auditor.get(&stream).send().await.unwrap().status(), StatusCode::OK);
    drop(followed);
    let tried = std::time::Instant::now();
    while operator.get(&stream).send().await.unwrap().status() != StatusCode::OK {
        assert!(tried.elapsed().as_secs() < 10, "places come free");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    alerting.stop().await;
}

async fn what_a_page_asks_for_by_itself_is_no_use_and_what_a_person_does_is(site: &Site) {
    const STILL: &str = "/api/v1/incidents/00000000-0000-7000-8000-000000000000/snapshots/\
                         0000000000000000000000000000000000000000000000000000000000000000\
                         ?purpose=incident_handling&reason=duty_list";
    let alerting = Box::start(site).await;
    let list = format!("{}/api/v1/incidents", alerting.address);
    let check = async |background: Option<&str>, path: &str, ends: bool| {
        let operator = alerting.sign_in("operator", &site.first_password("operator")).await;
        site.change(NEARLY).await;
        let mut asked = operator.get(format!("{}{path}", alerting.address));
        if let Some(value) = background {
            asked = asked.header("x-xueliang-background", value);
        }
        assert_ne!(asked.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{background:?} {path}: 59 minutes");
        site.change(TWO_MORE_MINUTES).await;
        let expected = if ends { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        let after = operator.get(&list).send().await.unwrap().status();
        assert_eq!(after, expected, "{background:?} {path}");
    };
    // Each of the two doors that people have: theirs alone, and the one that is machines' too.
    for path in ["/api/v1/nuisance", "/api/v1/incidents"] {
        check(None, path, false).await;
        check(Some("0"), path, false).await;
        check(Some("1"), path, true).await;
    }
    check(None, STILL, true).await;

    let operator = alerting.sign_in("operator", &site.first_password("operator")).await;
    let session: serde_json::Value =
        operator.get(format!("{}/api/v1/session", alerting.address)).send().await.unwrap().json().await.unwrap();
    site.change(NEARLY).await;
    let entered = operator.post(&list).header("x-csrf-token", session["csrf_token"].as_str().unwrap());
    let entered = entered.header("x-xueliang-background", "1").json(&serde_json::json!({})).send().await.unwrap();
    assert_eq!(entered.status(), StatusCode::BAD_REQUEST, "a change that was asked for in a wrong way");
    site.change(TWO_MORE_MINUTES).await;
    assert_eq!(alerting.get(&operator, "/api/v1/session").await, StatusCode::OK, "a change is never a page's own");
    alerting.stop().await;
}
