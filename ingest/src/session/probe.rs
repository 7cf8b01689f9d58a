//! One DESCRIBE of our own, asked before an account is trusted to the wire: does the camera want one, how, or does it
//! redirect?
//!
//! The library that pulls answers any challenge it is given, follows no redirect and takes a stale nonce for a wrong
//! password; this asks first and tells these apart. Answers are read to a bound. Not here: SDP, streams.

use std::time::Duration;

use http_auth::{PasswordClient, PasswordParams};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::{Host, Url};

use crate::{failure::Failure, settings::Credentials};

/// Longest head of an answer.
const LARGEST_HEAD: usize = 16 << 10;

const DESCRIBE: &str = "DESCRIBE";
const SETUP: &str = "SETUP";

/// What a camera wants before it describes its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// No account, or the account was right.
    Nothing,
    /// An account, by digest.
    Digest,
    /// An account, readable by anyone on the way.
    Basic,
    /// To ask elsewhere.
    Redirect(Url),
}

/// What the camera at `url` wants.
pub async fn ask(url: &Url, within: Duration) -> Result<Wanted, Failure> {
    deadline(within, async {
        let mut stream = connect(url).await?;
        let answer = request(&mut stream, url, DESCRIBE, 1, None).await?;
        match answer.status {
            200..=299 => Ok(Wanted::Nothing),
            300..=399 => answer.location(url).map(Wanted::Redirect),
            401 => answer.challenge(),
            status => Err(Failure::from_status(status, "describe")),
        }
    })
    .await
}

/// How a camera asks for an account that described itself to anyone, and asks when its stream is set up or played.
pub async fn ask_to_set_up(url: &Url, within: Duration) -> Result<Wanted, Failure> {
    deadline(within, async {
        let mut stream = connect(url).await?;
        for (method, sequence) in [(SETUP, 1), ("PLAY", 2)] {
            let answer = request(&mut stream, url, method, sequence, None).await?;
            if answer.status == 401 {
                return answer.challenge();
            }
        }
        Err(Failure::AuthFailed { status: 401 })
    })
    .await
}

/// Whether the camera takes the account, tried with a second nonce when the first was stale. Asked when the library was
/// refused, so a wrong password costs no more than these tries.
pub async fn takes(url: &Url, credentials: &Credentials, within: Duration) -> Result<(), Failure> {
    deadline(within, async {
        let mut stream = connect(url).await?;
        let mut challenged = request(&mut stream, url, DESCRIBE, 1, None).await?;
        for sequence in 2..4 {
            if challenged.status != 401 {
                break;
            }
            let authorization = challenged.respond(url, credentials)?;
            let answer = request(&mut stream, url, DESCRIBE, sequence, Some(&authorization)).await?;
            if answer.status == 401 && !answer.is_stale() {
                return Err(Failure::AuthFailed { status: 401 });
            }
            challenged = answer;
        }
        match challenged.status {
            200..=299 => Ok(()),
            401 => Err(Failure::StaleNonce),
            status => Err(Failure::from_status(status, "describe")),
        }
    })
    .await
}

async fn deadline<T>(within: Duration, asked: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = Failure::NoAnswer { step: "describe", within };
    tokio::time::timeout(within, asked).await.unwrap_or(Err(late))
}

async fn connect(url: &Url) -> Result<TcpStream, Failure> {
    let port = url.port().unwrap_or(554);
    let connected = match url.host() {
        Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
        Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
        Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
        None => return Err(Failure::Redirected { problem: "to an address without a host" }),
    };
    connected.map_err(|error| Failure::from_connect(&error.to_string()))
}

/// Sends a request of this method, with the headers that stand behind it.
async fn request(
    stream: &mut TcpStream,
    url: &Url,
    method: &str,
    sequence: u32,
    authorization: Option<&str>,
) -> Result<Answer, Failure> {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    let more = match method {
        DESCRIBE => "Accept: application/sdp\r\n",
        SETUP => "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
        _ => "",
    };
    let request =
        format!("{method} {url} RTSP/1.0\r\n{more}CSeq: {sequence}\r\n{authorization}User-Agent: xueliang\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|_| Failure::Closed)?;
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 2048];
        let n_bytes = stream.read(&mut piece).await.map_err(|_| Failure::Closed)?;
        bytes.extend_from_slice(&piece[..n_bytes]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let (answer, body_len) = Answer::read(&bytes[..end])?;
            let n_missing = (end + 4 + body_len).saturating_sub(bytes.len());
            return if answer.status == 401 { skip(stream, n_missing).await.map(|()| answer) } else { Ok(answer) };
        }
        match n_bytes {
            0 if bytes.is_empty() => return Err(Failure::Closed),
            0 => return Err(Failure::Garbled { step: "describe" }),
            _ if bytes.len() > LARGEST_HEAD || !looks_like_rtsp(&bytes) => {
                return Err(Failure::Garbled { step: "describe" });
            }
            _ => {}
        }
    }
}

fn looks_like_rtsp(bytes: &[u8]) -> bool {
    let start = b"RTSP/1.0 ";
    bytes.iter().zip(start).all(|(byte, expected)| byte == expected)
}

/// Reads past the body of a refusal, so that the next answer begins where it should.
async fn skip(stream: &mut TcpStream, mut n_bytes: usize) -> Result<(), Failure> {
    if n_bytes > LARGEST_HEAD {
        return Err(Failure::Garbled { step: "describe" });
    }
    let mut ignored = [0; 1024];
    while n_bytes > 0 {
        let piece = n_bytes.min(ignored.len());
        n_bytes -= stream.read_exact(&mut ignored[..piece]).await.map_err(|_| Failure::Closed)?;
    }
    Ok(())
}

