//! Cameras that fail in one exact way each, to show that each failure is told by its cause and disturbs no other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

/// How a camera fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Accepts the connection and never sends a byte.
    SilentOnConnect,
    /// Answers every RTSP request well, plays, and then sends nothing.
    SilentAfterPlay,
    /// Sends bytes that are no RTSP as soon as a client connects.
    GarbageOnConnect,
    /// Plays, and then sends interleaved packets that are no RTP.
    GarbageRtp,
    /// Plays, and then sends well-formed RTP whose NAL units are noise.
    GarbageNals,
}

/// A faulty camera on loopback, until it is dropped.
pub struct FaultyCamera {
    address: SocketAddr,
    n_connections: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FaultyCamera {
    /// Listens on any free port.
    pub fn start(fault: Fault) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on loopback")?;
        let address = listener.local_addr()?;
        let n_connections = Arc::new(AtomicUsize::new(0));
        let ends = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (n_connections, ends) = (Arc::clone(&n_connections), Arc::clone(&ends));
            move || {
                for stream in listener.incoming().flatten() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    n_connections.fetch_add(1, Ordering::SeqCst);
                    let ends = Arc::clone(&ends);
                    // A client that hangs up ends its conversation with an error, as it should.
                    std::thread::spawn(move || Conversation { stream, ends }.hold(fault).ok());
                }
            }
        });
        Ok(Self { address, n_connections, ends, thread: Some(thread) })
    }

    /// Its URL, without credentials.
    pub fn url(&self) -> String {
        format!("rtsp://{}/cam/1", self.address)
    }

    /// How often a client has connected so far: shows whether somebody reconnects, and how eagerly.
    pub fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::SeqCst)
    }
}

impl Drop for FaultyCamera {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How often a conversation looks whether its camera is gone.
const TICK: Duration = Duration::from_millis(50);
/// A parameter set pair of a 768×576 stream, so that what follows it is believed at first.
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=fault\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;profile-level-id=64001F;sprop-parameter-sets=Z2QAH6y0BgCTQgAAAwACAAADACgeMGVA,aO8Pyw==\r\n\
    a=control:stream=0\r\n";

struct Conversation {
    stream: TcpStream,
    ends: Arc<AtomicBool>,
}

impl Conversation {
    fn hold(mut self, fault: Fault) -> Result<()> {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        match fault {
            Fault::SilentOnConnect => self.be_silent(),
            Fault::GarbageOnConnect => self.repeat(|| noise.bytes(512)),
            Fault::SilentAfterPlay => {
                self.answer_until_play()?;
                self.be_silent()
            }
            Fault::GarbageRtp => {
                self.answer_until_play()?;
                self.repeat(|| interleaved(&noise.bytes(300)))
            }
            Fault::GarbageNals => {
                self.answer_until_play()?;
                let mut sequence = 0;
                self.repeat(|| {
                    sequence += 1;
                    interleaved(&rtp_of_noise(sequence, &mut noise))
                })
            }
        }
    }

    fn be_silent(&mut self) -> Result<()> {
        self.stream.set_read_timeout(Some(TICK))?;
        let mut ignored = [0; 1024];
        while !self.ends.load(Ordering::SeqCst) {
            match self.stream.read(&mut ignored) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.stream.shutdown(Shutdown::Both)?)
    }

    /// Sends one piece per tick until the camera or the client is gone.
    fn repeat(&mut self, mut piece: impl FnMut() -> Vec<u8>) -> Result<()> {
        while !self.ends.load(Ordering::SeqCst) {
            self.stream.write_all(&piece())?;
            std::thread::sleep(TICK);
        }
        Ok(self.stream.shutdown(Shutdown::Both)?)
    }

    fn answer_until_play(&mut self) -> Result<()> {
        let mut reader = BufReader::new(self.stream.try_clone()?);
        loop {
            let request = Request::read(&mut reader)?;
            let extra = match request.method.as_str() {
                "OPTIONS" => "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n\r\n".to_owned(),
                "DESCRIBE" => format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len()),
                "SETUP" => {
                    "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000001\r\nSession: 1;timeout=60\r\n\r\n"
                        .to_owned()
                }
                "PLAY" => "Session: 1\r\nRTP-Info: url=stream=0;seq=1;rtptime=0\r\nRange: npt=now-\r\n\r\n".to_owned(),
                _ => "\r\n".to_owned(),
            };
            // In one piece: written bit by bit, the first bit may travel alone.
            let answer = format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n{extra}", request.sequence);
            self.stream.write_all(answer.as_bytes())?;
            if request.method == "PLAY" {
                return Ok(());
            }
        }
    }
}

struct Request {
    method: String,
    sequence: String,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Result<Self> {
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let method = first.split_whitespace().next().context("the client hung up")?.to_owned();
        let mut sequence = String::from("0");
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                return Ok(Self { method, sequence });
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("cseq")
            {
                value.trim().clone_into(&mut sequence);
            }
        }
    }
}

fn interleaved(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[b'$', 0], &length[..], packet].concat()
}

/// An RTP packet with the marker set, ten a second by its clock, that claims to carry one keyframe slice.
fn rtp_of_noise(sequence: u16, noise: &mut Noise) -> Vec<u8> {
    let timestamp = u32::from(sequence) * 9000;
    let header = [&[0x80, 0x80 | 96][..], &sequence.to_be_bytes(), &timestamp.to_be_bytes(), &[0, 0, 0, 1]].concat();
    [&header[..], &[0x65], &noise.bytes(900)].concat()
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// Bytes that look random and are the same in every run (xorshift).
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, n_bytes: usize) -> Vec<u8> {
        (0..n_bytes)
            .map(|_| {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                self.0.to_le_bytes()[3]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let n_bytes = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..n_bytes]).into_owned()
    }

    fn connect(camera: &FaultyCamera) -> TcpStream {
        let stream = TcpStream::connect(camera.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    #[test]
    fn silent_after_play_describes_itself_well_before() {
        let camera = FaultyCamera::start(Fault::SilentAfterPlay).unwrap();
        let mut stream = connect(&camera);
        let described = ask(&mut stream, "DESCRIBE rtsp://x/ RTSP/1.0\r\nCSeq: 7\r\n\r\n");
        assert!(described.contains("CSeq: 7") && described.contains("sprop-parameter-sets"), "{described}");
        assert!(ask(&mut stream, "PLAY rtsp://x/ RTSP/1.0\r\nCSeq: 8\r\n\r\n").contains("200 OK"));
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(is_timeout(&stream.read(&mut [0; 1]).unwrap_err()));
        assert_eq!(camera.n_connections(), 1);
    }

    #[test]
    fn garbage_after_play_is_framed_as_interleaved_packets() {
        for fault in [Fault::GarbageRtp, Fault::GarbageNals] {
            let camera = FaultyCamera::start(fault).unwrap();
            let mut stream = connect(&camera);
            assert!(ask(&mut stream, "PLAY rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n").contains("200 OK"));
            let mut head = [0; 4];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(head[..2], [b'$', 0]);
        }
    }

    #[test]
    fn dropping_a_camera_hangs_up() {
        let camera = FaultyCamera::start(Fault::SilentOnConnect).unwrap();
        let mut stream = connect(&camera);
        stream.write_all(b"OPTIONS * RTSP/1.0\r\n\r\n").unwrap();
        crate::wait::until("the camera to accept", Duration::from_secs(5), || {
            Ok((camera.n_connections() == 1).then_some(()))
        })
        .unwrap();
        drop(camera);
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    }
}
