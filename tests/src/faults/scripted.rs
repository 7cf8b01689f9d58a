//! A camera that plays real footage by RTP, interleaved or over UDP as it is asked, and has one quirk.
//!
//! One thread per connection answers requests, one more plays. H.264 only: what is quirky here is around the pictures.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::datagrams::Datagrams;
use super::packets::{Packetizer, disturb};
use super::{Quirk, Reel, challenge};

/// The account that a scripted camera knows.
pub const USER: &str = "operator";
/// Its password.
pub const PASSWORD: &str = "street-password";

/// When a quirk that comes later comes.
const LATER: Duration = Duration::from_secs(2);
/// Datagrams that leave within a millisecond, as from a port of 100 Mbit/s.
const AT_ONCE: usize = 8;
/// What a camera says that knows no session by this name.
const NOT_FOUND: &str = "454 Session Not Found\r\n\r\n";
/// Ticks of the RTP clock in a second.
const TICKS: u32 = 90_000;

/// A running camera, until it is dropped.
pub struct ScriptedCamera {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    quirk: Quirk,
    footage: Reel,
    other: Reel,
    address: SocketAddr,
    redirects_to: Option<String>,
    ends: AtomicBool,
    n_connections: AtomicUsize,
    n_keepalives: AtomicUsize,
    authorizations: Mutex<Vec<String>>,
    played_at: Mutex<Option<Instant>>,
}

impl ScriptedCamera {
    /// Listens on any free port of 127.0.0.1; `other` is what a resolution switch switches to.
    pub fn start(quirk: Quirk, footage: &Reel, other: &Reel) -> Result<Self> {
        Self::on(IpAddr::V4(Ipv4Addr::LOCALHOST), quirk, footage, other)
    }

    /// The same on another address of this machine.
    pub fn on(ip: IpAddr, quirk: Quirk, footage: &Reel, other: &Reel) -> Result<Self> {
        Self::serve(ip, quirk, None, (footage, other))
    }

    /// A camera that redirects to another address.
    pub fn redirecting(to: &str, footage: &Reel, other: &Reel) -> Result<Self> {
        Self::serve(IpAddr::V4(Ipv4Addr::LOCALHOST), Quirk::RedirectsAway, Some(to.to_owned()), (footage, other))
    }

