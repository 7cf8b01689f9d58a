//! What the tests of notifications share: a channel, incidents by number, moments.

use jiff::Timestamp;
use uuid::Uuid;
use xueliang_events::{IncidentId, payload::Category};
use xueliang_rules::{Calendar, Urgency};
use xueliang_settings::{AllowedEndpoints, Document, Mistakes};

use super::{
    Change, Kind, Standing,
    settings::{Channel, read_channels},
};

/// A secret that a webhook's receiver may share.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Reads channels from settings; files `secret` and `token` stand beside them.
pub fn read(alerting: &str, notify: &str) -> Result<Vec<Channel>, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    std::fs::write(folder.path().join("token"), "t0ken\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let text = format!("[alerting]\n{alerting}\n{notify}");
    Document::from_text(folder.path().join("xueliang.toml"), text).read(|root| {
        let mut alerting = root.section("alerting");
        let channels = {
            let allowed = AllowedEndpoints::read(&mut alerting);
            read_channels(root, &mut alerting, (&allowed, &Calendar::default()))
        };
        alerting.finish();
        Some(channels)
    })
}

/// `[alerting]` with what a channel needs.
pub const ALERTING: &str = "public_url = \"https://grid.example/\"\nallowed_endpoints = [\"hooks.example:443\"]\n";

/// A webhook with these keys besides.
pub fn channel(keys: &str) -> Channel {
    let notify = "[[notify]]\nassessment = \"a\"\nname = \"duty\"\nchannel = \"webhook\"\nurl = \"https://hooks.example/x\"\nsecret_file = \"secret\"\n";
    read(ALERTING, &format!("{notify}{keys}\n")).unwrap().remove(0)
}

/// The incident of a number.
pub fn incident(n: u32) -> IncidentId {
    IncidentId(Uuid::from_u128(u128::from(n)))
}

/// A change of an incident of category crowding in one grid.
pub fn change(n: u32, kind: Option<Kind>, standing: Standing, at: Timestamp) -> Change<'static> {
    let (category, region, urgency) = (Category::Crowding, "340203001002003", Urgency::B);
    Change { incident: incident(n), category, region, urgency, kind, standing, at }
}

/// Seconds after a fixed moment, 2027-01-15 16:00:00 in Beijing.
pub fn second(s: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + s).unwrap()
}

/// Minutes after it.
pub fn minute(minutes: i64) -> Timestamp {
    second(minutes * 60)
}
