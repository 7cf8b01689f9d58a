//! A TCP relay between two real parts, with a switch: pass, stall with the sockets open, cut, reset, delay or
//! narrow.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Pass,
    /// Connections stay open, new ones are accepted, nothing moves.
    Stall,
    /// What the server says passes; what the client says is held back.
    Mute,
    /// Connections are closed, new ones at once.
    Cut,
    /// Connections are closed after so many further bytes from the server, wherever that is.
    CutAfter(usize),
    /// Connections are reset, new ones closed at once.
    Reset,
    /// The server's ends are closed, and nobody tells the clients.
    HalfOpen,
    /// Bytes come so late.
    Late(Duration),
    /// So many bytes a second pass in each direction.
    Narrow(u32),
}

/// A relay on loopback, until it is dropped.
pub struct Relay {
    address: SocketAddr,
    flow: Arc<Mutex<Flow>>,
    ends: Arc<AtomicBool>,
    accepted: Arc<Mutex<Vec<Instant>>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on any free port and leads to `target`, which need not be there yet.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on loopback")?;
        let address = listener.local_addr()?;
        let flow = Arc::new(Mutex::new(Flow::Pass));
        let ends = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let thread = std::thread::spawn({
            let (flow, ends, accepted) = (Arc::clone(&flow), Arc::clone(&ends), Arc::clone(&accepted));
            move || {
                for client in listener.incoming().flatten() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    accepted.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    // An unreachable target shows to the client as a connection that closes at once.
                    if !matches!(current(&flow), Flow::Cut | Flow::Reset)
                        && let Ok(server) = TcpStream::connect(target)
                    {
                        join(&client, &server, &flow, &ends).ok();
                    }
                }
            }
        });
        Ok(Self { address, flow, ends, accepted, thread: Some(thread) })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// When each connection came.
    pub fn accepted(&self) -> Vec<Instant> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Turns the switch; connections notice within a tenth of a second.
    pub fn set(&self, flow: Flow) {
        *lock(&self.flow) = flow;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.set(Flow::Cut);
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const TICK: Duration = Duration::from_millis(50);
const SHORT_TICK: Duration = Duration::from_millis(5);

/// Starts one thread for each direction.
fn join(client: &TcpStream, server: &TcpStream, flow: &Arc<Mutex<Flow>>, ends: &Arc<AtomicBool>) -> Result<()> {
    for (from, to) in [(client, server), (server, client)] {
        let direction = Direction {
            from: from.try_clone()?,
            to: to.try_clone()?,
            from_server: std::ptr::eq(from, server),
            flow: Arc::clone(flow),
            ends: Arc::clone(ends),
            waiting: VecDeque::new(),
            n_passed: 0,
            seen: current(flow),
        };
        std::thread::spawn(move || direction.run());
    }
    Ok(())
}

struct Direction {
    from: TcpStream,
    to: TcpStream,
    from_server: bool,
    flow: Arc<Mutex<Flow>>,
    ends: Arc<AtomicBool>,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    n_passed: usize,
    seen: Flow,
}

impl Direction {
    fn run(mut self) {
        while !self.ends.load(Ordering::SeqCst) {
            let flow = current(&self.flow);
            if flow != self.seen {
                (self.seen, self.n_passed) = (flow, 0);
            }
            match flow {
                Flow::Stall => std::thread::sleep(TICK),
                Flow::Mute if !self.from_server => std::thread::sleep(TICK),
                Flow::Cut => break,
                Flow::Reset => return self.reset(),
                Flow::HalfOpen => {
                    let server = if self.from_server { &self.from } else { &self.to };
                    // An error means that it is closed already.
                    let _ = server.shutdown(Shutdown::Both);
                    std::thread::sleep(TICK);
                }
                Flow::Pass | Flow::Mute | Flow::CutAfter(_) | Flow::Late(_) | Flow::Narrow(_) => {
                    if self.pass(flow).is_err() {
                        break;
                    }
                }
            }
        }
        // The other direction sees the end of its stream; an error means that it was first.
        let _ = self.from.shutdown(Shutdown::Both);
        let _ = self.to.shutdown(Shutdown::Both);
    }

    /// Reads what there is and writes what is due.
    fn pass(&mut self, flow: Flow) -> std::io::Result<()> {
        let late = if let Flow::Late(late) = flow { late } else { Duration::ZERO };
        let mut buffer = vec![0; if matches!(flow, Flow::Narrow(_)) { 4096 } else { 64 * 1024 }];
        self.from.set_read_timeout(Some(if late.is_zero() { TICK } else { SHORT_TICK }))?;
        match self.from.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n_bytes) => self.waiting.push_back((Instant::now() + late, buffer[..n_bytes].to_vec())),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        while self.waiting.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            let Some((_, bytes)) = self.waiting.pop_front() else { break };
            let n_left = match flow {
                Flow::CutAfter(n_bytes) if self.from_server => n_bytes.saturating_sub(self.n_passed),
                _ => usize::MAX,
            };
            self.to.write_all(&bytes[..bytes.len().min(n_left)])?;
            self.n_passed += bytes.len();
            if bytes.len() >= n_left {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Flow::Narrow(per_second) = flow {
                std::thread::sleep(Duration::from_secs_f64(bytes.len() as f64 / f64::from(per_second.max(1))));
            }
        }
        Ok(())
    }

    /// Both directions let go of their sockets; the last one that does so resets.
    fn reset(self) {
        for socket in [&self.from, &self.to] {
            // An error means that the socket is gone already.
            let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
    }
}

fn current(flow: &Mutex<Flow>) -> Flow {
    *lock(flow)
}

fn lock(flow: &Mutex<Flow>) -> MutexGuard<'_, Flow> {
    flow.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, for one client after another.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut &stream).ok());
            }
        });
        address
    }

    fn connect(relay: &Relay) -> TcpStream {
        let stream = TcpStream::connect(relay.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    fn echoes(stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        stream.write_all(b"x").is_ok() && stream.read_exact(&mut byte).is_ok() && byte == *b"x"
    }

    #[test]
    fn a_stall_keeps_the_socket_and_the_bytes() {
        let relay = Relay::start(echo()).unwrap();
        let mut stream = connect(&relay);
        assert!(echoes(&mut stream));
        relay.set(Flow::Stall);
        std::thread::sleep(3 * TICK);
        stream.write_all(b"y").unwrap();
        stream.set_read_timeout(Some(4 * TICK)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        relay.set(Flow::Pass);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"y");
    }

    #[test]
    fn a_cut_closes_old_and_new_connections_until_restored() {
        let relay = Relay::start(echo()).unwrap();
        let mut before = connect(&relay);
        assert!(echoes(&mut before));
        relay.set(Flow::Cut);
        assert_eq!(before.read(&mut [0]).unwrap_or(0), 0);
        assert!(!echoes(&mut connect(&relay)));
        relay.set(Flow::Pass);
        assert!(echoes(&mut connect(&relay)));
    }
}
