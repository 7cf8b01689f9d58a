//! A real Mosquitto on loopback: TLS and a password for the program under test, persistence, and a switch to stop and start it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

use crate::deployment::free_port;
use crate::process::Process;
use crate::simcam::Login;
use crate::wait;

const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(10);

/// The broker.
pub struct Mosquitto {
    folder: PathBuf,
    login: Login,
    ports: (u16, u16),
    process: Option<Process>,
}

impl Mosquitto {
    /// Makes certificates, a password file and settings in `folder`, and starts the broker on free ports.
    pub fn start(folder: &Path, login: &Login) -> Result<Self> {
        fs::create_dir_all(folder.join("data"))?;
        make_certificates(folder)?;
        let mut passwords = Command::new("mosquitto_passwd");
        run(passwords.arg("-b").arg("-c").arg(folder.join("passwords")).args([&login.user, &login.password]))?;
        let ports = (free_port()?, free_port()?);
        let mut broker = Self { folder: folder.to_owned(), login: login.clone(), ports, process: None };
        fs::write(folder.join("mosquitto.conf"), broker.settings())?;
        broker.resume()?;
        Ok(broker)
    }

    /// `host:port` that speaks TLS.
    pub fn tls_address(&self) -> String {
        format!("localhost:{}", self.ports.0)
    }

    /// The same as a socket's address, for a relay to lead to.
    pub fn tls_socket(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.0))
    }

    /// The CA that its certificate is from.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Stops it as an operator would: it writes its sessions down.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOP).map(drop),
            None => Ok(()),
        }
    }

    /// Starts it again with what it had written down, and waits until it answers.
    pub fn resume(&mut self) -> Result<()> {
        let program = Path::new("/usr/sbin/mosquitto");
        ensure!(program.is_file(), "mosquitto is not there; run ./check once, it installs it");
        let log = self.folder.join("mosquitto.log");
        let settings = self.folder.join("mosquitto.conf");
        let mut process = Process::spawn("mosquitto", program, &log, |command| {
            command.arg("-c").arg(settings);
        })?;
        wait::until("mosquitto to answer", START, || {
            process.check_running()?;
            Ok(std::net::TcpStream::connect(("127.0.0.1", self.ports.1)).ok())
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Publishes messages at QoS 1 and waits until the broker has all of them.
    pub fn publish(&self, messages: &[(&str, String)], retain: bool) -> Result<()> {
        let mut options = MqttOptions::new(format!("device-{}", free_port()?), "127.0.0.1", self.ports.1);
        options.set_credentials(&self.login.user, &self.login.password);
        let (client, mut connection) = Client::new(options, messages.len() + 1);
        for (topic, payload) in messages {
            client.publish(*topic, QoS::AtLeastOnce, retain, payload.as_bytes())?;
        }
        let mut n_acknowledged = 0;
        while n_acknowledged < messages.len() {
            match connection.recv_timeout(START) {
                Ok(Ok(Event::Incoming(Packet::PubAck(_)))) => n_acknowledged += 1,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => bail!("mosquitto refuses a message: {error}"),
                Err(_) => bail!("mosquitto acknowledged {n_acknowledged} of {} messages", messages.len()),
            }
        }
        client.disconnect()?;
        // The goodbye is sent by who reads the connection.
        while connection.recv_timeout(START).is_ok_and(|event| event.is_ok()) {}
        Ok(())
    }

    fn settings(&self) -> String {
        let folder = self.folder.display();
        let (tls, plain) = self.ports;
        format!(
            "user root\n\
             per_listener_settings false\n\
             allow_anonymous false\n\
             password_file {folder}/passwords\n\
             persistence true\n\
             persistence_location {folder}/data/\n\
             max_queued_messages 10000\n\
             listener {tls} 127.0.0.1\n\
             cafile {folder}/ca.pem\n\
             certfile {folder}/server.pem\n\
             keyfile {folder}/server.key\n\
             listener {plain} 127.0.0.1\n"
        )
    }
}

/// A throw-away CA (`ca.pem`) and a certificate of it for this machine (`server.pem`, `server.key`).
pub fn make_certificates(folder: &Path) -> Result<()> {
    let at = |file: &str| folder.join(file);
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let openssl = || Command::new("openssl");
    run(openssl()
        .args(["req", "-x509", "-days", "2", "-subj", "/CN=Test CA"])
        .args(key)
        .arg("-keyout")
        .arg(at("ca.key"))
        .arg("-out")
        .arg(at("ca.pem")))?;
    run(openssl()
        .args(["req", "-subj", "/CN=localhost"])
        .args(key)
        .arg("-keyout")
        .arg(at("server.key"))
        .arg("-out")
        .arg(at("server.csr")))?;
    fs::write(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
    run(openssl()
        .args(["x509", "-req", "-days", "2", "-CAcreateserial", "-extfile"])
        .arg(at("names"))
        .arg("-in")
        .arg(at("server.csr"))
        .arg("-CA")
        .arg(at("ca.pem"))
        .arg("-CAkey")
        .arg(at("ca.key"))
        .arg("-out")
        .arg(at("server.pem")))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("can't run {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
