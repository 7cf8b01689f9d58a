//! Very many plain cameras behind one port: one task each, no footage, the sizes of a quiet 1080p street, or one picture that can be
//! decoded. All can go at once and come back.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc::Sender, watch};

use super::packets::Packetizer;

const KEYFRAME: usize = 60_000;
const OTHER: usize = 1_200;
/// Units from keyframe to keyframe.
const GOP: usize = 50;
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=crowd\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:v\r\n";

/// A running crowd, until it is dropped.
pub struct Crowd {
    address: SocketAddr,
    connected_at: Arc<Mutex<Vec<Instant>>>,
    away: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Crowd {
    /// Cameras of so many pictures a second, as many as connect; nothing is to be seen in them.
    pub fn start(pictures_per_second: u32) -> Result<Self> {
        Self::showing(&[&[0, 0, 0, 1, 0x65][..], &[0x55; KEYFRAME]].concat(), pictures_per_second)
    }

    /// The same with this access unit as their keyframes.
    pub fn showing(keyframe: &[u8], pictures_per_second: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).context("no free port on loopback")?;
        let address = listener.local_addr()?;
        let (connected_at, away) = (Arc::<Mutex<Vec<Instant>>>::default(), watch::Sender::new(false));
        let interval = Duration::from_secs(1) / pictures_per_second;
        let keyframe: Arc<[u8]> = keyframe.into();
        runtime.spawn({
            let (connected_at, is_away) = (Arc::clone(&connected_at), away.subscribe());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connected_at.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    let (keyframe, mut is_away) = (Arc::clone(&keyframe), is_away.clone());
                    tokio::spawn(async move {
                        // A client that hangs up ends its conversation with an error, as it should.
                        tokio::select! {
                            _ = hold(stream, interval, &keyframe) => {}
                            _ = is_away.wait_for(|is_away| *is_away) => {}
                        }
                    });
                }
            }
        });
        Ok(Self { address, connected_at, away, runtime: Some(runtime) })
    }

    /// All hang up at once, and on whoever connects meanwhile.
    pub fn go_away(&self) {
        self.away.send_replace(true);
    }

    /// All are back.
    pub fn come_back(&self) {
        self.away.send_replace(false);
    }

    /// Where they listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of any of them.
    pub fn url(&self) -> String {
        format!("rtsp://{}/cam", self.address)
    }

    /// Connections so far.
    pub fn n_connected(&self) -> usize {
        self.connected_at().len()
    }

    /// When each connection came.
    pub fn connected_at(&self) -> Vec<Instant> {
        self.connected_at.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn hold(stream: TcpStream, interval: Duration, keyframe: &[u8]) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let (answers, mut waiting) = tokio::sync::mpsc::channel(4);
    tokio::spawn(answer_all(BufReader::with_capacity(2048, reader), answers));
    loop {
        let (method, answer) = waiting.recv().await.context("the client hung up")?;
        writer.write_all(answer.as_bytes()).await?;
        if method == "PLAY" {
            break;
        }
    }
    let (mut packetizer, ticks) = (Packetizer::new(), (interval.as_secs_f64() * 90_000.0) as u32);
    let mut due = tokio::time::interval(interval);
    let other = [&[0, 0, 0, 1, 0x41][..], &[0x55; OTHER]].concat();
    for nth in 0usize.. {
        due.tick().await;
        while let Ok((_, answer)) = waiting.try_recv() {
            writer.write_all(answer.as_bytes()).await?;
        }
        let unit = if nth % GOP == 0 { keyframe } else { &other };
        let packets = packetizer.unit(unit, ticks.wrapping_mul(nth as u32)).concat();
        writer.write_all(&packets).await?;
    }
    Ok(())
}

/// Reads requests, and hands on their methods and answers.
async fn answer_all(mut reader: BufReader<OwnedReadHalf>, answers: Sender<(String, String)>) -> Result<()> {
    loop {
        let (method, sequence) = read_request(&mut reader).await?;
        let rest = match method.as_str() {
            "DESCRIBE" => format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len()),
            "SETUP" => "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1;timeout=60\r\n\r\n".to_owned(),
            "OPTIONS" => "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n\r\n".to_owned(),
            _ => "Session: 1\r\n\r\n".to_owned(),
        };
        answers.send((method, format!("RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{rest}"))).await?;
    }
}

/// A request's method and sequence number.
async fn read_request(reader: &mut BufReader<OwnedReadHalf>) -> Result<(String, String)> {
    let (mut method, mut sequence) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        anyhow::ensure!(reader.read_line(&mut line).await? > 0, "the client hung up");
        match line.trim() {
            "" => return Ok((method, sequence)),
            first if method.is_empty() => first.split(' ').next().unwrap_or_default().clone_into(&mut method),
            header => {
                let field = header.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("cseq"));
                if let Some((_, value)) = field {
                    value.trim().clone_into(&mut sequence);
                }
            }
        }
    }
}
