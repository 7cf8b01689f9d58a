//! What each version of a rule meant, over restarts.

use super::*;

fn versions_of(listed: &Value) -> Vec<u64> {
    listed["items"].as_array().unwrap().iter().map(|item| item["version"].as_u64().unwrap()).collect()
}

pub async fn a_version_means_the_same_after_a_restart_and_can_be_read(site: &Site) {
    let alerting = Box::start(site).await;
    let operator = alerting.sign_in(site.path(), "operator").await;
    let (_, listed) = operator.get("/rules/plaza/versions").await;
    assert_eq!(versions_of(&listed), [1]);
    let item = &listed["items"][0];
    let meaning = item["meaning"].as_str().unwrap();
    assert!(
        meaning.contains("at_least = 3\nhysteresis = 0\nfor = \"2s\"\n") && !meaning.contains("owner"),
        "{meaning}"
    );
    assert_eq!(item["sha256"], hex::encode(Sha256::digest(meaning)));
    for unknown in ["nothing", "PLAZA", "%20"] {
        assert_eq!(operator.get(&format!("/rules/{unknown}/versions")).await.0, StatusCode::NOT_FOUND, "{unknown}");
    }
    let nobody = Client::new().get(format!("{}/api/v1/rules/plaza/versions", alerting.address)).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    alerting.stop().await;

    let pairs = RULES.replace("at_least = 3", "at_least = 2");
    let Err(refused) = Box::try_start(site, &pairs).await else { panic!("another meaning under version 1") };
    let told = xueliang_alerting::error_chain(&refused);
    assert!(told.contains("rule plaza means something else than the version 1 that was in force"), "{told}");
    assert!(told.contains("raise version to 2"), "{told}");

    let second = pairs.replace("id = \"plaza\"\nversion = 1", "id = \"plaza\"\nversion = 2");
    let alerting = Box::try_start(site, &second).await.unwrap();
    let operator = alerting.sign_in(site.path(), "operator").await;
    let (_, listed) = operator.get("/rules/plaza/versions").await;
    assert_eq!(versions_of(&listed), [2, 1], "{listed}");
    assert_eq!(listed["items"][1], *item, "what was kept stays as it was");
    alerting.stop().await;
}
