//! Connections that say what nobody should: floods, frames of wrong kinds, names that are somebody else's or drive terminals.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::crowds::is_there;
use super::{SLACK_MICROS, Troop};
use crate::clock::seconds;
use crate::report::Report;
use crate::socket::{self, Manner};
use crate::wire::{self, Frame, Split, Stamp};

/// The flood comes from here: where the witnesses are there are no limits.
const FLOOD_SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Bytes of text of a chat of the flood.
const FLOOD_TEXT_BYTES: usize = 100;
/// Bytes of such a chat as a frame.
const FLOOD_FRAME_BYTES: u64 = 4 + 4 + 2 + FLOOD_TEXT_BYTES as u64;
/// What a daemon with nothing set takes of one connection: messages at once, and then each second.
const MESSAGE_BURST: u64 = 40;
const MESSAGES_PER_S: u64 = 10;
/// What the server may have read of it or the kernels may hold: its scratch buffer, and the send and receive buffers, which loopback
/// lets grow to a few MiB.
const FLOOD_HELD_BYTES: u64 = 8 * 1024 * 1024;

/// Speakers who say as much as the server takes.
pub(super) struct Flood {
    addr: SocketAddr,
    count: usize,
    /// Each with how far it is in what it says over and over.
    members: Vec<(TcpStream, usize)>,
    chats: Vec<u8>,
    began: Option<u64>,
    came: u64,
    written: u64,
    heard: u64,
}

impl Flood {
    pub(super) fn new(addr: SocketAddr, count: usize) -> Self {
        let mut chats = Vec::new();
        for sequence in 0..500 {
            Stamp { stream: 0, sequence, micros: 0 }.chat(FLOOD_TEXT_BYTES, &mut chats);
        }
        let (members, began) = (Vec::new(), None);
        Self { addr, count, members, chats, began, came: 0, written: 0, heard: 0 }
    }
}

impl Troop for Flood {
    fn step(&mut self, now: u64) -> io::Result<()> {
        self.began.get_or_insert(now);
        if self.members.len() < self.count {
            let manner = Manner { receive_bytes: None, source: Some(FLOOD_SOURCE) };
            self.members.extend(socket::dial(self.addr, manner).map(|stream| (stream, 0)));
            self.came += 1;
        }
        let mut scratch = [0; 16_384];
        let (written, heard) = (&mut self.written, &mut self.heard);
        let chats = &self.chats;
        self.members.retain_mut(|(stream, at)| {
            // It hears what the others say: who does not read is cut for something else.
            while let Ok(count @ 1..) = stream.read(&mut scratch) {
                *heard += count as u64;
            }
            match stream.write(&chats[*at..]) {
                Ok(count) => {
                    *written += count as u64;
                    *at = (*at + count) % chats.len();
                    true
                }
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
        });
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.came >= self.count as u64
    }

    fn report(&mut self, now: u64, report: &mut Report) -> io::Result<()> {
        let passed = (now - self.began.unwrap_or(now)).div_ceil(seconds(1));
        let messages = self.came * MESSAGE_BURST + self.count as u64 * MESSAGES_PER_S * passed;
        report.count("flood_connections", self.came);
        report.count("flood_heard_bytes", self.heard);
        let taken = messages * FLOOD_FRAME_BYTES + self.came * FLOOD_HELD_BYTES;
        report.at_most("flood_written_bytes", self.written, taken);
        // Each hears each other; what the frame has besides is counted generously.
        let most = messages * (FLOOD_FRAME_BYTES + 64) * self.count as u64;
        report.at_most("flood_heard_bytes_by_quota", self.heard, most);
        Ok(())
    }
}

/// New connections in one step: a thousand a second, as many as come and go.
const COMERS_MAX: usize = 10;

/// Beginnings that no server should go on after.
const WRONG: [&[u8]; 9] = include!("../../../tests/malformed.in");

/// Those who begin so, one after the other.
pub(super) struct Malformed {
    addr: SocketAddr,
    count: usize,
    members: Vec<(TcpStream, u64)>,
    came: usize,
    closed: u64,
    longest: u64,
}

impl Malformed {
    pub(super) const fn new(addr: SocketAddr, count: usize) -> Self {
        Self { addr, count, members: Vec::new(), came: 0, closed: 0, longest: 0 }
    }
}

impl Troop for Malformed {
    fn step(&mut self, now: u64) -> io::Result<()> {
        for _ in 0..COMERS_MAX.min(self.count - self.members.len()) {
            let Ok(stream) = socket::dial(self.addr, Manner::default()) else { break };
            let _ = (&stream).write(WRONG[self.came % WRONG.len()]);
            self.came += 1;
            self.members.push((stream, now));
        }
        let (closed, longest) = (&mut self.closed, &mut self.longest);
        self.members.retain(|(stream, since)| {
            let lives = is_there(stream);
            if !lives {
                *closed += 1;
                *longest = (*longest).max(now - since);
            }
            lives
        });
        Ok(())
    }

