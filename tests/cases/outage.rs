//! Database and broker go away and come back while alerting runs: readiness names them, open pages are told, and all recovers by
//! itself.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xueliang_tests::{
    client::Client,
    deployment::{free_port, wait_ready},
    kafka::Kafka,
    parts,
    postgres::Postgres,
    process::Process,
    wait,
};

const SOON: Duration = Duration::from_secs(60);

/// What an open page was told last.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Option<Vec<String>>>>);

impl Page {
    /// Follows the stream in a thread that ends with it.
    fn open(client: &Client) -> Result<Self> {
        let page = Self::default();
        let (lines, told) = (BufReader::new(client.follow()?).lines(), page.clone());
        thread::spawn(move || {
            let mut is_health = false;
            for line in lines.map_while(Result::ok) {
                if let Some(event) = line.strip_prefix("event: ") {
                    is_health = event == "health";
                } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_health) {
                    *told.0.lock().unwrap() = Some(parts_of(data));
                }
            }
        });
        Ok(page)
    }

    fn wait(&self, expected: &[&str]) -> Result<()> {
        wait::until(&format!("the page to be told of {expected:?}"), SOON, || {
            let told = self.0.lock().unwrap().clone().context("it was told nothing")?;
            ensure!(names(&told, expected), "it was told {told:?}");
            Ok(Some(()))
        })
    }
}

/// All that is expected, and nothing when nothing is; a part that needs the one that failed may be named with it.
fn names(told: &[String], expected: &[&str]) -> bool {
    expected.iter().all(|part| told.iter().any(|name| name == part)) && told.is_empty() == expected.is_empty()
}

fn parts_of(data: &str) -> Vec<String> {
    let health: Value = serde_json::from_str(data).unwrap();
    let troubles = health["troubles"].as_array().unwrap();
    troubles.iter().map(|trouble| trouble["part"].as_str().unwrap().to_owned()).collect()
}

/// The parts that `/readyz` says do not work; none while it answers 200.
fn unready(client: &Client) -> Result<Vec<String>> {
    let (status, body) = client.fetch("/readyz")?;
    let told: Value = serde_json::from_slice(&body)?;
    let parts = told["parts"].as_array().context("no parts")?;
    let failing = parts.iter().filter(|part| part["ok"] == false);
    let failing: Vec<String> = failing.filter_map(|part| Some(part["name"].as_str()?.to_owned())).collect();
    ensure!((status == 200) == failing.is_empty(), "{status} with {failing:?}");
    Ok(failing)
}

fn wait_unready(client: &Client, expected: &[&str]) -> Result<()> {
    wait::until(&format!("/readyz to name {expected:?}"), SOON, || {
        let failing = unready(client)?;
        ensure!(names(&failing, expected), "it names {failing:?}");
        Ok(Some(()))
    })
}

fn start(folder: &Path, kafka: &Kafka, database: &Postgres) -> Result<(Process, Client)> {
    let port = free_port()?;
    let (file, data) = (folder.join("alerting.toml"), folder.join("data"));
    let text = format!(
        "[alerting]\nlisten = \"127.0.0.1:{port}\"\ndata_dir = {data:?}\nregion = \"340203\"\n[alerting.kafka]\nbrokers = {:?}\n{}{}",
        kafka.brokers(),
        database.settings(),
        crate::two_instances::RULE
    );
    std::fs::write(&file, text)?;
    let mut process = Process::spawn("alerting", &parts::program("xueliang")?, &folder.join("log"), |command| {
        command.arg("alerting").arg("--config").arg(&file);
    })?;
    let mut client = Client::new(port)?;
    wait_ready(&mut process, &client)?;
    let passwords = std::fs::read_to_string(data.join("initial-passwords.txt"))?;
    let password = passwords.lines().find_map(|line| line.strip_prefix("operator ")).context("no password")?;
    client.sign_in("operator", password.trim())?;
    Ok((process, client))
}

#[test]
fn a_database_or_broker_that_goes_away_is_named_and_comes_back_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut kafka = Kafka::start(&folder.path().join("kafka")).unwrap();
    let mut database = Postgres::start().unwrap();
    let (_alerting, client) = start(folder.path(), &kafka, &database).unwrap();
    let page = Page::open(&client).unwrap();
    page.wait(&[]).unwrap();

    database.kill().unwrap();
    wait_unready(&client, &["store"]).unwrap();
    page.wait(&["store"]).unwrap();
    let (status, body) = client.fetch("/api/v1/incidents").unwrap();
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status.as_u16(), &problem["status"]), (503, &Value::from(503)), "{problem}");
    database.resume().unwrap();
    wait_unready(&client, &[]).unwrap();
    page.wait(&[]).unwrap();
    assert!(client.incidents(None).unwrap().is_empty(), "the session goes on");

    kafka.stop().unwrap();
    wait_unready(&client, &["source"]).unwrap();
    page.wait(&["source"]).unwrap();
    kafka.resume().unwrap();
    wait_unready(&client, &[]).unwrap();
    page.wait(&[]).unwrap();
}
