//! RTP payloads in, access units out: RFC 6184 for H.264, RFC 7798 for H.265.
//!
//! The library's own depacketizer collects a picture of any size before it hands it out; here a picture may grow to a bound
//! and no further. Where cameras err it goes by the pictures: markers and new timestamps behind parameter sets alone end
//! nothing. A picture with a lost packet is left out, and the loss is told with the next. Not here: order of packets.

use std::collections::VecDeque;

use super::nal::{self, Role};
use crate::access_unit::Codec;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Parameter sets of one kind that are kept, and their size; more are left to the stream.
const MOST_PARAMETER_SETS: usize = 16;
pub(super) const LARGEST_PARAMETER_SET: usize = 4096;

/// One RTP packet in its order.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Its payload.
    pub payload: &'a [u8],
    /// Its time in ticks.
    pub rtp: i64,
    /// True at the end of a picture.
    pub mark: bool,
    /// Packets lost just before it.
    pub lost: u16,
}

/// One access unit. It holds a picture, so it is not `Debug`.
pub struct Unit {
    /// NAL units behind start codes.
    pub bytes: Vec<u8>,
    /// Its time in ticks.
    pub rtp: i64,
    /// True when it can be decoded without any other, or is where the stream is entered.
    pub keyframe: bool,
    /// True when it is only the best that came: what it shows may be damaged at first.
    pub entry: bool,
    /// Packets lost just before it.
    pub lost: u16,
}

/// A picture grew beyond the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oversized;

/// Puts one stream's access units together.
pub struct Depacketizer {
    codec: Codec,
    limit: usize,
    bytes: Vec<u8>,
    nals: Vec<usize>,
    rtp: i64,
    fragment: bool,
    damaged: bool,
    lost: u16,
    parameter_sets: [Vec<Vec<u8>>; 3],
    done: VecDeque<Unit>,
    seeks_entry: bool,
}

impl Depacketizer {
    /// Access units of at most `limit` bytes; `described` are the parameter sets of the camera's description behind start
    /// codes, or nothing.
    pub fn new(codec: Codec, limit: usize, described: &[u8]) -> Self {
        let mut made = Self {
            codec,
            limit,
            bytes: Vec::new(),
            nals: Vec::new(),
            rtp: 0,
            fragment: false,
            damaged: false,
            lost: 0,
            parameter_sets: Default::default(),
            done: VecDeque::new(),
            seeks_entry: false,
        };
        let sets: Vec<&[u8]> = nal::split(described).collect();
        made.keep_parameter_sets(&sets);
        made
    }

    /// Takes the next packet.
    pub fn push(&mut self, packet: Packet<'_>) -> Result<(), Oversized> {
        if packet.lost > 0 {
            self.lost = self.lost.saturating_add(packet.lost);
            // What was lost may have been this picture's end or its middle; only a new time tells them apart.
            self.damaged |= !self.bytes.is_empty();
            self.fragment = false;
        }
        if packet.rtp != self.rtp && (self.holds_picture() || self.damaged) {
            self.finish();
        }
        self.rtp = packet.rtp;
        self.take(packet.payload)?;
        if packet.mark && (self.holds_picture() || self.damaged) {
            self.finish();
        }
        Ok(())
    }

    /// Whether a picture that doesn't stand alone may pass for a keyframe, because none came for long.
    pub fn seek_entry(&mut self, yes: bool) {
        self.seeks_entry = yes;
    }

    /// The next finished access unit.
    pub fn pop(&mut self) -> Option<Unit> {
        self.done.pop_front()
    }

    fn take(&mut self, payload: &[u8]) -> Result<(), Oversized> {
        let header_len = nal::header_len(self.codec);
        if payload.len() < header_len {
            return Ok(());
        }
        match (self.codec, nal::kind(self.codec, payload[0])) {
            (Codec::H264, 24) | (Codec::H265, 48) => self.take_aggregate(&payload[header_len..]),
            (Codec::H264, 28) | (Codec::H265, 49) => self.take_fragment(payload, header_len),
            // Interleaved modes of RFC 6184 and PACI of RFC 7798: nobody negotiated them.
            (Codec::H264, 25..=31 | 0) | (Codec::H265, 50..) => {
                self.damaged = true;
                Ok(())
            }
            _ => {
                self.damaged |= std::mem::take(&mut self.fragment);
                self.append_nal(payload)
            }
        }
    }