    fn report(&mut self, now: u64, report: &mut Report) -> io::Result<()> {
        let oldest = self.members.iter().map(|(_, since)| now - since).max().unwrap_or(0);
        report.at_least("malformed_closed", self.closed, 1);
        // At the header, not when some deadline passes.
        report.at_most("malformed_longest_ms", self.longest / 1000, SLACK_MICROS / 1000);
        report.at_most("malformed_living_oldest_ms", oldest / 1000, SLACK_MICROS / 1000);
        Ok(())
    }
}

/// Names that are to be refused where the witnesses are called Ada and Bob: they look alike, or drive terminals.
const NAMES: [&str; 15] = [
    "ada",
    "ADA",
    "\u{410}da",
    "Ad\u{430}",
    "\u{ff21}da",
    "bob",
    "BOB",
    "B\u{43e}b",
    "\u{412}ob",
    "Bo\u{253}\u{301}\u{301}\u{301}",
    "\u{1b}[2J",
    "a\nb",
    "a\u{202e}b",
    "a\u{200b}b",
    "a\u{9b}31mb",
];
/// Changes of nickname that one connection may ask for at once.
const NICK_CHANGES: usize = 5;

/// Those who ask for such names.
pub(super) struct Names {
    addr: SocketAddr,
    count: usize,
    members: Vec<(TcpStream, Vec<u8>, usize)>,
    came: usize,
    taken: u64,
    refused: u64,
}

impl Names {
    pub(super) const fn new(addr: SocketAddr, count: usize) -> Self {
        Self { addr, count, members: Vec::new(), came: 0, taken: 0, refused: 0 }
    }
}

impl Troop for Names {
    fn step(&mut self, _now: u64) -> io::Result<()> {
        for _ in 0..COMERS_MAX.min(self.count - self.members.len()) {
            let Ok(stream) = socket::dial(self.addr, Manner::default()) else { break };
            let mut out = Vec::new();
            for at in 0..NICK_CHANGES {
                wire::set_nickname(NAMES[(self.came * NICK_CHANGES + at) % NAMES.len()], &mut out);
            }
            let _ = (&stream).write(&out);
            self.came += 1;
            self.members.push((stream, Vec::new(), 0));
        }
        let (taken, refused) = (&mut self.taken, &mut self.refused);
        self.members.retain_mut(|(stream, came, answers)| {
            let mut scratch = [0; 4096];
            let Ok(count) = stream.read(&mut scratch) else { return is_there(stream) };
            came.extend_from_slice(&scratch[..count]);
            let mut start = 0;
            while let Split::Frame(frame, length) = wire::split(&came[start..]) {
                start += length;
                match frame {
                    Frame::Ack => *taken += 1,
                    Frame::Nak { .. } => *refused += 1,
                    _ => continue,
                }
                *answers += 1;
            }
            came.drain(..start);
            // Whoever has all its answers goes, and another comes.
            count > 0 && *answers < NICK_CHANGES
        });
        Ok(())
    }

    fn report(&mut self, _now: u64, report: &mut Report) -> io::Result<()> {
        report.at_least("names_refused", self.refused, 1);
        report.at_most("names_taken", self.taken, 0);
        Ok(())
    }
}
