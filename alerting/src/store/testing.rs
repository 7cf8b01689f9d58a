//! What the store's tests have in common.

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use xueliang_events::{
    Event, Payload, SessionId, Source,
    payload::{DeviceState, DeviceStatus},
};
use xueliang_rules::RuleSet;
use xueliang_settings::Document;

use super::{
    Place, Store,
    apply::{Applier, Batch},
    postgres::PostgresSettings,
};
use crate::{consume::Message, evidence::Evidence, region::RegionScheme, rules_file::Rulebook};

#[path = "../../tests/shared/databases.rs"]
mod databases;

/// An event of a camera's first session that was captured and received at the same time.
pub fn event(camera: &str, sequence: u64, at: Timestamp, payload: Payload) -> Event {
    Event {
        source: Source::Camera(camera.parse().unwrap()),
        session: SessionId(uuid::Uuid::nil()),
        sequence,
        time: at,
        received_at: at,
        grid: None,
        owner_epoch: None,
        payload,
    }
}

/// Applies batches by these rules, without stills and without Kafka.
pub fn applier(rules: RuleSet) -> Applier {
    Applier {
        rules: Rulebook::new(rules),
        evidence: Evidence::new(None, "evidence".into()),
        regions: RegionScheme::default(),
        root_region: "3402".to_owned(),
        publishes: false,
    }
}

/// The rules of a text.
pub fn rules(text: &str) -> RuleSet {
    Document::from_text("rules.toml", text.to_owned()).read(|reader| Some(RuleSet::read(reader))).unwrap()
}

/// A rule that opens an incident when a camera was silent for 20 seconds.
pub const OFFLINE: &str =
    "[[rule]]\nid = \"offline\"\nversion = 1\ncategory = \"camera_offline\"\nkind = \"status\"\nfor = \"20s\"
enabled = true\nowner = \"o\"\nlegal_basis = \"l\"\ndepartment = \"d\"\nassessment = \"a\"\ndeadline = \"default\"\n";

/// A camera that is silent from `since` on and says so twice, 20 seconds apart, from this position of its log on.
pub fn silent(camera: &str, since: Timestamp, position: u64) -> Batch {
    let say = |nth: u64| {
        let at = since.checked_add(SignedDuration::from_secs(20 * nth.cast_signed())).unwrap();
        let silent = DeviceStatus::new(DeviceState::Unreachable, since);
        Message::read(position + nth, event(camera, nth, at, silent.into()).to_json().unwrap())
    };
    let (log, origin) = ("log".to_owned(), ("topic".to_owned(), 0));
    Batch { log, origin, expected: None, messages: vec![say(0), say(1)] }
}

/// A new store in a file.
pub fn sqlite() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Place::File(folder.path().join("a.sqlite"))).unwrap();
    (folder, store)
}

/// Runs a check on a new store in a file, and on one in a new database of the server that `./check` starts.
pub fn on_both(check: impl Fn(&Place)) {
    let folder = tempfile::tempdir().unwrap();
    check(&Place::File(folder.path().join("a.sqlite")));
    if let Some((host, port, database)) = databases::new() {
        check(&postgres(&host, port, &database));
    }
}

/// A database of that server.
pub fn postgres(host: &str, port: u16, database: &str) -> Place {
    let (host, database, user) = (host.to_owned(), database.to_owned(), "postgres".to_owned());
    Place::Postgres(PostgresSettings { host, port, database, user, password: None, tls: None })
}
