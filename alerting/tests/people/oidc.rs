//! Sign-in by an identity provider: a small one that also lies, and a certified one where `XUELIANG_TEST_OIDC` names its folder.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode, redirect::Policy};
use serde_json::Value;
use url::Url;
use xueliang_alerting::{
    AlertingSettings,
    access::Assignment,
    accounts::administration::{Administration, NewAccount},
    workflow::Role,
};

use crate::{
    Box, Site, problem,
    provider::{Lie, Provider},
};

const PUBLIC: &str = "https://console.example";

/// A provider with one person, known by a password: node's `oidc-provider`, as `deploy/dev/oidc` sets it up.
struct Certified {
    process: Child,
    issuer: String,
}

impl Certified {
    /// `None`, told as skipped, where it is not installed.
    async fn start() -> Option<Self> {
        let Ok(folder) = std::env::var("XUELIANG_TEST_OIDC") else {
            eprintln!("SKIPPED: sign-in by a provider, for XUELIANG_TEST_OIDC names no folder with one");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let callback = format!("{PUBLIC}/sign-in/oidc/callback");
        let mut command = Command::new("node");
        let process =
            command.arg("provider.mjs").arg(port.to_string()).arg(callback).current_dir(folder).spawn().unwrap();
        let provider = Self { process, issuer: format!("http://127.0.0.1:{port}") };
        let until = Instant::now() + Duration::from_secs(20);
        while reqwest::get(format!("{}/.well-known/openid-configuration", provider.issuer)).await.is_err() {
            assert!(Instant::now() < until, "the provider does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(provider)
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Settings with this provider.
fn settings(issuer: &str) -> String {
    let endpoint = Url::parse(issuer).unwrap().authority().to_owned();
    format!(
        "public_url = {PUBLIC:?}\nallowed_endpoints = [{endpoint:?}]\n[alerting.oidc]\nissuer = {issuer:?}\n\
         client_id = \"xueliang\"\nclient_secret_file = \"oidc.secret\""
    )
}

/// A box whose people sign in by this provider, and an account `li` that nobody has linked yet.
async fn site_of(issuer: &str) -> (Site, Box, Administration) {
    let site = Site::file();
    fs::write(site.path().join("oidc.secret"), "hidden\n").unwrap();
    let alerting = Box::with(&site, &settings(issuer)).await;
    let admin = Administration::open(&site.settings(&settings(issuer)), "local:tester", None).await.unwrap();
    let assignment = Assignment { role: Role::Operator, region: "340203".to_owned(), valid_until: None };
    let (account, display_name) = ("li".to_owned(), "Li".to_owned());
    admin.add(NewAccount { account, display_name, department: None, assignment, training: None }, None).await.unwrap();
    (site, alerting, admin)
}

/// A browser that tells where it would leave this machine to.
fn browser() -> Client {
    let policy = Policy::custom(|attempt| match attempt.url().host_str() {
        Some("127.0.0.1") if !["/", "/incidents"].contains(&attempt.url().path()) => attempt.follow(),
        _ => attempt.stop(),
    });
    Client::builder().cookie_store(true).redirect(policy).build().unwrap()
}

fn location(answer: &Response) -> Url {
    let location = answer.headers()["location"].to_str().unwrap();
    answer.url().join(location).unwrap()
}

/// Goes to the provider and, when it does not know the browser yet, gives the password; gives where the provider sends the browser back to.
async fn at_provider(alerting: &Box, browser: &Client) -> Url {
    let form = browser.get(format!("{}/sign-in/oidc?to=/incidents", alerting.address)).send().await.unwrap();
    if form.status().is_redirection() {
        return location(&form);
    }
    assert_eq!(form.status(), StatusCode::OK, "{form:?}");
    let filled = [("login", "li@city.example"), ("password", "password")];
    let url = form.url().clone();
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(filled).finish();
    let request = browser.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    let back = location(&request.send().await.unwrap());
    assert!(back.as_str().starts_with(&format!("{PUBLIC}/sign-in/oidc/callback?")), "{back}");
    back
}

async fn come_back(alerting: &Box, browser: &Client, back: &Url) -> Response {
    let url = format!("{}/sign-in/oidc/callback?{}", alerting.address, back.query().unwrap());
    browser.get(url).send().await.unwrap()
}

#[tokio::test]
async fn a_provider_says_who_somebody_is_and_the_account_what_they_may_do() {
    let Some(provider) = Certified::start().await else { return };
    let (site, alerting, admin) = site_of(&provider.issuer).await;

    // Whom the provider knows and no account is linked to is nobody.
    let li = browser();
    let back = at_provider(&alerting, &li).await;
    let (status, _) = problem(come_back(&alerting, &browser(), &back).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "another browser did not begin it");
    let refused = come_back(&alerting, &li, &back).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let said: Value = refused.json().await.unwrap();
    let subject = said["detail"].as_str().unwrap().split('"').nth(1).unwrap().to_owned();
    assert_eq!(alerting.get(&li, "/api/v1/session").await, StatusCode::UNAUTHORIZED);

    admin.link("li".to_owned(), (provider.issuer.clone(), subject.clone())).await.unwrap();
    let again = admin.link("auditor".to_owned(), (provider.issuer.clone(), subject)).await.unwrap_err();
    assert!(again.to_string().contains("linked to an account already"), "{again}");
    let back = at_provider(&alerting, &li).await;
    let forged = Url::parse(&back.as_str().replace("state=", "state=x")).unwrap();
    let (status, _) = problem(come_back(&alerting, &li, &forged).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "a state that is not this browser's");
    let signed_in = come_back(&alerting, &li, &back).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&signed_in).as_str(), format!("{}/incidents", alerting.address));
    let cookies: Vec<&str> = signed_in.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
    assert!(cookies.iter().any(|c| c.starts_with("xueliang_session=") && c.contains("SameSite=Strict")), "{cookies:?}");
    let session: Value =
        li.get(format!("{}/api/v1/session", alerting.address)).send().await.unwrap().json().await.unwrap();
    assert_eq!((&session["account"], &session["roles"][0]["role"]), (&"li".into(), &"operator".into()));
    assert_eq!(alerting.get(&li, "/api/v1/incidents").await, StatusCode::FORBIDDEN, "not trained (P20)");
    let (status, _) = problem(come_back(&alerting, &li, &back).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "what was used is used up");

    admin.disable("li".to_owned()).await.unwrap();
    assert_eq!(alerting.get(&li, "/api/v1/session").await, StatusCode::UNAUTHORIZED);
    let back = at_provider(&alerting, &li).await;
    assert_eq!(come_back(&alerting, &li, &back).await.status(), StatusCode::UNAUTHORIZED, "disabled");
    let audit = site.audit().await;
    let of_li: Vec<&String> = audit.iter().filter(|row| row.starts_with("li ")).collect();
    assert_eq!(of_li, ["li sign_in session/oidc permit", "li sign_in session/oidc deny"]);
    alerting.stop().await;
}

#[tokio::test]
async fn only_what_the_provider_signed_for_this_sign_in_holds() {
    let provider = Provider::start().await;
    let (site, alerting, admin) = site_of(provider.issuer()).await;
    admin.link("li".to_owned(), (provider.issuer().to_owned(), "subject-7".to_owned())).await.unwrap();
    let begin = async |browser: &Client, to: &str| {
        let url = format!("{}/sign-in/oidc?to={to}", alerting.address);
        location(&browser.get(url).send().await.unwrap())
    };
    let lies = [Lie::Nonce, Lie::Audience, Lie::Issuer, Lie::Ended, Lie::Key, Lie::Unsigned, Lie::NoToken];
    for lie in lies {
        provider.tell(lie);
        let li = browser();
        let back = begin(&li, "/incidents").await;
        let (status, said) = problem(come_back(&alerting, &li, &back).await).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{lie:?}");
        assert!(said.contains("does not hold"), "{lie:?}: {said}");
        assert_eq!(alerting.get(&li, "/api/v1/session").await, StatusCode::UNAUTHORIZED, "{lie:?}");
    }
    provider.tell(Lie::Nothing);
    // A code of one browser is worth nothing in another that has begun too.
    let (li, thief) = (browser(), browser());
    let (back, of_thief) = (begin(&li, "/incidents").await, begin(&thief, "/").await);
    let state = of_thief.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let stolen = Url::parse(&format!("{PUBLIC}/sign-in/oidc/callback?code={code}&state={state}")).unwrap();
    assert_eq!(come_back(&alerting, &thief, &stolen).await.status(), StatusCode::UNAUTHORIZED, "PKCE");
    for (to, expected) in [("/incidents", "/incidents"), ("//evil.example", "/"), ("https://evil.example", "/")] {
        let back = begin(&li, to).await;
        let signed_in = come_back(&alerting, &li, &back).await;
        assert_eq!(signed_in.status(), StatusCode::SEE_OTHER, "{to}");
        assert_eq!(signed_in.headers()["location"], expected, "{to}");
    }
    assert_eq!(alerting.get(&li, "/api/v1/session").await, StatusCode::OK);
    admin.unlink("li".to_owned()).await.unwrap();
    assert_eq!(alerting.get(&li, "/api/v1/session").await, StatusCode::UNAUTHORIZED, "its sessions end");
    let audit = site.audit().await;
    assert_eq!(audit.iter().filter(|row| *row == "li sign_in session/oidc permit").count(), 3, "{audit:#?}");
    alerting.stop().await;
}

#[tokio::test]
async fn without_a_provider_there_is_no_such_page_and_one_that_is_away_is_told() {
    let site = Site::file();
    let alerting = Box::start(&site).await;
    assert_eq!(alerting.get(&Client::new(), "/sign-in/oidc").await, StatusCode::NOT_FOUND);
    alerting.stop().await;
    fs::write(site.path().join("oidc.secret"), "hidden\n").unwrap();
    // Nobody listens on the port of discarding.
    let away = "public_url = \"https://console.example\"\nallowed_endpoints = [\"127.0.0.1:9\"]\n[alerting.oidc]\n\
                issuer = \"http://127.0.0.1:9/realm\"\nclient_id = \"x\"\nclient_secret_file = \"oidc.secret\"";
    let alerting = Box::with(&site, away).await;
    assert_eq!(alerting.get(&Client::new(), "/sign-in/oidc").await, StatusCode::SERVICE_UNAVAILABLE);
    for query in ["", "?error=access_denied", "?code=c&state=s"] {
        let path = format!("/sign-in/oidc/callback{query}");
        assert_eq!(alerting.get(&Client::new(), &path).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    alerting.stop().await;
}

#[test]
fn p26_a_provider_that_is_not_allowed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("oidc.secret"), "hidden\n").unwrap();
    let check = |above: &str, oidc: &str, expected: &str| {
        let file = folder.path().join("xueliang.toml");
        let text = format!(
            "[alerting]\ndata_dir = \"d\"\nregion = \"340203\"\n{above}\n[alerting.oidc]\nclient_id = \"x\"\n{oidc}\n"
        );
        fs::write(&file, text).unwrap();
        let read = AlertingSettings::load(&file).map(|settings| settings.oidc.unwrap().issuer);
        match read {
            Ok(issuer) => assert_eq!(issuer, expected),
            Err(mistakes) => assert!(mistakes.to_string().contains(expected), "{mistakes}"),
        }
    };
    const URL: &str = "public_url = \"https://console.example\"";
    const ALLOWED: &str = "public_url = \"https://console.example\"\nallowed_endpoints = [\"id.example:443\"]";
    const OIDC: &str = "issuer = \"https://id.example/realm\"\nclient_secret_file = \"oidc.secret\"";
    check(ALLOWED, OIDC, "https://id.example/realm");
    check(URL, OIDC, "id.example:443 is no allowed endpoint");
    check("allowed_endpoints = [\"id.example:443\"]", OIDC, "needs public_url");
    check(ALLOWED, "issuer = \"https://id.example/realm\"", "client_secret_file: is missing");
    check(ALLOWED, &OIDC.replace("https", "http"), "is no protected address");
}
