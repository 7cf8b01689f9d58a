//! A person's or a prober's way into a running system: health, metrics, sign-in, incidents, commands.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use serde_json::{Value, json};

/// A client of one running `xueliang`.
pub struct Client {
    http: Http,
    base: String,
    csrf: Option<String>,
}

impl Client {
    /// A client of the system that listens on this loopback port.
    pub fn new(port: u16) -> Result<Self> {
        let http = Http::builder().cookie_store(true).timeout(Duration::from_secs(10)).build()?;
        Ok(Self { http, base: format!("http://127.0.0.1:{port}"), csrf: None })
    }

    /// Signs in; later calls are this person's.
    pub fn sign_in(&mut self, account: &str, password: &str) -> Result<()> {
        let body = json!({ "account": account, "password": password });
        let session = answer(self.http.post(self.url("/api/v1/session")).json(&body))?;
        self.csrf = session["csrf_token"].as_str().map(str::to_owned);
        ensure!(self.csrf.is_some(), "the session has no csrf_token: {session}");
        Ok(())
    }

    /// A JSON answer of the API.
    pub fn get(&self, path: &str) -> Result<Value> {
        answer(self.http.get(self.url(path)))
    }

    /// Sends something to the API under an idempotency key; its JSON answer.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(self.url(path)).json(body).header("idempotency-key", key);
        answer(request.header("x-csrf-token", self.csrf.as_deref().unwrap_or_default()))
    }

    /// Status and body of any path, whatever the status.
    pub fn fetch(&self, path: &str) -> Result<(StatusCode, Vec<u8>)> {
        let response = self.http.get(self.url(path)).send()?;
        Ok((response.status(), response.bytes()?.to_vec()))
    }

    /// The live stream of what changes, for as long as it is read.
    pub fn follow(&self) -> Result<Response> {
        Ok(self.http.get(self.url("/api/v1/stream")).timeout(Duration::from_secs(600)).send()?.error_for_status()?)
    }

    /// The newest incidents of a category, or of all.
    pub fn incidents(&self, category: Option<&str>) -> Result<Vec<Value>> {
        let filter = category.map(|category| format!("&category={category}")).unwrap_or_default();
        let list = self.get(&format!("/api/v1/incidents?limit=200{filter}"))?;
        Ok(list["items"].as_array().context("no items")?.clone())
    }

    /// One incident, whole.
    pub fn incident(&self, id: &str) -> Result<Value> {
        self.get(&format!("/api/v1/incidents/{id}"))
    }

    /// Gives a command with its reason, if it needs one.
    pub fn command(&self, incident: &Value, command: &str, reason: Option<&str>) -> Result<Value> {
        let id = incident["id"].as_str().context("no id")?;
        let body = json!({ "command": command, "version": incident["version"], "reason": reason });
        let request = self.http.post(self.url(&format!("/api/v1/incidents/{id}/commands"))).json(&body);
        let request = request.header("idempotency-key", format!("{id}-{command}-{}", incident["version"]));
        answer(request.header("x-csrf-token", self.csrf.as_deref().unwrap_or_default()))
    }

    /// All devices by id.
    pub fn devices(&self) -> Result<HashMap<String, Value>> {
        let list = self.get("/api/v1/devices")?;
        let items = list["items"].as_array().context("no items")?;
        Ok(items.iter().filter_map(|item| Some((item["id"].as_str()?.to_owned(), item.clone()))).collect())
    }

    /// True when `/readyz` says so.
    pub fn is_ready(&self) -> Result<bool> {
        Ok(self.fetch("/readyz")?.0 == StatusCode::OK)
    }

    /// The sum of a metric over all label sets that contain `labels`.
    pub fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let (status, body) = self.fetch("/metrics")?;
        ensure!(status == StatusCode::OK, "/metrics answers {status}");
        let text = String::from_utf8(body)?;
        let of_metric =
            text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with(['{', ' ']));
        Ok(of_metric
            .filter(|rest| rest.contains(labels))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn answer(request: RequestBuilder) -> Result<Value> {
    let response: Response = request.send()?;
    let (status, url) = (response.status(), response.url().path().to_owned());
    let text = response.text()?;
    ensure!(status.is_success(), "{url} answers {status}: {text}");
    if text.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_str(&text).with_context(|| format!("{url}: {text}"))
    }
}
