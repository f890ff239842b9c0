//! Fuzz bodies: plain functions of bytes that must never panic. `tests/fuzz` runs them under cargo-fuzz, `replay.rs` over the
//! corpus and over seeded random bytes in every run of the tests.

mod driven;
mod heard;
mod stored;
mod web;

use chatctl::client::{Framing, Incoming};
use proto::{Charset, Item, Network, Nick, RoomName, Session, Transport, WallTime, WireLimits};

pub use driven::hub;
pub use web::{http, ws};

const LIMITS: WireLimits = WireLimits { message: 200, charset: Charset::Unicode };

/// A body by name.
pub type Body = (&'static str, fn(&[u8]));

/// Every body.
pub const BODIES: &[Body] = &[
    ("session", session),
    ("client_line", client_line),
    ("client_stream", client_stream),
    ("names", names),
    ("hub", hub),
    ("http", http),
    ("ws", ws),
];

/// What a session makes of bytes, read in chunks: shown commands up to and with the fault, and the bytes left over.
fn understood(
    transport: Transport,
    bytes: &[u8],
    chunk: impl Fn(usize) -> usize,
) -> (Vec<String>, usize) {
    let mut session = Session::new(transport);
    let (mut seen, mut kept, mut read) = (Vec::new(), Vec::new(), 0);
    loop {
        let mut message = Vec::new();
        let step = session.feed(&kept, &mut message, LIMITS);
        let consumed = step.consumed;
        assert!(consumed <= kept.len(), "more is consumed than was offered");
        match step.item {
            Item::More => {
                kept.drain(..consumed);
                if read == bytes.len() {
                    return (seen, kept.len());
                }
                let next = bytes.len().min(read + chunk(read).max(1));
                kept.extend_from_slice(&bytes[read..next]);
                read = next;
            }
            Item::Fault(fault) => {
                // The text may differ: a length can be known to be wrong by its first byte.
                let _ = fault.to_string();
                seen.push(format!("{} {:?}", fault.word(), fault.farewell(WallTime::default())));
                return (seen, 0);
            }
            Item::Body { bytes, last } => {
                // Where a body is cut into pieces does not count.
                seen.extend(bytes.iter().map(|byte| format!("body {byte}")));
                seen.extend(last.then(|| String::from("body ends")));
                kept.drain(..consumed);
            }
            item => {
                seen.push(format!("{item:?}"));
                kept.drain(..consumed);
            }
        }
    }
}

/// Any chunking of any bytes gives the same commands and the same fault.
pub fn session(bytes: &[u8]) {
    for transport in [Transport::Stream, Transport::ControlSocket] {
        let whole = understood(transport, bytes, |_| usize::MAX / 2);
        let single = understood(transport, bytes, |_| 1);
        let mixed = understood(transport, bytes, |at| usize::from(bytes[at] & 31));
        assert_eq!(whole, single, "one byte at a time");
        assert_eq!(whole, mixed, "in pieces");
    }
}

/// The client's side of the vocabulary reads whatever a server says.
pub fn client_line(bytes: &[u8]) {
    if let Ok(line) = proto::client::parse_line(bytes) {
        let (proto::client::ServerLine::Reply { body, .. }
        | proto::client::ServerLine::Event { body, .. }) = line;
        let _ = proto::client::content(&body);
    }
}

/// What chatctl makes of a server's bytes, read in chunks: everything up to and with the nonsense, and the bytes left over.
fn heard(framing: Framing, bytes: &[u8], chunk: impl Fn(usize) -> usize) -> (Vec<String>, usize) {
    let (mut seen, mut kept, mut scanned, mut read) = (Vec::new(), Vec::new(), 0, 0);
    loop {
        match framing.take(&kept, scanned) {
            Ok(Some((taken, incoming))) => {
                assert!(0 < taken && taken <= kept.len(), "more is taken than was offered");
                if let Incoming::Event(event) = &incoming {
                    assert!(!event.line.contains('\n'), "an event is passed on as one line");
                    let _ = (event.text("room"), event.number("seq"));
                }
                seen.push(format!("{incoming:?}"));
                kept.drain(..taken);
                scanned = 0;
            }
            Ok(None) => {
                scanned = kept.len();
                if read == bytes.len() {
                    return (seen, kept.len());
                }
                let next = bytes.len().min(read + chunk(read).max(1));
                kept.extend_from_slice(&bytes[read..next]);
                read = next;
            }
            Err(nonsense) => {
                // Which length was wrong may differ: it can be known to be by its first byte.
                let _ = nonsense.to_string();
                seen.push("nonsense".to_owned());
                return (seen, 0);
            }
        }
    }
}

/// Any chunking of any bytes of a server gives chatctl the same.
pub fn client_stream(bytes: &[u8]) {
    for framing in [Framing::Lines, Framing::Frames] {
        let whole = heard(framing, bytes, |_| usize::MAX / 2);
        let single = heard(framing, bytes, |_| 1);
        let mixed = heard(framing, bytes, |at| usize::from(bytes[at] & 31));
        assert_eq!(whole, single, "one byte at a time");
        assert_eq!(whole, mixed, "in pieces");
    }
}

/// Names, networks and times are read from whatever text; a good one is short, shown as it is, and stays what it is.
pub fn names(bytes: &[u8]) {
    for charset in [Charset::Ascii, Charset::Unicode] {
        let Ok(nick) = Nick::parse_bytes(bytes, charset) else { continue };
        let text = nick.as_str();
        assert!(text.len() <= proto::NICK_BYTES_MAX, "{text:?}");
        assert!((1..=proto::NICK_CHARS_MAX).contains(&text.chars().count()), "{text:?}");
        assert!(!text.contains(|c: char| c.is_control() || c.is_whitespace() && c != ' '));
        assert_eq!(Nick::parse_in(text, charset).as_ref(), Ok(&nick), "it is taken as it is shown");
        assert_eq!(Nick::parse_any(text).as_ref(), Ok(&nick), "every client lets it pass");
        if let Ok(other) = Nick::parse_in(&text.to_uppercase(), charset) {
            let same = nick.key() == other.key() || nick.skeleton() == other.skeleton();
            assert!(same, "{text:?} and {other:?}");
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(room) = RoomName::parse(text) {
        assert_eq!(RoomName::parse(room.as_str()), Ok(room));
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
    if let Ok(time) = serde_json::from_value::<WallTime>(text.into()) {
        let shown = serde_json::to_value(time).unwrap();
        assert_eq!(serde_json::from_value::<WallTime>(shown).unwrap(), time);
    }
}
