//! Alerting's part of the settings file: `[alerting]`, `[calendar]`, and the `[[rule]]`, `[[deadline]]` and `[[notify]]` tables.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use xueliang_events::GridCode;
use xueliang_rules::RuleSet;
use xueliang_settings::{AllowedEndpoints, Document, Mistakes, Reader};

use crate::{
    audit::AuditSettings,
    consume::kafka::KafkaSettings,
    deadline::Deadlines,
    notify::settings::{Channel, read_channels, read_public_url},
    oidc::OidcSettings,
    originals::OriginalsKey,
    region::RegionScheme,
    retention::Retention,
    store::{Place, postgres::PostgresSettings},
    tls::Tls,
};

/// Ingest's tables, which may stand in the same file.
const OF_INGEST: [&str; 4] = ["ingest", "camera", "sensor", "sensor_group"];

/// Far above what a console with a full list and its pictures asks for.
const REQUESTS_PER_MINUTE: u32 = 3_000;
const LEAST_REQUESTS_PER_MINUTE: u32 = 300;

/// What alerting needs to run.
#[derive(Debug, Clone)]
pub struct AlertingSettings {
    /// The file that they stand in; its rules are read again when it changes.
    pub file: PathBuf,
    /// Where the API and the console are served; loopback by default.
    pub listen: SocketAddr,
    /// The folder of the kept stills, and of the store when that is a file.
    pub data_dir: PathBuf,
    /// Where the store is.
    pub store: Place,
    /// Ingest's folder of stills, when it is on this machine.
    pub snapshot_dir: Option<PathBuf>,
    /// What opens the originals that workers seal; `None`: this centre takes none over and opens none.
    pub originals: Option<OriginalsKey>,
    /// The code of the region that this deployment is responsible for; also of what has no grid.
    pub region: GridCode,
    /// The lengths of region codes; city 4, county 6, township 9, community 12, grid 15 digits by default.
    pub region_scheme: RegionScheme,
    /// How long things are kept.
    pub retention: Retention,
    /// True behind a proxy that ends TLS: the session cookie is then marked so, and the proxy says where requests come from.
    pub behind_tls: bool,
    /// Requests that one account may make in a minute, of each instance.
    pub requests_per_minute: u32,
    /// The certificate of the API's own listener, when it ends TLS itself.
    pub tls: Option<Tls>,
    /// The identity provider, when people sign in by one.
    pub oidc: Option<OidcSettings>,
    /// Where the audit's checkpoints go, and how long its rows stay.
    pub audit: AuditSettings,
    /// Kafka, when events come from there.
    pub kafka: Option<KafkaSettings>,
    /// The rules.
    pub rules: RuleSet,
    /// Who is told of incidents.
    pub channels: Vec<Channel>,
    /// The deadline rules that the rules name.
    pub deadlines: Deadlines,
}

impl AlertingSettings {
    /// Reads a settings file; leaves ingest's tables alone.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        Self::from_document(&Document::load(file)?)
    }

    /// The same for a file's text.
    pub fn from_document(document: &Document) -> Result<Self, Mistakes> {
        document.read(|root| {
            OF_INGEST.into_iter().for_each(|table| root.ignore(table));
            Self::read(root)
        })
    }

    /// Reads `[alerting]`, `[calendar]`, `[[rule]]`, `[[deadline]]` and `[[notify]]` from the file's top table.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let rules = RuleSet::read(reader);
        let deadlines = Deadlines::read(reader);
        let file = reader.file().to_owned();
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        let mut alerting = reader.section("alerting");
        let listen = alerting.optional_text("listen");
        let data_dir = alerting.required::<PathBuf>("data_dir").map(|folder| base.join(folder));
        let snapshot_dir = alerting.optional::<PathBuf>("snapshot_dir").map(|folder| base.join(folder));
        let folders = [data_dir.as_deref(), snapshot_dir.as_deref()];
        let originals =
            if alerting.has("sealed_originals") { Some(read_originals(&mut alerting, folders)) } else { None };
        let region = alerting.required_text::<GridCode>("region");
        let region_scheme = RegionScheme::read(&mut alerting);
        if let Some(Err(error)) = region.as_ref().map(|region| region_scheme.level(region.as_str())) {
            alerting.refuse("region", error.to_string(), "write a region's code, or its length into region_scheme");
        }
        let retention = Retention::read(&mut alerting);
        let behind_tls = alerting.or("behind_tls", false);
        let requests_per_minute = alerting.or("requests_per_minute", REQUESTS_PER_MINUTE);
        if requests_per_minute < LEAST_REQUESTS_PER_MINUTE {
            let cure =
                format!("write {LEAST_REQUESTS_PER_MINUTE} or more; a console with a full list needs some hundreds");
            alerting.refuse("requests_per_minute", format!("{requests_per_minute} is too few"), cure);
        }
        let tls = if alerting.has("tls") { Some(read_tls(&mut alerting)) } else { None };
        let allowed = AllowedEndpoints::read(&mut alerting);
        let postgres = if alerting.has("postgres") { Some(read_postgres(&mut alerting, &allowed)) } else { None };
        let kafka = if alerting.has("kafka") { read_kafka(&mut alerting, &allowed) } else { None };
        let oidc = if alerting.has("oidc") { Some(read_oidc(&mut alerting, &allowed)) } else { None };
        let audit = read_audit(&mut alerting, &base, data_dir.as_deref());
        let channels = read_channels(reader, &mut alerting, (&allowed, rules.calendar()));
        alerting.finish();
        let data_dir = data_dir?;
        let store = match postgres {
            Some(postgres) => Place::Postgres(postgres?),
            None => Place::File(data_dir.join("alerting.sqlite")),
        };
        Some(Self {
            file,
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8600))),
            data_dir,
            store,
            snapshot_dir,
            originals: match originals {
                Some(originals) => Some(originals?),
                None => None,
            },
            region: region?,
            region_scheme,
            retention,
            behind_tls,
            requests_per_minute,
            oidc: match oidc {
                Some(oidc) => Some(oidc?),
                None => None,
            },
            tls: match tls {
                Some(tls) => Some(tls?),
                None => None,
            },
            audit: audit?,
            kafka,
            rules,
            channels,
            deadlines,
        })
    }

    /// The folder of the kept stills.
    pub fn evidence_dir(&self) -> PathBuf {
        self.data_dir.join("evidence")
    }
}

