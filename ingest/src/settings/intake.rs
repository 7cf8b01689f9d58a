//! `[ingest.mqtt]` and `[ingest.push]`: the ways by which readings come, and the sensors that use them.
//!
//! Passwords, tokens and certificates are read once, here, so that a missing file is a mistake with its line.

use std::{collections::HashSet, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use xueliang_events::SensorId;
use xueliang_settings::{AllowedEndpoints, Reader};

use super::{
    camera::{Credentials, read_credentials},
    sensor::{SensorGroup, SensorSettings, SensorShape},
};
use crate::sensor::token::{Tokens, TokensError};

/// Everything about sensors.
#[derive(Debug, Clone, Default)]
pub struct IntakeSettings {
    /// MQTT brokers.
    pub brokers: Vec<BrokerSettings>,
    /// HTTP push.
    pub push: Option<PushSettings>,
    /// Sensors.
    pub sensors: Vec<SensorSettings>,
    /// Groups of sensors.
    pub groups: Vec<SensorGroup>,
}

/// One MQTT broker.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Its name here.
    pub name: String,
    /// Host and port.
    pub address: (String, u16),
    /// The name of our session at the broker: one per worker, and always the same.
    pub client_id: String,
    /// Who to be for it.
    pub credentials: Option<Credentials>,
    /// TLS, when it is spoken.
    pub tls: Option<Arc<ClientConfig>>,
    /// How often to show that we are there.
    pub keep_alive: Duration,
}

/// The HTTP door.
#[derive(Debug, Clone)]
pub struct PushSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may push.
    pub tokens: Tokens,
}

impl IntakeSettings {
    /// Reads `[ingest.mqtt]` and `[ingest.push]` of `ingest`, and `[[sensor]]` and `[[sensor_group]]` of `root`.
    pub fn read(root: &mut Reader<'_>, ingest: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Self {
        let mut sections = ingest.one_or_more("mqtt");
        let brokers: Vec<BrokerSettings> =
            sections.iter_mut().filter_map(|section| BrokerSettings::read(section, allowed)).collect();
        let push = read_push(ingest);
        let sensors = root.sections("sensor").iter_mut().filter_map(SensorSettings::read).collect();
        let groups = root.sections("sensor_group").iter_mut().filter_map(SensorGroup::read).collect();
        let settings = Self { brokers, push, sensors, groups };
        settings.check_brokers(ingest);
        settings.check_ways(root, ingest);
        settings.check_ids(root);
        settings
    }

    /// True when no sensor is set up.
    pub fn is_empty(&self) -> bool {
        self.sensors.is_empty() && self.groups.is_empty()
    }

    /// The broker that a sensor's messages come by.
    pub fn broker_of(&self, shape: &SensorShape) -> Option<usize> {
        match shape.way.as_ref()?.broker.as_deref() {
            Some(name) => self.brokers.iter().position(|broker| broker.name == name),
            None => (self.brokers.len() == 1).then_some(0),
        }
    }

    fn check_brokers(&self, ingest: &Reader<'_>) {
        let mut names = HashSet::new();
        for broker in &self.brokers {
            if !names.insert(&broker.name) {
                let problem = format!("the name {:?} stands twice", broker.name);
                ingest.refuse("mqtt", problem, "give each broker its own name");
            }
        }
    }

    fn check_ways(&self, root: &Reader<'_>, ingest: &Reader<'_>) {
        let sensors = self.sensors.iter().map(|sensor| ("sensor", sensor.id.to_string(), &sensor.shape));
        let groups = self.groups.iter().map(|group| ("sensor_group", format!("at line {}", group.line), &group.shape));
        for (key, what, shape) in sensors.chain(groups) {
            if shape.way.is_some() && self.broker_of(shape).is_none() {
                let problem = format!("{what}: its topic belongs to no broker that is set up");
                root.refuse(key, problem, "add [ingest.mqtt], or broker = the name of one of several");
            }
            if shape.way.is_none() && self.push.is_none() {
                let problem = format!("{what} has no topic, and there is no HTTP push");
                root.refuse(key, problem, "add topic = \"…\", or [ingest.push]");
            }
        }
        if self.is_empty() && (self.push.is_some() || !self.brokers.is_empty()) {
            let key = if self.push.is_some() { "push" } else { "mqtt" };
            ingest.refuse(key, "has no sensor that uses it", "add a [[sensor]] or [[sensor_group]]");
        }
    }