    fn take_aggregate(&mut self, mut rest: &[u8]) -> Result<(), Oversized> {
        self.damaged |= std::mem::take(&mut self.fragment);
        while let Some((size, tail)) = rest.split_first_chunk::<2>() {
            let size = usize::from(u16::from_be_bytes(*size));
            if size == 0 || size > tail.len() {
                self.damaged = true;
                return Ok(());
            }
            self.append_nal(&tail[..size])?;
            rest = &tail[size..];
        }
        Ok(())
    }

    fn take_fragment(&mut self, payload: &[u8], header_len: usize) -> Result<(), Oversized> {
        let Some((&head, rest)) = payload.get(header_len..).and_then(<[u8]>::split_first) else { return Ok(()) };
        let (starts, ends) = (head & 0x80 != 0, head & 0x40 != 0);
        if starts {
            self.damaged |= self.fragment;
            let mut header = [0; 2];
            header[..header_len].copy_from_slice(&payload[..header_len]);
            header[0] = match self.codec {
                Codec::H264 => (payload[0] & 0xe0) | (head & 0x1f),
                Codec::H265 => (payload[0] & 0x81) | ((head & 0x3f) << 1),
            };
            self.append_nal(&header[..header_len])?;
        } else if !self.fragment {
            // The start was lost.
            self.damaged = true;
            return Ok(());
        }
        self.fragment = !ends;
        self.append(rest)
    }

    fn append_nal(&mut self, nal: &[u8]) -> Result<(), Oversized> {
        // Delimiters say nothing here, and parameter sets may not stand before them.
        if nal.first().is_some_and(|first| nal::role(self.codec, *first) == Role::Delimiter) {
            return Ok(());
        }
        if nal.first().is_some_and(|first| first & 0x80 != 0) {
            self.damaged = true;
        }
        self.append(&START_CODE)?;
        if !self.damaged {
            self.nals.push(self.bytes.len());
        }
        self.append(nal)
    }

    /// A damaged picture is not kept, so it can't grow.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Oversized> {
        if self.damaged {
            self.bytes.clear();
            self.nals.clear();
            return Ok(());
        }
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(Oversized);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn holds_picture(&self) -> bool {
        let role = |at: &usize| self.bytes.get(*at).map(|first| nal::role(self.codec, *first));
        self.nals.iter().filter_map(role).any(|role| matches!(role, Role::Picture | Role::Keyframe))
    }