/// `None` means that a mistake was reported.
fn read_postgres(alerting: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<PostgresSettings> {
    let mut section = alerting.section("postgres");
    let postgres = PostgresSettings::read(&mut section);
    if let Some(beyond) = postgres.as_ref().filter(|postgres| !postgres.host.starts_with('/')) {
        allowed.check_all(&section, "host", &format!("{}:{}", beyond.host, beyond.port));
    }
    section.finish();
    postgres
}

/// `None` means that a mistake was reported.
fn read_originals(alerting: &mut Reader<'_>, folders: [Option<&Path>; 2]) -> Option<OriginalsKey> {
    let mut section = alerting.section("sealed_originals");
    let folders: Vec<&Path> = folders.into_iter().flatten().collect();
    let key = OriginalsKey::read(&mut section, &folders);
    section.finish();
    key
}

/// `None` means that a mistake was reported.
fn read_tls(alerting: &mut Reader<'_>) -> Option<Tls> {
    let mut section = alerting.section("tls");
    let tls = Tls::read(&mut section);
    section.finish();
    tls
}

/// `None` means that a mistake was reported.
fn read_oidc(alerting: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<OidcSettings> {
    let public_url = read_public_url(alerting);
    let mut section = alerting.section("oidc");
    let oidc = OidcSettings::read(&mut section, allowed.clone(), public_url);
    section.finish();
    oidc
}

fn read_audit(alerting: &mut Reader<'_>, base: &Path, data_dir: Option<&Path>) -> Option<AuditSettings> {
    let mut audit = alerting.section("audit");
    let settings = AuditSettings::read(&mut audit, base, data_dir?);
    audit.finish();
    Some(settings)
}

/// Reads `[[rule]]` and `[calendar]` alone; the file may hold nothing else, or all settings.
pub fn load_rules(file: &Path) -> Result<RuleSet, Mistakes> {
    Document::load(file)?.read(|root| {
        root.ignore("alerting");
        root.ignore("notify");
        OF_INGEST.into_iter().for_each(|table| root.ignore(table));
        let rules = RuleSet::read(root);
        // A rule must name a deadline that there is.
        Deadlines::read(root);
        Some(rules)
    })
}

fn read_kafka(alerting: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<KafkaSettings> {
    let mut kafka = alerting.section("kafka");
    let brokers: Option<String> = kafka.required("brokers");
    if brokers.as_ref().is_some_and(|brokers| brokers.contains('@') || brokers.contains("://")) {
        kafka.refuse("brokers", "holds more than addresses", "write host:port, several with commas");
    } else if let Some(brokers) = &brokers {
        allowed.check_all(&kafka, "brokers", brokers);
    }
    let group = kafka.or("group", "xueliang-alerting".to_owned());
    kafka.finish();
    Some(KafkaSettings { brokers: brokers?, group })
}

#[cfg(test)]
mod tests {
    use xueliang_settings::Document;

    use super::*;

    fn read(text: &str) -> Result<AlertingSettings, String> {
        let read = Document::from_text("a.toml", text).read(|root| {
            for other in ["ingest", "camera", "sensor", "sensor_group"] {
                root.ignore(other);
            }
            AlertingSettings::read(root)
        });
        read.map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn the_deadlines_that_samples_name_are_there() {
        let one_box = include_str!("../../deploy/samples/one-box.toml");
        let (_, notes) = one_box.split_once("# [calendar]").unwrap();
        let notes = format!("# [calendar]{notes}").replace("\n# ", "\n");
        let notes = format!("{one_box}\n{}", notes.trim_start_matches("# "));
        let samples = [
            include_str!("../../deploy/samples/city-alerting.toml"),
            include_str!("../../deploy/samples/demo.toml"),
            include_str!("../../deploy/samples/sensors.toml"),
            one_box,
            &notes,
        ];
        for sample in samples {
            let settings = read(&sample.replace("@LISTEN@", "127.0.0.1:0")).unwrap();
            let named = settings.rules.iter().filter_map(|rule| rule.governance.as_ref());
            assert!(named.map(|governance| settings.deadlines.find(&governance.deadline)).all(|rule| rule.is_some()));
        }
        assert!(read(&notes).unwrap().deadlines.find("yard").is_some());
    }

    #[test]
    fn a_rule_without_its_deadline_rule_is_refused_with_its_line() {
        let text = include_str!("../../deploy/samples/city-alerting.toml").replace("\"1d\"", "\"soon\"");
        let line = 1 + text.lines().take_while(|line| !line.contains("deadline = \"soon\"")).count();
        let found = read(&text).unwrap_err();
        let expected = format!("a.toml:{line}: rule[0].deadline: there is no deadline rule \"soon\"");
        assert!(found.contains(&expected), "{found}");
    }
}
