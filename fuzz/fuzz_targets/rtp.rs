//! RTP payloads of any order and content: no panic, nothing beyond the bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xueliang_ingest::access_unit::Codec;
use xueliang_ingest::session::depacketize::{Depacketizer, Packet};

const LIMIT: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let codec = if first & 1 == 0 { Codec::H264 } else { Codec::H265 };
    let described = rest.len().min(usize::from(first >> 2));
    let mut depacketizer = Depacketizer::new(codec, LIMIT, &rest[..described]);
    rest = &rest[described..];
    // Each packet: flags and time, length, payload.
    while let [flags, length, tail @ ..] = rest {
        let (payload, next) = tail.split_at(tail.len().min(usize::from(*length)));
        let packet = Packet {
            payload,
            rtp: i64::from(flags >> 4) * 3000,
            mark: flags & 1 != 0,
            lost: u16::from(flags >> 1 & 3) / 3,
        };
        let _ = depacketizer.push(packet);
        while let Some(unit) = depacketizer.pop() {
            // Parameter sets of the description may stand before a picture of the full size.
            assert!(!unit.bytes.is_empty() && unit.bytes.len() <= 2 * LIMIT + 48 * 4100);
        }
        rest = next;
    }
});