/// Head of an answer: no more than what is asked here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    status: u16,
    challenges: Vec<String>,
    location: Option<String>,
}

impl Answer {
    /// The answer and the length of its body.
    fn read(head: &[u8]) -> Result<(Self, usize), Failure> {
        let garbled = Failure::Garbled { step: "describe" };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let status = match (words.next(), words.next().map(str::parse)) {
            (Some("RTSP/1.0"), Some(Ok(status))) => status,
            _ => return Err(garbled),
        };
        let mut answer = Answer { status, ..Default::default() };
        let mut body_len = 0;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "www-authenticate" => answer.challenges.push(value.to_owned()),
                "location" => answer.location = Some(value.to_owned()),
                "content-length" => body_len = value.parse().map_err(|_| garbled.clone())?,
                _ => {}
            }
        }
        Ok((answer, body_len))
    }

    fn location(&self, asked: &Url) -> Result<Url, Failure> {
        let location = self.location.as_deref().ok_or(Failure::Redirected { problem: "without saying where" })?;
        let url =
            asked.join(location).map_err(|_| Failure::Redirected { problem: "to something that is no address" })?;
        let usable = url.scheme() == "rtsp" && url.host().is_some() && url.username().is_empty();
        if usable { Ok(url) } else { Err(Failure::Redirected { problem: "to something that is no RTSP address" }) }
    }

    fn challenge(&self) -> Result<Wanted, Failure> {
        match self.client() {
            Some(PasswordClient::Digest(_)) => Ok(Wanted::Digest),
            Some(PasswordClient::Basic(_)) => Ok(Wanted::Basic),
            _ => Err(Failure::AuthFailed { status: 401 }),
        }
    }

    fn respond(&self, url: &Url, credentials: &Credentials) -> Result<String, Failure> {
        let refused = Failure::AuthFailed { status: 401 };
        let mut client = self.client().ok_or(refused.clone())?;
        if matches!(client, PasswordClient::Basic(_)) && !credentials.allow_basic {
            return Err(Failure::BasicRefused);
        }
        let parameters = PasswordParams {
            username: &credentials.username,
            password: &credentials.password,
            uri: url.as_str(),
            method: "DESCRIBE",
            body: Some(&[]),
        };
        client.respond(&parameters).map_err(|_| refused)
    }

    fn is_stale(&self) -> bool {
        matches!(self.client(), Some(PasswordClient::Digest(digest)) if digest.stale())
    }

    /// Digest wherever it is offered. A challenge that can't be read hides no other.
    fn client(&self) -> Option<PasswordClient> {
        let mut builder = PasswordClient::builder();
        for challenge in &self.challenges {
            builder = builder.challenges(challenge);
        }
        builder.build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(head: &str) -> Answer {
        Answer::read(head.as_bytes()).unwrap().0
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn wanted(challenges: &[&str]) -> Result<Wanted, Failure> {
        let lines: String = challenges.iter().map(|value| format!("\r\nWWW-Authenticate: {value}")).collect();
        answer(&format!("RTSP/1.0 401 Unauthorized\r\nCSeq: 1{lines}")).challenge()
    }

    #[test]
    fn digest_is_preferred_wherever_it_stands() {
        let (basic, digest) = ("Basic realm=\"r\"", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"");
        let sha = "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256";
        assert_eq!(wanted(&[basic, digest]), Ok(Wanted::Digest));
        assert_eq!(wanted(&[digest, basic]), Ok(Wanted::Digest));
        assert_eq!(wanted(&[sha]), Ok(Wanted::Digest));
        assert_eq!(wanted(&[basic]), Ok(Wanted::Basic));
        assert_eq!(wanted(&["Negotiate"]), Err(Failure::AuthFailed { status: 401 }));
        assert_eq!(wanted(&[]), Err(Failure::AuthFailed { status: 401 }));
    }

    #[test]
    fn redirects_lead_to_rtsp_only() {
        let asked = url("rtsp://10.0.0.1/old");
        let to = |location: &str| answer(&format!("RTSP/1.0 302 Moved\r\nLocation: {location}")).location(&asked);
        assert_eq!(to("rtsp://10.0.0.1:8554/new").unwrap(), url("rtsp://10.0.0.1:8554/new"));
        assert_eq!(to("/new").unwrap(), url("rtsp://10.0.0.1/new"));
        assert!(to("http://10.0.0.1/new").is_err() && to("rtsp://me:secret@10.0.0.1/").is_err());
        assert!(answer("RTSP/1.0 302 Moved").location(&asked).is_err());
    }

    #[test]
    fn basic_is_not_answered_unless_allowed() {
        let basic = answer("RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"");
        let mut credentials = Credentials { username: "u".into(), password: "p".into(), allow_basic: false };
        assert_eq!(basic.respond(&url("rtsp://h/"), &credentials), Err(Failure::BasicRefused));
        credentials.allow_basic = true;
        assert!(basic.respond(&url("rtsp://h/"), &credentials).unwrap().starts_with("Basic "));
    }

    proptest::proptest! {
        #[test]
        fn any_head_is_read_or_refused(head: Vec<u8>) {
            let _ = Answer::read(&head).map(|(answer, _)| (answer.challenge(), answer.location(&url("rtsp://h/"))));
        }
    }
}
