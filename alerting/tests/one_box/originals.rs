//! Sealed originals over HTTP: who sees one, what is registered, and that nothing of it lies on the disk or leaves in a package.

use super::{
    grants::{an_incident, asked, in_store},
    *,
};
use xueliang_alerting::originals::OriginalsKey;

/// Stands for what nobody may find anywhere.
const ORIGINAL: &[u8] = b"\xff\xd8\xff\xe0 not redacted";

/// A new key and the settings that name it.
fn with_key(site: &Site) -> (OriginalsKey, String) {
    let file = site.path().join("originals.key");
    let key = OriginalsKey::make(&file).unwrap();
    (key, format!("[alerting.sealed_originals]\nkey_file = {file:?}\n"))
}

/// Does the worker's part: seals the original of the still that `an_incident` puts into the worker's folder.
fn seal(site: &Site, key: &OriginalsKey) {
    let sha256 = hex::encode(Sha256::digest(b"jpeg"));
    let line = format!("xueliang-original-1 {sha256} {}\n", an_hour_ago());
    let recipient: age::x25519::Recipient = key.recipient().parse().unwrap();
    let sealed = age::encrypt(&recipient, &[line.as_bytes(), ORIGINAL].concat()).unwrap();
    let shelf = site.path().join("stills").join(&sha256[..2]);
    fs::create_dir_all(&shelf).unwrap();
    fs::write(shelf.join(format!("{}.age", &sha256[2..])), sealed).unwrap();
}

/// A grant for the supervisor that both others have approved.
async fn granted(site: &Site, alerting: &Box, request: &Value) -> String {
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let (_, grant) = chief.ask("/grants", &format!("ask-{}", request["action"].as_str().unwrap()), request).await;
    let id = grant["id"].as_str().unwrap().to_owned();
    for (version, account) in [(1, "second-chief"), (2, "privacy")] {
        let approver = alerting.sign_in(site.path(), account).await;
        let (status, said) = approver
            .ask(&format!("/grants/{id}/approve"), &format!("approve-{id}"), &json!({ "version": version }))
            .await;
        assert_eq!(status, StatusCode::OK, "{said}");
    }
    id
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// All files of the site.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn no_file_has_it(site: &Site) {
    let files = files(site.path());
    assert!(files.iter().any(|(name, bytes)| name.contains("data") && bytes.starts_with(b"age-encryption.org/v1\n")));
    for (name, bytes) in files {
        assert!(!has(&bytes, b"\xff\xd8\xff") && !has(&bytes, b"not redacted"), "{name}");
    }
}

pub async fn two_people_open_an_original_and_nothing_of_it_is_written(site: &Site) {
    let (key, settings) = with_key(site);
    seal(site, &key);
    let alerting = Box::start_with(site, &settings).await;
    let (id, still) = an_incident(site, &alerting).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let second = alerting.sign_in(site.path(), "second-chief").await;
    let original = |grant: &str| format!("/incidents/{id}/originals/{}?grant={grant}", still.sha256.as_str());
    let nobodys = "019abc00-0000-7000-8000-00000000dead";
    assert_eq!(chief.fetch(&original(nobodys)).await.0, StatusCode::FORBIDDEN, "without a grant");

    let grant = granted(site, &alerting, &asked(&id, "view_original")).await;
    let (status, opened) = chief.get(&format!("/incidents/{id}/sealed?grant={grant}")).await;
    assert_eq!((status, &opened["kept_here"]), (StatusCode::OK, &json!(true)), "{opened}");
    assert_eq!(opened["originals"][0]["sha256"], still.sha256.as_str());
    let answer = chief.http.get(format!("{}/api/v1{}", alerting.address, original(&grant))).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        (&answer.headers()["content-type"], &answer.headers()["cache-control"]),
        (&"image/jpeg".parse().unwrap(), &"no-store".parse().unwrap())
    );
    assert_eq!(&answer.bytes().await.unwrap()[..], ORIGINAL);
    assert_eq!(second.fetch(&original(&grant)).await.0, StatusCode::FORBIDDEN, "it is one person's");
    assert_eq!(
        chief.fetch(&format!("/incidents/{id}/originals/{}", still.sha256.as_str())).await.0,
        StatusCode::BAD_REQUEST
    );

    let auditor = alerting.sign_in(site.path(), "auditor").await;
    let resource =
        |grant: &str| format!("/audit?resource=incident/{id}/view_original/{grant}/{}", still.sha256.as_str());
    let (_, page) = auditor.get(&resource(&grant)).await;
    let rows: Vec<_> = page["items"].as_array().unwrap().iter().map(|row| (&row["actor"], &row["permitted"])).collect();
    assert_eq!(rows, [(&json!("second-chief"), &json!(false)), (&json!("supervisor"), &json!(true))], "{page}");
    assert_eq!(page["items"][1]["reason"], "the owner asks");
    let (_, page) = auditor.get(&resource(nobodys)).await;
    assert_eq!(page["items"][0]["permitted"], json!(false), "an attempt without a grant is registered too: {page}");
    alerting.stop().await;
    no_file_has_it(site);
}

