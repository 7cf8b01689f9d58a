//! Access rules of topics. librdkafka's binding has no call for them, so the two requests of Kafka's protocol are written here
//! (<https://kafka.apache.org/protocol>, `CreateAcls` and `DeleteAcls`, version 1).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const CREATE: i16 = 30;
const DELETE: i16 = 31;
const VERSION: i16 = 1;
const TOPIC: u8 = 2;
const LITERAL: u8 = 3;
const ALL: u8 = 2;
const DENY: u8 = 2;
/// Whoever comes without a login.
const EVERYBODY: &str = "User:ANONYMOUS";
const EVERYWHERE: &str = "*";
const ANSWER: Duration = Duration::from_secs(10);

/// The request that forbids everything with a topic.
pub fn forbid(topic: &str) -> Vec<u8> {
    request(CREATE, topic)
}

/// The one that takes that back.
pub fn allow(topic: &str) -> Vec<u8> {
    request(DELETE, topic)
}

/// One rule, or the filter that finds it: both look alike.
fn request(kind: i16, topic: &str) -> Vec<u8> {
    let mut body = [kind.to_be_bytes(), VERSION.to_be_bytes()].concat();
    body.extend(1i32.to_be_bytes());
    body.extend(text("harness"));
    body.extend(1i32.to_be_bytes());
    body.push(TOPIC);
    body.extend(text(topic));
    body.push(LITERAL);
    body.extend(text(EVERYBODY));
    body.extend(text(EVERYWHERE));
    body.extend([ALL, DENY]);
    body
}

fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// Sends a request to the broker at this port; an error names the code with which it was refused.
pub fn change(port: u16, request: &[u8]) -> Result<()> {
    let mut broker = TcpStream::connect(("127.0.0.1", port))?;
    broker.set_read_timeout(Some(ANSWER))?;
    broker.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
    broker.write_all(request)?;
    let mut length = [0; 4];
    broker.read_exact(&mut length).context("kafka said nothing of access rules")?;
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    broker.read_exact(&mut answer)?;
    // The request's number, the time it was held back, how many rules, and of each first its code.
    let code = answer.get(12..14).context("kafka's answer is cut short")?;
    ensure!(code == [0, 0], "kafka refused an access rule with code {}", i16::from_be_bytes([code[0], code[1]]));
    Ok(())
}
