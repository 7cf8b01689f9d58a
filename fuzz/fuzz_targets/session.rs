//! A camera that answers anything: the whole session, from DESCRIBE to pictures, over a real socket.
//!
//! The input is a description and a stream with a zero byte between them; a first byte says how much of the conversation
//! around them is well formed.
#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use xueliang_ingest::session::{Deadlines, Endpoint, Session};
use xueliang_ingest::settings::{Credentials, StreamTransport};

const DEADLINES: Deadlines = Deadlines { connect: Duration::from_millis(50), stall: Duration::from_millis(50) };

fuzz_target!(init: {
    // A session contains panics of the libraries beneath it; those that leave it still end the run.
    std::panic::set_hook(Box::new(|_| {}));
}, |data: &[u8]| {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let Some((&manner, data)) = data.split_first() else { return };
    let runtime = RUNTIME
        .get_or_init(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts"));
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let url = format!("rtsp://{}/cam", listener.local_addr().expect("it is bound"));
        let credentials = (manner & 1 != 0).then(|| Credentials {
            username: "u".into(),
            password: "p".into(),
            allow_basic: false,
        });
        let endpoint =
            Endpoint { url: url.parse().expect("a URL"), credentials, transport: StreamTransport::Tcp, networks: Default::default() };
        let camera = async {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = answer(stream, manner, data).await;
            }
        };
        let client = async {
            let Ok(mut session) = Session::open(&endpoint, DEADLINES).await else { return };
            while let Ok(unit) = session.next().await {
                assert!(!unit.bytes.is_empty(), "an empty picture");
                let _ = session.remark();
            }
        };
        tokio::select! { () = camera => {}, () = client => {} }
    });
});

async fn answer(mut stream: TcpStream, manner: u8, data: &[u8]) -> std::io::Result<()> {
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (description, rtp) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    let mut request = [0; 2048];
    for sequence in 1.. {
        let n_bytes = stream.read(&mut request).await?;
        let method = &request[..n_bytes.min(4)];
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n");
        let answer = match method {
            _ if manner & 2 != 0 => description.to_vec(),
            b"DESC" => {
                [format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n", description.len()).as_bytes(), description]
                    .concat()
            }
            b"SETU" => format!("{head}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n").into_bytes(),
            b"PLAY" => format!("{head}Session: 1\r\n\r\n").into_bytes(),
            _ => return Ok(()),
        };
        stream.write_all(&answer).await?;
        if method == b"PLAY" {
            // Interleaved packets of up to 255 bytes, framed well or as they come.
            if manner & 4 != 0 {
                stream.write_all(rtp).await?;
            } else {
                for piece in rtp.chunks(60) {
                    let head = [b'$', piece[0] & 1, 0, piece.len() as u8];
                    stream.write_all(&[&head, piece].concat()).await?;
                }
            }
            return Ok(());
        }
    }
    Ok(())
}
