//! Accounts, sessions and machines before the running server, on both stores.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the report")]

mod accounts;
mod machines;
mod oidc;
mod provider;
mod sessions;
mod tls;

use std::fs;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use xueliang_alerting::{
    AlertingSettings, OneBox, Running,
    consume::embedded::{Delivery, channel},
    start,
    store::{
        Stored, Tx,
        connection::{Connection, Kind},
    },
};

#[path = "../shared/databases.rs"]
mod databases;

#[path = "../shared/site.rs"]
mod site;

use site::{Site, on_both};

impl Site {
    fn settings(&self, more: &str) -> AlertingSettings {
        let store = self.store_settings();
        let text = format!(
            "[alerting]\nlisten = \"127.0.0.1:0\"\ndata_dir = {:?}\nregion = \"340203\"\n{more}\n{store}",
            self.path().join("data"),
        );
        let file = self.path().join("xueliang.toml");
        fs::write(&file, text).unwrap();
        AlertingSettings::load(&file).unwrap()
    }

    /// Changes the store behind the program's back.
    async fn change(&self, sql: &'static str) {
        self.on_store(Kind::Write, move |tx| tx.batch(sql)).await;
    }

    /// The audit's rows, oldest first: actor, action, resource, decision.
    async fn audit(&self) -> Vec<String> {
        let read = |tx: &Tx<'_>| -> Stored<Vec<String>> {
            let rows = tx.rows("SELECT * FROM audit ORDER BY seq", &[])?;
            let said = rows.iter().map(|row| {
                let texts: [String; 4] =
                    [row.get("actor")?, row.get("action")?, row.get("resource")?, row.get("decision")?];
                Ok(texts.join(" "))
            });
            said.collect()
        };
        self.on_store(Kind::Read, read).await
    }

    async fn on_store<T: Send + 'static>(
        &self,
        kind: Kind,
        work: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static,
    ) -> T {
        let place = self.place.clone();
        let run = move || Connection::open(&place).unwrap().run(kind, work).unwrap();
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn first_password(&self, account: &str) -> String {
        let passwords = fs::read_to_string(self.path().join("data/initial-passwords.txt")).unwrap();
        passwords.lines().find_map(|line| line.strip_prefix(&format!("{account} "))).unwrap().to_owned()
    }
}

/// A running alerting without events.
struct Box {
    address: String,
    shutdown: CancellationToken,
    running: Running,
    _events: tokio::sync::mpsc::Sender<Delivery>,
}

impl Box {
    async fn start(site: &Site) -> Self {
        Self::with(site, "").await
    }

    async fn with(site: &Site, more: &str) -> Self {
        let (events, source) = channel(4);
        let shutdown = CancellationToken::new();
        let one_box = OneBox { source, probes: Vec::new() };
        let started = start(site.settings(more), Some(one_box), prometheus::Registry::new(), shutdown.clone());
        let (started, running) = started.await.unwrap();
        let scheme = if started.has_tls { "https" } else { "http" };
        Self { address: format!("{scheme}://{}", started.listen_addr), shutdown, running, _events: events }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.ended().await;
    }

    async fn try_sign_in(&self, http: &Client, account: &str, password: &str) -> Response {
        let request = http.post(format!("{}/api/v1/session", self.address));
        request.json(&json!({ "account": account, "password": password })).send().await.unwrap()
    }

    async fn sign_in(&self, account: &str, password: &str) -> Client {
        let http = Client::builder().cookie_store(true).build().unwrap();
        let answer = self.try_sign_in(&http, account, password).await;
        assert_eq!(answer.status(), StatusCode::OK, "{account}");
        http
    }

    async fn get(&self, http: &Client, path: &str) -> StatusCode {
        http.get(format!("{}{path}", self.address)).send().await.unwrap().status()
    }
}

/// What an answer says that is no success, without how long to wait.
async fn problem(answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = answer.json().await.unwrap();
    let detail: String = body["detail"].as_str().unwrap().chars().filter(|c| !c.is_ascii_digit()).collect();
    (status, format!("{}: {detail}", body["title"].as_str().unwrap()))
}
