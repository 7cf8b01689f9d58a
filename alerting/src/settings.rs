//! Alerting's part of the settings file: `[alerting]` and the `[[rule]]` tables.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use xueliang_events::GridCode;
use xueliang_rules::RuleSet;
use xueliang_settings::{Document, Mistakes, Reader};

use crate::consume::kafka::KafkaSettings;

/// Ingest's tables, which may stand in the same file.
const OF_INGEST: [&str; 4] = ["ingest", "camera", "sensor", "sensor_group"];

/// What alerting needs to run.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertingSettings {
    /// The file that they stand in; its rules are read again when it changes.
    pub file: PathBuf,
    /// Where the API and the console are served; loopback by default.
    pub listen: SocketAddr,
    /// The folder of the store and the kept stills.
    pub data_dir: PathBuf,
    /// Ingest's folder of stills, when it is on this machine.
    pub snapshot_dir: Option<PathBuf>,
    /// The code of the region that this deployment is responsible for; also of what has no grid.
    pub region: GridCode,
    /// How long events without an incident are kept.
    pub retention: Duration,
    /// True behind TLS: the session cookie is then marked so.
    pub behind_tls: bool,
    /// Kafka, when events come from there.
    pub kafka: Option<KafkaSettings>,
    /// The rules.
    pub rules: RuleSet,
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

    /// Reads `[alerting]` and `[[rule]]` from the file's top table.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let rules = RuleSet::read(reader);
        let file = reader.file().to_owned();
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        let mut alerting = reader.section("alerting");
        let listen = alerting.optional_text("listen");
        let data_dir = alerting.required::<PathBuf>("data_dir");
        let snapshot_dir = alerting.optional::<PathBuf>("snapshot_dir");
        let region = alerting.required_text("region");
        let retention = alerting.or("retention", Duration::from_secs(7 * 86_400));
        let behind_tls = alerting.or("behind_tls", false);
        let kafka = if alerting.has("kafka") { read_kafka(&mut alerting) } else { None };
        alerting.finish();
        Some(Self {
            file,
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8600))),
            data_dir: base.join(data_dir?),
            snapshot_dir: snapshot_dir.map(|folder| base.join(folder)),
            region: region?,
            retention,
            behind_tls,
            kafka,
            rules,
        })
    }
}

/// Reads `[[rule]]` and `[calendar]` alone; the file may hold nothing else, or all settings.
pub fn load_rules(file: &Path) -> Result<RuleSet, Mistakes> {
    Document::load(file)?.read(|root| {
        root.ignore("alerting");
        OF_INGEST.into_iter().for_each(|table| root.ignore(table));
        Some(RuleSet::read(root))
    })
}

fn read_kafka(alerting: &mut Reader<'_>) -> Option<KafkaSettings> {
    let mut kafka = alerting.section("kafka");
    let brokers: Option<String> = kafka.required("brokers");
    if brokers.as_ref().is_some_and(|brokers| brokers.contains('@') || brokers.contains("://")) {
        kafka.refuse("brokers", "holds more than addresses", "write host:port, several with commas");
    }
    let group = kafka.or("group", "xueliang-alerting".to_owned());
    kafka.finish();
    Some(KafkaSettings { brokers: brokers?, group })
}