pub async fn p19_no_original_is_served_that_is_not_registered(site: &Site) {
    let (key, settings) = with_key(site);
    seal(site, &key);
    let alerting = Box::start_with(site, &settings).await;
    let (id, still) = an_incident(site, &alerting).await;
    let grant = granted(site, &alerting, &asked(&id, "view_original")).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let original = format!("/incidents/{id}/originals/{}?grant={grant}", still.sha256.as_str());
    in_store(site, "ALTER TABLE audit RENAME TO audit_away").await;
    let (status, bytes) = chief.fetch(&original).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!has(&bytes, b"not redacted"));
    in_store(site, "ALTER TABLE audit_away RENAME TO audit").await;
    assert_eq!(chief.fetch(&original).await.0, StatusCode::OK, "it is the register that was missing");
    alerting.stop().await;
}

pub async fn p23_no_package_has_an_original_in_it(site: &Site) {
    let (key, settings) = with_key(site);
    seal(site, &key);
    let alerting = Box::start_with(site, &settings).await;
    let (id, still) = an_incident(site, &alerting).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    for action in ["export", "release"] {
        let grant = granted(site, &alerting, &asked(&id, action)).await;
        let (status, zip) = chief.fetch(&format!("/incidents/{id}/{action}?grant={grant}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(has(&zip, b"jpeg") && has(&zip, still.sha256.as_str().as_bytes()), "the test looked at nothing");
        assert!(!has(&zip, b"not redacted") && !has(&zip, b"age-encryption.org"), "{action}");
        let original = format!("/incidents/{id}/originals/{}?grant={grant}", still.sha256.as_str());
        assert_eq!(chief.fetch(&original).await.0, StatusCode::FORBIDDEN, "{action} opens none");
    }
    let grant = granted(site, &alerting, &asked(&id, "view_original")).await;
    for action in ["export", "release"] {
        assert_eq!(chief.fetch(&format!("/incidents/{id}/{action}?grant={grant}")).await.0, StatusCode::FORBIDDEN);
    }
    alerting.stop().await;
}

pub async fn sealed_originals_are_off_by_default(site: &Site) {
    let (key, _) = with_key(site);
    seal(site, &key);
    let alerting = Box::start(site).await;
    let (id, still) = an_incident(site, &alerting).await;
    let grant = granted(site, &alerting, &asked(&id, "view_original")).await;
    let chief = alerting.sign_in(site.path(), "supervisor").await;
    let (status, opened) = chief.get(&format!("/incidents/{id}/sealed?grant={grant}")).await;
    assert_eq!((status, &opened["kept_here"], &opened["originals"]), (StatusCode::OK, &json!(false), &json!([])));
    let original = format!("/incidents/{id}/originals/{}?grant={grant}", still.sha256.as_str());
    let (status, problem) = chief.get(&original).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("write [alerting.sealed_originals] key_file"), "{problem}");
    alerting.stop().await;
    let kept = files(&site.path().join("data"));
    assert!(kept.iter().any(|(name, _)| name.ends_with(".jpg")), "the test looked at nothing");
    assert!(kept.iter().all(|(name, _)| !name.ends_with(".age")), "what can't be opened is not taken over");
}
