//! Access units as interleaved RTP packets, and the order that a quirk makes of them.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Quirk;
use super::reel::split;

/// Largest payload of a packet.
const PAYLOAD: usize = 1400;
/// Largest payload that an interleaved packet can carry, for pictures of many megabytes.
const LARGEST_PAYLOAD: usize = 60_000;

/// Numbers the packets of one session.
pub(super) struct Packetizer {
    pub sequence: u16,
    pub source: u32,
    n_packets: u64,
}

impl Packetizer {
    pub(super) fn new() -> Self {
        Self { sequence: 1000, source: 0x5eed, n_packets: 0 }
    }

    /// The packets of one access unit.
    pub(super) fn unit(&mut self, unit: &[u8], timestamp: u32) -> Vec<Vec<u8>> {
        let nals = split(unit);
        let payloads: Vec<Vec<u8>> = nals.iter().flat_map(|nal| fragments(nal, PAYLOAD)).collect();
        let n_payloads = payloads.len();
        let packets = payloads.into_iter().enumerate();
        packets.map(|(nth, payload)| self.packet(&payload, timestamp, nth + 1 == n_payloads)).collect()
    }

    /// One piece of a picture that only ends when `ends`.
    pub(super) fn piece(&mut self, timestamp: u32, starts: bool, ends: bool) -> Vec<u8> {
        let head = u8::from(starts) << 7 | u8::from(ends) << 6 | 5;
        let payload = [&[0x7c, head][..], &vec![0x55; LARGEST_PAYLOAD]].concat();
        self.packet(&payload, timestamp, ends)
    }

    /// A sender report: this timestamp is now, by a clock that is so many seconds ahead.
    pub(super) fn report(&self, timestamp: u32, ahead: i64) -> Vec<u8> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = now.as_secs().wrapping_add(2_208_988_800).wrapping_add_signed(ahead) as u32;
        let fraction = ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000) as u32;
        let words = [self.source, seconds, fraction, timestamp, self.n_packets as u32, 0];
        let body: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        interleaved(1, &[&[0x80, 200, 0, 6][..], &body].concat())
    }

    fn packet(&mut self, payload: &[u8], timestamp: u32, mark: bool) -> Vec<u8> {
        let head = [&[0x80, u8::from(mark) << 7 | 96][..], &self.sequence.to_be_bytes()].concat();
        self.sequence = self.sequence.wrapping_add(1);
        self.n_packets += 1;
        let words = [timestamp.to_be_bytes(), self.source.to_be_bytes()].concat();
        interleaved(0, &[&head[..], &words, payload].concat())
    }
}

/// What a quirk makes of packets in a row; `nth` counts those before.
pub(super) fn disturb(quirk: Quirk, packets: Vec<Vec<u8>>, nth: usize) -> Vec<Vec<u8>> {
    let numbered = packets.into_iter().enumerate().map(|(index, packet)| (nth + index, packet));
    match quirk {
        Quirk::LostPackets => numbered.filter(|(n, _)| n % 25 != 7).map(|(_, packet)| packet).collect(),
        Quirk::DoubledPackets => numbered.flat_map(|(_, packet)| [packet.clone(), packet]).collect(),
        Quirk::ReorderedPackets => {
            let mut packets: Vec<Vec<u8>> = numbered.map(|(_, packet)| packet).collect();
            if nth % 60 > 40 && packets.len() > 4 {
                packets.swap(2, 3);
            }
            packets
        }
        _ => numbered.map(|(_, packet)| packet).collect(),
    }
}

fn fragments(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
    if nal.len() <= size {
        return vec![nal.to_vec()];
    }
    let pieces: Vec<&[u8]> = nal[1..].chunks(size).collect();
    let n_pieces = pieces.len();
    let head = |nth: usize| u8::from(nth == 0) << 7 | u8::from(nth + 1 == n_pieces) << 6 | nal[0] & 0x1f;
    let indicator = nal[0] & 0xe0 | 28;
    pieces.into_iter().enumerate().map(|(nth, piece)| [&[indicator, head(nth)][..], piece].concat()).collect()
}

fn interleaved(channel: u8, packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[b'$', channel], &length[..], packet].concat()
}