    fn serve(ip: IpAddr, quirk: Quirk, redirects_to: Option<String>, (footage, other): (&Reel, &Reel)) -> Result<Self> {
        let listener = TcpListener::bind((ip, 0)).with_context(|| format!("no free port on {ip}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            quirk,
            footage: footage.clone(),
            other: other.clone(),
            address,
            redirects_to,
            ends: AtomicBool::new(false),
            n_connections: AtomicUsize::new(0),
            n_keepalives: AtomicUsize::new(0),
            authorizations: Mutex::default(),
            played_at: Mutex::default(),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().flatten() {
                    if shared.ends.load(Ordering::SeqCst) {
                        return;
                    }
                    shared.n_connections.fetch_add(1, Ordering::SeqCst);
                    let shared = Arc::clone(&shared);
                    // A client that hangs up ends its conversation with an error, as it should.
                    std::thread::spawn(move || Conversation::new(shared, stream)?.hold());
                }
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Its URL, without credentials.
    pub fn url(&self) -> String {
        format!("rtsp://{}/cam/1", self.address)
    }

    /// Connections so far.
    pub fn n_connections(&self) -> usize {
        self.shared.n_connections.load(Ordering::SeqCst)
    }

    /// Keepalives so far.
    pub fn n_keepalives(&self) -> usize {
        self.shared.n_keepalives.load(Ordering::SeqCst)
    }

    /// Every `Authorization` that was sent here.
    pub fn authorizations(&self) -> Vec<String> {
        self.shared.authorizations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ScriptedCamera {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Conversation {
    shared: Arc<Shared>,
    reader: BufReader<TcpStream>,
    writer: Arc<Mutex<TcpStream>>,
    over: Arc<AtomicBool>,
    nth: usize,
    nonce: String,
    n_refused: usize,
    asked_at: Arc<Mutex<Instant>>,
    datagrams: Option<Datagrams>,
}

impl Conversation {
    fn new(shared: Arc<Shared>, stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        let nth = shared.n_connections.load(Ordering::SeqCst);
        Ok(Self {
            shared,
            reader: BufReader::new(stream.try_clone()?),
            writer: Arc::new(Mutex::new(stream)),
            over: Arc::default(),
            nth,
            nonce: format!("nonce-{nth}-0"),
            n_refused: 0,
            asked_at: Arc::new(Mutex::new(Instant::now())),
            datagrams: None,
        })
    }

    fn hold(mut self) -> Result<()> {
        let held = self.answer_all();
        self.over.store(true, Ordering::SeqCst);
        hang_up(&self.writer);
        held
    }

    fn answer_all(&mut self) -> Result<()> {
        let mut plays = false;
        loop {
            let request = Request::read(&mut self.reader)?;
            *lock(&self.asked_at) = Instant::now();
            if let Some(authorization) = request.headers.get("authorization") {
                lock(&self.shared.authorizations).push(authorization.clone());
            }
            if let Some(refusal) = self.refusal(&request) {
                self.send(&request, &refusal)?;
                continue;
            }
            let keepalive = plays && matches!(request.method.as_str(), "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER");
            if keepalive {
                self.shared.n_keepalives.fetch_add(1, Ordering::SeqCst);
            }
            match (self.shared.quirk, keepalive) {
                (Quirk::IgnoresKeepalive, true) => continue,
                (Quirk::UnauthorizedInSession, true) => {
                    self.send(&request, "401 Unauthorized\r\n\r\n")?;
                    return Ok(());
                }
                (Quirk::SessionNotFound, true) => {
                    self.send(&request, NOT_FOUND)?;
                    return Ok(());
                }
                (Quirk::UnauthorizedLeftOpen, true) => {
                    self.over.store(true, Ordering::SeqCst);
                    let challenge = self.challenge(true);
                    self.send(&request, &challenge)?;
                    continue;
                }
                (Quirk::SessionNotFoundLeftOpen, true) => {
                    self.over.store(true, Ordering::SeqCst);
                    self.send(&request, NOT_FOUND)?;
                    continue;
                }
                (Quirk::RefusesKeepalive, true) => {
                    self.send(&request, NOT_FOUND)?;
                    continue;
                }
                _ => {}
            }
            let answer = self.answer(&request)?;
            self.send(&request, &answer)?;
            if request.method == "PLAY" {
                plays = true;
                lock(&self.shared.played_at).get_or_insert_with(Instant::now);
                let player = Player {
                    shared: Arc::clone(&self.shared),
                    writer: Arc::clone(&self.writer),
                    over: Arc::clone(&self.over),
                    asked_at: Arc::clone(&self.asked_at),
                    datagrams: self.datagrams.take(),
                    nth: self.nth,
                };
                std::thread::spawn(move || player.run());
            }
        }
    }

    /// What a camera that wants an account says to one that has none, a wrong one or an old nonce.
    fn refusal(&mut self, request: &Request) -> Option<String> {
        let quirk = self.shared.quirk;
        let describes_freely = matches!(quirk, Quirk::AsksAtSetup | Quirk::AsksBasicAtSetup);
        if !quirk.asks() || describes_freely && matches!(request.method.as_str(), "DESCRIBE" | "OPTIONS") {
            return None;
        }
        let authorization = request.headers.get("authorization").map(String::as_str);
        let right = authorization.is_some_and(|a| challenge::is_right(quirk, &self.nonce, &request.method, a));
        let stale = match quirk {
            Quirk::AlwaysStale => right,
            // A first look without an account is a connection of its own, so the first that plays is the second.
            Quirk::StaleNonce => right && request.method == "SETUP" && self.nth <= 2,
            _ => false,
        };
        let changed =
            quirk == Quirk::AccountChanges && lock(&self.shared.played_at).is_some_and(|at| at.elapsed() > LATER);
        if right && !stale && !changed { None } else { Some(self.challenge(stale)) }
    }

    /// A 401 that takes the nonce away and gives another.
    fn challenge(&mut self, stale: bool) -> String {
        self.n_refused += 1;
        self.nonce = format!("nonce-{}-{}", self.nth, self.n_refused);
        format!("401 Unauthorized\r\n{}\r\n", challenge::lines(self.shared.quirk, &self.nonce, stale))
    }

    fn answer(&mut self, request: &Request) -> Result<String> {
        let session = if self.shared.quirk == Quirk::ShortTimeout { "1;timeout=2" } else { "1;timeout=60" };
        let session = if self.shared.quirk.times_out_soon() { "1;timeout=4" } else { session };
        Ok(match request.method.as_str() {
            "DESCRIBE" => return self.describe(request),
            "OPTIONS" => "200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n\r\n".to_owned(),
            "SETUP" => return self.set_up(request, session),
            "PLAY" => format!("200 OK\r\nSession: {session}\r\nRange: npt=now-\r\n\r\n"),
            "TEARDOWN" => bail!("the client hung up"),
            _ => "200 OK\r\n\r\n".to_owned(),
        })
    }

    fn set_up(&mut self, request: &Request, session: &str) -> Result<String> {
        let asked = request.headers.get("transport").map_or("", String::as_str);
        let peers = (self.shared.address.ip(), lock(&self.writer).peer_addr()?.ip());
        self.datagrams = Datagrams::asked_for(asked, peers)?;
        let transport = match &self.datagrams {
            Some(_) if self.shared.quirk == Quirk::OnlyInterleaved => {
                return Ok("461 Unsupported Transport\r\n\r\n".to_owned());
            }
            Some(datagrams) => datagrams.transport()?,
            None => "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00005EED".to_owned(),
        };
        Ok(format!("200 OK\r\nTransport: {transport}\r\nSession: {session}\r\n\r\n"))
    }

    fn describe(&mut self, request: &Request) -> Result<String> {
        let address = self.shared.address;
        let redirect = |to: String| Ok(format!("302 Moved Temporarily\r\nLocation: {to}\r\n\r\n"));
        if let Some(to) = &self.shared.redirects_to {
            return redirect(to.clone());
        }
        match self.shared.quirk {
            Quirk::Redirects if !request.url.ends_with("/moved") => return redirect(format!("rtsp://{address}/moved")),
            Quirk::RedirectsInCircles => return redirect(format!("rtsp://{address}/again")),
            Quirk::EndlessDescription => return self.describe_for_ever(request),
            _ => {}
        }
        let sdp = sdp(self.shared.quirk, &self.shared.footage);
        let base = if self.shared.quirk == Quirk::BareDescription { "" } else { "Content-Type: application/sdp\r\n" };
        Ok(format!("200 OK\r\n{base}Content-Length: {}\r\n\r\n{sdp}", sdp.len()))
    }

    fn describe_for_ever(&mut self, request: &Request) -> Result<String> {
        self.send(request, "200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 2000000000\r\n\r\nv=0\r\n")?;
        while !self.shared.ends.load(Ordering::SeqCst) {
            lock(&self.writer).write_all(b"a=note:and so on\r\n")?;
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the camera is gone")
    }

    fn send(&mut self, request: &Request, answer: &str) -> Result<()> {
        let sequence = request.headers.get("cseq").map_or("0", String::as_str);
        let (status, rest) = answer.split_once("\r\n").context("an answer has lines")?;
        let whole = format!("RTSP/1.0 {status}\r\nCSeq: {sequence}\r\n{rest}");
        Ok(lock(&self.writer).write_all(whole.as_bytes())?)
    }
}

fn sdp(quirk: Quirk, footage: &Reel) -> String {
    let parameters = match quirk {
        Quirk::NoParameterSets => "a=fmtp:96 packetization-mode=1\r\n".to_owned(),
        Quirk::BareDescription => String::new(),
        Quirk::MalformedDescription => "and=so on\r\n".to_owned(),
        Quirk::WrongParameterSets => "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=!!!,???\r\n".to_owned(),
        _ => {
            format!("a=fmtp:96 packetization-mode=1;sprop-parameter-sets={}\r\n", footage.parameter_sets())
        }
    };
    let clock = if quirk == Quirk::WrongClockRate { 8000 } else { TICKS };
    let control = if quirk == Quirk::BareDescription { "" } else { "a=control:stream=0\r\n" };
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=street\r\nt=0 0\r\n";
    match quirk {
        Quirk::EmptyDescription => String::new(),
        Quirk::NoVideo => format!(
            "{head}m=audio 0 RTP/AVP 8\r\na=control:a\r\nm=video 0 RTP/AVP 98\r\na=rtpmap:98 VP9/90000\r\na=control:v\r\n"
        ),
        _ => format!("{head}m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/{clock}\r\n{parameters}{control}"),
    }
}

/// Plays footage into a connection until either is gone.
struct Player {
    shared: Arc<Shared>,
    writer: Arc<Mutex<TcpStream>>,
    over: Arc<AtomicBool>,
    asked_at: Arc<Mutex<Instant>>,
    datagrams: Option<Datagrams>,
    nth: usize,
}

impl Player {
    fn run(self) -> Result<()> {
        let played = self.play();
        if !self.shared.quirk.falls_silent() {
            hang_up(&self.writer);
        }
        played
    }

    fn play(&self) -> Result<()> {
        let quirk = self.shared.quirk;
        let speed = if quirk == Quirk::HundredfoldSpeed { 100 } else { 1 };
        let interval = self.shared.footage.interval();
        let ticks = (f64::from(TICKS) * interval.as_secs_f64()) as u32;
        let later = (LATER.as_nanos() / interval.as_nanos()) as usize;
        let (began, mut packetizer, mut n_packets) = (Instant::now(), Packetizer::new(), 0);
        let mut late = None;
        for nth in 0usize.. {
            let due = began + interval * u32::try_from(nth).unwrap_or(u32::MAX) / speed;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let timed_out = quirk == Quirk::ShortTimeout && lock(&self.asked_at).elapsed() > LATER;
            if self.over.load(Ordering::SeqCst) || self.shared.ends.load(Ordering::SeqCst) || timed_out {
                return Ok(());
            }
            let timestamp = ticks.wrapping_mul(nth as u32);
            if nth % 10 == 0 && quirk != Quirk::NoSenderReport {
                let ahead = match quirk {
                    Quirk::ClockJumpsForward if nth >= later => 3600,
                    Quirk::ClockJumpsBack if nth >= later => -3600,
                    _ => 0,
                };
                self.write(&packetizer.report(timestamp, ahead))?;
            }
            match quirk {
                Quirk::HugePicture | Quirk::EndlessPicture if nth == later / 2 => {
                    self.write_large_picture(&mut packetizer, timestamp)?;
                    continue;
                }
                Quirk::SourceChanges if nth == later => packetizer.source += 1,
                Quirk::SequenceJumps if nth == later => packetizer.sequence = packetizer.sequence.wrapping_sub(20_000),
                Quirk::StallsLater | Quirk::AccountChanges if nth == later => return Ok(()),
                Quirk::StallsOnce if nth == later && self.nth == 1 => return Ok(()),
                _ => {}
            }
            let footage = if quirk == Quirk::ResolutionSwitches && nth >= later {
                &self.shared.other
            } else {
                &self.shared.footage
            };
            if quirk == Quirk::NoIdr && footage.is_keyframe(nth) {
                continue;
            }
            let mut packets = disturb(quirk, packetizer.unit(footage.unit(nth), timestamp), n_packets);
            n_packets += packets.len();
            packets.extend(late.take());
            if quirk == Quirk::LatePackets && nth % 10 == 3 && packets.len() > 2 {
                late = Some(packets.remove(1));
            }
            self.write_packets(&packets, nth >= later)?;
        }
        Ok(())
    }

    fn write_packets(&self, packets: &[Vec<u8>], is_later: bool) -> Result<()> {
        if self.datagrams.is_some() {
            for some in packets.chunks(AT_ONCE) {
                some.iter().try_for_each(|packet| self.write(packet))?;
                std::thread::sleep(Duration::from_millis(1));
            }
            return Ok(());
        }
        let bytes = packets.concat();
        match self.shared.quirk {
            Quirk::SplitAnywhere => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, tail) = rest.split_at(rest.len().min(1 + rest.len() % 9));
                    self.write(piece)?;
                    rest = tail;
                }
                Ok(())
            }
            Quirk::CutHalfway if is_later => {
                self.write(&bytes[..bytes.len() - 5])?;
                bail!("cut")
            }
            _ => self.write(&bytes),
        }
    }

    fn write_large_picture(&self, packetizer: &mut Packetizer, timestamp: u32) -> Result<()> {
        let endless = self.shared.quirk == Quirk::EndlessPicture;
        let n_pieces = if endless { usize::MAX } else { (20 << 20) / 60_000 };
        for nth in 0..n_pieces {
            if self.over.load(Ordering::SeqCst) || self.shared.ends.load(Ordering::SeqCst) {
                bail!("over");
            }
            self.write(&packetizer.piece(timestamp, nth == 0, nth + 1 == n_pieces))?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        match &self.datagrams {
            Some(datagrams) => datagrams.send(bytes),
            None => Ok(lock(&self.writer).write_all(bytes)?),
        }
    }
}

struct Request {
    method: String,
    url: String,
    headers: HashMap<String, String>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Result<Self> {
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut words = first.split_whitespace().map(str::to_owned);
        let (method, url) = (words.next().context("the client hung up")?, words.next().context("no URL")?);
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                return Ok(Self { method, url, headers });
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }
}

fn hang_up(writer: &Mutex<TcpStream>) {
    // An error means that the other side was first.
    let _ = lock(writer).shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
