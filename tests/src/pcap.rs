//! Capture files as Wireshark reads them, made of segments that were never sent.
//!
//! Raw IPv4 between one client and one server address, TCP without handshake, checksums left at zero: dissectors ask for no more.

use std::collections::BTreeMap;

/// Little endian; times are in microseconds, and each packet is one after the packet before.
const MAGIC: u32 = 0xa1b2_c3d4;
/// Packets begin with an IPv4 header.
const LINKTYPE_IPV4: u32 = 228;
/// IPv4 and TCP headers without options.
const HEADERS_BYTES: usize = 40;
/// What an IPv4 packet can carry behind them.
pub const SEGMENT_BYTES_MAX: usize = 65_535 - HEADERS_BYTES;

/// A capture file in the making.
#[derive(Debug)]
pub struct Pcap {
    bytes: Vec<u8>,
    packets: u32,
    /// The next sequence number by direction.
    next: BTreeMap<(u16, u16), u32>,
}

impl Default for Pcap {
    fn default() -> Self {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        for half in [2_u16, 4] {
            bytes.extend(half.to_le_bytes());
        }
        for word in [0, 0, u32::from(u16::MAX), LINKTYPE_IPV4] {
            bytes.extend(word.to_le_bytes());
        }
        Self { bytes, packets: 0, next: BTreeMap::new() }
    }
}

impl Pcap {
    /// A segment of the stream between two ports.
    pub fn segment(&mut self, from: u16, to: u16, payload: &[u8]) {
        self.cut_segment(from, to, payload, payload.len());
    }

    /// A segment of which only the first `kept` bytes were captured.
    pub fn cut_segment(&mut self, from: u16, to: u16, payload: &[u8], kept: usize) {
        assert!(payload.len() <= SEGMENT_BYTES_MAX, "a packet has no room for that");
        let seq = self.next.entry((from, to)).or_insert(1);
        let headers = headers(from, to, *seq, payload.len());
        *seq += u32::try_from(payload.len()).unwrap();
        let captured = u32::try_from(HEADERS_BYTES + kept).unwrap();
        let whole = u32::try_from(HEADERS_BYTES + payload.len()).unwrap();
        for word in [0, self.packets, captured, whole] {
            self.bytes.extend(word.to_le_bytes());
        }
        self.bytes.extend(headers);
        self.bytes.extend(&payload[..kept]);
        self.packets += 1;
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// An IPv4 and a TCP header.
fn headers(from: u16, to: u16, seq: u32, payload: usize) -> Vec<u8> {
    // The lower port is the server's.
    let (client, server) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let (source, target) = if from < to { (server, client) } else { (client, server) };
    let mut bytes = vec![0x45, 0];
    bytes.extend(u16::try_from(HEADERS_BYTES + payload).unwrap().to_be_bytes());
    // No identification, "do not fragment", 64 hops, TCP, no checksum.
    bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend(source);
    bytes.extend(target);
    bytes.extend(from.to_be_bytes());
    bytes.extend(to.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    // Acknowledges 1, five words of header, ACK and PSH, a window, no checksum, nothing urgent.
    bytes.extend([0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(bytes.len(), HEADERS_BYTES, "there are no options");
    bytes
}
