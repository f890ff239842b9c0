//! A raw v0.5 client, written from the published protocol and not with chatd's own decoder.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use crate::deadline::DEADLINE;

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Type 1.
    Broadcast(String, String),
    /// Type 2.
    Keepalive,
    /// Type 4.
    Ack([u8; 16]),
    /// Type 5.
    Nak([u8; 16], String),
}

/// What went wrong with the bytes of the server: always a failure of the test.
#[derive(Debug, PartialEq, Eq)]
pub struct Nonsense(String);

/// Takes the first whole frame off `bytes`, strictly: every length must be exactly right.
///
/// # Errors
/// Where the bytes can be no frame of a v0.5 server.
pub fn take_frame(bytes: &mut Vec<u8>) -> Result<Option<Heard>, Nonsense> {
    if bytes.len() < 8 {
        return Ok(None);
    }
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (length, kind) = (number(0), number(4));
    if !(4..=65_536).contains(&length) {
        return Err(Nonsense(format!("a frame of type {kind} has the length {length}")));
    }
    let whole = 4 + length as usize;
    if bytes.len() < whole {
        return Ok(None);
    }
    let frame: Vec<u8> = bytes.drain(..whole).collect();
    heard(kind, &frame[8..]).map(Some)
}

fn heard(kind: u32, payload: &[u8]) -> Result<Heard, Nonsense> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| Nonsense("text that is no UTF-8".into()))
    };
    let long = |bytes: &[u8]| match bytes {
        [high, low, rest @ ..] if usize::from(u16::from_be_bytes([*high, *low])) == rest.len() => {
            text(rest)
        }
        _ => Err(Nonsense("a long string does not fill its frame".into())),
    };
    let guid = |bytes: &[u8]| -> Result<[u8; 16], Nonsense> {
        bytes.try_into().map_err(|_| Nonsense("a request id is not 16 bytes long".into()))
    };
    match (kind, payload) {
        (1, [from, rest @ ..]) if rest.len() >= usize::from(*from) => {
            let (from, rest) = rest.split_at(usize::from(*from));
            Ok(Heard::Broadcast(text(from)?, long(rest)?))
        }
        (2, []) => Ok(Heard::Keepalive),
        (4, payload) => Ok(Heard::Ack(guid(payload)?)),
        (5, payload) if payload.len() >= 18 => {
            Ok(Heard::Nak(guid(&payload[..16])?, long(&payload[16..])?))
        }
        _ => Err(Nonsense(format!("type {kind} with {} bytes of payload", payload.len()))),
    }
}

/// A frame of any type and payload.
pub fn frame(kind: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len() + 4).unwrap().to_be_bytes().to_vec();
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A Chat frame.
pub fn chat(text: &[u8]) -> Vec<u8> {
    let mut payload = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    payload.extend(text);
    frame(0, &payload)
}

/// A SetNickname frame.
pub fn set_nickname(request: [u8; 16], nick: &[u8]) -> Vec<u8> {
    let mut payload = request.to_vec();
    payload.push(u8::try_from(nick.len()).unwrap());
    payload.extend(nick);
    frame(3, &payload)
}

/// A connection. Each read has a deadline.
#[derive(Debug)]
pub struct Native {
    stream: TcpStream,
    kept: Vec<u8>,
}

impl Native {
    /// Connects, and says nothing.
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, DEADLINE).unwrap())
    }

    /// Takes a connection that was made elsewhere.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, kept: Vec::new() }
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends these bytes.
    pub fn sends(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Says this to the lobby.
    pub fn chats(&mut self, text: impl AsRef<[u8]>) {
        self.sends(&chat(text.as_ref()));
    }

    /// Asks for a nickname; gives what the server answered.
    pub fn asks_nick(&mut self, request: u8, nick: &[u8]) -> Heard {
        self.sends(&set_nickname([request; 16], nick));
        self.hears()
    }

    /// Takes a nickname, and is in the lobby from then on.
    pub fn takes_nick(&mut self, nick: &str) {
        assert_eq!(self.asks_nick(7, nick.as_bytes()), Heard::Ack([7; 16]));
    }

    /// The next frame, keepalives included; none at the end of the stream.
    pub fn next_frame(&mut self) -> Option<Heard> {
        let mut buffer = [0; 16_384];
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(heard) = take_frame(&mut self.kept).unwrap() {
                return Some(heard);
            }
            assert!(Instant::now() < end, "the server says nothing whole");
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.kept.is_empty(), "the stream ends within a frame");
                    return None;
                }
                Ok(read) => self.kept.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing is heard within {DEADLINE:?}: {error}"),
            }
        }
    }

    /// The next frame that is no keepalive.
    pub fn hears(&mut self) -> Heard {
        loop {
            match self.next_frame() {
                Some(Heard::Keepalive) => {}
                Some(heard) => return heard,
                None => panic!("the server closed the connection"),
            }
        }
    }

    /// The next message, as (from, text).
    pub fn hears_message(&mut self) -> (String, String) {
        match self.hears() {
            Heard::Broadcast(from, text) => (from, text),
            heard => panic!("expected a message: {heard:?}"),
        }
    }

    /// The next thing it hears is this message.
    pub fn hears_that(&mut self, from: &str, text: &str) {
        assert_eq!(self.hears(), Heard::Broadcast(from.to_owned(), text.to_owned()));
    }

    /// The server closes; everything before is returned, keepalives left out.
    pub fn until_closed(&mut self) -> Vec<Heard> {
        std::iter::from_fn(|| self.next_frame())
            .filter(|heard| *heard != Heard::Keepalive)
            .collect()
    }

    /// All bytes up to the end of the stream, whatever they are.
    pub fn bytes_until_closed(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.kept);
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the server does not close within {DEADLINE:?}: {error}"),
        }
    }

    /// Ends its direction.
    pub fn finishes(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}
