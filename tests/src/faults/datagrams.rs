//! RTP beside the RTSP connection: a pair of UDP ports that sends what would have been interleaved.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Context, Result};

/// Tries to find an even port whose successor is free too, as RFC 3550 (11) has it.
const TRIES: usize = 100;

/// The camera's pair of ports, and the client's.
pub(super) struct Datagrams {
    sockets: [UdpSocket; 2],
    client_ports: String,
}

impl Datagrams {
    /// A pair that sends to the ports of a `Transport` header; `None` when it asks for none.
    pub(super) fn asked_for(transport: &str, (own, client): (IpAddr, IpAddr)) -> Result<Option<Self>> {
        let Some(ports) = transport.split(';').find_map(|part| part.strip_prefix("client_port=")) else {
            return Ok(None);
        };
        let first: u16 = ports.split('-').next().unwrap_or_default().parse().context("client_port is no port")?;
        let sockets = pair(own)?;
        for (socket, port) in sockets.iter().zip(first..) {
            socket.connect(SocketAddr::new(client, port))?;
        }
        Ok(Some(Self { sockets, client_ports: ports.to_owned() }))
    }

    /// The answer's `Transport` header.
    pub(super) fn transport(&self) -> Result<String> {
        let [rtp, rtcp] = [self.sockets[0].local_addr()?.port(), self.sockets[1].local_addr()?.port()];
        Ok(format!("RTP/AVP;unicast;client_port={};server_port={rtp}-{rtcp};ssrc=00005EED", self.client_ports))
    }

    /// Sends one interleaved packet, RTP or RTCP by its channel.
    pub(super) fn send(&self, interleaved: &[u8]) -> Result<()> {
        let (head, packet) = interleaved.split_at_checked(4).context("an interleaved packet has a head")?;
        // Nobody listens any more once the client closed its ports; that is for the connection to find out.
        let _ = self.sockets[usize::from(head[1] & 1)].send(packet);
        Ok(())
    }
}

fn pair(ip: IpAddr) -> Result<[UdpSocket; 2]> {
    for _ in 0..TRIES {
        let first = UdpSocket::bind((ip, 0))?;
        let port = first.local_addr()?.port();
        if port.is_multiple_of(2)
            && let Ok(second) = UdpSocket::bind((ip, port + 1))
        {
            return Ok([first, second]);
        }
    }
    anyhow::bail!("no pair of free UDP ports on {ip}")
}