    fn finish(&mut self) {
        let (mut bytes, damaged) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.damaged));
        let unfinished = std::mem::take(&mut self.fragment);
        self.nals.clear();
        if damaged || unfinished || bytes.is_empty() {
            self.lost = self.lost.max(1);
            return;
        }
        let nals: Vec<&[u8]> = nal::split(&bytes).collect();
        let stands_alone = nal::stands_alone(self.codec, &nals);
        let entry = !stands_alone && self.seeks_entry && nal::may_be_entered(self.codec, &nals);
        let keyframe = stands_alone || entry;
        self.seeks_entry &= !keyframe;
        self.keep_parameter_sets(&nals);
        let missing = if keyframe { self.missing_parameter_sets(&nals) } else { Vec::new() };
        if missing.is_empty() {
            // Units may be kept for a whole GOP.
            bytes.shrink_to_fit();
        } else {
            bytes = [missing, bytes].concat();
        }
        self.done.push_back(Unit { bytes, rtp: self.rtp, keyframe, entry, lost: std::mem::take(&mut self.lost) });
    }

    /// Those of this picture replace those of their kind.
    fn keep_parameter_sets(&mut self, nals: &[&[u8]]) {
        for kind in 0..self.parameter_sets.len() {
            let fresh: Vec<&&[u8]> =
                nals.iter().filter(|nal| self.is_set(nal, kind)).take(MOST_PARAMETER_SETS).collect();
            let known = &mut self.parameter_sets[kind];
            if !fresh.is_empty()
                && !fresh.iter().copied().eq(known.iter().map(Vec::as_slice).collect::<Vec<_>>().iter())
            {
                *known = fresh.into_iter().map(|nal| nal.to_vec()).collect();
            }
        }
    }

    fn missing_parameter_sets(&self, nals: &[&[u8]]) -> Vec<u8> {
        let missing = (0..self.parameter_sets.len()).filter(|kind| !nals.iter().any(|nal| self.is_set(nal, *kind)));
        let mut bytes = Vec::new();
        for set in missing.flat_map(|kind| &self.parameter_sets[kind]) {
            bytes.extend_from_slice(&START_CODE);
            bytes.extend_from_slice(set);
        }
        bytes
    }

    fn is_set(&self, nal: &[u8], kind: usize) -> bool {
        let role = nal.first().map(|first| nal::role(self.codec, *first));
        role == Some(Role::ParameterSet(kind)) && nal.len() <= LARGEST_PARAMETER_SET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 0x64, 0, 0x1f];
    const PPS: &[u8] = &[0x68, 0xee, 0x3c];
    const IDR: &[u8] = &[0x65, 0x88, 1, 2, 3];
    const SLICE: &[u8] = &[0x41, 0x9a, 4, 5, 6];

    fn packet(payload: &[u8], rtp: i64, mark: bool) -> Packet<'_> {
        Packet { payload, rtp, mark, lost: 0 }
    }

    fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&START_CODE, *nal].concat()).collect()
    }

    fn depacketizer() -> Depacketizer {
        Depacketizer::new(Codec::H264, 1000, &annex_b(&[SPS, PPS]))
    }

    /// What comes out: bytes, keyframe, loss.
    fn units(depacketizer: &mut Depacketizer, packets: &[Packet<'_>]) -> Vec<(Vec<u8>, bool, u16)> {
        packets.iter().for_each(|packet| depacketizer.push(*packet).unwrap());
        std::iter::from_fn(|| depacketizer.pop()).map(|unit| (unit.bytes, unit.keyframe, unit.lost)).collect()
    }

    #[test]
    fn keyframe_gets_the_parameter_sets_of_the_description() {
        let out = units(&mut depacketizer(), &[packet(IDR, 0, true), packet(SLICE, 3000, true)]);
        assert_eq!(out, [(annex_b(&[SPS, PPS, IDR]), true, 0), (annex_b(&[SLICE]), false, 0)]);
    }

    #[test]
    fn parameter_sets_in_the_stream_replace_those_of_the_description() {
        let new_sps: &[u8] = &[0x67, 0x64, 0, 0x28];
        let mut depacketizer = depacketizer();
        let packets = [packet(new_sps, 0, false), packet(IDR, 0, true), packet(IDR, 3000, true)];
        let out = units(&mut depacketizer, &packets);
        assert_eq!(out[0].0, annex_b(&[PPS, new_sps, IDR]));
        assert_eq!(out[1].0, annex_b(&[new_sps, PPS, IDR]));
    }

    #[test]
    fn without_keyframes_one_recovery_point_is_taken_for_one() {
        let recovery: &[u8] = &[6, 6, 1, 0b0100_0100, 0x80];
        let mut depacketizer = depacketizer();
        let packets = [packet(recovery, 0, false), packet(SLICE, 0, true)];
        assert_eq!(units(&mut depacketizer, &packets), [(annex_b(&[recovery, SLICE]), false, 0)]);
        depacketizer.seek_entry(true);
        let entry = annex_b(&[SPS, PPS, recovery, SLICE]);
        assert_eq!(units(&mut depacketizer, &packets), [(entry, true, 0)]);
        assert_eq!(units(&mut depacketizer, &packets), [(annex_b(&[recovery, SLICE]), false, 0)]);
    }

    #[test]
    fn delimiters_are_left_out() {
        let packets = [packet(&[9, 0xf0], 0, false), packet(IDR, 0, true)];
        assert_eq!(units(&mut depacketizer(), &packets), [(annex_b(&[SPS, PPS, IDR]), true, 0)]);
    }

    #[test]
    fn markers_and_times_of_parameter_sets_alone_end_nothing() {
        let packets = [packet(SPS, 0, true), packet(PPS, 10, true), packet(IDR, 20, true)];
        assert_eq!(units(&mut depacketizer(), &packets), [(annex_b(&[SPS, PPS, IDR]), true, 0)]);
    }

    #[test]
    fn new_time_ends_a_picture_without_marker() {
        let packets = [packet(IDR, 0, false), packet(SLICE, 3000, false), packet(SLICE, 6000, false)];
        assert_eq!(units(&mut depacketizer(), &packets).len(), 2);
    }

    #[test]
    fn fragments_and_aggregates_become_whole_nals() {
        let stap = [&[24][..], &[0, 4], SPS, &[0, 3], PPS].concat();
        let packets = [
            packet(&stap, 0, false),
            packet(&[0x7c, 0x85, 0x88, 1], 0, false),
            packet(&[0x7c, 0x05, 2], 0, false),
            packet(&[0x7c, 0x45, 3], 0, true),
        ];
        assert_eq!(units(&mut depacketizer(), &packets), [(annex_b(&[SPS, PPS, IDR]), true, 0)]);
    }

    #[test]
    fn h265_fragments_become_whole_nals() {
        let mut depacketizer = Depacketizer::new(Codec::H265, 1000, &[]);
        let packets = [packet(&[0x62, 1, 0x93, 7], 0, false), packet(&[0x62, 1, 0x53, 8], 0, true)];
        assert_eq!(units(&mut depacketizer, &packets), [(annex_b(&[&[0x26, 1, 7, 8]]), true, 0)]);
    }

    #[test]
    fn picture_with_a_lost_packet_is_left_out_and_told_with_the_next() {
        let packets = [
            packet(&[0x7c, 0x85, 0x88, 1], 0, false),
            Packet { lost: 2, ..packet(&[0x7c, 0x45, 3], 0, true) },
            packet(SLICE, 3000, true),
        ];
        assert_eq!(units(&mut depacketizer(), &packets), [(annex_b(&[SLICE]), false, 2)]);
    }

    #[test]
    fn picture_larger_than_the_bound_is_refused_before_it_is_collected() {
        let mut depacketizer = depacketizer();
        depacketizer.push(packet(&[0x7c, 0x85, 1], 0, false)).unwrap();
        let piece = [&[0x7c, 0x05][..], &[1; 600]].concat();
        assert_eq!(depacketizer.push(packet(&piece, 0, false)), Ok(()));
        assert_eq!(depacketizer.push(packet(&piece, 0, false)), Err(Oversized));
    }

    proptest::proptest! {
        #[test]
        fn hostile_packets_never_panic_and_stay_within_the_bound(
            h265: bool,
            packets in proptest::collection::vec(
                (proptest::collection::vec(0u8.., 0..40), 0i64..4, proptest::bool::ANY, 0u16..3), 0..60),
        ) {
            let codec = if h265 { Codec::H265 } else { Codec::H264 };
            let mut depacketizer = Depacketizer::new(codec, 200, &[]);
            for (payload, rtp, mark, lost) in &packets {
                let _ = depacketizer.push(Packet { payload, rtp: *rtp, mark: *mark, lost: *lost });
                while let Some(unit) = depacketizer.pop() {
                    proptest::prop_assert!(!unit.bytes.is_empty());
                }
                proptest::prop_assert!(depacketizer.bytes.len() <= 200);
            }
        }
    }
}
