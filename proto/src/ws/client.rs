//! The client's side: the request, the proof in the answer (RFC 6455, section 4.1), and masked frames (section 5.3). Chance is an
//! argument, as everywhere.

use core::fmt;

use alloc::format;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::frame::{FIN, MASKED, Opcode, head};
use super::handshake::{SUBPROTOCOL, accept};
use super::mask::Mask;
use crate::http::HEAD_BYTES_MAX;

/// The most fields that a server's answer has.
const FIELDS_MAX: usize = 64;

/// The request that asks for the chat. `key` are 16 random bytes, new for each connection.
pub fn request(host: &str, path: &str, key: [u8; 16]) -> Vec<u8> {
    let key = STANDARD.encode(key);
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    )
    .into_bytes()
}

/// What a server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgraded {
    /// The answer is not whole.
    Partial,
    /// The connection speaks the chat's vocabulary; so many bytes were the answer, what follows are frames.
    Yes {
        /// Bytes that are no frames.
        consumed: usize,
    },
}

/// An answer that makes no WebSocket connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotUpgraded {
    /// The server said another status than 101.
    Status(u16),
    /// It is no HTTP, or not the proof for the key, or what was not asked for.
    Wrong,
}

impl fmt::Display for NotUpgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => {
                write!(f, "the server answered {status} instead of opening a WebSocket")
            }
            Self::Wrong => f.write_str("what answered there is no WebSocket server that chats"),
        }
    }
}

impl core::error::Error for NotUpgraded {}

/// Reads the answer to [`request`]: all bytes that came, each time.
///
/// # Errors
/// [`NotUpgraded`] where the answer is another one.
pub fn upgraded(bytes: &[u8], key: [u8; 16]) -> Result<Upgraded, NotUpgraded> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut slots);
    let consumed = match response.parse(bytes) {
        Ok(httparse::Status::Complete(consumed)) => consumed,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => {
            return Ok(Upgraded::Partial);
        }
        Ok(httparse::Status::Partial) | Err(_) => return Err(NotUpgraded::Wrong),
    };
    let status = response.code.unwrap_or_default();
    if status != 101 {
        return Err(NotUpgraded::Status(status));
    }
    let field = |name: &str| {
        let mut named =
            response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        named.next().filter(|_| named.next().is_none()).map(|field| field.value)
    };
    let is = |name, value: &[u8]| field(name).is_some_and(|said| said.eq_ignore_ascii_case(value));
    let proof = accept(&STANDARD.encode(key));
    let proven = field("sec-websocket-accept") == Some(proof.as_bytes());
    let agreed = field("sec-websocket-protocol") == Some(SUBPROTOCOL.as_bytes())
        && field("sec-websocket-extensions").is_none();
    if proven && agreed && is("upgrade", b"websocket") && is("connection", b"upgrade") {
        Ok(Upgraded::Yes { consumed })
    } else {
        Err(NotUpgraded::Wrong)
    }
}

/// Appends a whole message, masked. `mask` is random, new for each frame.
pub fn masked_frame(opcode: Opcode, body: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    head(FIN | opcode.number(), MASKED, body.len(), out);
    out.extend_from_slice(&mask);
    Mask(mask).apply(body, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Item, Reader};
    use crate::time::WallTime;
    use crate::ws::handshake;

    const KEY: [u8; 16] = *b"0123456789abcdef";

    /// A server's answer to our request.
    fn answer() -> Vec<u8> {
        let request = request("localhost:33333", "/ws", KEY);
        let Item::Head(head) = Reader::new().feed(&request, 0).item else { panic!("a request") };
        let mut out = Vec::new();
        handshake(&head, Some(SUBPROTOCOL)).unwrap().write(WallTime::from_micros(0), &mut out);
        out
    }

    #[test]
    fn client_and_server_agree() {
        let mut answer = answer();
        for end in 0..answer.len() {
            assert_eq!(upgraded(answer.get(..end).unwrap(), KEY), Ok(Upgraded::Partial));
        }
        let consumed = answer.len();
        answer.extend_from_slice(b"\x81\x02{}");
        assert_eq!(upgraded(&answer, KEY), Ok(Upgraded::Yes { consumed }));
    }

    #[test]
    fn another_answer_is_none() {
        let text = alloc::string::String::from_utf8(answer()).unwrap();
        assert_eq!(upgraded(text.as_bytes(), *b"another key of16"), Err(NotUpgraded::Wrong));
        for (from, to) in [
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("chat.v1", "chat.v2"),
            ("Connection: Upgrade", "Connection: close"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            ("HTTP/1.1", "SSH-2.0"),
        ] {
            let wrong = text.replacen(from, to, 1);
            assert_ne!(wrong, text);
            assert_eq!(upgraded(wrong.as_bytes(), KEY), Err(NotUpgraded::Wrong), "{to}");
        }
        let refused = b"HTTP/1.1 403 Forbidden\r\n\r\n";
        assert_eq!(upgraded(refused, KEY), Err(NotUpgraded::Status(403)));
        assert_eq!(upgraded(&[b'x'; 9_000], KEY), Err(NotUpgraded::Wrong));
    }

    #[test]
    fn the_example_of_the_rfc_is_masked_so() {
        let mut out = Vec::new();
        masked_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d], &mut out);
        assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "section 5.7");
    }
}
