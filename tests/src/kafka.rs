//! A real Apache Kafka on loopback: one node in KRaft mode that can be stopped, killed and started again.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::deployment::free_port;
use crate::faults::Relay;
use crate::process::Process;
use crate::{parts, wait};

mod access;

/// Partitions of topics that make themselves.
const PARTITIONS: u32 = 3;
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(10);

/// One message of a topic.
#[derive(Clone, Debug)]
pub struct Message {
    /// Partition.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub payload: Vec<u8>,
}

/// The broker.
pub struct Kafka {
    folder: PathBuf,
    port: u16,
    relay: Relay,
    process: Option<Process>,
}

impl Kafka {
    /// Formats a log in `folder` and starts the broker on a free port.
    pub fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (port, controller) = (free_port()?, free_port()?);
        let relayed = free_port()?;
        let relay = Relay::start(SocketAddr::from(([127, 0, 0, 1], relayed)))?;
        let mut text = settings(folder, controller);
        text.push_str(&listeners(port, controller, relayed, relay.address()));
        let mut kafka = Self { folder: folder.to_owned(), port, relay, process: None };
        fs::write(kafka.settings(), text)?;
        let mut format = java()?;
        format.args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"]).arg(kafka.settings());
        let output = format.output().context("can't run java")?;
        ensure!(
            output.status.success(),
            "kafka's storage can't be formatted: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        kafka.resume()?;
        Ok(kafka)
    }

    /// `host:port` for clients.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The way of a client that can be cut off while others are not: its address is [`Relay::address`].
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Stops it as an operator would.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOP).map(drop),
            None => Ok(()),
        }
    }

    /// Starts it again on the same log and port, and waits until it answers.
    pub fn resume(&mut self) -> Result<()> {
        let java = java()?;
        let arguments: Vec<_> = java.get_args().map(ToOwned::to_owned).collect();
        let log = self.folder.join("kafka.log");
        let mut process = Process::spawn("kafka", Path::new("java"), &log, |command| {
            command.args(arguments).arg("kafka.Kafka").arg(self.settings());
        })?;
        let client: BaseConsumer = self.client().create()?;
        wait::until("kafka to answer", START, || {
            process.check_running()?;
            Ok(Some(client.fetch_metadata(None, Duration::from_secs(2))?.brokers().len()).filter(|n| *n == 1))
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Everything in a topic now, partition by partition.
    pub fn read_all(&self, topic: &str) -> Result<Vec<Message>> {
        let consumer: BaseConsumer =
            self.client().set("group.id", "harness").set("enable.auto.commit", "false").create()?;
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
        let partitions = metadata.topics().first().context("no such topic")?.partitions();
        let mut assignment = TopicPartitionList::new();
        let mut n_expected = 0;
        for partition in partitions {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), ANSWER)?;
            n_expected += high - low;
            assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let n_expected = usize::try_from(n_expected)?;
        let mut messages = Vec::with_capacity(n_expected);
        while messages.len() < n_expected {
            let message = consumer.poll(ANSWER).context("kafka fell silent")??;
            messages.push(Message {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().unwrap_or_default().to_vec(),
                payload: message.payload().unwrap_or_default().to_vec(),
            });
        }
        Ok(messages)
    }

    /// Deletes a topic with all that is in it.
    pub fn delete(&self, topic: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let answers = runtime.block_on(admin.delete_topics(&[topic], &options))?;
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(drop))
            .map_err(|(topic, cause)| anyhow!("{topic}: {cause}"))
    }

    /// Forbids everybody to use a topic.
    pub fn forbid(&self, topic: &str) -> Result<()> {
        access::change(self.port, &access::forbid(topic))
    }

    /// Lets everybody use it again.
    pub fn allow(&self, topic: &str) -> Result<()> {
        access::change(self.port, &access::allow(topic))
    }

    /// Makes a compacted topic.
    pub fn create_compacted(&self, topic: &str, n_partitions: i32) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let topic = NewTopic::new(topic, n_partitions, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
        let answers = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(drop))
            .map_err(|(topic, cause)| anyhow!("{topic}: {cause}"))
    }

    /// Puts one message into a topic, into the partition that Kafka's own clients choose.
    pub fn produce(&self, topic: &str, key: &str, payload: &[u8]) -> Result<()> {
        let producer: BaseProducer = self.client().set("partitioner", "murmur2_random").create()?;
        producer.send(BaseRecord::to(topic).key(key).payload(payload)).map_err(|(error, _)| error)?;
        Ok(producer.flush(ANSWER)?)
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", self.brokers());
        client
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }
}

fn java() -> Result<Command> {
    let libraries = parts::path("kafka/libs")?;
    let mut command = Command::new("java");
    command.args(["-Xmx384m", "-cp"]).arg(libraries.join("*"));
    Ok(command)
}

/// The listeners: one for everybody, and one which the broker knows by the relay's address, so that whoever begins there stays there.
fn listeners(port: u16, controller: u16, relayed: u16, relay: SocketAddr) -> String {
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port},RELAYED://127.0.0.1:{relayed},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},RELAYED://{relay}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,RELAYED:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n"
    )
}

fn settings(folder: &Path, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={}\n\
         num.partitions={PARTITIONS}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=500\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         allow.everyone.if.no.acl.found=true\n",
        folder.join("data").display()
    )
}