    fn check_ids(&self, root: &Reader<'_>) {
        let mut known: HashSet<&SensorId> = HashSet::new();
        let listed = self.groups.iter().flat_map(|group| group.ids.iter().map(|id| ("sensor_group", id)));
        for (key, id) in self.sensors.iter().map(|sensor| ("sensor", &sensor.id)).chain(listed) {
            if !known.insert(id) {
                root.refuse(key, format!("the sensor {id} stands twice"), "give each sensor its own id");
            }
        }
    }
}

impl BrokerSettings {
    fn read(mqtt: &mut Reader<'_>, allowed: &AllowedEndpoints) -> Option<Self> {
        let name = mqtt.or("name", "mqtt".to_owned());
        let address = read_address(mqtt);
        if let Some((host, port)) = &address {
            allowed.check_all(mqtt, "address", &format!("{host}:{port}"));
        }
        let client_id = mqtt.required::<String>("client_id");
        if client_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 64) {
            mqtt.refuse("client_id", "is empty or longer than 64 bytes", "write a name that no other worker uses");
        }
        let credentials = read_credentials(mqtt);
        let tls = read_tls(mqtt);
        let keep_alive = mqtt.or("keep_alive", Duration::from_secs(30));
        if !(Duration::from_secs(5)..=Duration::from_secs(3600)).contains(&keep_alive) {
            mqtt.refuse("keep_alive", "is out of range", "write \"5s\" to \"1h\"");
        }
        mqtt.finish();
        Some(Self { name, address: address?, client_id: client_id?, credentials: credentials?, tls: tls?, keep_alive })
    }
}

fn read_address(mqtt: &mut Reader<'_>) -> Option<(String, u16)> {
    let text: String = mqtt.required("address")?;
    let split = text.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@']));
    let address = split.and_then(|(host, port)| Some((host.to_owned(), port.parse::<u16>().ok()?)));
    if address.is_none() {
        mqtt.refuse(
            "address",
            "is no address",
            "write host:port, such as \"mqtt.example:8883\"; the account goes under credentials",
        );
    }
    address
}

/// The outer `None` means that a mistake was reported.
fn read_tls(mqtt: &mut Reader<'_>) -> Option<Option<Arc<ClientConfig>>> {
    if !mqtt.has("tls") {
        mqtt.section("tls");
        return Some(None);
    }
    let mut tls = mqtt.section("tls");
    let base = tls.file().parent().map(Path::to_owned).unwrap_or_default();
    let ca_file = tls.required::<std::path::PathBuf>("ca_file").map(|file| base.join(file));
    let certificate = tls.optional::<std::path::PathBuf>("certificate_file").map(|file| base.join(file));
    let key = tls.optional::<std::path::PathBuf>("key_file").map(|file| base.join(file));
    tls.finish();
    match client_config(&ca_file?, certificate.as_deref(), key.as_deref()) {
        Ok(config) => Some(Some(Arc::new(config))),
        Err((key, problem)) => {
            tls.refuse(
                key,
                problem,
                "name PEM files: ca_file for the broker's CA, certificate_file with key_file for ours",
            );
            None
        }
    }
}

fn client_config(
    ca_file: &Path,
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<ClientConfig, (&'static str, String)> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_file).map_err(|error| ("ca_file", error))? {
        roots.add(certificate).map_err(|error| ("ca_file", format!("{}: {error}", ca_file.display())))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ("ca_file", error.to_string()))?
        .with_root_certificates(roots);
    match (certificate, key) {
        (None, None) => Ok(config.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate).map_err(|error| ("certificate_file", error))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| ("key_file", error.to_string()))?;
            config.with_client_auth_cert(chain, secret).map_err(|error| ("key_file", error.to_string()))
        }
        (Some(_), None) => Err(("certificate_file", "has no key_file".to_owned())),
        (None, Some(_)) => Err(("key_file", "has no certificate_file".to_owned())),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |error: String| format!("{}: {error}", file.display());
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Ok(found) if found.is_empty() => Err(told("holds no certificate".to_owned())),
        found => found.map_err(|error| told(error.to_string())),
    }
}

fn read_push(ingest: &mut Reader<'_>) -> Option<PushSettings> {
    if !ingest.has("push") {
        ingest.section("push");
        return None;
    }
    let mut push = ingest.section("push");
    let listen = push.required_text("listen");
    let file = push.required::<std::path::PathBuf>("token_file");
    push.finish();
    let base = push.file().parent().map(Path::to_owned).unwrap_or_default();
    match Tokens::load(&base.join(file?)) {
        Ok(tokens) => Some(PushSettings { listen: listen?, tokens }),
        Err(error @ (TokensError::Unreadable { .. } | TokensError::Weak { .. } | TokensError::Empty)) => {
            push.refuse(
                "token_file",
                error.to_string(),
                "write one token of 20 or more characters a line, or sha256: and its hash",
            );
            None
        }
    }
}
